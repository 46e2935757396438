"""The clock jumps by a day, as it does on a machine that slept, or that learns the time late."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest
from bed.recorder import Recorder
from bed.recording import Message
from crash.cradle import GUARD, copies, credential, mails, node, rows
from crash.victim import Leaps, enqueue, until_over

from nina_smtp.api import read_credential
from nina_smtp.delivery.ledger import ledger as ledger_module
from nina_smtp.delivery.ledger.ledger import Ledger
from nina_smtp.delivery.outbox import Outbox

DAY = 86_400.0
LATER = b"451 4.3.0 later"
CONNECTIONS = 5


class Hearing(Recorder):
    """``hear`` is called for each message, with its number; it may say what is answered."""

    def __init__(self, hear: Callable[[int], bytes | None]) -> None:
        super().__init__()
        self._hear = hear
        self._count = 0

    def reply_to_dot(self, message: Message) -> bytes:
        self._count += 1
        return (self._hear(self._count) or b"250 2.0.0 Ok") + b"\r\n"


async def queue_up(ledger: Ledger, server: Recorder, count: int) -> None:
    await enqueue(ledger, node(), credential(server.port), mails(count))


async def all_over(ledger: Ledger, server: Recorder) -> None:
    async with asyncio.timeout(GUARD), Outbox(ledger) as outbox:
        await outbox.serve(read_credential(credential(server.port)))
        await until_over(ledger, outbox)


async def none_due(ledger: Ledger, server: Recorder, identity: str) -> None:
    """Sends until everything that is left is for later."""
    async with asyncio.timeout(GUARD), Outbox(ledger) as outbox:
        await outbox.serve(read_credential(credential(server.port)))
        while (
            outbox.is_busy or (await ledger.next_due(identity) or 2 * DAY + ledger.clock()) <= ledger.clock()
        ):
            await asyncio.sleep(0.01)


def identity_at(server: Recorder) -> str:
    return read_credential(credential(server.port)).identity


def each_once(place: Path, server: Recorder, count: int) -> None:
    found = rows(place)
    assert len(found) == count
    assert {row.state for row in found} == {"sent"}
    assert copies(server.messages) == {row.message_id: 1 for row in found}


@pytest.mark.parametrize("days", [1, -1])
def test_a_clock_that_jumps_while_mails_go_out_neither_loses_nor_doubles_one(
    tmp_path: Path, days: int
) -> None:
    clock, place = Leaps(), tmp_path / "mail.db"

    def jump(count: int) -> None:
        if count == 10:
            clock.ahead += days * DAY

    async def work() -> None:
        async with Ledger(place, clock=clock) as ledger:
            await queue_up(ledger, server, 120)
            await none_due(ledger, server, identity_at(server))
        clock.ahead = 2 * DAY
        async with Ledger(place, clock=clock) as ledger:
            await all_over(ledger, server)

    with Hearing(jump) as server:
        asyncio.run(work())
    each_once(place, server, 120)
    assert len(server.sessions) <= 2 * CONNECTIONS


@pytest.mark.parametrize("is_back", [True, False])
def test_after_a_day_that_was_not_there_each_mail_is_tried_once_over_few_connections(
    tmp_path: Path, is_back: bool
) -> None:
    clock, place = Leaps(), tmp_path / "mail.db"

    def hear(count: int) -> bytes | None:
        return None if is_back and count > 60 else LATER

    async def work() -> int:
        async with Ledger(place, clock=clock) as ledger:
            await queue_up(ledger, server, 60)
            await none_due(ledger, server, identity_at(server))
            assert {row.state for row in rows(place)} == {"deferred"}
            opened = len(server.sessions)
            clock.ahead += DAY
            await all_over(ledger, server)
            return len(server.sessions) - opened

    with Hearing(hear) as server:
        opened = asyncio.run(work())
    assert opened <= CONNECTIONS
    found = rows(place)
    assert [row.attempts for row in found] == [2] * 60
    assert len(server.transactions) == 120
    if is_back:
        each_once(place, server, 60)
    else:
        assert {row.state for row in found} == {"failed"}
        assert all("too old" in str(row.result) for row in found)


@pytest.mark.parametrize("days", [1, -1])
def test_whoever_is_alive_is_not_taken_for_dead_by_a_clock(
    tmp_path: Path, days: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ledger_module, "SEEN_EVERY", GUARD)
    place = tmp_path / "mail.db"
    jumped = Leaps()
    jumped.ahead = days * DAY

    async def work() -> None:
        async with Ledger(place) as first:
            await queue_up(first, server, 5)
            leased = await first.lease(identity_at(server), 5)
            assert len(leased) == 5
            async with Ledger(place, clock=jumped) as second:
                assert second.recovered == {}
        async with Ledger(place, clock=jumped) as third:
            assert len(third.recovered) == 5

    with Recorder() as server:
        asyncio.run(work())
