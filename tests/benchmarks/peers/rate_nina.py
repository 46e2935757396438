"""Ours: ``nina_smtp.Pool``, an ``Email`` for each message."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from alert_nina import email
from credential_nina import credential
from rates import FEED, Alerts, SendAll, Server, fed, serve_rates

import nina_smtp


@asynccontextmanager
async def connected(server: Server, connections: int, window: int = 1) -> AsyncIterator[SendAll]:
    async with nina_smtp.Pool(credential(server, connections, window)) as pool:

        async def send(alert: dict[str, Any]) -> None:
            await pool.send(email(alert))

        async def send_all(alerts: Alerts) -> None:
            await fed(alerts, *[send] * (FEED * connections * window))

        yield send_all


serve_rates(connected)
