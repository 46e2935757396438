"""Fields in, a message out (RFC 5322, RFC 2045 to 2049).

An :class:`Email` is what a person means; :func:`compose` checks it and writes it once. A :class:`Message` is
finished: its size is known and its octets never change, but large attachments are encoded only while they are
read, chunk by chunk. :mod:`nina_smtp.message.parts` draws the shape of what is below the header.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache

from nina_smtp.envelope import Envelope
from nina_smtp.errors import InvalidAddress, MissingParameter, ParameterError
from nina_smtp.message import header
from nina_smtp.message.attachment import Attachment
from nina_smtp.message.identifier import parse_msg_id, parse_references, random_msg_id
from nina_smtp.message.mailbox import MAX_MAILBOXES, Mailbox, parse_list
from nina_smtp.message.parts import Body, Piece, at, joined, size_of
from nina_smtp.message.signature import signature_headers

Boxes = tuple[Mailbox, ...]

_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_IMPORTANCE = {"high": ("high", "1", "High"), "low": ("low", "5", "Low")}


@dataclass(slots=True)
class Email:
    """What one mail says, and to whom. Mailboxes are text (``SOC <soc@corp.test>``) or already parsed.

    ``text`` of None is made from ``html``; ``text=""`` with ``html`` leaves the alternative out. ``sender``
    is the From; ``envelope_from`` differs from it only for bounces, and ``""`` is the null reverse path.
    ``date`` is in seconds since the epoch.
    """

    sender: str | Mailbox
    to: Sequence[str | Mailbox] | str
    subject: str
    text: str | None = None
    html: str | None = None
    cc: Sequence[str | Mailbox] | str = ()
    bcc: Sequence[str | Mailbox] | str = ()
    reply_to: Sequence[str | Mailbox] | str = ()
    importance: str = "normal"
    attachments: Sequence[Attachment] = ()
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    in_reply_to: str | None = None
    references: Sequence[str] = ()
    message_id: str | None = None
    envelope_from: str | Mailbox | None = None
    date: float | None = None
    secret_key: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Message:
    """A finished message. ``pieces`` are its octets in order, CRLF line ends, no dot-stuffing.

    ``needs_smtputf8``: headers or envelope hold UTF-8 addresses; ``needs_8bitmime``: the body has octets
    above 127. ``largest`` names the biggest attachment, for the message that says it is too big.
    """

    envelope: Envelope
    message_id: str
    pieces: tuple[Piece, ...]
    size: int
    needs_smtputf8: bool = False
    needs_8bitmime: bool = False
    warnings: tuple[str, ...] = ()
    largest: str | None = None
    date: float = 0.0
    source: Email | None = field(default=None, repr=False)
    plain: bytes | None = field(default=None, repr=False)
    """The same for a server without SMTPUTF8, where ``source`` is not at hand."""

    def chunks(self) -> Iterator[bytes]:
        """The octets, in pieces of at most some 200 KiB, encoded while they are read."""
        for piece in self.pieces:
            if isinstance(piece, bytes):
                yield piece
            else:
                yield from piece.lines()

    @property
    def bytes(self) -> bytes:
        """The whole message at once."""
        return b"".join(self.chunks())

    def without_smtputf8(self) -> tuple[Message, tuple[str, ...]]:
        """The same mail for a server without SMTPUTF8, and the recipients that it leaves out.

        UTF-8 addresses in the header become encoded words (RFC 6857). Identifiers and dates stay. A raw
        message cannot be rewritten, and a UTF-8 sender has no other form: then nobody is left.
        """
        envelope, left_out = self.envelope.without_smtputf8()
        if self.plain is not None:
            message = replace(self, envelope=envelope, pieces=(self.plain,), size=len(self.plain))
            return replace(message, needs_smtputf8=False, needs_8bitmime=False), left_out
        if self.source is None or not self.envelope.sender.isascii():
            return replace(self, envelope=replace(envelope, recipients=())), self.envelope.recipients
        message = compose(replace(self.source, message_id=self.message_id, date=self.date), utf8=False)
        return replace(message, envelope=envelope, needs_smtputf8=False), left_out


def compose(email: Email, *, utf8: bool | None = None) -> Message:
    """Checks and writes ``email``. Raises ParameterError, naming the parameter (``attachments[1].content``).

    ``utf8=False`` writes UTF-8 addresses so that a server without SMTPUTF8 can carry the header.
    """
    sender, to, cc, bcc, reply_to = _mailboxes(email)
    reverse_path = _reverse_path(email, sender)
    recipients = tuple(dict.fromkeys([box.address for box in (*to, *cc, *bcc)]))
    if not recipients:
        raise MissingParameter("There is no recipient.", hint="Give at least one address.", parameter="to")
    if len(recipients) > MAX_MAILBOXES:
        raise _too_many("to")
    needs_utf8 = not _ascii(sender, *to, *cc, *reply_to)
    eight_bit = needs_utf8 if utf8 is None else utf8
    now = time.time() if email.date is None else email.date
    message_id = _msg_id(email, sender)

    lines = [f"Date: {format_date(now)}", header.addresses("From", (sender,), utf8=eight_bit)]
    if to:
        lines.append(header.addresses("To", to, utf8=eight_bit))
    if cc:
        lines.append(header.addresses("Cc", cc, utf8=eight_bit))
    if reply_to:
        lines.append(header.addresses("Reply-To", reply_to, utf8=eight_bit))
    try:
        lines.append(header.unstructured("Subject", email.subject))
    except ParameterError as error:
        raise _named(error, "subject") from None
    lines.append(f"Message-ID: {message_id}")
    if email.in_reply_to or email.references:
        lines += _thread_headers(email)
    if email.importance != "normal":
        lines += _importance_headers(email.importance)
    if email.headers:
        lines += _custom_headers(email.headers)
    if email.secret_key is not None:
        lines.extend(_signatures(email, email.secret_key, message_id, int(now)))
    lines.append("MIME-Version: 1.0")

    token = hashlib.sha256(message_id.encode()).hexdigest()[:24].encode()
    body = Body(
        email.text,
        email.html,
        email.attachments,
        token,
        allow_8bit=eight_bit,
        signed=email.secret_key is not None,
    )
    root = body.root()
    head = "\r\n".join([*lines, *root.headers]).encode() + b"\r\n\r\n"
    pieces = joined([head, *root.pieces])
    return Message(
        envelope=Envelope(reverse_path, recipients),
        message_id=message_id,
        pieces=pieces,
        size=size_of(pieces),
        needs_smtputf8=eight_bit or not (reverse_path.isascii() and all(map(str.isascii, recipients))),
        needs_8bitmime=eight_bit,
        warnings=tuple(body.warnings),
        largest=body.largest,
        source=email,
        date=now,
    )


def format_date(seconds: float) -> str:
    """A date as RFC 5322 3.3 writes it, in UTC."""
    return _format_second(int(seconds))


@lru_cache(maxsize=16)
def _format_second(second: int) -> str:
    t = time.gmtime(second)
    return (
        f"{_DAYS[t.tm_wday]}, {t.tm_mday:02d} {_MONTHS[t.tm_mon - 1]} {t.tm_year:04d} "
        f"{t.tm_hour:02d}:{t.tm_min:02d}:{t.tm_sec:02d} +0000"
    )


def _mailboxes(email: Email) -> tuple[Mailbox, Boxes, Boxes, Boxes, Boxes]:
    senders = _parsed("from", email.sender)
    if len(senders) != 1:
        raise InvalidAddress("The sender is one mailbox.", hint="Give exactly one address.", parameter="from")
    return (
        senders[0],
        _parsed("to", email.to),
        _parsed("cc", email.cc) if email.cc else (),
        _parsed("bcc", email.bcc) if email.bcc else (),
        _parsed("replyTo", email.reply_to) if email.reply_to else (),
    )


def _parsed(parameter: str, value: str | Mailbox | Sequence[str | Mailbox]) -> Boxes:
    if isinstance(value, Mailbox):
        return (value,)
    if isinstance(value, str):
        return at(parameter, parse_list, value)
    boxes: list[Mailbox] = []
    index = 0
    try:
        for index, one in enumerate(value):  # noqa: B007 - the error names it
            if isinstance(one, Mailbox):
                boxes.append(one)
            else:
                boxes += parse_list(one)
            if len(boxes) > MAX_MAILBOXES:
                raise _too_many(parameter)
    except ParameterError as error:
        raise _named(error, f"{parameter}[{index}]") from None
    return tuple(boxes)


def _too_many(parameter: str) -> InvalidAddress:
    return InvalidAddress(
        f"At most {MAX_MAILBOXES} recipients.", hint="Send to a distribution list.", parameter=parameter
    )


def _signatures(email: Email, secret_key: str, message_id: str, now: int) -> Iterator[str]:
    signed = email.html if email.html is not None else email.text or ""
    for name, value in at("body", signature_headers, secret_key, signed, message_id, now):
        yield f"{name}: {value}"


def _reverse_path(email: Email, sender: Mailbox) -> str:
    if email.envelope_from is None:
        return sender.address
    if email.envelope_from == "":
        return ""
    boxes = _parsed("envelopeFrom", email.envelope_from)
    if len(boxes) != 1:
        raise InvalidAddress("The envelope sender is one mailbox.", parameter="envelopeFrom")
    return boxes[0].address


def _msg_id(email: Email, sender: Mailbox) -> str:
    if email.message_id is None:
        return random_msg_id(sender.domain)
    return at("messageId", parse_msg_id, email.message_id)


def _thread_headers(email: Email) -> Iterator[str]:
    in_reply_to = at("inReplyTo", parse_msg_id, email.in_reply_to) if email.in_reply_to else None
    references = at("references", parse_references, list(email.references)) if email.references else ()
    if in_reply_to:
        yield f"In-Reply-To: {in_reply_to}"
        references = references or (in_reply_to,)  # RFC 5322 3.6.4: a reply refers to what it answers
    if references:
        yield header.identifiers("References", references)


def _importance_headers(name: str) -> Iterator[str]:
    if name not in _IMPORTANCE:
        raise ParameterError(
            f"{name[:40]!a} is not an importance.", hint="normal, high or low.", parameter="importance"
        )
    importance, priority, ms_priority = _IMPORTANCE[name]
    yield f"Importance: {importance}"
    yield f"X-Priority: {priority}"
    yield f"X-MSMail-Priority: {ms_priority}"


def _custom_headers(headers: Mapping[str, str]) -> list[str]:
    name, lines = "", list[str]()
    try:
        for name, value in headers.items():
            lines.append(header.custom(name, value))
    except ParameterError as error:
        place = f"headers.{name[:80]}" if name.isprintable() else f"headers.{name[:80]!a}"
        raise _named(error, place) from None
    return lines


def _ascii(*mailboxes: Mailbox) -> bool:
    return "".join([box.local_part for box in mailboxes]).isascii()


def _named(error: ParameterError, parameter: str) -> ParameterError:
    error.parameter = error.parameter or parameter
    return error
