"""Dry runs: everything but the sending, as far as is asked for.

``build`` merges and builds; ``login`` also connects, secures the connection and logs in, at every credential
of the route; ``recipients`` also asks the first of them for each mail whether it takes the sender and the
recipients (MAIL and RCPT, then RSET). No content is sent in any of them.
"""

from __future__ import annotations

import asyncio
from time import monotonic

from nina_smtp.delivery.mailnode import Depth
from nina_smtp.delivery.result import Result, Status, result_of
from nina_smtp.errors import NinaError, internal
from nina_smtp.message import Message
from nina_smtp.smtp.mail import Delivery
from nina_smtp.smtp.session import Session

from .gathering import Gathering, UnderWay


class Rehearsal(Gathering):
    """One dry run."""

    sends = False

    async def perform(self, depth: Depth) -> None:
        """Fills ``results``."""
        session, failure = None, None
        if depth is not Depth.BUILD and self.left:
            session, failure = await self._log_in()
        try:
            while self.left:
                index = self.next_index()
                self.under_way[index] = _Rehearsed(index)
                self.ended(index, await self._one(index, depth, session, failure))
                await asyncio.sleep(0)  # so that it can be stopped
        finally:
            if session:
                await session.quit()
        await self.finished()

    def wake(self, mail: UnderWay) -> None:
        """Nothing is waited for."""

    async def _log_in(self) -> tuple[Session | None, NinaError | None]:
        """The session with the first account, once all of them let us in; or why one does not."""
        first: Session | None = None
        for account in self.work.route:
            try:
                session = await Session.open(account.server)
            except NinaError as error:
                if first:
                    await first.quit()
                return None, error
            if first is None:
                first = session
            else:
                await session.quit()
        return first, None

    async def _one(
        self, index: int, depth: Depth, session: Session | None, failure: NinaError | None
    ) -> Result:
        began = monotonic()
        message: Message | None = None
        sources = None
        try:
            merged = self.work.merge(index)
            sources = self.work.sources(merged)
            message = self.work.build(merged, index)
            self.built(index, message)
            delivery = Delivery(error=failure, attempts=0)
        except NinaError as error:
            delivery = Delivery(error=error, attempts=0)
        except Exception as error:
            delivery = Delivery(error=internal(error), attempts=0)
        if message and session and not delivery.error and depth is Depth.RECIPIENTS:
            delivery = await _asked(session, message)
        result = result_of(
            delivery,
            message,
            item=index,
            warnings=self.work.account.warnings,
            sources=sources,
            seconds=monotonic() - began,
            status=None if delivery.error else Status.DRY_RUN,
        )
        if not delivery.error and delivery.refused:
            count = len(delivery.refused) + len(delivery.accepted)
            warning = f"{len(delivery.refused)} of {count} recipients would be refused."
            result.warnings, result.error = (*result.warnings, warning), None
        return result


class _Rehearsed:
    """A mail that is never on its way."""

    def __init__(self, index: int) -> None:
        self.index = index

    def withdraw(self, why: str) -> None:
        """It is not sent anyway."""

    def give_up(self) -> None:
        """There is nothing to say."""


async def _asked(session: Session, message: Message) -> Delivery:
    """Whom the server would take it for."""
    if message.needs_smtputf8 and "SMTPUTF8" not in session.capabilities:
        message, _ = message.without_smtputf8()
    delivery = await session.probe(message.envelope)
    delivery.attempts = 0
    delivery.server = session.facts
    return delivery
