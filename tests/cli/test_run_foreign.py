"""``nina-smtp run`` and ``send`` with files of other systems, and with lines of JSON."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from bed.certs import Certs
from bed.command import Command, trusting
from bed.readers import read_same
from bed.recorder import Recorder
from dialects.provider_rows import PASSWORD, provider, step, workflow

LINES = b'{"to": "a@mail.test", "subject": "One"}\r\n\n{"to": "b@mail.test", "subject": "Tw\xc3\xb6"}\n'
NODE = {"resource": "email", "operation": "send", "parameters": {"body": "b"}}


@pytest.fixture
def command(tmp_path: Path, capsysbinary: Any, monkeypatch: pytest.MonkeyPatch) -> Command:
    return Command(tmp_path, capsysbinary, monkeypatch)


@pytest.fixture
def server(certs: Certs, monkeypatch: pytest.MonkeyPatch) -> Iterator[Recorder]:
    with Recorder(tls="starttls", users={"alice": PASSWORD}) as running, trusting(certs.ca_pem, monkeypatch):
        yield running


@pytest.fixture
def local(command: Command) -> Iterator[Recorder]:
    """A server without a login, whose credential is ``local.json``."""
    with Recorder() as running:
        data = {"host": "127.0.0.1", "port": running.port, "encryption": "none", "authMethod": "none"}
        command.put("local.json", {"type": "smtp", "data": data | {"fromAddress": "alerts@mail.test"}})
        command.put("node.json", NODE)
        yield running


def ours(*nodes: Any) -> dict[str, Any]:
    """A workflow of ours: a trigger, and one mail for each item."""
    mail = {"id": "mail", "type": "smtp", "name": "Mail", "credential": "local", "config": {**NODE}}
    start = {"id": "start", "type": "manual_trigger", "name": "Start"}
    return {"name": "Ours", "nodes": [start, mail], "edges": [{"from": "start", "to": "mail"}]}


# -- what is run ---------------------------------------------------------------------------------------


def test_a_file_of_another_system_is_run_from_standard_input_too(command: Command, server: Recorder) -> None:
    document = {"providers": {"email": provider(server.port)}, "workflows": [workflow(step())]}
    ran = command("run", "-", stdin=json.dumps(document).encode())
    assert ran.status == 0, ran.stderr
    assert len(server.messages) == 1


@pytest.mark.parametrize(
    ("document", "said"),
    [
        ({"providers": {"email": provider()}}, "has no workflow that can be run"),
        (NODE, "has no workflow that can be run"),
        ({"parameters": {"to": "a@mail.test"}}, "a node, not a workflow"),
        ({"a": 1}, "not a workflow"),
        ([], "A workflow is a JSON object"),
        ("text", "A workflow is a JSON object"),
        (b"\xff", "not UTF-8"),
        ("a: [", "Line 1, column 5"),
        ('{"workflows": [', "Line 1"),
    ],
)
def test_what_is_no_workflow_is_told_with_what_to_do(document: Any, said: str, command: Command) -> None:
    command.put("f.yaml", document)
    ran = command("run", "f.yaml")
    assert ran.status == 2
    assert said in ran.error["message"]
    assert ran.error["hint"]


def test_a_workflow_that_is_left_out_is_told_of_on_standard_error(command: Command) -> None:
    command.put("f.yaml", {"workflows": [workflow(step(), {"task": "approve"}, name="Approval")]})
    ran = command("run", "f.yaml")
    assert ran.status == 2
    assert "Approval is a workflow with a step that is not a mail (approve)" in ran.error["message"]


def test_warnings_are_told_before_anything_is_sent(command: Command, server: Recorder) -> None:
    account = provider(server.port, tls_skip_verify=True, color="red")
    command.put("f.yaml", {"providers": {"email": account}, "workflows": [workflow(step())]})
    lines = command("run", "f.yaml").stderr.splitlines()
    assert [line.split()[0] for line in lines] == ["warning", "left", "succeeded", "succeeded", "note:"]


def test_a_placeholder_that_is_left_is_no_sender(command: Command) -> None:
    account = provider(**{"from": "<your-gmail-address>"})
    command.put("f.yaml", {"providers": {"email": account}, "workflows": [workflow(step())]})
    ran = command("run", "f.yaml")
    assert (ran.status, ran.error["parameter"]) == (2, "fromAddress")
    assert "is still the placeholder <your-gmail-address>" in ran.stderr


def test_a_credential_that_takes_its_place_is_all_that_is_read(command: Command, local: Recorder) -> None:
    account = provider(**{"pass": "${NOT_SET}"})
    command.put("f.yaml", {"providers": {"email": account}, "workflows": [workflow(step())]})
    assert command("run", "f.yaml", "--credential", "email=local.json").status == 0
    assert len(local.messages) == 1
    for wrong in ("email", "=local.json", "email=", "email=no.json"):
        assert command("run", "f.yaml", "--credential", wrong).error["parameter"] == "credential"


def test_a_workflow_of_ours_goes_by_its_own_name_only(command: Command, local: Recorder) -> None:
    command.put("w.json", ours())
    using = ("run", "w.json", "--credential", "local=local.json", "--input", "-")
    assert command(*using, "--workflow", "Theirs", stdin=LINES).error["hint"] == "There are: Ours."
    assert local.messages == []
    assert command(*using, "--workflow", "Ours", stdin=LINES).status == 0
    assert len(local.messages) == 2


# -- lines of JSON -------------------------------------------------------------------------------------


@pytest.mark.parametrize("source", ["file.ndjson", "-"])
@pytest.mark.parametrize("lines", [LINES, b"\xef\xbb\xbf" + LINES, LINES.rstrip()])
def test_a_mail_for_each_line(source: str, lines: bytes, command: Command, local: Recorder) -> None:
    command.put("file.ndjson", lines)
    command.put("w.json", ours())
    sent = command("send", "node.json", "--credential", "local.json", "--input", source, stdin=lines)
    assert [result["item"] for result in sent.json["results"]] == [0, 1]
    ran = command("run", "w.json", "--credential", "local=local.json", "--input", source, stdin=lines)
    assert ran.status == 0, ran.stderr
    assert [read_same(message.content).subject for message in local.messages] == ["One", "Twö"] * 2


@pytest.mark.parametrize(
    ("lines", "place"),
    [
        (b'{"to": "a@mail.test"}\n{"to": }\n', "line 2, column 8"),
        (b'{"to": "a@mail.test"}\n\n\nnope\n', "line 4, column 1"),
        (b'{"to": x}\n{"to": "a@mail.test"}\n', "line 1, column 8"),
        (b'{"a": 1}\n{"b": 1, "b": 2}\n', "line 2: the key 'b' is twice"),
        (b'{"a": 1, "a": 2}\n{"b": 1}\n', "line 1: the key 'a' is twice"),
        (b'{"a": 1}\n{"b": NaN}\n', "line 2: NaN is not a JSON number"),
        (b'{"a": 1}\n{"b": "\xff"}\n', "octet 16 is not UTF-8"),
        (b'{"a": 1}\n{"b": 1} {"c": 2}\n', "line 2, column 10"),
    ],
)
def test_a_bad_line_is_named_by_its_number_and_nothing_is_sent(
    lines: bytes, place: str, command: Command, local: Recorder
) -> None:
    command.put("w.json", ours())
    for arguments in (
        ("send", "node.json", "--credential", "local.json", "--input", "-"),
        ("run", "w.json", "--credential", "local=local.json", "--input", "-"),
    ):
        ran = command(*arguments, stdin=lines)
        assert (ran.status, ran.error["parameter"]) == (2, "input")
        assert place in ran.error["message"]
    assert local.sessions == []


def test_one_text_over_several_lines_is_one_input(command: Command, local: Recorder) -> None:
    using = ("send", "node.json", "--credential", "local.json", "--input", "-")
    pretty = json.dumps({"to": "a@mail.test", "subject": "s"}, indent=2).encode()
    assert command(*using, stdin=pretty).json["status"] == "sent"
    assert command(*using, stdin=pretty + b"\n\n").json["status"] == "sent"
    listed = b'[\n{"to": "a@mail.test", "subject": "s"}\n]\n'
    assert len(command(*using, stdin=listed).json["results"]) == 1
    assert len(local.messages) == 3


def test_a_ledger_whose_library_is_missing_is_told_how_to_be_had(command: Command, local: Recorder) -> None:
    command.put("ours.json", ours())
    hidden = "import sys; sys.modules['sqlalchemy'] = None; from nina_smtp.cli import main; sys.exit(main())"
    run = ("run", "ours.json", "--credential", "local=local.json", "--ledger", "mail.db")
    ran = subprocess.run(
        [sys.executable, "-c", hidden, *run], capture_output=True, cwd=command.folder, timeout=60, check=False
    )
    error = json.loads(ran.stdout)["error"]
    assert (ran.returncode, error["parameter"]) == (2, "ledger")
    assert "nina-smtp[ledger]" in error["hint"]
    assert not local.sessions


def test_brief_prints_how_many_items_there_are(command: Command, local: Recorder) -> None:
    command.put("ours.json", ours())
    run = ("run", "ours.json", "--credential", "local=local.json", "--input", "-")
    ran = command(*run, "--brief", stdin=LINES)
    assert [node["outputs"] for node in ran.json["nodes"]] == [{"main": 2}, {"success": 2}]
