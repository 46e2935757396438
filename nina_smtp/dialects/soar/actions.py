"""The connector's actions, as nodes of ours.

What a parameter says is text: what looks like a template in it stays as it is. The node sends one mail, and
nothing from anywhere else gets into it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from nina_smtp.dialects.imported import Fate, Json
from nina_smtp.dialects.soar import files, rawmail
from nina_smtp.dialects.soar.headers import parse_object, sorted_headers
from nina_smtp.dialects.soar.sanitise import sanitised
from nina_smtp.dialects.soar.vault import Vault
from nina_smtp.dialects.source import Source, as_list, literal
from nina_smtp.errors import InvalidConfiguration
from nina_smtp.forms import nearest
from nina_smtp.message.mailbox import MAX_TEXT

CONNECTIVITY, EMAIL, RAW, HTML = "test connectivity", "send email", "send rawemail", "send htmlemail"
ACTIONS = (CONNECTIVITY, EMAIL, RAW, HTML)
OPTIONS = {"mode": "once", "sources": "node"}
NO_SUBJECT = "(no subject)"

_IS_HTML = re.compile(r"\ufeff?\s*<(?:!doctype\s+html|html)[\s>/]", re.IGNORECASE)
_MAILTO = re.compile(r"<\s*mailto:(?P<address>[^<>|]*)(?:\|[^<>]*)?>", re.IGNORECASE)
"""No repetition in it can take what comes after it: every character is looked at once."""
_NO_ADDRESS = re.compile(r"[\s,;<>\"]")
_ADDRESSES = ("from", "to", "cc", "bcc")


@dataclass(frozen=True, slots=True)
class Action:
    """One action: its name, the node that does it, and the vault ids that nothing is known of."""

    name: str
    node: Json = field(repr=False)
    unknown: tuple[str, ...] = ()


def action_name(text: object) -> str:
    """The action that ``text`` means, as the connector calls it. Raises InvalidConfiguration."""
    name = " ".join(text.replace("_", " ").lower().split()) if isinstance(text, str) else ""
    if name in ACTIONS:
        return name
    meant = nearest(name, ACTIONS) if 0 < len(name) < 100 else None
    raise InvalidConfiguration(
        f"There is no action {str(text)[:40]!a}.",
        hint=f"Did you mean {meant}?" if meant else f"There are: {', '.join(ACTIONS)}.",
        parameter="action",
    )


def read_action(name: str, parameters: Source, vault: Vault | None) -> Action:
    """The action called ``name``, any but test connectivity. Raises InvalidConfiguration.

    Without a vault attachments are left out, with a note.
    """
    source = Source(_tidied(parameters), parameters.place, parameters.notes)
    action = _MAKERS[name](source, vault)
    if "context" in source.data:
        source.note("context", Fate.LEFT_OUT, "is for the playbook")
    source.rest("is no parameter of this action")
    return action


def is_html(body: str) -> bool:
    """Whether the connector sends ``body`` as HTML: it begins like a document."""
    return bool(_IS_HTML.match(body))


def _email(source: Source, vault: Vault | None) -> Action:
    words = "Unable to parse headers as a dictionary: {}"
    parameters = _envelope(source)
    headers = _headers(source, parameters, unreadable=words, no_object=words)
    body = source.text("body", "parameters.body", required=True)
    assert body is not None
    content: dict[str, Any] = {"contentType": "html"} if is_html(body) else {}
    content["body"] = literal(body)
    attachments, unknown = files.by_comma(source, vault)
    return Action(EMAIL, _node("send", parameters | headers | content | _attached(attachments)), unknown)


def _html_email(source: Source, vault: Vault | None) -> Action:
    words = "Error: custom email headers field is not "
    parameters = _envelope(source)
    headers = _headers(source, parameters, unreadable=f"{words}valid json", no_object=f"{words}a dictionary")
    content = {"contentType": "html", "body": literal(_html_body(source))}
    if text := source.text("text_body", "parameters.textBody"):
        content["textBody"] = literal(text)
    attachments = files.numbered(source, vault)
    return Action(HTML, _node("send", parameters | headers | content | _attached(attachments)))


def _raw_email(source: Source, vault: Vault | None) -> Action:
    return Action(RAW, _node("sendRaw", {"rawEmail": literal(rawmail.mended(source, "raw_email"))}))


_MAKERS = {EMAIL: _email, HTML: _html_email, RAW: _raw_email}


def _html_body(source: Source) -> str:
    html = source.text("html_body", "parameters.body", required=True)
    assert html is not None
    wanted = source.flag("should_sanitize_template")
    if not wanted:
        if wanted is False:
            source.note("should_sanitize_template", Fate.SAME, "the HTML is sent as it is written")
        return html
    clean = sanitised(html)
    if not clean.strip():
        raise source.wrong("html_body", "has nothing left once it is sanitised.", "Write some HTML.")
    message = "the HTML is sanitised, and stays so; the connector unescapes it again afterwards"
    source.note("should_sanitize_template", Fate.BETTER, message, "parameters.body")
    return clean


def _envelope(source: Source) -> dict[str, Any]:
    """Who sends it, and who gets it."""
    to = source.mailboxes("to", "parameters.to")
    if not to:
        raise InvalidConfiguration(
            "Error: failed to get email recipients",
            hint="Give to at least one address.",
            parameter=source.at("to"),
        )
    found = {
        "from": source.mailbox("from", "parameters.from"),
        "to": to,
        "cc": source.mailboxes("cc", "parameters.cc"),
        "bcc": source.mailboxes("bcc", "parameters.bcc"),
    }
    return {key: literal(value) for key, value in found.items() if value}


def _headers(source: Source, parameters: Mapping[str, Any], **words: str) -> dict[str, Any]:
    """What the custom headers come to, and the subject."""
    found = parse_object(source, "headers", **words)
    headers = sorted_headers(source, found, has_from="from" in parameters) if found else {}
    if "subject" not in headers:
        subject = source.text("subject", "parameters.subject")
        if subject is None:
            message = f"a mail without a subject is taken for spam: it says {NO_SUBJECT}"
            source.note("subject", Fate.BETTER, message, "parameters.subject")
        headers["subject"] = literal(subject or NO_SUBJECT)
    return headers


def _attached(attachments: list[dict[str, Any]]) -> dict[str, Any]:
    return {"attachments": files.parameter(attachments)} if attachments else {}


def _node(operation: str, parameters: Mapping[str, Any]) -> Json:
    return {
        "resource": "email",
        "operation": operation,
        "parameters": dict(parameters),
        "options": dict(OPTIONS),
    }


def _tidied(source: Source) -> dict[str, Any]:
    """The parameters with addresses as they come out of chats and editors put right, lists of nothing empty.

    ``Name<mailto:a@b.test>`` is ``Name <a@b.test>``; ``a@b.test<mailto:a@b.test>`` is ``a@b.test``.
    """
    tidied = dict(source.data)
    for key in _ADDRESSES:
        value: Any = source.data.get(key)
        texts = [_address(source, key, one) if isinstance(one, str) else one for one in as_list(value)]
        if key in source.data:
            tidied[key] = texts if isinstance(value, list | tuple) else texts[0]
    return tidied


def _address(source: Source, key: str, text: str) -> str:
    if len(text) > MAX_TEXT:
        raise source.wrong(
            key, f"has {len(text):,} characters; a list of mailboxes has at most {MAX_TEXT:,}."
        )
    if not text.strip(" \t\r\n,"):
        return ""
    return _without_mailto(text) if "mailto:" in text.lower() else text


def _without_mailto(text: str) -> str:
    written, position = "", 0
    for found in _MAILTO.finditer(text):
        before, address = text[position : found.start()].rstrip(), found["address"].strip()
        last = _NO_ADDRESS.split(before)[-1]
        name = last if "@" in last else ""
        before = before.removesuffix(name)
        same = name.lower() == address.lower()
        written += f"{before}{address}" if same else f"{before}{name} <{address}>"
        position = found.end()
    return written + text[position:]
