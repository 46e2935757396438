"""Sends what is in a ledger: at once, when it is due again, and what a process that died has left.

The rules:

1. Every mail is on record before it is sent, and its result is on record before anybody is told.
2. An account's mails that wait are taken in the order in which they are due, a few at a time, so that memory
   does not grow with their number.
3. While a server cannot be reached, or wants no more, its mails stay where they are; one look is taken when
   waiting is over.
4. When it ends, what is not on its way goes back into the ledger, and what is in doubt is left to whoever
   opens it next.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from random import uniform
from types import TracebackType
from typing import Any, Self

from nina_smtp import observe
from nina_smtp.delivery.account import Account
from nina_smtp.delivery.ledger import review
from nina_smtp.delivery.ledger.entry import Entry
from nina_smtp.delivery.ledger.ledger import Ledger
from nina_smtp.delivery.ledger.states import FINAL, WAITING, State
from nina_smtp.delivery.letter import Letter
from nina_smtp.delivery.outcome import Outcome, outcome_of, recorded_result
from nina_smtp.delivery.result import Result
from nina_smtp.delivery.runner import Runner
from nina_smtp.delivery.schedule import Dice, Schedule
from nina_smtp.delivery.shared import governor_of, shared_pool
from nina_smtp.errors import LedgerFailed
from nina_smtp.message import Message
from nina_smtp.smtp.mail import Delivery
from nina_smtp.smtp.pool import ConnectionPool

LOOK_EVERY = 1.0  # seconds between looks at mails that other processes may have
_DAY = 86_400.0
_LOOK_AT = 500  # mails at a time
_TAKEN_OVER = "Another process took the mail over meanwhile, and has its own say in the ledger."


@dataclass(frozen=True, slots=True)
class News:
    """What is known of a mail now. ``state`` is one of the final ones, or it waits."""

    entry: Entry
    state: State
    result: Result


OnNews = Callable[[News], object]


class Outbox:
    """Sends for the accounts it knows, until it is left.

    ::

        async with Ledger("mail.db") as ledger, Outbox(ledger) as outbox:
            outbox.serve(account)

    ``schedule`` says when a mail is tried again, ``dice`` draws between two numbers.
    """

    def __init__(self, ledger: Ledger, *, schedule: Schedule | None = None, dice: Dice = uniform) -> None:
        self.ledger = ledger
        self.schedule = schedule or Schedule()
        self._dice = dice
        self._exit = AsyncExitStack()
        self._accounts: dict[str, Account] = {}
        self._pools: dict[str, ConnectionPool] = {}
        self._runners: dict[str, Runner] = {}
        self._under_way: dict[str, Letter] = {}
        self._listeners: dict[str, list[OnNews]] = {}
        self._looking: asyncio.Task[None] | None = None
        self._unrecorded = 0
        self._changing = asyncio.Lock()
        self._quiet = asyncio.Event()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._looking:
            self._looking.cancel()
        for runner in self._runners.values():
            runner.task.cancel()
        for letter in tuple(self._under_way.values()):
            letter.withdrawn = True
            if pool := self._pools.get(letter.entry.account):
                pool.wake(letter)
        for runner in self._runners.values():
            await runner.release()
        await self._settle_down()
        for letter in tuple(self._under_way.values()):
            letter.give_up()
        await self._settle_down()
        if self._under_way:  # the pools are left open, or they would wait for verdicts that may never come
            await self._exit.__aexit__(TimeoutError, TimeoutError(), None)
        else:
            await self._exit.aclose()

    async def _settle_down(self) -> None:
        """Waits a moment for the verdicts that are out, and for what they are to be on record."""
        seconds = max((account.server.timeouts.quit for account in self._accounts.values()), default=0)
        try:
            async with asyncio.timeout(seconds):
                while self._under_way or self._unrecorded:
                    self._quiet.clear()
                    await self._quiet.wait()
        except TimeoutError:
            pass

    async def serve(self, account: Account) -> ConnectionPool:
        """Sends what waits for ``account``, from now on; instead of one with the same identity, if it was
        another.
        """
        name = account.identity
        async with self._changing:
            if self._accounts.get(name) != account:
                if account.limits.messages_per_day is not None:
                    await self._count_the_day(account)
                pool = await self._exit.enter_async_context(shared_pool(account, keep_warm=False))
                self._accounts[name], self._pools[name] = account, pool
                if name in self._runners:
                    self._runners[name].use(account, pool)
                else:
                    self._runners[name] = Runner(self.ledger, account, pool, self._letter)
        return self._pools[name]

    async def _count_the_day(self, account: Account) -> None:
        """What was sent before counts for the limit of a day, too."""
        governor = governor_of(account)
        if not governor.counts_the_day:
            now = self.ledger.clock()
            sent = await self.ledger.call(review.sent_since, (account.identity, now - _DAY))
            governor.preload((max(0.0, now - moment), 1) for moment in sent)
            governor.counts_the_day = True

    @property
    def is_busy(self) -> bool:
        """Whether anything is on its way, about to be, or about to be put on record."""
        taking = any(runner.is_taking for runner in self._runners.values())
        return bool(self._under_way or self._unrecorded or taking)

    @property
    def is_held_up(self) -> bool:
        """Whether all accounts wait for their servers to be there again."""
        return all(runner.waits for runner in self._runners.values())

    def letter(
        self,
        entry: Entry,
        on_fate: Callable[[State], object] | None = None,
        on_progress: Callable[[int, int], object] | None = None,
    ) -> Letter:
        """The mail of ``entry``, which is this process's, for its account's pool.

        ``on_fate`` hears what it comes to before anything else is written to the server, and :meth:`listen`
        when that is on record.
        """
        account = self._accounts[entry.account]
        letter = Letter(self.ledger, entry, account, self._ended, on_fate, on_progress)
        self._under_way[entry.id] = letter
        return letter

    def _letter(self, entry: Entry) -> Letter:
        return self.letter(entry)

    def listen(self, entry: Entry, on_news: OnNews) -> None:
        """``on_news`` hears what becomes of a mail; of one that is over, at once."""
        if entry.state in FINAL:
            on_news(News(entry, entry.state, recorded_result(entry)))
            return
        self._listeners.setdefault(entry.id, []).append(on_news)
        if self._is_deferred(entry):
            on_news(News(entry, State.DEFERRED, recorded_result(entry)))
        if self._looking is None:
            self._looking = asyncio.create_task(self._look())
        if entry.id not in self._under_way:
            self.hurry(entry.account)

    def hurry(self, account: str) -> None:
        """Something of ``account`` may be due."""
        if runner := self._runners.get(account):
            runner.wake()

    # What became of a mail.

    def _ended(self, letter: Letter, message: Message | None, delivery: Delivery) -> None:
        outcome = outcome_of(
            letter, message, delivery, now=self.ledger.clock(), schedule=self.schedule, dice=self._dice
        )
        if letter.on_fate:
            letter.on_fate(outcome.state)
        if runner := self._runners.get(letter.entry.account):
            runner.ended(letter, outcome.decision)
        self._unrecorded += 1
        self.ledger.end(
            outcome.ending(self.ledger.owner), lambda answer: self._recorded(letter, outcome, answer)
        )

    def _recorded(self, letter: Letter, outcome: Outcome, answer: Any) -> None:
        """It is on record, or could not be put there."""
        entry, result, state = letter.entry, outcome.result, outcome.state
        self._unrecorded -= 1
        self._under_way.pop(entry.id, None)
        if isinstance(answer, LedgerFailed):
            result.warnings = (*result.warnings, f"This could not be put on record. {answer.message}")
            if state not in FINAL:  # it is not to be had from the ledger before that
                state = State.DEFERRED
        elif not answer:
            result.warnings = (*result.warnings, _TAKEN_OVER)
        entry.state, entry.history, entry.octets = state, result.history, None
        if not (self._under_way or self._unrecorded):
            self._quiet.set()
        if state in FINAL:
            observe.mail_ended(result, key=entry.key, account=letter.account)
        self._tell(News(entry, state, result))
        if state not in FINAL:
            self.hurry(outcome.decision.account)

    def _tell(self, news: News) -> None:
        mail = news.entry.id
        listeners = self._listeners.pop(mail, []) if news.state in FINAL else self._listeners.get(mail, [])
        for listener in tuple(listeners):
            listener(news)

    async def _look(self) -> None:
        """Looks at mails that other processes may have, until they are over."""
        last = ""
        while True:
            await asyncio.sleep(LOOK_EVERY)
            elsewhere = sorted(set(self._listeners) - set(self._under_way))
            some = [mail for mail in elsewhere if mail > last][:_LOOK_AT] or elsewhere[:_LOOK_AT]
            last = some[-1] if some else ""
            with suppress(LedgerFailed):  # it may be back in a moment
                for entry in await self.ledger.find(*some):
                    if entry is None or entry.id in self._under_way:
                        continue
                    if entry.state in FINAL:
                        self._tell(News(entry, entry.state, recorded_result(entry)))
                    elif self._is_deferred(entry):
                        self._tell(News(entry, State.DEFERRED, recorded_result(entry)))

    def _is_deferred(self, entry: Entry) -> bool:
        """Whether a mail waits until it is due, or for somebody who serves its account."""
        return entry.state is State.DEFERRED or (
            entry.state in WAITING and entry.account not in self._accounts
        )


def names_of(route: Iterable[Account]) -> tuple[str, ...]:
    """The accounts of a route, as an entry has them: each once, or it would go round in a circle."""
    return tuple(dict.fromkeys(account.identity for account in route))
