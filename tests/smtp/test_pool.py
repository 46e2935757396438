"""The connections that everybody shares: when they are opened, what breaks them, how they end."""

from __future__ import annotations

import asyncio
import gc
import threading
import time
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, TypeVar

import pytest
from bed.dialogue import Dialogue
from bed.invariants import check_wire
from bed.listener import shut
from bed.recorder import CHUNKING, EVERYTHING, Recorder
from bed.recording import Message

from nina_smtp.delivery.governor import CredentialGovernor
from nina_smtp.envelope import Envelope
from nina_smtp.errors import ParameterError
from nina_smtp.secret import Secret
from nina_smtp.smtp import pool as pool_module
from nina_smtp.smtp.auth import Plain
from nina_smtp.smtp.capabilities import Capabilities
from nina_smtp.smtp.mail import Delivery, Mail, Shipment
from nina_smtp.smtp.pool import ConnectionPool
from nina_smtp.smtp.server import Encryption, Server, Timeouts, Trust
from nina_smtp.smtp.turns import Source

T = TypeVar("T")
GUARD = 30  # seconds after which a test that hangs is ended
TIMEOUTS = Timeouts(connect=5, greeting=5, command=5, data=5, final=5, quit=1, total=30)
CONTENT = b"Subject: s\r\n\r\nb\r\n"


class Parcel(Shipment):
    """A mail that notes what became of it, to a recipient of its own."""

    def __init__(self, name: str, *, fault: Exception | None = None) -> None:
        self.name = name
        self.fault = fault
        self.line: Parcels | None = None
        self.fate: asyncio.Future[Delivery] = asyncio.get_running_loop().create_future()

    def prime(self) -> None:
        if self.fault:
            raise self.fault

    def prepare(self, capabilities: Capabilities) -> Mail:
        self.prime()
        envelope = Envelope("a@mail.test", (f"{self.name}@mail.test",))
        return Mail(envelope, lambda: [CONTENT], len(CONTENT))

    def settled(self, delivery: Delivery) -> None:
        if self.line:
            self.line.ahead -= 1
        self.fate.set_result(delivery)


class Parcels:
    """One caller's mails, ``names`` of them, or ``name-0`` to ``name-<count>``."""

    def __init__(self, *names: str, count: int = 0, ordered: bool = False) -> None:
        if count:
            names = tuple(f"{names[0]}-{number}" for number in range(count))
        self.all = [Parcel(name) for name in names]
        self.waiting = deque(self.all)
        self.ahead = self.most_ahead = 0  # handed out and not settled
        self.source = Source(self._more, backlog=self.waiting.__len__, ordered=ordered)

    def _more(self) -> Parcel | None:
        if not self.waiting:
            return None
        parcel = self.waiting.popleft()
        self.ahead += 1
        self.most_ahead = max(self.ahead, self.most_ahead)
        parcel.line = self
        return parcel

    async def fates(self) -> list[Delivery]:
        return [await parcel.fate for parcel in self.all]


class Held(Recorder):
    """Waits with an answer, at the places in ``holds``, until ``go``; ``came`` is set when one is due."""

    def __init__(self, *holds: str, keywords: Iterable[str] = EVERYTHING, **how: Any) -> None:
        super().__init__(keywords, **how)
        self.holds = holds
        self.came = threading.Event()
        self.go = threading.Event()

    def hold(self, place: str) -> None:
        if place in self.holds:
            self.came.set()
            assert self.go.wait(GUARD), "nobody let the server go on"

    def reply_to_mail(self, argument: bytes) -> bytes:
        self.hold("mail")
        return super().reply_to_mail(argument)

    def reply_to_dot(self, message: Message) -> bytes:
        self.hold("dot")
        return super().reply_to_dot(message)

    class dialogue(Dialogue):  # noqa: N801 - what Recorder calls it
        server: Held

        def greet(self) -> None:
            self.server.hold("greeting")
            super().greet()

        def on_quit(self, argument: bytes) -> None:
            self.server.hold("quit")
            super().on_quit(argument)


