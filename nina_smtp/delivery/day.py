"""The mails of the last 24 hours, counted in steps of five minutes: some hundred numbers, however many mails.

A step counts until its last moment is 24 hours ago, so there are never more than the limit in any 24 hours.
Without I/O: every moment is given, in seconds since whenever.
"""

from __future__ import annotations

from collections.abc import Iterable

DAY = 86_400.0
STEP = 300


class Day:
    """The count, and its limit. ``since`` is the moment from which on everything is counted."""

    def __init__(self, limit: int | None, since: float) -> None:
        self.limit = limit
        self._since = since
        self._total = 0
        self._steps: dict[int, int] = {}  # the oldest is the first
        self._last: int | None = None

    def add(self, at: float) -> None:
        """One more, now."""
        step = int(at // STEP)
        if step != self._last:
            self._last = step
            self._forget(at)
            self._steps.setdefault(step, 0)
        self._steps[step] += 1
        self._total += 1

    def remove(self, at: float) -> None:
        """The one of that moment does not count."""
        step = int(at // STEP)
        if self._steps.get(step):
            self._steps[step] -= 1
            self._total -= 1

    def preload(self, counts: Iterable[tuple[float, int]], now: float) -> None:
        """What was sent before ``since``: each so many seconds before ``now``, so many mails."""
        for ago, count in counts:
            if 0 <= ago < DAY:
                step = int((now - ago) // STEP)
                self._steps[step] = self._steps.get(step, 0) + count
                self._total += count
        self._steps = dict(sorted(self._steps.items()))
        self._since = float("-inf")

    def seconds_left(self, now: float) -> float:
        """How long until one more is within the limit; 0: it is."""
        if self.limit is None or self._total < self.limit:
            return 0.0
        self._forget(now)
        too_many = self._total - self.limit + 1
        for step, count in self._steps.items():
            if too_many <= 0:
                break
            too_many -= count
            if too_many <= 0:
                return _gone(step) - now
        return 0.0

    def oldest_leaves_in(self, now: float) -> float | None:
        """How long until the oldest mail of the last 24 hours is none of them; None if that is not known."""
        self._forget(now)
        oldest = next((step for step, count in self._steps.items() if count), None)
        if oldest is None or now - self._since < DAY:
            return None
        return _gone(oldest) - now

    def _forget(self, now: float) -> None:
        while self._steps:
            step = next(iter(self._steps))
            if _gone(step) > now:
                break
            self._total -= self._steps.pop(step)


def _gone(step: int) -> float:
    """The moment at which a step is over, and 24 hours are."""
    return (step + 1) * STEP + DAY
