"""Ours: ``nina_smtp.send_async`` with a list of items, merged into the templates of a node.

Its connections are opened and closed within each turn.
"""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from credential_nina import credential
from rates import Alerts, SendAll, Server, serve_rates

import nina_smtp


@asynccontextmanager
async def connected(server: Server, connections: int, node: str) -> AsyncIterator[SendAll]:
    templates = json.loads(Path(node).read_text())
    given = {"type": "smtp", "data": credential(server, connections)}

    async def send_all(items: Alerts) -> None:
        results = await nina_smtp.send_async(templates, given, list(items))
        results.raise_for_status()

    yield send_all


serve_rates(connected)