async def here(event: threading.Event) -> None:
    """Returns when the server has come to where it waits."""
    assert await asyncio.to_thread(event.wait, GUARD)


async def until(condition: Callable[[], object]) -> None:
    while not condition():
        await asyncio.sleep(0)


def with_pool(
    server: Recorder,
    work: Callable[[ConnectionPool], Awaitable[T]],
    *,
    close: bool = True,
    wishes: dict[str, Any] | None = None,
    **options: Any,
) -> T:
    """What ``work`` makes of a pool."""

    async def run() -> T:
        wanted = {"encryption": Encryption.NONE, "timeouts": TIMEOUTS} | (wishes or {})
        async with asyncio.timeout(GUARD):
            pool = ConnectionPool(Server("localhost", server.port, **wanted), **options)
            result = await work(pool)
            if close:
                await pool.close()
        return result

    return asyncio.run(run())


def deliver(*callers: tuple[str, int]) -> Callable[[ConnectionPool], Awaitable[list[Delivery]]]:
    """Work for ``with_pool``: mails of each of these callers."""

    async def work(pool: ConnectionPool) -> list[Delivery]:
        parcels = [Parcels(name, count=count) for name, count in callers]
        for one in parcels:
            pool.add(one.source)
        return [fate for one in parcels for fate in await one.fates()]

    return work


def arrived(server: Recorder) -> Counter[str]:
    return Counter(
        recipient.decode().partition("@")[0]
        for message in server.messages
        for recipient in message.recipients
    )


def once(name: str, count: int) -> Counter[str]:
    return Counter(f"{name}-{number}" for number in range(count))


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """No connection is opened because something has waited for long."""
    monkeypatch.setattr(pool_module, "_PATIENCE", 3600.0)


# -- what cannot be opened ---------------------------------------------------------------------------


def test_a_wrong_password_is_one_login_whatever_waits() -> None:
    with Recorder(users={"alice": "right"}) as server:
        fates = with_pool(
            server, deliver(("a", 49), ("b", 1)), wishes={"mechanism": Plain("alice", Secret("wrong"))}
        )
    assert [fate.error.type for fate in fates if fate.error] == ["authFailed"] * 50
    assert [fate.attempts for fate in fates] == [1, *[0] * 48, 1]  # each caller's first
    assert server.verbs.count("AUTH") == 1
    assert len(server.sessions) == 1


def test_a_governed_pool_does_not_try_a_wrong_password_again_for_later_mails() -> None:
    async def work(pool: ConnectionPool) -> list[str]:
        kinds = []
        for _ in range(3):
            parcels = Parcels("m", count=5)
            pool.add(parcels.source)
            kinds += [fate.error.type for fate in await parcels.fates() if fate.error]
        return kinds

    with Recorder(users={"alice": "right"}) as server:
        kinds = with_pool(
            server,
            work,
            wishes={"mechanism": Plain("alice", Secret("wrong"))},
            governor=CredentialGovernor(time.monotonic),
        )
    assert kinds == ["authFailed"] * 5 + ["circuitOpen"] * 10
    assert len(server.sessions) == 1


def test_a_server_that_is_not_there_is_the_error_of_all_and_later_mails_try_again() -> None:
    async def work(pool: ConnectionPool) -> list[str]:
        kinds = []
        for _ in range(2):
            parcels = Parcels("m", count=5)
            pool.add(parcels.source)
            kinds += [fate.error.type for fate in await parcels.fates() if fate.error]
        assert pool.open_connections == 0
        return kinds

    with Recorder() as server:
        pass
    assert with_pool(server, work) == ["connectFailed"] * 10


