"""When a mail is tried again. Pure: the time and the dice are passed in.

A server that submits mail is no relay on the open network: it is back within minutes, or somebody is called.
So the schedule begins sooner than RFC 5321 4.5.4.1 has it for those, and goes to its four hours more slowly.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from random import uniform

Dice = Callable[[float, float], float]
"""A number between two others, as :func:`random.uniform` finds one."""

HOUR = 3600.0


@dataclass(frozen=True, slots=True)
class Schedule:
    """``delays`` in seconds before the second, third… attempt, the last one for all that follow.

    Each is drawn between nothing and what the table says (full jitter), so that ten thousand mails that
    failed together do not come back together. A greylisting server, which wants to see patience, is left
    alone for ``greylisted`` seconds first. Nothing is tried after ``max_age`` seconds.
    """

    delays: tuple[float, ...] = (30, 120, 600, 1800, HOUR, 2 * HOUR)
    greylisted: float = 300
    max_age: float = 24 * HOUR

    def delay(self, attempts: int, *, greylisted: bool = False, dice: Dice = uniform) -> float:
        """Seconds until the next attempt, after so many."""
        longest = self.delays[min(max(attempts, 1), len(self.delays)) - 1]
        if greylisted:
            return self.greylisted + dice(0, longest)
        return max(1.0, dice(0, longest))
