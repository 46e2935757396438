"""Stops what mails one address again and again. Without I/O; the clock is given.

The rules:

1. More than ``limit`` mails to one address within ten minutes are a loop. Upper and lower case are the same.
2. Ten minutes are seen in steps of half a minute, and what is older than the last twenty is forgotten: a mail
   is never refused for what is ten minutes old.
3. A mail that is refused counts for nobody.
4. Ten thousand addresses are remembered at most, and the five thousand that had mail last, or were to have
   some, certainly. One that gets more than each five thousandth mail is among them.
"""

from __future__ import annotations

from nina_smtp.delivery.pace import Clock
from nina_smtp.errors import LoopSuspected

MINUTES = 10
_STEP = 30.0  # seconds
_STEPS = 20
_ADDRESSES = 10_000


class LoopGuard:
    """The guard of one credential. A ``limit`` of None is no guard."""

    def __init__(self, clock: Clock, limit: int | None) -> None:
        self._clock = clock
        self._limit = limit
        # Of each address: its mails in all, and then a step, the mails in it, the next step that had some…
        self._recent: dict[str, list[int]] = {}
        self._before: dict[str, list[int]] = {}

    def admit(self, recipients: tuple[str, ...]) -> None:
        """Counts a mail. Raises LoopSuspected."""
        limit = self._limit
        if limit is None:
            return
        step = int(self._clock() // _STEP)
        found: dict[str, list[int]] = {}
        for recipient in recipients:
            address = recipient.lower()
            counts = self._recent.get(address)
            if counts is None:
                counts = self._remembered(address)
            if counts[0] >= limit and (sent := _up_to_date(counts, step)) >= limit:
                raise _loop(recipient, sent, limit)
            found[address] = counts
        for counts in found.values():
            if len(counts) > 1 and counts[-2] == step:
                counts[-1] += 1
            else:
                _up_to_date(counts, step)
                counts += (step, 1)
            counts[0] += 1

    def _remembered(self, address: str) -> list[int]:
        if len(self._recent) >= _ADDRESSES // 2:
            self._before, self._recent = self._recent, {}
        counts = self._recent[address] = self._before.pop(address, [0])
        return counts


def _up_to_date(counts: list[int], step: int) -> int:
    """The mails in the last steps; ``counts`` forgets all others."""
    while len(counts) > 1 and counts[1] <= step - _STEPS:
        counts[0] -= counts[2]
        del counts[1:3]
    return counts[0]


def _loop(address: str, sent: int, limit: int) -> LoopSuspected:
    return LoopSuspected(
        f"{address} got {sent} mails through this credential within {MINUTES} minutes: "
        "that looks like a loop.",
        hint="Find what goes on sending. If all are meant, have the credential's owner raise "
        f"recipientPolicy.maxPerRecipient ({limit}), or set it to null.",
        parameter="to",
    )
