"""What a credential may use, as the pool keeps to it: servers in memory, on a clock that nobody waits for."""

from __future__ import annotations

import asyncio
from bisect import bisect_left
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import pytest
from bed.memory import CHUNKED, PIPELINED, Peer, Store, run

from nina_smtp.delivery.governor import CredentialGovernor
from nina_smtp.envelope import Envelope
from nina_smtp.errors import AuthFailed, InvalidAddress
from nina_smtp.smtp.capabilities import Capabilities
from nina_smtp.smtp.mail import Delivery, Mail, Shipment
from nina_smtp.smtp.pool import ConnectionPool
from nina_smtp.smtp.server import Encryption, Server
from nina_smtp.smtp.turns import Source

T = TypeVar("T")
SERVER = Server("localhost", 25, Encryption.NONE, ehlo_name="me.test")
CONTENT = b"Subject: s\r\n\r\nb\r\n"
HOUR = 3600


class Parcel(Shipment):
    def __init__(self, name: str, to: str | None = None, *, broken: bool = False) -> None:
        self.name = name
        self.to = to or f"r.{name}"
        self.broken = broken
        self.fate: asyncio.Future[Delivery] = asyncio.get_running_loop().create_future()

    def prepare(self, capabilities: Capabilities) -> Mail:
        if self.broken:
            raise InvalidAddress("no mailbox")
        return Mail(Envelope(f"{self.name}@x.test", (f"{self.to}@x.test",)), lambda: [CONTENT], len(CONTENT))

    def settled(self, delivery: Delivery) -> None:
        self.fate.set_result(delivery)


class Post:
    """A server, the pool of one credential for it, and what goes on between them."""

    governor: CredentialGovernor

    def __init__(self, connect: Callable[[], Peer] | None = None) -> None:
        self.store = Store()
        self.connect = connect or self.peer
        self.connections = 0
        self.mails: list[float] = []  # when each was begun
        self.noops = 0
        self.opened: list[Peer] = []

    def peer(self, **how: Any) -> Peer:
        peer = Peer(self.store, how.pop("keywords", PIPELINED), **how)
        peer.on_write = self.on_write
        self.opened.append(peer)
        return peer

    def on_write(self, octets: bytes) -> None:
        self.mails += [now()] * octets.count(b"MAIL FROM")
        self.noops += octets.count(b"NOOP")

    def _connect(self) -> Peer:
        self.connections += 1
        return self.connect()

    def run(
        self,
        work: Callable[[ConnectionPool], Awaitable[T]],
        *,
        connections: int = 5,
        close: bool = True,
        preload: tuple[tuple[float, int], ...] = (),
        **limits: Any,
    ) -> T:
        async def whole() -> T:
            governor = CredentialGovernor(
                asyncio.get_running_loop().time, dice=limits.pop("dice", lambda: 0.0), **limits
            )
            if preload:
                governor.preload(preload)
            self.governor = governor
            pool = ConnectionPool(SERVER, connections=connections, governor=governor)
            result = await work(pool)
            if close:
                await pool.close()
            return result

        return run(whole, self._connect)


class TurnedAway(Peer):
    """A server that does not want the connection."""

    def __init__(self, greeting: bytes) -> None:
        super().__init__(Store())
        self._outbox = bytearray(greeting + b"\r\n")
        self._bye = True


def now() -> float:
    return asyncio.get_running_loop().time()


def down() -> Peer:
    raise ConnectionRefusedError(111, "Connection refused")


def parcels(count: int, name: str = "m") -> list[Parcel]:
    return [Parcel(f"{name}{number}") for number in range(count)]


def source(mails: list[Parcel], *, ordered: bool = False) -> Source:
    waiting = deque(mails)
    return Source(lambda: waiting.popleft() if waiting else None, backlog=waiting.__len__, ordered=ordered)


async def fates(pool: ConnectionPool, mails: list[Parcel], *, ordered: bool = False) -> list[Delivery]:
    pool.add(source(mails, ordered=ordered))
    return [await mail.fate for mail in mails]


def deliver(count: int, *, ordered: bool = False) -> Callable[[ConnectionPool], Awaitable[list[Delivery]]]:
    return lambda pool: fates(pool, parcels(count), ordered=ordered)


def errors(deliveries: list[Delivery]) -> list[str]:
    return [delivery.error.type if delivery.error else "sent" for delivery in deliveries]


