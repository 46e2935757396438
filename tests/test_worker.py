"""The worker contract."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from bed.invariants import check_no_secret
from bed.recorder import Recorder

pytest_plugins: list[str] = []
NODE = {"parameters": {"to": "b@mail.test", "subject": "{{ what }}", "body": "Hello"}}
PASSWORD = "geheim-ß"


def ask(*requests: Any) -> list[Any]:
    """The answers to the requests, by way of the command."""
    import subprocess
    import sys

    lines = [line if isinstance(line, str) else json.dumps(line) for line in requests]
    done = subprocess.run(
        [sys.executable, "-m", "nina_smtp", "serve"],
        input="\n".join(lines).encode() + b"\n",
        capture_output=True,
        timeout=60,
        check=True,
    )
    check_no_secret([done.stdout, done.stderr], [PASSWORD])
    return [json.loads(line) for line in done.stdout.splitlines()]


def request(identity: Any, method: str, **params: Any) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": identity, "method": method, "params": params}


def credential(port: int) -> dict[str, Any]:
    return {
        "host": "127.0.0.1",
        "port": port,
        "encryption": "none",
        "username": "a@mail.test",
        "password": PASSWORD,
    }


def test_several_requests_in_flight_are_each_answered() -> None:
    with Recorder() as recorder:
        made = [
            request(n, "run", node=NODE, credential=credential(recorder.port), items=[{"what": f"Mail {n}"}])
            for n in range(5)
        ]
        answers = {answer["id"]: answer for answer in ask(*made)}
        assert set(answers) == set(range(5))
        assert all(answer["result"]["results"][0]["status"] == "sent" for answer in answers.values())
        assert len(recorder.messages) == 5


def test_building_gives_the_message_and_its_sources() -> None:
    (answer,) = ask(request("x", "build", node=NODE, credential=credential(25), item={"what": "Built"}))
    result = answer["result"]
    assert b"Subject: Built\r\n" in base64.b64decode(result["message"])
    assert result["envelope"] == {"from": "a@mail.test", "to": ["b@mail.test"]}
    assert result["sources"]["subject"] == {"source": "node"}


def test_a_credential_is_tested() -> None:
    with Recorder() as recorder:
        (answer,) = ask(request(1, "test", credential=credential(recorder.port)))
    assert answer["result"]["passed"] is True


def test_what_there_is_is_described() -> None:
    (answer,) = ask({"jsonrpc": "2.0", "id": 1, "method": "describe"})
    assert {node["type"] for node in answer["result"]["nodes"]} >= {"smtp"}


def test_the_same_idempotency_key_gives_the_same_message_id() -> None:
    with Recorder() as recorder:
        made = request(
            1, "run", node=NODE, credential=credential(recorder.port), items={"what": "x"}, idempotencyKey="k"
        )
        ids = {ask(made)[0]["result"]["results"][0]["messageId"] for _ in range(2)}
    assert len(ids) == 1


def test_a_failed_mail_is_a_result_and_a_wrong_node_an_error() -> None:
    failed, wrong = ask(
        request(1, "run", node=NODE, credential=credential(25), items={}),
        request(2, "run", node={"parameters": {"too": 1}}, credential=credential(25), items={}),
    )
    answers = {answer["id"]: answer for answer in (failed, wrong)}
    assert answers[1]["result"]["results"][0]["error"]["type"] == "templateError"
    assert answers[2]["error"]["code"] == -32000
    assert answers[2]["error"]["data"]["type"] == "unknownParameter"


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("{", -32700),
        ("[" * 100_000, -32700),
        ("[]", -32600),
        ('{"jsonrpc": "1.0", "id": 1, "method": "describe"}', -32600),
        ('{"jsonrpc": "2.0", "id": 1, "method": 5}', -32600),
        ('{"jsonrpc": "2.0", "id": 1, "method": "nope"}', -32601),
        ('{"jsonrpc": "2.0", "id": 1, "method": "run", "params": []}', -32602),
        ('{"jsonrpc": "2.0", "id": 1, "method": "run", "params": {}}', -32602),
        ('{"jsonrpc": "2.0", "id": 1, "method": "describe", "params": {"x": 1}}', -32602),
        ('{"jsonrpc": "2.0", "id": 1, "method": "test", "params": {"credential": 5}}', -32000),
    ],
)
def test_a_malformed_request_gets_its_code_and_the_next_is_still_answered(line: str, code: int) -> None:
    answers = ask(line, {"jsonrpc": "2.0", "id": 9, "method": "describe"})
    assert sorted(answer.get("error", {}).get("code", 0) for answer in answers) == sorted([code, 0])


def test_a_notification_gets_no_answer() -> None:
    assert ask({"jsonrpc": "2.0", "method": "describe"}) == []
