"""The ledger: what is to be sent, what became of it, and who is at it. It survives whoever writes to it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from sqlalchemy.exc import SQLAlchemyError

from nina_smtp import observe
from nina_smtp.delivery.ledger import statements
from nina_smtp.delivery.ledger.database import engine_for, failed, prepare
from nina_smtp.delivery.ledger.entry import Entry, new_id
from nina_smtp.delivery.ledger.owners import SEEN_EVERY, AdvisoryLocks, FileLocks, Locks
from nina_smtp.delivery.ledger.recovery import See, recover, see
from nina_smtp.delivery.ledger.statements import Ending, Mine, Wish
from nina_smtp.delivery.ledger.states import FINAL, State
from nina_smtp.delivery.ledger.writer import Done, Writer
from nina_smtp.delivery.result import result_from_dict
from nina_smtp.errors import LedgerFailed

Clock = Callable[[], float]


class Ledger:
    """``place`` is a file (SQLite) or a URL (PostgreSQL).

    ::

        async with Ledger("mail.db") as ledger:
            results = await nina_smtp.send_async(node, credential, items, ledger=ledger)

    Many processes may use one ledger at once. What a process leaves behind that dies is put right when
    another one opens the ledger, and every 20 seconds by those that have it open. ``clock`` gives seconds
    since 1970. Raises LedgerFailed, and ParameterError for a place that cannot be one.
    """

    def __init__(self, place: str | Path, *, clock: Clock = time.time) -> None:
        self.place = str(place)
        self.clock = clock
        self.owner = ""
        self.installation_key = b""
        self._engine = engine_for(place)
        self._writer: Writer | None = None
        self._locks: Locks | None = None
        self._watch: asyncio.Task[None] | None = None
        self._late: dict[str, tuple[asyncio.TimerHandle, Callable[[], None]]] = {}  # not on record yet
        self.recovered: dict[str, State] = {}
        """The mails that were left behind, and what was made of each, when this was opened."""

    async def __aenter__(self) -> Self:
        self.owner = new_id()
        try:
            await asyncio.to_thread(self._open)
        except (SQLAlchemyError, OSError) as error:
            await self._close()
            raise failed(error, self.place) from None
        except BaseException:
            await self._close()
            raise
        self._writer = Writer(self._engine)
        try:
            self.recovered = await self._put_right()
        except BaseException:
            await self._close()
            raise
        self._watch = asyncio.create_task(self._keep_watch())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._close()

    def _open(self) -> None:
        self.installation_key = prepare(self._engine)
        if self._engine.dialect.name == "postgresql":
            self._locks = AdvisoryLocks(self._engine)
        else:
            database = self._engine.url.database
            assert database
            self._locks = FileLocks(Path(database))
        self._locks.hold(self.owner)

    async def _close(self) -> None:
        if self._watch:
            self._watch.cancel()
            self._watch = None
        for timer, again in tuple(self._late.values()):
            timer.cancel()
            again()
        writer, self._writer = self._writer, None
        if writer:
            await writer.close()
        if self._locks:
            await asyncio.to_thread(self._locks.let_go)
        self._engine.dispose()

    # One mail's way.

    def add(self, entry: Entry, done: Done) -> None:
        """``done`` gets the entry as it is in the ledger now: this one, or the one that had its key before.

        One that failed before, so that nobody has it, is replaced.
        """
        self._write.submit(statements.add, entry, done)

    async def lease(self, account: str, most: int) -> list[Entry]:
        """The next mails of ``account`` that are due, at most so many. They are this process's then."""
        wish = Wish(account, self.owner, self.clock(), most)
        entries: list[Entry] = await self._write.call(statements.lease, wish)
        return entries

    def begin(self, mail: str) -> None:
        """The mail is on a connection."""
        self._write.submit(statements.begin, Mine(mail, self.owner), lambda _: None)

    def commit(self, mail: str, attempts: int, done: Done) -> None:
        """``done`` gets True when it is on record that the last octet may have been written."""
        self._write.submit(statements.commit, Mine(mail, self.owner, attempts), done)

    def end(self, ending: Ending, done: Done) -> None:
        """``done`` gets whether it was still this process's mail; or a LedgerFailed, after some tries.

        It is tried for as long as the ledger is open, and once more when that ends.
        """
        self._end(ending, done)

    def _end(self, ending: Ending, done: Done, tries: int = 0) -> None:
        self._late.pop(ending.id, None)

        def told(answer: Any) -> None:
            failing, hear = isinstance(answer, LedgerFailed), done
            if not failing or tries == len(_TRY_AGAIN) or self._writer is None:
                done(answer)
                hear = _nobody
            if failing and self._writer is not None:
                again = partial(self._end, ending, hear, tries + 1)
                delay = _TRY_AGAIN[min(tries, len(_TRY_AGAIN) - 1)]
                self._late[ending.id] = (asyncio.get_running_loop().call_later(delay, again), again)

        if self._writer is None:
            done(LedgerFailed("The ledger was closed before it could be put on record."))
        else:
            self._writer.submit(statements.end, ending, told)

    # Looking.

    async def find(self, *mails: str) -> list[Entry | None]:
        """The entries, without their content."""
        found: list[Entry | None]
        found = await asyncio.gather(*(self._write.call(statements.find, mail) for mail in mails))
        return found

    async def named(self, *keys: str) -> list[Entry]:
        """The entries that have these keys, without their content."""
        found: list[list[Entry]] = await asyncio.gather(
            *(self._write.call(statements.named, key) for key in keys)
        )
        return [entry for some in found for entry in some]

    async def next_due(self, account: str) -> float | None:
        """When the first waiting mail of ``account`` is due."""
        due: float | None = await self._write.call(statements.next_due, account)
        return due

    async def call(self, kind: Callable[..., Sequence[Any]], value: Any = None) -> Any:
        """Any other statement (:mod:`.review`)."""
        return await self._write.call(kind, value)

    @property
    def _write(self) -> Writer:
        if self._writer is None:
            raise LedgerFailed("The ledger is closed.", hint="Use it within async with.")
        return self._writer

    # Those who died.

    async def _put_right(self) -> dict[str, State]:
        assert self._locks
        try:
            await asyncio.to_thread(self._locks.keep, self.owner)
        except SQLAlchemyError as error:
            raise failed(error, self.place) from None
        seen = See(self.owner, self.clock(), self._locks)
        await self._write.call(see, seen)
        found: dict[str, State] = await self._write.call(recover, seen)
        for entry in await self.find(*(mail for mail, state in found.items() if state in FINAL)):
            if entry and entry.result:
                result = result_from_dict(entry.result, item=entry.item)
                result.recorded = False
                observe.mail_ended(result, key=entry.key)
        return found

    async def _keep_watch(self) -> None:
        while True:
            await asyncio.sleep(SEEN_EVERY)
            with suppress(LedgerFailed):
                await self._put_right()


_TRY_AGAIN = (0.05, 0.5, 2.0, 5.0)
"""Seconds between the tries to put on record what became of a mail: it has happened and should be known."""


def _nobody(answer: Any) -> None:
    """Has been told that it failed."""
