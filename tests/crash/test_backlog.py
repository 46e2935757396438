"""Many mails wait for a server that is down: little memory, few connections. All leave when it is back."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import socket
import time
from pathlib import Path

import pytest
from bed.recorder import Recorder
from crash.cradle import GUARD, Cradle, copies, credential, mails, node, rows
from crash.victim import enqueue, until_over

import nina_smtp
from nina_smtp.api import read_credential
from nina_smtp.delivery.ledger import review
from nina_smtp.delivery.ledger.ledger import Ledger
from nina_smtp.delivery.outbox import Outbox

MEGABYTES_MORE = 15
ATTEMPTS = 12  # to connect, in the twenty minutes and the two starts of a process


class Switched(Recorder):
    """While it is down it closes every connection at once."""

    down = True
    attempts = 0

    def handle(self, connection: socket.socket) -> None:
        self.attempts += 1
        if self.down:
            self.drop(connection)
        else:
            super().handle(connection)


def backlog(cradle: Cradle, ledger: Path, count: int) -> None:
    with Switched() as server:
        account = credential(server.port)
        waiting = cradle.start(
            work="backlog", ledger=ledger, node=node(), credential=account, count=count, within=20 * GUARD
        )
        assert waiting.wait(20 * GUARD) == ("stopped", signal.SIGSTOP), cradle.log.read_text()
        assert len(rows(ledger)) == count
        assert server.attempts <= ATTEMPTS
        server.down = False
        waiting.signal(signal.SIGCONT)
        assert waiting.wait(20 * GUARD) == ("exited", 0), cradle.log.read_text()
        assert server.attempts <= ATTEMPTS + 5
    found = rows(ledger)
    assert {row.state for row in found} == {"sent"}
    assert copies(server.messages) == {row.message_id: 1 for row in found}
    assert max(waiting.report) < MEGABYTES_MORE * 1_000_000, waiting.report


def test_a_thousand_mails_wait_in_little_memory_and_leave_when_the_server_is_back(
    cradle: Cradle, tmp_path: Path
) -> None:
    backlog(cradle, tmp_path / "mail.db", 1000)


@pytest.mark.soak
@pytest.mark.skipif("SOAK_SECONDS" not in os.environ, reason="make soak runs it")
def test_ten_thousand_mails_wait_in_little_memory_and_leave_when_the_server_is_back(
    cradle: Cradle, tmp_path: Path
) -> None:
    backlog(cradle, tmp_path / "mail.db", 10_000)


def test_an_execution_does_not_knock_at_a_server_that_is_down_for_every_mail(tmp_path: Path) -> None:
    place = tmp_path / "mail.db"
    with Switched() as server:
        work = (node(onError="continue"), credential(server.port), mails(300))
        first = nina_smtp.send(*work, ledger=place, idempotency_key="run-1")
        knocked = server.attempts
        again = nina_smtp.send(*work, ledger=place, idempotency_key="run-1")
        assert knocked <= 6  # the breaker opens at the fifth
        assert server.attempts <= 2 * knocked + 2  # another loop has one of its own
    assert {result.status for result in first} == {result.status for result in again} == {"deferred"}
    assert all(result.due for result in first)
    assert len(rows(place)) == 300


def test_a_ledger_that_stays_open_holds_nothing_of_an_execution_that_is_over(tmp_path: Path) -> None:
    async def work() -> int:
        async with Ledger(tmp_path / "mail.db") as ledger:
            await nina_smtp.send_async(node(), credential(server.port), mails(3), ledger=ledger)
            await ledger.call(review.counts)  # whatever was held by the batch before
            gc.collect()
            return sum(isinstance(one, Outbox) for one in gc.get_objects())

    with Recorder() as server:
        assert asyncio.run(work()) == 0


def test_what_has_waited_leaves_no_faster_than_the_credential_allows(tmp_path: Path) -> None:
    place = tmp_path / "mail.db"

    async def work(account: object) -> float:
        async with Ledger(place) as ledger:
            await enqueue(ledger, node(), account, mails(30))
        began = time.monotonic()
        async with asyncio.timeout(GUARD), Ledger(place) as ledger, Outbox(ledger) as outbox:
            await outbox.serve(read_credential(account))
            await until_over(ledger, outbox)
        return time.monotonic() - began

    with Recorder() as server:
        seconds = asyncio.run(work(credential(server.port, limits={"messagesPerSecond": 30})))
    assert len(server.messages) == 30
    assert seconds > 29 / 30 - 0.06  # what a timer was late by is caught up with
