"""Sockets: addresses and deadlines."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from bed.dialogue import Dialogue
from bed.faulty import FaultyServer
from bed.recorder import Recorder

from nina_smtp.envelope import Envelope
from nina_smtp.errors import ConnectFailed, NinaError
from nina_smtp.smtp import connection as module
from nina_smtp.smtp.connection import Connection
from nina_smtp.smtp.mail import Delivery, Mail
from nina_smtp.smtp.server import Encryption, Server, Timeouts
from nina_smtp.smtp.session import Session

SHORT = Timeouts(connect=2, greeting=1, command=1, data=1, final=1, quit=0.2, total=5)
ENVELOPE = Envelope("a@mail.test", ("b@mail.test",))
MAIL = b"Subject: s\r\n\r\nb\r\n"


def at(port: int, host: str = "localhost", **wishes: Any) -> Server:
    return Server(host, port, **({"encryption": Encryption.NONE, "timeouts": SHORT} | wishes))


async def deliver(server: Server) -> Delivery:
    """One mail over a session of its own."""
    try:
        session = await Session.open(server)
    except NinaError as error:
        return Delivery((), (), None, error)
    delivery = await session.send(Mail(ENVELOPE, lambda: [MAIL], len(MAIL)))
    await session.quit()
    return delivery


def error_of(delivery: Delivery) -> NinaError:
    assert delivery.error
    return delivery.error


# -- deadlines ---------------------------------------------------------------------------------------


class Dripping(Dialogue):
    """Correct up to ``server.drips_at``; from there on one octet at a time, for ever."""

    def send(self, octets: bytes) -> None:
        assert isinstance(self.server, Dripper)
        if octets.startswith(self.server.drips_at):
            while not self.server.stopping.wait(0.02):
                super().send(b"2")
        super().send(octets)


class Dripper(Recorder):
    dialogue = Dripping

    def __init__(self, drips_at: bytes) -> None:
        super().__init__(keywords=[])
        self.drips_at = drips_at


@pytest.mark.parametrize(
    ("drips_at", "phase", "uncertain"),
    [
        (b"220", "greeting", False),
        (b"250-mail.test", "ehlo", False),
        (b"250 2.1.0", "mail", False),
        (b"250 2.1.5", "rcpt", False),
        (b"354", "data", False),
        (b"250 2.0.0", "dot", True),
    ],
)
def test_a_reply_octet_by_octet_is_given_up_like_none(drips_at: bytes, phase: str, uncertain: bool) -> None:
    drips_at = b"250 mail.test" if phase == "ehlo" else drips_at  # without keywords there is one line
    with Dripper(drips_at) as server:
        error = error_of(asyncio.run(deliver(at(server.port))))
    assert error.phase == phase
    assert error.uncertain is uncertain
    assert uncertain or error.type == "replyTimeout"
    assert error.retry is not uncertain


def test_the_whole_attempt_has_a_deadline_too() -> None:
    patient = Timeouts(greeting=60, command=60, total=0.3)
    with FaultyServer("m_hang", mode="none", patience=3) as server:
        error = error_of(asyncio.run(deliver(at(server.port, timeouts=patient))))
    assert (error.type, error.phase) == ("replyTimeout", "mail")


# -- addresses ---------------------------------------------------------------------------------------


@pytest.fixture
def resolves(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Has every name resolve to the given addresses."""

    def to(*addresses: str) -> None:
        def found(host: object, port: int, *_: object, **__: object) -> list[Any]:
            return [
                (socket.AF_INET6 if ":" in address else socket.AF_INET, 1, 6, "", (address, port))
                for address in addresses
            ]

        monkeypatch.setattr(socket, "getaddrinfo", found)

    return to


def test_the_second_address_is_tried_when_the_first_refuses(resolves: Callable[..., None]) -> None:
    resolves("127.0.0.2", "127.0.0.1")
    with Recorder() as server:
        delivery = asyncio.run(deliver(at(server.port, "mail.test")))
    assert delivery.error is None
    assert server.messages


