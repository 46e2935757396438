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
from nina_smtp.delivery.attempt import Attempt, accepted_in, refused_in, summed
from nina_smtp.delivery.ledger import review
from nina_smtp.delivery.ledger.entry import Entry
from nina_smtp.delivery.ledger.ledger import Ledger
from nina_smtp.delivery.ledger.statements import Ending
from nina_smtp.delivery.ledger.states import FINAL, State
from nina_smtp.delivery.letter import Letter
from nina_smtp.delivery.result import Result, Status, result_from_dict, result_of, source_from_dict
from nina_smtp.delivery.retry import Case, Decision, decide, outcomes_of_round
from nina_smtp.delivery.runner import Runner
from nina_smtp.delivery.schedule import Dice, Schedule
from nina_smtp.delivery.shared import governor_of, shared_pool
from nina_smtp.delivery.verdict import Kind
from nina_smtp.envelope import Envelope
from nina_smtp.errors import LedgerFailed, NinaError, NotAttempted
from nina_smtp.message import Message
from nina_smtp.smtp.mail import Delivery
from nina_smtp.smtp.pool import ConnectionPool

LOOK_EVERY = 1.0  # seconds between looks at mails that other processes may have
_DAY = 86_400.0
_LOOK_AT = 500  # mails at a time


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
        """Sends what waits for ``account``, from now on."""
        name = account.identity
        if name not in self._accounts:
            self._accounts[name] = account
            if account.limits.messages_per_day is not None:
                await self._count_the_day(account)
            self._pools[name] = await self._exit.enter_async_context(shared_pool(account, keep_warm=False))
            self._runners[name] = Runner(self.ledger, account, self._pools[name], self._letter)
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
        """Whether anything is on its way, or about to be put on record."""
        return bool(self._under_way or self._unrecorded)

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
        if entry.state is State.DEFERRED:
            on_news(News(entry, entry.state, recorded_result(entry)))
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
        entry, now = letter.entry, self.ledger.clock()
        if letter.dropped and delivery.error and not delivery.error.uncertain:
            decision = Decision(State.FAILED, _because(letter.dropped), entry.attempts, entry.account)
        else:
            decision = decide(self._case(entry), delivery, now=now, schedule=self.schedule, dice=self._dice)
        history = entry.history
        moves_on = decision.state is State.QUEUED and decision.account != entry.account
        if letter.dropped is None and (delivery.attempts or moves_on):
            attempt = Attempt.of(
                delivery,
                number=len(history) + 1,
                account=entry.account,
                at=letter.began,
                seconds=now - letter.began,
            )
            history = (*history, attempt.as_dict())
        result = self._result(entry, decision, history, message, now)
        ending = Ending(
            id=entry.id,
            owner=self.ledger.owner,
            state=decision.state,
            attempts=decision.attempts,
            account=decision.account,
            due=decision.due or now,
            recipients=decision.recipients,
            history=history,
            result=result.as_dict() if decision.state in FINAL | {State.DEFERRED} else None,
        )
        if letter.on_fate:
            letter.on_fate(decision.state)
        if runner := self._runners.get(entry.account):
            runner.ended(letter, decision)
        self._unrecorded += 1
        self.ledger.end(ending, lambda answer: self._recorded(letter, decision, result, answer))

    def _case(self, entry: Entry) -> Case:
        in_doubt = any(one.get("outcome") == Kind.UNKNOWN for one in entry.history)
        route = (entry.account,) if in_doubt else entry.route  # never to another server
        return Case(
            entry.recipients,
            entry.attempts,
            entry.expires,
            route,
            entry.account,
            entry.on_uncertain,
            outcomes_of_round(entry.history, entry.account, route),
            reached=bool(accepted_in(entry.history)),
        )

    def _result(
        self, entry: Entry, decision: Decision, history: tuple[Any, ...], message: Message | None, now: float
    ) -> Result:
        delivery = summed(entry.history, decision.delivery)
        delivery.attempts = sum(1 for one in history if "phase" in one)
        message = message or entry.message
        everybody = (*delivery.accepted, *(one.address for one in delivery.refused), *entry.recipients)
        result = result_of(
            delivery,
            message,
            item=entry.item,
            warnings=self._accounts[entry.account].warnings,
            sources={name: source_from_dict(one) for name, one in entry.sources.items()},
            seconds=now - entry.created,
            status=_status_of(decision),
        )
        result.transcript = decision.delivery.transcript
        result.envelope = Envelope(entry.sender, tuple(dict.fromkeys(everybody)))
        result.history = history
        if result.status is Status.DEFERRED:
            result.due = decision.due
        if decision.warning:
            result.warnings = (*result.warnings, decision.warning)
        return result

    def _recorded(self, letter: Letter, decision: Decision, result: Result, answer: Any) -> None:
        """It is on record, or could not be put there."""
        entry = letter.entry
        self._unrecorded -= 1
        self._under_way.pop(entry.id, None)
        if isinstance(answer, LedgerFailed):
            result.warnings = (*result.warnings, f"This could not be put on record. {answer.message}")
        entry.state, entry.history, entry.octets = decision.state, result.history, None
        if not (self._under_way or self._unrecorded):
            self._quiet.set()
        if decision.state in FINAL:
            observe.mail_ended(result, key=entry.key, account=letter.account)
        self._tell(News(entry, decision.state, result))
        if decision.state not in FINAL:
            self.hurry(decision.account)

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
                    if entry and entry.state in FINAL and entry.id not in self._under_way:
                        self._tell(News(entry, entry.state, recorded_result(entry)))


def recorded_result(entry: Entry) -> Result:
    """What the ledger says of a mail."""
    if entry.result:
        result = result_from_dict(entry.result, item=entry.item)
        result.due = None if entry.state in FINAL else entry.due
        return result
    return Result(
        Status.DEFERRED,
        entry.item,
        message_id=entry.message_id,
        envelope=Envelope(entry.sender, entry.recipients),
        accepted=accepted_in(entry.history),
        rejected=refused_in(entry.history),
        size=entry.size,
        attempts=entry.attempts,
        due=entry.due,
        history=entry.history,
        recorded=True,
    )


def names_of(route: Iterable[Account]) -> tuple[str, ...]:
    """The accounts of a route, as an entry has them: each once, or it would go round in a circle."""
    return tuple(dict.fromkeys(account.identity for account in route))


def _status_of(decision: Decision) -> Status:
    if decision.state not in FINAL:
        return Status.DEFERRED
    if isinstance(decision.delivery.error, NotAttempted):
        return Status.NOT_ATTEMPTED
    return Status(decision.state.value)


def _because(error: NinaError) -> Delivery:
    return Delivery(error=error, attempts=0)
