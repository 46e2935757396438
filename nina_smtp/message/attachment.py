"""Attachments: base64 in, base64 on the wire, in chunks, without ever holding the decoded whole.

Content is a base64 string (RFC 4648 section 4, padded; ASCII white space between characters is accepted) or
a stored file. It is checked completely before anything is sent, and rewrapped to lines of 76 while it is
sent: the check is one pass of ``bytes.translate`` over slices, the rewrapping one ``struct.unpack`` and one
``join`` a slice.
"""

from __future__ import annotations

import re
import struct
from binascii import a2b_base64, b2a_base64
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from importlib import import_module
from pathlib import PurePosixPath
from typing import Any, BinaryIO, Protocol

from nina_smtp.errors import InvalidAttachment

SLICE = 76 * 1724  # characters of base64 looked at together: whole lines, and small enough for the cache
MAX_FILENAME = 255  # octets of UTF-8
MAX_TYPE = 1000  # characters of a content type with its parameters
SNIFFED = 4096  # octets: libmagic tells a docx from 2048 on

_ALPHABET = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
_SPACE = b" \t\r\n"
_LINE = 76
_LINES = struct.Struct("76s" * 1724 + "0s")  # the empty end makes join end the last line too
_ODD = re.compile(rb"[^A-Za-z0-9+/ \t\r\n]")
_TYPE = re.compile(r"[A-Za-z0-9!#$&^_.+-]{1,64}/[A-Za-z0-9!#$&^_.+-]{1,64}")
_TYPE_PARAMETER = re.compile(
    r"""[ \t]*;[ \t]*([A-Za-z0-9!#$&^_.+-]{1,64})[ \t]*=[ \t]*"""
    r"""(?:([A-Za-z0-9!#$&^_.+-]{1,200})|"([^"\\\x00-\x1f\x7f\ud800-\udfff]{0,200})")[ \t]*"""
)
_CONTENT_ID = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~.@-]{1,200}")
OCTET_STREAM = "application/octet-stream"


class Content(Protocol):
    """What an attachment holds: how long its base64 is on the wire, and the wire lines themselves."""

    @property
    def wire_size(self) -> int:
        """Octets on the wire, line ends included."""
        ...

    def lines(self) -> Iterator[bytes]:
        """The base64 in lines of 76 and CRLF, the last one ended too, in chunks of about 100 KiB."""
        ...

    def head(self) -> bytes:
        """The first decoded octets, for sniffing."""
        ...


class File(Protocol):
    """A stored file: its size in octets, and how to read it."""

    @property
    def size(self) -> int:
        """Octets."""
        ...

    def open(self) -> BinaryIO:
        """The content, to be read and closed."""
        ...


@dataclass(frozen=True, slots=True)
class Attachment:
    """A file that goes along: ``content`` is base64 text, or a stored file.

    ``content_type`` is sniffed when absent. ``disposition`` is ``attachment`` or ``inline``; when absent it
    is inline if the HTML refers to ``content_id``.
    """

    filename: str
    content: str | File
    content_type: str | None = None
    content_id: str | None = None
    disposition: str | None = None


