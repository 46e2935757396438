"""Where nothing can be put on record nothing is sent; and when it can be again, work goes on."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from bed.needs import missing
from bed.recorder import Recorder
from crash.cradle import GUARD, PASSWORD, copies, credential, mails, node, rows
from crash.victim import enqueue
from sqlalchemy import Connection, Engine, event

import nina_smtp
from nina_smtp.delivery import runner as runner_module
from nina_smtp.delivery.ledger import ledger as ledger_module
from nina_smtp.delivery.ledger.ledger import Ledger
from nina_smtp.errors import LedgerFailed

CONTENT = "only-the-recipient-may-read-this"


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ledger_module, "_TRY_AGAIN", (0.01, 0.02))
    monkeypatch.setattr(runner_module, "LOOK_EVERY", 0.05)


class Disk:
    """A small one of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._filler = folder / "filler"

    def fill(self) -> None:
        with contextlib.suppress(OSError), self._filler.open("ab", buffering=0) as filler:
            while True:
                filler.write(bytes(4096))

    def empty(self) -> None:
        self._filler.unlink()


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(folder)]
    if os.name != "posix" or os.geteuid() or subprocess.run(mounted, capture_output=True).returncode:
        missing("no file system can be mounted", "run the tests as root, in a container that may mount")
    yield Disk(folder)
    subprocess.run(["umount", str(folder)], check=True)


class Watching(Recorder):
    """Does something at one of the MAIL commands."""

    def __init__(self, number: int, act: Callable[[], None]) -> None:
        super().__init__()
        self._left = number
        self._act = act

    def reply_to_mail(self, argument: bytes) -> bytes:
        self._left -= 1
        if self._left == 0:
            self._act()
        return super().reply_to_mail(argument)


async def sent(ledger: Ledger | Path, port: int, *, key: str = "run-1", **options: Any) -> list[Any]:
    account = credential(port, username="alice", password=PASSWORD, authMethod="plain")
    async with asyncio.timeout(GUARD):
        results = await nina_smtp.send_async(
            node(onError="continue", **options),
            account,
            mails(6, text=CONTENT),
            idempotency_key=key,
            ledger=ledger,
        )
    return results.as_dicts()


def failures(results: list[Any]) -> list[Any]:
    """The errors, each of which says what is wrong, and nothing of what is in the mails."""
    errors = [one["error"] for one in results if "error" in one]
    for error in errors:
        assert error["type"] == "ledgerFailed"
        assert error["uncertain"] is False
        assert CONTENT not in str(error)
        assert PASSWORD not in str(error)
        assert "INSERT" not in str(error)
        assert "UPDATE" not in str(error)
    return errors


def all_sent_once(ledger: Path, server: Recorder) -> None:
    assert [row.state for row in rows(ledger)] == ["sent"] * 6
    assert copies(server.messages) == {row.message_id: 1 for row in rows(ledger)}


def test_on_a_full_disk_no_mail_is_sent_and_with_room_again_all_are(disk: Disk) -> None:
    place = disk.folder / "mail.db"

    async def work(server: Recorder) -> None:
        async with Ledger(place) as ledger:
            disk.fill()
            before = len(server.messages)
            results = await sent(ledger, server.port)
            assert [one["status"] for one in results] == ["failed"] * 6
            assert all("full" in error["message"] for error in failures(results))
            assert len(server.messages) == before == 0
            disk.empty()
            results = await sent(ledger, server.port)
            assert [one["status"] for one in results] == ["sent"] * 6

    with Recorder() as server:
        asyncio.run(work(server))
    all_sent_once(place, server)


def test_a_disk_that_is_full_in_the_middle_stops_what_is_not_out(disk: Disk) -> None:
    place = disk.folder / "mail.db"

    async def work(server: Recorder) -> None:
        async with Ledger(place) as ledger:
            results = await sent(ledger, server.port)
            states = [one["status"] for one in results]
            assert set(states) == {"sent", "deferred"}
            assert states.count("sent") == len(server.messages)
            assert len(failures(results)) == states.count("deferred")
            disk.empty()
            results = await sent(ledger, server.port)
            assert [one["status"] for one in results] == ["sent"] * 6

    with Watching(3, disk.fill) as server:
        asyncio.run(work(server))
    all_sent_once(place, server)


