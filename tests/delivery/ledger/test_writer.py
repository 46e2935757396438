"""The thread that writes: many in one transaction, and everybody hears."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Sequence
from typing import Any

import pytest
import sqlalchemy as sa
from bed.entries import add, commit, end, entry, failed, found
from bed.postgres import Postgres

from nina_smtp.delivery.ledger import database, review, writer
from nina_smtp.delivery.ledger.database import engine_for, prepare
from nina_smtp.delivery.ledger.ledger import Ledger
from nina_smtp.delivery.ledger.states import State
from nina_smtp.delivery.ledger.tables import facts
from nina_smtp.delivery.ledger.writer import Writer
from nina_smtp.errors import LedgerFailed

GUARD = 20


def run(work: Any) -> Any:
    async def guarded() -> Any:
        async with asyncio.timeout(GUARD):
            return await work

    return asyncio.run(guarded())


class Counted:
    """An engine, and what happens on it."""

    def __init__(self, place: str) -> None:
        self.engine = engine_for(place)
        prepare(self.engine)
        self.commits = self.connects = 0
        sa.event.listen(self.engine, "commit", self._committed)
        sa.event.listen(self.engine, "connect", self._connected)

    def _committed(self, _: Any) -> None:
        self.commits += 1

    def _connected(self, *_: Any) -> None:
        self.connects += 1

    def close(self) -> None:
        self.engine.dispose()


@pytest.fixture
def counted(ledger_place: str) -> Any:
    made = Counted(ledger_place)
    yield made
    made.close()


class Gate:
    """A statement that waits in the writer's thread until it is let go."""

    def __init__(self) -> None:
        self.came, self.go = threading.Event(), threading.Event()

    def __call__(self, connection: sa.Connection, values: Sequence[Any]) -> Sequence[Any]:
        self.came.set()
        assert self.go.wait(GUARD)
        return values


def note(connection: sa.Connection, values: Sequence[Any]) -> list[Any]:
    """Puts names on record; all of them fail for one that is bad."""
    for value in values:
        if callable(value):
            raise value()
    connection.execute(sa.insert(facts), [{"name": value, "value": "x"} for value in values])
    return [f"{value}!" for value in values]


def read(connection: sa.Connection, values: Sequence[Any]) -> list[set[str]]:
    names = set(connection.execute(sa.select(facts.c.name)).scalars()) - {"schema", "installation"}
    return [names] * len(values)


async def called(using: Writer, *values: Any, kind: Any = note) -> list[Any]:
    answers = await asyncio.gather(*(using.call(kind, value) for value in values), return_exceptions=True)
    return [type(one) if isinstance(one, BaseException) else one for one in answers]


def test_what_gathers_while_it_writes_is_one_transaction(counted: Counted) -> None:
    async def work() -> None:
        using, gate = Writer(counted.engine), Gate()
        first = asyncio.create_task(using.call(gate))
        await asyncio.to_thread(gate.came.wait, GUARD)
        others = asyncio.gather(*(using.call(note, f"n{n}") for n in range(300)))
        await asyncio.sleep(0)
        before = counted.commits
        gate.go.set()
        await first
        assert await others == [f"n{n}!" for n in range(300)]
        assert counted.commits - before == 2  # its own, and one for all of them
        assert counted.connects <= 2
        await using.close()

    run(work())


def test_what_one_turn_of_the_loop_asks_for_is_few_transactions(counted: Counted) -> None:
    async def work() -> None:
        using = Writer(counted.engine)
        await called(using, *(f"n{n}" for n in range(500)))
        await using.close()

    run(work())
    assert counted.commits <= 1 + 3  # one is that of prepare


def bad_value() -> Exception:
    return UnicodeEncodeError("utf-8", "\udc80", 0, 1, "surrogates not allowed")


def bad_program() -> Exception:
    return ZeroDivisionError("in the statement")


@pytest.mark.parametrize("bad", [bad_value, bad_program, "schema", None])
def test_one_that_cannot_be_written_does_not_spoil_the_others(counted: Counted, bad: Any) -> None:
    async def work() -> None:
        using, gate = Writer(counted.engine), Gate()
        first = asyncio.create_task(using.call(gate))
        await asyncio.to_thread(gate.came.wait, GUARD)
        others = asyncio.create_task(called(using, "a", bad, "b"))
        await asyncio.sleep(0)
        gate.go.set()
        await first
        assert await others == ["a!", LedgerFailed, "b!"]
        assert await called(using, bad) == [LedgerFailed]
        assert await called(using, "c") == ["c!"]
        assert await using.call(read) == {"a", "b", "c"}
        await using.close()

    run(work())


