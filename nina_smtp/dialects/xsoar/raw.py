"""``raw_message``: a whole message, sent to those whom the arguments name.

Here a whole message goes to those whom its own header names. Who is not in it gets a Bcc, which is taken out
before the message is sent.
"""

from __future__ import annotations

import re
from typing import Any, cast

from nina_smtp.dialects.exporting import Ours, lost
from nina_smtp.dialects.imported import Fate
from nina_smtp.dialects.source import Source, literal
from nina_smtp.dialects.xsoar.context import Arguments
from nina_smtp.errors import MissingParameter, NinaError
from nina_smtp.message.mailbox import parse_list
from nina_smtp.message.raw import compose_raw

_BCC = re.compile(r"^(?:resent-)?bcc[ \t]*:", re.IGNORECASE | re.MULTILINE)
_OWN_BCC = re.compile(r"Bcc: ((?:[^\n]|\n )*)\n")


def read(arguments: Arguments) -> dict[str, Any]:
    """The parameters of ``sendRaw``. Raises InvalidConfiguration."""
    text = arguments.text("raw_message") or ""
    if "${" in text:
        raise arguments.refused("raw_message", text[text.index("${") :])
    wanted: list[str] = []
    for key in ("to", "cc", "bcc"):
        value = arguments.value(key)
        if value is None:
            continue
        texts = arguments.listed(key, value)
        if any("${" in one for one in texts):
            raise arguments.refused(key, str(value))
        is_list = not isinstance(value, str) or value.lstrip().startswith("[")
        given = Source({key: texts if is_list else value}, arguments.place, arguments.notes)
        found = given.mailboxes(key) or []
        wanted += [box.address for one in found for box in parse_list(one)]
        arguments.note(key, Fate.SAME, becomes="rawEmail")
    if not wanted:
        raise arguments.wrong("to", "is required: there is no recipient.", "Give to, cc or bcc.")
    named = _recipients(arguments, text)
    if extra := [one for one in named if one not in wanted]:
        raise arguments.wrong(
            "to",
            f"does not have {extra[0][:80]}, whom the raw message names.",
            "Here a raw message goes to everybody in its header: name them, or take them out there.",
        )
    hidden = list(dict.fromkeys(one for one in wanted if one not in named))
    if _BCC.search(_head(text)):
        arguments.note("raw_message", Fate.BETTER, "its Bcc is taken out before it is sent", "rawEmail")
    arguments.note("raw_message", Fate.SAME, becomes="rawEmail")
    whole = f"Bcc: {_folded(hidden)}\n{text}" if hidden else text
    _recipients(arguments, whole)
    sender = arguments.mailbox("sender", "envelopeFrom")
    return {"rawEmail": literal(whole)} | ({"envelopeFrom": literal(sender)} if sender else {})


def _folded(addresses: list[str]) -> str:
    return ",\n ".join(addresses)


def _head(text: str) -> str:
    return re.split(r"\r?\n\r?\n", text, maxsplit=1)[0]


def _recipients(arguments: Arguments, text: str) -> tuple[str, ...]:
    try:
        return compose_raw(text).envelope.recipients
    except MissingParameter:
        return ()
    except NinaError as error:
        raise arguments.wrong("raw_message", f"is refused: {error.message}", error.hint) from None


def write(ours: Ours) -> dict[str, Any]:
    """The arguments for parameters of ``sendRaw``."""
    text = ours.text("rawEmail") or ""
    sender = ours.text("envelopeFrom")
    ours.drop("messageId", {"literal": ""})
    ours.done()
    first = _OWN_BCC.match(text)
    hidden = [one.strip() for one in first[1].split(",")] if first else []
    rest = text[first.end() :] if first else text
    if _BCC.search(_head(rest)):
        raise lost(f"{ours.place}.rawEmail", "has a Bcc, which XSOAR would send to everybody")
    if "${" in rest:
        raise lost(f"{ours.place}.rawEmail", "has ${ in it, which XSOAR takes for an expression")
    try:
        named = list(compose_raw(rest).envelope.recipients)
    except MissingParameter:
        named = []
    except NinaError as error:
        raise lost(f"{ours.place}.rawEmail", f"is refused: {error.message}") from None
    found = {"raw_message": rest, "to": ",".join(named), "bcc": ",".join(hidden), "sender": sender}
    return cast(dict[str, Any], {key: value for key, value in found.items() if value})
