"""Whose mail is next: all who have some take turns, so that one alert need not wait for ten thousand.

A :class:`Source` is one caller's mails, in order. An ordered one is never on two connections at once, nor in
a window: no mail of it is delivered before the verdict on the one before.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator

from nina_smtp.errors import NinaError
from nina_smtp.observe.transcript import script_of_failure
from nina_smtp.smtp.mail import Delivery, Shipment, withdrawn


class Source:
    """One caller's mails. ``more`` hands out the next one, or None; it is asked when there is room for it.

    ``backlog`` says about how many are left.
    """

    def __init__(
        self,
        more: Callable[[], Shipment | None],
        *,
        backlog: Callable[[], int] = lambda: 1,
        ordered: bool = False,
    ) -> None:
        self.ordered = ordered
        self.in_turn = False
        self.lane: object = None
        """The connection that an ordered source is on, while it has mail in flight."""
        self.in_flight = 0
        self._more = more
        self._backlog = backlog
        self._returned: deque[Shipment] = deque()
        self._handed_out = 0

    @property
    def backlog(self) -> int:
        """How many connections could be busy with what waits."""
        if self.ordered:
            return 0 if self.lane else 1
        return self._backlog() + len(self._returned)

    def take(self) -> Shipment | None:
        """The next mail, those that came back first."""
        while self._returned:
            returned = self._returned.popleft()
            if not returned.withdrawn:
                return returned
            returned.settled(Delivery(error=withdrawn(), attempts=returned.attempts))
        shipment = self._more()
        if shipment:
            shipment.source = self
            shipment.place = self._handed_out = self._handed_out + 1
        return shipment

    def give(self, lane: object) -> Shipment | None:
        """The next mail, for ``lane``."""
        shipment = self.take()
        if shipment:
            self.in_flight += 1
            self.lane = lane
        return shipment

    def landed(self) -> None:
        """One mail less is in flight."""
        self.in_flight -= 1
        if not self.in_flight:
            self.lane = None

    def put_back(self, shipment: Shipment) -> None:
        """A mail that was not in flight after all, back to its place."""
        self._returned.append(shipment)
        if len(self._returned) > 1:
            self._returned = deque(sorted(self._returned, key=lambda one: one.place))

    def fail(self, error: NinaError, attempts: int = 1) -> None:
        """Settles everything that waits. ``attempts`` were made for the first."""
        while shipment := self.take():
            if shipment.primed():
                delivery = Delivery(error=error, attempts=shipment.attempts or attempts)
                delivery.transcript = script_of_failure(shipment, error)
                shipment.settled(delivery)
                attempts = 0


class Turns:
    """The sources that have something, in the order of their turns."""

    def __init__(self) -> None:
        self._sources: deque[Source] = deque()

    def __bool__(self) -> bool:
        return bool(self._sources)

    def __iter__(self) -> Iterator[Source]:
        return iter(tuple(self._sources))

    def add(self, source: Source) -> None:
        """``source`` has something now."""
        if not source.in_turn:
            source.in_turn = True
            self._sources.append(source)

    def clear(self) -> None:
        """Nobody has anything any more."""
        for source in self._sources:
            source.in_turn = False
        self._sources.clear()

    def take(self, lane: object) -> Shipment | None:
        """The next mail for ``lane``."""
        sources = self._sources
        for _ in range(len(sources)):
            source = sources.popleft()
            if source.ordered and source.lane not in (None, lane):
                sources.append(source)
                continue
            if shipment := source.give(lane):
                sources.append(source)
                return shipment
            source.in_turn = False
        return None

    def first(self) -> Shipment | None:
        """The next mail that can be built, still in its place; those before it that cannot are settled."""
        while self._sources:
            source = self._sources[0]
            shipment = source.take()
            if shipment is None:
                source.in_turn = False
                self._sources.popleft()
            elif shipment.primed():
                source.put_back(shipment)
                return shipment
        return None

    def backlog(self, enough: int) -> int:
        """About how many mails wait that another connection could take; counted up to ``enough``."""
        total = 0
        for source in self._sources:
            total += source.backlog
            if total >= enough:
                break
        return total
