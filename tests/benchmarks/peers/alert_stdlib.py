"""An alert, as Python's own ``EmailMessage`` has it."""

from email.message import EmailMessage  # noqa: TID251
from email.policy import SMTP  # noqa: TID251
from email.utils import formatdate, make_msgid  # noqa: TID251
from typing import Any


def email(alert: dict[str, Any]) -> EmailMessage:
    message = EmailMessage(policy=SMTP)
    message["From"] = alert["from"]
    message["To"] = ", ".join(alert["to"])
    message["Subject"] = alert["subject"]
    message["Date"] = formatdate()
    message["Message-ID"] = make_msgid(domain="corp.test")  # without a domain it asks the resolver
    for name, value in alert["headers"].items():
        message[name] = value
    message.set_content(alert["text"])
    message.add_alternative(alert["html"], subtype="html")
    return message
