"""``--audit``, ``--log``, ``--transcript``, ``--metrics-port``."""

from __future__ import annotations

import http.client
import json
import re
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from bed.faulty import FaultyServer
from bed.invariants import check_no_secret
from bed.recorder import Recorder

NODE = {
    "parameters": {"to": "{{ to }}", "subject": "A subject", "body": "A body"},
    "options": {"onError": "continue"},
}
PASSWORD = "hunter-zwölf"
WORKFLOW = {
    "name": "w",
    "nodes": [
        {"id": "t", "name": "Start", "type": "manual_trigger"},
        {
            "id": "m", "name": "Mail", "type": "smtp", "credential": "SOC",
            "config": {"parameters": {"to": "b@mail.test", "subject": "s", "body": "b"}},
        },
    ],
    "edges": [{"from": "t", "to": "m"}],
}  # fmt: skip


def credential(port: int) -> dict[str, Any]:
    return {
        "host": "127.0.0.1", "port": port, "encryption": "none", "username": "a@mail.test",
        "password": "${PW}",
    }  # fmt: skip


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture
def send(cli: Any, write: Any) -> Any:
    def run(port: int, *more: str, items: Any = ({"to": "b@mail.test"},)) -> Any:
        write("node.json", NODE)
        write("cred.json", credential(port))
        write("items.json", list(items))
        ran = cli(
            "send", "node.json", "--credential", "cred.json", "--input", "items.json", *more, PW=PASSWORD
        )
        check_no_secret([ran.stdout, ran.stderr], [PASSWORD], "a@mail.test")
        return ran

    return run


def test_send_appends_an_audit_line_for_each_mail(send: Any, recorder: Recorder, tmp_path: Path) -> None:
    items = [{"to": "b@mail.test"}, {"to": "no address"}]
    for _ in range(2):
        assert send(recorder.port, "--audit", "audit.jsonl", items=items).status == 1
    path = tmp_path / "audit.jsonl"
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert sorted((line["item"], line["status"]) for line in lines) == [(0, "sent")] * 2 + [(1, "failed")] * 2
    assert mode(path) == 0o600
    check_no_secret([path.read_bytes()], [PASSWORD, "A subject", "A body"], "a@mail.test")


def test_recipients_are_masked_on_request(send: Any, recorder: Recorder, tmp_path: Path) -> None:
    options = ("--audit", "a", "--mask-recipients", "--log", "l", "--log-level", "debug")
    send(recorder.port, *options, items=[{"to": "jane@mail.test"}])
    assert json.loads((tmp_path / "a").read_text())["to"] == ["j***@mail.test"]
    assert "jane@mail.test" not in (tmp_path / "l").read_text()  # b@mail.test may be the end of a Message-ID


def test_an_audit_file_that_cannot_be_stops_everything_before_it_begins(
    send: Any, recorder: Recorder
) -> None:
    ran = send(recorder.port, "--audit", "no/such/folder")
    assert ran.status == 2
    assert ran.json["error"]["parameter"] == "audit"
    assert not recorder.sessions


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full")
def test_an_audit_file_on_a_full_disk_is_said_and_stops_nothing(send: Any, recorder: Recorder) -> None:
    ran = send(recorder.port, "--audit", "/dev/full", items=[{"to": "b@mail.test"}] * 3)
    assert ran.status == 0
    assert len(recorder.messages) == 3
    assert ran.stderr.count("/dev/full cannot be written: No space left on device") == 1


def test_the_log_is_lines_of_json(send: Any, recorder: Recorder, tmp_path: Path) -> None:
    send(recorder.port, "--log", "log.jsonl")
    path = tmp_path / "log.jsonl"
    events = [json.loads(line)["event"] for line in path.read_text().splitlines()]
    assert events == ["connection.opened", "login.ok", "connection.closed"]
    assert mode(path) == 0o600
    ran = send(recorder.port, "--log", "-", "--log-level", "debug", "--audit", "audit.jsonl")
    lines = [json.loads(line) for line in ran.stderr.splitlines() if line.startswith("{")]
    assert [line["event"] for line in lines].count("mail.settled") == 1
    assert not any(line["logger"] == "nina_smtp.audit" for line in lines)
    assert ran.json["results"][0]["status"] == "sent"


def test_each_mail_has_its_transcript_in_a_file(send: Any, recorder: Recorder, tmp_path: Path) -> None:
    items = [{"to": "bob@mail.test"}, {"to": "carol@mail.test"}]
    ran = send(recorder.port, "--transcript", "said", items=items)
    assert ran.status == 0
    assert "transcript" not in ran.stdout
    first, second = (tmp_path / "said" / f"{n}.log" for n in range(2))
    assert mode(first) == mode(second) == 0o600
    assert mode(first.parent) == 0o700
    assert "RCPT TO:<bob@mail.test>" in first.read_text()
    assert "carol" not in first.read_text()
    assert re.search(r"C: AUTH LOGIN\n.*S: 334 \*\*\*\n.*C: \*\*\*\n", first.read_text())
    check_no_secret(
        [first.read_bytes(), second.read_bytes()], [PASSWORD, "A subject", "A body"], "a@mail.test"
    )


