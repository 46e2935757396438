"""smtplib with ``EmailMessage``: a client and a thread for each connection."""

import smtplib  # noqa: TID251
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from threading import Lock

from alert_stdlib import email
from rates import Alerts, SendAll, Server, serve_rates
from trusting import context_for


@asynccontextmanager
async def connected(server: Server, connections: int) -> AsyncIterator[SendAll]:
    address = server["host"], server["port"]
    tls = context_for(server)
    clients = [
        smtplib.SMTP_SSL(*address, context=tls) if tls else smtplib.SMTP(*address) for _ in range(connections)
    ]
    taking = Lock()  # a generator cannot be asked by two threads at once

    def follow(client: smtplib.SMTP, alerts: Alerts) -> None:
        while True:
            with taking:
                alert = next(alerts, None)
            if alert is None:
                return
            client.send_message(email(alert))

    with ThreadPoolExecutor(connections) as threads:

        async def send_all(alerts: Alerts) -> None:
            for _ in threads.map(follow, clients, [alerts] * connections):
                pass

        yield send_all
    for client in clients:
        client.quit()


serve_rates(connected)
