"""The ledger, on SQLite and PostgreSQL: what is in it, whose it is, and what becomes of what was left."""

from __future__ import annotations

import asyncio
import json
import os
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from bed.entries import DAY, NOW, add, commit, end, ending, entry, failed, found, message, told
from bed.invariants import check_no_secret

import nina_smtp
from nina_smtp.delivery.ledger import ledger as ledger_module
from nina_smtp.delivery.ledger import review, statements
from nina_smtp.delivery.ledger.database import engine_for, prepare
from nina_smtp.delivery.ledger.entry import Entry, new_id
from nina_smtp.delivery.ledger.ledger import Ledger
from nina_smtp.delivery.ledger.recovery import See, recover, see
from nina_smtp.delivery.ledger.states import OWNED, OnUncertain, State
from nina_smtp.delivery.ledger.tables import contents, facts, mails, owners
from nina_smtp.delivery.result import result_from_dict
from nina_smtp.errors import LedgerFailed, ParameterError

GUARD = 20


class Clock:
    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> float:
        return self.now


def ledger(place: str, clock: Clock | None = None) -> Ledger:
    return Ledger(place, clock=clock or Clock())


def run(work: Any) -> Any:
    async def guarded() -> Any:
        async with asyncio.timeout(GUARD):
            return await work

    return asyncio.run(guarded())


@contextmanager
def connected(place: str) -> Iterator[sa.Connection]:
    """The database itself, beside the ledger."""
    engine = engine_for(place)
    try:
        with engine.begin() as connection:
            yield connection
    finally:
        engine.dispose()


def content(place: str, one: Entry) -> Any:
    with connected(place) as connection:
        return connection.execute(sa.select(contents).where(contents.c.mail == one.id)).mappings().first()


def crash(place: str, *states: State, at: float = NOW, **more: Any) -> list[Entry]:
    """Mails in ``states``, of an owner that is no more."""
    engine = engine_for(place)
    prepare(engine)
    owner = new_id()
    left = [entry(owner, state=state, **more) for state in states]
    with engine.begin() as connection:
        connection.execute(sa.insert(owners).values(id=owner, seen=at))
        statements.add(connection, left)
    engine.dispose()
    return left


# -- one mail's way ------------------------------------------------------------------------------------


def test_a_mail_goes_from_state_to_state(ledger_place: str) -> None:
    async def work() -> None:
        async with ledger(ledger_place) as books:
            one = entry(message=message(to="b@mail.test, c@mail.test"), sources={"to": {"source": "node"}})
            assert await add(books, one) == [one]
            [mine] = await books.lease("acct", 10)
            assert mine.state is State.LEASED
            assert mine.owner == books.owner
            assert (mine.octets, mine.sha256, mine.recipients) == (one.octets, one.sha256, one.recipients)
            assert mine.message.bytes == one.octets
            assert mine.message.envelope.recipients == ("b@mail.test", "c@mail.test")
            books.begin(mine.id)
            assert (await found(books, one)).state is State.SENDING
            assert await commit(books, mine) == [True]
            there = await found(books, one)
            assert (there.state, there.attempts, there.octets) == (State.COMMITTING, 1, None)
            history = ({"attempt": 1, "outcome": "sent"},)
            assert await end(
                books, mine, State.SENT, recipients=(), history=history, result={"status": "sent"}
            )
            there = await found(books, one)
            assert (there.state, there.owner, there.recipients) == (State.SENT, None, ())
            assert (there.history, there.result) == (history, {"status": "sent"})
            assert there.sources == {"to": {"source": "node"}}

    run(work())


def test_what_comes_back_is_what_was_written(ledger_place: str) -> None:
    async def work() -> None:
        async with ledger(ledger_place) as books:
            one = entry(
                message=message(to='"Ünï" <b@mail.test>', subject="Grüße 🙂", text="ÄÖÜ\n"),
                key="kéy/0",
                account="Konto „ü“",
                route=("Konto „ü“", "b"),
                attempts=3,
                on_uncertain=OnUncertain.RESEND,
                item=7,
                history=({"attempt": 1, "message": "ü \\ ' \" %s :x"},),
                warnings=("ü",),
            )
            await add(books, one)
            [back] = await books.lease("Konto „ü“", 1)
            one.state, one.owner = State.LEASED, books.owner
            assert back == one

    run(work())


