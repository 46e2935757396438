"""Who decides what a pool may use, and is told what came of it: see :mod:`nina_smtp.delivery.governor`."""

from __future__ import annotations

from typing import Protocol

from nina_smtp.errors import NinaError
from nina_smtp.smtp.mail import Delivery, Mail, Shipment
from nina_smtp.smtp.replies import Reply


class Governor(Protocol):
    """What a pool asks and tells. It belongs to the pool's loop, and may be that of several pools."""

    @property
    def on_trial(self) -> bool:
        """Whether the next session has to prove itself before mail is taken for it."""
        ...

    @property
    def is_paced(self) -> bool:
        """Whether mails are taken no faster than at some rate, so that few connections may do."""
        ...

    def seconds_left(self) -> float:
        """How long until another mail may be taken; 0: now."""
        ...

    def exhausted(self) -> NinaError | None:
        """The answer to all that waits, if that is so long that nobody should."""
        ...

    def circuit(self) -> NinaError | None:
        """The answer to all that waits, if nothing may be connected to and nothing is open."""
        ...

    def connections(self, limit: int) -> int:
        """How many of ``limit`` connections may be used now."""
        ...

    def opened(self) -> None:
        """A session was opened, and has proved itself if it had to."""
        ...

    def refused(self, error: NinaError) -> None:
        """A session could not be opened."""
        ...

    def dismissed(self, reply: Reply) -> None:
        """The server said in a session that it closes it."""
        ...

    def took(self, shipment: Shipment) -> None:
        """``shipment`` was taken for a connection."""
        ...

    def not_taken(self, shipment: Shipment) -> None:
        """It went back: it did not go out on that connection."""
        ...

    def admit(self, shipment: Shipment, mail: Mail) -> None:
        """It is to go out as ``mail``. Raises NinaError if it must not."""
        ...

    def settled(self, shipment: Shipment, delivery: Delivery, *, was_begun: bool) -> None:
        """What became of it; not ``was_begun``, if the server never heard of it."""
        ...
