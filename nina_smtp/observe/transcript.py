"""What was said in a session: the opening of every connection, and what belongs to one mail, if wanted.

The rules:

1. A mail's transcript has its own commands and the replies to them, behind the opening of the connection it
   was on. On a connection that carries several at a time nothing of another mail is in it.
2. A login is ``***``: everything but the mechanism's name, and whatever the server says while it asks.
3. The content is a number of octets.
4. What a server says is redacted and escaped, as everywhere (:mod:`nina_smtp.smtp.replies`).
5. It is bounded, however many recipients there are and whatever the server says.

A line is ``milliseconds C: what the client said``, ``S:`` for the server, ``*`` for what happened besides.
The time counts from the beginning of the connection. Every attempt begins with a line ``# attempt 1, …``.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from itertools import count
from time import monotonic
from typing import TYPE_CHECKING

from nina_smtp.observe.text import shown
from nina_smtp.secret import MASK
from nina_smtp.smtp.phase import Phase
from nina_smtp.smtp.replies import MAX_SHOWN, Reply, escaped

if TYPE_CHECKING:
    from nina_smtp.errors import NinaError
    from nina_smtp.smtp.mail import Shipment
    from nina_smtp.smtp.protocol import Answer, Command
    from nina_smtp.smtp.server import Server

MAX_LINES = 1000
MAX_RECIPIENTS = 100
"""Recipients of one mail whose commands and replies are shown."""
_LAST = 100  # of the lines, those at the end: they say how it ended
_MAX_OPENING = 200
_MAX_REPLY = 50  # lines of one reply

_OPENING = frozenset({Phase.GREETING, Phase.EHLO, Phase.TLS, Phase.AUTH, Phase.NOOP})
_numbers = count(1)


class Opening:
    """How one connection was opened. It is always kept: a few lines for each."""

    def __init__(self, server: Server) -> None:
        self.number = next(_numbers)
        """Of the connection, in this process."""
        self.server = server
        self.lines: list[str] = []
        self._began = monotonic()
        now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        self.title = f"connection {self.number} to {shown(server.host)} port {server.port}, begun {now}"

    def said(self, commands: Iterable[Command]) -> None:
        """The client wrote these. Only what opens a session is kept."""
        for command in commands:
            if command.phase in _OPENING:
                self._add(self.client(command))

    def heard(self, answer: Answer) -> None:
        """The server answered."""
        if answer.phase in _OPENING:
            for line in self.replied(answer):
                self._add(line)

    def note(self, text: str) -> None:
        """Something else happened."""
        self._add(self.happened(text))

    def failed(self, error: NinaError) -> tuple[str, ...]:
        """It could not be opened: all there is to say, the title first."""
        self.note(f"failed: {error.message}")
        return (self.title, *self.lines)

    def client(self, command: Command) -> str:
        """The line for ``command``."""
        if command.phase is Phase.AUTH:
            text = _masked_login(command.line)
        else:
            text = escaped(self.server.redactor(command.line))[:MAX_SHOWN]
        return f"{self._time()} C: {text}"

    def replied(self, answer: Answer) -> Iterator[str]:
        """The lines of a reply."""
        time, (phase, reply) = self._time(), answer
        if phase is Phase.AUTH and 300 <= reply.code < 400:  # a challenge may be what was said, in any form
            reply = Reply(reply.code, (MASK,))
        lines = reply.lines[:_MAX_REPLY]
        for index, line in enumerate(lines):
            mark = " " if index == len(reply.lines) - 1 else "-"
            yield f"{time} S: {reply.code}{mark}{line[:MAX_SHOWN]}".rstrip()
        if len(reply.lines) > len(lines):
            yield f"{time} S: … {len(reply.lines) - len(lines):,} lines more"

    def happened(self, text: str) -> str:
        """The line for what happened besides."""
        return f"{self._time()} *  {shown(text)[:MAX_SHOWN]}"

    def counted(self, side: str, text: str) -> str:
        """The line for what is not shown one by one."""
        return f"{self._time()} {side}: {text}"

    def _add(self, line: str) -> None:
        if len(self.lines) < _MAX_OPENING:
            self.lines.append(line)

    def _time(self) -> str:
        return f"{(monotonic() - self._began) * 1000:>8.0f}"


class Script:
    """What was said for one mail, over all its attempts."""

    def __init__(self) -> None:
        self._opening: Opening | None = None
        self._attempts = 0
        self._first: list[str] = []
        self._last: deque[str] = deque(maxlen=_LAST)
        self._left_out = 0
        self._named = self._answered = 0  # recipients
        self._unsaid = self._unheard = 0  # of those, what is not shown yet

    def begin(self, opening: Opening) -> None:
        """It goes out on this connection now."""
        if opening is not self._opening:
            self._opening = opening
            self._new_attempt(opening.title, opening.lines)

    def not_opened(self, lines: tuple[str, ...]) -> None:
        """No connection could be opened for it; ``lines`` say how that went."""
        if lines:
            self._new_attempt(lines[0], lines[1:])

    def said(self, commands: Iterable[Command]) -> None:
        """The client wrote these for it."""
        assert self._opening
        for command in commands:
            if command.phase is Phase.RCPT:
                self._named += 1
                if self._named > MAX_RECIPIENTS:
                    self._unsaid += 1
                    continue
            self._add(self._opening.client(command))

    def content(self, size: int, *, chunked: bool) -> None:
        """Its content is out, ``size`` octets before dots are doubled; 0: the lone dot that sends nothing."""
        assert self._opening
        if chunked:
            self._add(self._opening.counted("C", f"BDAT {size} LAST"))
        self._add(self._opening.counted("C", f"<{size:,} octets>" if size else "."))

    def heard(self, answer: Answer) -> None:
        """The server answered one of its commands."""
        assert self._opening
        if answer.phase is Phase.RCPT:
            self._answered += 1
            if self._answered > MAX_RECIPIENTS:
                self._unheard += 1
                return
        for line in self._opening.replied(answer):
            self._add(line)

    def note(self, text: str) -> None:
        """Something else happened to it."""
        assert self._opening
        self._add(self._opening.happened(text))

    def ended(self, error: NinaError | None) -> None:
        """Its fate is known. The error's message is in the result; here it might be about another mail."""
        if error:
            self.note(f"{error.type}{f' in phase {error.phase}' if error.phase else ''}")

    def lines(self) -> tuple[str, ...]:
        """All of it."""
        self._count()
        between = (f"         … {self._left_out:,} lines more",) if self._left_out else ()
        return (*self._first, *between, *self._last)

    def _new_attempt(self, title: str, lines: Iterable[str]) -> None:
        self._count()
        self._attempts += 1
        self._named = self._answered = 0
        self._put(f"# attempt {self._attempts}, {title}")
        for line in lines:
            self._put(line)

    def _add(self, line: str) -> None:
        if self._unsaid or self._unheard:
            self._count()
        self._put(line)

    def _count(self) -> None:
        """Says how many recipients were left out."""
        opening = self._opening
        if opening and self._unsaid:
            self._put(opening.counted("C", f"… {self._unsaid:,} recipients more"))
        if opening and self._unheard:
            self._put(opening.counted("S", f"… {self._unheard:,} replies to recipients more"))
        self._unsaid = self._unheard = 0

    def _put(self, line: str) -> None:
        if len(self._first) < MAX_LINES - _LAST:
            self._first.append(line)
            return
        self._left_out += len(self._last) == _LAST
        self._last.append(line)


def script_of(shipment: Shipment, opening: Opening) -> Script:
    """The script of a mail that goes out on a connection now."""
    script = shipment.script = shipment.script or Script()
    script.begin(opening)
    return script


def script_of_failure(shipment: Shipment, error: NinaError) -> tuple[str, ...]:
    """The transcript of a mail for which no connection could be opened."""
    if not shipment.transcript_wanted:
        return ()
    script = shipment.script = shipment.script or Script()
    script.not_opened(error.transcript)
    return script.lines()


def attempts(transcript: Iterable[str]) -> list[list[str]]:
    """The transcript of each attempt by itself."""
    found: list[list[str]] = []
    for line in transcript:
        if line.startswith("# ") or not found:
            found.append([])
        found[-1].append(line)
    return found


def _masked_login(line: bytes) -> str:
    """``AUTH LOGIN ***``; what follows is ``***``."""
    verb, _, rest = line.partition(b" ")
    if verb != b"AUTH":
        return MASK
    mechanism, found, _ = rest.partition(b" ")
    return f"AUTH {escaped(mechanism)}{' ' + MASK if found else ''}"