def most_in_a_second(times: list[float]) -> int:
    return max(bisect_left(times, first + 1.0) - at for at, first in enumerate(times))


# -- the rate ----------------------------------------------------------------------------------------


@pytest.mark.no_cover
def test_ten_thousand_mails_at_fifty_a_second_take_two_hundred_seconds() -> None:
    post = Post()
    assert errors(post.run(deliver(10_000), per_second=50)) == ["sent"] * 10_000
    assert len(post.store.taken) == len(post.mails) == 10_000
    assert 199.9 <= post.mails[-1] - post.mails[0] < 201
    assert most_in_a_second(post.mails) <= 50


@pytest.mark.parametrize("keywords", [PIPELINED, CHUNKED, ()])
@pytest.mark.parametrize("ordered", [False, True])
def test_every_way_of_sending_keeps_to_it(keywords: tuple[str, ...], ordered: bool) -> None:
    post = Post()
    post.connect = lambda: post.peer(keywords=keywords)
    assert errors(post.run(deliver(50, ordered=ordered), per_second=5)) == ["sent"] * 50
    assert 9.7 <= post.mails[-1] - post.mails[0] < 11
    assert most_in_a_second(post.mails) <= 5


def test_slow_mails_share_few_connections_and_these_are_not_kept_for_hours() -> None:
    post = Post()
    assert errors(post.run(deliver(100), per_second=0.01)) == ["sent"] * 100
    assert post.mails[-1] - post.mails[0] == pytest.approx(9900, rel=0.001)
    assert 100 <= post.connections <= 105  # each was closed after 30 seconds without mail


def test_mails_that_cannot_be_built_take_nobodys_place() -> None:
    async def work(pool: ConnectionPool) -> list[Delivery]:
        mails = [Parcel(f"m{number}", broken=number % 10 > 0) for number in range(100)]
        return await fates(pool, mails)

    post = Post()
    assert errors(post.run(work, per_second=1)).count("sent") == 10
    assert post.mails[-1] - post.mails[0] == pytest.approx(9, abs=0.1)


def test_mails_that_come_back_take_one_place_each() -> None:
    post = Post()
    answers = {("mail", "m1"): [b"421 4.4.2 bye"], ("mail", "m3"): [b"421 4.4.2 bye"]}
    post.connect = lambda: post.peer(answers=answers)
    assert errors(post.run(deliver(5), per_second=1, connections=1)) == ["sent"] * 5
    assert len(post.store.taken) == 5


def test_close_waits_for_what_is_held_over_the_connections_there_are() -> None:
    async def work(pool: ConnectionPool) -> list[Parcel]:
        mails = parcels(20)
        pool.add(source(mails))
        await mails[0].fate
        return mails

    post = Post()
    mails = post.run(work, per_second=1, connections=3)
    assert [mail.fate.result().error for mail in mails] == [None] * 20
    assert post.connections <= 3
    assert post.mails[-1] - post.mails[0] == pytest.approx(19, abs=0.1)


def test_close_opens_a_connection_for_what_is_held_and_has_none() -> None:
    async def work(pool: ConnectionPool) -> list[Parcel]:
        mails = parcels(3)
        pool.add(source(mails))
        await mails[0].fate
        await asyncio.sleep(60)
        assert not pool.open_connections
        return mails

    post = Post()
    mails = post.run(work, per_second=0.01)
    assert [mail.fate.result().error for mail in mails] == [None] * 3


def test_one_callers_mail_does_not_wait_behind_all_of_anothers() -> None:
    async def work(pool: ConnectionPool) -> float:
        pool.add(source(parcels(1000)))
        await asyncio.sleep(10.5)
        begun = now()
        await fates(pool, [Parcel("alert")])
        return now() - begun

    post = Post()
    assert post.run(work, per_second=2) < 2


# -- what the server says ----------------------------------------------------------------------------


@pytest.mark.no_cover
def test_a_server_that_is_too_slow_gets_fewer_connections_and_then_more_again() -> None:
    said = {("end", f"m{number}"): b"451 4.7.0 too fast" for number in range(400, 404)}

    async def work(pool: ConnectionPool) -> None:
        mails = parcels(12_000)
        pool.add(source(mails))
        await mails[380].fate
        assert pool.open_connections == 4
        await mails[500].fate
        assert pool.open_connections <= 2
        assert post.governor.connections(4) == 2
        for mail in mails:
            await mail.fate
        assert post.governor.connections(4) == 4

    post = Post()
    post.connect = lambda: post.peer(answers=said)
    post.run(work, connections=4)
    assert len(post.store.taken) == 11_996


