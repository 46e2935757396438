"""Several processes on one ledger: no mail is sent by two of them, not even by one that was thought dead."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path
from typing import Any

import pytest
from bed.certs import Certs
from bed.recorder import Recorder
from crash.cradle import GUARD, Cradle, copies, credential, mails, node, rows, secured
from crash.victim import enqueue, until_over

from nina_smtp.api import read_credential
from nina_smtp.delivery.ledger import owners
from nina_smtp.delivery.ledger.ledger import Ledger
from nina_smtp.delivery.ledger.states import State
from nina_smtp.delivery.outbox import Outbox

COUNT = 400


def queue_up(ledger: Path, account: dict[str, Any], count: int, **options: Any) -> None:
    async def put() -> None:
        async with Ledger(ledger) as opened:
            await enqueue(opened, node(**options), account, mails(count))

    asyncio.run(put())


def each_once(ledger: Path, server: Recorder, count: int) -> None:
    found = rows(ledger)
    assert len(found) == count
    assert {row.state for row in found} == {"sent"}
    assert copies(server.messages) == {row.message_id: 1 for row in found}


def test_two_processes_share_the_work_and_no_mail_is_sent_twice(cradle: Cradle, tmp_path: Path) -> None:
    ledger = tmp_path / "mail.db"
    with Recorder() as server:
        account = credential(server.port)
        queue_up(ledger, account, COUNT)
        workers = [cradle.start(work="serve", ledger=ledger, credential=account) for _ in range(2)]
        assert [worker.wait() for worker in workers] == [("exited", 0)] * 2
    assert sum(worker.report for worker in workers) == COUNT
    each_once(ledger, server, COUNT)


def test_two_processes_with_the_same_key_send_each_item_once(cradle: Cradle, tmp_path: Path) -> None:
    ledger = tmp_path / "mail.db"
    with Recorder() as server:
        work = {"node": node(onError="continue"), "items": mails(60), "credential": credential(server.port)}
        workers = [cradle.start(work="send", ledger=ledger, key="run-1", **work) for _ in range(3)]
        assert [worker.wait() for worker in workers] == [("exited", 0)] * 3, cradle.log.read_text()
    each_once(ledger, server, 60)
    for worker in workers:
        assert [result["status"] for result in worker.report] == ["sent"] * 60
        assert len({result["messageId"] for result in worker.report}) == 60
    assert sum(not result.get("recorded") for worker in workers for result in worker.report) == 60


def test_one_that_is_killed_leaves_its_mails_to_the_other_that_is_at_work(
    cradle: Cradle, tmp_path: Path
) -> None:
    ledger = tmp_path / "mail.db"
    with Recorder() as server:
        account = credential(server.port)
        queue_up(ledger, account, COUNT)
        dying = cradle.start(
            work="serve", ledger=ledger, credential=account, trap={"point": "354", "count": 10}
        )
        often = {"seenEvery": 0.1, "runnerLooksEvery": 0.1}
        other = cradle.start(work="serve", ledger=ledger, credential=account, **often)
        assert dying.wait() == ("killed", signal.SIGKILL)
        assert other.wait() == ("exited", 0)
    found = copies(server.messages)
    in_doubt = [row for row in rows(ledger) if row.was_in_doubt]  # on the other connections of the dead one
    assert len(in_doubt) < 5
    assert {row.state for row in in_doubt} <= {"unknown"}
    assert all(found[row.message_id] <= 1 for row in in_doubt)
    others = [row for row in rows(ledger) if not row.was_in_doubt]
    assert len(others) + len(in_doubt) == COUNT
    assert {row.state for row in others} == {"sent"}
    assert all(found[row.message_id] == 1 for row in others)


@pytest.mark.parametrize("options", [{}, {"onUncertain": "resend"}])
def test_one_that_is_stopped_for_a_while_is_not_dead_and_keeps_its_mails(
    cradle: Cradle, certs: Certs, tmp_path: Path, options: dict[str, str]
) -> None:
    ledger = tmp_path / "mail.db"
    with secured(certs) as server:
        account = credential(server.port, certs)
        queue_up(ledger, account, 20, **options)
        trap = {"point": "354", "count": 2, "signal": signal.SIGSTOP}
        stopped = cradle.start(work="serve", ledger=ledger, credential=account, trap=trap)
        assert stopped.wait() == ("stopped", signal.SIGSTOP)
        before = {row.key: row.owner for row in rows(ledger) if row.owner}
        assert asyncio.run(recovered(ledger)) == {}
        assert {row.key: row.owner for row in rows(ledger) if row.owner} == before
        stopped.signal(signal.SIGCONT)
        assert stopped.wait() == ("exited", 0), cradle.log.read_text()
    each_once(ledger, server, 20)


@pytest.mark.parametrize("work", ["serve", "send"])
def test_one_that_was_taken_for_dead_finds_out_before_it_could_send(
    cradle: Cradle, certs: Certs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, work: str
) -> None:
    ledger = tmp_path / "mail.db"
    with secured(certs) as server:
        account = credential(server.port, certs, limits={"connections": 1})
        job = {"node": node(onError="continue"), "items": mails(10), "credential": account, "key": "run-1"}
        if work == "serve":
            queue_up(ledger, account, 10)
        trap = {"point": "354", "count": 2, "signal": signal.SIGSTOP}
        stopped = cradle.start(work=work, ledger=ledger, trap=trap, byAge=True, **job)
        assert stopped.wait() == ("stopped", signal.SIGSTOP)
        owned = {row.key for row in rows(ledger) if row.owner}
        monkeypatch.setattr(owners, "fcntl", None)  # as where there are no locks: only age tells
        monkeypatch.setattr(owners, "UNSEEN", 0.0)
        taken_over = asyncio.run(served(ledger, account))
        assert set(taken_over.values()) == {State.QUEUED}
        assert len(taken_over) == len(owned) > 0
        assert {row.state for row in rows(ledger)} == {"sent"}
        stopped.signal(signal.SIGCONT)
        assert stopped.wait() == ("exited", 0), cradle.log.read_text()
    each_once(ledger, server, 10)
    if work == "send":
        assert [result["status"] for result in stopped.report] == ["sent"] * 10


@pytest.mark.parametrize(("policy", "most"), [("stop", 1), ("assumeSent", 1), ("resend", 2)])
def test_one_that_was_taken_for_dead_behind_that_point_sends_what_is_counted_as_in_doubt(
    cradle: Cradle, certs: Certs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, policy: str, most: int
) -> None:
    ledger = tmp_path / "mail.db"
    with secured(certs) as server:
        account = credential(server.port, certs)
        queue_up(ledger, account, 1, onUncertain=policy)
        trap = {"point": "committing", "signal": signal.SIGSTOP}
        stopped = cradle.start(work="serve", ledger=ledger, credential=account, trap=trap, byAge=True)
        assert stopped.wait() == ("stopped", signal.SIGSTOP)
        monkeypatch.setattr(owners, "fcntl", None)
        monkeypatch.setattr(owners, "UNSEEN", 0.0)
        asyncio.run(served(ledger, account))
        stopped.signal(signal.SIGCONT)
        assert stopped.wait() == ("exited", 0), cradle.log.read_text()
    (row,) = rows(ledger)
    assert row.state == ("unknown" if policy == "stop" else "sent")  # what the other one wrote stands
    assert copies(server.messages) == {row.message_id: most}


async def recovered(ledger: Path) -> dict[str, State]:
    async with Ledger(ledger) as opened:
        return opened.recovered


async def served(ledger: Path, account: dict[str, Any]) -> dict[str, State]:
    async with asyncio.timeout(GUARD), Ledger(ledger) as opened, Outbox(opened) as outbox:
        await outbox.serve(read_credential(account))
        await until_over(opened, outbox)
        return opened.recovered
