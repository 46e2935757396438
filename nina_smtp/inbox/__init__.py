"""The local inbox: an SMTP server on loopback that keeps every mail and sends none, with a page to read them.

::

    async with Inbox() as inbox:
        ...                                   # send to inbox.smtp_port
        (message,) = await inbox.wait_for(1)
        (await inbox.messages.read(message)).subject

The servers need the extra ``nina-smtp[inbox]``; importing this package does not.
"""

from nina_smtp.inbox.server import HTTP_PORT, SMTP_PORT, Inbox, serve
from nina_smtp.inbox.store import Message, Messages

__all__ = ["HTTP_PORT", "SMTP_PORT", "Inbox", "Message", "Messages", "serve"]
