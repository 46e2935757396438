"""What the Python programs that send alert after alert have in common."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from itertools import cycle, islice
from pathlib import Path
from typing import Any

from loop import serve, timed

Server = dict[str, Any]  # host, port, tls, and the certificate of the authority to trust
Alerts = Iterator[dict[str, Any]]
SendAll = Callable[[Alerts], Awaitable[object]]
FEED = 4  # messages that wait for each connection, at most


def serve_rates(connected: Callable[..., AbstractAsyncContextManager[SendAll]]) -> None:
    """``connected(server, connections, …)`` sends all alerts it is given while the context lasts.

    Every ``run`` starts again at the first alert. With ``distinct`` the message number n goes to a recipient
    of its own in one of 50 domains.
    """
    alerts: list[dict[str, Any]] = []

    with asyncio.Runner() as runner:
        contexts = AsyncExitStack()
        send_all: SendAll

        def load(path: str) -> None:
            alerts[:] = json.loads(Path(path).read_text())

        def open_(server: Server, connections: int, **options: Any) -> None:
            nonlocal send_all
            context = connected(server, connections, **options)
            send_all = runner.run(contexts.enter_async_context(context))

        def run(count: int, distinct: bool = False) -> dict[str, float]:
            given = islice(cycle(alerts), count)
            if distinct:
                given = (alert | {"to": [f"user{n}@d{n % 50}.corp.test"]} for n, alert in enumerate(given))

            async def work() -> None:
                await send_all(given)

            return timed(lambda: runner.run(work()))

        try:
            serve(load=load, open=open_, run=run)
        finally:
            runner.run(contexts.aclose())


async def fed(alerts: Alerts, *loops: Callable[[dict[str, Any]], Awaitable[object]]) -> None:
    """Each of ``loops`` takes one alert after another, until there are no more."""

    async def follow(send: Callable[[dict[str, Any]], Awaitable[object]]) -> None:
        for alert in alerts:
            await send(alert)

    async with asyncio.TaskGroup() as group:
        for send in loops:
            group.create_task(follow(send))
