"""kill -9 at each of the twelve points on a mail's way: none is lost, and none is sent twice unasked."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from bed.certs import Certs
from bed.recorder import CHUNKING, SEVEN_BIT
from bed.recording import Message
from crash.cradle import GUARD, LARGE, Cradle, Row, copies, credential, mails, node, rows, secured
from crash.victim import CERTAIN, ONCE, POINTS, enqueue, serve

import nina_smtp
from nina_smtp.delivery.ledger.ledger import Ledger

POLICIES = ("stop", "resend", "assumeSent")
OF_IT = {  # copies of the mail that was in doubt: those the victim made, and what a restart does about it
    "committing": {"stop": 0, "resend": 1, "assumeSent": 0},
    "dot": {"stop": 1, "resend": 2, "assumeSent": 1},
    "250": {"stop": 1, "resend": 2, "assumeSent": 1},
}
AFTERWARDS = {"stop": "unknown", "resend": "sent", "assumeSent": "sent"}


def text_for(point: str) -> str:
    return LARGE if point == "half" else "short"


def trap_at(point: str, mail: int) -> dict[str, Any]:
    return {"point": point, "count": 1 if point in ONCE else mail}


def queue_up(ledger: Path, **work: Any) -> None:
    async def put() -> None:
        async with Ledger(ledger) as opened:
            await enqueue(opened, **work)

    asyncio.run(put())


def restart(ledger: Path, account: dict[str, Any]) -> dict[str, str]:
    async def go() -> Any:
        async with asyncio.timeout(GUARD):
            return await serve({"ledger": ledger, "credential": account})

    return asyncio.run(go())


def replay(ledger: Path, **work: Any) -> list[dict[str, Any]]:
    """The same work under the same key, once more."""
    done = nina_smtp.send(
        work["node"], work["credential"], work["items"], idempotency_key=work["key"], ledger=ledger, wait=None
    )
    return done.as_dicts()


def is_over(ledger: Path) -> None:
    """Every mail is in a final state, nobody's, and only what may be needed again is kept."""
    for row in rows(ledger):
        assert row.state in ("sent", "unknown"), row
        assert row.owner is None
        assert row.has_content == (row.state == "unknown")
        assert row.result
        assert row.result["status"] == row.state


def check(ledger: Path, taken: Sequence[Message], doubted: Mapping[str, int]) -> None:
    """Every mail is there once, but those in doubt, which are there so often."""
    found = rows(ledger)
    in_doubt = {row.message_id for row in found if row.was_in_doubt}
    assert in_doubt == set(doubted)
    assert copies(taken) == +Counter({row.message_id: doubted.get(row.message_id, 1) for row in found})


def doubted_in(ledger: Path) -> list[Row]:
    return [row for row in rows(ledger) if row.was_in_doubt]


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("point", POINTS)
def test_killed_on_the_way_every_mail_ends_and_has_the_copies_it_may_have(
    cradle: Cradle, certs: Certs, tmp_path: Path, point: str, policy: str
) -> None:
    ledger = tmp_path / "mail.db"
    work = {
        "node": node(onError="continue", onUncertain=policy),
        "items": mails(3, text=text_for(point)),
        "key": "run-1",
    }
    with secured(certs) as server:
        work["credential"] = credential(server.port, certs)
        if point == "lease":  # of what is there already
            queue_up(ledger, **work)
            cradle.killed(work="serve", ledger=ledger, trap=trap_at(point, 2), **work)
        else:
            cradle.killed(work="send", ledger=ledger, trap=trap_at(point, 2), **work)
        restart(ledger, work["credential"])
        is_over(ledger)
        if point != "lease":
            results = replay(ledger, **work)
            assert [one["status"] for one in results] == [row.state for row in rows(ledger)]
            assert replay(ledger, **work) == [one | {"recorded": True} for one in results]
    is_over(ledger)
    assert len(rows(ledger)) == 3
    doubted = doubted_in(ledger)
    assert [row.state for row in doubted] == ([] if point in CERTAIN else [AFTERWARDS[policy]])
    check(ledger, server.messages, {row.message_id: OF_IT[point][policy] for row in doubted})


@pytest.mark.parametrize("point", POINTS)
def test_killed_in_an_ordered_execution_without_pipelining_nothing_is_doubled(
    cradle: Cradle, certs: Certs, tmp_path: Path, point: str
) -> None:
    ledger = tmp_path / "mail.db"
    work = {"node": node(onError="fail"), "items": mails(3, text=text_for(point)), "key": "run-1"}
    with secured(certs, SEVEN_BIT) as server:
        work["credential"] = credential(server.port, certs)
        if point == "lease":
            queue_up(ledger, **work)
            cradle.killed(work="serve", ledger=ledger, trap=trap_at(point, 1), **work)
        else:
            cradle.killed(work="send", ledger=ledger, trap=trap_at(point, 1), **work)
        if point != "lease":
            results = replay(ledger, **work)
            if point in CERTAIN:
                assert [one["status"] for one in results] == ["sent"] * 3
            else:
                assert results[0]["status"] == "unknown"
        restart(ledger, work["credential"])
    is_over(ledger)
    check(ledger, server.messages, {row.message_id: OF_IT[point]["stop"] for row in doubted_in(ledger)})


@pytest.mark.parametrize("point", ["half", "committing", "dot", "250"])
def test_killed_on_the_way_of_a_chunk_nothing_is_doubled(
    cradle: Cradle, certs: Certs, tmp_path: Path, point: str
) -> None:
    ledger = tmp_path / "mail.db"
    items = mails(3, text=text_for(point))
    work = {"node": node(onError="continue"), "items": items, "key": "run-1"}
    with secured(certs, CHUNKING) as server:
        work["credential"] = credential(server.port, certs)
        cradle.killed(work="send", ledger=ledger, trap=trap_at(point, 3), **work)
        restart(ledger, work["credential"])
    is_over(ledger)
    assert len(doubted_in(ledger)) == (point not in CERTAIN)
    check(ledger, server.messages, {row.message_id: OF_IT[point]["stop"] for row in doubted_in(ledger)})


@pytest.mark.parametrize("point", [point for point in POINTS if point != "enqueue"])
def test_killed_once_more_after_the_restart_it_still_goes_on(
    cradle: Cradle, certs: Certs, tmp_path: Path, point: str
) -> None:
    ledger = tmp_path / "mail.db"
    work = {"node": node(onUncertain="resend"), "items": mails(3, text=text_for(point))}
    with secured(certs) as server:
        work["credential"] = credential(server.port, certs)
        queue_up(ledger, **work)
        for _ in range(2):
            cradle.killed(work="serve", ledger=ledger, trap=trap_at(point, 1), **work)
        restart(ledger, work["credential"])
    is_over(ledger)
    times = {row.message_id: sum(one["outcome"] == "unknown" for one in row.history) for row in rows(ledger)}
    assert sum(times.values()) == (0 if point in CERTAIN else 2)
    arrived = 0 if point == "committing" else 1
    check(ledger, server.messages, {name: 1 + arrived * count for name, count in times.items() if count})