def test_the_transcript_of_a_failure_is_named(send: Any, tmp_path: Path) -> None:
    with FaultyServer("a_echo", mode="none") as server:
        ran = send(server.port, "--transcript", "said")
    assert ran.status == 3
    assert "What was said: said/0.log" in ran.stderr
    said = (tmp_path / "said" / "0.log").read_text()
    assert "S: 535" in said
    check_no_secret([said], [PASSWORD], "a@mail.test")


def test_a_second_attempt_has_a_file_of_its_own(
    cli: Any, write: Any, recorder: Recorder, tmp_path: Path
) -> None:
    with Recorder() as closed:
        port = closed.port
    write("node.json", NODE)
    write("one.json", credential(port))
    write("two.json", credential(recorder.port))
    write("item.json", {"to": "b@mail.test"})
    ran = cli(
        "send", "node.json", "--credential", "one.json", "--credential", "two.json", "--input", "item.json",
        "--transcript", "said", PW=PASSWORD,
    )  # fmt: skip
    assert ran.status == 0, ran.stderr
    assert "connection refused" in (tmp_path / "said" / "0.log").read_text()
    assert "S: 250 2.0.0" in (tmp_path / "said" / "0.2.log").read_text()


def test_a_transcript_that_cannot_be_written_is_said_and_stops_nothing(
    send: Any, recorder: Recorder, tmp_path: Path
) -> None:
    (tmp_path / "said" / "0.log").mkdir(parents=True)
    ran = send(recorder.port, "--transcript", "said")
    assert ran.status == 0
    assert "said/0.log cannot be written" in ran.stderr


def test_the_credential_test_shows_what_was_said(cli: Any, write: Any, recorder: Recorder) -> None:
    write("cred.json", credential(recorder.port))
    ran = cli("test", "cred.json", "--transcript", PW=PASSWORD)
    assert ran.status == 0
    assert "C: AUTH LOGIN" in ran.stderr
    assert "S: 235 " in ran.stderr
    assert "AUTH LOGIN" not in cli("test", "cred.json", PW=PASSWORD).stderr
    ran = cli("test", "cred.json", "--transcript", "--send-to", "b@mail.test", PW=PASSWORD)
    assert "C: RCPT TO:<b@mail.test>" in ran.stderr
    check_no_secret([ran.stdout, ran.stderr], [PASSWORD], "a@mail.test")


def test_a_workflow_is_audited_too(cli: Any, write: Any, recorder: Recorder, tmp_path: Path) -> None:
    write("flow.json", WORKFLOW)
    write("cred.json", credential(recorder.port))
    write("input.json", [{}])
    ran = cli(
        "run", "flow.json", "--credential", "SOC=cred.json", "--input", "input.json",
        "--audit", "audit.jsonl", PW=PASSWORD,
    )  # fmt: skip
    assert ran.status == 0, ran.stdout + ran.stderr
    (line,) = (tmp_path / "audit.jsonl").read_text().splitlines()
    assert json.loads(line)["status"] == "sent"


def test_the_worker_is_audited_and_answers_prometheus(recorder: Recorder, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "nina_smtp", "serve", "--metrics-port", "0", "--audit", "audit.jsonl"]
    worker = subprocess.Popen(
        command, cwd=tmp_path, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert worker.stdin
    assert worker.stdout
    assert worker.stderr
    with worker:
        found = re.search(rb"metrics are at http://127\.0\.0\.1:(\d+)/metrics", worker.stderr.readline())
        assert found
        params = {
            "node": NODE, "credential": credential(recorder.port) | {"password": PASSWORD},
            "items": [{"to": "b@mail.test"}, {"to": "c@mail.test"}], "idempotencyKey": "run-1/mail",
        }  # fmt: skip
        request = {"jsonrpc": "2.0", "id": 1, "method": "run", "params": params}
        worker.stdin.write(json.dumps(request).encode() + b"\n")
        worker.stdin.flush()
        assert json.loads(worker.stdout.readline())["result"]["results"][1]["status"] == "sent"
        connection = http.client.HTTPConnection("127.0.0.1", int(found[1]), timeout=10)
        connection.request("GET", "/metrics")
        text = connection.getresponse().read().decode()
        connection.close()
        worker.stdin.close()
        assert worker.wait(60) == 0
    assert 'nina_mails_total{status="sent"} 2.0' in text
    assert 'nina_logins_total{result="ok"}' in text
    lines = [json.loads(line) for line in (tmp_path / "audit.jsonl").read_text().splitlines()]
    assert [(line["key"], line["item"]) for line in lines] == [("run-1/mail/0", 0), ("run-1/mail/1", 1)]
    check_no_secret([text, (tmp_path / "audit.jsonl").read_bytes()], [PASSWORD], "a@mail.test")


def test_a_mail_on_record_has_its_transcript_too(send: Any, recorder: Recorder, tmp_path: Path) -> None:
    ran = send(recorder.port, "--transcript", "said", "--ledger", "mail.db", "--audit", "audit.jsonl")
    assert ran.status == 0, ran.stderr
    assert "RCPT TO:<b@mail.test>" in (tmp_path / "said" / "0.log").read_text()
    (line,) = (tmp_path / "audit.jsonl").read_text().splitlines()
    assert json.loads(line)["status"] == "sent"