@pytest.mark.parametrize("state", [State.SENT, State.PARTIAL])
def test_what_was_delivered_needs_no_content(ledger_place: str, state: State) -> None:
    async def work() -> Entry:
        async with ledger(ledger_place) as books:
            one = entry(books.owner)
            await add(books, one)
            assert content(ledger_place, one)["octets"] == one.octets
            await end(books, one, state)
            return one

    assert content(ledger_place, run(work())) is None


@pytest.mark.parametrize("state", [State.FAILED, State.UNKNOWN, State.DEFERRED, State.QUEUED])
def test_what_may_be_sent_again_keeps_it(ledger_place: str, state: State) -> None:
    async def work() -> Entry:
        async with ledger(ledger_place) as books:
            one = entry(books.owner)
            await add(books, one)
            await end(books, one, state)
            return one

    one = run(work())
    assert content(ledger_place, one)["octets"] == one.octets


def test_the_form_for_servers_without_smtputf8_is_kept_beside_the_other(ledger_place: str) -> None:
    async def work() -> None:
        async with ledger(ledger_place) as books:
            one = entry(message=message(to="jürgen@mail.test, b@mail.test"))
            assert one.needs_smtputf8
            assert one.ascii
            await add(books, one)
            [back] = await books.lease("acct", 1)
            assert back.ascii == one.ascii
            plain, left_out = back.message.without_smtputf8()
            assert left_out == ("jürgen@mail.test",)
            assert plain.envelope.recipients == ("b@mail.test",)
            assert plain.bytes == one.ascii
            assert plain.bytes.isascii()
            nobody = entry(message=message(to="jürgen@mail.test"))
            assert nobody.ascii is None

    run(work())


# -- keys ----------------------------------------------------------------------------------------------


def test_a_key_is_used_once(ledger_place: str) -> None:
    async def work() -> None:
        async with ledger(ledger_place) as books:
            first, again, other = (entry(key=key) for key in ("k/0", "k/0", "k/1"))
            assert await add(books, first) == [first]
            there, new = await add(books, again, other)
            assert there.id == first.id
            assert new is other
            assert content(ledger_place, again) is None

    run(work())


def test_a_key_is_used_once_within_one_transaction_too(ledger_place: str) -> None:
    async def work() -> None:
        async with ledger(ledger_place) as books:
            entries = [entry(key=f"k/{n % 3}") for n in range(9)]
            there = await add(books, *entries)
            assert [one.id for one in there] == [entries[n % 3].id for n in range(9)]
            assert [one is two for one, two in zip(entries, there, strict=True)] == [True] * 3 + [False] * 6

    run(work())


def test_a_mail_that_is_there_already_is_itself(ledger_place: str) -> None:
    """A connection may break between the commit and its answer: then it is written once more."""

    async def work() -> None:
        async with ledger(ledger_place) as books:
            one = entry(books.owner)
            assert await add(books, one) == [one]
            [again] = await add(books, one)
            assert again is one

    run(work())


@pytest.mark.parametrize(
    ("state", "is_replaced"),
    [(state, state is State.FAILED) for state in State if state not in OWNED],
)
def test_only_a_mail_that_nobody_has_is_replaced(ledger_place: str, state: State, is_replaced: bool) -> None:
    async def work() -> None:
        async with ledger(ledger_place) as books:
            old = entry(books.owner, key="k/0")
            await add(books, old)
            await end(books, old, state)
            new, twin = entry(books.owner, key="k/0"), entry(books.owner, key="k/0")
            there = await add(books, new, twin)
            assert {one.id for one in there} == {new.id if is_replaced else old.id}
            assert (there[0] is new) is is_replaced
            if is_replaced:
                assert await books.find(old.id) == [None]
                assert content(ledger_place, old) is None
                assert content(ledger_place, new)["octets"] == new.octets

    run(work())


PROCESS = """
import asyncio, sys
sys.path.insert(0, sys.argv[1])
from bed.entries import add, entry
from nina_smtp.delivery.ledger.ledger import Ledger

async def main():
    async with Ledger(sys.argv[2]) as ledger:
        print("ready", flush=True)
        sys.stdin.readline()
        numbers = range(150)
        if sys.argv[3] == "1":
            numbers = reversed(numbers)
        entries = [entry(ledger.owner, key=f"k/{number}") for number in numbers]
        there = await add(ledger, *entries)
        print(sum(one is two for one, two in zip(entries, there)), ledger.installation_key.hex(), flush=True)
        sys.stdin.readline()

asyncio.run(main())
"""


