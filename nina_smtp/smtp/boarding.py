"""How a mail sets out on a session: fitted to the server, admitted, with its content or before it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from nina_smtp.envelope import Envelope
from nina_smtp.smtp.failures import too_large
from nina_smtp.smtp.flight import SMALL
from nina_smtp.smtp.governor import Governor
from nina_smtp.smtp.mail import Delivery, Mail, Shipment
from nina_smtp.smtp.transaction import Transaction

if TYPE_CHECKING:
    from nina_smtp.smtp.session import Session


class Boarding:
    """For one session. ``governor`` admits each mail; ``window`` is that of :mod:`nina_smtp.smtp.carrier`."""

    def __init__(self, session: Session, *, window: int, governor: Governor | None) -> None:
        offered = session.capabilities
        self._session = session
        self._capabilities = offered
        self._together = "CHUNKING" in offered and "PIPELINING" in offered
        self._size_limit = offered.size
        self._window = window
        self._governor = governor

    def prepared(self, shipment: Shipment) -> Mail | Delivery:
        """The mail for this server, or what becomes of one that it cannot carry. Raises NinaError."""
        mail = shipment.prepare(self._capabilities)
        if isinstance(mail, Mail):
            limit = self._size_limit
            if limit is not None and mail.size > limit:
                raise too_large(mail.size, limit)
            if self._governor:
                self._governor.admit(shipment, mail)
            if shipment.excess:
                recipients = tuple(refusal.address for refusal in shipment.excess)
                mail = replace(mail, envelope=Envelope(mail.envelope.sender, recipients))
        return mail

    def transaction(self, mail: Mail, together: bool, last: Transaction | None) -> Transaction:
        """Its transaction, behind ``last``."""
        return Transaction(
            mail.envelope,
            self._capabilities,
            size=mail.size,
            eight_bit=mail.eight_bit,
            smtputf8=mail.smtputf8,
            reset=last.chunked if last else self._session.transaction_open,
            together=together,
        )

    def goes_together(self, shipment: Shipment, mail: Mail, in_flight: int) -> bool:
        """Whether its content goes out with its envelope, ``in_flight`` mails being on their way."""
        if not self._together or mail.size > SMALL or not shipment.cleared:
            return False
        ordered = shipment.source is not None and shipment.source.ordered
        window = 1 if ordered else self._window
        return self._session.is_fresh or (window > 1 and in_flight < window)
