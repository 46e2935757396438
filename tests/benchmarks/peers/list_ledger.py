"""Ours: ``nina_smtp.send_async`` with a list of items, by way of a ledger if there is one.

Its connections are opened and closed within each turn; the ledger stays open.
"""

import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from credential_nina import credential
from rates import Alerts, SendAll, Server, serve_rates

import nina_smtp


@asynccontextmanager
async def connected(
    server: Server, connections: int, node: str, ledger: str | None = None
) -> AsyncIterator[SendAll]:
    templates = json.loads(Path(node).read_text())
    given = {"type": "smtp", "data": credential(server, connections)}
    async with AsyncExitStack() as stack:
        books = None
        if ledger:
            from nina_smtp.delivery.ledger.ledger import Ledger

            books = await stack.enter_async_context(Ledger(ledger))

        async def send_all(items: Alerts) -> None:
            results = await nina_smtp.send_async(templates, given, list(items), ledger=books, wait=None)
            results.raise_for_status()

        yield send_all


serve_rates(connected)