def test_two_processes_at_once_share_the_keys(ledger_place: str) -> None:
    tests = str(Path(__file__).parents[2])
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", PROCESS, tests, ledger_place, str(number)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1,
        )
        for number in range(2)
    ]  # fmt: skip
    try:
        for process in processes:  # both make the tables, in whatever order
            assert process.stdout
            assert process.stdout.readline() == "ready\n"
        for process in processes:
            assert process.stdin
            process.stdin.write("\n")
        said = [process.stdout.readline().split() for process in processes if process.stdout]
    finally:
        for process in processes:
            process.communicate("\n")
    assert sum(int(count) for count, _ in said) == 150
    assert len({key for _, key in said}) == 1
    with connected(ledger_place) as connection:
        assert connection.execute(sa.select(sa.func.count()).select_from(mails)).scalar() == 150
        assert connection.execute(sa.select(sa.func.count()).select_from(contents)).scalar() == 150


# -- leases --------------------------------------------------------------------------------------------


def test_what_is_due_is_leased_the_oldest_first(ledger_place: str) -> None:
    async def work() -> None:
        clock = Clock()
        async with ledger(ledger_place, clock) as books:
            third, first = (entry(due=NOW - age) for age in (1, 5))
            second, later = (entry(due=NOW - age, state=State.DEFERRED) for age in (3, -10))
            tied = [entry(due=NOW - 2) for _ in range(3)]
            over = [entry(state=state) for state in State if state not in (State.QUEUED, State.DEFERRED)]
            await add(books, third, first, later, second, *reversed(tied), *over, entry(account="other"))
            assert await books.next_due("acct") == NOW - 5
            assert [one.id for one in await books.lease("acct", 2)] == [first.id, second.id]
            assert [one.id for one in await books.lease("acct", 9)] == [one.id for one in (*tied, third)]
            assert await books.lease("acct", 9) == []
            assert await books.next_due("acct") == NOW + 10
            clock.now += 10
            assert [one.id for one in await books.lease("acct", 9)] == [later.id]
            assert await books.next_due("acct") is None

    run(work())


def test_what_is_queued_is_due_whatever_the_clock_says(ledger_place: str) -> None:
    async def work() -> None:
        clock = Clock()
        async with ledger(ledger_place, clock) as books:
            waiting, deferred = entry(due=NOW), entry(due=NOW, state=State.DEFERRED)
            await add(books, waiting, deferred)
            clock.now -= 86_400  # somebody set it back
            assert [one.id for one in await books.lease("acct", 9)] == [waiting.id]

    run(work())


