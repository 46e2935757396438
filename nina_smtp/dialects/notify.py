"""The steps that notify by mail, of the ``email.smtp`` provider's workflows.

Its documentation writes ``task: notify, type: email, config: {…}``, its code ``thand: notify, with: {…}``.
Both are read. A workflow with any other step is left out as a whole: what is left away may be the approval
that the mail has to wait for.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from nina_smtp.dialects.exporting import Ours, lost
from nina_smtp.dialects.imported import Fate, Json
from nina_smtp.dialects.source import Source, as_list, literal
from nina_smtp.errors import InvalidConfiguration

EMAIL = "email"
OPTIONS = {"mode": "once", "autoExtract": "off"}
"""A step sends one mail, and only what it says itself is in it."""

_EXPRESSION = re.compile(r"\$\{")
_OWN_HEADERS = {"reply-to": "replyTo", "cc": "cc", "bcc": "bcc", "sender": "envelopeFrom"}


def read_workflow(
    workflow: Source, name: str, credentials: Collection[str], named: Collection[str]
) -> Json | None:
    """The workflow of ours, or None if it has steps that are not mails.

    ``credentials`` are the e-mail providers of the file, ``named`` all of its providers.
    """
    name = workflow.text("name", "workflow.name") or name
    steps = workflow.objects("steps")
    foreign = [step for step in steps if not _is_mail(step)]
    if foreign or not steps:
        kind = str(foreign[0].data.get("task") or foreign[0].data.get("type"))[:40] if foreign else "nothing"
        why = f"is a workflow with a step that is not a mail ({kind})" if foreign else "has no steps"
        workflow.note("steps", Fate.LEFT_OUT, f"{name} {why}; it is left out as a whole")
        return None
    nodes: list[Json] = [{"id": "start", "type": "manual_trigger", "name": "Start", "config": {}}]
    edges: list[Json] = []
    for number, step in enumerate(steps, 1):
        title = step.text("name", "node.name") or f"Mail {number}"
        nodes.append(_node(step, f"mail-{number}", title, credentials, named))
        edges.append({"from": nodes[-2]["id"], "to": nodes[-1]["id"]})
    workflow.rest("has no meaning for a mail")
    return {"name": name[:200], "nodes": nodes, "edges": edges}


def _is_mail(step: Source) -> bool:
    data = step.data
    if data.get("thand") == "notify":
        return isinstance(data.get("with"), Mapping)
    return data.get("task") == "notify" and data.get("type", EMAIL) in (EMAIL, "email.smtp")


def _node(
    step: Source, node_id: str, title: str, credentials: Collection[str], named: Collection[str]
) -> Json:
    key = "with" if step.data.get("thand") == "notify" else "config"
    config = step.inner(key) or Source({}, step.at(key), step.notes)
    node: Json = {
        "id": node_id,
        "type": "smtp",
        "name": title[:100],
        "credential": _route(config, credentials, named),
        "config": {"parameters": _parameters(config), "options": OPTIONS},
    }
    config.rest("is not an option of a mail")
    step.rest("has no meaning for a mail", known=("task", "type", "thand", "config", "with", "id"))
    return node


def _route(config: Source, credentials: Collection[str], named: Collection[str]) -> Any:
    """The provider that is named, then the others of the file."""
    listed = config.value("provider")
    names = as_list(listed or EMAIL)
    for name in names:
        if not isinstance(name, str) or (name in named and name not in credentials):
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
    others = ", ".join(route[1:])
    why = f"while it cannot be used, mails go by {others}"
    config.note("provider", Fate.BETTER, why, "node.credential")
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
    for one in (
        config.data.get(key) or () if isinstance(config.data.get(key), list) else (config.data.get(key),)
    ):
        if isinstance(one, str) and _EXPRESSION.search(one):
            raise _expression(config, key)
    becomes = f"node.parameters.{'replyTo' if key == 'reply_to' else key}"
    if key in ("from", "reply_to"):
        return config.mailbox(key, becomes)
    return config.mailboxes(key, becomes, required=required)


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
        values = headers.value(name)
        several = [str(one) for one in as_list(values)]
        parameter = _OWN_HEADERS.get(str(name).lower())
        if parameter is None:
            if len(several) > 1:
                raise headers.wrong(name, "has several values.", "A header of one's own is there once.")
            custom[str(name)] = several[0]
            headers.note(name, Fate.SAME, becomes=f"node.parameters.headers.{name}")
        elif found.get(parameter) or own.get(parameter):
            headers.note(name, Fate.LEFT_OUT, f"{parameter} is given already")
        elif parameter in ("cc", "bcc"):
            own[parameter] = headers.mailboxes(name, f"node.parameters.{parameter}")
        else:
            own[parameter] = headers.mailbox(name, f"node.parameters.{parameter}")
    return own | ({"headers": literal(custom)} if custom else {})


def write_workflow(workflow: Json, providers: Sequence[str]) -> Json:
    """The workflow as it is written there. Raises InvalidConfiguration for what would be lost."""
    by_id = {str(node["id"]): node for node in workflow.get("nodes", ())}
    following = {str(edge["from"]): str(edge["to"]) for edge in workflow.get("edges", ())}
    start = [one for one, node in by_id.items() if node.get("type") == "manual_trigger"]
    order = start[:1]
    while order and (after := following.get(order[-1])) and after not in order:
        order.append(after)
    name = str(workflow.get("name", "workflow"))
    if len(order) != len(by_id) or len(workflow.get("edges", ())) != len(order) - 1:
        raise lost(f"The workflow {name}", "is not one trigger and one mail after the other")
    return {"name": name, "steps": [_step(by_id[one], providers) for one in order[1:]]}


def _step(node: Json, providers: Sequence[str]) -> Json:
    place = f"The node {node.get('name')}"
    if node.get("type") != "smtp":
        raise lost(place, f"is of the type {node.get('type')}")
    config = Ours(node.get("config", {}), f"{place}: config")
    config.drop("resource", "email")
    config.drop("operation", "send")
    if config.take("options", {}) != OPTIONS:
        raise lost(f"{place}: config.options", f"are not {OPTIONS}")
    given = Ours(config.take("parameters", {}), f"{place}: config.parameters")
    config.done()
    step: dict[str, Any] = {"provider": _written_route(node.get("credential"), providers)}
    step |= {"subject": given.text("subject"), "to": given.mailboxes("to")}
    step |= {"cc": given.mailboxes("cc"), "bcc": given.mailboxes("bcc")}
    step |= {"from": given.text("from"), "reply_to": given.text("replyTo")}
    body, text = given.text("body"), given.text("textBody")
    html = given.take("contentType", "text") == "html"
    if text is not None and not html:
        raise lost(f"{given.place}.textBody", "is there beside a text")
    step["body"] = {"text": text, "html": body} if html else {"text": body}
    step["body"] = {key: value for key, value in step["body"].items() if value is not None}
    headers = _written_headers(given)
    if (sender := given.text("envelopeFrom")) is not None:
        headers["Sender"] = sender
    given.done()
    step["headers"] = headers or None
    written = {key: value for key, value in step.items() if value is not None}
    if any("${" in str(value) for value in written.values()):
        raise lost(given.place, "hold ${…}, which is an expression there")
    return {"name": node.get("name"), "task": "notify", "type": EMAIL, "config": written}


def _written_headers(given: Ours) -> dict[str, Any]:
    headers = given.take("headers", {})
    if set(headers) == {"literal"}:
        return dict(headers["literal"])
    if any("{{" in str(value) or "{%" in str(value) for value in headers.values()):
        raise lost(f"{given.place}.headers", "have a template in them")
    return dict(headers)


def _written_route(credential: Any, providers: Sequence[str]) -> Any:
    route = as_list(credential)
    if not all(isinstance(one, str) for one in route):
        raise lost("A credential inside a node", "has no name")
    same = dict.fromkeys([route[0], *providers]) == dict.fromkeys(route)
    return route[0] if same else route