def test_a_server_that_turns_every_other_connection_away_gets_all_mails_over_the_others() -> None:
    post = Post()

    def connect() -> Peer:
        if post.connections % 2:
            return post.peer()
        return TurnedAway(b"421 4.7.0 too many connections")

    post.connect = connect
    assert errors(post.run(deliver(3000))) == ["sent"] * 3000
    assert len(post.store.taken) == 3000
    assert post.connections <= 10


def test_a_quota_answers_all_that_waits_and_is_tried_again_when_it_may_be_free() -> None:
    async def work(pool: ConnectionPool) -> list[list[str]]:
        first = await fates(pool, parcels(1000))
        begun = now()
        again = await fates(pool, parcels(5, "n"))
        assert now() == begun, "nobody waits"
        limit = again[0].error
        assert limit
        assert getattr(limit, "until_seconds", None) == pytest.approx(HOUR, abs=5)
        assert again[0].attempts == 0
        await asyncio.sleep(HOUR)
        return [errors(first), errors(again), errors(await fates(pool, parcels(5, "o")))]

    used_up = b"550 5.4.5 Daily user sending limit exceeded"
    post = Post()
    post.connect = lambda: post.peer(answers={("end", f"m{number}"): used_up for number in range(100, 1000)})
    first, again, later = post.run(work)
    assert first.count("sent") == 100
    assert 1 <= first.count("messageRefused") <= 10  # those on their way
    assert set(first[110:]) == {"limitReached"}
    assert again == ["limitReached"] * 5
    assert later == ["sent"] * 5


def test_the_limit_of_a_day_answers_what_is_beyond_it_and_connects_to_nothing() -> None:
    async def work(pool: ConnectionPool) -> list[str]:
        first = await fates(pool, parcels(10))
        await asyncio.sleep(60)
        assert not pool.open_connections
        second = await fates(pool, parcels(10, "n"))
        assert not pool.open_connections
        await asyncio.sleep(24 * HOUR + 300)
        return errors([*first, *second, *await fates(pool, parcels(10, "o"))])

    post = Post()
    outcomes = post.run(work, per_day=7)
    assert outcomes == ["sent"] * 7 + ["limitReached"] * 3 + ["limitReached"] * 10 + (
        ["sent"] * 7 + ["limitReached"] * 3
    )


def test_in_order_nothing_beyond_the_limit_is_answered_before_what_came_before_it() -> None:
    async def work(pool: ConnectionPool) -> list[str]:
        order: list[str] = []
        mails = parcels(5)
        for mail in mails:
            mail.fate.add_done_callback(lambda fate, name=mail.name: order.append(name))  # type: ignore[misc]
        pool.add(source(mails, ordered=True))
        await mails[0].fate
        others = await fates(pool, parcels(5, "n"))
        assert errors(others) == ["limitReached"] * 5
        outcomes = errors([await mail.fate for mail in mails])
        await asyncio.sleep(0)
        assert order == [mail.name for mail in mails]
        return outcomes

    assert Post().run(work, per_day=3) == ["sent"] * 3 + ["limitReached"] * 2


# -- the breaker -------------------------------------------------------------------------------------


def test_a_server_that_is_down_is_connected_to_a_few_times_whatever_waits() -> None:
    async def work(pool: ConnectionPool) -> list[str]:
        outcomes: list[str] = []
        for number in range(100):
            outcomes += errors(await fates(pool, parcels(100, f"m{number}.")))
        return outcomes

    post = Post(down)
    outcomes = post.run(work)
    assert post.connections == 5
    assert outcomes == ["connectFailed"] * 500 + ["circuitOpen"] * 9500


def test_an_hour_of_mails_to_a_server_that_is_down_is_a_few_connections() -> None:
    async def work(pool: ConnectionPool) -> None:
        for number in range(3600):
            await fates(pool, parcels(1, f"m{number}."))
            await asyncio.sleep(1)

    post = Post(down)
    post.run(work)
    assert 8 <= post.connections <= 14


