"""The arguments of ``core.send_email_smtp`` as parameters of ours, and back."""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping
from html.parser import HTMLParser
from typing import Any, cast

from nina_smtp.dialects.exporting import Ours, lost
from nina_smtp.dialects.imported import Fate, Json
from nina_smtp.dialects.inserts import (
    Insert,
    Piece,
    is_one_mailbox,
    joined,
    listed,
    mailboxes,
    parameter,
    refuse_empty,
    said_pieces,
)
from nina_smtp.dialects.logins import headers, written_headers
from nina_smtp.dialects.source import Source, as_list, literal, written
from nina_smtp.dialects.tracecat.expressions import Scope, pieces, said
from nina_smtp.errors import InvalidConfiguration, NinaError
from nina_smtp.message.mailbox import parse_mailbox
from nina_smtp.parameters.paths import Step

HTML, TEXT = "text/html", "text/plain"

_MAILBOXES = {"recipients": "to", "cc": "cc", "bcc": "bcc", "reply_to": "replyTo"}
_HEADERS = {"importance": "Importance", "inReplyTo": "In-Reply-To", "references": "References"}
_TAG = re.compile(r"<[^<>]*>")
_IN_A_LINK = r'(="https?://[^"<>]*|="mailto:[^"<>]*)'


def read(source: Source, scope: Scope) -> dict[str, Any]:
    """The parameters. Raises InvalidConfiguration, naming the argument that cannot be here."""
    found: dict[str, Any] = {}
    for key, ours in _MAILBOXES.items():
        if (value := source.value(key)) is None:
            continue
        texts: list[list[Piece]] = []
        for one in as_list(value):
            if not isinstance(one, str):
                raise source.wrong(key, "is not a text with a mailbox.", "For example soc@corp.example.")
            texts.append(pieces(source, key, scope, one))
        if made := mailboxes(source, key, texts, is_list=isinstance(value, list)):
            found[ours] = made
            source.note(key, Fate.SAME, becomes=ours)
    if "to" not in found:
        raise source.missing("recipients")
    found["from"] = _sender(source, scope)
    for key in ("subject", "body"):
        if key not in source.data:
            raise source.missing(key)
    found["subject"] = parameter(_text(source, "subject", scope))
    source.note("subject", Fate.SAME, becomes="subject")
    return found | _body(source, scope) | _headers(source, scope)


def _text(source: Source, key: str, scope: Scope) -> list[Piece]:
    return pieces(source, key, scope, source.text(key) or "")


def _sender(source: Source, scope: Scope) -> Any:
    text = source.text("sender", "from", required=True) or ""
    prefix = source.text("sender_prefix")
    made = mailboxes(source, "sender", [pieces(source, "sender", scope, text)])
    if len(as_list(made)) != 1:
        raise source.wrong("sender", "is not one mailbox.", "Give exactly one.")
    address = as_list(made)[0]
    if prefix is None:
        return address
    source.note("sender_prefix", Fate.SAME, becomes="from")
    escaped = prefix.replace("\\", "\\\\").replace('"', '\\"')
    if "${{" in prefix or not isinstance(address, str) or "{{" in address:
        raise source.wrong(
            "sender_prefix", "cannot be put before an expression.", "Write name and address out."
        )
    try:
        return literal(written(parse_mailbox(f'"{escaped}" <{parse_mailbox(address).address}>')))
    except NinaError as error:
        raise source.wrong("sender_prefix", f"is refused: {error.message}", error.hint) from None


def _body(source: Source, scope: Scope) -> dict[str, Any]:
    body = _text(source, "body", scope)
    kind = source.choice("content_type", {TEXT: TEXT, HTML: HTML}) or TEXT
    allowed = source.value("allowed_attributes")
    if kind == TEXT:
        if source.has("content_type"):
            source.note("content_type", Fate.SAME, becomes="contentType")
        if allowed is not None:
            source.note("allowed_attributes", Fate.LEFT_OUT, "is for HTML; this is text")
        source.note("body", Fate.SAME, becomes="body")
        return {"body": parameter(body)}
    source.note("content_type", Fate.BETTER, "the plain text beside it is made of the HTML", "contentType")
    cleaned = _sanitised(source, body, _attributes(source) if allowed is not None else None)
    if any(isinstance(piece, Insert) for piece in body):
        whole = len(joined(body)) == 1
        why = "is sanitised as there; values are inserted as text, so nothing in them becomes HTML"
        if whole:
            why = "is one value, and is inserted as text: HTML in it is shown, not used"
        source.note("body", Fate.WARNING if whole else Fate.BETTER, why, "body")
    else:
        source.note("body", Fate.SAME, "is sanitised as there", "body")
    return {"contentType": "html", "body": parameter(cleaned)}


def _attributes(source: Source) -> dict[str, set[str]]:
    given = source.data["allowed_attributes"]
    allowed: dict[str, set[str]] = {}
    for tag, names in cast(Mapping[str, Any], given).items() if isinstance(given, Mapping) else ():
        listed_names = as_list(names)
        if not isinstance(names, list) or not all(isinstance(one, str) for one in listed_names):
            inner = Source({}, source.at("allowed_attributes"))
            raise inner.wrong(str(tag)[:40], "is not a list of texts.", '{"*": ["style"]}')
        allowed[tag] = set(listed_names)
    if not isinstance(given, Mapping) or any("rel" in names for names in allowed.values()):
        raise source.wrong(
            "allowed_attributes", "cannot be that.", 'For example {"*": ["style"]}; rel is set.'
        )
    source.note("allowed_attributes", Fate.SAME, "the body is sanitised with them now", "body")
    return allowed