def test_no_more_is_leased_than_fits_in_memory_but_one_at_least(
    ledger_place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def work() -> list[int]:
        async with ledger(ledger_place) as books:
            entries = [entry(due=NOW - 10 + n) for n in range(6)]
            size = entries[0].size
            assert {one.size for one in entries} == {size}
            monkeypatch.setattr(statements, "MAX_LEASED_OCTETS", 2 * size)
            await add(books, *entries)
            counts = [len(await books.lease("acct", 9))]
            monkeypatch.setattr(statements, "MAX_LEASED_OCTETS", size - 1)
            return [*counts, len(await books.lease("acct", 9)), len(await books.lease("acct", 9))]

    assert run(work()) == [2, 1, 1]


def test_two_at_once_lease_different_mails(ledger_place: str) -> None:
    async def work() -> None:
        async with ledger(ledger_place) as one, ledger(ledger_place) as two:
            entries = [entry() for _ in range(60)]
            await add(one, *entries)
            leases = await asyncio.gather(*[books.lease("acct", 7) for _ in range(6) for books in (one, two)])
            ids = [mail.id for lease in leases for mail in lease]
            assert len(ids) == len(set(ids))
            rest = await one.lease("acct", 100)
            assert sorted([*ids, *(mail.id for mail in rest)]) == sorted(mail.id for mail in entries)
            for books in (one, two):
                assert all(mail.owner == books.owner for mail in await books.lease("acct", 1))

    run(work())


@pytest.mark.server
def test_a_lease_passes_over_what_another_one_is_taking(postgresql: Any) -> None:
    with postgresql.schema() as place:

        async def work() -> None:
            async with ledger(place) as books:
                first, second = entry(due=NOW - 2), entry(due=NOW - 1)
                await add(books, first, second)
                with connected(place) as other:
                    other.execute(sa.select(mails).where(mails.c.id == first.id).with_for_update())
                    assert [one.id for one in await books.lease("acct", 5)] == [second.id]

        run(work())


# -- whose it is ---------------------------------------------------------------------------------------


def test_only_its_owner_changes_a_mail(ledger_place: str) -> None:
    async def work() -> None:
        async with ledger(ledger_place) as old, ledger(ledger_place) as new:
            stale, mine = entry(old.owner), entry(old.owner)
            await add(old, stale, mine)
            with connected(ledger_place) as connection:  # as if old had been taken for dead
                connection.execute(sa.update(mails).where(mails.c.id == stale.id).values(owner=new.owner))
            before = await found(new, stale)
            old.begin(stale.id)
            assert await commit(old, mine, stale) == [True, False]
            assert await commit(old, stale) == [False]
            answers = await asyncio.gather(
                end(old, stale, State.SENT, result={"status": "sent"}), end(old, mine, State.SENT)
            )
            assert answers == [False, True]
            assert await found(new, stale) == before
            assert content(ledger_place, stale)["octets"] == stale.octets
            assert content(ledger_place, mine) is None
            assert await commit(new, stale) == [True]
            assert await end(new, stale, State.SENT)

    run(work())


def test_what_is_over_or_not_there_is_nobodys(ledger_place: str) -> None:
    async def work() -> None:
        async with ledger(ledger_place) as books:
            one = entry(books.owner)
            await add(books, one)
            assert await end(books, one, State.FAILED, result={"status": "failed"})
            assert await commit(books, one) == [False]
            assert not await end(books, one, State.SENT)
            assert not await end(books, entry(books.owner), State.SENT)
            there = await found(books, one)
            assert (there.state, there.result) == (State.FAILED, {"status": "failed"})

    run(work())


# -- those who died ------------------------------------------------------------------------------------

EXPECTED = {
    OnUncertain.STOP: State.UNKNOWN,
    OnUncertain.RESEND: State.QUEUED,
    OnUncertain.ASSUME_SENT: State.SENT,
}


@pytest.mark.parametrize("policy", OnUncertain)
def test_what_the_dead_left_is_put_right(ledger_place: str, policy: OnUncertain) -> None:
    order = [State.LEASED, State.SENDING, State.COMMITTING, State.DEFERRED, State.FAILED]
    left = crash(
        ledger_place,
        *order,
        on_uncertain=policy,
        recipients=("c@mail.test",),
        attempts=2,
        history=(
            {"attempt": 1, "account": "acct", "outcome": "partial", "phase": "done",
             "accepted": ["b@mail.test"],
             "refused": [{"address": "d@mail.test", "code": 550, "message": "550 No", "temporary": False}]},
        ),
    )  # fmt: skip
    clock = Clock()
    clock.now += 5

    async def work() -> list[Entry]:
        async with ledger(ledger_place, clock) as books:
            assert books.recovered == {
                left[0].id: State.QUEUED, left[1].id: State.QUEUED, left[2].id: EXPECTED[policy],
            } | {one.id: State.QUEUED for one in left[3:]}  # fmt: skip
            return [await found(books, one) for one in left]

    leased, sending, committing, *_ = run(work())
    for one in (leased, sending):
        assert (one.state, one.owner, one.due, one.attempts) == (State.QUEUED, None, NOW + 5, 2)
        assert one.history == left[0].history
        assert one.result is None
    assert committing.owner is None
    assert committing.state is EXPECTED[policy]
    assert {key: committing.history[1][key] for key in ("attempt", "account", "outcome", "phase")} == {
        "attempt": 2, "account": "acct", "outcome": "unknown", "phase": "dot",
    }  # fmt: skip
    assert (content(ledger_place, committing) is None) is (policy is OnUncertain.ASSUME_SENT)
    if policy is OnUncertain.RESEND:
        assert committing.result is None
        assert committing.recipients == ("c@mail.test",)
        return
    result = result_from_dict(committing.result or {}, item=0)
    assert result.status == committing.state
    assert result.envelope
    assert set(result.envelope.recipients) == {"b@mail.test", "c@mail.test", "d@mail.test"}
    assert [one.address for one in result.rejected] == ["d@mail.test"]
    assert result.attempts == 2
    if policy is OnUncertain.STOP:
        assert (result.accepted, result.uncertain) == (("b@mail.test",), ("c@mail.test",))
        assert result.error
        assert result.error.uncertain
    else:
        assert (result.accepted, result.error) == (("b@mail.test", "c@mail.test"), None)
        assert any("counts as sent" in warning for warning in result.warnings)


def test_what_was_put_right_is_put_right_once(ledger_place: str) -> None:
    crash(ledger_place, State.LEASED)

    async def work() -> None:
        async with ledger(ledger_place) as books:
            assert len(books.recovered) == 1
        async with ledger(ledger_place) as books:
            assert books.recovered == {}
            with connected(ledger_place) as connection:
                assert connection.execute(sa.select(owners.c.id)).scalars().all() == [books.owner]

    run(work())


def test_who_is_alive_keeps_its_mails(ledger_place: str) -> None:
    async def work() -> None:
        async with ledger(ledger_place) as alive:
            mine = entry(alive.owner, state=State.COMMITTING)
            await add(alive, mine)
            async with ledger(ledger_place) as other:
                assert other.recovered == {}
                assert (await found(other, mine)).owner == alive.owner
            assert await commit(alive, mine) == [True]
        async with ledger(ledger_place) as after:  # it has ended, with its mail in doubt
            assert after.recovered == {mine.id: State.UNKNOWN}

    run(work())


def test_who_was_killed_loses_them_at_once(ledger_place: str) -> None:
    tests = str(Path(__file__).parents[2])
    process = subprocess.Popen(
        [sys.executable, "-c", PROCESS, tests, ledger_place, "0"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1,
    )  # fmt: skip
    assert process.stdin
    assert process.stdout
    process.stdout.readline()
    process.stdin.write("\n")
    assert process.stdout.readline().startswith("150 ")

    async def recovered() -> int:
        async with Ledger(ledger_place) as books:
            return len(books.recovered)

    assert run(recovered()) == 0
    process.kill()
    process.communicate()
    if "://" in ledger_place:  # the server takes a moment to notice
        with connected(ledger_place) as connection:
            for _ in range(10_000):
                locks = connection.exec_driver_sql(
                    "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'"
                ).scalar()
                if not locks:
                    break
    assert run(recovered()) == 150


def test_who_has_not_been_seen_for_two_minutes_is_dead_where_locks_say_nothing(
    ledger_place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A machine that is gone leaves its connection, and on Windows there are no locks of files."""
    monkeypatch.setattr("nina_smtp.delivery.ledger.owners.fcntl", None)

    async def work() -> None:
        clock = Clock()
        async with ledger(ledger_place, clock) as silent:
            mine = entry(silent.owner)
            await add(silent, mine)
            with connected(ledger_place) as connection:
                connection.execute(sa.update(owners).values(seen=owners.c.seen - 100))
            async with ledger(ledger_place, clock) as other:
                assert other.recovered == {}
            with connected(ledger_place) as connection:
                connection.execute(sa.update(owners).values(seen=owners.c.seen - 20))
            async with ledger(ledger_place, clock) as other:
                assert other.recovered == {mine.id: State.QUEUED}
                [taken] = await other.lease("acct", 1)
                assert await commit(silent, mine) == [False]  # it finds out in time
                assert await commit(other, taken) == [True]

    run(work())


def test_the_living_look_after_the_dead_now_and_then(
    ledger_place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ledger_module, "SEEN_EVERY", 0.0)

    async def work() -> None:
        async with ledger(ledger_place) as books:
            [left] = crash(ledger_place, State.SENDING)
            while (await found(books, left)).state is not State.QUEUED:
                await asyncio.sleep(0)

    run(work())


def test_what_is_owned_by_one_that_nobody_knows_is_put_right_too(ledger_place: str) -> None:
    """It was taken for dead, was not, took more, and died then."""
    [left] = crash(ledger_place, State.SENDING)
    with connected(ledger_place) as connection:
        connection.execute(sa.delete(owners))

    async def work() -> None:
        async with ledger(ledger_place) as books:
            assert books.recovered == {left.id: State.QUEUED}

    run(work())


@pytest.mark.server
def test_what_the_dead_one_is_still_writing_is_put_right_later(postgresql: Any) -> None:
    """Its connections do not all end at the same moment."""
    with postgresql.schema() as place:
        writing, other = crash(place, State.SENDING, State.LEASED)

        async def work() -> None:
            with connected(place) as dying:
                dying.execute(sa.update(mails).where(mails.c.id == writing.id).values(attempts=7))
                async with ledger(place) as books:
                    assert books.recovered == {other.id: State.QUEUED}
            async with ledger(place) as books:
                assert books.recovered == {writing.id: State.QUEUED}

        run(work())


def test_two_who_put_right_at_once_do_it_once(ledger_place: str) -> None:
    left = crash(ledger_place, *[State.COMMITTING] * 20, on_uncertain=OnUncertain.RESEND)

    async def work() -> None:
        async with ledger(ledger_place) as one, ledger(ledger_place) as two:
            assert one.recovered.keys() | two.recovered.keys() == {mail.id for mail in left}
            assert not one.recovered.keys() & two.recovered.keys()
            for mail in left:
                assert len((await found(one, mail)).history) == 1

    run(work())


def test_opening_and_closing_beside_each_other_fails_for_nobody(ledger_place: str) -> None:
    async def work() -> None:
        async def visit() -> None:
            for _ in range(5):
                async with ledger(ledger_place) as books:
                    await add(books, entry(books.owner))

        await asyncio.gather(visit(), visit(), visit())
        async with ledger(ledger_place) as books:
            assert await books.call(review.counts) == {"acct": {"queued": 15}}

    run(work())


# -- the database --------------------------------------------------------------------------------------


def test_the_key_of_the_installation_stays(ledger_place: str, tmp_path: Path) -> None:
    async def key(place: str) -> bytes:
        async with Ledger(place) as books:
            return books.installation_key

    first = run(key(ledger_place))
    assert len(first) == 32
    assert run(key(ledger_place)) == first
    assert run(key(str(tmp_path / "another.db"))) != first


def test_a_ledger_of_a_later_version_is_left_alone(ledger_place: str) -> None:
    [left] = crash(ledger_place, State.SENDING)
    with connected(ledger_place) as connection:
        connection.execute(sa.update(facts).where(facts.c.name == "schema").values(value="2"))

    async def work() -> None:
        with pytest.raises(LedgerFailed, match="format 2") as raised:
            async with Ledger(ledger_place):
                pass
        assert raised.value.hint

    run(work())
    with connected(ledger_place) as connection:
        state = connection.execute(sa.select(mails.c.state).where(mails.c.id == left.id)).scalar()
    assert state == State.SENDING


def test_a_new_file_is_its_owners_alone(tmp_path: Path) -> None:
    place = tmp_path / "what? 100% #1;mail.db"
    before = os.umask(0)
    try:

        async def work() -> None:
            async with Ledger(place) as books:
                await add(books, entry(books.owner))
                modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.rglob("*")}
                assert modes.pop(f"{place.name}-owners") == 0o700
                assert modes.pop(place.name) == 0o600
                assert set(modes.values()) == {0o600}

        run(work())
    finally:
        os.umask(before)
    assert {path.name for path in tmp_path.iterdir()} == {place.name}


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///:memory:", ":memory:", "sqlite:///file:x?uri=true"])
def test_a_ledger_in_memory_is_none(url: str) -> None:
    with pytest.raises(ParameterError):
        Ledger(url)


@pytest.mark.parametrize(
    "place",
    [
        "mysql://user:hunter2@db.test/mail", "nonsense://user:hunter2@db.test", "postgresql://user:hunter2@h:x/d",
        "://user:hunter2@", "postgresql+nothing://user:hunter2@db.test/",
    ],
)  # fmt: skip
def test_what_is_neither_file_nor_database_is_refused_without_its_password(place: str) -> None:
    with pytest.raises((ParameterError, LedgerFailed)) as raised:
        Ledger(place)
    assert "hunter2" not in f"{raised.value} {raised.value.hint}"


def test_a_folder_and_a_file_in_no_folder_are_refused(tmp_path: Path) -> None:
    for place in (tmp_path, tmp_path / "no" / "such.db"):
        with pytest.raises(ParameterError) as raised:
            Ledger(place)
        assert raised.value.parameter == "ledger"


def test_a_file_that_is_no_database_is_said_to_be_none(tmp_path: Path) -> None:
    place = tmp_path / "notes.txt"
    place.write_text("These are notes, and no ledger.\n" * 100)

    async def work() -> None:
        with pytest.raises(LedgerFailed):
            async with Ledger(place):
                pass

    run(work())
    assert place.read_text().startswith("These are notes")


@pytest.mark.server
def test_a_server_that_is_not_there_is_said_to_be_none(tmp_path: Path) -> None:
    async def work() -> None:
        with pytest.raises(LedgerFailed) as raised:
            async with Ledger(f"postgresql://user:hunter2@/mail?host={tmp_path}"):
                pass
        assert "hunter2" not in f"{raised.value} {raised.value.hint}"

    run(work())


def test_a_closed_ledger_says_so(ledger_place: str) -> None:
    async def work() -> None:
        async with ledger(ledger_place) as books:
            one = entry(books.owner)
            await add(books, one)
        with pytest.raises(LedgerFailed):
            await books.find(one.id)
        with pytest.raises(LedgerFailed):
            books.add(entry(), lambda _: None)
        failed(await told(lambda done: books.end(ending(books.owner, one, State.SENT), done)))

    run(work())


def test_no_secret_is_in_the_file(tmp_path: Path) -> None:
    """Whatever becomes of a mail, nothing of its credential is kept but who logs in where."""
    from bed.recorder import Recorder

    password = "hunter-zwölf-geheim"
    with Recorder(users={"alice": "another"}) as server:
        for secret in ({"secretKey": "key-of-the-hmac-signature"}, {}):
            data = {
                "host": "localhost", "port": server.port, "encryption": "none", "username": "alice",
                "password": password, "fromAddress": "a@mail.test",
            }  # fmt: skip
            node = {"parameters": {"to": "b@mail.test", "subject": "s", "body": "b"}}
            results = nina_smtp.send(node, data | secret, ledger=tmp_path / "mail.db", idempotency_key="k")
            assert results[0].status == "failed"
    octets = [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()]
    assert any(b"alice@localhost" in one for one in octets)
    check_no_secret(
        [one.decode("latin-1") for one in octets], [password, "key-of-the-hmac-signature"], "alice"
    )


# -- what people ask and decide ------------------------------------------------------------------------


async def over(books: Ledger, state: State, **more: Any) -> Entry:
    one = entry(books.owner, route=("acct", "second"), account="second")
    await add(books, one)
    if state not in OWNED:
        await end(books, one, state, **more)
    return one


def test_how_it_stands(ledger_place: str) -> None:
    async def work() -> None:
        async with ledger(ledger_place) as books:
            assert await books.call(review.counts) == {}
            added = [entry() for _ in range(3)] + [entry(account="other", state=State.FAILED)]
            await add(books, *added)
            counts = await books.call(review.counts)
            assert counts == {"acct": {"queued": 3}, "other": {"failed": 1}}
            ids = [one.id for one in reversed(added)]
            listed = await books.call(review.listed, review.Question())
            assert [one.id for one in listed] == ids
            assert all(one.octets is None for one in listed)
            some = await books.call(review.listed, review.Question((State.QUEUED,), before=ids[1], most=1))
            assert [one.id for one in some] == ids[2:3]

    run(work())


def test_a_person_may_have_sent_again_what_nobody_has_or_is_in_doubt(ledger_place: str) -> None:
    async def work(state: State) -> None:
        clock = Clock()
        async with ledger(ledger_place, clock) as books:
            one = await over(books, state, due=NOW - 5, result={"status": str(state)})
            clock.now += 2 * DAY
            answer = await books.call(review.settle, review.Word(one.id, State.QUEUED, clock.now))
            there = await found(books, one)
            if state in (State.UNKNOWN, State.FAILED, State.DEFERRED):
                assert answer is State.QUEUED
                assert (there.state, there.account, there.due) == (State.QUEUED, "acct", clock.now)
                assert there.expires == clock.now + DAY
                assert there.result is None
                [leased] = await books.lease("acct", 1)
                assert leased.message.envelope.recipients == ("b@mail.test",)
                assert leased.octets == one.octets
                await end(books, one, State.SENT)
            else:
                assert isinstance(answer, ParameterError)
                assert there.state == (state if state not in OWNED else State.LEASED)

    for state in State:
        if state not in OWNED:
            run(work(state))
    run(work(State.LEASED))


def test_a_person_may_count_as_sent_what_is_in_doubt(ledger_place: str) -> None:
    async def work(state: State) -> None:
        async with ledger(ledger_place) as books:
            result = {
                "status": "unknown", "accepted": ["z@mail.test"], "uncertain": ["b@mail.test"],
                "error": {"type": "deliveryUncertain"}, "warnings": ["w"],
            }  # fmt: skip
            one = await over(books, state, result=result)
            answer = await books.call(review.settle, review.Word(one.id, State.SENT, NOW))
            there = await found(books, one)
            if state is State.UNKNOWN:
                assert answer is State.SENT
                assert there.state is State.SENT
                assert there.result == {
                    "status": "sent", "accepted": ["z@mail.test", "b@mail.test"],
                    "warnings": ["w", review.BY_HAND],
                }  # fmt: skip
                assert content(ledger_place, one) is None
            else:
                assert isinstance(answer, ParameterError)
                assert answer.hint

    for state in State:
        run(work(state))


def test_of_a_mail_that_is_not_there_there_is_nothing_to_decide(ledger_place: str) -> None:
    async def work() -> Any:
        async with ledger(ledger_place) as books:
            return await books.call(review.settle, review.Word("nope\n", State.SENT, NOW))

    assert isinstance(run(work()), ParameterError)


def test_what_is_over_is_forgotten_after_a_while_but_not_what_is_in_doubt(ledger_place: str) -> None:
    async def work() -> None:
        async with ledger(ledger_place) as books:
            old = {state: await over(books, state, due=NOW - 10) for state in State if state not in OWNED}
            kept = await over(books, State.SENT, due=NOW)
            assert await books.call(review.prune, NOW) == 3
            gone = {state for state, one in old.items() if await books.find(one.id) == [None]}
            assert gone == {State.SENT, State.PARTIAL, State.FAILED}
            assert content(ledger_place, old[State.FAILED]) is None
            assert content(ledger_place, old[State.UNKNOWN])
            assert await found(books, kept)
            again = entry(key=old[State.SENT].key)  # the key is free
            assert await add(books, again) == [again]

    run(work())


def test_what_was_sent_since_yesterday(ledger_place: str) -> None:
    async def work() -> Any:
        async with ledger(ledger_place) as books:
            for state in State:
                if state not in OWNED:
                    await over(books, state, due=NOW - 10)
            await over(books, State.SENT, due=NOW - 30)
            return await books.call(review.sent_since, ("second", NOW - 20))

    assert run(work()) == [NOW - 10] * 3


def test_ids_grow() -> None:
    ids: list[str] = []
    threads = [threading.Thread(target=lambda: ids.extend(new_id() for _ in range(500))) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(ids)) == 1000
    one_thread = [new_id() for _ in range(1000)]
    assert one_thread == sorted(one_thread)
    assert all(len(one) <= 40 for one in ids)


def test_a_row_holds_only_json_and_plain_values() -> None:
    row = entry(history=({"a": "ü"},)).as_row()
    assert json.loads(row["history"]) == [{"a": "ü"}]
    assert all(isinstance(value, (str, int, float, type(None))) for value in row.values())


def test_the_statements_of_recovery_stand_alone(ledger_place: str) -> None:
    class Everybody:
        def is_alive(self, *_: Any) -> bool:
            return True

    crash(ledger_place, State.SENDING)
    with connected(ledger_place) as connection:
        me = See("me", NOW, Everybody())  # type: ignore[arg-type]
        assert see(connection, [me, See("me", NOW + 1, Everybody())]) == [None, None]  # type: ignore[arg-type]
        seen = connection.execute(sa.select(owners.c.seen).where(owners.c.id == "me")).scalar_one()
        if connection.dialect.name == "sqlite":
            assert seen == NOW + 1
        else:  # the clocks of several machines may differ: the database's counts
            assert seen == pytest.approx(time.time(), abs=60)
        assert recover(connection, [me]) == [{}]
