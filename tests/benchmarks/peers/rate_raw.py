"""No client at all: one finished message again and again, a round trip each. What socket and sink allow.

The next envelope goes with the end of a message, so every connection is left with one open.
"""

import socket
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from selectors import EVENT_READ, DefaultSelector

from alert_stdlib import email
from rates import Alerts, SendAll, Server, serve_rates
from trusting import context_for

ENVELOPE = b"MAIL FROM:<soc@corp.test>\r\nRCPT TO:<a@corp.test>\r\nRCPT TO:<b@corp.test>\r\nDATA\r\n"
REPLIES = 5  # to the end of a message and to the next envelope


@asynccontextmanager
async def connected(server: Server, connections: int) -> AsyncIterator[SendAll]:
    tls = context_for(server)
    finished: list[bytes] = []
    with ExitStack() as contexts, DefaultSelector() as selector:
        for _ in range(connections):
            connection = socket.create_connection((server["host"], server["port"]))
            if tls:
                connection = tls.wrap_socket(connection, server_hostname=server["host"])
            contexts.enter_context(connection)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            selector.register(connection, EVENT_READ)
            with connection.makefile("rb") as replies:
                replies.readline()
                connection.sendall(b"HELO bench\r\n")
                replies.readline()
                connection.sendall(ENVELOPE)
                for _ in range(REPLIES - 1):
                    replies.readline()

        async def send_all(alerts: Alerts) -> None:
            awaited = {}
            for key in selector.get_map().values():
                if (alert := next(alerts, None)) is None:
                    break
                if not finished:
                    finished.append(email(alert).as_bytes() + b".\r\n" + ENVELOPE)
                key.fileobj.sendall(finished[0])
                awaited[key.fileobj] = REPLIES
            while awaited:
                for key, _ in selector.select():
                    connection = key.fileobj
                    received = connection.recv(4096)
                    assert received[:1] in b"23", received
                    awaited[connection] -= received.count(b"\n")
                    if awaited[connection]:
                        continue
                    if next(alerts, None) is None:
                        del awaited[connection]
                    else:
                        connection.sendall(finished[0])
                        awaited[connection] = REPLIES

        yield send_all


serve_rates(connected)
