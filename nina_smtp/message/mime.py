"""Fields in, a message out (RFC 5322, RFC 2045 to 2049).

The shape, each layer only where it is needed::

    mixed
    ├── alternative
    │   ├── text/plain
    │   └── related
    │       ├── text/html
    │       └── inline parts, named by their content ids
    └── attachments

An :class:`Email` is what a person means; :func:`compose` checks it and writes it once. A :class:`Message` is
finished: its size is known and its octets never change, but large attachments are encoded only while they are
read, chunk by chunk.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any, NamedTuple, TypeVar

from nina_smtp.envelope import Envelope
from nina_smtp.errors import InvalidAddress, MissingParameter, ParameterError
from nina_smtp.message import header
from nina_smtp.message.attachment import (
    Content,
    File,
    FileContent,
    check_base64,
    check_content_id,
    check_content_type,
    check_filename,
    sniff,
)
from nina_smtp.message.body import BOUNDARY_PREFIX, encode_text
from nina_smtp.message.identifier import parse_msg_id, parse_references, random_msg_id
from nina_smtp.message.mailbox import MAX_MAILBOXES, Mailbox, parse_list
from nina_smtp.message.plaintext import text_from_html
from nina_smtp.message.signature import signature_headers

MAX_HTML_FOR_TEXT = 2_000_000  # characters; above it an HTML body gets no plain-text alternative of our making
T = TypeVar("T")

_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_IMPORTANCE = {"high": ("high", "1", "High"), "low": ("low", "5", "Low")}


@dataclass(frozen=True, slots=True)
class Attachment:
    """A file that goes along: ``content`` is base64 text, or a stored file.

    ``content_type`` is sniffed when absent. ``disposition`` is ``attachment`` or ``inline``; when absent it is
    inline if the HTML refers to ``content_id``.
    """

    filename: str
    content: str | File
    content_type: str | None = None
    content_id: str | None = None
    disposition: str | None = None


@dataclass(slots=True)
class Email:
    """What one mail says, and to whom. Mailboxes are text (``SOC <soc@corp.test>``) or already parsed.

    ``text`` of None is made from ``html``; ``text=""`` with ``html`` leaves the alternative out. ``sender`` is the
    From; ``envelope_from`` differs from it only for bounces, and ``""`` is the null reverse path. ``date`` is in
    seconds since the epoch.
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


Piece = bytes | Content


@dataclass(frozen=True, slots=True)
class Message:
    """A finished message. ``pieces`` are its octets in order, CRLF line ends, no dot-stuffing.

    ``needs_smtputf8``: headers or envelope hold UTF-8 addresses; ``needs_8bitmime``: the body has octets above
    127. ``largest`` names the biggest attachment, for the message that says it is too big.
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

        UTF-8 addresses in the header become encoded words (RFC 6857). Identifiers and dates stay. A raw message
        cannot be rewritten, and a UTF-8 sender has no other form: then nobody is left.
        """
        envelope, left_out = self.envelope.without_smtputf8()
        if self.source is None or not self.envelope.sender.isascii():
            return replace(self, envelope=replace(envelope, recipients=())), self.envelope.recipients
        message = compose(replace(self.source, message_id=self.message_id, date=self.date), utf8=False)
        return replace(message, envelope=envelope), left_out


