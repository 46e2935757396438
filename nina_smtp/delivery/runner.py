"""Takes an account's mails from the ledger when they are due, and gives them to its pool."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING

from nina_smtp.delivery.account import Account
from nina_smtp.delivery.ledger.ledger import Ledger
from nina_smtp.delivery.ledger.states import State
from nina_smtp.delivery.verdict import Kind, kind_of
from nina_smtp.errors import LedgerFailed
from nina_smtp.smtp.mail import Delivery, Shipment, withdrawn
from nina_smtp.smtp.pool import ConnectionPool
from nina_smtp.smtp.turns import Source

if TYPE_CHECKING:
    from nina_smtp.delivery.ledger.entry import Entry
    from nina_smtp.delivery.letter import Letter
    from nina_smtp.delivery.retry import Decision

_log = logging.getLogger(__name__)

LOOK_EVERY = 5.0  # seconds: another process may have put something there
_OPENING = frozenset({"resolve", "connect", "greeting", "ehlo", "tls", "auth", "noop"})
_FOR_EACH_CONNECTION = 8  # mails in memory


class Runner:
    """One account's. ``task`` runs until it is cancelled; ``release`` then gives back what is not begun."""

    def __init__(
        self,
        ledger: Ledger,
        account: Account,
        pool: ConnectionPool,
        letter: Callable[[Entry], Letter],
    ) -> None:
        self._ledger = ledger
        self._account = account
        self._pool = pool
        self._letter = letter
        self._most = max(16, _FOR_EACH_CONNECTION * account.limits.connections)
        self._ready: deque[Letter] = deque()
        self._mine: set[Letter] = set()
        self._time = asyncio.get_running_loop().time
        self._not_before = 0.0
        self.is_taking = False
        """Whether mails may be its process's already that it has not got yet."""
        self._woken = asyncio.Event()
        self._source = Source(self._next, backlog=lambda: len(self._ready))
        self.task = asyncio.create_task(self._run())

    @property
    def waits(self) -> bool:
        """Whether nothing is tried for now, since the server is not there or wants no more."""
        return self._not_before > self._time()

    def wake(self) -> None:
        """Something may be due."""
        self._woken.set()

    def use(self, account: Account, pool: ConnectionPool) -> None:
        """From now on it is this account, of the same identity: whatever was wrong with the other is over."""
        self._account, self._pool = account, pool
        self._not_before = 0.0
        self.wake()

    def ended(self, letter: Letter, decision: Decision) -> None:
        """A mail of the account ended like this, whoever took it from the ledger."""
        error = decision.delivery.error
        if decision.state is State.DEFERRED and (error and _all_must_wait(decision)):
            wait = decision.due - self._ledger.clock()  # which may be set back meanwhile
            self._not_before = max(self._not_before, self._time() + wait)
        if letter in self._mine:
            self._mine.discard(letter)
            self.wake()

    async def release(self) -> None:
        """Once the task is cancelled: what is not on its way goes back into the ledger."""
        await asyncio.wait([self.task])
        while self._ready:
            self._ready.popleft().settled(Delivery(error=withdrawn(), attempts=0))

    async def _run(self) -> None:
        while True:
            self._woken.clear()
            wait = LOOK_EVERY
            self.is_taking = True
            try:
                wait = await self._take_some()
            except LedgerFailed:
                pass  # it may be back in a moment
            except Exception:  # one that ends would end all of the account's mails
                _log.exception("mails of %s could not be taken from the ledger", self._account.identity)
            self.is_taking = False
            with suppress(TimeoutError):
                async with asyncio.timeout(wait):
                    await self._woken.wait()

    async def _take_some(self) -> float:
        """Takes what is due and there is room for; returns the seconds until there may be more."""
        if self.waits:
            return min(LOOK_EVERY, self._not_before - self._time())
        name = self._account.identity
        room = self._most - len(self._mine)
        if room < self._most / 2:
            return LOOK_EVERY
        entries = await self._leased(room)
        for entry in entries:
            letter = self._letter(entry)
            self._mine.add(letter)
            self._ready.append(letter)
        if entries:
            self._pool.add(self._source)
            return 0.0 if len(entries) < room else LOOK_EVERY
        due = await self._ledger.next_due(name)
        return LOOK_EVERY if due is None else max(0.0, min(LOOK_EVERY, due - self._ledger.clock()))

    async def _leased(self, most: int) -> list[Entry]:
        """What is the process's now; cancelled meanwhile, it is had all the same, and given back."""
        lease = asyncio.ensure_future(self._ledger.lease(self._account.identity, most))
        try:
            return await asyncio.shield(lease)
        except asyncio.CancelledError:
            with suppress(LedgerFailed):
                for entry in await lease:
                    self._ready.append(self._letter(entry))
            raise

    def _next(self) -> Shipment | None:
        return self._ready.popleft() if self._ready else None


def _all_must_wait(decision: Decision) -> bool:
    """Whether what happened to this mail would happen to all the others of the account."""
    error = decision.delivery.error
    if error is None:
        return False
    return hasattr(error, "until_seconds") or error.phase in _OPENING or kind_of(error) is Kind.QUOTA
