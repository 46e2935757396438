"""Sends the mails of one execution through the credential's pool, and keeps no record of them.

With ``onError: fail`` the mails are an ordered source: no mail is delivered after one that failed. With
``onError: continue`` they use all connections of the credential. A mail of which it is certain that it was
not delivered, for a reason that is the server's, goes to the next credential of the route at once.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import replace
from math import inf
from time import monotonic

from nina_smtp.delivery.account import Account
from nina_smtp.delivery.ledger.states import OnUncertain, State
from nina_smtp.delivery.outgoing import Outgoing
from nina_smtp.delivery.result import Result, Status, result_of
from nina_smtp.delivery.retry import ASSUMED, Case, decide, fell_back, still_in_doubt
from nina_smtp.delivery.schedule import Schedule
from nina_smtp.delivery.shared import shared_pool
from nina_smtp.errors import NinaError
from nina_smtp.message import Message
from nina_smtp.parameters.merge import Source as Provenance
from nina_smtp.smtp.failures import uncertain
from nina_smtp.smtp.mail import Delivery, Shipment, withdrawn
from nina_smtp.smtp.pool import ConnectionPool
from nina_smtp.smtp.turns import Source

from .gathering import Gathering, UnderWay
from .work import not_attempted

_RESENDS = 2  # times that a mail is sent again at once which may have been delivered
_AT_ONCE = Schedule(delays=(0.0,), greylisted=0.0)


class Courier(Gathering):
    """One execution."""

    async def send(self) -> None:
        """Returns when the fate of every mail is known, and raises nothing for what it is."""
        async with AsyncExitStack() as stack:
            self._stack = stack
            pools = [await stack.enter_async_context(shared_pool(account)) for account in self.work.route]
            self._stops = [_Stop(pool) for pool in pools]
            if self.left:
                ordered = self.stops_at_failure
                pools[0].add(Source(self._more, backlog=lambda: self.left, ordered=ordered))
            await self.finished()

    def wake(self, mail: UnderWay) -> None:
        assert isinstance(mail, ItemMail)
        self._stops[mail.stop].pool.wake(mail)

    def send_again(self, mail: ItemMail) -> None:
        """By the account that it is at now."""
        self._stops[mail.stop].add(mail)

    def _more(self) -> ItemMail | None:
        if not self.left:
            return None
        index = self.next_index()
        mail = self.under_way[index] = ItemMail(self, index)
        return mail


class _Stop:
    """One account of the route, and the mails that came to it after the first attempt."""

    def __init__(self, pool: ConnectionPool) -> None:
        self.pool = pool
        self._waiting: deque[Shipment] = deque()
        self._source = Source(self._next, backlog=lambda: len(self._waiting))

    def add(self, mail: ItemMail) -> None:
        self._waiting.append(mail)
        self.pool.loop.call_soon(self.pool.add, self._source)  # not from within the session it came from

    def _next(self) -> Shipment | None:
        return self._waiting.popleft() if self._waiting else None


class ItemMail(Outgoing):
    """The mail of one item."""

    def __init__(self, courier: Courier, index: int) -> None:
        self.index = index
        self.stop = 0
        """Which account of the route it is at."""
        self._courier = courier
        self._began = monotonic()
        self._sources: Mapping[str, Provenance] = {}
        self._resends = 0
        self._tried = 0
        self.transcript_wanted = courier.work.task.transcript

    @property
    def account(self) -> Account:
        """The account it is at."""
        return self._courier.work.route[self.stop]

    def build(self) -> Message:
        work = self._courier.work
        merged = work.merge(self.index)
        self._sources = work.sources(merged)
        message = work.build(merged, self.index)
        self._courier.built(self.index, message)
        return message

    def progress(self, written: int, size: int) -> None:
        self._courier.progressed(self.index, written, size)

    def withdraw(self, why: str) -> None:
        self.withdrawn = True

    def ended(self, message: Message | None, delivery: Delivery) -> None:
        if self._resends and message and delivery.error and not delivery.error.uncertain:
            delivery = still_in_doubt(delivery, message.envelope.recipients)
        if delivery.error is None or message is None or self._courier.why_not:
            self._tell(message, delivery)
        elif delivery.error.uncertain:
            self._uncertain(message, delivery)
        elif not self._goes_on(message, delivery):
            self._tell(message, delivery)

    def give_up(self) -> None:
        """Says what is known now."""
        error: NinaError = withdrawn()
        if self.content_out:
            error = uncertain("it was interrupted while it waited for it.", None)
        delivery = Delivery(error=error, attempts=self.attempts)
        delivery.transcript = self.script.lines() if self.script else ()
        self._tell(self._message, delivery)

    def _uncertain(self, message: Message, delivery: Delivery) -> None:
        wish = OnUncertain(self._courier.work.plan.fields.options.on_uncertain)
        if wish is OnUncertain.ASSUME_SENT:
            accepted = (*delivery.accepted, *delivery.in_doubt)
            message = replace(message, warnings=(*message.warnings, ASSUMED))
            self._tell(message, replace(delivery, accepted=accepted, error=None, in_doubt=()))
        elif wish is OnUncertain.RESEND and self._resends < _RESENDS and not delivery.accepted:
            self._resends += 1
            self._again(message, delivery)
        else:
            self._tell(message, delivery)

    def _goes_on(self, message: Message, delivery: Delivery) -> bool:
        """Whether there is another account for it, which has it then."""
        names = tuple(str(place) for place in range(len(self._courier.work.route)))
        case = Case(message.envelope.recipients, 0, inf, names, names[self.stop])
        decision = decide(case, delivery, now=0.0, schedule=_AT_ONCE)
        if decision.state is not State.QUEUED or decision.account == case.account:
            return False
        following = int(decision.account)
        try:
            message = self._courier.work.route[following].policy.enforced(message)
        except NinaError:
            return False
        warning = fell_back(self.account.identity, self._courier.work.route[following].identity)
        if delivery.error:
            warning = f"{warning} {delivery.error.message}"
        self.stop = following
        self._again(replace(message, warnings=(*message.warnings, warning)), delivery)
        return True

    def _again(self, message: Message, delivery: Delivery) -> None:
        """The same octets once more, after ``delivery``."""
        self._tried += delivery.attempts
        self._message = message
        self.attempts = 0
        self.begun = self.content_out = False
        self.excess, self.so_far = (), ()
        self._courier.send_again(self)

    def _tell(self, message: Message | None, delivery: Delivery) -> None:
        error = delivery.error
        if self._courier.why_not and self.withdrawn and not (self.begun or self._resends) and error:
            result = Result(Status.NOT_ATTEMPTED, self.index, error=not_attempted(self._courier.why_not))
            self._courier.ended(self.index, result)
            return
        delivery.attempts += self._tried
        result = result_of(
            delivery,
            message,
            item=self.index,
            warnings=self.account.warnings,
            sources=self._sources,
            seconds=monotonic() - self._began,
        )
        self._courier.ended(self.index, result)
