"""A few connections to one server, shared by everybody who has mail for it.

The rules:

1. A connection is opened when there is mail for it, at most ``connections`` of them. While none is open, one
   is tried alone: a wrong password is one failed login, whatever waits.
2. Another one is opened when more waits than those there are will soon take, or when something has waited
   for a second. Logging in costs as much as some ten mails.
3. Sources take turns (:mod:`nina_smtp.smtp.turns`). A mail is built when a connection has room for it.
4. A connection that has nothing to do is kept for ``idle`` seconds and then ended with QUIT.
5. If no connection can be opened, that is the answer for everything that waits. If others are open, the
   server is taken to want no more of them for a minute.
6. ``close`` ends when everything is settled and every connection is closed.

It belongs to one event loop.
"""

from __future__ import annotations

import asyncio

from nina_smtp.errors import NinaError, internal
from nina_smtp.smtp.burst import Burst
from nina_smtp.smtp.carrier import Carrier
from nina_smtp.smtp.mail import Shipment
from nina_smtp.smtp.server import Server
from nina_smtp.smtp.session import Session
from nina_smtp.smtp.turns import Source, Turns

IDLE = 30.0  # seconds
_PATIENCE = 1.0  # seconds that a mail waits before another connection is opened for it
_WORTH = 4  # mails waiting for each connection that make another one worth its login
_CROWDED = 60.0  # seconds for which a server that refused one more connection is not asked for it


class _Lane:
    """One connection, from the moment it is opened."""

    def __init__(self) -> None:
        self.session: Session | None = None
        self.carrier: Carrier | None = None

    def wake(self) -> None:
        if self.session:
            self.session.connection.wake()


class ConnectionPool:
    """The connections to ``server``. ``window`` is that of :mod:`nina_smtp.smtp.carrier`."""

    def __init__(self, server: Server, *, connections: int = 5, window: int = 1, idle: float = IDLE) -> None:
        self.server = server
        self.users = 0
        self._window = window
        self._idle_seconds = idle
        self._connections = self._limit = connections
        self._turns = Turns()
        self._lanes: dict[_Lane, None] = {}
        self._idle: dict[_Lane, None] = {}
        self._tasks: set[asyncio.Task[None]] = set()  # those of lanes, until their QUIT is over
        self._burst = Burst()
        self._closing = self._ending = False
        self.loop = asyncio.get_running_loop()
        self._patience: asyncio.TimerHandle | None = None

    @property
    def closed(self) -> bool:
        """Whether it takes no more."""
        return self._closing

    @property
    def open_connections(self) -> int:
        """Those that are open or being opened."""
        return len(self._lanes)

    def add(self, source: Source) -> None:
        """``source`` has something, or has something again."""
        if self._closing:
            raise RuntimeError("the pool is closed")
        was_empty = not self._turns
        self._turns.add(source)
        if was_empty or self._idle or len(self._lanes) < self._limit:
            self._put_to_work()

    def wake(self, shipment: Shipment) -> None:
        """``shipment`` was withdrawn: whichever connection it is on will see."""
        for lane in self._lanes:
            if lane.carrier and lane.carrier.carries(shipment):
                lane.wake()

    async def close(self) -> None:
        """Returns when what waits and what is in flight is settled and the connections are closed."""
        self._closing = True
        while self._tasks:
            for lane in tuple(self._idle):
                lane.wake()
            await asyncio.wait(self._tasks)
        if self._patience:
            self._patience.cancel()

    # Connections and work.

    def _put_to_work(self) -> None:
        """Sees that what waits gets a connection: one that has nothing to do, one with room, a new one."""
        if not self._turns or self._ending:
            return
        if self._idle:
            self._wake_idle()
        elif not self._lanes:
            if self._turns.first():
                self._open()
        else:
            for lane in self._lanes:
                if lane.carrier and lane.carrier.has_room:
                    lane.wake()
                    break
            self._open_more()

    def _wake_idle(self) -> None:
        lane, _ = self._idle.popitem()  # the last used: the others may grow cold
        lane.wake()

    def _open_more(self) -> None:
        if not any(lane.session for lane in self._lanes):
            return
        while (count := len(self._lanes)) < self._limit and self._turns.backlog(
            _WORTH * count + 1
        ) > _WORTH * count:
            self._open()
        if self._patience is None and len(self._lanes) < self._limit:
            self._patience = self.loop.call_later(_PATIENCE, self._out_of_patience)

    def _out_of_patience(self) -> None:
        self._patience = None
        if self._turns.backlog(1) and not self._idle and 0 < len(self._lanes) < self._limit:
            self._open()
            self._open_more()

    def _open(self) -> None:
        lane = _Lane()
        self._lanes[lane] = None
        task = self.loop.create_task(self._run(lane))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _run(self, lane: _Lane) -> None:
        try:
            session = await Session.open(self.server)
        except Exception as error:
            del self._lanes[lane]
            self._refused(error if isinstance(error, NinaError) else internal(error))
            return
        except BaseException:
            del self._lanes[lane]
            raise
        carrier = Carrier(session, window=self._window, put_back=self._put_back, burst=self._burst_of_many)
        lane.session, lane.carrier = session, carrier
        self._open_more()
        try:
            while True:
                await carrier.run(lambda: self._take(lane))
                if self._closing or not session.usable or not await self._has_work(lane):
                    break
        except BaseException:  # the loop is ending: nobody opens another one
            self._closing = self._ending = True
            raise
        finally:
            del self._lanes[lane]
            self._put_to_work()
            await session.quit()

    async def _has_work(self, lane: _Lane) -> bool:
        """Waits until there is some; False when there was none for too long, or the server has gone."""
        self._idle[lane] = None
        try:
            session = lane.session
            assert session
            return await session.connection.idle(self.loop.time() + self._idle_seconds)
        finally:
            self._idle.pop(lane, None)

    def _burst_of_many(self) -> Burst | None:
        return self._burst if len(self._lanes) > 1 else None

    def _take(self, lane: _Lane) -> Shipment | None:
        """The next mail for ``lane``; one that is busy leaves it to one that is not."""
        others = (
            bool(self._idle) and self._turns.backlog(1) > 0
        )  # there is some for a connection that is idle
        if others and lane.carrier and lane.carrier.is_busy:
            self._wake_idle()
            return None
        shipment = self._turns.take(lane)
        if others and self._idle and self._turns.backlog(1):
            self._wake_idle()
        return shipment

    def _put_back(self, shipment: Shipment) -> None:
        source = shipment.source
        assert source
        source.landed()
        source.put_back(shipment)
        self._turns.add(source)

    def _refused(self, error: NinaError) -> None:
        """Rule 5."""
        if self._lanes:
            self._limit = max(1, len(self._lanes))
            self.loop.call_later(_CROWDED, self._ask_for_more_again)
            return
        for source in self._turns:
            source.fail(error)
        self._turns.clear()

    def _ask_for_more_again(self) -> None:
        self._limit = self._connections
        self._put_to_work()