def compose(email: Email, *, utf8: bool | None = None) -> Message:
    """Checks and writes ``email``. Raises ParameterError, naming the parameter (``to``, ``attachments[1].content``).

    ``utf8=False`` writes UTF-8 addresses so that a server without SMTPUTF8 can carry the header.
    """
    sender, to, cc, bcc, reply_to = _mailboxes(email)
    reverse_path = _reverse_path(email, sender)
    recipients = tuple(dict.fromkeys([box.address for box in (*to, *cc, *bcc)]))
    if not recipients:
        raise MissingParameter("There is no recipient.", hint="Give at least one address.", parameter="to")
    if len(recipients) > MAX_MAILBOXES:
        raise InvalidAddress(
            f"At most {MAX_MAILBOXES} recipients, not {len(recipients)}.", hint="Use a distribution list.", parameter="to"
        )
    needs_utf8 = not all(box.local_part.isascii() for box in (sender, *to, *cc, *reply_to))
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
    lines.append(_at("subject", header.unstructured, "Subject", email.subject))
    lines.append(f"Message-ID: {message_id}")
    lines.extend(_optional_headers(email))
    if email.secret_key is not None:
        signed = email.html if email.html is not None else email.text or ""
        lines.extend(f"{name}: {value}" for name, value in signature_headers(email.secret_key, signed, message_id, int(now)))
    lines.append("MIME-Version: 1.0")

    body = _Body(email, hashlib.sha256(message_id.encode()).hexdigest()[:24].encode(), allow_8bit=eight_bit)
    root = body.root()
    head = "\r\n".join([*lines, *root.headers]).encode() + b"\r\n\r\n"
    pieces = _joined([head, *root.pieces])
    return Message(
        envelope=Envelope(reverse_path, recipients),
        message_id=message_id,
        pieces=pieces,
        size=_size(pieces),
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


def _mailboxes(email: Email) -> tuple[Mailbox, tuple[Mailbox, ...], tuple[Mailbox, ...], tuple[Mailbox, ...], tuple[Mailbox, ...]]:
    senders = _parsed("from", email.sender)
    if len(senders) != 1:
        raise InvalidAddress("The sender is one mailbox.", hint="Give exactly one address.", parameter="from")
    return (
        senders[0],
        _parsed("to", email.to),
        _parsed("cc", email.cc),
        _parsed("bcc", email.bcc),
        _parsed("replyTo", email.reply_to),
    )


def _parsed(parameter: str, value: str | Mailbox | Sequence[str | Mailbox]) -> tuple[Mailbox, ...]:
    if isinstance(value, Mailbox):
        return (value,)
    if isinstance(value, str):
        return _at(parameter, parse_list, value)
    if len(value) == 1 and isinstance(value[0], str):
        return _at(f"{parameter}[0]", parse_list, value[0])
    boxes: list[Mailbox] = []
    for index, one in enumerate(value):
        if isinstance(one, Mailbox):
            boxes.append(one)
        else:
            boxes.extend(_at(f"{parameter}[{index}]", parse_list, one))
    return tuple(boxes)


def _at(parameter: str, check: Callable[..., T], *arguments: Any) -> T:
    """``check(*arguments)``, with the parameter's name in whatever it raises."""
    try:
        return check(*arguments)
    except ParameterError as error:
        error.parameter = error.parameter or parameter
        raise


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
    return _at("messageId", parse_msg_id, email.message_id)


def _optional_headers(email: Email) -> Iterator[str]:
    in_reply_to = _at("inReplyTo", parse_msg_id, email.in_reply_to) if email.in_reply_to else None
    references = _at("references", parse_references, list(email.references)) if email.references else ()
    if in_reply_to:
        yield f"In-Reply-To: {in_reply_to}"
        references = references or (in_reply_to,)  # RFC 5322 3.6.4: a reply refers at least to what it answers
    if references:
        yield header.identifiers("References", references)
    if email.importance != "normal":
        if email.importance not in _IMPORTANCE:
            raise ParameterError(
                f"{email.importance[:40]!a} is not an importance.", hint="normal, high or low.", parameter="importance"
            )
        importance, priority, ms_priority = _IMPORTANCE[email.importance]
        yield f"Importance: {importance}"
        yield f"X-Priority: {priority}"
        yield f"X-MSMail-Priority: {ms_priority}"
    for name, value in email.headers.items():
        yield _at(f"headers.{name[:80]}", header.custom, name, value)


class _Part(NamedTuple):
    headers: list[str]
    pieces: list[Piece]


class _Body:
    """The parts of one message, put together from the inside out."""

    def __init__(self, email: Email, token: bytes, *, allow_8bit: bool) -> None:
        self._email = email
        self._token = token
        self._allow_8bit = allow_8bit
        self._signed = email.secret_key is not None
        self.warnings: list[str] = []
        self.largest: str | None = None

    def root(self) -> _Part:
        email = self._email
        if not email.attachments:
            return self._text_parts([])
        inline, attached = self._attachments()
        content = self._text_parts(inline)
        return self._multipart("mixed", [content, *attached]) if attached else content

    def _text_parts(self, inline: list[_Part]) -> _Part:
        email = self._email
        if email.html is None:
            text = self._text("plain", "body", email.text or "", alone=not email.attachments)
            return self._multipart("related", [text, *inline]) if inline else text
        plain = self._alternative(email.html)
        alone = plain is None and not inline and not email.attachments
        html = self._text("html", "body", email.html, alone=alone)
        if inline:
            html = self._multipart("related", [html, *inline], ("type", "text/html"))
        if plain is None:
            return html
        return self._multipart("alternative", [self._text("plain", "textBody", plain), html])

    def _alternative(self, html: str) -> str | None:
        if self._email.text is not None:
            return self._email.text or None
        if len(html) > MAX_HTML_FOR_TEXT:
            self.warnings.append("The HTML is too large for a plain-text alternative; give textBody.")
            return None
        return text_from_html(html)

    def _text(self, subtype: str, parameter: str, text: str, *, alone: bool = False) -> _Part:
        try:
            encoded = encode_text(text, allow_8bit=self._allow_8bit, alone=alone, signed=self._signed)
        except ParameterError as error:
            error.parameter = parameter
            raise
        kind = f"Content-Type: text/{subtype}; charset=utf-8"
        return _Part([kind, f"Content-Transfer-Encoding: {encoded.encoding}"], [encoded.octets])

    def _attachments(self) -> tuple[list[_Part], list[_Part]]:
        inline: list[_Part] = []
        attached: list[_Part] = []
        sizes: dict[str, int] = {}
        ids: set[str] = set()
        for index, attachment in enumerate(self._email.attachments):
            place = f"attachments[{index}]"
            part, content_id, is_inline = self._attachment(place, attachment)
            if content_id and content_id in ids:
                raise ParameterError(
                    f"Two attachments have the content id {content_id}.", hint="Make it unique.", parameter=f"{place}.contentId"
                )
            ids.add(content_id)
            (inline if is_inline else attached).append(part)
            sizes[attachment.filename] = _size(part.pieces)
        self.largest = max(sizes, key=sizes.__getitem__)
        return inline, attached

    def _attachment(self, place: str, attachment: Attachment) -> tuple[_Part, str, bool]:
        filename = _at(f"{place}.filename", check_filename, attachment.filename)
        content = _at(f"{place}.content", _content, attachment.content)
        if attachment.content_type:
            kind, parameters = _at(f"{place}.contentType", check_content_type, attachment.content_type)
        else:
            kind, parameters = sniff(content.head(), filename), []
        content_id = ""
        headers = [header.parameterized("Content-Type", kind, parameters), "Content-Transfer-Encoding: base64"]
        if attachment.content_id is not None:
            content_id = _at(f"{place}.contentId", check_content_id, attachment.content_id)
            headers.append(f"Content-ID: <{content_id}>")
        referred = bool(content_id) and f"cid:{content_id}" in (self._email.html or "")
        disposition = attachment.disposition or ("inline" if referred else "attachment")
        if disposition not in ("inline", "attachment"):
            raise ParameterError(
                "A disposition is attachment or inline.", parameter=f"{place}.disposition", hint="Leave it out."
            )
        if content_id and not referred and self._email.html is not None:
            self.warnings.append(f"Nothing in the HTML refers to cid:{content_id} ({place}).")
        headers.append(header.parameterized("Content-Disposition", disposition, [("filename", filename)]))
        return _Part(headers, [content]), content_id, disposition == "inline" and bool(content_id)

    def _multipart(self, subtype: str, parts: Iterable[_Part], *parameters: tuple[str, str]) -> _Part:
        boundary = BOUNDARY_PREFIX + subtype[:1].encode() + b"_" + self._token
        pieces: list[Piece] = []
        between = b"--" + boundary + b"\r\n"
        for part in parts:
            pieces += (between, "\r\n".join(part.headers).encode(), b"\r\n\r\n", *part.pieces)
            between = b"\r\n--" + boundary + b"\r\n"
        pieces.append(b"\r\n--" + boundary + b"--\r\n")
        extra = "".join(f' {key}="{value}";' for key, value in parameters)
        return _Part([f'Content-Type: multipart/{subtype};{extra}\r\n boundary="{boundary.decode()}"'], pieces)


def _content(content: str | File) -> Content:
    return check_base64(content) if isinstance(content, str) else FileContent(content)


def _joined(pieces: Iterable[Piece]) -> tuple[Piece, ...]:
    """Neighbouring octets as one piece, so that a small mail is one write."""
    joined: list[Piece] = []
    run: list[bytes] = []
    for piece in pieces:
        if isinstance(piece, bytes):
            run.append(piece)
            continue
        if run:
            joined.append(b"".join(run))
            run = []
        joined.append(piece)
    if run:
        joined.append(b"".join(run))
    return tuple(joined)


def _size(pieces: Iterable[Piece]) -> int:
    size = 0
    for piece in pieces:
        size += len(piece) if isinstance(piece, bytes) else piece.wire_size
    return size
