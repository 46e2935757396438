"""How often the client waits for the server: exact, since on a long way nothing else takes time."""

from __future__ import annotations

import asyncio
from itertools import repeat
from typing import Literal

import pytest
from bed.certs import Certs
from bed.dialogue import Dialogue
from bed.memory import CHUNKED, ONE_BY_ONE, PIPELINED, Peer, Store, run
from bed.recorder import CHUNKING, EVERYTHING, Recorder
from bed.recording import Message

from nina_smtp.envelope import Envelope
from nina_smtp.secret import Secret
from nina_smtp.smtp.auth import Login, Plain
from nina_smtp.smtp.capabilities import Capabilities
from nina_smtp.smtp.mail import Delivery, Mail, Shipment
from nina_smtp.smtp.pool import ConnectionPool
from nina_smtp.smtp.server import Encryption, Server, Timeouts, Trust
from nina_smtp.smtp.session import Session
from nina_smtp.smtp.turns import Source

CONTENT = b"Subject: s\r\n\r\nb\r\n"
SERVER = Server("localhost", 25, Encryption.NONE, ehlo_name="me.test")
TCP = TLS = 1  # round trips of a TCP connection, and of TLS 1.3, before anything can be said


class Counting(Recorder):
    """Counts how often the client waits for what the server says, up to the verdict on its mail."""

    waits = 0
    until_verdict = 0

    class dialogue(Dialogue):  # noqa: N801 - what Recorder calls it
        server: Counting
        heard = True  # a connection, which the greeting answers

        def receive(self) -> bool:
            self.heard = True
            return super().receive()

        def send(self, octets: bytes) -> None:
            self.server.waits += self.heard
            self.heard = False
            super().send(octets)

        def dot(self, message: Message) -> None:
            super().dot(message)
            self.server.until_verdict = self.server.waits


class Parcel(Shipment):
    delivery: Delivery | None = None

    def __init__(self, *recipients: str) -> None:
        self.recipients = recipients or ("b@x.test",)

    def prepare(self, capabilities: Capabilities) -> Mail:
        return Mail(Envelope("a@x.test", self.recipients), lambda: [CONTENT], len(CONTENT))

    def settled(self, delivery: Delivery) -> None:
        assert self.delivery is None
        self.delivery = delivery


# -- cold: a connection, a login, one mail -----------------------------------------------------------


def cold(
    tls: Literal["starttls", "implicit"],
    keywords: tuple[str, ...],
    certs: Certs,
    mechanism: type[Plain | Login] = Plain,
) -> int:
    """The round trips of one mail over a new connection."""
    encryption = Encryption.STARTTLS if tls == "starttls" else Encryption.TLS

    async def work(port: int) -> Delivery:
        session = await Session.open(
            Server(
                "localhost",
                port,
                encryption,
                mechanism=mechanism("alice", Secret("secret-word")),
                trust=Trust(ca_pem=certs.ca_pem.read_text()),
                timeouts=Timeouts(),
            )
        )
        delivery = await session.send(
            Mail(Envelope("a@x.test", ("b@x.test",)), lambda: [CONTENT], len(CONTENT))
        )
        await session.quit()
        return delivery

    with Counting(keywords, tls=tls, certs=certs, users={"alice": "secret-word"}) as server:
        delivery = asyncio.run(work(server.port))
    assert delivery.error is None
    (session,) = server.sessions
    assert session.tls_version == "TLSv1.3"
    assert len(server.messages) == 1
    return TCP + TLS + server.until_verdict


@pytest.mark.parametrize(
    ("tls", "keywords", "most"),
    [
        ("starttls", EVERYTHING, 9),
        ("starttls", CHUNKING, 8),
        ("implicit", EVERYTHING, 7),
        ("implicit", CHUNKING, 6),
    ],
    ids=["starttls", "starttls, chunks", "tls", "tls, chunks"],
)
def test_a_first_mail_takes_no_more_round_trips_than_the_protocols_ask_for(
    tls: Literal["starttls", "implicit"], keywords: tuple[str, ...], most: int, certs: Certs
) -> None:
    assert cold(tls, keywords, certs) == most


def test_the_count_is_one_of_round_trips_a_login_in_three_steps_takes_two_more(certs: Certs) -> None:
    assert cold("implicit", EVERYTHING, certs, Login) == 7 + 2


# -- warm: one mail after another --------------------------------------------------------------------

MAILS = 100
BATCHES = {"at once": None, "an octet at a time": 1, "in odd pieces": 37}


@pytest.mark.parametrize("pieces", BATCHES)
@pytest.mark.parametrize(("keywords", "first"), [(PIPELINED, 1), (CHUNKED, 0)], ids=["data", "chunks"])
def test_a_mail_takes_one_round_trip_and_one_write(
    keywords: tuple[str, ...], first: int, pieces: str
) -> None:
    """The first one takes one more where DATA has to be agreed to."""
    size = BATCHES[pieces]
    peer = Peer(Store(), keywords, segments=repeat(size) if size else None)

    async def work() -> None:
        session = await Session.open(SERVER)
        opening, peer.flights = peer.flights, 0
        peer.writes.clear()
        assert opening == 1  # EHLO, behind the greeting
        await session.carry(*(Parcel() for _ in range(MAILS)))

    run(work, lambda: peer)
    assert len(peer.store.taken) == MAILS
    assert peer.flights == MAILS + first
    assert len(peer.writes) == MAILS + first


@pytest.mark.parametrize("recipients", [1, 2, 50])
def test_so_it_does_with_many_recipients(recipients: int) -> None:
    peer = Peer(Store())

    async def work() -> None:
        session = await Session.open(SERVER)
        peer.writes.clear()
        await session.carry(*(Parcel(*(f"r{n}@x.test" for n in range(recipients))) for _ in range(10)))

    run(work, lambda: peer)
    assert len(peer.store.taken) == 10
    assert len(peer.writes) == 11


@pytest.mark.parametrize(
    ("keywords", "window", "trips"),
    [(PIPELINED, 1, 101), (CHUNKED, 1, 100), (CHUNKED, 4, 25), (CHUNKED, 16, 7), (ONE_BY_ONE, 1, 400)],
    ids=["data", "chunks", "window of 4", "window of 16", "one by one"],
)
def test_over_a_pool_mails_take_as_few(keywords: tuple[str, ...], window: int, trips: int) -> None:
    """A window of W takes one round trip for W mails, when their answers come together."""
    peer = Peer(Store(), keywords)
    mails = [Parcel() for _ in range(MAILS)]
    waiting = iter(mails)

    async def work() -> None:
        pool = ConnectionPool(SERVER, connections=1, window=window)
        pool.add(Source(lambda: next(waiting, None)))
        await pool.close()

    run(work, lambda: peer)
    assert len(peer.store.taken) == MAILS
    assert all(mail.delivery and not mail.delivery.error for mail in mails)
    assert peer.flights == 1 + trips + 1  # EHLO before, QUIT behind
    assert len(peer.writes) == peer.flights


def test_a_refused_mail_costs_no_more_than_the_envelope_that_was_refused() -> None:
    answers = {("rcpt", "b"): [b"550 5.1.1"]}
    peer = Peer(Store(), answers=answers)

    async def work() -> None:
        session = await Session.open(SERVER)
        peer.writes.clear()
        await session.carry(*(Parcel() for _ in range(10)))

    run(work, lambda: peer)
    assert len(peer.store.taken) == 9
    assert len(peer.writes) == 1 + 10  # its envelope, and then the others as ever
