"""One thread that writes to the ledger: what has gathered while it wrote goes into its next transaction.

A commit waits for the disk, so many mails share one. Nothing is said to be done before its commit is.
"""

from __future__ import annotations

import asyncio
import threading
from collections import defaultdict
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError, OperationalError, SQLAlchemyError

from nina_smtp.delivery.ledger.database import failed
from nina_smtp.errors import LedgerFailed

Kind = Callable[[Connection, Sequence[Any]], Sequence[Any]]
"""What writes or reads for several at once, in one transaction: one answer for each."""
Done = Callable[[Any], object]
"""Gets the answer, or a LedgerFailed."""


@dataclass(slots=True)
class _Work:
    kind: Kind
    value: Any
    done: Done
    loop: asyncio.AbstractEventLoop


class Writer:
    """The thread, and the one connection it has. ``close`` finishes what is there."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._connection: Connection | None = None
        self._waiting: list[_Work] = []
        self._closing = False
        self._idle = False
        self._called = False
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._run, name="nina-ledger", daemon=True)
        self._thread.start()

    def submit(self, kind: Kind, value: Any, done: Done) -> None:
        """``done`` is called in the running loop, soon."""
        loop = asyncio.get_running_loop()
        with self._changed:
            if self._closing:
                raise RuntimeError("the ledger is closed")
            self._waiting.append(_Work(kind, value, done, loop))
            if self._idle and not self._called:  # what else this turn of the loop has comes along
                self._called = True
                loop.call_soon(self._wake)

    async def call(self, kind: Kind, value: Any = None) -> Any:
        """The answer. Raises LedgerFailed."""
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

        def done(answer: Any) -> None:
            if future.done():
                return
            if isinstance(answer, LedgerFailed):
                future.set_exception(answer)
            else:
                future.set_result(answer)

        self.submit(kind, value, done)
        return await future

    async def close(self) -> None:
        """Returns when everything is written and the connection is closed."""
        with self._changed:
            self._closing = True
            self._called = False
            self._changed.notify()
        await asyncio.to_thread(self._thread.join)

    def _wake(self) -> None:
        with self._changed:
            self._called = False
            self._changed.notify()

    def _run(self) -> None:
        while True:
            with self._changed:
                self._idle = True
                while not self._waiting or self._called:
                    if self._closing and not self._waiting:
                        self._disconnect()
                        return
                    self._changed.wait()
                self._idle = False
                batch, self._waiting = self._waiting, []
            self._serve(batch)
            del batch  # while it waits it holds nobody's mails

    def _serve(self, batch: Sequence[_Work]) -> None:
        for loop, told in _by_loop(batch, self._write(batch)).items():
            _tell(loop, told)

    def _write(self, batch: Sequence[_Work]) -> list[Any]:
        """The answers, or why there are none: a value that cannot be written does not spoil the others."""
        if len(batch) > 1:
            with suppress(Exception):
                return self._attempt(batch)
        answers: list[Any] = []
        out_of_order: LedgerFailed | None = None
        for work in batch:
            if out_of_order:
                answers.append(out_of_order)
                continue
            try:
                answers += self._attempt([work])
            except Exception as error:  # whatever it is, those who wait have to hear of it
                answers.append(failed(error))
                if isinstance(error, (OperationalError, OSError)):  # it is not about this value
                    out_of_order = answers[-1]
        return answers

    def _attempt(self, batch: Sequence[_Work]) -> list[Any]:
        """A connection that was lost since it was last used is opened again."""
        was_open = self._connection is not None
        try:
            return self._transaction(batch)
        except Exception as error:
            self._disconnect()
            if was_open and isinstance(error, DBAPIError) and error.connection_invalidated:
                return self._attempt(batch)
            raise

    def _transaction(self, batch: Sequence[_Work]) -> list[Any]:
        kinds: defaultdict[Kind, list[int]] = defaultdict(list)
        for index, work in enumerate(batch):
            kinds[work.kind].append(index)
        answers: list[Any] = [None] * len(batch)
        if self._connection is None:
            self._connection = self._engine.connect()
        with self._connection.begin():
            for kind, places in kinds.items():
                for place, answer in zip(
                    places, kind(self._connection, [batch[place].value for place in places]), strict=True
                ):
                    answers[place] = answer
        return answers

    def _disconnect(self) -> None:
        if self._connection is not None:
            try:
                self._connection.invalidate()
                self._connection.close()
            except SQLAlchemyError:
                pass
            self._connection = None


def _by_loop(
    batch: Sequence[_Work], answers: Sequence[Any]
) -> dict[asyncio.AbstractEventLoop, list[tuple[Done, Any]]]:
    told: defaultdict[asyncio.AbstractEventLoop, list[tuple[Done, Any]]] = defaultdict(list)
    for work, answer in zip(batch, answers, strict=True):
        told[work.loop].append((work.done, answer))
    return told


def _tell(loop: asyncio.AbstractEventLoop, told: Sequence[tuple[Done, Any]]) -> None:
    def tell() -> None:
        for done, answer in told:
            done(answer)

    with suppress(RuntimeError):  # the loop has ended, and whoever waited with it
        loop.call_soon_threadsafe(tell)