def test_it_is_told_when_it_is_tried_again_and_that_nothing_was_sent() -> None:
    async def work(pool: ConnectionPool) -> Delivery:
        for number in range(5):
            await fates(pool, parcels(1, f"m{number}."))
        (delivery,) = await fates(pool, parcels(1))
        return delivery

    delivery = Post(down).run(work)
    assert delivery.error
    assert delivery.error.retry
    assert delivery.attempts == 0
    assert "Connection refused" in delivery.error.message or "connection refused" in delivery.error.message
    assert delivery.error.hint == "It is tried again in 30 s; nothing was sent."


def test_a_server_that_is_back_proves_itself_once_before_any_mail_and_then_gets_all() -> None:
    async def work(pool: ConnectionPool) -> list[str]:
        for number in range(5):
            await fates(pool, parcels(1, f"m{number}."))
        post.connect = post.peer
        assert errors(await fates(pool, parcels(3, "n"))) == ["circuitOpen"] * 3
        await asyncio.sleep(30)
        return errors(await fates(pool, parcels(100, "o")))

    post = Post(down)
    assert post.run(work) == ["sent"] * 100
    assert post.noops == 1
    peer = post.opened[0]
    assert peer.octets.index(b"NOOP") < peer.octets.index(b"MAIL")
    assert not any(one.out_of_place for one in post.opened)


def test_a_server_that_is_back_and_not_well_gets_no_mail() -> None:
    async def work(pool: ConnectionPool) -> list[str]:
        for number in range(5):
            await fates(pool, parcels(1, f"m{number}."))
        post.connect = lambda: post.peer(answers={("noop", ""): b"451 4.3.0 not yet"})
        await asyncio.sleep(30)
        first = await fates(pool, parcels(3, "n"))
        await asyncio.sleep(59)
        second = await fates(pool, parcels(3, "o"))
        return errors([*first, *second])

    post = Post(down)
    assert post.run(work) == ["serverRefused"] * 3 + ["circuitOpen"] * 3
    assert not post.mails
    assert post.noops == 1


def test_mails_over_connections_that_are_open_go_on_while_no_other_can_be_opened() -> None:
    async def work(pool: ConnectionPool) -> list[str]:
        await fates(pool, parcels(1, "first"))
        post.connect = down
        outcomes: list[str] = []
        for number in range(600):  # ten minutes, a second each
            mails = [*parcels(8, f"m{number}.")]
            outcomes += errors(await fates(pool, mails))
            await asyncio.sleep(1)
        return outcomes

    post = Post()
    assert set(post.run(work)) == {"sent"}
    assert post.connections <= 12


def test_a_login_that_is_refused_while_others_are_open_is_tried_again_once_when_its_time_has_come() -> None:
    async def work(pool: ConnectionPool) -> list[int]:
        await fates(pool, parcels(1, "first"))
        post.governor.refused(AuthFailed("The server refused the login: 535 no", phase="auth"))
        connected: list[int] = []
        for number in range(32):  # more than one connection is worth a login for, every ten seconds
            two = (fates(pool, parcels(50, f"{name}{number}.")) for name in "mn")
            for outcome in await asyncio.gather(*two):
                assert set(errors(outcome)) == {"sent"}
            connected.append(post.connections)
            await asyncio.sleep(10)
        return connected

    post = Post()
    connected = post.run(work)
    assert connected[29] == 1
    assert connected[-1] > 1
    assert post.noops == 1
    proved = post.opened[1].octets
    assert proved.index(b"NOOP") < proved.find(b"MAIL") or b"MAIL" not in proved


# -- the loop guard ----------------------------------------------------------------------------------


def test_a_loop_is_stopped_and_the_others_mails_are_not() -> None:
    async def work(pool: ConnectionPool) -> list[str]:
        loop = [Parcel(f"m{number}", "looped") for number in range(50)]
        one, other = await asyncio.gather(fates(pool, loop), fates(pool, parcels(50, "n")))
        assert errors(other) == ["sent"] * 50
        return errors(one)

    post = Post()
    assert post.run(work, per_recipient=20) == ["sent"] * 20 + ["loopSuspected"] * 30
    assert post.store.got("looped") == 20


def test_a_mail_that_comes_back_is_counted_once() -> None:
    async def work(pool: ConnectionPool) -> list[str]:
        return errors(await fates(pool, [Parcel(f"m{number}", "looped") for number in range(20)]))

    post = Post()
    answers = {("mail", f"m{number}"): [b"421 4.4.2 bye"] for number in range(2, 20, 3)}
    post.connect = lambda: post.peer(answers=answers)
    assert post.run(work, per_recipient=20, connections=1) == ["sent"] * 20
    assert post.connections > 3