def test_a_ledger_that_is_closed_while_the_disk_is_full_is_put_right_by_the_next(disk: Disk) -> None:
    place = disk.folder / "mail.db"
    with Watching(3, disk.fill) as server:
        first = asyncio.run(sent(place, server.port, onUncertain="resend"))
        assert {one["status"] for one in first} == {"sent", "deferred"}
        disk.empty()
        second = asyncio.run(sent(place, server.port, onUncertain="resend"))
    assert [one["status"] for one in second] == ["sent"] * 6
    for row in rows(place):
        assert 1 <= copies(server.messages)[row.message_id] <= 1 + row.was_in_doubt


def test_a_ledger_cannot_be_opened_on_a_full_disk_and_nothing_is_connected_to(disk: Disk) -> None:
    disk.fill()
    with Recorder() as server:
        results = asyncio.run(sent(disk.folder / "mail.db", server.port))
    assert len(failures(results)) == 6
    assert server.sessions == []


@contextlib.contextmanager
def pragma(text: Callable[[], str]) -> Iterator[None]:
    """Said at the beginning of every transaction."""

    def begun(connection: Connection) -> None:
        connection.exec_driver_sql(f"PRAGMA {text()}")

    event.listen(Engine, "begin", begun)
    try:
        yield
    finally:
        event.remove(Engine, "begin", begun)


def test_more_than_fits_is_refused_and_what_fits_is_sent(tmp_path: Path) -> None:
    place = tmp_path / "mail.db"
    full = True

    async def work(server: Recorder) -> None:
        nonlocal full
        async with Ledger(place) as ledger:
            with pragma(lambda: "max_page_count=1" if full else "max_page_count=100000"):
                results = await sent(ledger, server.port)
                assert 0 < len(failures(results)) == 6 - len(server.messages)
                full = False
                assert failures(await sent(ledger, server.port)) == []

    with Recorder() as server:
        asyncio.run(work(server))
    all_sent_once(place, server)


def test_a_ledger_that_becomes_read_only_sends_nothing_more(tmp_path: Path) -> None:
    place = tmp_path / "mail.db"
    read_only = 0

    async def work(server: Recorder) -> None:
        nonlocal read_only
        async with Ledger(place) as ledger:
            with pragma(lambda: f"query_only={read_only}"):
                read_only = 1
                errors = failures(await sent(ledger, server.port))
                assert ["readonly" in one["message"] for one in errors] == [True] * 6
                assert server.sessions == []
                read_only = 0
                assert failures(await sent(ledger, server.port)) == []

    with Recorder() as server:
        asyncio.run(work(server))
    all_sent_once(place, server)


def test_a_ledger_that_is_deleted_under_it_is_neither_mourned_nor_sent_from_twice(tmp_path: Path) -> None:
    place = tmp_path / "mail.db"

    def delete() -> None:
        for file in tmp_path.glob("mail.db*"):
            if file.is_file():
                file.unlink()

    with Watching(3, delete) as server:
        results = asyncio.run(sent(place, server.port))
    assert {one["status"] for one in results} == {"sent"} or failures(results)
    assert max(copies(server.messages).values()) == 1


@pytest.mark.parametrize("damage", ["rubbish", "cut", "overwritten"])
def test_a_damaged_ledger_is_named_and_nothing_is_sent(tmp_path: Path, damage: str) -> None:
    place = tmp_path / "mail.db"

    async def queue_up() -> None:
        async with Ledger(place) as ledger:
            await enqueue(ledger, node(), credential(1), mails(50, text=CONTENT))

    asyncio.run(queue_up())
    octets = place.read_bytes()
    if damage == "rubbish":
        octets = os.urandom(len(octets))
    elif damage == "cut":
        octets = octets[: len(octets) // 3 + 77]
    else:
        octets = octets[:4096] + bytes(len(octets) - 8192) + octets[-4096:]
    place.write_bytes(octets)
    with Recorder() as server:
        results = asyncio.run(sent(place, server.port))
    assert len(failures(results)) == 6
    assert server.sessions == []
    assert place.read_bytes() == octets


def test_a_ledger_of_another_version_is_left_alone(tmp_path: Path) -> None:
    place = tmp_path / "mail.db"

    async def make() -> None:
        async with Ledger(place):
            pass

    asyncio.run(make())
    with contextlib.closing(sqlite3.connect(place)) as database:
        database.execute("UPDATE nina_fact SET value = '99' WHERE name = 'schema'")
        database.commit()
    with Recorder() as server:
        errors = failures(asyncio.run(sent(place, server.port)))
    assert ["99" in error["message"] and bool(error["hint"]) for error in errors] == [True] * 6
    assert server.sessions == []
    assert rows(place) == []
    with pytest.raises(LedgerFailed, match="99"):
        asyncio.run(make())
