"""Bytes of unknown origin to text: transfer encodings, charsets and encoded words, none of which can fail."""

from __future__ import annotations

import base64
import binascii
import codecs
import re

# Codecs of Python that are no charsets of mail, and slow or odd on hostile bytes.
_NOT_CHARSETS = {"idna", "punycode", "unicode_escape", "raw_unicode_escape", "undefined", "mbcs", "oem"}

_WORD = re.compile(r"=\?([\w.:+-]{1,40})(?:\*[\w-]{0,20})?\?([bBqQ])\?([^?]*)\?=")
_NOT_BASE64 = re.compile(rb"[^A-Za-z0-9+/]+")


def unicode_text(text: str) -> str:
    """The text without lone surrogates, so that it can be written as UTF-8."""
    return text.encode("utf-8", "surrogatepass").decode("utf-8", "replace")


def decode_text(data: bytes, charset: str | None) -> str:
    """The text in the charset named; without one that works, UTF-8, else Windows-1252."""
    codec = _codec(charset)
    if codec is not None:
        return unicode_text(data.decode(codec, "replace"))
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return data.decode("cp1252", "replace")


def _codec(charset: str | None) -> str | None:
    # US-ASCII with 8-bit bytes in it is a wrong label, not a message of question marks: guess instead.
    if not charset or charset.lower() in {"us-ascii", "ascii", "utf-8", "utf8", "unknown-8bit"}:
        return None
    try:
        name = codecs.lookup(charset).name
        b" ".decode(name, "replace")  # refuses codecs that are not from bytes to text, such as "hex"
    except (LookupError, ValueError, TypeError):
        return None
    return None if name in _NOT_CHARSETS else name


def decode_transfer(data: bytes, encoding: str) -> tuple[bytes, bool]:
    """The bytes behind a Content-Transfer-Encoding (RFC 2045 6), and whether they were encoded soundly."""
    if encoding == "base64":
        return decode_base64(data)
    if encoding == "quoted-printable":
        return binascii.a2b_qp(data), True
    return data, encoding in {"", "7bit", "8bit", "binary"}


def decode_base64(data: bytes) -> tuple[bytes, bool]:
    """The bytes behind base64; what is no base64 is left out, and then it was not sound."""
    compact = b"".join(data.split())
    try:
        return base64.b64decode(compact, validate=True), True
    except binascii.Error:
        letters = _NOT_BASE64.sub(b"", compact)
        letters = letters[: len(letters) - 1] if len(letters) % 4 == 1 else letters
        return base64.b64decode(letters + b"=" * (-len(letters) % 4)), False


def decode_words(value: str) -> str:
    """A header value with its encoded words decoded (RFC 2047).

    Neighbouring words of one charset are decoded together, because senders cut them inside a character.
    """
    out: list[str] = []
    held, held_charset, at = b"", "", 0
    for match in _WORD.finditer(value):
        gap = value[at : match.start()]
        charset = match[1].lower()
        data = _word(match[2], match[3])
        # White space between two encoded words is folding, not text.
        together = at and not gap.strip()
        if together and charset == held_charset:
            held += data
        else:
            out.append(decode_text(held, held_charset))
            out.append("" if together else gap)
            held, held_charset = data, charset
        at = match.end()
    out.append(decode_text(held, held_charset))
    out.append(value[at:])
    return "".join(out)


def _word(encoding: str, text: str) -> bytes:
    data = text.encode("utf-8", "replace")
    return decode_base64(data)[0] if encoding in "bB" else binascii.a2b_qp(data, header=True)
