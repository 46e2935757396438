"""One attempt at sending one message over an open session."""

from __future__ import annotations

from dataclasses import replace

from nina_smtp.errors import FeatureUnavailable, MessageTooLarge
from nina_smtp.message import Message
from nina_smtp.smtp.replies import Reply
from nina_smtp.smtp.session import Delivery, Session
from nina_smtp.smtp.transaction import Refusal

_NO_SMTPUTF8 = Reply(553, ("5.6.7 not sent: the server does not offer SMTPUTF8, which this address needs",))


async def attempt(session: Session, message: Message) -> Delivery:
    """Sends ``message``, in the form this server can carry.

    Recipients that need SMTPUTF8 are refused one by one where it is not offered (RFC 6531 3.2), and the
    others get the mail. Nothing is raised for what the server or the network does.
    """
    capabilities = session.capabilities
    left_out: tuple[str, ...] = ()
    if message.needs_smtputf8 and "SMTPUTF8" not in capabilities:
        message, left_out = message.without_smtputf8()
    refused = tuple(Refusal(address, _NO_SMTPUTF8) for address in left_out)
    if not message.envelope.recipients:
        return Delivery((), refused, None, _feature("SMTPUTF8", "an address that is not ASCII"))
    if message.needs_8bitmime and "8BITMIME" not in capabilities:
        return Delivery((), refused, None, _feature("8BITMIME", "octets beyond ASCII in a raw message"))
    delivery = await session.send(
        message.envelope,
        message.chunks(),
        size=message.size,
        eight_bit=message.needs_8bitmime,
        smtputf8=message.needs_smtputf8,
    )
    if isinstance(delivery.error, MessageTooLarge) and message.largest:
        delivery.error.hint = f"The largest attachment is {message.largest}. {delivery.error.hint}"
    return replace(delivery, refused=refused + delivery.refused) if refused else delivery


def _feature(name: str, what: str) -> FeatureUnavailable:
    return FeatureUnavailable(
        f"The server does not offer {name}, which {what} needs.",
        hint="Use another server, or an address or a message in ASCII.",
        phase="mail",
    )
