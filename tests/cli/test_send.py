"""``nina-smtp send``."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from bed.certs import Certs
from bed.faulty import FaultyServer
from bed.invariants import check_no_secret, check_wire
from bed.recorder import Recorder

NODE = {"parameters": {"to": "b@mail.test", "subject": "{{ what }}", "body": "Hello"}}
PASSWORD = "hunter-zwölf"


def credential(port: int, **more: Any) -> dict[str, Any]:
    data = {
        "host": "127.0.0.1",
        "port": port,
        "encryption": "none",
        "username": "a@mail.test",
        "password": "${PW}",
    }
    return {"type": "smtp", "data": data | more}


def test_one_item_prints_one_result(cli, write, recorder: Recorder) -> None:
    write("node.json", NODE)
    write("cred.json", credential(recorder.port))
    ran = cli(
        "send", "node.json", "--credential", "cred.json", "--input", "-", stdin='{"what": "One"}', PW=PASSWORD
    )
    assert ran.status == 0, ran.stderr
    assert ran.json["status"] == "sent"
    assert ran.json["accepted"] == ["b@mail.test"]
    assert ran.json["sources"]["subject"] == {"source": "node"}
    check_wire(recorder, ["b@mail.test"])
    check_no_secret([ran.stdout, ran.stderr], [PASSWORD], "a@mail.test")


def test_a_list_prints_all_results_or_a_line_for_each(cli, write, recorder: Recorder) -> None:
    write("node.json", NODE)
    write("cred.json", credential(recorder.port))
    write("input.json", [{"what": "One"}, {"what": "Two"}])
    arguments = ("send", "node.json", "--credential", "cred.json", "--input", "input.json")
    assert [result["item"] for result in cli(*arguments, PW=PASSWORD).json["results"]] == [0, 1]
    assert [result["item"] for result in cli(*arguments, "--jsonl", PW=PASSWORD).lines] == [0, 1]
    assert len(recorder.messages) == 4


def test_an_empty_list_sends_nothing(cli, write, recorder: Recorder) -> None:
    write("node.json", NODE)
    write("cred.json", credential(recorder.port))
    ran = cli("send", "node.json", "--credential", "cred.json", "--input", "-", stdin="[]", PW=PASSWORD)
    assert ran.status == 0
    assert ran.json == {"results": []}
    assert not recorder.sessions


def test_a_dry_run_builds_and_connects_to_nothing(cli, write, recorder: Recorder, tmp_path: Path) -> None:
    write("node.json", NODE)
    write("cred.json", credential(recorder.port))
    arguments = (
        "send",
        "node.json",
        "--credential",
        "cred.json",
        "--input",
        "-",
        "--dry-run",
        "--eml",
        "out",
    )
    ran = cli(*arguments, stdin='{"what": "Dry"}', PW=PASSWORD)
    assert ran.status == 0
    assert ran.json["status"] == "dryRun"
    assert not recorder.sessions
    message = (tmp_path / "out" / "0.eml").read_bytes()
    assert len(message) == ran.json["size"]
    assert b"Subject: Dry\r\n" in message


def test_the_same_idempotency_key_gives_the_same_message_ids(cli, write, recorder: Recorder) -> None:
    write("node.json", NODE)
    write("cred.json", credential(recorder.port))
    arguments = ("send", "node.json", "--credential", "cred.json", "--input", "-", "--idempotency-key")
    first, again, other = (
        cli(*arguments, key, stdin='{"what": "x"}', PW=PASSWORD).json["messageId"] for key in ("k", "k", "l")
    )
    assert first == again != other


def test_the_first_failure_stops_the_rest_unless_asked_to_go_on(cli, write, recorder: Recorder) -> None:
    write("cred.json", credential(recorder.port))
    items = '[{"what": "a\\nb"}, {"what": "Two"}]'
    for option, second, status in (("fail", "notAttempted", 2), ("continue", "sent", 1)):
        write("node.json", NODE | {"options": {"onError": option}})
        ran = cli("send", "node.json", "--credential", "cred.json", "--input", "-", stdin=items, PW=PASSWORD)
        assert [result["status"] for result in ran.json["results"]] == ["failed", second]
        assert ran.status == status
        assert ran.json["results"][0]["error"]["parameter"] == "subject"


@pytest.mark.parametrize(
    ("refused", "on_partial", "status", "outcome"),
    [(b"c@mail.test", "warn", 0, "partial"), (b"c@mail.test", "fail", 1, "partial")],
)
def test_a_refused_recipient_fails_the_command_only_if_asked(
    cli, write, refused: bytes, on_partial: str, status: int, outcome: str
) -> None:
    with Recorder(rcpt_replies={refused: b"550 5.1.1 No such user"}) as recorder:
        parameters = NODE["parameters"] | {"to": "b@mail.test, c@mail.test"}
        write("node.json", {"parameters": parameters, "options": {"onPartial": on_partial}})
        write("cred.json", credential(recorder.port))
        ran = cli(
            "send",
            "node.json",
            "--credential",
            "cred.json",
            "--input",
            "-",
            stdin='{"what": "x"}',
            PW=PASSWORD,
        )
    assert (ran.status, ran.json["status"]) == (status, outcome)
    assert ran.json["rejected"][0]["enhancedCode"] == "5.1.1"
    assert "c@mail.test was refused" in ran.stderr


def test_every_recipient_refused_is_a_failed_delivery(cli, write) -> None:
    with Recorder(rcpt_replies={b"b@mail.test": b"550 5.1.1 No such user"}) as recorder:
        write("node.json", NODE)
        write("cred.json", credential(recorder.port))
        ran = cli(
            "send",
            "node.json",
            "--credential",
            "cred.json",
            "--input",
            "-",
            stdin='{"what": "x"}',
            PW=PASSWORD,
        )
    assert ran.status == 1
    assert ran.json["error"]["type"] == "recipientsRefused"


def test_no_connection_is_exit_status_3(cli, write) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        write("node.json", NODE)
        write("cred.json", credential(unused.getsockname()[1]))
        ran = cli(
            "send",
            "node.json",
            "--credential",
            "cred.json",
            "--input",
            "-",
            stdin='{"what": "x"}',
            PW=PASSWORD,
        )
    assert ran.status == 3
    assert ran.json["error"]["type"] == "connectFailed"


@pytest.mark.parametrize(
    ("change", "place"),
    [
        ({"host": "http://mail.test"}, "host"),
        ({"port": "25"}, "port"),
        ({"hots": "x"}, "hots"),
        ({"password": "${NOT_SET}"}, "NOT_SET"),
        ({"password": "a\nb"}, "password"),
    ],
)
def test_a_wrong_credential_is_invalid_input_and_nothing_is_connected_to(
    cli, write, recorder: Recorder, change: dict[str, Any], place: str
) -> None:
    write("node.json", NODE)
    document = credential(recorder.port)
    document["data"] |= change
    write("cred.json", document)
    ran = cli(
        "send", "node.json", "--credential", "cred.json", "--input", "-", stdin='{"what": "x"}', PW=PASSWORD
    )
    assert ran.status == 2
    assert ran.json["error"]["parameter"] == place
    assert not recorder.sessions


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("node.json", "{", "line 1, column 2"),
        ("node.json", '{"a": 1, "a": 2}', "twice"),
        ("node.json", '{"a": NaN}', "NaN"),
        ("node.json", "[1]", "not a JSON object"),
        ("node.json", '{"parameters": {"too": "x"}}', "'too' is not a parameter"),
        ("cred.json", "", "not JSON"),
    ],
)
def test_a_file_that_is_not_what_it_should_be_is_named(cli, write, name: str, text: str, says: str) -> None:
    write("node.json", NODE)
    write("cred.json", credential(25))
    write(name, text)
    ran = cli("send", "node.json", "--credential", "cred.json", "--dry-run", PW=PASSWORD)
    assert ran.status == 2
    assert says in ran.json["error"]["message"]
    assert says in ran.stderr


def test_a_missing_file_is_named(cli, write) -> None:
    write("cred.json", credential(25))
    ran = cli("send", "nowhere.json", "--credential", "cred.json", PW=PASSWORD)
    assert ran.status == 2
    assert "nowhere.json" in ran.json["error"]["message"]


def test_bad_usage_is_exit_status_2(cli) -> None:
    assert cli("send").status == 2
    assert cli("sned").status == 2
    assert cli().status == 2


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
@pytest.mark.parametrize("lines", [False, True])
def test_stopped_while_it_waits_for_the_verdict_it_says_what_became_of_every_mail(
    write, tmp_path: Path, certs: Certs, number: signal.Signals, status: int, lines: bool
) -> None:
    write("node.json", NODE | {"options": {"onError": "continue"}})
    write("input.json", [{"what": "One"}, {"what": "Two"}, {"what": "Three"}])
    with FaultyServer("x_hang", tls=certs) as server:
        data = {"encryption": "starttls", "host": "localhost", "caCertificate": certs.ca_pem.read_text()}
        data["timeouts"] = {"quit": 0.3}
        write("cred.json", credential(server.port, **data))
        command = [sys.executable, "-m", "nina_smtp", "send", "node.json", "--credential", "cred.json"]
        with subprocess.Popen(
            [*command, "--input", "input.json", *(["--jsonl"] if lines else [])],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=tmp_path,
            env={**os.environ, "PW": PASSWORD},
        ) as sending:
            deadline = time.monotonic() + 30
            while not server.messages and time.monotonic() < deadline:
                time.sleep(0.01)  # until the server has the message, and keeps silent
            sending.send_signal(number)
            said, told = sending.communicate(timeout=30)
    results = [json.loads(line) for line in said.splitlines()] if lines else json.loads(said)["results"]
    assert [result["status"] for result in results] == ["unknown", "notAttempted", "notAttempted"]
    assert results[0]["error"]["uncertain"] is True
    assert results[0]["accepted"] == []
    assert "interrupted: 0 of 3 sent, 1 unknown" in told
    assert sending.returncode == status


def test_a_result_that_cannot_be_written_has_an_exit_status_of_its_own(write, tmp_path: Path) -> None:
    write("node.json", NODE)
    write("cred.json", credential(25))
    arguments = "send node.json --credential cred.json --dry-run --input -"
    full = f'echo \'{{"what": "x"}}\' | {sys.executable} -m nina_smtp {arguments} > /dev/full'
    closed = f'echo \'{{"what": "x"}}\' | {sys.executable} -m nina_smtp {arguments} >&-'
    for line in (full, closed):
        done = subprocess.run(
            ["sh", "-c", line],
            cwd=tmp_path,
            env={**os.environ, "PW": PASSWORD},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert "Traceback" not in done.stderr
        assert done.returncode == 74, done.stderr


def test_a_folder_that_cannot_be_written_is_named_before_anything_is_sent(
    cli, write, recorder: Recorder
) -> None:
    write("node.json", NODE)
    write("cred.json", credential(recorder.port))
    arguments = ("send", "node.json", "--credential", "cred.json", "--input", "-", "--eml", "node.json")
    ran = cli(*arguments, stdin='{"what": "x"}', PW=PASSWORD)
    assert ran.status == 2
    assert ran.json["error"]["parameter"] == "eml"
    assert not recorder.sessions


def test_closed_standard_input_is_a_clear_error(write, tmp_path: Path) -> None:
    write("node.json", NODE)
    write("cred.json", credential(25))
    for command in ("send node.json --credential cred.json --input -", "serve"):
        done = subprocess.run(
            ["sh", "-c", f"{sys.executable} -m nina_smtp {command} <&-"],
            cwd=tmp_path,
            env={**os.environ, "PW": PASSWORD},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 2, done.stderr
        assert "Traceback" not in done.stderr
        assert "closed" in done.stderr
