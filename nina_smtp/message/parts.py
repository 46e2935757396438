"""The parts of a message, put together from the inside out (RFC 2046, RFC 2183, RFC 2387).

The shape, each layer only where it is needed::

    mixed
    ├── alternative
    │   ├── text/plain
    │   └── related
    │       ├── text/html
    │       └── inline parts, named by their content ids
    └── attachments
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from functools import cached_property, lru_cache
from html import unescape
from typing import Any, NamedTuple, TypeVar, cast
from urllib.parse import unquote

from nina_smtp.errors import ParameterError
from nina_smtp.message import header
from nina_smtp.message.attachment import (
    Attachment,
    Content,
    check_content_id,
    check_content_type,
    check_filename,
    read_content,
    sniff,
)
from nina_smtp.message.body import BOUNDARY_PREFIX, encode_text
from nina_smtp.message.plaintext import text_from_html

MAX_HTML_FOR_TEXT = 250_000  # characters; a larger HTML body gets no plain-text alternative of our making

Piece = bytes | Content
T = TypeVar("T")

_REFERENCES = (
    re.compile(r"cid:([^\s\"<>]+)", re.IGNORECASE),
    re.compile(r"cid:([^\s\"'<>()]+)", re.IGNORECASE),
)


class Part(NamedTuple):
    """Header fields, each without its line end, and the octets below them."""

    headers: tuple[str, ...]
    pieces: list[Piece]


class Body:
    """All that comes after the header of a message. ``token`` makes its boundaries.

    ``text`` of None is made from ``html``; ``text=""`` with ``html`` leaves the alternative out. ``warnings``
    and ``largest``, the name of the biggest attachment, are known once :meth:`root` was called.
    """

    def __init__(
        self,
        text: str | None,
        html: str | None,
        attachments: Sequence[Attachment],
        token: bytes,
        *,
        allow_8bit: bool,
        signed: bool,
    ) -> None:
        self._given_text = text
        self._html = html
        self._files = attachments
        self._token = token
        self._allow_8bit = allow_8bit
        self._signed = signed
        self.warnings: list[str] = []
        self.largest: str | None = None

    def root(self) -> Part:
        """The outermost part. Raises ParameterError, naming the parameter."""
        if not self._files:
            return self._text_parts([])
        inline, attached = self._attachments()
        content = self._text_parts(inline)
        return self._multipart("mixed", [content, *attached]) if attached else content

    def _text_parts(self, inline: list[Part]) -> Part:
        if self._html is None:
            text = self._text("plain", "body", self._given_text or "", alone=not self._files)
            return self._multipart("related", [text, *inline]) if inline else text
        plain = self._alternative(self._html)
        html = self._text("html", "body", self._html, alone=plain is None and not self._files)
        if inline:
            html = self._multipart("related", [html, *inline], ("type", "text/html"))
        if plain is None:
            return html
        return self._multipart("alternative", [self._text("plain", "textBody", plain), html])

    def _alternative(self, html: str) -> str | None:
        if self._given_text is not None:
            return self._given_text or None
        if len(html) > MAX_HTML_FOR_TEXT:
            self.warnings.append("The HTML is too large for a plain-text alternative; give textBody.")
            return None
        return text_from_html(html)

    def _text(self, subtype: str, parameter: str, text: str, *, alone: bool = False) -> Part:
        try:
            encoded = encode_text(text, allow_8bit=self._allow_8bit, alone=alone, signed=self._signed)
        except ParameterError as error:
            error.parameter = parameter
            raise
        return Part(_text_headers(subtype, encoded.encoding), [encoded.octets])

    def _attachments(self) -> tuple[list[Part], list[Part]]:
        inline: list[Part] = []
        attached: list[Part] = []
        sizes: dict[str, int] = {}
        ids: set[str] = set()
        for index, attachment in enumerate(self._files):
            place = f"attachments[{index}]"
            part, content_id, is_inline = self._attachment(place, attachment)
            if content_id and content_id in ids:
                raise ParameterError(
                    f"Two attachments have the content id {content_id}.",
                    hint="Make it unique.",
                    parameter=f"{place}.contentId",
                )
            ids.add(content_id)
            (inline if is_inline else attached).append(part)
            sizes[attachment.filename] = size_of(part.pieces)
        self.largest = max(sizes, key=sizes.__getitem__)
        return inline, attached

    def _attachment(self, place: str, attachment: Attachment) -> tuple[Part, str, bool]:
        filename = at(f"{place}.filename", check_filename, attachment.filename)
        content = at(f"{place}.content", read_content, attachment.content)
        if attachment.content_type:
            kind, parameters = at(f"{place}.contentType", check_content_type, attachment.content_type)
        else:
            kind, parameters = sniff(content.head(), filename), []
        content_id = ""
        headers = [
            header.parameterized("Content-Type", kind, parameters),
            "Content-Transfer-Encoding: base64",
        ]
        if attachment.content_id is not None:
            content_id = at(f"{place}.contentId", check_content_id, attachment.content_id)
            headers.append(f"Content-ID: <{content_id}>")
        referred = bool(content_id) and content_id in self._referred_ids
        disposition = attachment.disposition or ("inline" if referred else "attachment")
        if disposition not in ("inline", "attachment"):
            raise ParameterError(
                "A disposition is attachment or inline.",
                hint="Leave it out.",
                parameter=f"{place}.disposition",
            )
        if content_id and not referred and self._html is not None:
            self.warnings.append(f"Nothing in the HTML refers to cid:{content_id} ({place}).")
        headers.append(header.parameterized("Content-Disposition", disposition, [("filename", filename)]))
        return Part(tuple(headers), [content]), content_id, disposition == "inline" and bool(content_id)

    @cached_property
    def _referred_ids(self) -> frozenset[str]:
        """The content ids that the HTML shows, in any of the spellings of RFC 2392."""
        html = self._html or ""
        found = {text for pattern in _REFERENCES for text in pattern.findall(html)}
        return frozenset(found | {unquote(unescape(text)) for text in found if len(text) <= 1000})

    def _multipart(self, subtype: str, parts: Iterable[Part], *parameters: tuple[str, str]) -> Part:
        boundary = BOUNDARY_PREFIX + subtype[:1].encode() + b"_" + self._token
        pieces: list[Piece] = []
        between = b"--" + boundary + b"\r\n"
        for part in parts:
            pieces += (between, _head(part.headers), *part.pieces)
            between = b"\r\n--" + boundary + b"\r\n"
        pieces.append(b"\r\n--" + boundary + b"--\r\n")
        extra = "".join(f' {key}="{value}";' for key, value in parameters)
        return Part(
            (f'Content-Type: multipart/{subtype};{extra}\r\n boundary="{boundary.decode()}"',), pieces
        )


@lru_cache
def _text_headers(subtype: str, encoding: str) -> tuple[str, ...]:
    return (f"Content-Type: text/{subtype}; charset=utf-8", f"Content-Transfer-Encoding: {encoding}")


@lru_cache
def _head(headers: tuple[str, ...]) -> bytes:
    return "\r\n".join(headers).encode() + b"\r\n\r\n"


def at(parameter: str, check: Callable[..., T], *arguments: Any) -> T:
    """``check(*arguments)``, with the parameter's name in whatever it raises."""
    try:
        return check(*arguments)
    except ParameterError as error:
        error.parameter = error.parameter or parameter
        raise


def joined(pieces: Sequence[Piece]) -> tuple[Piece, ...]:
    """Neighbouring octets as one piece, so that a small mail is one write."""
    try:
        return (b"".join(cast(Iterable[bytes], pieces)),)
    except TypeError:  # a file is among them
        pass
    found: list[Piece] = []
    run: list[bytes] = []
    for piece in pieces:
        if isinstance(piece, bytes):
            run.append(piece)
            continue
        if run:
            found.append(b"".join(run))
            run = []
        found.append(piece)
    if run:
        found.append(b"".join(run))
    return tuple(found)


def size_of(pieces: Iterable[Piece]) -> int:
    """The octets of ``pieces`` on the wire."""
    size = 0
    for piece in pieces:
        size += len(piece) if isinstance(piece, bytes) else piece.wire_size
    return size
