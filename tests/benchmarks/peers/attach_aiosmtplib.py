"""aiosmtplib with ``EmailMessage``."""

import base64
import mimetypes
import ssl
from email.message import EmailMessage  # noqa: TID251
from email.policy import SMTP  # noqa: TID251
from email.utils import formatdate, make_msgid  # noqa: TID251
from functools import cache
from typing import Any

import aiosmtplib
from sending import Server, serve_sending


@cache
def trusting(authority: str) -> ssl.SSLContext:
    return ssl.create_default_context(cadata=authority)


async def send(fields: dict[str, Any], server: Server) -> None:
    message = EmailMessage(policy=SMTP)
    message["From"] = fields["from"]
    message["To"] = ", ".join(fields["to"])
    message["Subject"] = fields["subject"]
    message["Date"] = formatdate()
    message["Message-ID"] = make_msgid(domain="corp.test")
    message.set_content(fields["body"])
    for attachment in fields["attachments"]:
        guessed, _ = mimetypes.guess_type(attachment["filename"])
        maintype, subtype = (guessed or "application/octet-stream").split("/")
        content = base64.b64decode(attachment["content"], validate=True)
        message.add_attachment(content, maintype=maintype, subtype=subtype, filename=attachment["filename"])
    await aiosmtplib.send(
        message,
        hostname=server["host"],
        port=server["port"],
        use_tls=server["tls"],
        start_tls=False,
        tls_context=trusting(server["ca"]) if server["tls"] else None,
    )


serve_sending(send)
