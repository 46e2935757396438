"""aiosmtplib with ``EmailMessage``: a client and a loop for each connection."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import aiosmtplib
from alert_stdlib import email
from rates import Alerts, SendAll, Server, fed, serve_rates
from trusting import context_for


@asynccontextmanager
async def connected(server: Server, connections: int) -> AsyncIterator[SendAll]:
    def loop(client: aiosmtplib.SMTP) -> Callable[[dict[str, Any]], Awaitable[object]]:
        return lambda alert: client.send_message(email(alert))

    async with AsyncExitStack() as contexts:
        loops = []
        for _ in range(connections):
            client = aiosmtplib.SMTP(
                hostname=server["host"],
                port=server["port"],
                use_tls=server["tls"],
                start_tls=False,
                tls_context=context_for(server),
            )
            loops.append(loop(await contexts.enter_async_context(client)))

        async def send_all(alerts: Alerts) -> None:
            await fed(alerts, *loops)

        yield send_all


serve_rates(connected)
