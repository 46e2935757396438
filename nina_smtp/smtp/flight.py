"""The mails in flight over one session, oldest first, and what becomes of each. Without I/O.

The rules:

1. Every reply is the oldest mail's that waits for one.
2. When the session breaks, a mail whose last octet is out is in doubt, and of any other it is certain that it
   was not delivered.
3. One whose content was not begun goes back to where it came from, since the break need not have to do with
   it; so does one that is turned away at MAIL with a 421, and so do those behind it, if nothing else is heard
   before the end. Not so the first of a session, which might have to do with it.
4. Recipients that are refused because the server takes no more at a time get the mail in a transaction of
   their own, next (RFC 5321 4.5.3.1.10).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nina_smtp.errors import ConnectionLost, MessageRefused, NinaError
from nina_smtp.smtp.failures import lost, refusal, uncertain
from nina_smtp.smtp.mail import Delivery, Mail, Refusal, Shipment
from nina_smtp.smtp.phase import Phase
from nina_smtp.smtp.protocol import Answer
from nina_smtp.smtp.transaction import Stage, Transaction

if TYPE_CHECKING:
    from nina_smtp.smtp.governor import Governor

MAX_ATTEMPTS = 10  # sessions for one mail: a server may close each after so many, and all at once
SMALL = 64 * 1024  # octets of a mail that is written at once

PutBack = Callable[[Shipment], None]


@dataclass(slots=True, eq=False)
class InFlight:
    """One mail, and its transaction. ``until`` is when it has to be over, on the loop's clock."""

    shipment: Shipment
    mail: Mail
    transaction: Transaction
    until: float = float("inf")
    awaits_clearance: bool = False

    def forget_content(self) -> None:
        """The server certainly has not got it, though it was written, or meant to be."""
        self.transaction.content_out = self.shipment.content_out = False
        self.shipment.begun = self.mail.size > SMALL


