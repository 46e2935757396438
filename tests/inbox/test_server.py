"""Starting, stopping, and how much is kept."""

from __future__ import annotations

import asyncio
import re
import signal
import socket
import subprocess
import sys
from typing import Any

import httpx
import pytest

from nina_smtp.errors import NinaError, ParameterError
from nina_smtp.inbox import Inbox, Messages, serve

ENVELOPE: dict[str, Any] = {"sender": "a@b.test", "recipients": ("c@d.test",)}


def test_the_oldest_leave_when_there_are_too_many() -> None:
    messages = Messages(keep=3)
    for number in range(5):
        messages.add(b"%d" % number, **ENVELOPE)
    assert [message.raw for message in messages] == [b"2", b"3", b"4"]
    assert messages.size == 3


def test_the_oldest_leave_when_there_are_too_many_bytes_but_the_newest_stays() -> None:
    messages = Messages(max_bytes=10)
    for raw in (b"12345", b"12345", b"123456"):
        messages.add(raw, **ENVELOPE)
    assert [message.raw for message in messages] == [b"123456"]
    messages.add(b"x" * 50, **ENVELOPE)
    assert (len(messages), messages.size) == (1, 50)


def test_an_inbox_evicts_over_smtp(start: Any) -> None:
    with start(keep=2) as running:
        first, second, third = (running.send(b"Subject: %d\r\n\r\nx" % number) for number in range(3))
        listed = running.get("/api/messages").json()
        assert [message["id"] for message in listed["messages"]] == [third, second]
        assert running.get(f"/api/messages/{first}").status_code == 404


def test_a_message_is_read_once_even_if_asked_for_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    reads: list[int] = []

    def counted(raw: bytes) -> str:
        reads.append(len(raw))
        return "reading"

    monkeypatch.setattr("nina_smtp.inbox.store.read", counted)

    async def main() -> None:
        messages = Messages()
        small, large = (messages.add(b"x" * size, **ENVELOPE) for size in (10, 1_000_000))
        await asyncio.gather(*(messages.read(message) for message in (small, large) * 3))

    asyncio.run(main())
    assert reads == [10, 1_000_000]


def test_waiting_for_mail_that_does_not_come_says_how_much_came() -> None:
    async def main() -> None:
        async with Inbox() as inbox:
            inbox.messages.add(b"x", **ENVELOPE)
            assert len(await inbox.wait_for(1)) == 1
            await inbox.wait_for(2, 0.05)

    with pytest.raises(TimeoutError, match=r"1 of 2 messages arrived in 0\.05 s"):
        asyncio.run(main())


@pytest.mark.parametrize("host", ["0.0.0.0", "192.0.2.1", "::", "example.com", ""])
def test_it_listens_on_loopback_only(host: str) -> None:
    with pytest.raises(ParameterError, match="loopback only") as caught:
        Inbox(host)
    assert caught.value.hint


@pytest.mark.parametrize("side", ["smtp_port", "http_port"])
def test_a_taken_port_is_named(side: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        options: dict[str, Any] = {"smtp_port": 0, "http_port": 0} | {side: port}
        with pytest.raises(NinaError, match=f"Port {port} is taken") as caught:
            serve(**options)
    assert caught.value.hint == "Stop the other program, or choose another port (0 takes a free one)."


@pytest.mark.parametrize("package", ["aiosmtpd", "starlette", "uvicorn"])
def test_a_missing_extra_is_named(package: str) -> None:
    program = f"""
import asyncio, sys
from nina_smtp.errors import NinaError
from nina_smtp.inbox import Inbox
sys.modules[{package!r}] = None
try:
    asyncio.run(Inbox().__aenter__())
except NinaError as error:
    print(error, error.hint)
"""
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert result.stdout == (
        f'The inbox needs {package}, which is not installed pip install "nina-smtp[inbox]"\n'
    ), result.stderr


def test_the_package_itself_needs_no_server() -> None:
    program = "import sys, nina_smtp.inbox; print({'aiosmtpd', 'starlette', 'uvicorn'} & sys.modules.keys())"
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert result.stdout == "set()\n"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_command_says_where_it_is_and_ends_at_a_signal(number: signal.Signals) -> None:
    program = "from nina_smtp.inbox import serve; serve(smtp_port=0, http_port=0)"
    with subprocess.Popen([sys.executable, "-c", program], stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        said = [process.stderr.readline() for _ in range(3)]
        assert re.match(r"SMTP  127\.0\.0\.1:\d+ ", said[0])
        url = said[1].split()[1]
        assert httpx.get(f"{url}healthz", trust_env=False).json() == {"status": "ok", "messages": 0}
        process.send_signal(number)
        assert process.wait(20) == 0
        assert process.stderr.read() == ""


@pytest.mark.skipif(not socket.has_ipv6, reason="no IPv6 here")
def test_it_runs_on_ipv6_loopback(start: Any) -> None:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        pytest.skip("no IPv6 loopback here")
    with start(host="::1") as running:
        assert running.inbox.url == f"http://[::1]:{running.inbox.http_port}/"
        assert running.get("/healthz").json()["status"] == "ok"
