"""``nina-smtp send --ledger`` that is asked to end: it ends soon, and the ledger says the truth."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bed.dialogue import Dialogue
from bed.recorder import Recorder
from bed.recording import Message
from crash.cradle import GUARD, Cradle, copies, credential, mails, node, rows

import nina_smtp

HUGE = (
    "0123456789abcdef" * 64 * 1024 * 8
)  # more than all buffers between here and a server that does not read


class Slow(Recorder):
    """``reached`` is set where it stops: at the content, or at what it says to the dot; there it waits."""

    receive_buffer = 8192

    def __init__(self, where: str) -> None:
        super().__init__()
        self.where = where
        self.reached, self.go_on = threading.Event(), threading.Event()

    def stop_here(self) -> None:
        self.reached.set()
        self.go_on.wait(GUARD)

    def reply_to_dot(self, message: Message) -> bytes:
        if self.where == "verdict" and not self.reached.is_set():
            self.stop_here()
        return super().reply_to_dot(message)

    class dialogue(Dialogue):  # noqa: N801 - overrides the attribute
        def take_data(self) -> None:
            server = self.server
            assert isinstance(server, Slow)
            if server.where == "content" and not server.reached.is_set():
                server.stop_here()
            super().take_data()


@contextmanager
def sending(folder: Path, server: Recorder, text: str, quit_seconds: float) -> Iterator[Any]:
    data = credential(server.port, timeouts={"quit": quit_seconds})
    (folder / "cred.json").write_text(json.dumps({"type": "smtp", "data": data}))
    (folder / "node.json").write_text(json.dumps(node(onError="continue")))
    (folder / "items.json").write_text(json.dumps([mails(1, text=text)[0], *mails(3)[1:]]))
    command = [sys.executable, "-m", "nina_smtp", "send", "node.json", "--credential", "cred.json"]
    more = ["--input", "items.json", "--ledger", "mail.db", "--idempotency-key", "run-1"]
    with subprocess.Popen(
        [*command, *more], cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def ended(process: Any) -> list[Any]:
    said, told = process.communicate(timeout=GUARD)
    assert process.returncode == 128 + signal.SIGTERM, told
    assert "Traceback" not in told
    results: list[Any] = json.loads(said)["results"]
    return results


def all_are_sent_by_the_next(folder: Path, server: Recorder) -> None:
    items = json.loads((folder / "items.json").read_text())
    account = json.loads((folder / "cred.json").read_text())
    place = folder / "mail.db"
    options = {"ledger": place, "idempotency_key": "run-1"}
    results = nina_smtp.send(node(onError="continue"), account, items, **options)
    assert [one.status for one in results] == ["sent"] * 3
    assert copies(server.messages) == {row.message_id: 1 for row in rows(place)}


def states(folder: Path) -> list[str]:
    return [row.state for row in rows(folder / "mail.db")]


def test_in_the_middle_of_the_content_it_is_not_sent_and_the_next_one_sends_it(tmp_path: Path) -> None:
    with Slow("content") as server:
        with sending(tmp_path, server, HUGE, 1) as process:
            assert server.reached.wait(GUARD)
            process.send_signal(signal.SIGTERM)
            results = ended(process)
        server.go_on.set()
        assert [one["status"] for one in results] == ["failed", "notAttempted", "notAttempted"]
        assert results[0]["error"]["type"] == "interrupted"
        assert set(states(tmp_path)) == {"failed"}
        all_are_sent_by_the_next(tmp_path, server)


def test_a_verdict_that_comes_in_time_is_waited_for(tmp_path: Path) -> None:
    with Slow("verdict") as server:
        with sending(tmp_path, server, "t", GUARD) as process:
            assert server.reached.wait(GUARD)
            process.send_signal(signal.SIGTERM)
            server.go_on.set()
            results = ended(process)
        assert results[0]["status"] == "sent"
        assert states(tmp_path) == ["failed" if one["status"] != "sent" else "sent" for one in results]
        all_are_sent_by_the_next(tmp_path, server)


def test_a_verdict_that_does_not_come_leaves_it_in_doubt(cradle: Cradle, tmp_path: Path) -> None:
    with Slow("verdict") as server:
        with sending(tmp_path, server, "t", 0.2) as process:
            assert server.reached.wait(GUARD)
            process.send_signal(signal.SIGTERM)
            results = ended(process)
        server.go_on.set()
        assert [one["status"] for one in results] == ["unknown", "notAttempted", "notAttempted"]
        assert results[0]["error"]["uncertain"]
        assert states(tmp_path)[0] in ("committing", "unknown")
        cradle.finished(work="serve", ledger=tmp_path / "mail.db", credential=credential(server.port))
    assert states(tmp_path) == ["unknown", "failed", "failed"]
    assert len(server.messages) == 1
