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
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto

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


@dataclass(frozen=True, slots=True)
class Command:
    """One command line, without its CRLF. ``ends_group``: nothing goes out behind it before its reply."""

    line: bytes
    phase: Phase
    ends_group: bool = False

    def __repr__(self) -> str:
        """Without what a login says: it may end up in a traceback."""
        line = b"***" if self.phase is Phase.AUTH else self.line
        return f"Command({line!r}, {self.phase.value})"


@dataclass(frozen=True, slots=True)
class Answer:
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
        for command in commands:
            self._check(command)
            self._waiting.append(command)
        return b"".join(command.line + b"\r\n" for command in commands)

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
                answers.append(self._answer(reply))  # noqa: PERF401 - those before a breach have to stay
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

    def _answer(self, reply: Reply) -> Answer:
        if self._waiting:
            return Answer(self._waiting.popleft().phase, reply)
        if reply.code == 421:
            raise ServerRefused("The server closes the connection.", reply=reply)
        raise ProtocolViolation(
            "The server sent a reply that nothing asked for.",
            hint="From here on its replies cannot be told apart. Look at what stands between you and it.",
            reply=reply,
        )

    def _check(self, command: Command) -> None:
        if self.violation:
            raise ValueError("the connection is over")
        line = command.line
        limit = MAX_AUTH_LINE if command.phase is Phase.AUTH else MAX_COMMAND
        if b"\r" in line or b"\n" in line or b"\0" in line or len(line) > limit:
            raise ValueError("a command is one line, without NUL, and not too long")
        if self._waiting and not self._may_follow:
            raise ValueError("this command has to wait for the reply to the one before")

    @property
    def _may_follow(self) -> bool:
        """Rule 3."""
        return "PIPELINING" in self.capabilities.keywords and not self._waiting[-1].ends_group


_CONTENT = Command(b".", Phase.DOT)