def test_the_second_address_is_tried_when_the_first_is_silent(
    resolves: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_DEAD_ADDRESS", 0.05)
    resolves("127.0.0.2", "127.0.0.1")
    with Recorder() as server, socket.socket() as full, socket.socket() as one, socket.socket() as two:
        full.bind(("127.0.0.2", server.port))
        full.listen(0)
        for waiting in (one, two):  # from here on nobody's SYN is answered
            waiting.setblocking(False)
            waiting.connect_ex(full.getsockname())
        delivery = asyncio.run(deliver(at(server.port, "mail.test")))
    assert delivery.error is None
    assert server.messages


def test_when_every_address_refuses_the_last_reason_is_given(resolves: Callable[..., None]) -> None:
    resolves("127.0.0.2", "127.0.0.3")
    with Recorder() as server:
        error = error_of(asyncio.run(deliver(at(server.port, "mail.test"))))
    assert (error.type, error.phase, error.retry) == ("connectFailed", "connect", True)
    assert "connection refused" in error.message


@pytest.mark.parametrize(
    "address",
    ["169.254.169.254", "0.0.0.0", "224.0.0.1", "255.255.255.255", "::", "fe80::1", "ff02::1",
     "::ffff:169.254.169.254", "::ffff:0.0.0.0"],
)  # fmt: skip
def test_where_no_mail_server_is_nobody_connects_to(
    resolves: Callable[..., None], monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    resolves(address)

    async def connect(self: Connection, addresses: object) -> None:
        raise AssertionError(f"connects to {addresses}")

    monkeypatch.setattr(Connection, "connect", connect)
    error = error_of(asyncio.run(deliver(at(25, "mail.test"))))
    assert (error.type, error.phase) == ("connectFailed", "resolve")


def test_such_an_address_is_left_out_among_others(resolves: Callable[..., None]) -> None:
    resolves("169.254.169.254", "fe80::1%eth0", "127.0.0.1", "127.0.0.1")
    addresses = asyncio.run(Connection(at(25, "mail.test")).resolve())
    assert [str(address) for address in addresses] == ["127.0.0.1"]


def test_a_host_that_does_not_exist_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    with pytest.raises(ConnectFailed, match="name or service not known") as caught:
        asyncio.run(Connection(at(25, "nowhere.test")).resolve())
    assert caught.value.phase == "resolve"


@asynccontextmanager
async def on_ipv6() -> AsyncIterator[tuple[int, list[bytes]]]:
    """A server at ::1 that agrees to everything: its port, and the lines that it hears."""
    heard: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 mail.test\r\n")
        while line := await reader.readline():
            heard.append(line)
            writer.write(b"221 Bye\r\n" if line == b"QUIT\r\n" else b"250 Ok\r\n")
        writer.close()

    async with await asyncio.start_server(serve, "::1", 0) as server:
        yield server.sockets[0].getsockname()[1], heard


@pytest.mark.parametrize("host", ["::1", "localhost"])
def test_ipv6_is_spoken(host: str, resolves: Callable[..., None]) -> None:
    async def talk() -> list[bytes]:
        async with on_ipv6() as (port, heard):
            if host != "::1":
                resolves("::1")
            session = await Session.open(at(port, host))
            await session.quit()
        return heard

    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        pytest.skip("this machine has no IPv6")
    heard = asyncio.run(talk())
    assert heard[-1] == b"QUIT\r\n"


@pytest.mark.parametrize(
    ("machine", "wanted", "said"),
    [
        ("host.corp.test", None, b"host.corp.test"),
        ("host", None, b"[127.0.0.1]"),
        ("bad_host.corp.test", None, b"[127.0.0.1]"),
        ("x\r\nRCPT TO:<evil@evil.test>.y", None, b"[127.0.0.1]"),
        ("host.corp.test", "client.test", b"client.test"),
    ],
)
def test_ehlo_says_the_wish_or_the_full_name_or_the_address(
    machine: str, wanted: str | None, said: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(socket, "gethostname", lambda: machine)
    with Recorder() as server:
        asyncio.run(deliver(at(server.port, ehlo_name=wanted)))
    assert server.sessions[0].ehlo_names == [said]
