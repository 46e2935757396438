"""Messages: mailboxes, headers, bodies and attachments, checked and written. Nothing here does I/O."""

from nina_smtp.message.attachment import Attachment
from nina_smtp.message.mailbox import Mailbox, parse_list, parse_mailbox
from nina_smtp.message.mime import Email, Message, compose
from nina_smtp.message.raw import compose_raw

__all__ = [
    "Attachment",
    "Email",
    "Mailbox",
    "Message",
    "compose",
    "compose_raw",
    "parse_list",
    "parse_mailbox",
]