def test_a_mail_that_cannot_be_built_connects_to_nothing() -> None:
    async def work(pool: ConnectionPool) -> list[Delivery]:
        parcels = Parcels("m", count=3)
        for parcel in parcels.all:
            parcel.fault = ParameterError("bad")
        parcels.all[1].fault = OSError("the disk is gone")
        pool.add(parcels.source)
        assert pool.open_connections == 0
        return await parcels.fates()

    with Recorder() as server:
        fates = with_pool(server, work)
    assert [fate.error and fate.error.type for fate in fates] == [
        "invalidParameter", "internalError", "invalidParameter",
    ]  # fmt: skip
    assert server.sessions == []


@pytest.mark.parametrize("place", [0, 1, 2])
def test_a_mail_that_cannot_be_built_fails_alone(place: int) -> None:
    async def work(pool: ConnectionPool) -> list[Delivery]:
        parcels = Parcels("m", count=3)
        parcels.all[place].fault = ParameterError("bad")
        pool.add(parcels.source)
        return await parcels.fates()

    with Recorder() as server:
        fates = with_pool(server, work)
    assert [fate.error is not None for fate in fates] == [number == place for number in range(3)]
    assert arrived(server) == once("m", 3) - Counter([f"m-{place}"])
    assert len(server.sessions) == 1


class Crowded(Recorder):
    """Takes two connections at a time."""

    class dialogue(Dialogue):  # noqa: N801
        def greet(self) -> None:
            if not any(session is self.session for session in self.server.sessions[:2]):
                self.send(b"421 4.7.0 Too many connections\r\n")
                self.closing = True
            else:
                super().greet()


@pytest.mark.usefixtures("patient")
def test_a_server_that_wants_two_connections_gets_two_and_nothing_is_lost() -> None:
    async def work(pool: ConnectionPool) -> list[Delivery]:
        first = await deliver(("m", 60))(pool)
        await until(lambda: pool.open_connections == 2)
        return first + await deliver(("n", 60))(pool)

    with Crowded() as server:
        fates = with_pool(server, work)
    assert [fate.error for fate in fates] == [None] * 120
    assert arrived(server) == once("m", 60) + once("n", 60)
    talked = [session for session in server.sessions if session.commands]
    assert len(talked) == 2
    assert len(server.sessions) <= 5  # it was asked for more once, and no more for a minute


@pytest.mark.usefixtures("patient")
def test_a_server_that_took_no_more_connections_is_asked_again_later(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool_module, "_CROWDED", 0.0)

    async def work(pool: ConnectionPool) -> None:
        parcels = Parcels("m", count=1000)
        pool.add(parcels.source)
        await parcels.all[20].fate
        server.full = False
        await parcels.fates()

    class Full(Recorder):
        full = True

        class dialogue(Dialogue):  # noqa: N801
            server: Full

            def greet(self) -> None:
                if self.server.full and self.session is not self.server.sessions[0]:
                    self.send(b"421 4.7.0 Too many connections\r\n")
                    self.closing = True
                else:
                    super().greet()

    with Full() as server:
        with_pool(server, work)
    assert arrived(server) == once("m", 1000)
    assert sum(bool(session.messages) for session in server.sessions) == 5


# -- connections that break --------------------------------------------------------------------------


class Breaking(Recorder):
    """Hangs up at the second ``at`` of its first connection, or of each."""

    def __init__(self, at: str, *, always: bool = False, **how: Any) -> None:
        super().__init__(**how)
        self.at = at.encode()
        self.always = always

    class dialogue(Dialogue):  # noqa: N801
        server: Breaking

        def command(self, line: bytes) -> None:
            first = self.session is self.server.sessions[0]
            before = [command.verb for command in self.session.commands]
            if line.startswith(self.server.at) and self.server.at in before and (first or self.server.always):
                self.closing = True
            else:
                super().command(line)


@pytest.mark.parametrize("at", ["MAIL", "RCPT", "DATA"])
def test_a_mail_in_whose_envelope_the_connection_breaks_goes_over_another_once(at: str) -> None:
    async def work(pool: ConnectionPool) -> list[Delivery]:
        return await deliver(("m", 1))(pool) + await deliver(("n", 1))(pool)

    with Breaking(at) as server:
        fates = with_pool(server, work)
    assert [(fate.error, fate.attempts) for fate in fates] == [(None, 1), (None, 2)]
    assert arrived(server) == Counter(["m-0", "n-0"])
    assert len(server.sessions) == 2


