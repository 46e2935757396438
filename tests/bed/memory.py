"""SMTP servers in memory: exact to the octet, on a clock that passes only while everybody waits.

    store = Store()
    run(lambda: work(...), lambda: Peer(store))

``run`` gives the client a loop of its own, whose connections are such peers, so that everything from the
socket's end upwards is the real client. No real time passes: a deadline that is waited for is there at once,
and a wait that nothing would ever end is an error.

A mail is named by the local part of its sender, and every reply to it says that name: a reply that is told to
another mail can be seen.
"""

import asyncio
import selectors
import socket
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import repeat
from typing import Any, TypeVar

T = TypeVar("T")

PIPELINED = ("PIPELINING", "SIZE 52428800", "8BITMIME", "ENHANCEDSTATUSCODES")
CHUNKED = (*PIPELINED, "CHUNKING")
ONE_BY_ONE = ("SIZE 52428800", "8BITMIME")
CLOSING = (b"421", b"521")
ALL = 1 << 30


@dataclass(frozen=True)
class Letter:
    """A mail that a server has taken."""

    name: str
    recipients: tuple[str, ...]
    content: bytes


@dataclass
class Store:
    """What became of mails, over all connections to one server."""

    taken: list[Letter] = field(default_factory=list)

    def copies(self, name: str) -> list[Letter]:
        return [letter for letter in self.taken if letter.name == name]

    def got(self, recipient: str) -> int:
        """How often ``recipient`` has a mail."""
        return sum(letter.recipients.count(recipient) for letter in self.taken)


@dataclass(frozen=True)
class Cut:
    """After so many octets came from the client, or went to it, from the first mail on, the server does this:

    close    it sends FIN behind what it has said      silence  it says nothing more
    reset    it sends RST, which outruns that          bye      it says 421 and closes
    junk     it says what is no reply, in one segment with what it has said
    """

    how: str
    received: int | None = None
    sent: int | None = None


@dataclass
class _Open:
    """A transaction of the server's."""

    name: str
    recipients: list[str] = field(default_factory=list)
    content: bytearray = field(default_factory=bytearray)


