"""A whole message as text, sent as it is.

Only what has to change does: line ends become CRLF, Bcc goes from the header into the envelope, and a missing
Date or Message-ID is added, because a mail without them is taken for spam.
"""

from __future__ import annotations

import re
import time

from nina_smtp.envelope import Envelope
from nina_smtp.errors import InvalidAddress, MissingParameter, ParameterError
from nina_smtp.message.body import canonical
from nina_smtp.message.header import HARD_LIMIT
from nina_smtp.message.identifier import parse_msg_id, random_msg_id
from nina_smtp.message.mailbox import MAX_MAILBOXES, Mailbox, parse_list
from nina_smtp.message.mime import Message, format_date
from nina_smtp.message.parts import at

_FIELD = re.compile(rb"([!-9;-~]+)[ \t]*:([^\r\n]*(?:\r\n[ \t]+[^\r\n \t][^\r\n]*)*)\r\n")  # no blank line
_FOLD = re.compile(r"\r\n(?=[ \t])")
_HIDDEN = frozenset({b"bcc", b"resent-bcc"})
_ADDED = frozenset({b"message-id", b"date"})


def compose_raw(
    text: str, *, envelope_from: str | None = None, message_id: str | None = None, date: float | None = None
) -> Message:
    """A message of ``text``, a whole RFC 5322 message. Raises ParameterError naming ``rawEmail``.

    Recipients are those of To, Cc and Bcc; the sender is the mailbox of From unless ``envelope_from`` says
    otherwise (``""`` is the null reverse path). ``message_id`` is used only if the text has none.
    """
    data = _checked(text)
    fields, body = _split(data)
    if message_id is not None:
        message_id = at("messageId", parse_msg_id, message_id)
    sender = _sender(fields)
    mailboxes = [
        box
        for name in (b"to", b"cc", b"bcc")
        for value in _values(fields, name)
        for box in _parse(name, value)
    ]
    recipients = tuple(dict.fromkeys(box.address for box in mailboxes))
    if not recipients:
        raise MissingParameter(
            "The raw message names no recipient.", hint="Give it a To, Cc or Bcc.", parameter="rawEmail"
        )
    if len(recipients) > MAX_MAILBOXES:
        raise InvalidAddress(
            f"At most {MAX_MAILBOXES} recipients, not {len(recipients)}.", parameter="rawEmail"
        )
    warnings: list[str] = []
    kept = [whole for name, value, whole in fields if name not in _HIDDEN and (value or name not in _ADDED)]
    ids = _values(fields, b"message-id")
    if not ids:
        ids = [message_id or random_msg_id(sender.domain)]
        kept.insert(0, f"Message-ID: {ids[0]}\r\n".encode())
        warnings.append("The raw message had no Message-ID; one was added.")
    if not _values(fields, b"date"):
        kept.insert(0, f"Date: {format_date(time.time() if date is None else date)}\r\n".encode())
        warnings.append("The raw message had no Date; one was added.")
    head = b"".join(kept)
    whole = head + b"\r\n" + body
    reverse_path = sender.address if envelope_from is None else envelope_from and _one(envelope_from).address
    return Message(
        envelope=Envelope(reverse_path, recipients),
        message_id=ids[0].strip(),
        pieces=(whole,),
        size=len(whole),
        needs_smtputf8=not head.isascii() or not all(map(str.isascii, (reverse_path, *recipients))),
        needs_8bitmime=not whole.isascii(),
        warnings=tuple(warnings),
    )


_Field = tuple[bytes, str, bytes]


def _checked(text: str) -> bytes:
    try:
        data = canonical(text)
    except ParameterError as error:
        error.parameter = "rawEmail"
        raise
    if (position := data.find(b"\0")) >= 0:
        raise ParameterError(
            f"The raw message holds NUL at octet {position}.", parameter="rawEmail", hint="Encode it."
        )
    for number, line in enumerate(data.split(b"\r\n"), 1):
        if len(line) > HARD_LIMIT:
            raise ParameterError(
                f"Line {number} of the raw message has {len(line)} octets; {HARD_LIMIT} are allowed.",
                hint="Encode that part as quoted-printable or base64.",
                parameter="rawEmail",
            )
    return data if data.endswith(b"\r\n") else data + b"\r\n"


def _split(data: bytes) -> tuple[list[_Field], bytes]:
    """The header fields (lower-case name, unfolded value, the octets as they are) and the body."""
    fields: list[_Field] = []
    position = 0
    while not data.startswith(b"\r\n", position):
        field = _FIELD.match(data, position)
        if not field:
            if position == len(data):
                return fields, b""
            number = data.count(b"\r\n", 0, position) + 1
            line = data[position : data.find(b"\r\n", position)]
            raise ParameterError(
                f"Line {number} of the raw message is not a header field: {line[:60]!r}.",
                hint="Header fields are Name: value; an empty line ends them.",
                parameter="rawEmail",
            )
        fields.append((field[1].lower(), _unfolded(field[2]), field[0]))
        position = field.end()
    return fields, data[position + 2 :]


def _unfolded(value: bytes) -> str:
    return _FOLD.sub("", value.decode()).strip()


def _values(fields: list[_Field], name: bytes) -> list[str]:
    return [value for found, value, _ in fields if found == name and value]


def _sender(fields: list[_Field]) -> Mailbox:
    found = [box for value in _values(fields, b"from") for box in _parse(b"from", value)]
    if len(found) != 1:
        raise ParameterError(
            f"The raw message has {len(found) or 'no'} From mailbox{'es' if len(found) > 1 else ''}.",
            hint="Give it one From header with one address.",
            parameter="rawEmail",
        )
    return found[0]


def _parse(name: bytes, value: str) -> tuple[Mailbox, ...]:
    try:
        return parse_list(value.replace("\t", " "))
    except InvalidAddress as error:
        message = f"{name.decode().capitalize()} of the raw message: {error.message}"
        raise InvalidAddress(message, hint=error.hint, parameter="rawEmail") from None


def _one(text: str) -> Mailbox:
    boxes = at("envelopeFrom", parse_list, text)
    if len(boxes) != 1:
        raise InvalidAddress("The envelope sender is one mailbox.", parameter="envelopeFrom")
    return boxes[0]
