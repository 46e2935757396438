"""One piece of work for all who want it done, in whatever thread or event loop they are.

Whoever comes first has it done, in a task of its own, which goes on if they are cancelled: a refresh token
that was exchanged and not kept would be lost. Should the loop of that task end, another one begins anew.
"""

from __future__ import annotations

import asyncio
import copy
import threading
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any, Generic, TypeVar

from nina_smtp.errors import NinaError

T = TypeVar("T")


class _Abandoned(Exception):
    """The event loop in which the work was done has ended."""


class SingleFlight(Generic[T]):
    """At most one call of ``run`` does its work at a time; the others get what comes of it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: list[asyncio.Future[T]] = []
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[T] | None = None

    async def run(self, work: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """The outcome of ``work``, or of the call of it that is under way."""
        while True:
            try:
                return await self._join(work)
            except _Abandoned:
                continue

    def _join(self, work: Callable[[], Coroutine[Any, Any, T]]) -> asyncio.Future[T]:
        loop = asyncio.get_running_loop()
        place: asyncio.Future[T] = loop.create_future()
        with self._lock:
            self._waiting.append(place)
            leads = self._loop is None or self._loop.is_closed()
            if leads:
                self._loop = loop
        if leads:
            self._task = loop.create_task(work())
            self._task.add_done_callback(self._landed)
        return place

    def _landed(self, task: asyncio.Task[T]) -> None:
        with self._lock:
            waiting, self._waiting = self._waiting, []
            self._loop = self._task = None
        error = _Abandoned() if task.cancelled() else task.exception()
        for place in waiting:
            with suppress(RuntimeError):  # its loop has ended: nobody waits there any more
                place.get_loop().call_soon_threadsafe(_settle, place, task, error)


def _own(error: BaseException) -> BaseException:
    """An error for one of many to raise: it collects the frames that it passes, and may be added to."""
    return copy.copy(error) if isinstance(error, (NinaError, _Abandoned)) else error


def _settle(place: asyncio.Future[T], task: asyncio.Task[T], error: BaseException | None) -> None:
    if place.done():
        return  # whoever waited was cancelled
    if error:
        place.set_exception(_own(error))
    else:
        place.set_result(task.result())
