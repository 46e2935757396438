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
7. A governor, if there is one, says when the next mail may be taken, and how many connections may be used.
   Until then mails stay in line and connections have nothing to do. If that would be too long, or if nothing
   may be connected to and nothing is open, what waits is answered at once.

It belongs to one event loop.
"""

from __future__ import annotations

import asyncio

from nina_smtp.errors import NinaError, internal
from nina_smtp.smtp.burst import Burst
from nina_smtp.smtp.carrier import Carrier
from nina_smtp.smtp.gate import Gate
from nina_smtp.smtp.governor import Governor
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

    def __init__(
        self,
        server: Server,
        *,
        connections: int = 5,
        window: int = 1,
        idle: float = IDLE,
        governor: Governor | None = None,
    ) -> None:
        self.server = server
        self.users = 0
        self._governor = governor
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
        self._gate = Gate(governor, self.loop, self._answer_all, self._go_on) if governor else None

    @property
    def closed(self) -> bool:
        """Whether it takes no more."""
        return self._closing

    @property
    def _is_held(self) -> bool:
        """Whether nothing may be taken now, and ``_go_on`` will be called."""
        return self._gate is not None and self._gate.is_shut

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
        while self._tasks or self._is_held:
            self._wake_all()
            if self._tasks:
                await asyncio.wait(self._tasks)
            elif self._gate:
                await asyncio.sleep(self._gate.seconds_left)
        if self._patience:
            self._patience.cancel()

    # Connections and work.

    def _put_to_work(self) -> None:
        """Sees that what waits gets a connection: one that has nothing to do, one with room, a new one."""
        if not self._turns or self._ending or self._is_held:
            return
        if self._idle:
            self._wake_idle()
        elif not self._lanes:
            gate = self._gate
            if (gate is None or (gate.lets_take() and gate.lets_connect())) and self._turns.first():
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

    def _wake_all(self) -> None:
        for lane in tuple(self._idle):
            lane.wake()

    def _open_more(self) -> None:
        if self._is_held or not any(lane.session for lane in self._lanes):
            return
        limit = self._allowed()
        while (count := len(self._lanes)) < limit and self._turns.backlog(
            _WORTH * count + 1
        ) > _WORTH * count:
            self._open()
        if self._patience is None and len(self._lanes) < limit:
            self._patience = self.loop.call_later(_PATIENCE, self._out_of_patience)

    def _out_of_patience(self) -> None:
        self._patience = None
        waits = not self._is_held and self._turns.backlog(1) and not self._idle
        if waits and 0 < len(self._lanes) < self._allowed():
            self._open()
            self._open_more()

    def _allowed(self) -> int:
        """How many connections there may be now."""
        if self._gate is None:
            return self._limit
        return self._gate.connections(self._limit, sum(lane.session is not None for lane in self._lanes))

    def _open(self) -> None:
        lane = _Lane()
        self._lanes[lane] = None
        task = self.loop.create_task(self._run(lane))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _run(self, lane: _Lane) -> None:
        try:
            session = await self._session()
        except Exception as error:
            del self._lanes[lane]
            self._refused(error if isinstance(error, NinaError) else internal(error))
            return
        except BaseException:
            del self._lanes[lane]
            raise
        carrier = Carrier(
            session,
            window=self._window,
            put_back=self._put_back,
            burst=self._burst_of_many,
            governor=self._governor,
        )
        lane.session, lane.carrier = session, carrier
        if not (self._gate and self._gate.is_paced):  # else when this one turns out to be too slow
            self._open_more()
        try:
            while True:
                await carrier.run(lambda: self._take(lane))
                over = self._is_surplus(lane) or (self._closing and not self._is_held)
                if over or not session.usable or not await self._has_work(lane):
                    break
        except BaseException:  # the loop is ending: nobody opens another one
            self._closing = self._ending = True
            raise
        finally:
            del self._lanes[lane]
            self._go_on()
            await session.quit()

    async def _session(self) -> Session:
        governor = self._governor
        session = await Session.open(self.server, prove=governor is not None and governor.on_trial)
        if governor:
            governor.opened()
        return session

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
        gate = self._gate
        if gate and self._turns and (self._is_surplus(lane) or not gate.lets_take()):
            return None
        # whether there is some for a connection that is idle
        others = bool(self._idle) and self._turns.backlog(1) > 0
        if others and lane.carrier and lane.carrier.is_busy:
            self._wake_idle()
            return None
        shipment = self._turns.take(lane)
        if self._governor and shipment:
            self._governor.took(shipment)
        if others and self._idle and self._turns.backlog(1):
            self._wake_idle()
        return shipment

    def _go_on(self) -> None:
        self._put_to_work()
        if self._closing:
            self._wake_all()

    def _is_surplus(self, lane: _Lane) -> bool:
        """Whether there are more connections than may be used, and ``lane`` is one of the last."""
        if self._governor is None or len(self._lanes) == 1:
            return False
        allowed = self._governor.connections(self._limit)
        return len(self._lanes) > allowed and lane in tuple(self._lanes)[allowed:]

    # What could not be sent.

    def _put_back(self, shipment: Shipment) -> None:
        if self._governor:
            self._governor.not_taken(shipment)
        source = shipment.source
        assert source
        source.landed()
        source.put_back(shipment)
        self._turns.add(source)

    def _refused(self, error: NinaError) -> None:
        """Rule 5."""
        if self._governor:
            self._governor.refused(error)
        if self._lanes:
            self._limit = max(1, len(self._lanes))
            self.loop.call_later(_CROWDED, self._ask_for_more_again)
            return
        self._answer_all(error, attempts=1)

    def _answer_all(self, error: NinaError, attempts: int = 0) -> None:
        sources = tuple(self._turns)
        self._turns.clear()
        for source in sources:
            if source.ordered and source.lane:  # it has to know first what became of the one before
                self._turns.add(source)
            else:
                source.fail(error, attempts)

    def _ask_for_more_again(self) -> None:
        self._limit = self._connections
        self._put_to_work()
