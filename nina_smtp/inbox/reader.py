"""What a person sees of a message: raw bytes in, a :class:`Reading` out, whatever the bytes are."""

from __future__ import annotations

import re
from dataclasses import dataclass
from email.utils import parsedate_to_datetime  # noqa: TID251  reads a date; nothing is written
from typing import Any

from nina_smtp.inbox.charset import decode_text, decode_words
from nina_smtp.inbox.kinds import kind_of
from nina_smtp.inbox.mime import Part, take_apart

MAX_TEXT = 2 * 2**20
MAX_ADDRESSES = 1000

_COMMENT = re.compile(r"\(([^()]*)\)")
_ESCAPED = re.compile(r"\\(.)")


@dataclass(frozen=True, slots=True)
class Address:
    """A mailbox as a header shows it, good or not."""

    name: str
    address: str

    def as_dict(self) -> dict[str, str]:
        """The address of the API."""
        return {"name": self.name, "address": self.address}


@dataclass(frozen=True, slots=True)
class Attachment:
    """A part that is not the text or the HTML of the message.

    ``kind`` says what its bytes are, and ``mismatch`` that its name says something else; ``embedded`` is a
    picture the HTML shows.
    """

    index: int
    filename: str | None
    content_type: str
    size: int
    content_id: str | None
    disposition: str | None
    kind: str
    mismatch: bool
    embedded: bool
    part: Part

    def content(self, raw: bytes) -> bytes:
        """The decoded bytes, cut out of the message this attachment was read from."""
        return self.part.content(raw)[0]

    def as_dict(self) -> dict[str, Any]:
        """The attachment of the API."""
        return {
            "index": self.index,
            "filename": self.filename,
            "contentType": self.content_type,
            "size": self.size,
            "contentId": self.content_id,
            "disposition": self.disposition,
            "kind": self.kind,
            "mismatch": self.mismatch,
            "embedded": self.embedded,
        }


@dataclass(frozen=True, slots=True)
class Reading:
    """A message as it reads: ``headers`` decoded, in order; ``date`` in ISO 8601; ``warnings`` in words."""

    size: int
    subject: str = ""
    sender: tuple[Address, ...] = ()
    to: tuple[Address, ...] = ()
    cc: tuple[Address, ...] = ()
    date: str | None = None
    message_id: str | None = None
    headers: tuple[tuple[str, str], ...] = ()
    text: str | None = None
    html: str | None = None
    attachments: tuple[Attachment, ...] = ()
    warnings: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """The message of the API."""
        return {
            "subject": self.subject,
            "from": [address.as_dict() for address in self.sender],
            "to": [address.as_dict() for address in self.to],
            "cc": [address.as_dict() for address in self.cc],
            "date": self.date,
            "messageId": self.message_id,
            "headers": [{"name": name, "value": value} for name, value in self.headers],
            "text": self.text,
            "html": self.html,
            "attachments": [attachment.as_dict() for attachment in self.attachments],
            "size": self.size,
            "warnings": list(self.warnings),
        }


def read(raw: bytes) -> Reading:
    """The reading of a message; a message that cannot be taken apart is shown as text, with a warning."""
    try:
        return _read(raw)
    except Exception as error:
        # The modules below do not raise by design. Should one be wrong, the mail is still there to be seen.
        return Reading(
            size=len(raw),
            text=decode_text(raw[:MAX_TEXT], None),
            warnings=(
                f"This message could not be taken apart ({type(error).__name__}); this is its source.",
            ),
        )