@pytest.mark.parametrize("value", ["a\udc80b", "nul\0"])
def test_a_mail_that_the_database_cannot_hold_is_told_so(ledger_place: str, value: str) -> None:
    """Such a key can come from the command line, whatever the locale is."""

    async def work() -> None:
        async with Ledger(ledger_place) as books:
            good = entry(books.owner)
            answers = await add(books, entry(key=f"{value}/0"), good, entry(key=f"{value}/1"))
            assert answers[1] is good
            if value == "nul\0" and "://" not in ledger_place:
                return  # SQLite takes it
            assert "The ledger cannot be used" in failed(answers[0]).message
            assert await add(books, other := entry()) == [other]
            assert await books.call(review.counts) == {"acct": {"leased": 1, "queued": 1}}

    run(work())


def test_a_database_that_is_out_of_order_is_told_to_everybody_at_once(counted: Counted) -> None:
    async def work() -> None:
        using = Writer(counted.engine)
        tries = 0

        def refuse(*_: Any) -> None:
            nonlocal tries
            tries += 1
            raise sa.exc.OperationalError("", {}, OSError("disk is full"))

        sa.event.listen(counted.engine, "begin", refuse)
        answers = await asyncio.gather(
            *(using.call(note, f"n{n}") for n in range(50)), return_exceptions=True
        )
        assert {type(one) for one in answers} == {LedgerFailed}
        assert {str(one) for one in answers} == {"The ledger cannot be used: disk is full"}
        assert tries < 10
        sa.event.remove(counted.engine, "begin", refuse)
        assert await called(using, "a") == ["a!"]
        assert await using.call(read) == {"a"}
        await using.close()

    run(work())


def test_what_went_wrong_is_said_without_statements_and_passwords() -> None:
    error = sa.exc.OperationalError(
        "INSERT INTO nina_mail …", {"key": "secret"}, Exception("no\n host at postgresql://u:hunter2@h/db")
    )
    text = str(database.failed(error))
    assert "no host at postgresql://***@h/db" in text
    assert not any(word in text for word in ("hunter2", "INSERT", "secret"))
    assert "OSError" in str(database.failed(OSError()))


def test_closing_finishes_what_is_there(counted: Counted) -> None:
    async def work() -> None:
        using, gate = Writer(counted.engine), Gate()
        first = asyncio.create_task(using.call(gate))
        await asyncio.to_thread(gate.came.wait, GUARD)
        others = asyncio.create_task(called(using, "a", "b"))
        await asyncio.sleep(0)
        closing = asyncio.create_task(using.close())
        await asyncio.sleep(0)
        with pytest.raises(RuntimeError):
            using.submit(note, "c", lambda _: None)
        assert not closing.done()
        gate.go.set()
        await closing
        assert await others == ["a!", "b!"]
        assert await first is None
        again = Writer(counted.engine)
        assert await again.call(read) == {"a", "b"}
        await again.close()

    run(work())


def test_closing_one_that_has_just_been_asked(counted: Counted) -> None:
    async def work() -> None:
        using = Writer(counted.engine)
        asked = asyncio.create_task(using.call(note, "a"))
        await asyncio.sleep(0)
        await using.close()
        assert await asked == "a!"

    run(work())


def test_who_is_cancelled_meanwhile_is_not_missed(counted: Counted) -> None:
    async def work() -> None:
        using, gate = Writer(counted.engine), Gate()
        first = asyncio.create_task(using.call(gate))
        await asyncio.to_thread(gate.came.wait, GUARD)
        other = asyncio.create_task(using.call(note, "a"))
        await asyncio.sleep(0)
        first.cancel()
        other.cancel()
        gate.go.set()
        assert await using.call(note, "b") == "b!"
        assert await using.call(read) == {"a", "b"}
        assert first.cancelled()
        assert other.cancelled()
        await using.close()

    run(work())