class Peer(asyncio.Transport):
    """One connection: the client's transport, and the server at its other end.

    ``answers`` has what the server says otherwise than usual, always or time after time: to ("mail", name),
    ("rcpt", local part), ("data", name), ("end", name), ("noop", "") and ("rset", ""). ``at_most`` is how
    many recipients it takes at a time. An ``eager`` one says 354 whoever it has accepted.
    ``refused_chunk_ends``: whether a refused BDAT ends the transaction. One that ``stays`` goes on after it
    has said that it closes. It reads ``gulps`` octets at a time, and its replies arrive in ``segments``.
    """

    def __init__(
        self,
        store: Store,
        keywords: Iterable[str] = PIPELINED,
        *,
        answers: Mapping[tuple[str, str], bytes | list[bytes]] | None = None,
        at_most: int = ALL,
        eager: bool = False,
        refused_chunk_ends: bool = True,
        stays: bool = False,
        gulps: Iterator[int] | None = None,
        segments: Iterator[int] | None = None,
        cut: Cut | None = None,
    ) -> None:
        super().__init__()
        self.store = store
        self.keywords = tuple(keywords)
        self.answers = dict(answers or {})
        self.at_most = at_most
        self.eager = eager
        self.refused_chunk_ends = refused_chunk_ends
        self.stays = stays
        self.gulps = gulps or repeat(ALL)
        self.segments = segments or repeat(ALL)
        self.cut = cut
        self.before = (0, 0)
        """Octets read and sent before the first mail: the cut is counted from there."""
        self._begun = False
        self.writes: list[bytes] = []
        self.flights = 0
        """How often the client wrote something after it had read something: that is a round trip each."""
        self.octets = bytearray()
        """All that the client wrote, whether it was read or not."""
        self.heard = bytearray()
        """All that the client was given to read."""
        self.received = self.sent = 0
        self.out_of_place: list[bytes] = []
        """Commands that a client must not send where they came: a MAIL within a transaction."""
        self.lone_dots = 0
        self.on_write: Callable[[bytes], None] = lambda octets: None
        self._inbox = bytearray()
        self._buffer = bytearray()
        self._outbox = bytearray(b"220 mail.test\r\n")
        self._transaction: _Open | None = None
        self._in_data = False
        self._chunk: tuple[int, bool] | None = None
        self._bye = self._struck = self._gone = self._scheduled = self._silent = self._listened = False
        self._high, self._paused = 64 * 1024, False
        self._client: asyncio.BufferedProtocol

    # -- the client's transport -------------------------------------------------------------------

    def attach(self, client: asyncio.BufferedProtocol) -> None:
        self._client = client
        client.connection_made(self)
        self._schedule()

    def write(self, data: Any) -> None:
        octets = bytes(data)
        if self._gone:
            return
        self.writes.append(octets)
        self.flights += self._listened
        self._listened = False
        if octets.startswith(b"MAIL ") and not self._begun:
            self._begun = True
            self.before = (self.received, self.sent)
        self.octets += octets
        self._inbox += octets
        self.on_write(octets)
        if len(self._inbox) > self._high and not self._paused:
            self._paused = True
            self._client.pause_writing()
        self._schedule()

    def abort(self) -> None:
        """What was written may arrive all the same."""
        if not self._gone:
            self._leave(None)
            while self._inbox and not (self._struck or self._bye):
                self._receive()

    def close(self) -> None:
        self.abort()

    def is_closing(self) -> bool:
        return self._gone

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        self._high = high or self._high

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return ("127.0.0.1", 1) if name == "sockname" else default

    # -- the wire ---------------------------------------------------------------------------------

    def _schedule(self) -> None:
        if not self._scheduled:
            self._scheduled = True
            asyncio.get_running_loop().call_soon(self._turn)

    def _turn(self) -> None:
        """The server reads, thinks and answers, once."""
        self._scheduled = False
        if self._gone:
            return
        self._receive()
        if self._outbox and not self._silent:
            self._send()
        elif self._bye or self._struck:
            self._end()
            return
        if self._gone:
            return
        if self._bye or self._struck or self._inbox or (self._outbox and not self._silent):
            self._schedule()

    def _receive(self) -> None:
        if self._struck or self._bye:
            return
        size = min(len(self._inbox), next(self.gulps))
        cut_at = self._cut_at(0)
        if cut_at is not None:
            size = min(size, cut_at - self.received)
        self._buffer += self._inbox[:size]
        del self._inbox[:size]
        self.received += size
        self._parse()
        if self.cut and self.received == cut_at:
            self._strike(self.cut.how)
        if self._paused and len(self._inbox) <= self._high // 4:
            self._paused = False
            if not self._gone:
                self._client.resume_writing()

    def _send(self) -> None:
        size = min(len(self._outbox), next(self.segments), 65536)
        cut_at = self._cut_at(1)
        if cut_at is not None:
            size = min(size, cut_at - self.sent)
        octets = bytes(self._outbox[:size])
        del self._outbox[:size]
        self.sent += size
        struck = self.sent == cut_at
        if struck and self.cut and self.cut.how in ("junk", "bye"):
            octets += _nonsense(self.cut.how)
        if octets:
            self._listened = True
            self.heard += octets
            self._client.get_buffer(len(octets))[: len(octets)] = octets
            self._client.buffer_updated(len(octets))
        if struck and self.cut and not self._gone:
            self._outbox.clear()
            if self.cut.how == "silence":
                self._silent = True  # and goes on reading
            else:
                self._struck = True

    def _cut_at(self, way: int) -> int | None:
        """When the cut is, in octets read or sent."""
        if not (self.cut and self._begun):
            return None
        after = (self.cut.received, self.cut.sent)[way]
        return None if after is None else after + self.before[way]

    def _strike(self, how: str) -> None:
        self._struck = True
        if how == "reset":
            self._outbox.clear()
        elif how in ("junk", "bye"):
            self._outbox += _nonsense(how)

    def _end(self) -> None:
        how = self.cut.how if self.cut and self._struck else "close"
        if how in ("silence", "junk"):
            self._silent = True
        elif how == "reset":
            self._leave(ConnectionResetError(104, "Connection reset by peer"))
        else:
            self._client.eof_received()
            self._leave(None)

    def _leave(self, why: Exception | None) -> None:
        self._gone = True
        asyncio.get_running_loop().call_soon(self._client.connection_lost, why)

    # -- the server -------------------------------------------------------------------------------

    def _parse(self) -> None:
        while not self._bye:
            if self._in_data:
                text = b"\r\n" + self._buffer
                end = text.find(b"\r\n.\r\n")
                if end < 0:
                    return
                del self._buffer[: end + 3]
                self._content(text[: end + 2].replace(b"\r\n.", b"\r\n")[2:])
            elif self._chunk:
                size, last = self._chunk
                if len(self._buffer) < size:
                    return
                octets = bytes(self._buffer[:size])
                del self._buffer[:size]
                self._chunk = None
                self._take_chunk(octets, last)
            else:
                line, found, rest = self._buffer.partition(b"\r\n")
                if not found:
                    return
                self._buffer = rest
                self._command(bytes(line))

    def _say(self, usual: bytes, place: tuple[str, str] | None = None, name: str = "") -> bool:
        """Answers, and tells whether it is as usual."""
        reply = self.answers.get(place, usual) if place else usual
        if isinstance(reply, list):
            reply = reply.pop(0) if reply else usual
        self._outbox += reply + (b" " + name.encode() if name else b"") + b"\r\n"
        self._bye = self._bye or (reply.startswith(CLOSING) and not self.stays)
        return reply[:1] == usual[:1]

    def _command(self, line: bytes) -> None:
        verb, _, argument = line.partition(b" ")
        address = argument.partition(b"<")[2].partition(b"@")[0].decode()
        now = self._transaction
        if verb == b"EHLO":
            lines = ["mail.test", *self.keywords]
            self._say("\r\n".join([*(f"250-{text}" for text in lines[:-1]), f"250 {lines[-1]}"]).encode())
        elif verb == b"MAIL" and not now:
            if self._say(b"250 2.1.0", ("mail", address), address):
                self._transaction = _Open(address)
        elif verb == b"RCPT" and now:
            if len(now.recipients) >= self.at_most:
                self._say(b"452 4.5.3", None, now.name)
            elif self._say(b"250 2.1.5", ("rcpt", address), now.name):
                now.recipients.append(address)
        elif verb == b"DATA" and now and (now.recipients or self.eager):
            self._in_data = self._say(b"354", ("data", now.name), now.name)
        elif verb == b"BDAT":
            size, _, last = argument.partition(b" ")
            self._chunk = (int(size), last == b"LAST")
        elif verb == b"RSET":
            if self._say(b"250 2.0.0", ("rset", "")):
                self._transaction = None
        elif verb == b"NOOP":
            self._say(b"250 2.0.0", ("noop", ""))
        elif verb == b"QUIT":
            self._say(b"221 2.0.0")
            self._bye = True
        else:
            if not (verb in (b"RCPT", b"DATA") and not (now and now.recipients)):
                self.out_of_place.append(line)
            self._say(b"503 5.5.1", None, now.name if now else "")

    def _content(self, content: bytes) -> None:
        """The whole of it is here."""
        self._in_data = False
        now, self._transaction = self._transaction, None
        assert now
        self.lone_dots += not content
        self._judge(now, content)

    def _take_chunk(self, octets: bytes, last: bool) -> None:
        now = self._transaction
        if not (now and now.recipients):
            self._say(b"503 5.5.1", None, now.name if now else "")
            return
        assert last, "the client sends one chunk"
        if self._judge(now, octets) or self.refused_chunk_ends:
            self._transaction = None

    def _judge(self, now: _Open, content: bytes) -> bool:
        usual = b"250 2.0.0" if now.recipients or self.eager else b"554 5.5.1"
        place = ("end", now.name)
        taken = self._say(usual, place, f"{now.name} verdict") and bool(now.recipients)
        if taken:
            self.store.taken.append(Letter(now.name, tuple(now.recipients), content))
        return taken


