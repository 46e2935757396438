"""The socket's end of a session: octets between asyncio and :class:`Protocol`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import cast

from nina_smtp.smtp.protocol import Answer, Protocol

_READ = 64 * 1024
_HIGH_WATER = 256 * 1024


class Wire(asyncio.BufferedProtocol):
    """Feeds what is read to the protocol and passes its answers on; lets one task wait for what happens.

    ``listener``, if there is one, hears the answers where they are read; else they are kept for ``take``.
    Reads go into one buffer that is made once: asyncio's plain Protocol maps fresh memory for every reply.
    Deadlines share one timer, which is set anew only for an earlier one: a later one is looked at when the
    timer rings. A timer for each reply would cost as much as the reply.
    """

    def __init__(self, protocol: Protocol) -> None:
        self.protocol = protocol
        self.transport: asyncio.Transport | None = None
        self.failure: BaseException | None = None
        self.listener: Callable[[list[Answer]], None] | None = None
        self.paused = False
        """Whether the transport has more than it likes to hold."""
        self._loop = asyncio.get_running_loop()
        self._buffer = memoryview(bytearray(_READ))
        self._answers: list[Answer] = []
        self._waiter: asyncio.Future[None] | None = None
        self._woken = False
        self._deadline = float("inf")
        self._alarm: asyncio.TimerHandle | None = None
        self._rings_at = float("inf")
        self._closed: asyncio.Future[None] = self._loop.create_future()

    @property
    def has_spoken(self) -> bool:
        """Whether an answer is there that nobody has taken."""
        return bool(self._answers)

    def take(self) -> list[Answer]:
        """The answers that have come since the last time."""
        answers, self._answers = self._answers, []
        return answers

    def write(self, octets: bytes) -> None:
        """Hands octets to the transport."""
        assert self.transport
        self.transport.write(octets)

    def expect(self, deadline: float) -> None:
        """From now on ``wait`` raises TimeoutError at ``deadline``, on the loop's clock."""
        self._deadline = deadline
        if deadline < self._rings_at and not self.failure:
            self._set_alarm(deadline)

    async def wait(self) -> None:
        """Returns when anything happens: an answer nobody listens for, the end, room to write, ``wake``."""
        if not self._woken:
            self._waiter = self._loop.create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None
        self._woken = False

    def wake(self) -> None:
        """Ends the wait, the next one if there is none now."""
        self._woken = True
        if self._waiter and not self._waiter.done():
            self._waiter.set_result(None)

    def abort(self) -> None:
        """Ends the connection at once: nothing is read or written any more."""
        self._fail(EOFError("the connection was closed"))
        if self.transport:
            self.transport.abort()

    async def closed(self) -> None:
        """Returns when the connection is gone."""
        await asyncio.shield(self._closed)

    def when_closed(self, told: Callable[[], object]) -> None:
        """``told`` is called when the connection is gone."""
        self._closed.add_done_callback(lambda _: told())

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
        answers = self.protocol.receive(bytes(self._buffer[:nbytes]))
        if self.protocol.violation:
            self._fail(self.protocol.violation)
            if self.transport:
                self.transport.abort()
        if answers:
            if self.listener:
                self.listener(answers)
            else:
                self._answers += answers
                self.wake()

    def eof_received(self) -> bool:
        self._fail(EOFError("the server closed the connection"))
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self._fail(exc or EOFError("the connection was closed"))
        if not self._closed.done():
            self._closed.set_result(None)

    def pause_writing(self) -> None:
        self.paused = True

    def resume_writing(self) -> None:
        self.paused = False
        self.wake()

    def _fail(self, failure: BaseException) -> None:
        self.failure = self.failure or failure
        if self._alarm:
            self._alarm.cancel()
            self._alarm, self._rings_at = None, float("inf")
        self.wake()

    def _set_alarm(self, when: float) -> None:
        if self._alarm:
            self._alarm.cancel()
        self._rings_at = when
        self._alarm = self._loop.call_at(when, self._ring)

    def _ring(self) -> None:
        self._alarm, self._rings_at = None, float("inf")
        if self._deadline > self._loop.time():
            self._set_alarm(self._deadline)
        elif self._waiter and not self._waiter.done():
            self._waiter.set_exception(TimeoutError())


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