class Flight:
    """The mails in flight. ``put_back`` takes those that rule 3 sends back; ``facts`` are the session's;
    ``governor`` is told what became of each.
    """

    def __init__(
        self, facts: Mapping[str, Any], put_back: PutBack | None, governor: Governor | None = None
    ) -> None:
        self.again: deque[Shipment] = deque()
        """Mails that have a second transaction coming."""
        self.is_doomed = False
        """Whether the server said that it closes."""
        self._facts = facts
        self._put_back = put_back
        self._governor = governor
        self._items: deque[InFlight] = deque()
        self._carried = False
        self._last_code = 0

    def __len__(self) -> int:
        return len(self._items)

    @property
    def head(self) -> InFlight:
        """The oldest."""
        return self._items[0]

    @property
    def last(self) -> InFlight:
        """The one that was begun last."""
        return self._items[-1]

    def carries(self, shipment: Shipment) -> bool:
        """Whether ``shipment`` is in flight."""
        return any(item.shipment is shipment for item in self._items)

    def add(self, item: InFlight) -> None:
        """``item`` was begun."""
        self._items.append(item)

    def receive(self, answer: Answer) -> Transaction | None:
        """Takes an answer; returns the transaction that is over with it, its mail settled."""
        self._last_code = answer.reply.code
        if self._last_code == 421:
            self.is_doomed = True
            if self._governor:
                self._governor.dismissed(answer.reply)
        item = self._items[0]
        transaction = item.transaction
        transaction.receive(answer)
        if transaction.stage is not Stage.OVER:
            return None
        self._items.popleft()
        self._carried |= transaction.taken or not transaction.ends_session
        excess = [refused for refused in transaction.refused if _too_many(refused)]
        if excess and transaction.taken and not transaction.error:
            self._split(item, excess)
        elif transaction.turned_away and self._may_go_back(item, 0):
            self._return(item.shipment)
        else:
            self._settle(item, transaction.error)
        return transaction

    def may_be_answered(self) -> bool:
        """Whether content is out that the server may still answer."""
        return any(item.transaction.content_out for item in self._items)

    def end(self, error: NinaError, unwritten: Iterable[InFlight], *, final: bool = False) -> None:
        """The session is over. ``unwritten`` has those whose last octets did not leave.

        ``final``: nothing is put back, since nobody will take it.
        """
        for item in unwritten:
            item.forget_content()
            if item.shipment.script:
                item.shipment.script.note("the last that was said did not leave: the connection had ended")
        if self._last_code == 421 and isinstance(error, ConnectionLost):
            for item in self._items:
                item.forget_content()
        items, self._items = self._items, deque()
        for index, item in enumerate(items):
            transaction = item.transaction
            if transaction.in_doubt:
                why = "it was interrupted while it waited for it." if final else error.message
                self._settle(item, uncertain(why, error.reply))
            elif not final and self._may_go_back(item, index):
                self._return(item.shipment)
            elif transaction.closing and not transaction.error:
                self._settle(item, lost(f"the server said {transaction.closing}", Phase.RCPT))
            else:
                self._settle(item, transaction.error or _refused_early(error) or error)
        while self.again:
            shipment = self.again.popleft()
            if self._put_back and not final and not shipment.withdrawn:
                self._put_back(shipment)
            else:
                self.tell(shipment, Delivery(error=error))

    def tell(self, shipment: Shipment, delivery: Delivery, *, was_begun: bool = False) -> None:
        """Settles a mail. ``was_begun``: the server has heard of it in this session."""
        delivery.attempts = shipment.attempts
        delivery.server = self._facts
        if shipment.source:
            shipment.source.landed()
        if shipment.script:
            shipment.script.ended(delivery.error)
            delivery.transcript = shipment.script.lines()
        if shipment.so_far:
            delivery, was_begun = shipment.sum_up(delivery), True
        if self._governor:
            self._governor.settled(shipment, delivery, was_begun=was_begun)
        shipment.settled(delivery)

    def _settle(self, item: InFlight, error: NinaError | None) -> None:
        transaction = item.transaction
        named = tuple(transaction.accepted)
        accepted = () if error else named
        delivery = Delivery(accepted, tuple(transaction.refused), transaction.reply, error)
        if error and error.uncertain:
            delivery.in_doubt = named
        self.tell(item.shipment, delivery, was_begun=True)

    def _split(self, item: InFlight, excess: list[Refusal]) -> None:
        transaction, shipment = item.transaction, item.shipment
        others = tuple(refused for refused in transaction.refused if refused not in excess)
        part = Delivery(tuple(transaction.accepted), others, transaction.reply)
        shipment.so_far = (*shipment.so_far, part)
        shipment.excess = tuple(excess)
        shipment.begun = shipment.content_out = False
        shipment.again()
        self.again.append(shipment)

    def _return(self, shipment: Shipment) -> None:
        assert self._put_back
        if shipment.script:
            shipment.script.note("nothing of it was begun here, so it goes out on another connection")
        self._put_back(shipment)

    def _may_go_back(self, item: InFlight, index: int) -> bool:
        transaction, shipment = item.transaction, item.shipment
        return (
            self._put_back is not None
            and (index > 0 or self._carried)
            and not shipment.begun
            and not shipment.withdrawn
            and shipment.attempts < MAX_ATTEMPTS
            and (transaction.turned_away or not (transaction.error or transaction.closing))
        )


def _too_many(refused: Refusal) -> bool:
    reply = refused.reply
    if reply.code != 452:
        return False
    return reply.enhanced_code == "4.5.3" or (
        reply.enhanced_code is None and "too many" in reply.text.lower()
    )


def _refused_early(error: NinaError) -> NinaError | None:
    """The server refused the message before it had all of it, which is rude but clear."""
    if error.phase == Phase.BODY.value and error.reply and 400 <= error.reply.code < 600:
        return refusal(MessageRefused, "The server refused the message", Phase.BODY, error.reply)
    return None
