"""One mail of the ledger on its way: its last octet waits until that is on record."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from nina_smtp.delivery.ledger.entry import Entry
from nina_smtp.delivery.ledger.states import State
from nina_smtp.delivery.outgoing import Outgoing
from nina_smtp.errors import LedgerFailed, NinaError
from nina_smtp.message import Message
from nina_smtp.smtp.capabilities import Capabilities
from nina_smtp.smtp.mail import Delivery, Mail, withdrawn

if TYPE_CHECKING:
    from nina_smtp.delivery.account import Account
    from nina_smtp.delivery.ledger.ledger import Ledger


_SLOW = 0.5
"""Seconds after which it is on record that a mail is on a connection, for whoever looks."""


class Letter(Outgoing):
    """The mail of ``entry``, which is this process's. ``on_end`` gets it with what an attempt came to."""

    cleared = False

    def __init__(
        self,
        ledger: Ledger,
        entry: Entry,
        account: Account,
        on_end: Callable[[Letter, Message | None, Delivery], object],
        on_fate: Callable[[State], object] | None = None,
        on_progress: Callable[[int, int], object] | None = None,
    ) -> None:
        self.entry = entry
        self.counted = bool(entry.history)  # by the guard against loops, the first time
        self.account = account
        self.began = ledger.clock()
        self.dropped: NinaError | None = None
        """Why it is not to be sent at all any more."""
        self._ledger = ledger
        self._on_end = on_end
        self.on_fate = on_fate
        self._on_progress = on_progress
        self._fault: NinaError | None = None
        self._slow: asyncio.TimerHandle | None = None
        self._is_over = False

    def build(self) -> Message:
        return self.account.policy.enforced(self.entry.message)

    def prepare(self, capabilities: Capabilities) -> Mail | Delivery:
        self.began = self._ledger.clock()
        self._forget_slowness()
        loop = asyncio.get_running_loop()
        self._slow = loop.call_later(_SLOW, self._ledger.begin, self.entry.id)
        return super().prepare(capabilities)

    def progress(self, written: int, size: int) -> None:
        if self._on_progress:
            self._on_progress(written, size)

    def clear(self, resume: Callable[[], None]) -> None:
        def done(answer: Any) -> None:
            if answer is True:
                self.cleared = True
            else:
                self._fault = answer if isinstance(answer, LedgerFailed) else _taken_over()
                self.withdrawn = True
            resume()

        self._forget_slowness()
        self._ledger.commit(self.entry.id, self.entry.attempts + 1, done)

    def give_up(self) -> None:
        """It is over if it can be: it is withdrawn, and its last octet will not be written."""
        if not (self.cleared or self.content_out):
            self.settled(Delivery(error=withdrawn(), attempts=0))

    def ended(self, message: Message | None, delivery: Delivery) -> None:
        if self._is_over:  # it was given up before the connection it was on let go of it
            return
        self._is_over = True
        self._forget_slowness()
        if self._fault and delivery.error and not delivery.error.uncertain:
            delivery.error = self._fault
        self._on_end(self, message, delivery)

    def _forget_slowness(self) -> None:
        if self._slow:
            self._slow.cancel()
            self._slow = None


def _taken_over() -> LedgerFailed:
    return LedgerFailed(
        "Another process has taken over the mail, so this one did not send it.",
        hint="The ledger says what became of it. This happens when a process was stopped for minutes.",
    )
