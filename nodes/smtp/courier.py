"""Sends the mails of one execution through the credential's pool, and gathers what became of each, in order.

With ``onError: fail`` the mails are an ordered source: no mail is delivered after one that failed. With
``onError: continue`` they use all connections of the credential.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from time import monotonic

from nina_smtp.delivery.mailnode import OnMessage, OnProgress, OnResult
from nina_smtp.delivery.outgoing import Outgoing
from nina_smtp.delivery.result import OnPartial, Result, Results, Status, result_of
from nina_smtp.errors import NinaError
from nina_smtp.message import Message
from nina_smtp.parameters.merge import Source as Provenance
from nina_smtp.smtp.failures import uncertain
from nina_smtp.smtp.mail import Delivery, withdrawn
from nina_smtp.smtp.pool import ConnectionPool
from nina_smtp.smtp.turns import Source

from .work import Work, not_attempted

_FAILED_BEFORE = "An earlier mail failed, so this one was not attempted."
_STOPPED = "The work was stopped before this mail was attempted."


class Courier:
    """One execution. ``results`` grows in the order of the items; ``on_result`` gets each as it is added."""

    def __init__(
        self,
        work: Work,
        *,
        on_message: OnMessage | None = None,
        on_result: OnResult | None = None,
        on_progress: OnProgress | None = None,
    ) -> None:
        options = work.plan.fields.options
        self.work = work
        self.results = Results(on_partial=OnPartial(options.on_partial))
        self._on_message = on_message
        self._on_progress = on_progress
        self._on_result = on_result
        self._stops_at_failure = options.on_error == "fail"
        self._count = len(work.inputs)
        self._next = 0
        self._under_way: dict[int, ItemMail] = {}
        self._early: dict[int, Result] = {}  # results that wait for those before them
        self._why_not: str | None = None
        self._fault: BaseException | None = None
        self._finished: asyncio.Future[None] | None = None

    def build_only(self) -> None:
        """Builds every mail and sends none."""
        while mail := self._more():
            if mail.primed():
                mail.settled(Delivery(attempts=0))
        self._leave_out_the_rest()

    async def send(self, pool: ConnectionPool) -> None:
        """Returns when the fate of every mail is known.

        Cancelled, it withdraws what is not out, waits a moment for the verdicts on what is, and says of every
        mail what is known then.
        """
        if self._count:
            self._finished = asyncio.get_running_loop().create_future()
            pool.add(Source(self._more, backlog=self._left, ordered=self._stops_at_failure))
            try:
                await self._finished
            except asyncio.CancelledError:
                await self._stop(pool)
                raise
        self._leave_out_the_rest()
        if self._fault:
            raise self._fault

    def ended(self, mail: ItemMail, result: Result) -> None:
        """What became of ``mail``."""
        if self._under_way.pop(mail.index, None) is None:
            return  # it was given up
        if self._why_not and mail.withdrawn and not mail.begun and result.error:
            result = Result(Status.NOT_ATTEMPTED, mail.index, error=not_attempted(self._why_not))
        self._early[mail.index] = result
        while (following := self._early.pop(len(self.results), None)) is not None:
            self._add(following)
        if self._stops_at_failure and not result.succeeded(self.results.on_partial):
            self._withdraw(_FAILED_BEFORE)
        if self._finished and not self._under_way and not self._left() and not self._finished.done():
            self._finished.set_result(None)

    def progressed(self, index: int, written: int, size: int) -> None:
        """So many octets of an item's mail are out."""
        if self._on_progress and not self._fault:
            try:
                self._on_progress(index, written, size)
            except BaseException as fault:
                self._stop_at(fault)

    def built(self, index: int, message: Message) -> None:
        """An item's mail was built. Raises Interrupted if it is not wanted any more."""
        if self._on_message and not self._fault:
            try:
                self._on_message(index, message)
            except BaseException as fault:
                self._stop_at(fault)
                raise withdrawn() from None

    def _more(self) -> ItemMail | None:
        if not self._left():
            return None
        mail = self._under_way[self._next] = ItemMail(self, self._next)
        self._next += 1
        return mail

    def _left(self) -> int:
        return 0 if self._why_not else self._count - self._next

    def _withdraw(self, why: str) -> None:
        self._why_not = self._why_not or why
        for mail in self._under_way.values():
            mail.withdrawn = True

    async def _stop(self, pool: ConnectionPool) -> None:
        self._withdraw(_STOPPED)
        for mail in tuple(self._under_way.values()):
            pool.wake(mail)
        self._finished = asyncio.get_running_loop().create_future()
        try:
            if self._under_way:
                await asyncio.wait([self._finished], timeout=pool.server.timeouts.quit)
        finally:  # cancelled once more, it does not wait any longer
            for mail in tuple(self._under_way.values()):
                mail.give_up()
            self._leave_out_the_rest()

    def _leave_out_the_rest(self) -> None:
        for index in range(len(self.results), self._count):
            why = self._why_not or _STOPPED
            self._add(Result(Status.NOT_ATTEMPTED, index, error=not_attempted(why)))

    def _add(self, result: Result) -> None:
        self.results.append(result)
        if self._on_result and not self._fault:
            try:
                self._on_result(result)
            except BaseException as fault:
                self._stop_at(fault)

    def _stop_at(self, fault: BaseException) -> None:
        """What a callback raises is told to whoever asked for the work, not to the session it came from."""
        self._fault = fault
        self._withdraw(_STOPPED)


class ItemMail(Outgoing):
    """The mail of one item."""

    def __init__(self, courier: Courier, index: int) -> None:
        self.index = index
        self._courier = courier
        self._began = monotonic()
        self._sources: Mapping[str, Provenance] = {}

    def build(self) -> Message:
        work = self._courier.work
        merged = work.merge(self.index)
        self._sources = work.sources(merged)
        message = work.build(merged, self.index)
        self._courier.built(self.index, message)
        return message

    def progress(self, written: int, size: int) -> None:
        self._courier.progressed(self.index, written, size)

    def ended(self, message: Message | None, delivery: Delivery) -> None:
        dry = delivery.error is None and delivery.attempts == 0
        self._tell(message, delivery, Status.DRY_RUN if dry else None)

    def give_up(self) -> None:
        """Says what is known now."""
        error: NinaError = withdrawn()
        if self.content_out:
            error = uncertain("it was interrupted while it waited for it.", None)
        self._tell(self._message, Delivery(error=error, attempts=self.attempts))

    def _tell(self, message: Message | None, delivery: Delivery, status: Status | None = None) -> None:
        result = result_of(
            delivery,
            message,
            item=self.index,
            warnings=self._courier.work.account.warnings,
            sources=self._sources,
            seconds=monotonic() - self._began,
            status=status,
        )
        self._courier.ended(self, result)
