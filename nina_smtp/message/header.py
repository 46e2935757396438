"""Header fields: folded (RFC 5322 2.2.3), encoded (RFC 2047), with parameters (RFC 2231).

Every function returns one whole field without its final CRLF. The rules:

1. A value is text and stays that text: it is never decoded, so ``=?utf-8?Q?=0A?=`` in a subject arrives as
   those characters. Whatever a reader could take for something else is written as encoded words.
2. CR, LF, NUL and the other C0 controls are refused, but for those that some libraries take for line ends
   (VT, FF, FS, GS, RS, NEL, U+2028, U+2029) and TAB: they are encoded.
3. Lines are 78 octets where the value allows it (76 with encoded words), and never more than 998.
"""

from __future__ import annotations

import re
from binascii import b2a_base64, b2a_qp
from collections.abc import Iterable, Sequence
from functools import lru_cache

from nina_smtp.errors import ParameterError
from nina_smtp.message.mailbox import Mailbox

LINE = 78
ENCODED_LINE = 76  # RFC 2047 section 2: a line with an encoded word
HARD_LIMIT = 998
MAX_VALUE = 64 * 1024  # characters; servers refuse headers far smaller

_FEW = 8  # mailboxes in a header that is remembered
_FOLD = "\r\n "
_REFUSED = re.compile(r"[\x00-\x08\n\r\x0e-\x1b\x1f\x7f\ud800-\udfff]")
_NOT_PLAIN = re.compile(r"[^ -~]|=\?|  |^ | $")
_LOOKS_ENCODED = re.compile(r"=\?|\?=")
_FIELD_NAME = re.compile(
    r"[!-9;-~]{1,76}"
)  # RFC 5322 3.6.8 ftext, and short enough to leave room on its line
_ATOMS = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?: [A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*")
_Q_SAFE = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789!*+-/")
_Q = {o: "_" if o == 0x20 else f"={o:02X}" for o in range(256) if o not in _Q_SAFE}
_QUOTABLE = r"[A-Za-z0-9!#$&+@^`{}~.,;()<>\[\]=?:/-]+"
_PLAIN_PARAMETER = re.compile(rf"{_QUOTABLE}(?: {_QUOTABLE})*")
_TOKEN = re.compile(r"[A-Za-z0-9!#$&+^_`{}~.-]+")
_ATTRIBUTE_SAFE = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789!#$&+^_`{}~.-")
_ATTRIBUTE = tuple(chr(o) if o in _ATTRIBUTE_SAFE else f"%{o:02X}" for o in range(256))

RESERVED = frozenset(
    """
    from sender to cc bcc reply-to subject date message-id in-reply-to references mime-version importance
    x-priority x-msmail-priority received return-path delivered-to dkim-signature domainkey-signature
    authentication-results received-spf lc-signature x-nina-signature
    """.split()  # noqa: SIM905 - a text of names reads better than a list of quotes
)
RESERVED_PREFIXES = ("content-", "resent-", "arc-")
_HAS_PARAMETER = {
    "from": "from", "to": "to", "cc": "cc", "bcc": "bcc", "reply-to": "replyTo", "subject": "subject",
    "message-id": "messageId", "in-reply-to": "inReplyTo", "references": "references",
    "importance": "importance", "x-priority": "importance", "x-msmail-priority": "importance",
    "content-type": "contentType", "return-path": "envelopeFrom",
    "lc-signature": "secretKey of the credential",
}  # fmt: skip


def check_text(value: str, what: str = "It") -> str:
    """``value`` itself. Raises ParameterError if a header may not hold it."""
    if len(value) > MAX_VALUE:
        raise ParameterError(
            f"{what} has {len(value)} characters; {MAX_VALUE} are allowed.",
            hint="Put it in the body or a file.",
        )
    if bad := _REFUSED.search(value):
        code = f"U+{ord(bad.group()):04X}"
        hint = (
            "A header is one line: remove the line break."
            if bad.group() in "\r\n"
            else "Remove the character."
        )
        raise ParameterError(f"{what} holds {code} at position {bad.start()}.", hint=hint)
    return value


def unstructured(name: str, value: str) -> str:
    """``Subject: …`` and the like. A reader gets exactly ``value`` back."""
    plain = not _NOT_PLAIN.search(value)
    if plain and len(name) + 2 + len(value) <= LINE:
        return f"{name}: {value}"
    check_text(value, name)
    if not plain or max(map(len, value.split(" "))) > HARD_LIMIT - LINE:
        return f"{name}: {_FOLD.join(encoded_words(value, len(name) + 2, phrase=False))}"
    return _folded(f"{name}: ", value.split(" "))


def custom(name: str, value: str) -> str:
    """A header of the user's own. Raises ParameterError for a name that is malformed or reserved."""
    _check_name(name)
    return unstructured(name, value)


@lru_cache(maxsize=1024)
def _check_name(name: str) -> None:
    if not _FIELD_NAME.fullmatch(name):
        raise ParameterError(
            f"{name[:80]!a} is not a header name.",
            hint="1 to 76 printable ASCII characters, no space and no colon.",
        )
    lower = name.lower()
    if lower in RESERVED or lower.startswith(RESERVED_PREFIXES):
        parameter = _HAS_PARAMETER.get(lower)
        hint = f"Use {parameter}." if parameter else "It is written by us, or by the servers on the way."
        raise ParameterError(f"{name} is a reserved header.", hint=hint)


def addresses(name: str, mailboxes: Sequence[Mailbox], *, utf8: bool = False) -> str:
    """``To: …`` and the like. With ``utf8`` (RFC 6532) a UTF-8 local part is written as it is.

    Without it such a mailbox, which the server cannot be given either, is shown as an empty group named after
    it (RFC 6857 3.1.8), so that the other recipients can still read who was meant.
    """
    if len(mailboxes) <= _FEW:  # the same few people get mail after mail
        return _written_addresses(name, tuple(mailboxes), utf8)
    return _written_addresses.__wrapped__(name, tuple(mailboxes), utf8)


@lru_cache(maxsize=1024)
def _written_addresses(name: str, mailboxes: tuple[Mailbox, ...], utf8: bool) -> str:
    start = f"{name}: "
    ordered: Sequence[Mailbox] = mailboxes
    if not utf8 and not all(box.local_part.isascii() for box in mailboxes):
        # Groups come last: some readers take what follows one for a part of it.
        ordered = sorted(mailboxes, key=lambda box: not box.local_part.isascii())
    shown = [_mailbox(box, len(start) if index == 0 else 1, utf8) for index, box in enumerate(ordered)]
    if len(shown) == 1:
        return start + shown[0]
    limit = ENCODED_LINE if any("=?" in text for text in shown) else LINE
    return _folded(start, [f"{text}," for text in shown[:-1]] + shown[-1:], limit)


def identifiers(name: str, ids: Iterable[str]) -> str:
    """``References: …`` and the like, from msg-ids in angle brackets."""
    return _folded(f"{name}: ", list(ids))


def parameterized(name: str, value: str, parameters: Iterable[tuple[str, str]]) -> str:
    """``Content-Type: text/csv; name=…``: parameters as tokens or quoted strings, else by RFC 2231."""
    parts = [f"{piece};" for key, text in parameters for piece in _parameter(key, text)]
    if not parts:
        return f"{name}: {value}"
    return _folded(f"{name}: ", [f"{value};", *parts[:-1], parts[-1][:-1]])


def encoded_words(text: str, used: int, *, phrase: bool = True) -> list[str]:
    """``text`` as encoded words (RFC 2047) of at most 75 characters; ``used`` columns of the line are taken.

    Cut between characters, never inside one. Q where it is the shorter form (Latin scripts), else B. In a
    ``phrase``, a display name, more has to be encoded than elsewhere (section 5).
    """
    data = text.encode()
    if phrase:
        quoted = data.decode("latin-1").translate(_Q)
    else:
        quoted = b2a_qp(data, quotetabs=True, header=True).replace(b"=\n", b"").replace(b"?", b"=3F").decode()
    if len(quoted) > len(data) * 4 // 3 + 4:
        return _b_words(data, used)
    if len(quoted) <= ENCODED_LINE - used - 12:
        return [f"=?utf-8?q?{quoted}?="]
    return _q_words(quoted, used)


def _b_words(data: bytes, used: int) -> list[str]:
    words: list[str] = []
    position, room = 0, max((ENCODED_LINE - used - 12) // 4 * 3, 6)
    while position < len(data):
        end = min(position + room, len(data))
        while end < len(data) and data[end] & 0xC0 == 0x80:
            end -= 1
        words.append(f"=?utf-8?b?{b2a_base64(data[position:end], newline=False).decode()}?=")
        position, room = end, 45
    return words


def _q_words(quoted: str, used: int) -> list[str]:
    words: list[str] = []
    position, room, length = 0, max(ENCODED_LINE - used - 12, 12), len(quoted)
    while position < length:
        end = position + room
        if end < length:
            if "=" in (mark := quoted[end - 2 : end]):  # inside =XX
                end -= 2 - mark.index("=")
            while quoted[end] == "=" and quoted[end + 1] in "89AB":  # inside a character
                end -= 3
        words.append(f"=?utf-8?q?{quoted[position:end]}?=")
        position, room = end, ENCODED_LINE - 13
    return words


@lru_cache(maxsize=1024)
def _mailbox(mailbox: Mailbox, used: int, utf8: bool) -> str:
    if not utf8 and not mailbox.local_part.isascii():
        return f"{_FOLD.join(encoded_words(str(mailbox), used))}{_FOLD}:;"
    name = mailbox.display_name
    if not name:
        return mailbox.address
    if len(name) < LINE - 12 and not _NOT_PLAIN.search(name):
        if not _ATOMS.fullmatch(name):
            # A long quoted string is not written: some readers lose its quotes when they fold it again.
            escaped = name.replace("\\", "\\\\").replace('"', '\\"')
            name = f'"{escaped}"'
        fits = used + len(name) + len(mailbox.address) + len(" <>,") <= LINE
        return f"{name}{' ' if fits else _FOLD}<{mailbox.address}>"
    return f"{_FOLD.join(encoded_words(name, used))}{_FOLD}<{mailbox.address}>"


def _parameter(key: str, text: str) -> list[str]:
    if len(text) < LINE - 20 and not _LOOKS_ENCODED.search(text):
        if _TOKEN.fullmatch(text):
            return [f"{key}={text}"]
        if _PLAIN_PARAMETER.fullmatch(text):
            return [f'{key}="{text}"']
    encoded = ["".join(map(_ATTRIBUTE.__getitem__, character.encode())) for character in text]
    sections = _sections(encoded, LINE - len(key) - 16)
    if len(sections) == 1:
        return [f"{key}*=utf-8''{sections[0]}"]
    first, *rest = sections
    return [f"{key}*0*=utf-8''{first}"] + [f"{key}*{n}*={section}" for n, section in enumerate(rest, 1)]


def _sections(pieces: list[str], room: int) -> list[str]:
    sections = [""]
    for piece in pieces:
        if len(sections[-1]) + len(piece) > room:
            sections.append("")
        sections[-1] += piece
    return sections


def _folded(start: str, words: list[str], limit: int = LINE) -> str:
    """Joins ``words``, with a line break for the space wherever a line would get longer than ``limit``.

    Never before the first word: a line of the field name alone is legal, but some readers drop it.
    """
    lines: list[str] = []
    line = start + words[0]
    width = len(line) - line.rfind("\n") - 1
    for word in words[1:]:
        first_line = word.find("\r")
        if width + 1 + (len(word) if first_line < 0 else first_line) > limit:
            lines.append(line)
            line, width = word, 1
        else:
            line += f" {word}"
            width += 1
        width = len(word) - word.rfind("\n") - 1 if first_line >= 0 else width + len(word)
    lines.append(line)
    return _FOLD.join(lines)
