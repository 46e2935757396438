"""No client at all: a message finished before, in one ``sendall``. What the socket and the sink allow."""

import socket
import ssl
from functools import cache
from typing import Any

from sending import Server, serve_sending


def finished(fields: dict[str, Any]) -> dict[str, Any]:
    content = fields["attachments"][0]["content"]
    lines = [content[start : start + 76] for start in range(0, len(content), 76)]
    head = f"Subject: {fields['subject']}\r\nContent-Transfer-Encoding: base64\r\n\r\n"
    return {"message": (head + "\r\n".join(lines) + "\r\n.\r\n").encode()}


@cache
def trusting(authority: str) -> ssl.SSLContext:
    return ssl.create_default_context(cadata=authority)


async def send(fields: dict[str, Any], server: Server) -> None:
    connection = socket.create_connection((server["host"], server["port"]))
    if server["tls"]:
        connection = trusting(server["ca"]).wrap_socket(connection, server_hostname=server["host"])
    with connection, connection.makefile("rb") as replies:
        replies.readline()
        for command in (b"HELO bench", b"MAIL FROM:<soc@corp.test>", b"RCPT TO:<analyst@x.test>", b"DATA"):
            connection.sendall(command + b"\r\n")
            assert replies.readline()[:1] in b"23"
        connection.sendall(fields["message"])
        assert replies.readline()[:1] == b"2"


serve_sending(send, finished)
