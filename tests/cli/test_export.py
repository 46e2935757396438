"""``nina-smtp export``, and import → export → import."""

from __future__ import annotations

import json
import stat
from pathlib import Path
from typing import Any

import pytest
from bed.command import Command
from bed.invariants import check_no_secret
from dialects.provider_rows import provider, step, workflow

PASSWORD = "hunter-zwölf"
CREDENTIAL: dict[str, Any] = {
    "type": "smtp", "name": "SOC", "data": {"host": "h.test", "username": "u", "password": PASSWORD},
}  # fmt: skip
NODE = {"resource": "email", "operation": "send", "parameters": {"to": ["a@mail.test"], "body": "b"}}


@pytest.fixture
def command(tmp_path: Path, capsysbinary: Any, monkeypatch: pytest.MonkeyPatch) -> Command:
    return Command(tmp_path, capsysbinary, monkeypatch)


def test_a_secret_is_a_variable_on_standard_output_and_in_the_file_itself(command: Command) -> None:
    command.put("soc.credential.json", CREDENTIAL)
    shown = command("export", "soc.credential.json", "--to", "nina")
    assert shown.json["data"]["password"] == "${SOC_PASSWORD}"
    written = command("export", "soc.credential.json", "--to", "nina", "--out", "nina.json")
    assert (written.status, written.stdout) == (0, "")
    check_no_secret([shown.stdout, shown.stderr, written.stderr], [PASSWORD], "u")
    path = command.folder / "nina.json"
    assert json.loads(path.read_text("utf-8"))["data"]["password"] == PASSWORD
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.parametrize("out", ["no/such/folder/x.json", "."])
def test_a_file_that_cannot_be_written_is_told_and_shows_no_secret(out: str, command: Command) -> None:
    command.put("soc.json", CREDENTIAL)
    ran = command("export", "soc.json", "--to", "nina", "--out", out)
    assert (ran.status, ran.error["parameter"]) == (2, "out")
    check_no_secret([ran.stdout, ran.stderr], [PASSWORD], "u")
    assert [path.name for path in command.folder.iterdir()] == ["soc.json"]


@pytest.mark.parametrize(
    "content",
    [
        {"data": "text"},
        {"data": "${ALL}"},
        {"type": 5, "data": {}},
        {"data": {"host": "h.test"}},
        {"host": "h.test", "port": 0, "username": "u", "password": PASSWORD},
        {"nodes": 5},
        {"nodes": [{}], "edges": []},
        {"nodes": [], "edges": []},
        {"name": "w", "nodes": [{"id": "a", "type": "smtp", "name": "A"}], "edges": [{"from": "x"}]},
        {"parameters": 5},
        {"parameters": {"subjcet": "x"}},
        {"a": 1},
        [],
        "no JSON",
        '{"a": 1, "a": 2}',
    ],
)
@pytest.mark.parametrize("target", ["nina", "provider"])
def test_a_file_that_is_not_ours_is_refused_in_a_sentence(
    content: Any, target: str, command: Command
) -> None:
    command.put("f.json", content)
    ran = command("export", "f.json", "--to", target)
    assert ran.status == 2, ran.stdout
    assert ran.error["message"] in ran.stderr
    check_no_secret([ran.stdout, ran.stderr], [PASSWORD])


def test_two_files_of_one_name_are_told(command: Command) -> None:
    command.put("a/soc.json", CREDENTIAL)
    command.put("b/soc.credential.json", CREDENTIAL)
    ran = command("export", "a/soc.json", "b/soc.credential.json", "--to", "provider")
    assert (ran.status, "another file called soc" in ran.error["message"]) == (2, True)


def test_what_would_be_lost_is_named_and_nothing_is_written(command: Command) -> None:
    command.put("soc.json", CREDENTIAL | {"data": CREDENTIAL["data"] | {"secretKey": "k3y"}})
    ran = command("export", "soc.json", "--to", "nina", "--out", "nina.json")
    assert ran.status == 2
    assert ran.error["parameter"] == "The credential soc: data.secretKey"
    assert not (command.folder / "nina.json").exists()


def test_a_workflow_without_the_credential_it_goes_by_is_refused(command: Command) -> None:
    command.put("f.yaml", {"providers": {"email": provider()}, "workflows": [workflow(step())]})
    command("import", "f.yaml", "--to", "out")
    data = CREDENTIAL["data"] | {"authMethod": "auto", "fromAddress": "a@mail.test"}
    command.put("soc.json", {"type": "smtp", "data": data})
    ran = command("export", "out/w.workflow.json", "soc.json", "--to", "provider")
    assert (ran.status, ran.error["parameter"]) == (2, "The credential email")
    alone = command("export", "out/w.workflow.json", "--to", "provider")
    assert alone.json["workflows"][0]["steps"][0]["config"]["provider"] == "email"


def test_standard_input_is_a_file_of_ours(command: Command) -> None:
    ran = command("export", "-", "--to", "nina", stdin=json.dumps(NODE).encode())
    assert (ran.status, ran.json) == (0, NODE)


def there_and_back(command: Command, target: str) -> None:
    """What is brought here is exported, and what is brought here of that is the same."""
    first = command("import", "f.yaml", "--to", "one")
    assert first.status == 0, first.stderr
    out = command("export", *first.json["files"], "--to", target, "--out", "g.yaml")
    assert out.status == 0, out.stderr
    second = command("import", "g.yaml", "--to", "two")
    assert second.status == 0, second.stderr

    def contents(folder: str) -> dict[str, Any]:
        found = (command.folder / folder).iterdir()
        return {path.name.replace("f.", "g."): json.loads(path.read_text("utf-8")) for path in found}

    assert contents("one") == contents("two")
    again = command("export", *second.json["files"], "--to", target, "--out", "h.yaml")
    assert again.status == 0, again.stderr
    assert (command.folder / "g.yaml").read_text("utf-8") == (command.folder / "h.yaml").read_text("utf-8")


def test_a_file_of_the_provider_is_the_same_there_and_back(command: Command) -> None:
    providers = {"email": provider(name="Mail"), "backup": provider(465, **{"pass": "$${X}"})}
    steps = [step(), step(provider=["backup"], subject="{{ x }}", headers={"X-A": "{% b"})]
    command.put("f.yaml", {"providers": providers, "workflows": [workflow(*steps)]})
    there_and_back(command, "provider")


def test_a_node_and_a_credential_of_nina_are_the_same_there_and_back(command: Command) -> None:
    account = {"host": "h.test", "encryption": "none", "username": "u", "password": PASSWORD}
    command.put("f.yaml", {"node": NODE, "credential": account})
    there_and_back(command, "nina")
