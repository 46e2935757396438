"""The client's side of an SMTP connection, without I/O: commands out, replies matched to them.

The rules:

1. Every command gets one reply, in order (RFC 5321 4.1.4). The greeting answers the connection itself.
2. A reply that no command waits for ends the session: from then on replies cannot be told apart. A 421 says
   that the server is closing (RFC 5321 3.8); anything else is a violation.
3. A command may be written while others wait only if PIPELINING is offered in this TLS session, and never
   behind EHLO, STARTTLS, AUTH, DATA, NOOP or QUIT, which end their group (RFC 2920 3.1).
4. A command is one line: no CR, LF or NUL, at most 512 octets (4.5.3.1.4), 12288 for AUTH (RFC 4954 4) and,
   with an internationalised address, MAIL and RCPT as much longer as their extensions allow.
5. After the 220 to STARTTLS nothing may be left of the clear text: what was injected there would be taken for
   an answer inside TLS (CVE-2011-0411). Whatever EHLO said before is forgotten.
6. Message content is no command: its one reply is that to its last octet. It is the first of a group: the
   next message's MAIL, RCPT and DATA may be written behind it (RFC 2920 3.1). Behind DATA it waits for all
   replies; as a chunk, behind BDAT (RFC 3030), it may be written while others wait, by rule 3.

States::

    WAITING  commands are outstanding          IDLE  none is            OVER  the connection is of no more use
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from enum import Enum, auto
from functools import partial
from typing import Any, NamedTuple, cast

from nina_smtp.errors import NinaError, ProtocolViolation, ServerRefused, TlsRequired
from nina_smtp.smtp.capabilities import Capabilities
from nina_smtp.smtp.phase import Phase
from nina_smtp.smtp.replies import Reply, ReplyParser

MAX_COMMAND = 512 + 1024  # RFC 5321 4.5.3.1.4, and room for the parameters of SIZE, BODY and SMTPUTF8
MAX_AUTH_LINE = 12288


class State(Enum):
    """Whether replies are outstanding."""

    WAITING = auto()
    IDLE = auto()
    OVER = auto()


class Command(NamedTuple):
    """One command line, without its CRLF. ``ends_group``: nothing goes out behind it before its reply."""

    line: bytes
    phase: Phase
    ends_group: bool = False

    def __repr__(self) -> str:
        """Without what a login says: it may end up in a traceback."""
        line = b"***" if self.phase is Phase.AUTH else self.line
        return f"Command({line!r}, {self.phase.value})"


class Answer(NamedTuple):
    """A reply, and the phase of what it answers."""

    phase: Phase
    reply: Reply


class Protocol:
    """One connection. Octets to write come out of ``send``, octets read go into ``receive``."""

    def __init__(self, redact: Callable[[bytes], bytes] = bytes) -> None:
        self._redact = redact
        self._parser = ReplyParser(redact)
        self._waiting: deque[Command] = deque([Command(b"", Phase.GREETING, ends_group=True)])
        self.violation: NinaError | None = None
        self.capabilities = Capabilities()

    @property
    def state(self) -> State:
        """Whether replies are outstanding."""
        if self.violation:
            return State.OVER
        return State.WAITING if self._waiting else State.IDLE

    @property
    def phase(self) -> Phase | None:
        """The phase of the oldest command that waits for its reply."""
        return self._waiting[0].phase if self._waiting else None

    def send(self, *commands: Command) -> bytes:
        """The octets of ``commands``, to be written at once. Raises ValueError where a rule forbids it."""
        if self.violation:
            raise ValueError("the connection is over")
        if self._waiting and not self._may_follow:
            raise ValueError("this command has to wait for the reply to the one before")
        octets = b"\r\n".join([*[command.line for command in commands], b""])
        _check_lines(commands, octets)
        if len(commands) > 1:
            self._check_group(commands)
        self._waiting.extend(commands)
        return octets

    def content_written(self, *, chunked: bool = False) -> None:
        """The last octet of a message goes out now: one more reply is to come."""
        if self.violation or (self._waiting and not (chunked and self._may_follow)):
            raise ValueError("content is only written when no reply is outstanding")
        self._waiting.append(_CONTENT)

    def receive(self, data: bytes | bytearray | memoryview) -> list[Answer]:
        """The answers complete with ``data``. If a rule is broken, ``violation`` says how; all is over.

        Answers that came before the breach still count: a 250 followed by nonsense is a 250.
        """
        answers: list[Answer] = []
        if self.violation:
            return answers
        try:
            for reply in self._parser.feed(data):
                if not self._waiting:
                    raise _unasked(reply)
                answers.append(_answer((self._waiting.popleft().phase, reply)))
        except (ProtocolViolation, ServerRefused) as error:
            error.phase = error.phase or (self.phase.value if self.phase else None)
            self.violation = error
        return answers

    def start_tls(self) -> None:
        """The 220 to STARTTLS was read and TLS begins. Raises TlsRequired if clear text was left over."""
        if self.violation or not self._parser.idle or self._waiting:
            self.violation = TlsRequired(
                "The server, or somebody between, sent clear text behind its answer to STARTTLS.",
                hint="Somebody may be tampering with the connection. Nothing secret was sent. "
                "Use encryption tls.",
                phase=Phase.TLS.value,
            )
            raise self.violation
        self.capabilities = Capabilities()

    def _check_group(self, commands: Sequence[Command]) -> None:
        if "PIPELINING" not in self.capabilities.keywords:
            raise ValueError("without PIPELINING each command waits for the reply to the one before")
        for command in commands[:-1]:
            if command.ends_group:
                raise ValueError("nothing may be written behind a command that ends its group")

    @property
    def _may_follow(self) -> bool:
        """Rule 3."""
        return "PIPELINING" in self.capabilities.keywords and not self._waiting[-1].ends_group


def _unasked(reply: Reply) -> NinaError:
    """Rule 2."""
    if reply.code == 421:
        return ServerRefused("The server closes the connection.", reply=reply)
    return ProtocolViolation(
        "The server sent a reply that nothing asked for.",
        hint="From here on its replies cannot be told apart. Look at what stands between you and it.",
        reply=reply,
    )


def _check_lines(commands: Sequence[Command], octets: bytes) -> None:
    """Rule 4, of all lines at once: a line end within one would be one too many."""
    count = len(commands)
    if octets.count(b"\r") != count or octets.count(b"\n") != count or b"\0" in octets:
        raise ValueError("a command is one line, without NUL")
    if len(octets) > MAX_COMMAND:
        for command in commands:
            if len(command.line) > (MAX_AUTH_LINE if command.phase is Phase.AUTH else MAX_COMMAND):
                raise ValueError("a command is one line, and not too long")


# A named tuple's own constructor is a Python function, which costs as much as all else about a reply.
_answer = cast(Callable[[tuple[Phase, Reply]], Answer], partial(cast(Any, tuple).__new__, Answer))
_CONTENT = Command(b".", Phase.DOT)