def test_two_loops_may_use_one(counted: Counted) -> None:
    async def work() -> None:
        using = Writer(counted.engine)

        def elsewhere(number: int) -> Any:
            return asyncio.run(called(using, *(f"{number}/{n}" for n in range(20))))

        answers = await asyncio.gather(
            *(asyncio.to_thread(elsewhere, number) for number in range(3)),
            called(using, *map(str, range(20))),
        )
        assert sum(map(len, answers)) == 80
        assert len(await using.call(read)) == 80
        await using.close()

    run(work())


def test_a_loop_that_has_ended_holds_up_nobody(counted: Counted) -> None:
    gate = Gate()

    async def ask(using: Writer) -> None:
        using.submit(gate, None, lambda _: None)
        using.submit(note, "a", lambda _: None)

    async def ask_more(using: Writer) -> None:
        asked = asyncio.create_task(called(using, "b", "c"))
        await asyncio.sleep(0)
        gate.go.set()
        assert await asked == ["b!", "c!"]
        assert await using.call(read) == {"a", "b", "c"}
        await using.close()

    using = Writer(counted.engine)
    asyncio.run(ask(using))
    run(ask_more(using))


# -- a server that hangs up ----------------------------------------------------------------------------


@pytest.mark.server
def test_a_connection_that_was_cut_is_opened_again_and_nobody_notices(postgresql: Postgres) -> None:
    with postgresql.schema() as place:

        async def work() -> None:
            async with Ledger(place) as books:
                one, two = entry(books.owner), entry(books.owner)
                await add(books, one)
                for step in (
                    lambda: add(books, two),
                    lambda: commit(books, one),
                    lambda: end(books, one, State.SENT),
                    lambda: books.lease("acct", 5),
                    lambda: books.call(review.counts),
                ):
                    assert await asyncio.to_thread(postgresql.kill_connections, place)
                    await step()
                assert (await found(books, one)).state is State.SENT
                assert (await found(books, two)).state is State.LEASED

        run(work())


@pytest.mark.server
def test_one_that_is_cut_in_a_transaction_writes_it_again(postgresql: Postgres) -> None:
    with postgresql.schema() as place:
        made = Counted(place)
        cut: list[Callable[[], int]] = [lambda: postgresql.kill_connections(place)]

        def cut_off(connection: sa.Connection, values: Sequence[Any]) -> list[Any]:
            answers = note(connection, values)
            if cut:
                assert cut.pop()() >= 1
            connection.execute(sa.text("SELECT 1"))
            return answers

        async def work() -> None:
            using = Writer(made.engine)
            await called(using, "zero")
            assert await called(using, "a", "b", kind=cut_off) == ["a!", "b!"]
            assert await using.call(read) == {"zero", "a", "b"}
            await using.close()

        run(work())
        made.close()


@pytest.mark.server
def test_one_that_is_cut_again_and_again_gives_up(postgresql: Postgres) -> None:
    with postgresql.schema() as place:
        made = Counted(place)

        def cut_off(connection: sa.Connection, values: Sequence[Any]) -> list[Any]:
            postgresql.kill_connections(place)
            connection.execute(sa.text("SELECT 1"))
            return list(values)

        async def work() -> None:
            using = Writer(made.engine)
            assert await called(using, "zero") == ["zero!"]
            assert await called(using, 1, 2, 3, kind=cut_off) == [LedgerFailed] * 3
            assert await called(using, "a") == ["a!"]
            await using.close()

        run(work())
        made.close()


@pytest.mark.server
def test_who_lost_the_connection_that_shows_that_it_is_alive_takes_it_up_again(
    postgresql: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    with postgresql.schema() as place:

        async def work() -> None:
            async with Ledger(place) as alive:
                mine = entry(alive.owner)
                await add(alive, mine)
                await asyncio.to_thread(postgresql.kill_connections, place)
                await alive._put_right()  # as every 20 seconds
                async with Ledger(place) as other:
                    assert other.recovered == {}
                assert await commit(alive, mine) == [True]

        run(work())


def test_the_thread_ends_with_the_ledger(ledger_place: str) -> None:
    async def work() -> None:
        async with Ledger(ledger_place):
            assert any(thread.name == "nina-ledger" for thread in threading.enumerate())
        assert not any(thread.name == "nina-ledger" for thread in threading.enumerate())

    run(work())
    assert writer.Writer
