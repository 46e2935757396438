"""Writes that go out together."""

from __future__ import annotations

import asyncio
from collections.abc import Callable


class Burst:
    """Writes of several connections that go out together, when the loop has done what there was to do.

    A server on the same machine sleeps between writes that come one by one, and to wake it up costs more, on
    both sides, than the write itself.
    """

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._writes: list[Callable[[], None]] = []

    def add(self, write: Callable[[], None]) -> None:
        """``write`` is called soon. It does not raise."""
        if not self._writes:
            self._loop.call_soon(self._go)
        self._writes.append(write)

    def _go(self) -> None:
        writes, self._writes = self._writes, []
        for write in writes:
            write()