@pytest.mark.usefixtures("patient")
@pytest.mark.parametrize("keywords", [EVERYTHING, ()], ids=["pipelined", "one by one"])
def test_a_server_that_takes_one_mail_a_connection_gets_each_once(keywords: tuple[str, ...]) -> None:
    with Breaking("MAIL", always=True, keywords=keywords) as server:
        fates = with_pool(server, deliver(("m", 12)), connections=1)
    assert [fate.error for fate in fates] == [None] * 12
    assert all(fate.attempts <= 2 for fate in fates)
    assert arrived(server) == once("m", 12)


@pytest.mark.usefixtures("patient")
@pytest.mark.parametrize("last_words", [b"", b"421 4.7.0 Too many messages in this session\r\n"])
@pytest.mark.parametrize("keywords", [EVERYTHING, CHUNKING], ids=["data", "chunks"])
def test_a_server_that_takes_so_many_mails_a_connection_gets_all(
    keywords: tuple[str, ...], last_words: bytes
) -> None:
    """As most do, and with even turns all connections come to that at about the same mail."""

    class Limited(Recorder):
        class dialogue(Dialogue):  # noqa: N801
            def on_mail(self, argument: bytes) -> None:
                if len(self.session.messages) == 20:
                    self.send(last_words)
                    self.closing = True
                else:
                    super().on_mail(argument)

    with Limited(keywords) as server:
        fates = with_pool(server, deliver(("m", 400)))
    assert [fate.error for fate in fates] == [None] * 400
    assert arrived(server) == once("m", 400)


@pytest.mark.parametrize("keywords", [EVERYTHING, CHUNKING], ids=["data", "chunks"])
def test_a_mail_whose_verdict_is_lost_is_in_doubt_and_is_not_sent_again(keywords: tuple[str, ...]) -> None:
    class Gone(Recorder):
        def reply_to_dot(self, message: Message) -> bytes:
            return b"" if len(self.transactions) == 1 else super().reply_to_dot(message)

        class dialogue(Dialogue):  # noqa: N801
            def dot(self, message: Message) -> None:
                super().dot(message)
                self.closing = not message.taken

    with Gone(keywords) as server:
        fates = with_pool(server, deliver(("m", 4)))
    (doubtful, *others) = fates
    assert doubtful.error
    assert doubtful.error.uncertain
    assert [fate.error for fate in others] == [None] * 3
    assert arrived(server) == Counter(["m-1", "m-2", "m-3"])
    ended = [message.recipients for message in server.transactions if message.ended]
    assert ended.count([b"m-0@mail.test"]) == 1


@pytest.mark.parametrize("last_words", [b"", b"421 4.4.2 Timeout\r\n"])
def test_a_connection_that_the_server_closed_while_it_was_idle_is_not_used(last_words: bytes) -> None:
    class Closing(Recorder):
        def close_all(self) -> None:
            for connection in tuple(self._open):
                connection.sendall(last_words)
                shut(connection)

    async def work(pool: ConnectionPool) -> list[Delivery]:
        first = await deliver(("m", 1))(pool)
        server.close_all()
        await until(lambda: pool.open_connections == 0)
        return first + await deliver(("n", 1))(pool)

    with Closing() as server:
        fates = with_pool(server, work)
    assert [(fate.error, fate.attempts) for fate in fates] == [(None, 1), (None, 1)]
    assert [len(session.messages) for session in server.sessions] == [1, 1]
    check_wire(server, ["m-0@mail.test", "n-0@mail.test"], messages=2, generated=["subject"])