def _read(raw: bytes) -> Reading:
    header, parts, warnings = take_apart(raw)
    text: str | None = None
    html: str | None = None
    attachments: list[Attachment] = []
    for part in parts:
        kind = part.header.content_type
        is_body = part.header.disposition != "attachment" and not part.header.file_name
        if is_body and text is None and (kind == "text/plain" or not kind.startswith(_HAS_CONTENT)):
            text = _clipped(part.text(raw), "text", warnings)
        elif is_body and html is None and kind == "text/html":
            html = _clipped(part.text(raw), "HTML", warnings)
        else:
            attachments.append(_attachment(len(attachments), part, raw, html or "", warnings))
    return Reading(
        size=len(raw),
        subject=header.text("subject"),
        sender=addresses(header.get("from") or ""),
        to=addresses(header.get("to") or ""),
        cc=addresses(header.get("cc") or ""),
        date=_date(header.get("date")),
        message_id=header.text("message-id") or None,
        headers=tuple((name, decode_words(value)) for name, value in header.fields),
        text=text,
        html=html,
        attachments=tuple(attachments),
        warnings=tuple(warnings),
    )


# A multipart that could not be split is shown as text: everything of it is then on the screen.
_HAS_CONTENT = ("text/", "image/", "audio/", "video/", "application/", "message/", "model/", "font/")


def _clipped(text: str, what: str, warnings: list[str]) -> str:
    if len(text) <= MAX_TEXT:
        return text
    warnings.append(f"The {what} is longer than {MAX_TEXT // 2**20} MiB; the rest is only in the source.")
    return text[:MAX_TEXT]


def _attachment(index: int, part: Part, raw: bytes, html: str, warnings: list[str]) -> Attachment:
    content, sound = part.content(raw)
    name = part.header.file_name
    if not sound:
        warnings.append(f"Attachment {index + 1} is not encoded as its header says.")
    kind, mismatch = kind_of(content, name or "")
    content_id = part.header.text("content-id").removeprefix("<").removesuffix(">").strip()
    return Attachment(
        index=index,
        filename=name,
        content_type=part.header.content_type,
        size=len(content),
        content_id=content_id or None,
        disposition=part.header.disposition,
        kind=kind,
        mismatch=mismatch,
        embedded=bool(content_id) and f"cid:{content_id}" in html,
        part=part,
    )


def _date(value: str | None) -> str | None:
    try:
        return parsedate_to_datetime(value[:200]).isoformat() if value else None
    except (ValueError, TypeError, OverflowError, IndexError):
        return None


def addresses(value: str) -> tuple[Address, ...]:
    """The mailboxes of a header value, split leniently: what is no address is shown as it stands."""
    found = (_address(chunk) for chunk in _chunks(value)[:MAX_ADDRESSES])
    return tuple(address for address in found if address.name or address.address)


def _chunks(value: str) -> list[str]:
    """The value cut at commas, and at the name and end of groups, outside quotes, comments and brackets."""
    chunks: list[str] = []
    start, depth, quoted, angle, escaped = 0, 0, False, False, False
    for at, letter in enumerate(value):
        if escaped:
            escaped = False
        elif letter == "\\":
            escaped = True
        elif letter == '"' and not depth:
            quoted = not quoted
        elif quoted:
            continue
        elif letter == "(":
            depth += 1
        elif letter == ")":
            depth = max(0, depth - 1)
        elif depth:
            continue
        elif letter in "<>":
            angle = letter == "<"
        elif letter == ":" and not angle:
            start = at + 1
        elif letter in ",;" and not angle:
            chunks.append(value[start:at])
            start = at + 1
    chunks.append(value[start:])
    return chunks


def _address(chunk: str) -> Address:
    opened = chunk.rfind("<")
    if opened >= 0:
        closed = chunk.find(">", opened)
        address = chunk[opened + 1 : closed if closed >= 0 else len(chunk)]
        name = chunk[:opened].strip()
    else:
        comment = _COMMENT.search(chunk)
        address = _COMMENT.sub("", chunk)
        name = comment[1] if comment else ""
    if len(name) > 1 and name[0] == name[-1] == '"':
        name = _ESCAPED.sub(r"\1", name[1:-1])
    return Address(decode_words(name).strip(), address.strip())