@dataclass(frozen=True, slots=True)
class Base64Content:
    """A checked base64 string. ``length`` counts its characters without white space."""

    text: str
    length: int
    spaced: bool

    @property
    def wire_size(self) -> int:
        """Octets on the wire, line ends included."""
        return self.length + 2 * -(-self.length // _LINE)

    def lines(self) -> Iterator[bytes]:
        """Rewraps slice by slice. Without white space every slice is whole lines; else what is left waits."""
        rest = b""
        for start in range(0, len(self.text), SLICE):
            octets = self.text[start : start + SLICE].encode("ascii")
            if self.spaced:
                octets = rest + octets.translate(None, _SPACE)
                whole = len(octets) - len(octets) % _LINE
                octets, rest = octets[:whole], octets[whole:]
            if octets:
                yield _wrapped(octets)
        if rest:
            yield rest + b"\r\n"

    def head(self) -> bytes:
        """Decodes the first slice only."""
        start = self.text[: SNIFFED * 3].encode("ascii").translate(None, _SPACE)[: SNIFFED // 3 * 4]
        return a2b_base64(start[: len(start) // 4 * 4])


@dataclass(frozen=True, slots=True)
class FileContent:
    """A stored file, encoded while it is read."""

    file: File

    @property
    def wire_size(self) -> int:
        """Octets on the wire, line ends included."""
        length = -(-self.file.size // 3) * 4
        return length + 2 * -(-length // _LINE)

    def lines(self) -> Iterator[bytes]:
        """Reads multiples of 57 octets, so that every chunk is whole lines."""
        with self.file.open() as stream:
            while block := stream.read(57 * 2048):
                yield _wrapped(b2a_base64(block, newline=False))

    def head(self) -> bytes:
        """Reads the first octets only."""
        with self.file.open() as stream:
            return stream.read(SNIFFED)


def read_content(content: str | File) -> Content:
    """What an attachment holds, checked. Raises InvalidAttachment."""
    return check_base64(content) if isinstance(content, str) else FileContent(content)


def _wrapped(octets: bytes) -> bytes:
    """Lines of 76 and CRLF; the last one may be shorter and is ended too."""
    if len(octets) == SLICE:
        return b"\r\n".join(_LINES.unpack(octets))
    lines = len(octets) // _LINE
    pieces = struct.unpack(f"{'76s' * lines}{len(octets) % _LINE}s", octets)
    return b"\r\n".join(pieces if not pieces[-1] else (*pieces, b""))


def check_base64(text: str) -> Base64Content:
    """Checks the whole string without decoding it. Raises InvalidAttachment with the position of a fault."""
    length, spaced, padding = 0, False, 0
    for start in range(0, len(text), SLICE):
        piece = text[start : start + SLICE]
        if not piece.isascii():
            raise _not_base64(text)
        octets = piece.encode("ascii")
        if odd := octets.translate(None, _ALPHABET):
            solid = odd.translate(None, _SPACE)
            spaced = spaced or len(solid) < len(odd)
            if solid.strip(b"="):
                raise _not_base64(text)
            padding += len(solid)
            length -= len(odd) - len(solid)
        length += len(octets)
    if padding:
        _check_padding(text, padding)
    if length % 4:
        raise InvalidAttachment(
            f"The content is not whole base64: {length} characters are not a multiple of 4 (RFC 4648 4).",
            hint="It is cut off, or its padding (=) is missing.",
        )
    return Base64Content(text, length, spaced)


def _check_padding(text: str, padding: int) -> None:
    first = text.index("=")
    if padding > 2 or text[first:].strip("= \t\r\n"):
        raise InvalidAttachment(
            f"The content is not base64: unexpected padding (=) at position {first}.",
            hint="Base64 ends at its padding. Several pieces cannot be joined as text.",
        )
    end, piece = first, ""
    while end > 0 and not piece:  # slice by slice, not a copy of it all
        piece = text[max(end - SLICE, 0) : end].rstrip(" \t\r\n")
        end -= SLICE
    last = piece[-1:] or "A"
    if _ALPHABET.index(last.encode()) & (0x0F if padding == 2 else 0x03):
        raise InvalidAttachment(
            f"The content is not base64: bits are set in the padding at position {first} (RFC 4648 3.5).",
            hint="It was altered or cut. Encode the file again.",
        )


def _not_base64(text: str) -> InvalidAttachment:
    clean = text.encode("ascii", "replace").replace(b"=", b"A").replace(b"?", b"!")
    bad = _ODD.search(clean)
    position = bad.start() if bad else 0
    character = text[position]
    if text.startswith("data:"):
        hint = "Leave the data: prefix out: only what follows base64, is content."
    elif character in "-_":
        hint = "This is the URL-safe alphabet. Use the standard one, with + and /."
    else:
        hint = "content is the file itself in base64, never a path, a URL or plain text."
    return InvalidAttachment(f"The content is not base64: {character!a} at position {position}.", hint=hint)


def check_filename(name: str) -> str:
    """The last component of ``name``, for a header only: it is never opened. Raises InvalidAttachment."""
    for position, character in enumerate(name):
        if character < " " or character == "\x7f" or "\ud800" <= character <= "\udfff":
            raise InvalidAttachment(
                f"The file name holds U+{ord(character):04X} at position {position}.",
                hint="Remove the character.",
            )
    last = name.replace("\\", "/").rpartition("/")[2]
    if not last.strip(". "):
        raise InvalidAttachment(
            f"{name[:80]!a} is not a file name.", hint="Name the file, with its extension."
        )
    if len(last.encode()) > MAX_FILENAME:  # keeps the extension, which is what opens the file
        stem, dot, extension = last.rpartition(".")
        keep = dot + extension if stem and len(extension) < 20 else ""
        room = MAX_FILENAME - len(keep.encode())
        last = (stem if keep else last).encode()[:room].decode(errors="ignore") + keep
    return last


def check_content_id(text: str) -> str:
    """A content id without its angle brackets (RFC 2392). Raises InvalidAttachment."""
    inner = text[1:-1] if text.startswith("<") and text.endswith(">") else text
    if not _CONTENT_ID.fullmatch(inner):
        raise InvalidAttachment(
            f"{text[:80]!a} is not a content id.",
            hint="Letters, digits and . _ - @, as after cid: in the HTML; no spaces.",
        )
    return inner


def check_content_type(text: str) -> tuple[str, list[tuple[str, str]]]:
    """``type/subtype`` and its parameters, each once (RFC 2045 5.1). Raises InvalidAttachment.

    A container (``multipart/…``, ``message/…``) becomes application/octet-stream: an attachment is one leaf,
    whose octets arrive as they are.
    """
    kind = _TYPE.match(text) if len(text) <= MAX_TYPE else None
    rest = text[kind.end() :] if kind else ""
    parameters: list[tuple[str, str]] = []
    position = 0
    while kind and position < len(rest):
        parameter = _TYPE_PARAMETER.match(rest, position)
        if not parameter or any(parameter[1].lower() == key for key, _ in parameters):
            kind = None
            break
        key, token, quoted = parameter.groups()
        parameters.append((key.lower(), token if token is not None else quoted))
        position = parameter.end()
    if not kind:
        raise InvalidAttachment(f"{text[:80]!a} is not a content type.", hint="Write it like text/csv.")
    if kind.group().lower().startswith(("multipart/", "message/")):
        return OCTET_STREAM, []
    return kind.group().lower(), [(k, v) for k, v in parameters if k not in ("name", "boundary")]


def sniff(head: bytes, filename: str) -> str:
    """The content type: libmagic's judgement of the first octets, refined by the name where it is vague."""
    judged = str(_libmagic().from_buffer(head)) if head else OCTET_STREAM
    if judged in ("text/plain", OCTET_STREAM, "application/zip", "inode/x-empty"):
        import mimetypes

        named = mimetypes.guess_type(PurePosixPath(filename).name)[0] or ""
        textual = named.startswith("text/") or named.endswith(("json", "xml"))
        fits = {"text/plain": textual, "application/zip": "openxml" in named}
        if named and fits.get(judged, True):
            judged = named
    return check_content_type(judged if _TYPE.fullmatch(judged) else OCTET_STREAM)[0]


@lru_cache(maxsize=1)
def _libmagic() -> Any:
    import_module("pylibmagic")  # puts its own libmagic on the search path where the system has none
    import magic

    return magic.Magic(mime=True)
