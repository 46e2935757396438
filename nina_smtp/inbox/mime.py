"""MIME as it arrives: where the parts of a message lie, and what their headers say.

The rules of this module:

- Any bytes are a message. What is broken becomes a warning, never an exception.
- The time is linear in the size. Everything a sender can multiply (parts, depth, header fields, parameters)
  has a limit, and nothing recurses. ``email.policy.default`` is not used: it takes minutes for one ``To``
  header of commas.
- A part is a slice of the message; it is decoded when it is asked for, so an attachment is not held twice.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from email.message import Message as Fields  # noqa: TID251  reads parameters (RFC 2231); nothing is written
from email.utils import collapse_rfc2231_value  # noqa: TID251  the same

from nina_smtp.inbox.charset import decode_text, decode_transfer, decode_words, unicode_text

MAX_PARTS = 500
MAX_DEPTH = 40
MAX_FIELDS = 1000
MAX_HEADER = 4 * 2**20
MAX_VALUE = 64 * 2**10
# Parameters are split by the standard library in quadratic time: harmless up to here.
MAX_PARAMETERS = 8 * 2**10

_FIELD = re.compile(rb"([!-9;-~]{1,998})[ \t]*:")


@dataclass(frozen=True, slots=True)
class Header:
    """The header of a message or of a part: its fields in order, values unfolded but still encoded."""

    fields: tuple[tuple[str, str], ...]

    def get(self, name: str) -> str | None:
        """The first value of a field, still encoded."""
        return next((value for key, value in self.fields if key.lower() == name), None)

    def text(self, name: str) -> str:
        """The first value of a field with its encoded words (RFC 2047) decoded; empty without the field."""
        return decode_words(self.get(name) or "").strip()

    @property
    def content_type(self) -> str:
        """The media type in lower case, ``text/plain`` when there is none to understand."""
        return unicode_text(self._parameters("content-type").get_content_type())

    def parameter(self, name: str, parameter: str) -> str | None:
        """A parameter of a structured field, its RFC 2231 encoding undone."""
        try:
            value = self._parameters(name).get_param(parameter, header=name)
            return None if value is None else unicode_text(collapse_rfc2231_value(value))
        except (ValueError, LookupError, TypeError):
            return None  # RFC 2231 with a charset that is none

    @property
    def disposition(self) -> str | None:
        """``attachment``, ``inline`` or what else the sender wrote."""
        return self._parameters("content-disposition").get_content_disposition()

    @property
    def file_name(self) -> str | None:
        """The file name, from either field that may hold it, in either encoding."""
        name = self.parameter("content-disposition", "filename") or self.parameter("content-type", "name")
        return decode_words(name) if name else None

    def _parameters(self, name: str) -> Fields:
        fields = Fields()
        value = self.get(name)
        if value is not None:
            fields[name] = value[:MAX_PARAMETERS]
        return fields


@dataclass(frozen=True, slots=True)
class Part:
    """A leaf of the MIME tree: its header, and where its body lies in the message."""

    header: Header
    start: int
    end: int

    def content(self, raw: bytes) -> tuple[bytes, bool]:
        """The decoded body, and whether the transfer encoding was sound."""
        encoding = self.header.get("content-transfer-encoding") or ""
        return decode_transfer(raw[self.start : self.end], encoding.partition(";")[0].strip().lower())

    def text(self, raw: bytes) -> str:
        """The decoded body as text with LF line ends."""
        charset = self.header.parameter("content-type", "charset")
        return decode_text(self.content(raw)[0], charset).replace("\r\n", "\n")


def take_apart(raw: bytes) -> tuple[Header, list[Part], list[str]]:
    """The header of the message, its leaves in order, and what is wrong with it."""
    warnings: dict[str, None] = {}
    top = Header(())
    leaves: list[Part] = []
    waiting = [(0, len(raw), 0)]
    while waiting:
        start, end, depth = waiting.pop()
        header, body = read_header(raw, start, end, warnings)
        if depth == 0:
            top = header
        if header.content_type.startswith("multipart/"):
            spans = None if depth >= MAX_DEPTH else _spans(raw, body, end, header, warnings)
            if depth >= MAX_DEPTH:
                warnings[f"The parts are nested more than {MAX_DEPTH} deep; the rest is one attachment."] = (
                    None
                )
            if spans is not None:
                waiting.extend((s, e, depth + 1) for s, e in reversed(spans))
                continue
        if len(leaves) == MAX_PARTS:
            warnings[f"There are more than {MAX_PARTS} parts; the rest is only in the source."] = None
            break
        leaves.append(Part(header, body, end))
    return top, leaves, list(warnings)


def read_header(raw: bytes, start: int, end: int, warnings: dict[str, None]) -> tuple[Header, int]:
    """The header that begins at ``start``, and where the body after it begins."""
    fields: list[tuple[str, list[bytes]]] = []
    at = start
    limit = min(end, start + MAX_HEADER)
    while at < end:
        stop = raw.find(b"\n", at, end) + 1 or end
        line = raw[at : min(stop, at + MAX_VALUE)]
        if line in (b"\r\n", b"\n"):
            at = stop
            break
        if line[:1] in b" \t" and fields:
            fields[-1][1].append(line)
        elif match := _FIELD.match(line):
            fields.append((match[1].decode("ascii"), [line[match.end() :]]))
        elif not (line.startswith(b"From ") and not fields):
            if fields:
                warnings["The header is not followed by an empty line."] = None
            break
        if stop > limit or len(fields) > MAX_FIELDS:
            warnings["The header is too long to be read to its end."] = None
            at = raw.find(b"\r\n\r\n", stop, end) + 4
            at = at if at > 3 else end
            break
        at = stop
    return Header(tuple((name, _unfolded(lines)) for name, lines in fields)), at


def _unfolded(lines: list[bytes]) -> str:
    value = b"".join(line.rstrip(b"\r\n") for line in lines)[:MAX_VALUE]
    return decode_text(value, None).strip()


def _spans(
    raw: bytes, start: int, end: int, header: Header, warnings: dict[str, None]
) -> list[tuple[int, int]] | None:
    """Where the parts of a multipart lie; None when its boundary never appears."""
    boundary = header.parameter("content-type", "boundary")
    if not boundary:
        warnings["A multipart names no boundary; it is shown whole."] = None
        return None
    spans: list[tuple[int, int]] = []
    opened: int | None = None
    for line_start, line_end, last in _delimiters(raw, start, end, boundary):
        if opened is not None:
            spans.append((opened, max(opened, line_start)))
        opened = None if last else line_end
        if last or len(spans) > MAX_PARTS:
            break
    else:
        if opened is None:
            warnings["The boundary of a multipart never appears; it is shown whole."] = None
            return None
        warnings["A multipart has no end: the message may be cut short."] = None
        spans.append((opened, end))
    return spans


def _delimiters(raw: bytes, start: int, end: int, boundary: str) -> Iterator[tuple[int, int, bool]]:
    """Each delimiter line: where the line end before it begins, where it ends, whether it is the last."""
    # A literal first: the regex engine then skips through a large attachment quickly.
    pattern = re.compile(re.escape(b"--" + boundary.encode("utf-8", "replace")) + rb"(--)?[ \t]*(?:\r?\n|\Z)")
    for match in pattern.finditer(raw, start, end):
        at = match.start()
        if at == start:
            yield at, match.end(), match[1] is not None
        elif raw[at - 1] == 10:
            before = at - 2 if raw[at - 2 : at] == b"\r\n" else at - 1
            yield before, match.end(), match[1] is not None
