"""Sends the mails of one execution by way of a ledger: each is on record before it is sent.

The mails go out in the order and under the rules of :mod:`.courier`; those that are to be tried again are the
outbox's, and the execution waits for them as long as its patience lasts. A mail whose key is in the ledger is
not sent: its result is the one that is there, or will be.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Any

from nina_smtp.delivery.ledger.entry import Entry, content_of, new_id
from nina_smtp.delivery.ledger.states import FINAL, OnUncertain, State
from nina_smtp.delivery.letter import Letter
from nina_smtp.delivery.mailnode import Callbacks
from nina_smtp.delivery.outbox import News, Outbox, names_of
from nina_smtp.delivery.outcome import recorded_result
from nina_smtp.delivery.result import OnPartial, Result, Status, result_of
from nina_smtp.errors import KeyConflict, LedgerFailed, NinaError, NotAttempted, internal
from nina_smtp.parameters.merge import Merged
from nina_smtp.smtp.failures import uncertain
from nina_smtp.smtp.mail import Delivery, Shipment, withdrawn
from nina_smtp.smtp.pool import ConnectionPool
from nina_smtp.smtp.turns import Source

from .gathering import FAILED_BEFORE, STOPPED, Gathering, UnderWay
from .work import Work, not_attempted

_AHEAD = 64  # mails that are built and put on record before there is room for them
_AHEAD_IN_ORDER = 4
_OTHERS = 10.0  # seconds, after patience is over, for what another process has just now


class RecordedCourier(Gathering):
    """One execution."""

    def __init__(
        self,
        work: Work,
        outbox: Outbox,
        callbacks: Callbacks,
    ) -> None:
        super().__init__(work, callbacks)
        self.outbox = outbox
        self.patient = self.patient_with_others = True
        self._ready: deque[RecordedMail] = deque()
        self._on_the_way_to_record = 0
        self._ahead = _AHEAD_IN_ORDER if self.stops_at_failure else _AHEAD
        self._source = Source(self._hand_out, backlog=lambda: len(self._ready), ordered=self.stops_at_failure)
        self._pool: ConnectionPool | None = None

    async def send(self) -> None:
        """Returns when the fate of every mail is known, or patience is over."""
        for account in reversed(self.work.route):
            self._pool = await self.outbox.serve(account)
        patience = self.work.task.patience
        loop = asyncio.get_running_loop()
        timers: list[asyncio.TimerHandle] = []
        if patience is not None:
            timers.append(loop.call_later(patience, self._lose_patience))
            timers.append(loop.call_later(patience + _OTHERS, self._lose_patience_with_others))
        try:
            self._fill()
            await self.finished()
        finally:
            for timer in timers:
                timer.cancel()

    async def look_up_the_rest(self) -> None:
        """What an execution before this one put on record is true whatever became of the first mails now."""
        if self.work.task.key is None or not self.left_out:
            return
        names = {str(self.work.key_of(index)): index for index in range(len(self.results), self.count)}
        for entry in await self.outbox.ledger.named(*names):
            result = recorded_result(entry)
            if entry.state is State.FAILED:
                continue  # nobody has it, so it was not attempted
            result.item = names[entry.key]
            self.known[result.item] = result

    def wake(self, mail: UnderWay) -> None:
        assert isinstance(mail, RecordedMail)
        if mail.letter and self._pool:
            self._pool.wake(mail.letter)

    def withdraw(self, why: str) -> None:
        super().withdraw(why)
        if why is STOPPED:
            self._lose_patience()
        while self._ready:
            letter = self._ready.popleft().letter
            assert letter
            letter.settled(Delivery(error=withdrawn(), attempts=0))

    def _lose_patience(self) -> None:
        self.patient = False
        for mail in tuple(self.under_way.values()):
            assert isinstance(mail, RecordedMail)
            mail.no_longer_waited_for()

    def _lose_patience_with_others(self) -> None:
        self.patient_with_others = False
        self._lose_patience()

    def _fill(self) -> None:
        """Builds the next mails and puts them on record."""
        while self.left and len(self._ready) + self._on_the_way_to_record < self._ahead:
            mail = RecordedMail(self, self.next_index())
            self.under_way[mail.index] = mail
            entry = mail.entry()
            if entry:
                self._on_the_way_to_record += 1
                self.outbox.ledger.add(entry, mail.added)

    def added(self, mail: RecordedMail) -> None:
        """``mail`` is on record, or could not be put there; with a letter, it is to be sent."""
        self._on_the_way_to_record -= 1
        if mail.letter:
            self._ready.append(mail)
            assert self._pool
            self._pool.add(self._source)
        self._fill()

    def _hand_out(self) -> Shipment | None:
        if not self._ready:
            return None
        mail = self._ready.popleft()
        if self.left:
            asyncio.get_running_loop().call_soon(self._fill)
        return mail.letter


class RecordedMail:
    """The mail of one item."""

    def __init__(self, courier: RecordedCourier, index: int) -> None:
        self.index = index
        self.letter: Letter | None = None
        self._courier = courier
        self._entry: Entry | None = None
        self._deferred: Result | None = None
        self._waiting: Result | None = None
        """What is known of it while it is in the ledger, for whoever sends it."""
        self._is_anothers = False

    def entry(self) -> Entry | None:
        """The mail for the ledger; None if it cannot be built, which is its result then."""
        work = self._courier.work
        merged: Merged | None = None
        try:
            merged = work.merge(self.index)
            message = work.build(merged, self.index)
            self._courier.built(self.index, message)
            content = content_of(message)
        except NinaError as error:
            self._fail(error, merged)
            return None
        except Exception as error:
            self._fail(internal(error), merged)
            return None
        outbox, now = self._courier.outbox, self._courier.outbox.ledger.clock()
        route = names_of(work.route)
        self._entry = Entry(
            key=work.key_of(self.index) or f"once/{new_id()}",
            digest=work.digest(merged) if work.task.key else "",
            account=route[0],
            route=route,
            state=State.LEASED,
            owner=outbox.ledger.owner,
            due=now,
            created=now,
            expires=now + outbox.schedule.max_age,
            on_uncertain=OnUncertain(work.plan.fields.options.on_uncertain),
            item=self.index,
            sources={name: source.as_dict() for name, source in work.sources(merged).items()},
            **content,
        )
        return self._entry

    def added(self, answer: Any) -> None:
        """What the ledger says: it is there now, or was before, or cannot be."""
        courier, entry = self._courier, self._entry
        if isinstance(answer, LedgerFailed):
            self._fail(answer, None)
        elif entry and answer is entry:
            outbox = courier.outbox
            self.letter = outbox.letter(entry, self._fate, self._progress)
            self.letter.transcript_wanted = courier.work.task.transcript
            outbox.listen(entry, self._news)
            if courier.why_not:
                self.withdraw(courier.why_not)
                self.letter.settled(Delivery(error=withdrawn(), attempts=0))
                self.letter = None
        elif entry and answer.digest != entry.digest:
            self._fail(_conflict(courier.work.task.key), None)
        else:
            self._entry = answer
            self._waiting = recorded_result(answer)
            self._is_anothers = answer.owner not in (None, courier.outbox.ledger.owner)
            courier.outbox.listen(answer, self._news)
            if not courier.patient_with_others and self.index in courier.under_way:
                self.no_longer_waited_for()
        courier.added(self)

    def withdraw(self, why: str) -> None:
        if self.letter:
            stopped = withdrawn() if self.letter.begun else not_attempted(why)
            self.letter.dropped = self.letter.dropped or stopped
            self.letter.withdrawn = True

    def no_longer_waited_for(self) -> None:
        """What is known by now will do, if anything is."""
        if self._deferred:
            self._courier.ended(self.index, self._deferred)
        elif self._waiting and self._is_anothers and not self._courier.patient_with_others:
            self._waiting.item = self.index
            self._courier.ended(self.index, self._waiting)

    def give_up(self) -> None:
        """Says what is known now."""
        if self._waiting:
            self._waiting.item = self.index
            self._courier.ended(self.index, self._waiting)
            return
        error = (self.letter and self.letter.dropped) or withdrawn()
        if self.letter and self.letter.content_out:
            error = uncertain("it was interrupted while it waited for it.", None)
        self._fail(error, None, told=self.letter is not None)  # of what is on record the outbox tells

    def _progress(self, written: int, size: int) -> None:
        self._courier.progressed(self.index, written, size)

    def _fate(self, state: State) -> None:
        bad = {State.FAILED, State.UNKNOWN}
        if self._courier.results.on_partial is OnPartial.FAIL:
            bad.add(State.PARTIAL)
        if self._courier.stops_at_failure and state in bad and self.letter:
            letter, self.letter = self.letter, None
            if letter.dropped is None:
                self._courier.withdraw(FAILED_BEFORE)

    def _news(self, news: News) -> None:
        result = news.result
        result.item = self.index
        if news.state in FINAL:
            self._courier.ended(self.index, result)
            return
        if result.recorded and self._deferred and not self._deferred.recorded:
            return  # it is known already, and better
        self._waiting = result
        if news.state is State.DEFERRED:
            self._deferred = result
            if not self._courier.patient:
                self._courier.ended(self.index, result)

    def _fail(self, error: NinaError, merged: Merged | None, *, told: bool = False) -> None:
        work = self._courier.work
        result = result_of(
            Delivery(error=error, attempts=0),
            None,
            item=self.index,
            sources=work.sources(merged) if merged else None,
            seconds=0,
            status=Status.NOT_ATTEMPTED if isinstance(error, NotAttempted) else None,
        )
        result.told = told
        self._courier.ended(self.index, result)


def _conflict(key: str | None) -> KeyConflict:
    return KeyConflict(
        f"The idempotency key {str(key)[:80]!a} was used before, for a mail that is not this one.",
        hint="Nothing was sent. Use another key for another mail.",
        parameter="idempotencyKey",
    )
