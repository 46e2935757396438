"""The worker keeps its connections warm: what it is asked next finds them."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest
from bed.invariants import check_no_secret
from bed.recorder import Recorder

PASSWORD = "geheim-ß"
NODE = {"parameters": {"to": "b@mail.test", "subject": "s", "body": "Hello"}}


class Worker:
    """The command, asked one thing after another."""

    def __init__(self) -> None:
        command = [sys.executable, "-W", "error", "-m", "nina_smtp", "serve"]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )

    def __enter__(self) -> Worker:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate()

    def ask(self, **request: Any) -> Any:
        assert self.process.stdin
        assert self.process.stdout
        self.process.stdin.write(json.dumps({"jsonrpc": "2.0", "id": 1} | request).encode() + b"\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def run(self, data: dict[str, Any]) -> list[str]:
        answer = self.ask(method="run", params={"node": NODE, "credential": data, "items": [{}, {}]})
        return [result["status"] for result in answer["result"]["results"]]

    def end(self) -> tuple[int, bytes]:
        """The end of its input; its exit status, and what it complained of."""
        _, complaints = self.process.communicate(timeout=30)
        check_no_secret([complaints], [PASSWORD])
        return self.process.returncode, complaints


@pytest.fixture
def server() -> Any:
    with Recorder(users={"a@mail.test": PASSWORD}) as recorder:
        yield recorder


def credential(server: Recorder, **more: Any) -> dict[str, Any]:
    return {
        "host": "127.0.0.1", "port": server.port, "encryption": "none",
        "username": "a@mail.test", "password": PASSWORD, **more,
    }  # fmt: skip


def test_two_requests_are_one_session_at_the_server(server: Recorder) -> None:
    with Worker() as worker:
        for _ in range(2):
            assert worker.run(credential(server)) == ["sent", "sent"]
        assert worker.end() == (0, b"")
    assert len(server.sessions) == 1
    assert server.verbs == ["EHLO", "AUTH", *["MAIL", "RCPT", "DATA"] * 4, "QUIT"]


def test_another_login_is_another_session_and_a_wrong_one_spoils_nothing(server: Recorder) -> None:
    with Worker() as worker:
        assert worker.run(credential(server)) == ["sent", "sent"]
        assert worker.run(credential(server, password="wrong")) == ["failed", "notAttempted"]
        assert worker.run(credential(server)) == ["sent", "sent"]
        assert worker.end() == (0, b"")
    assert [len(session.messages) for session in server.sessions] == [4, 0]


def test_a_connection_that_the_server_gave_up_in_between_is_replaced() -> None:
    with Worker() as worker:
        with Recorder(users={"a@mail.test": PASSWORD}) as first:
            assert worker.run(credential(first)) == ["sent", "sent"]
            port = first.port
        again = Recorder(users={"a@mail.test": PASSWORD})
        with again:
            data = credential(again) | {"port": again.port}
            assert worker.run(data) == ["sent", "sent"]
        assert port
        assert worker.end() == (0, b"")
    assert len(again.messages) == 2
