"""``nina-smtp test``, ``run``, ``describe``, ``verify``, ``serve``, ``inbox``, ``doctor``."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from bed.faulty import FaultyServer
from bed.invariants import check_no_secret
from bed.recorder import Recorder

EXAMPLES = Path(__file__).parents[2] / "examples"
PASSWORD = "hunter-zwölf"


def credential(port: int, **more: Any) -> dict[str, Any]:
    data = {
        "host": "localhost",
        "port": port,
        "encryption": "none",
        "username": "a@mail.test",
        "password": PASSWORD,
    }
    return data | more


# test


def test_a_good_credential_passes_every_step(cli, write, recorder: Recorder) -> None:
    ran = cli("test", write("cred.json", credential(recorder.port)))
    assert ran.status == 0
    assert ran.json["passed"] is True
    assert [step["step"] for step in ran.json["steps"]] == ["resolve", "connect", "greeting", "ehlo", "login"]
    assert not recorder.messages
    assert "ok     login" in ran.stderr
    check_no_secret([ran.stdout, ran.stderr], [PASSWORD], "a@mail.test")


def test_a_mail_is_sent_only_if_asked_for(cli, write, recorder: Recorder) -> None:
    ran = cli("test", write("cred.json", credential(recorder.port)), "--send-to", "b@mail.test")
    assert ran.status == 0
    assert ran.json["steps"][-1]["step"] == "send"
    assert len(recorder.messages) == 1


def test_a_refused_login_fails_at_its_step_and_says_what_to_do(cli, write, certs) -> None:
    with FaultyServer("a_echo", tls=certs) as server:
        data = credential(server.port, encryption="starttls", caCertificate=certs.ca_pem.read_text())
        ran = cli("test", write("cred.json", data))
    assert ran.status == 3
    assert ran.json["passed"] is False
    assert ran.json["steps"][-1]["error"]["type"] == "authFailed"
    assert "FAILED login" in ran.stderr
    check_no_secret([ran.stdout, ran.stderr], [PASSWORD], "a@mail.test")


# run


def test_the_workflow_of_the_demo_runs_with_a_named_credential(cli, write, recorder: Recorder) -> None:
    write(
        "cred.json", {"host": "127.0.0.1", "port": recorder.port, "encryption": "none", "authMethod": "none"}
    )
    workflow = str(EXAMPLES / "1-ransomware-alert" / "workflow.json")
    ran = cli("run", workflow, "--credential", "Local inbox=cred.json")
    assert ran.status == 0, ran.stderr
    assert ran.json["status"] == "succeeded"
    assert len(recorder.messages) == 1
    assert b"findings.csv" in recorder.messages[0].content


def test_input_replaces_the_sample_and_a_failed_mail_fails_the_run(cli, write, recorder: Recorder) -> None:
    node = {
        "id": "m",
        "type": "smtp",
        "name": "Mail",
        "config": {"parameters": {"to": "x@y.test", "subject": "{{ a.b }}", "body": "z"}},
    }
    node["credential"] = {"type": "smtp", "data": credential(recorder.port, password="${PW}")}
    trigger = {
        "id": "t",
        "type": "manual_trigger",
        "name": "T",
        "config": {"items": [{"a": {"b": "sample"}}]},
    }
    write("flow.json", {"name": "F", "nodes": [trigger, node], "edges": [{"from": "t", "to": "m"}]})
    good = cli("run", "flow.json", "--input", "-", stdin='{"a": {"b": "given"}}', PW=PASSWORD)
    assert good.status == 0, good.stderr
    assert b"Subject: given" in recorder.messages[0].content
    bad = cli("run", "flow.json", "--input", "-", stdin='{"a": {"c": 1}}', PW=PASSWORD)
    assert bad.status == 2
    assert bad.json["status"] == "failed"
    assert "a.b" in bad.stderr


def test_everything_wrong_with_a_workflow_is_said_at_once(cli, write) -> None:
    write(
        "flow.json",
        {
            "name": "F",
            "nodes": [{"id": "a", "type": "smpt", "name": "A"}],
            "edges": [{"from": "a", "to": "b"}],
        },
    )
    ran = cli("run", "flow.json")
    assert ran.status == 2
    assert ran.json["error"]["type"] == "invalidWorkflow"
    assert len(ran.json["error"]["problems"]) >= 2
    assert "smtp" in ran.stdout  # did you mean


# describe


def test_the_description_has_a_schema_for_everything(cli) -> None:
    described = cli("describe").json
    nodes = {node["type"]: node for node in described["nodes"]}
    assert set(nodes) == {"limacharlie_output", "manual_trigger", "smtp", "table_to_file"}
    assert set(nodes["smtp"]["operations"]) == {"send", "sendRaw"}
    assert nodes["smtp"]["operations"]["send"]["required"] == ["to", "subject", "body"]
    smtp, oauth = described["credentials"]
    assert smtp["schema"]["properties"]["password"]["anyOf"][0]["writeOnly"] is True
    assert {preset["name"] for preset in smtp["presets"]} >= {"gmail", "office365", "ses", "inbox"}
    assert (smtp["type"], oauth["type"]) == ("smtp", "smtpOAuth2")
    for name in ("clientSecret", "refreshToken", "accessToken"):
        assert oauth["schema"]["properties"][name]["anyOf"][0]["writeOnly"] is True
    assert {preset["name"] for preset in oauth["presets"]} >= {"gmail", "office365"}
    assert all("<svg" in node["icon"] and node["help"] for node in nodes.values())
    assert described["workflow"]["$id"]


# verify


@pytest.mark.parametrize("content_type", ["text", "html"])
def test_a_signed_mail_verifies_and_a_changed_one_does_not(
    cli, write, tmp_path: Path, content_type: str
) -> None:
    write(
        "node.json",
        {
            "parameters": {
                "to": "b@x.test",
                "subject": "s",
                "body": "Zeile ü\nzwei",
                "contentType": content_type,
            }
        },
    )
    write("cred.json", credential(25, secretKey="geheim"))
    write("key", "geheim\n")
    assert cli("send", "node.json", "--credential", "cred.json", "--dry-run", "--eml", "out").status == 0
    good = cli("verify", "out/0.eml", "--key-file", "key", "--now")
    assert good.status == 0
    assert good.json | {"signedAt": 0} == {
        "genuine": True,
        "lcSignature": "valid",
        "ninaSignature": "valid",
        "signedAt": 0,
        "signed": content_type,
        "notSigned": [
            "the header, but for Message-ID",
            *(["the plain text"] if content_type == "html" else []),
        ],
        "added": [],
    }
    message = (tmp_path / "out" / "0.eml").read_bytes()
    changed = message.replace(b"Message-ID: <", b"Message-ID: <x")
    (tmp_path / "moved.eml").write_bytes(changed)
    (tmp_path / "forged.eml").write_bytes(with_another_body(message))
    forged = cli("verify", "forged.eml", "--key-file", "key")
    assert (forged.status, forged.json["genuine"], forged.json["added"]) == (1, False, ["html"])
    moved = cli("verify", "moved.eml", "--key-file", "key")
    assert (moved.status, moved.json["ninaSignature"]) == (1, "wrong")
    write("wrong-key", "geheimnis")
    wrong = cli("verify", "out/0.eml", "--key-file", "wrong-key")
    assert (wrong.status, wrong.json["genuine"], wrong.json["lcSignature"]) == (1, False, "wrong")
    write("empty-key", "")
    assert cli("verify", "out/0.eml", "--key-file", "empty-key").status == 2


def with_another_body(message: bytes) -> bytes:
    """The mail inside a multipart/alternative with a body that most readers show instead of its own."""
    head, _, body = message.partition(b"\r\n\r\n")
    lines = re.sub(rb"\r\n[ \t]+", b" ", head).split(b"\r\n")
    own = [line for line in lines if line.lower().startswith(b"content-")]
    others = [line for line in lines if line not in own]
    return b"\r\n".join([
        *others, b'Content-Type: multipart/alternative; boundary="evil"', b"",
        b"--evil", *own, b"", body,
        b"--evil", b"Content-Type: text/html", b"", b"<b>evil</b>", b"--evil--", b"",
    ])  # fmt: skip


# doctor


def test_a_host_where_nothing_listens_is_said_to_be_none(cli) -> None:
    ran = cli("doctor", "127.0.0.2")
    assert ran.status == 3
    assert ran.json["settings"] == {}
    assert [port["speaks"] for port in ran.json["ports"]] == ["closed"] * 3
    assert cli("doctor", "http://x").status == 2


# inbox


def test_the_inbox_says_where_it_is_and_ends_on_a_signal(cli, write, tmp_path: Path) -> None:
    ports: list[int] = []
    for _ in range(2):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            ports.append(free.getsockname()[1])
    smtp, http = ports
    command = [sys.executable, "-m", "nina_smtp", "inbox", "--smtp-port", str(smtp), "--http-port", str(http)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=os.environ) as inbox:
        try:
            assert inbox.stderr
            said = (
                "".join(iter(lambda: inbox.stderr.readline(), ""))
                if inbox.poll() is not None
                else inbox.stderr.readline()
            )
            said += inbox.stderr.readline()
            assert f"127.0.0.1:{smtp}" in said
            assert f"http://127.0.0.1:{http}/" in said
            write(
                "node.json",
                {"parameters": {"to": "b@x.test", "from": "a@x.test", "subject": "Caught", "body": "x"}},
            )
            write(
                "cred.json", {"host": "127.0.0.1", "port": smtp, "encryption": "none", "authMethod": "none"}
            )
            assert cli("send", "node.json", "--credential", "cred.json").status == 0
            with urllib.request.urlopen(f"http://127.0.0.1:{http}/api/messages", timeout=10) as answer:
                assert json.load(answer)["messages"][0]["subject"] == "Caught"
        finally:
            inbox.send_signal(signal.SIGTERM)
            rest = inbox.stderr.read() if inbox.stderr else ""
    assert inbox.returncode == 0, rest


def test_a_taken_port_is_a_clear_error(cli) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        ran = cli("inbox", "--smtp-port", str(port), "--http-port", "0")
    assert ran.status == 2
    assert str(port) in ran.stderr
