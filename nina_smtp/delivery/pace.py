"""How fast one credential may send, and how much in a day. Without I/O; the clock is given.

The rules:

1. Never more than ``per_second`` mails (rounded up) begin in any one second. They are spread over it; what a
   timer left unused that was late, by up to a twentieth of a second, is caught up with.
2. When the server says that it is too fast, the rate is halved, and so is the number of connections, and
   for a second nothing begins. The half is of the rate of late, if that is less than the one allowed; if
   nothing was sent of late, it is of the connections alone. It happens once in three seconds at most: what
   was on its way then says nothing new.
3. Each mail that is delivered raises both again: by a hundredth of what was too much for each second's worth
   of mails; beyond that rate by a tenth, since the server may have changed its mind. Back where it was
   before, it is free again.
4. Never more than ``per_day`` mails in any 24 hours (:mod:`nina_smtp.delivery.day`).
5. When the provider's quota is used up, nothing begins until the oldest mail of the last 24 hours is older
   than that, an hour at least. If it is not known what was sent in them, it is an hour.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from enum import StrEnum
from math import ceil

from nina_smtp.delivery.day import DAY, Day

Clock = Callable[[], float]

_HOUR = 3600.0
_CATCH_UP = 0.05  # seconds
_PAUSE = 1.0  # seconds without a mail after the server has said that it is too fast
_HOLD = 3.0  # seconds between two halvings
_SLOWEST = 0.1  # mails a second: it is not halved below
_SEEN = 256  # mails that tell the rate of late
_LATE = 60.0  # seconds after which that is no longer the rate of late
_NEVER = float("-inf")


class Reason(StrEnum):
    """Why a mail has to wait."""

    RATE = "rate"
    THROTTLE = "throttle"
    DAY = "day"
    QUOTA = "quota"


class Pace:
    """The pace of one credential. ``clock`` tells seconds, from whenever."""

    def __init__(self, clock: Clock, *, per_second: float | None = None, per_day: int | None = None) -> None:
        self.reason = Reason.RATE
        """Why ``seconds_left`` was more than 0 when it was asked last."""
        self._clock = clock
        self._allowed = per_second
        self._at_once = ceil(per_second) if per_second else _SEEN
        self._span = self._at_once / per_second if per_second else 0.0  # in which no more than these begin
        self._times: deque[float] = deque(maxlen=self._at_once)  # when the last ones began
        self._rate = per_second
        self._next = self._halved_at = self._quota_until = _NEVER
        self._slowed = False
        self._normal = self._too_much = 0.0  # the rates before the first halving, and at the last one
        self._share = 1.0  # of the connections
        self._day = Day(per_day, clock())
        self._free = per_second is None and per_day is None  # whether nothing has to be looked at

    @property
    def is_free(self) -> bool:
        """Whether nothing says how fast it may be."""
        return self._rate is None and not self._slowed

    # Before a mail.

    def seconds_left(self) -> float:
        """How long until the next mail may begin; 0: now."""
        if self._free:
            return 0.0
        now = self._clock()
        if now < self._quota_until:
            self.reason = Reason.QUOTA
            return self._quota_until - now
        if left := self._day.seconds_left(now):
            self.reason = Reason.DAY
            return left
        until = self._next
        if self._allowed and len(self._times) == self._at_once:
            until = max(until, self._times[0] + self._span)
        if until > now:
            self.reason = Reason.THROTTLE if self._slowed else Reason.RATE
            return until - now
        self._free = self._allowed is None and self._day.limit is None and not self._slowed
        return 0.0

    def took(self) -> float:
        """A mail begins; returns when, by which ``not_taken`` and ``undelivered`` know it."""
        now = self._clock()
        self._times.append(now)
        self._day.add(now)
        if self._rate:
            due = self._next if now - self._next <= _CATCH_UP else now
            self._next = due + 1 / self._rate
        return now

    def not_taken(self, at: float) -> None:
        """The mail of that moment did not begin after all, and another one may."""
        self._day.remove(at)
        if at in self._times:
            self._times.remove(at)
            if self._rate:
                self._next = max(self._next - 1 / self._rate, self._halved_at + _PAUSE)

    # After it.

    def delivered(self) -> None:
        """The server has taken a mail: rule 3."""
        if not self._slowed:
            return
        self._share += 0.01 / (self._rate or 1)
        if self._rate and self._rate != self._allowed:
            self._rate += self._too_much / self._rate / 100 if self._rate < self._too_much else 0.1
            if self._rate >= self._normal:
                self._rate = self._allowed
                self._share = 1.0
        if self._share >= 1 and self._rate == self._allowed:
            self._slowed = False

    def undelivered(self, at: float) -> None:
        """The mail of that moment was certainly not delivered: it is none of the day's."""
        self._day.remove(at)

    def throttled(self) -> None:
        """The server said that it is too fast: rule 2."""
        now = self._clock()
        if now < self._halved_at + _HOLD:
            return
        self._halved_at = now
        self._share = max(self._share / 2, 0.01) if self._slowed else 0.5
        self._slowed, self._free = True, False
        self._next = max(self._next, now + _PAUSE)
        if of_late := self._of_late(now):
            if self._rate == self._allowed:
                self._normal = self._allowed or of_late
            self._too_much = min(self._rate or of_late, max(of_late, _SLOWEST))
            self._rate = max(self._too_much / 2, min(_SLOWEST, self._normal))

    def quota_reached(self) -> None:
        """The provider said that the quota is used up: rule 5."""
        now = self._clock()
        if now >= self._quota_until:
            self._quota_until = now + min(max(self._day.oldest_leaves_in(now) or 0.0, _HOUR), DAY)
            self._free = False

    def connections(self, limit: int) -> int:
        """How many of ``limit`` connections may be used."""
        return max(1, int(limit * self._share)) if self._slowed else limit

    def preload(self, counts: Iterable[tuple[float, int]]) -> None:
        """What was sent in the last 24 hours before this began: each so many seconds ago, so many mails."""
        self._day.preload(counts, self._clock())

    def _of_late(self, now: float) -> float:
        """Mails a second, in the second up to the last one; 0 if that is long ago."""
        if not self._times or self._times[-1] < now - _LATE:
            return 0.0
        last = self._times[-1]
        lately = [time for time in self._times if time > last - 1]
        seconds = last - lately[0]
        whole = len(lately) == self._times.maxlen and seconds > 0  # of a faster second, a part is known
        return len(lately) / seconds if whole else float(len(lately))
