"""An inbox that runs in a thread of its own, so that tests can be plain clients of it."""

from __future__ import annotations

import asyncio
import smtplib  # noqa: TID251  a client that is not ours
import threading
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest

from nina_smtp.inbox import Inbox, Message


class Running:
    """A running inbox, a client for its API, and a way to send to it."""

    def __init__(self, inbox: Inbox, loop: asyncio.AbstractEventLoop) -> None:
        self.inbox = inbox
        self._loop = loop
        self.http = httpx.Client(base_url=inbox.url, trust_env=False, timeout=20)

    def run(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(30)

    def wait_for(self, count: int) -> tuple[Message, ...]:
        return self.run(self.inbox.wait_for(count, 20))

    def smtp(self) -> smtplib.SMTP:
        return smtplib.SMTP("127.0.0.1", self.inbox.smtp_port, timeout=20)

    def send(self, raw: bytes, *to: str, sender: str = "soc@corp.test") -> str:
        """Sends bytes as they are, and returns the id under which they are kept."""
        with self.smtp() as client:
            client.ehlo()
            client.mail(sender)
            for recipient in to or ("jane@corp.test",):
                client.rcpt(recipient)
            code, answer = client.data(raw)
        assert code == 250, answer
        return answer.decode().rpartition(" ")[2]

    def get(self, path: str, **headers: str) -> httpx.Response:
        return self.http.get(path, headers=headers)

    def message(self, message_id: str) -> dict[str, Any]:
        answer = self.get(f"/api/messages/{message_id}")
        assert answer.status_code == 200, answer.text
        return answer.json()


@contextmanager
def running(**options: Any) -> Iterator[Running]:
    started: list[Running] = []
    ready = threading.Event()
    stop = asyncio.Event()

    async def main() -> None:
        async with Inbox(**options) as inbox:
            started.append(Running(inbox, asyncio.get_running_loop()))
            ready.set()
            await stop.wait()

    def thread() -> None:
        try:
            asyncio.run(main())
        finally:
            ready.set()

    worker = threading.Thread(target=thread)
    worker.start()
    assert ready.wait(20)
    assert started, "the inbox did not start"
    try:
        yield started[0]
    finally:
        started[0].http.close()
        started[0]._loop.call_soon_threadsafe(stop.set)
        worker.join(20)
        assert not worker.is_alive()


@pytest.fixture
def inbox() -> Iterator[Running]:
    with running() as started:
        yield started


@pytest.fixture
def start() -> Any:
    """Starts an inbox with options of its own."""
    return running
