"""The socket's end of a session: octets between asyncio and :class:`Protocol`."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import cast

from nina_smtp.smtp.protocol import Answer, Protocol

_READ = 64 * 1024
_HIGH_WATER = 256 * 1024


class Wire(asyncio.BufferedProtocol):
    """Feeds what is read to the protocol, hands out its answers, and waits while the peer does not read.

    Reads go into one buffer that is made once: asyncio's plain Protocol maps fresh memory for every reply.
    """

    def __init__(self, protocol: Protocol) -> None:
        self.protocol = protocol
        self.transport: asyncio.Transport | None = None
        self.failure: BaseException | None = None
        self._buffer = memoryview(bytearray(_READ))
        self._answers: deque[Answer] = deque()
        self._reader: asyncio.Future[None] | None = None
        self._writer: asyncio.Future[None] | None = None
        self._paused = False
        self._closed: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    @property
    def has_spoken(self) -> bool:
        """Whether an answer is there that nobody has taken."""
        return bool(self._answers)

    def write(self, octets: bytes) -> None:
        """Hands octets to the transport."""
        assert self.transport
        self.transport.write(octets)

    async def drained(self) -> None:
        """Returns when the transport takes more, or when it never will."""
        if self._paused and not self.failure:
            self._writer = asyncio.get_running_loop().create_future()
            await self._writer

    async def answer(self) -> Answer:
        """The next answer. Raises what ended the connection: NinaError, OSError or EOFError."""
        while not self._answers:
            if self.failure:
                raise self.failure
            self._reader = asyncio.get_running_loop().create_future()
            await self._reader
        return self._answers.popleft()

    def abort(self) -> None:
        """Ends the connection at once: nothing is read or written any more."""
        self._fail(EOFError("the connection was closed"))
        if self.transport:
            self.transport.abort()

    async def closed(self) -> None:
        """Returns when the connection is gone."""
        await asyncio.shield(self._closed)

    def attach(self, transport: asyncio.Transport) -> None:
        """From now on octets go through ``transport``: the first one, or TLS around it."""
        self.transport = transport
        transport.set_write_buffer_limits(high=_HIGH_WATER)

    # What asyncio calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.attach(cast(asyncio.Transport, transport))

    def get_buffer(self, sizehint: int) -> memoryview:
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        self._answers.extend(self.protocol.receive(self._buffer[:nbytes]))
        if self.protocol.violation:
            self._fail(self.protocol.violation)
            if self.transport:
                self.transport.abort()
        self._wake()

    def eof_received(self) -> bool:
        self._fail(EOFError("the server closed the connection"))
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self._fail(exc or EOFError("the connection was closed"))
        if not self._closed.done():
            self._closed.set_result(None)

    def pause_writing(self) -> None:
        self._paused = True

    def resume_writing(self) -> None:
        self._paused = False
        self._wake_writer()

    def _fail(self, failure: BaseException) -> None:
        self.failure = self.failure or failure
        self._wake()
        self._wake_writer()

    def _wake(self) -> None:
        if self._reader and not self._reader.done():
            self._reader.set_result(None)

    def _wake_writer(self) -> None:
        if self._writer and not self._writer.done():
            self._writer.set_result(None)


class DotStuffer:
    """Transparency (RFC 5321 4.5.2): a dot is put before every line that starts with one."""

    def __init__(self) -> None:
        self._tail = b"\r\n"

    def feed(self, chunk: bytes) -> bytes:
        """``chunk``, stuffed, knowing how the one before ended."""
        if not chunk:
            return chunk
        stuffed = chunk  # base64, which is most of what is long, has no dot at all: that is found out fast
        if b"." in chunk and b"\r\n." in chunk:
            stuffed = chunk.replace(b"\r\n.", b"\r\n..")
        if chunk[:1] == b"." and self._tail == b"\r\n":
            stuffed = b"." + stuffed
        elif chunk[:2] == b"\n." and self._tail[-1:] == b"\r":
            stuffed = b"\n." + stuffed[1:]
        self._tail = (self._tail + chunk[-2:])[-2:]
        return stuffed

    def end(self) -> bytes:
        """The final dot, on a line of its own."""
        return b".\r\n" if self._tail == b"\r\n" else b"\r\n.\r\n"