def usual_attributes() -> dict[str, set[str]]:
    """The attributes that are allowed anyway. Raises InvalidConfiguration without the library."""
    try:
        import nh3
    except ImportError:
        raise InvalidConfiguration(
            "The library that sanitises HTML is not installed.",
            hint='pip install "nina-smtp[dialects]"',
            parameter="body",
        ) from None
    return {tag: set(names) for tag, names in nh3.ALLOWED_ATTRIBUTES.items()}


def _sanitised(source: Source, body: list[Piece], allowed: dict[str, set[str]] | None) -> list[Piece]:
    """The body as Tracecat cleans it. A value in a tag is refused: it would be cleaned there only later."""
    usual = usual_attributes()
    import nh3

    parts = joined(body)
    inserts = [piece for piece in parts if isinstance(piece, Insert)]
    word = f"nina{secrets.token_hex(8)}x"  # what nobody can have written, in entities either
    numbers = iter(range(len(inserts)))
    marked = "".join(p if isinstance(p, str) else f"{word}{next(numbers)}x" for p in parts)
    attributes = usual | (allowed or {})
    try:
        cleaned = nh3.clean(marked, attributes=attributes) if allowed else nh3.clean(marked)
    except (ValueError, UnicodeError, TypeError) as error:
        raise source.wrong("body", f"cannot be sanitised ({type(error).__name__}).") from None
    link = re.compile(rf"{_IN_A_LINK}{word}\d+x")
    if any(word in tag and word in link.sub("", tag) for tag in _TAG.findall(cleaned)):
        raise source.wrong(
            "body", "has a value inserted into a tag.", "Insert it into text, or behind https://… ."
        )
    split = re.split(rf"{word}(\d+)x", cleaned)
    if sorted(map(int, split[1::2])) != list(range(len(inserts))):
        raise source.wrong(
            "body", "has a value inserted where Tracecat cleans it away.", "Insert it into text."
        )
    return joined(inserts[int(part)] if number % 2 else part for number, part in enumerate(split))


def _headers(source: Source, scope: Scope) -> dict[str, Any]:
    inner = source.inner("headers")
    if inner is None:
        return {}
    source.note("headers", Fate.SAME, becomes="headers")
    pairs = {str(key): parameter(_text(inner, str(key), scope)) for key in inner.data if inner.has(str(key))}
    return headers(source, "headers", pairs.items())


def write(parameters: Json, place: str, before: tuple[Step, ...]) -> dict[str, Any]:
    """The arguments. Raises InvalidConfiguration for what they cannot say."""
    refuse_empty(place, parameters)
    ours = Ours(parameters, place)
    found: dict[str, Any] = {}
    for theirs, key in {"sender": "from", **_MAILBOXES}.items():
        if (value := ours.take(key)) is None:
            continue
        texts = [said(f"{place}.{key}", parts, before) for parts in listed(f"{place}.{key}", value)]
        if key == "from":
            found |= _said_sender(texts[0])
        else:
            whole = isinstance(value, str) and "{{" in value and not is_one_mailbox(value)
            found[theirs] = texts[0] if whole else texts

    def text(key: str, value: object) -> str:
        return said(f"{place}.{key}", said_pieces(f"{place}.{key}", value), before)

    if "sender" not in found or "recipients" not in found:
        raise lost(f"{place}.{'from' if 'sender' not in found else 'to'}", "is required there")
    found["subject"] = text("subject", ours.take("subject"))
    kind, body = ours.take("contentType", "text"), text("body", ours.take("body"))
    found |= {"body": body, "content_type": HTML if kind == "html" else TEXT}
    if kind == "html":
        found |= _unsanitised(f"{place}.body", body)
    if given := written_headers(ours, _HEADERS):
        found["headers"] = {key: text(f"headers.{key}", value) for key, value in given.items()}
    ours.done()
    return found


def _said_sender(text: str) -> dict[str, str]:
    """Name and address apart: a sender there is an address alone."""
    if "${{" in text:
        return {"sender": text}
    box = parse_mailbox(text)
    return {"sender": box.address} | ({"sender_prefix": box.display_name} if box.display_name else {})


class _Attributes(HTMLParser):
    """Collects the attributes of every tag."""

    def __init__(self) -> None:
        super().__init__()
        self.found: dict[str, set[str]] = {}

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.setdefault(tag, set()).update(name for name, _ in attrs if name != "rel")


def _unsanitised(place: str, body: str) -> dict[str, Any]:
    """What has to be allowed so that nothing of the body is cleaned away. Raises InvalidConfiguration."""
    probe = Source({"body": body})
    marked = pieces(probe, "body", Scope(), body)
    if _sanitised(probe, marked, None) == marked:
        return {}
    seen = _Attributes()
    seen.feed(body)
    usual = usual_attributes()
    needed = {
        tag: names | usual.get(tag, set())
        for tag, names in seen.found.items()
        if names - usual.get(tag, set())
    }
    if needed and _sanitised(probe, marked, needed) == marked:
        return {"allowed_attributes": {tag: sorted(names) for tag, names in needed.items()}}
    raise lost(place, "has HTML in it that Tracecat cleans away")
