"""The JSON of custom headers, sorted into our parameters and what is left of it.

Who gets the mail is what ``to``, ``cc`` and ``bcc`` say, and nothing else; a header of that name would only
tell another story. A header that has a parameter of ours becomes that parameter, so that none is there twice.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from json import JSONDecodeError, loads
from typing import Any, NoReturn, cast

from nina_smtp.dialects.imported import Fate
from nina_smtp.dialects.source import Source, literal
from nina_smtp.errors import InvalidConfiguration, NinaError
from nina_smtp.message.header import RESERVED, RESERVED_PREFIXES, check_text
from nina_smtp.message.identifier import parse_msg_id

_NAME = re.compile(r"[!-9;-~]{1,76}")
_RECIPIENTS = frozenset({"to", "cc", "bcc"})
_IMPORTANCE = {"high": "high", "normal": "normal", "low": "low"} | {
    "1": "high", "2": "high", "3": "normal", "4": "low", "5": "low"
}  # fmt: skip
_IMPORTANCES = ("importance", "x-priority", "x-msmail-priority")
_OURS = frozenset({"subject", "from", "reply-to", "message-id", "in-reply-to", "references", *_IMPORTANCES})


def parse_object(source: Source, key: str, *, unreadable: str, no_object: str) -> Source | None:
    """The JSON object at ``key``, which is one already or a text of it.

    Raises InvalidConfiguration in the connector's words; ``{}`` in them stands for what is wrong.
    """
    value = parse_json(source, key, unreadable)
    if value is None:
        return None
    if not isinstance(value, Mapping):
        raise _wrong(source, key, no_object.format("it is not an object"))
    return Source(cast(Mapping[str, Any], value), source.at(key), source.notes)


def parse_json(source: Source, key: str, unreadable: str) -> Any:
    """The value at ``key``, read as JSON if it is a text. Raises InvalidConfiguration."""
    value = source.value(key)
    if not isinstance(value, str):
        return value
    text = source.text(key) or ""
    try:
        return loads(text, parse_constant=_refuse)
    except JSONDecodeError as error:
        why = f"line {error.lineno}, column {error.colno}: {error.msg}"
    except (ValueError, RecursionError):
        why = "it holds a number that is none, or is nested too deeply"
    raise _wrong(source, key, unreadable.format(why))


def sorted_headers(source: Source, found: Source, *, has_from: bool) -> dict[str, Any]:
    """The parameters that ``found``, the headers, come to. Raises InvalidConfiguration."""
    values = _values(found)
    merged: dict[str, Any] = {}
    custom: dict[str, str] = {}
    for name, text in values.items():
        low = name.lower()
        if low in _RECIPIENTS:
            found.note(name, Fate.LEFT_OUT, f"does not change who gets the mail: that is the parameter {low}")
        elif low in _OURS:
            merged |= _parameter(source, found, name, text, has_from=has_from)
        elif low in RESERVED or low.startswith(RESERVED_PREFIXES):
            found.note(name, Fate.LEFT_OUT, "is written by us, or by the servers on the way")
        else:
            found.note(name, Fate.SAME, becomes=f"parameters.headers.{name}")
            custom[name] = text
    if custom:  # a header may be called "literal", which says something else of a parameter
        merged["headers"] = {"literal": custom} if "literal" in custom else literal(custom)
    return merged


def _values(found: Source) -> dict[str, str]:
    """Every header as text. A name may not be there twice, whatever its case."""
    values: dict[str, str] = {}
    seen: set[str] = set()
    for name in found.data:
        if not _NAME.fullmatch(name):
            raise InvalidConfiguration(
                f"{name[:80]!a} is not a header name.",
                hint="1 to 76 printable ASCII characters, no space and no colon.",
                parameter=found.place,
            )
        if name.lower() in seen:
            raise found.wrong(name, "is there twice.", "Keep one of them.")
        seen.add(name.lower())
        values[name] = _text(found, name)
    return values


def _text(found: Source, name: str) -> str:
    value = found.data[name]
    if isinstance(value, bool):
        return "true" if value else "false"
    if not isinstance(value, str | int | float):
        raise found.wrong(name, "is not a text.", "Give every header a text.")
    try:
        return check_text(str(value))
    except NinaError as error:
        raise found.wrong(name, f"is refused: {error.message}", error.hint) from None


def _parameter(source: Source, found: Source, name: str, text: str, *, has_from: bool) -> dict[str, Any]:
    """A header as the parameter that writes it."""
    low = name.lower()
    if not text.strip():
        found.note(name, Fate.LEFT_OUT, "is empty")
        return {}
    if low == "subject":
        if source.has("subject"):
            source.note("subject", Fate.LEFT_OUT, "gives way to the header Subject, as in the connector")
        found.note(name, Fate.SAME, becomes="parameters.subject")
        return {"subject": literal(text)}
    if low == "from":
        if has_from:
            found.note(name, Fate.LEFT_OUT, "gives way to the parameter from")
            return {}
        return {"from": literal(found.mailbox(name, "parameters.from"))}
    if low == "reply-to":
        return {"replyTo": literal(found.mailboxes(name, "parameters.replyTo"))}
    if low in _IMPORTANCES:
        return _importance(found, name, text)
    return _identifiers(found, name, text)


def _importance(found: Source, name: str, text: str) -> dict[str, Any]:
    said = {one.lower() for one in found.data}
    if any(other in said for other in _IMPORTANCES[: _IMPORTANCES.index(name.lower())]):
        found.note(name, Fate.LEFT_OUT, "gives way to the other header for the same")
        return {}
    importance = _IMPORTANCE.get(text.lower().split()[0])
    if importance is None:
        found.note(name, Fate.LEFT_OUT, "is neither high, normal nor low, nor a number from 1 to 5")
        return {}
    message = "Importance, X-Priority and X-MSMail-Priority are written, so that every mail reader knows one"
    found.note(name, Fate.BETTER, message, "parameters.importance")
    return {"importance": importance}


def _identifiers(found: Source, name: str, text: str) -> dict[str, Any]:
    try:
        ids = [parse_msg_id(one) for one in text.split()]
    except NinaError as error:
        raise found.wrong(name, f"is refused: {error.message}", error.hint) from None
    key = {"message-id": "messageId", "in-reply-to": "inReplyTo", "references": "references"}[name.lower()]
    found.note(name, Fate.SAME, becomes=f"parameters.{key}")
    if key == "references":
        return {key: literal(ids)}
    if len(ids) > 1:
        raise found.wrong(name, "has more than one message id.", "Give one; a thread has its References.")
    return {key: literal(ids[0])}


def _refuse(constant: str) -> NoReturn:
    raise ValueError(constant)


def _wrong(source: Source, key: str, message: str) -> InvalidConfiguration:
    return InvalidConfiguration(
        message, hint=f"Write {key} as JSON, in double quotes.", parameter=source.at(key)
    )
