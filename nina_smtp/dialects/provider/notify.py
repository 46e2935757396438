"""The steps that notify by mail, of the ``email.smtp`` provider's workflows.

Its documentation writes ``task: notify, type: email, config: {…}``, its code ``thand: notify, with: {…}``.
Both are read. A workflow with any other step is left out as a whole: what is left away may be the approval
that the mail has to wait for.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from typing import Any, cast

from nina_smtp.dialects.imported import Fate, Json
from nina_smtp.dialects.source import Source, as_list, literal
from nina_smtp.errors import InvalidConfiguration
from nina_smtp.workflow.model import MAX_NODES

EMAIL = "email"
OPTIONS = {"mode": "once", "sources": "node"}
"""A step sends one mail, and only what it says itself is in it."""

_EXPRESSION = re.compile(r"\$\{")
_OWN_HEADERS = {"reply-to": "replyTo", "cc": "cc", "bcc": "bcc", "sender": "envelopeFrom"}
_OVERWRITTEN = frozenset({"from", "to", "subject"})
_DECIDES = ("if", "when", "unless", "condition", "for", "foreach", "then", "enabled", "disabled")
"""What decides whether, or how often, a step is done."""


def read_workflow(
    workflow: Source, name: str, credentials: Mapping[str, Json], providers: Mapping[str, bool]
) -> Json | None:
    """The workflow of ours, or None if it has steps that are not mails.

    ``credentials`` are the e-mail providers of the file that are used; ``providers`` says of each of all its
    providers whether it is one of mail.
    """
    name = workflow.text("name", "workflow.name") or name
    steps = workflow.objects("steps")
    if len(steps) >= MAX_NODES:
        raise workflow.wrong("steps", f"are {len(steps)}; fewer than {MAX_NODES} are read.", "Split them.")
    names = Names(100)
    names.add("Start")
    why = _deciding(workflow) or next(filter(None, (_why_not(step, providers) for step in steps)), None)
    if why or not steps:
        said = f"is a workflow with {why}" if why else "has no steps"
        workflow.note("steps", Fate.LEFT_OUT, f"{name} {said}; it is left out as a whole")
        return None
    nodes: list[Json] = [{"id": "start", "type": "manual_trigger", "name": "Start", "config": {}}]
    edges: list[Json] = []
    for number, step in enumerate(steps, 1):
        title = step.text("name", "node.name") or f"Mail {number}"
        nodes.append(_node(step, f"mail-{number}", names.add(title), credentials, providers))
        edges.append({"from": nodes[-2]["id"], "to": nodes[-1]["id"]})
    workflow.rest("has no meaning for a mail")
    return {"name": name, "nodes": nodes, "edges": edges}


class Names:
    """Names of at most so many characters, each on one line, and no two the same."""

    def __init__(self, longest: int) -> None:
        self._longest = longest
        self._taken: set[str] = set()
        self._count: Counter[str] = Counter()

    def add(self, name: str) -> str:
        """``name``, or something like it that is free."""
        name = "".join(c if c.isprintable() else " " for c in name).strip()[: self._longest] or "unnamed"
        found = name
        while found in self._taken:
            self._count[name] += 1
            found = f"{name[: self._longest - 6]} {self._count[name] + 1}"
        self._taken.add(found)
        return found


def _why_not(step: Source, providers: Mapping[str, bool]) -> str | None:
    """Why a step is not a mail that is sent whatever happened before it."""
    data = step.data
    key = "with" if data.get("thand") == "notify" else "config"
    config: Any = data.get(key)
    mail = data.get("task") == "notify" and data.get("type", EMAIL) in (EMAIL, "email.smtp")
    if not (isinstance(config, Mapping) if key == "with" else mail):
        return f"a step that is not a mail ({str(data.get('task') or data.get('type'))[:40]})"
    names = as_list(cast(Json, config).get("provider")) if isinstance(config, Mapping) else []
    if names and "type" not in data and all(isinstance(n, str) and providers.get(n) is False for n in names):
        return f"a step that is not a mail (it notifies by {str(names[0])[:40]})"
    return _deciding(step)


def _deciding(source: Source) -> str | None:
    for key in _DECIDES:
        value = source.data.get(key)
        harmless = {"enabled": ("true",), "disabled": ("false",), "then": ("continue",)}.get(key, ())
        if value is not None and str(value).strip().lower() not in ("", *harmless):
            return f"{key}, which decides whether or how often there is a mail ({source.at(key)})"
    return None


def _node(
    step: Source,
    node_id: str,
    title: str,
    credentials: Mapping[str, Json],
    providers: Mapping[str, bool],
) -> Json:
    key = "with" if step.data.get("thand") == "notify" else "config"
    config = step.inner(key) or Source({}, step.at(key), step.notes)
    node: Json = {
        "id": node_id,
        "type": "smtp",
        "name": title,
        "credential": _route(config, credentials, providers),
        "config": {"parameters": _parameters(config), "options": OPTIONS},
    }
    config.rest("is not an option of a mail")
    known = ("task", "type", "thand", "config", "with", "id", *_DECIDES)
    step.rest("has no meaning for a mail", known=known)
    return node


def _route(config: Source, credentials: Mapping[str, Json], providers: Mapping[str, bool]) -> Any:
    """The provider that is named, then the others of the file."""
    listed = config.value("provider")
    names = as_list(listed or EMAIL)
    for name in names:
        if not isinstance(name, str) or (name in providers and name not in credentials):
            raise config.wrong(
                "provider",
                f"{str(name)[:40]!a} is not an e-mail provider that is enabled.",
                f"There are: {', '.join(credentials) or 'none'}.",
            )
        if credentials and name not in credentials:
            raise config.wrong(
                "provider",
                f"{name[:40]!a} is not a provider of the file.",
                f"There are: {', '.join(credentials)}.",
            )
    route = list(dict.fromkeys([*names, *(() if isinstance(listed, list) else credentials)]))[:10]
    if len(route) == 1:
        config.note("provider", Fate.SAME, becomes="node.credential")
        return route[0]
    fate, why = Fate.BETTER, f"while it cannot be used, mails go by {', '.join(route[1:])}"
    senders = dict.fromkeys(str(credentials[one]["data"].get("fromAddress")) for one in route if credentials)
    if len(senders) > 1 and not config.has("from"):
        fate = Fate.WARNING
        why += ", still from the sender of the first, which they may refuse: give the step a from"
    config.note("provider", fate, why, "node.credential")
    return route


def _parameters(config: Source) -> Json:
    found: dict[str, Any] = {
        "to": _plain_addresses(config, "to", required=True),
        "cc": _plain_addresses(config, "cc"),
        "bcc": _plain_addresses(config, "bcc"),
        "from": _plain_addresses(config, "from"),
        "replyTo": _plain_addresses(config, "reply_to"),
        "subject": literal(_plain(config, "subject") or "Workflow Notification"),
    }
    found |= _body(config) | _headers(config, found)
    return {key: value for key, value in found.items() if value is not None}


def _plain_addresses(config: Source, key: str, *, required: bool = False) -> Any:
    for one in as_list(config.data.get(key)):
        if isinstance(one, str) and _EXPRESSION.search(one):
            raise _expression(config, key)
    becomes = f"node.parameters.{'replyTo' if key == 'reply_to' else key}"
    if key in ("from", "reply_to"):
        return literal(config.mailbox(key, becomes))
    return literal(config.mailboxes(key, becomes, required=required))


def _plain(config: Source, key: str, becomes: str | None = None) -> str | None:
    text = config.text(key, becomes or f"node.parameters.{key}")
    if text and _EXPRESSION.search(text):
        raise _expression(config, key)
    return text


def _expression(config: Source, key: str) -> InvalidConfiguration:
    return config.wrong(
        key,
        "holds ${…}, which would be sent as it stands: expressions are not known here.",
        "Write the value, or import the workflow and use {{ path }} over its input.",
    )


def _body(config: Source) -> dict[str, Any]:
    if not config.has("body"):
        text = _plain(config, "message", "node.parameters.body")
        if text is None:
            raise config.wrong("body", "is required.", "Give body: {text: …, html: …}.")
        return {"body": literal(text)}
    if not isinstance(config.data["body"], Mapping):
        return {"body": literal(_plain(config, "body"))}
    body = config.inner("body")
    assert body
    text, html = (
        _plain(body, "text", "node.parameters.textBody"),
        _plain(body, "html", "node.parameters.body"),
    )
    body.rest("is neither text nor html")
    if html is None and text is None:
        raise config.wrong("body", "has neither text nor html.", "Give one of them, or both.")
    if html is None:
        return {"body": literal(text)}
    if text is not None:
        config.note("body", Fate.BETTER, "both parts are sent", "node.parameters.body, textBody")
    return {"contentType": "html", "body": literal(html), "textBody": literal(text)}


def _headers(config: Source, found: Mapping[str, Any]) -> dict[str, Any]:
    headers = config.inner("headers")
    if headers is None:
        return {}
    own: dict[str, Any] = {}
    custom: dict[str, str] = {}
    for name in headers.data:
        several = [one for one in as_list(headers.value(name)) if one not in (None, "")]
        parameter = _OWN_HEADERS.get(str(name).lower())
        if not all(isinstance(one, str | int | float) for one in several):
            raise headers.wrong(name, "is not a text.", "Write the value of the header.")
        if any(_EXPRESSION.search(str(one)) for one in several):
            raise _expression(headers, name)
        if not several:
            headers.note(name, Fate.LEFT_OUT, "is empty")
        elif str(name).lower() in _OVERWRITTEN or found.get(parameter or "") or own.get(parameter or ""):
            headers.note(name, Fate.LEFT_OUT, "is given already")
        elif parameter in ("cc", "bcc"):
            own[parameter] = literal(headers.mailboxes(name, f"node.parameters.{parameter}"))
        elif parameter:
            own[parameter] = literal(headers.mailbox(name, f"node.parameters.{parameter}"))
        elif len(several) > 1:
            raise headers.wrong(name, "has several values.", "A header of one's own is there once.")
        else:
            custom[str(name)] = str(several[0])
            headers.note(name, Fate.SAME, becomes=f"node.parameters.headers.{name}")
    return own | ({"headers": literal(custom)} if custom else {})