def _nonsense(how: str) -> bytes:
    return b"421 4.3.2 shutting down\r\n" if how == "bye" else b"!junk!\r\n"


class _Ahead(selectors.DefaultSelector):
    """Does not wait, but lets the clock run on by as much."""

    clock: "Clock"

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        found = super().select(0)
        if not found:
            if timeout is None:
                raise AssertionError("everybody waits, and nothing will ever happen")
            self.clock.now += timeout
        return found


class Clock(asyncio.SelectorEventLoop):
    """The client's loop. Whoever it connects to is what ``connect`` makes."""

    def __init__(self, connect: Callable[[], Peer]) -> None:
        selector = _Ahead()
        selector.clock = self
        self.now = 1000.0
        self.connect = connect
        super().__init__(selector)

    def time(self) -> float:
        return self.now

    async def getaddrinfo(self, host: Any, port: Any, **how: Any) -> Any:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))]

    async def create_connection(self, protocol_factory: Any, *where: Any, **how: Any) -> Any:
        client = protocol_factory()
        peer = self.connect()
        peer.attach(client)
        return peer, client


def run(work: Callable[[], Awaitable[T]], connect: Callable[[], Peer]) -> T:
    """What ``work`` comes to."""

    async def whole() -> T:
        return await work()

    with asyncio.Runner(loop_factory=lambda: Clock(connect)) as runner:
        return runner.run(whole())


def pass_time(seconds: float) -> None:
    """Lets that much time pass at once."""
    clock = asyncio.get_running_loop()
    assert isinstance(clock, Clock)
    clock.now += seconds
