"""What one credential may use: its pace, its breaker, its loop guard. Shared by all who send with it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from random import random

from nina_smtp import observe
from nina_smtp.delivery.breaker import Breaker, in_words
from nina_smtp.delivery.loopguard import LoopGuard
from nina_smtp.delivery.pace import Clock, Pace, Reason
from nina_smtp.delivery.verdict import Kind, kind_of, kind_of_reply
from nina_smtp.errors import LimitReached, NinaError
from nina_smtp.smtp.mail import Delivery, Mail, Shipment
from nina_smtp.smtp.replies import Reply
from nina_smtp.smtp.server import Server


class CredentialGovernor:
    """The :class:`nina_smtp.smtp.governor.Governor` of one credential. ``clock`` tells seconds."""

    def __init__(
        self,
        clock: Clock,
        *,
        per_second: float | None = None,
        per_day: int | None = None,
        per_recipient: int | None = None,
        dice: Callable[[], float] = random,
        server: Server | None = None,
    ) -> None:
        self._server = server
        self.pace = Pace(clock, per_second=per_second, per_day=per_day)
        self.breaker = Breaker(clock, dice)
        self.guard = LoopGuard(clock, per_recipient)
        self.counts_the_day = False
        """Whether what was sent before this began was told to it."""
        self._per_day = per_day
        self._quota: str = ""  # what the provider said about it
        self.connections = self.pace.connections
        self.seconds_left = self.pace.seconds_left

    def preload(self, counts: Iterable[tuple[float, int]]) -> None:
        """What was sent in the last 24 hours before this began: each so many seconds ago, so many mails."""
        self.pace.preload(counts)

    # What may be done.

    @property
    def on_trial(self) -> bool:
        return self.breaker.on_trial

    @property
    def is_paced(self) -> bool:
        return not self.pace.is_free

    def circuit(self) -> NinaError | None:
        return self.breaker.error()

    def exhausted(self) -> NinaError | None:
        left = self.pace.seconds_left()
        reason = self.pace.reason
        if not left or reason not in (Reason.DAY, Reason.QUOTA):
            return None
        if reason is Reason.DAY:
            what = f"The credential's {self._per_day} mails of 24 hours are used up."
            remedy = "; its owner may raise limits.messagesPerDay."
        else:
            what = f"The provider's quota for this account is used up{self._quota}"
            remedy = ", unless the provider says otherwise."
        return LimitReached(
            what,
            hint=f"Nothing was sent; the next mail may go out in {in_words(left)}{remedy}",
            until_seconds=left,
        )

    def admit(self, shipment: Shipment, mail: Mail) -> None:
        if not shipment.counted:
            self.guard.admit(mail.envelope.recipients)
            shipment.counted = True

    # What came of it.

    def opened(self) -> None:
        self.breaker.succeeded()

    def refused(self, error: NinaError) -> None:
        kind = kind_of(error)
        self._mind(kind, error.reply)
        if kind is not Kind.QUOTA:
            was_open = self.breaker.seconds_left()
            self.breaker.failed(error)
            if self._server and not was_open and (seconds := self.breaker.seconds_left()):
                observe.breaker_opened(self._server, error, seconds=seconds)

    def dismissed(self, reply: Reply) -> None:
        self._mind(kind_of_reply(reply, None), reply)

    def took(self, shipment: Shipment) -> None:
        shipment.taken_at = self.pace.took()

    def not_taken(self, shipment: Shipment) -> None:
        self.pace.not_taken(shipment.taken_at)

    def settled(self, shipment: Shipment, delivery: Delivery, *, was_begun: bool) -> None:
        error = delivery.error
        if error is None:
            self.pace.delivered()
            if self.breaker.failures:
                self.breaker.delivered()
            for refusal in delivery.refused:
                self._mind(kind_of_reply(refusal.reply), refusal.reply)
        elif not was_begun:
            self.pace.not_taken(shipment.taken_at)
        elif not error.uncertain:
            self.pace.undelivered(shipment.taken_at)
            self._mind(kind_of(error), error.reply)

    def _mind(self, kind: Kind, reply: Reply | None) -> None:
        if kind is Kind.THROTTLED:
            self.pace.throttled()
        elif kind is Kind.QUOTA:
            self.pace.quota_reached()
            self._quota = f": {reply}" if reply else "."
        else:
            return
        if self._server:
            observe.throttled(self._server, reply=reply, seconds=self.pace.seconds_left())
