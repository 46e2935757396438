"""The results of one execution: in the order of the items, whatever order the mails end in."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from typing import Protocol

from nina_smtp import observe
from nina_smtp.delivery.account import Account
from nina_smtp.delivery.mailnode import Callbacks
from nina_smtp.delivery.result import OnPartial, Result, Results, Status
from nina_smtp.message import Message
from nina_smtp.smtp.mail import withdrawn

from .work import Work, not_attempted

FAILED_BEFORE = "An earlier mail failed, so this one was not attempted."
STOPPED = "The work was stopped before this mail was attempted."


class UnderWay(Protocol):
    """A mail whose fate is not known yet."""

    index: int

    def withdraw(self, why: str) -> None:
        """It is not sent, unless its last octet is out."""

    def give_up(self) -> None:
        """Says what is known now."""


class Gathering(ABC):
    """One execution. ``results`` grows in the order of the items; ``on_result`` gets each as it is added."""

    sends = True
    """Whether its mails are to be sent at all."""

    def __init__(
        self,
        work: Work,
        callbacks: Callbacks,
    ) -> None:
        options = work.plan.fields.options
        self.work = work
        self.results = Results(on_partial=OnPartial(options.on_partial))
        self.stops_at_failure = options.on_error == "fail"
        self.under_way: dict[int, UnderWay] = {}
        self.why_not: str | None = None
        self.known: dict[int, Result] = {}
        """Results of mails that were not begun this time."""
        self._callbacks = callbacks
        self.count = len(work.inputs)
        self._next = 0
        self._early: dict[int, Result] = {}  # results that wait for those before them
        self._fault: BaseException | None = None
        self._finished: asyncio.Future[None] | None = None

    @abstractmethod
    def wake(self, mail: UnderWay) -> None:
        """``mail`` was withdrawn: whoever has it should see."""

    @property
    def left_out(self) -> bool:
        """Whether there are mails that were not begun."""
        return len(self.results) < self.count

    @property
    def left(self) -> int:
        """How many mails were not begun yet."""
        return 0 if self.why_not else self.count - self._next

    def next_index(self) -> int:
        """Of the mail that is to be begun now."""
        self._next += 1
        return self._next - 1

    def ended(self, index: int, result: Result) -> None:
        """What became of a mail."""
        mail = self.under_way.pop(index, None)
        if mail is None:
            return  # it was given up
        self._observe(result, getattr(mail, "account", None))
        self._early[index] = result
        while (following := self._early.pop(len(self.results), None)) is not None:
            self._add(following)
        failed = result.status is not Status.DEFERRED and not result.succeeded(self.results.on_partial)
        if self.stops_at_failure and failed:
            self.withdraw(FAILED_BEFORE)
        self._see_whether_finished()

    def progressed(self, index: int, written: int, size: int) -> None:
        """So many octets of an item's mail are out."""
        if self._callbacks.on_progress and not self._fault:
            try:
                self._callbacks.on_progress(index, written, size)
            except BaseException as fault:
                self._stop_at(fault)

    def built(self, index: int, message: Message) -> None:
        """An item's mail was built. Raises Interrupted if it is not wanted any more."""
        if self._callbacks.on_message and not self._fault:
            try:
                self._callbacks.on_message(index, message)
            except BaseException as fault:
                self._stop_at(fault)
                raise withdrawn() from None

    def withdraw(self, why: str) -> None:
        """Nothing more is begun, and what is not out is not sent."""
        self.why_not = self.why_not or why
        for mail in tuple(self.under_way.values()):
            mail.withdraw(self.why_not)

    async def finished(self) -> None:
        """Returns when the fate of every mail is known. Raises what a callback raised.

        Cancelled, it withdraws what is not out, waits a moment for the verdicts on what is, and says of every
        mail what is known then.
        """
        self._finished = asyncio.get_running_loop().create_future()
        self._see_whether_finished()
        try:
            await self._finished
        except asyncio.CancelledError:
            await self._stop()
            raise
        await self.look_up_the_rest()
        self.leave_out_the_rest()
        if self._fault:
            raise self._fault

    async def look_up_the_rest(self) -> None:  # noqa: B027 - not everybody has a record
        """Finds what is known of mails that were not begun."""

    def leave_out_the_rest(self) -> None:
        """Says of every mail that was not begun that it was not, unless something else is known of it."""
        for index in range(len(self.results), self.count):
            if known := self.known.pop(index, None):
                self._add(known)
                continue
            why = self.why_not or STOPPED
            result = Result(Status.NOT_ATTEMPTED, index, error=not_attempted(why))
            self._observe(result, None)
            self._add(result)

    def _observe(self, result: Result, account: Account | None) -> None:
        """Whoever watches the process hears of a mail at once, not when those before it are over, too."""
        if self.sends:
            observe.mail_ended(
                result, key=self.work.key_of(result.item), account=account or self.work.account
            )

    def _see_whether_finished(self) -> None:
        if self._finished and not self.under_way and not self.left and not self._finished.done():
            self._finished.set_result(None)

    async def _stop(self) -> None:
        self.withdraw(STOPPED)
        for mail in tuple(self.under_way.values()):
            self.wake(mail)
        self._finished = asyncio.get_running_loop().create_future()
        try:
            if self.under_way:
                seconds = self.work.account.server.timeouts.quit
                await asyncio.wait([self._finished], timeout=seconds)
        finally:  # cancelled once more, it does not wait any longer
            for mail in tuple(self.under_way.values()):
                mail.give_up()
            self.leave_out_the_rest()

    def _add(self, result: Result) -> None:
        self.results.append(result)
        if self._callbacks.on_result and not self._fault:
            try:
                self._callbacks.on_result(result)
            except BaseException as fault:
                self._stop_at(fault)

    def _stop_at(self, fault: BaseException) -> None:
        """What a callback raises is told to whoever asked for the work, not to the session it came from."""
        self._fault = fault
        self.withdraw(STOPPED)
