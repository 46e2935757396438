"""What a session carries, and what it says about it afterwards."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from nina_smtp.envelope import Envelope
from nina_smtp.errors import Interrupted, NinaError, internal
from nina_smtp.smtp.capabilities import Capabilities
from nina_smtp.smtp.replies import Reply

if TYPE_CHECKING:
    from nina_smtp.observe.transcript import Script
    from nina_smtp.smtp.turns import Source


@dataclass(frozen=True, slots=True)
class Refusal:
    """A recipient that was refused, and how."""

    address: str
    reply: Reply


@dataclass(slots=True)
class Mail:
    """One message as a server gets it: CRLF line ends, dots not doubled, ``size`` octets in all.

    ``chunks`` makes the content anew each time it is called, so that it can be sent a second time.
    """

    envelope: Envelope
    chunks: Callable[[], Iterable[bytes]]
    size: int
    eight_bit: bool = False
    smtputf8: bool = False


@dataclass(slots=True)
class Delivery:
    """What became of one mail. ``error`` is None if the server took it, for whoever is in ``accepted``.

    ``accepted`` has those of whom the server certainly took the message: nobody, when ``error.uncertain``,
    but those it took it for in an earlier transaction of the same mail; then ``in_doubt`` has those whom it
    had accepted, and who may have the mail. ``attempts`` counts the sessions that
    were tried; ``server`` is what a result says about the last one.
    """

    accepted: tuple[str, ...] = ()
    refused: tuple[Refusal, ...] = ()
    reply: Reply | None = None
    error: NinaError | None = None
    attempts: int = 1
    server: Mapping[str, Any] | None = None
    in_doubt: tuple[str, ...] = ()
    transcript: tuple[str, ...] = ()
    """What was said, if the shipment wanted to know."""


class Shipment(ABC):
    """One mail on its way: it is built when its turn comes, and is told what became of it."""

    source: Source | None = None
    withdrawn = False
    """Whether nobody wants it any more: unless its last octet is out, it is not sent."""
    begun = False
    """Whether any octet of its content was written."""
    content_out = False
    """Whether its last octet was written: from then on it may be delivered."""
    cleared = True
    """Whether its last octet may be written. If not, ``clear`` is asked for it."""
    attempts = 0
    taken_at = 0.0
    """When it was last taken for a connection, on the governor's clock."""
    counted = False
    """Whether its recipients were counted as having it: once, however often it is tried."""
    place = 0
    """Which of its source's mails it is."""
    excess: tuple[Refusal, ...] = ()
    """Whom alone the next transaction is for: those that were too many for the one before."""
    so_far: tuple[Delivery, ...] = ()
    """The transactions before, then: the server took the mail in each."""
    transcript_wanted = False
    """Whether its delivery is to say what was said."""
    script: Script | None = None

    @abstractmethod
    def prepare(self, capabilities: Capabilities) -> Mail | Delivery:
        """The mail for a server that offers these, or what becomes of one that it cannot carry. May raise."""

    @abstractmethod
    def settled(self, delivery: Delivery) -> None:
        """Called once, from within the session: what it changes is known before the next octet goes out."""

    def prime(self) -> None:  # noqa: B027 - nothing to do for one that is there
        """Builds it before any server is known, so that nothing is connected to for a mail that cannot be
        built. May raise.
        """

    def clear(self, resume: Callable[[], None]) -> None:  # noqa: B027 - nobody need keep a record
        """Calls ``resume`` when its last octet may be written, and ``cleared`` is true, or when it must not,
        and ``withdrawn`` is. It may be called several times.
        """

    def again(self) -> None:  # noqa: B027 - nobody need keep a record
        """Others have it now, and it has another transaction coming, for those in ``excess``."""

    def progress(self, written: int, size: int) -> None:  # noqa: B027 - nobody need look
        """Called as its octets go out."""

    def primed(self) -> bool:
        """Whether it can be built; if not, it is settled."""
        try:
            self.prime()
        except NinaError as error:
            self.settled(Delivery(error=error, attempts=self.attempts))
        except Exception as error:
            self.settled(Delivery(error=internal(error), attempts=self.attempts))
        else:
            return True
        return False

    def sum_up(self, last: Delivery) -> Delivery:
        """All transactions as one: others have the mail, so a failure now is its recipients' alone."""
        parts = self.so_far
        if last.error and not last.error.uncertain:
            refused = {refusal.address: refusal for refusal in (*self.excess, *last.refused)}
            last = replace(last, accepted=(), refused=tuple(refused.values()), error=None)
        return replace(
            last,
            accepted=tuple(address for part in (*parts, last) for address in part.accepted),
            refused=tuple(refusal for part in (*parts, last) for refusal in part.refused),
            reply=last.reply or parts[-1].reply,
        )


def withdrawn() -> Interrupted:
    """The error of a mail that was withdrawn in time."""
    return Interrupted(
        "It was interrupted before the mail was out.", hint="Nothing was delivered: send it again."
    )
