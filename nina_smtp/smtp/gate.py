"""Lets mails through when the governor allows it, and wakes the pool when the next one may go. No polling."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from nina_smtp.errors import NinaError
from nina_smtp.smtp.governor import Governor

_TICK = 0.001  # seconds that a wait lasts at least, as finely as loops tell time


class Gate:
    """The gate of one pool. ``answer`` gets the error of everything that waits, when it is no use to wait;
    ``go_on`` is called when the next mail may be taken.
    """

    def __init__(
        self,
        governor: Governor,
        loop: asyncio.AbstractEventLoop,
        answer: Callable[[NinaError], None],
        go_on: Callable[[], None],
    ) -> None:
        self._governor = governor
        self._loop = loop
        self._answer = answer
        self._go_on = go_on
        self._timer: asyncio.TimerHandle | None = None

    @property
    def is_shut(self) -> bool:
        """Whether the next mail has to wait, and the pool will be woken for it."""
        return self._timer is not None

    @property
    def is_paced(self) -> bool:
        """Whether mails are taken at some rate only, so that few connections may do."""
        return self._governor.is_paced

    @property
    def seconds_left(self) -> float:
        """How long it is shut."""
        return self._timer.when() - self._loop.time() if self._timer else 0.0

    def lets_take(self) -> bool:
        """Whether a mail may be taken now; if not, what waits is answered, or gets its turn later."""
        left = self._governor.seconds_left()
        if not left:
            return True
        if error := self._governor.exhausted():
            self._answer(error)
        elif not self._timer:
            self._timer = self._loop.call_later(max(left, _TICK), self._opens)
        return False

    def lets_connect(self) -> bool:
        """Whether the server may be connected to while nothing is open; if not, what waits is answered."""
        if error := self._governor.circuit():
            self._answer(error)
            return False
        return True

    def connections(self, limit: int, connected: int) -> int:
        """How many of ``limit`` there may be now, of which so many are connected."""
        limit = self._governor.connections(limit)
        if self._governor.on_trial:  # one more may try
            return min(limit, connected + (self._governor.circuit() is None))
        return min(limit, connected + 1) if self._governor.is_paced else limit

    def _opens(self) -> None:
        self._timer = None
        self._go_on()
