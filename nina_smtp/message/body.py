"""Text parts: canonical line ends, and the transfer encoding that changes nothing (RFC 2045 section 6).

What is given is what a reader decodes; only line ends are made CRLF, because that is what a line end is in
mail, and a body that is text alone ends with one. 7bit is used for text that survives every relay as it is:
ASCII, lines of at most 78 octets, no trailing white space, no line starting with ``From``. Otherwise
quoted-printable, or base64 where that is shorter. 8bit is used only inside a message that needs SMTPUTF8
anyway, since that implies 8BITMIME (RFC 6531 3.1).
"""

from __future__ import annotations

import re
from binascii import b2a_base64, b2a_qp
from typing import NamedTuple

from nina_smtp.errors import ParameterError

BOUNDARY_PREFIX = b"=_nina_"  # quoted-printable and base64 cannot hold it; text that does is not sent as 7bit
SOFT_LIMIT = 78
_HARD_LIMIT = 998

_PLAIN = bytes(range(0x20, 0x7F)) + b"\t\r\n"
_TOO_LONG = re.compile(rb"^(.{74})(?==(?:20|09)\r$)", re.MULTILINE)  # b2a_qp makes 77 octets of these
_LINE_FROM = re.compile(rb"^From ", re.MULTILINE)


class EncodedText(NamedTuple):
    """A text body: the value of Content-Transfer-Encoding, and the octets, with CRLF line ends."""

    encoding: str
    octets: bytes


def canonical(text: str) -> bytes:
    """``text`` in UTF-8 with CRLF line ends. Raises ParameterError for a lone surrogate: it has no UTF-8."""
    try:
        data = text.encode()
    except UnicodeEncodeError as error:
        raise ParameterError(
            f"The text holds a lone surrogate (U+{ord(text[error.start]):04X}) at position {error.start}.",
            hint="It was cut in the middle of a character: fix it upstream.",
        ) from None
    if b"\r" in data:
        data = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    return data.replace(b"\n", b"\r\n")


def encode_text(
    text: str, *, allow_8bit: bool = False, alone: bool = False, signed: bool = False
) -> EncodedText:
    """Encodes one text part. ``alone``: it is the whole body, which on the wire has to end with a line end.

    A text that does not gets one, as from every mailer; if it is ``signed``, base64 keeps it to the octet.
    """
    data = canonical(text)
    if alone and not data.endswith(b"\r\n"):
        if signed:
            return EncodedText("base64", _base64_lines(data))
        data += b"\r\n"
    if encoding := _as_it_is(data, allow_8bit):
        return EncodedText(encoding, data)
    # A character beyond ASCII adds one to three octets in UTF-8 and four to eight more in quoted-printable:
    # that beats base64's third as long as there are few of them. Line ends that became CRLF do not count.
    if (len(data) - len(text)) * 10 > len(data) and _beyond(data, text) * 10 > len(data):
        return EncodedText("base64", _base64_lines(data))
    # The line end makes it break lines with CRLF; it has to be there even in a text of one line.
    quoted = b2a_qp(data + b"\r\n", istext=True)
    if b"=20\r\n" in quoted or b"=09\r\n" in quoted:
        quoted = _TOO_LONG.sub(rb"\1=\r\n", quoted)
    quoted = quoted[:-2]
    if b"From " in quoted:
        quoted = _LINE_FROM.sub(b"=46rom=\r\n ", quoted)
    return EncodedText("quoted-printable", quoted)


def _beyond(data: bytes, text: str) -> int:
    return len(data) - data.count(b"\r\n") - len(text) + text.count("\r\n")


def _as_it_is(data: bytes, allow_8bit: bool) -> str | None:
    """``7bit`` or ``8bit`` if the data can go without an encoding."""
    if not allow_8bit and not data.isascii():
        return None
    if _has_trailing_space(data):
        return None
    limit = _HARD_LIMIT if allow_8bit else SOFT_LIMIT
    if len(data) > limit and max(map(len, data.split(b"\r\n"))) > limit:
        return None
    if (b"From " in data and _LINE_FROM.search(data)) or BOUNDARY_PREFIX in data:
        return None
    controls = data.translate(None, _PLAIN)
    if not controls:
        return "7bit"
    return "8bit" if allow_8bit and min(controls) >= 0x80 else None


def _has_trailing_space(data: bytes) -> bool:
    return b" \r\n" in data or b"\t\r\n" in data or data.endswith((b" ", b"\t"))


def _base64_lines(data: bytes) -> bytes:
    return b"".join(
        b2a_base64(data[start : start + 57], newline=False) + b"\r\n" for start in range(0, len(data), 57)
    )
