"""Replies (RFC 5321 4.2), read from octets that may come in any pieces and from anybody.

A line is at most 2048 octets, a reply at most 64 KiB; a line may end with a bare LF. What is not a reply
raises ProtocolViolation, and nothing else is ever raised. Text is redacted and escaped here, once, so that no
other module can show a secret or a control character that a server sent.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from nina_smtp.errors import ProtocolViolation
from nina_smtp.secret import MASK

MAX_LINE = 2048
MAX_REPLY = 64 * 1024
MAX_SHOWN = 500
MAX_KNOWN = 64

_HINT = "Check that host and port are those of a mail server."

_LINE = re.compile(rb"([2-5][0-9][0-9])(?:([ -])(.*))?", re.DOTALL)
_PREFIX = re.compile(rb"((?:[245]\.\d{1,3}\.\d{1,3}(?:\s|\Z))?)\s*(.*?)\s*\Z", re.DOTALL)
_ENHANCED = re.compile(r"([245])\.(\d{1,3})\.(\d{1,3})(?:\s|$)")


@dataclass(frozen=True, slots=True)
class Reply:
    """One reply: its code and the text of its lines, escaped."""

    code: int
    lines: tuple[str, ...]
    is_positive: bool = field(init=False, repr=False, compare=False)
    """2yz: done."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "is_positive", 200 <= self.code < 300)

    @property
    def is_transient(self) -> bool:
        """4yz: it may work later."""
        return 400 <= self.code < 500

    @property
    def enhanced_code(self) -> str | None:
        """The enhanced status code (RFC 2034), if there is one of the same class as the code."""
        found = _ENHANCED.match(self.lines[-1])
        return found.group().strip() if found and found.group(1) == str(self.code)[0] else None

    @property
    def text(self) -> str:
        """The text of all lines, the enhanced status code said once."""
        if len(self.lines) == 1:
            return self.lines[0]
        prefix = f"{self.enhanced_code} " if self.enhanced_code else ""
        return prefix + " ".join(line.removeprefix(prefix) for line in self.lines)

    def __str__(self) -> str:
        shown = f"{self.code} {self.text}".rstrip()
        return shown if len(shown) <= MAX_SHOWN else shown[: MAX_SHOWN - 1] + "…"


class ReplyParser:
    """Collects octets into replies. After it has raised it is of no more use: neither is the connection."""

    def __init__(self, redact: Callable[[bytes], bytes] = bytes) -> None:
        self._redact = redact
        self._buffer = b""
        self._code = 0
        self._lines: list[bytes] = []
        self._size = 0
        self._known: dict[bytes, Reply] = {}  # a server says the same few things to every mail

    @property
    def idle(self) -> bool:
        """Whether nothing of a next reply has come."""
        return not self._buffer and not self._lines

    def feed(self, data: bytes | bytearray | memoryview) -> Iterator[Reply]:
        """The replies that are complete with ``data``, one by one. Raises ProtocolViolation."""
        *lines, self._buffer = (self._buffer + data).split(b"\n")
        for line in lines:
            if not self._lines and (known := self._known.get(line)):
                yield known
            elif reply := self._line(line):
                yield reply
        if len(self._buffer) >= MAX_LINE:
            raise _too_long()

    def _line(self, raw: bytes) -> Reply | None:
        if len(raw) >= MAX_LINE:
            raise _too_long()
        line = raw.removesuffix(b"\r")
        found = _LINE.fullmatch(line)
        if not found:
            raise ProtocolViolation(
                f"The server sent what is not a reply: {escaped(self._redact(line))[:MAX_SHOWN]}",
                hint="TLS on a port that speaks plain text looks like this: check host, port and encryption."
                if line[:1] in (b"\x15", b"\x16")
                else _HINT,
            )
        code = int(found[1])
        self._size += len(line) + 2
        if self._size > MAX_REPLY:
            raise ProtocolViolation(
                f"The server sent a reply of more than {MAX_REPLY // 1024} KiB.", hint=_HINT
            )
        if self._lines and code != self._code:
            raise ProtocolViolation(
                f"The server sent a reply whose code changes from {self._code} to {code}.", hint=_HINT
            )
        self._code = code
        self._lines.append(found[3] or b"")
        if found[2] == b"-":
            return None
        reply = Reply(code, tuple(escaped(line) for line in self._redacted()))
        if len(self._lines) == 1 and len(self._known) < MAX_KNOWN:
            self._known[raw] = reply
        self._lines, self._size = [], 0
        return reply

    def _redacted(self) -> list[bytes]:
        """The lines without secrets: not even with one that the server broke over several of them."""
        lines = [self._redact(line) for line in self._lines]
        if len(lines) > 1:
            parts = [_PREFIX.match(line) for line in lines]
            whole = b"".join(part[2] for part in parts if part)
            if self._redact(whole) != whole:
                return [part[1] + MASK.encode() for part in parts if part]
        return lines


def _too_long() -> ProtocolViolation:
    return ProtocolViolation(f"The server sent a line of more than {MAX_LINE} octets.", hint=_HINT)


def escaped(octets: bytes) -> str:
    r"""Text to show: UTF-8 where it is; ``\x1b`` for what is not, for controls and invisible characters."""
    text = octets.decode("utf-8", "backslashreplace")
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
