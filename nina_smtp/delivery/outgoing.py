"""Messages on their way: each in the form that the server can carry."""

from __future__ import annotations

from abc import abstractmethod

from nina_smtp import observe
from nina_smtp.errors import FeatureUnavailable, MessageTooLarge
from nina_smtp.message import Message
from nina_smtp.smtp.capabilities import Capabilities
from nina_smtp.smtp.mail import Delivery, Mail, Refusal, Shipment
from nina_smtp.smtp.replies import Reply
from nina_smtp.smtp.session import Session

_NO_SMTPUTF8 = Reply(553, ("5.6.7 not sent: the server does not offer SMTPUTF8, which this address needs",))


class Outgoing(Shipment):
    """A message, built once, when its turn comes.

    Recipients that need SMTPUTF8 are refused one by one where it is not offered (RFC 6531 3.2), and the
    others get the mail.
    """

    _message: Message | None = None
    _left_out: tuple[Refusal, ...] = ()

    @abstractmethod
    def build(self) -> Message:
        """The message. May raise."""

    @abstractmethod
    def ended(self, message: Message | None, delivery: Delivery) -> None:
        """What became of it. ``message`` is None if it could not be built, or nobody came to build it."""

    def prime(self) -> None:
        if self._message is None:
            self._message = self.build()

    def prepare(self, capabilities: Capabilities) -> Mail | Delivery:
        self.prime()
        message = self._message
        assert message
        if not message.needs_smtputf8 and not message.needs_8bitmime:
            return Mail(message.envelope, message.chunks, message.size)
        if message.needs_smtputf8 and "SMTPUTF8" not in capabilities:
            message, addresses = message.without_smtputf8()
            self._left_out = tuple(Refusal(address, _NO_SMTPUTF8) for address in addresses)
        if not message.envelope.recipients:
            return Delivery(error=_feature("SMTPUTF8", "an address that is not ASCII"))
        if message.needs_8bitmime and "8BITMIME" not in capabilities:
            return Delivery(error=_feature("8BITMIME", "octets beyond ASCII in a raw message"))
        return Mail(
            message.envelope, message.chunks, message.size, message.needs_8bitmime, message.needs_smtputf8
        )

    def settled(self, delivery: Delivery) -> None:
        message, self._message = self._message, None
        observe.attempt_ended(delivery)
        if isinstance(delivery.error, MessageTooLarge) and message and message.largest:
            delivery.error.hint = f"The largest attachment is {message.largest}. {delivery.error.hint}"
        if self._left_out:
            delivery.refused = self._left_out + delivery.refused
        self.ended(message, delivery)


class _Single(Outgoing):
    delivery: Delivery

    def __init__(self, message: Message) -> None:
        self._given = message

    def build(self) -> Message:
        return self._given

    def ended(self, message: Message | None, delivery: Delivery) -> None:
        self.delivery = delivery


async def send_over(session: Session, message: Message, *, transcript: bool = False) -> Delivery:
    """Sends ``message``. Nothing is raised for what the server or the network does."""
    single = _Single(message)
    single.transcript_wanted = transcript
    await session.carry(single)
    return single.delivery


def _feature(name: str, what: str) -> FeatureUnavailable:
    return FeatureUnavailable(
        f"The server does not offer {name}, which {what} needs.",
        hint="Use another server, or an address or a message in ASCII.",
        phase="mail",
    )
