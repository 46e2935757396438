"""kill -9 at each of the twelve points on a mail's way: none is lost, and none is sent twice unasked."""

from __future__ import annotations

import asyncio
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from bed.certs import Certs
from bed.recorder import CHUNKING, EVERYTHING, SEVEN_BIT
from crash.cradle import GUARD, LARGE, Cradle, copies, credential, mails, node, rows, secured
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
        in_doubt = [row.message_id for row in rows(ledger) if row.was_in_doubt]
        is_over(ledger)
        if point != "lease":
            results = replay(ledger, **work)
            assert replay(ledger, **work) == [one | {"recorded": True} for one in results]
    is_over(ledger)
    found = copies(server.messages)
    expected = Counter(row.message_id for row in rows(ledger))
    assert len(expected) == 3
    if point in CERTAIN:
        assert in_doubt == []
    else:
        (doubted,) = in_doubt
        expected[doubted] = OF_IT[point][policy]
        assert [row.state for row in rows(ledger) if row.message_id == doubted] == [AFTERWARDS[policy]]
    assert found == +expected