@pytest.mark.parametrize("keywords", [EVERYTHING, CHUNKING], ids=["data", "chunks"])
def test_a_connection_that_the_server_closes_as_the_mail_comes_costs_no_mail(
    keywords: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As after a pause: the envelope goes out alone, so that nothing can be in doubt."""
    monkeypatch.setattr("nina_smtp.smtp.carrier._PAUSE", -1.0)

    async def work(pool: ConnectionPool) -> list[Delivery]:
        first = await deliver(("m", 1))(pool)
        for connection in tuple(server._open):
            shut(connection)
        return first + await deliver(("n", 1))(pool)  # the end of the connection was not read yet

    with Recorder(keywords) as server:
        fates = with_pool(server, work)
    assert [fate.error for fate in fates] == [None, None]
    assert arrived(server) == Counter(["m-0", "n-0"])


# -- how many ----------------------------------------------------------------------------------------


def test_nothing_is_opened_before_there_is_mail() -> None:
    async def work(pool: ConnectionPool) -> None:
        pool.add(Parcels().source)
        assert pool.open_connections == 0

    with Recorder() as server:
        with_pool(server, work)
    assert server.sessions == []


def test_while_none_is_open_one_is_tried_alone() -> None:
    async def work(pool: ConnectionPool) -> int:
        parcels = Parcels("m", count=50)
        pool.add(parcels.source)
        await here(server.came)
        alone = pool.open_connections
        server.go.set()
        await parcels.fates()
        return alone

    with Held("greeting") as server:
        assert with_pool(server, work) == 1


@pytest.mark.usefixtures("patient")
@pytest.mark.parametrize(
    ("mails", "connections"), [(1, 1), (4, 1), (5, 2), (8, 2), (9, 3), (16, 4), (17, 5), (200, 5)]
)
def test_more_are_opened_when_more_waits_than_they_will_soon_take(mails: int, connections: int) -> None:
    with Held("dot") as server:

        async def work(pool: ConnectionPool) -> int:
            parcels = Parcels("m", count=mails)
            pool.add(parcels.source)
            await here(server.came)
            opened = pool.open_connections
            server.go.set()
            await parcels.fates()
            assert pool.open_connections == opened
            return opened

        assert with_pool(server, work) == connections
    assert arrived(server) == once("m", mails)


@pytest.mark.usefixtures("patient")
def test_a_warm_connection_does_not_have_to_do_it_all_alone() -> None:
    async def work(pool: ConnectionPool) -> None:
        await deliver(("m", 1))(pool)
        await deliver(("n", 200))(pool)
        assert pool.open_connections == 5

    with Recorder() as server:
        with_pool(server, work)
    assert arrived(server) == once("m", 1) + once("n", 200)


@pytest.mark.parametrize("most", [1, 2])
def test_there_are_never_more_than_asked_for(most: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool_module, "_PATIENCE", 0.0)
    with Recorder() as server:
        with_pool(server, deliver(("m", 100), ("n", 100)), connections=most)
    assert len(server.sessions) == most
    assert arrived(server) == once("m", 100) + once("n", 100)


def test_a_mail_that_has_waited_gets_a_connection_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool_module, "_PATIENCE", 0.01)

    class Stuck(Held):
        def reply_to_dot(self, message: Message) -> bytes:
            if message.recipients == [b"m-0@mail.test"]:
                self.hold("slow")
            return super().reply_to_dot(message)

    async def work(pool: ConnectionPool) -> None:
        parcels = Parcels("m", count=3)  # m-1 is on its way behind m-0
        pool.add(parcels.source)
        await here(server.came)
        assert (await parcels.all[2].fate).error is None
        assert not parcels.all[0].fate.done()
        server.go.set()
        await parcels.fates()

    with Stuck("slow") as server:
        with_pool(server, work)
    assert 2 <= len(server.sessions) <= 3
    assert arrived(server) == once("m", 3)


# -- whose mail is next ------------------------------------------------------------------------------


@pytest.mark.parametrize("window", [1, 8])
@pytest.mark.parametrize("keywords", [EVERYTHING, CHUNKING, ()], ids=["data", "chunks", "one by one"])
def test_one_mail_need_not_wait_for_a_thousand(keywords: tuple[str, ...], window: int) -> None:
    async def work(pool: ConnectionPool) -> int:
        many, one = Parcels("m", count=1000), Parcels("n", count=1)
        pool.add(many.source)
        await many.all[20].fate
        before = 1000 - len(many.waiting)  # these are out already
        pool.add(one.source)
        await one.all[0].fate
        many.waiting.clear()
        await until(lambda: not many.ahead)
        return before

    with Recorder(keywords) as server:
        before = with_pool(server, work, connections=1, window=window)
    order = [message.recipients[0].partition(b"@")[0] for message in server.messages]
    assert before <= order.index(b"n-0") <= before + 1


def test_an_ordered_caller_is_on_one_connection_while_others_use_all(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(pool_module, "_PATIENCE", 0.0)

    async def work(pool: ConnectionPool) -> None:
        ordered = [Parcels(name, count=40, ordered=True) for name in ("a", "b")]
        others = Parcels("c", count=80)
        for parcels in (*ordered, others):
            pool.add(parcels.source)
        for parcels in (*ordered, others):
            await parcels.fates()

    class Overlap(Recorder):
        """Notes who has more than one content on its way to being judged."""

        judged: Counter[str] = Counter()  # noqa: RUF012
        twice = False
        lock = threading.Lock()
        order: list[str] = []  # noqa: RUF012

        def reply_to_dot(self, message: Message) -> bytes:
            name = message.recipients[0].decode().partition("@")[0]
            caller = name.partition("-")[0]
            with self.lock:
                self.judged[caller] += 1
                self.twice = self.twice or self.judged["a"] > 1 or self.judged["b"] > 1
                self.order.append(name)
            with self.lock:
                self.judged[caller] -= 1
            return super().reply_to_dot(message)

    with Overlap(CHUNKING) as server:
        with_pool(server, work, connections=4, window=8)
    assert not server.twice
    for caller in ("a", "b"):
        mine = [name for name in server.order if name.startswith(f"{caller}-")]
        assert mine == [f"{caller}-{number}" for number in range(40)]
    assert arrived(server) == once("a", 40) + once("b", 40) + once("c", 80)
    assert len(server.sessions) > 1


@pytest.mark.parametrize("window", [1, 8])
def test_few_mails_are_in_hand_at_a_time_however_many_wait(window: int) -> None:
    async def work(pool: ConnectionPool) -> int:
        parcels = Parcels("m", count=2000)
        pool.add(parcels.source)
        await parcels.fates()
        return parcels.most_ahead

    with Recorder(CHUNKING) as server:
        most = with_pool(server, work, connections=3, window=window)
    assert most <= 3 * max(2, window) + 1  # one is built before anything is connected to
    assert arrived(server) == once("m", 2000)


# -- the end -----------------------------------------------------------------------------------------


def last_words(server: Recorder) -> list[bytes]:
    return [session.commands[-1].verb for session in server.sessions]


def test_a_connection_that_has_nothing_to_do_is_ended_with_quit() -> None:
    async def work(pool: ConnectionPool) -> None:
        await deliver(("m", 1))(pool)
        await until(lambda: pool.open_connections == 0)
        await deliver(("n", 1))(pool)

    with Recorder() as server:
        with_pool(server, work, idle=0.02)
    assert last_words(server) == [b"QUIT", b"QUIT"]
    assert arrived(server) == Counter(["m-0", "n-0"])


def test_a_warm_connection_is_used_again() -> None:
    async def work(pool: ConnectionPool) -> None:
        for name in ("m", "n", "o"):
            await deliver((name, 1))(pool)

    with Recorder() as server:
        with_pool(server, work)
    assert server.verbs == ["EHLO", *["MAIL", "RCPT", "DATA"] * 3, "QUIT"]


@pytest.mark.usefixtures("patient")
def test_close_finishes_what_waits_and_says_quit_on_each() -> None:
    async def work(pool: ConnectionPool) -> list[Delivery]:
        parcels = Parcels("m", count=50)
        pool.add(parcels.source)
        await pool.close()
        assert pool.open_connections == 0
        assert all(parcel.fate.done() for parcel in parcels.all)
        return await parcels.fates()

    with Recorder() as server:
        fates = with_pool(server, work, connections=3)
    assert [fate.error for fate in fates] == [None] * 50
    assert last_words(server) == [b"QUIT"] * 3


def test_close_sees_a_mail_through_that_came_back() -> None:
    async def work(pool: ConnectionPool) -> list[Delivery]:
        parcels = Parcels("m", count=2)
        pool.add(parcels.source)
        await pool.close()
        return await parcels.fates()

    with Breaking("MAIL") as server:
        fates = with_pool(server, work)
    assert [fate.error for fate in fates] == [None, None]
    assert arrived(server) == once("m", 2)


def test_close_waits_for_a_connection_that_is_just_being_ended() -> None:
    async def work(pool: ConnectionPool) -> None:
        await deliver(("m", 1))(pool)
        await here(server.came)  # idle for long enough: QUIT is out
        closing = asyncio.create_task(pool.close())
        for _ in range(10):
            await asyncio.sleep(0)
        closed_early = closing.done()
        server.go.set()
        await closing
        assert not closed_early

    with Held("quit") as server:
        with_pool(server, work, idle=0.0)


def test_a_closed_pool_takes_no_more() -> None:
    async def work(pool: ConnectionPool) -> None:
        await pool.close()
        with pytest.raises(RuntimeError, match="closed"):
            pool.add(Parcels().source)

    with Recorder() as server:
        with_pool(server, work)


class Both(Recorder):
    """Has two connections carry mail before it judges any."""

    def __init__(self, **how: Any) -> None:
        super().__init__(**how)
        self.met = threading.Barrier(2)
        self.lock = threading.Lock()
        self.first = [True, True]

    def reply_to_dot(self, message: Message) -> bytes:
        with self.lock:
            meet = bool(self.first) and self.first.pop()
        if meet:
            self.met.wait(GUARD)
        return super().reply_to_dot(message)


@pytest.mark.usefixtures("patient")
@pytest.mark.parametrize("tls", ["none", "starttls", "implicit"])
def test_what_is_open_when_the_loop_ends_is_closed_with_quit(tls: Any) -> None:
    with Both(tls=tls) as server:
        encryption = {"none": Encryption.NONE, "starttls": Encryption.STARTTLS, "implicit": Encryption.TLS}
        trust = Trust(ca_pem=server.certs.ca_pem.read_text())
        with_pool(
            server,
            deliver(("m", 20)),
            close=False,
            connections=2,
            wishes={"encryption": encryption[tls], "trust": trust},
        )
        gc.collect()  # what was left open would warn now
    assert last_words(server) == [b"QUIT", b"QUIT"]


@pytest.mark.parametrize("at", ["greeting", "mail", "dot", "quit"])
def test_whatever_goes_on_when_the_loop_ends_is_dropped_without_a_word(at: str) -> None:
    async def work(pool: ConnectionPool) -> None:
        parcels = Parcels("m", count=1)
        pool.add(parcels.source)
        await here(server.came)

    with Held(at, keywords=EVERYTHING) as server:
        with_pool(server, work, close=False, idle=0.0)
        gc.collect()
        server.go.set()


def test_mails_in_flight_when_the_loop_ends_are_told_the_truth() -> None:
    fates: list[Delivery] = []

    async def work(pool: ConnectionPool) -> None:
        parcels = Parcels("m", count=2)
        for parcel in parcels.all:
            parcel.settled = fates.append  # type: ignore[method-assign]
        pool.add(parcels.source)
        await here(server.came)

    with Held("dot") as server:
        with_pool(server, work, close=False)
        server.go.set()
    first, second = (fate.error for fate in fates)
    assert first
    assert first.uncertain
    assert second
    assert second.type == "interrupted"
    assert arrived(server) <= Counter(["m-0"])
