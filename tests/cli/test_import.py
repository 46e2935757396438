"""``nina-smtp import``."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from bed.command import Command
from bed.invariants import check_no_secret
from bed.secret_forms import forms
from dialects.provider_rows import provider, step, workflow

from nina_smtp.cli import exchange
from nina_smtp.dialects.dialect import NAMES

SECRETS = ["hunter-zwölf", "$${LITERAL}", "a${b}c d", "${A:-x}", "${é}x", "p'a\"ss\\", "-----BEGIN", "0123"]
HEAVY = (
    "nina_smtp.dialects",
    "nina_smtp.catalog",
    "yaml",
    "liquid",
    "nh3",
    "jsonpath_ng",
    "sqlalchemy",
    "rich",
)


@pytest.fixture
def command(tmp_path: Path, capsysbinary: Any, monkeypatch: pytest.MonkeyPatch) -> Command:
    return Command(tmp_path, capsysbinary, monkeypatch)


def file(**providers: Any) -> dict[str, Any]:
    return {"providers": providers or {"email": provider()}, "workflows": [workflow(step())]}


# -- secrets -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("secret", SECRETS)
def test_a_secret_is_in_the_files_and_nowhere_else(secret: str, command: Command) -> None:
    command.put("f.yaml", file(email=provider(**{"pass": secret})))
    shown, written = command("import", "f.yaml"), command("import", "f.yaml", "--to", "out")
    assert (shown.status, written.status) == (0, 0)
    for ran in (shown, written):
        check_no_secret([ran.stdout, ran.stderr], [secret], "alice")
        assert ran.json["credentials"]["email"]["data"]["password"] == "${EMAIL_PASSWORD}"
    ours = json.loads((command.folder / "out/email.credential.json").read_text("utf-8"))
    assert ours["data"]["password"] == secret
    assert "Secrets are not shown" in shown.stderr
    assert "Secrets are not shown" not in written.stderr


def test_a_secret_of_the_environment_is_not_read(command: Command) -> None:
    command.put("f.yaml", file(email=provider(**{"pass": "${SMTP_PASSWORD}"})))
    ran = command("import", "f.yaml", "--to", "out", SMTP_PASSWORD="hunter-zwölf")
    assert ran.json["credentials"]["email"]["data"]["password"] == "${SMTP_PASSWORD}"
    text = (command.folder / "out/email.credential.json").read_text("utf-8")
    assert "${SMTP_PASSWORD}" in text
    check_no_secret([ran.stdout, ran.stderr, text], ["hunter-zwölf"])


@pytest.mark.parametrize(
    "document",
    [
        file(email=provider(port=0, **{"pass": "hunter-zwölf"})),
        file(email=provider(host="bad host", **{"pass": "hunter-zwölf"})),
        file(email=provider(**{"pass": ["hunter-zwölf"]})),
        file(email=provider(**{"pass": {"hunter-zwölf": 1}})),
        file(email=provider(**{"pass": "hunter-zwölf\n"})),
        file(email=provider(pasword="hunter-zwölf")),
        {"host": "h", "encryption": "tls", "username": "u", "password": ["hunter-zwölf"]},
        {"host": "h", "encryption": "tls", "username": "", "password": "hunter-zwölf"},
        "providers: {email: {provider: email, config: {pass: *hunter-zwölf}}}",
        "providers: {email: {provider: email, config: {pass: !hunter-zwölf x}}}",
        "providers:\n  email:\n    provider: email\n    config:\n      pass: 'hunter-zwölf\n",
        '{"providers": {"email": {"provider": "email", "config": {"pass": "hunter-zwölf}}}}',
    ],
)
def test_no_error_shows_a_secret(document: Any, command: Command) -> None:
    command.put("f.yaml", document)
    for ran in (command("import", "f.yaml"), command("import", "f.yaml", "--to", "out")):
        seen = ran.stdout + ran.stderr
        assert not any(form in seen.encode() for form in forms("hunter-zwölf"))
        assert ran.status in (0, 2)
        if ran.status:
            assert ran.error["message"] in ran.stderr
    assert not any(path.name.startswith(".") for path in command.folder.rglob("*"))


# -- files ---------------------------------------------------------------------------------------------


def test_files_are_whole_and_for_their_owner_alone(command: Command) -> None:
    before = os.umask(0)
    try:
        command.put("f.yaml", file())
        ran = command("import", "f.yaml", "--to", "a/b/out")
    finally:
        os.umask(before)
    assert ran.json["files"] == ["a/b/out/email.credential.json", "a/b/out/w.workflow.json"]
    found = sorted((command.folder / "a/b/out").iterdir())
    assert [path.name for path in found] == ["email.credential.json", "w.workflow.json"]
    for path in found:
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert json.loads(path.read_text("utf-8"))


def test_nothing_is_replaced_unless_it_is_asked_for(command: Command) -> None:
    command.put("f.yaml", file())
    command.put("out/w.workflow.json", "mine")
    ran = command("import", "f.yaml", "--to", "out")
    assert (ran.status, ran.error["parameter"]) == (2, "to")
    assert "--force" in ran.error["hint"]
    assert [path.name for path in (command.folder / "out").iterdir()] == ["w.workflow.json"]
    (command.folder / "out/w.workflow.json").chmod(0o644)
    assert command("import", "f.yaml", "--to", "out", "--force").status == 0
    replaced = command.folder / "out/w.workflow.json"
    assert "mine" not in replaced.read_text("utf-8")
    assert stat.S_IMODE(replaced.stat().st_mode) == 0o600


def test_a_link_is_replaced_and_what_it_leads_to_is_not(command: Command) -> None:
    command.put("f.yaml", file())
    kept = command.folder / command.put("kept.json", "mine")
    (command.folder / "out").mkdir()
    for name in ("email.credential.json", ".email.credential.json.new"):
        (command.folder / "out" / name).symlink_to(kept)
    assert command("import", "f.yaml", "--to", "out", "--force").status == 0
    assert kept.read_text("utf-8") == "mine"
    assert not (command.folder / "out/email.credential.json").is_symlink()


def test_what_cannot_be_written_leaves_nothing_behind(command: Command) -> None:
    command.put("f.yaml", file())
    assert command("import", "f.yaml", "--to", "f.yaml").error["parameter"] == "to"
    (command.folder / "out/email.credential.json").mkdir(parents=True)
    ran = command("import", "f.yaml", "--to", "out", "--force")
    assert (ran.status, ran.error["parameter"]) == (2, "to")
    assert [path.name for path in (command.folder / "out").iterdir()] == ["email.credential.json"]


@pytest.mark.parametrize(
    ("name", "written"),
    [
        ("../../etc/passwd", "_.._etc_passwd.credential.json"),
        ("/etc/passwd", "_etc_passwd.credential.json"),
        ("..", "credential.json"),
        (".hidden", "hidden.credential.json"),
        ("a\\b:c*d?e", "a_b_c_d_e.credential.json"),
        ("Münchner Büro", "Münchner Büro.credential.json"),
        ("x\ny\u202e\x00", "x_y_.credential.json"),
        ("a b@c", "a b@c.credential.json"),
    ],
)
def test_a_name_leads_to_no_other_folder(name: str, written: str, command: Command) -> None:
    command.put("f.json", {"providers": {name: provider()}})
    ran = command("import", "f.json", "--to", "deep/er/out")
    assert ran.status == 0, ran.stderr
    assert [path.name for path in (command.folder / "deep/er/out").iterdir()] == [written]
    assert len(list(command.folder.rglob("*"))) == 5
    assert all(character.isprintable() or character == "\n" for character in ran.stderr)


@pytest.mark.parametrize("name", ["é" * 300, "漢" * 300, "a" * 3000, "🎉" * 100])
def test_a_long_name_is_cut_to_what_a_file_system_takes(name: str, command: Command) -> None:
    command.put("f.json", {"providers": {name: provider()}})
    assert command("import", "f.json", "--to", "out").status == 0
    (path,) = (command.folder / "out").iterdir()
    assert path.name.endswith(".credential.json")
    assert len(path.name.encode()) <= 200


def test_two_names_of_one_file_are_told(command: Command) -> None:
    command.put("f.json", {"providers": {"a/b": provider(), "a:b": provider()}})
    ran = command("import", "f.json", "--to", "out")
    assert (ran.status, "twice" in ran.error["message"]) == (2, True)
    assert not (command.folder / "out").exists()


def test_half_a_character_is_refused_before_a_file_is_begun(command: Command) -> None:
    document = {"providers": {"email": provider(**{"pass": "${A}\ud800"})}}
    command.put("f.json", document)
    ran = command("import", "f.json", "--to", "out")
    assert ran.status == 2
    assert ran.error["parameter"] == "providers.email.config.pass"
    assert not (command.folder / "out").exists()


# -- what it is told, and what it says -----------------------------------------------------------------


def test_a_document_comes_from_standard_input(command: Command) -> None:
    document = {"operation": "send", "resource": "email", "parameters": {"to": "a@mail.test"}}
    ran = command("import", "-", stdin=json.dumps(document).encode())
    assert (ran.status, ran.json["nodes"]) == (0, {"imported": document})
    empty = command("import", "-")
    assert (empty.status, empty.error["parameter"]) == (2, "from")


@pytest.mark.parametrize("name", [name for name in NAMES if name != "provider"])
def test_another_systems_document_is_refused_with_a_remedy(name: str, command: Command) -> None:
    command.put("f.yaml", file())
    ran = command("import", "f.yaml", "--from", name)
    assert ran.status == 2
    assert ran.error["type"] == "invalidConfiguration"
    assert ran.error["message"] in ran.stderr
    assert ran.error["hint"]
    assert "Traceback" not in ran.stderr


def test_a_dialect_that_there_is_not_is_bad_usage(command: Command) -> None:
    assert command("import", "f.yaml", "--from", "lotus").status == 2
    assert command("import").status == 2


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"\xff\xfe\x00", "not UTF-8"),
        (b"a: [", "Line 1, column 5"),
        (b'{"a": 1,}', "Line 1, column 9"),
        (b"", "Nothing in the document tells"),
        (b"[]", "Nothing in the document tells"),
        (b"just text", "Nothing in the document tells"),
        (b"a: " + b"x" * (2 << 20), "2,097,155 octets"),
    ],
)
def test_a_file_that_is_none_is_refused_in_a_sentence(content: bytes, said: str, command: Command) -> None:
    command.put("f.yaml", content)
    ran = command("import", "f.yaml")
    assert (ran.status, said in ran.error["message"], bool(ran.error["hint"])) == (2, True, True)


def test_a_file_that_is_not_there_is_named(command: Command) -> None:
    for path in ("no.yaml", "."):
        ran = command("import", path)
        assert (ran.status, path in ran.error["message"]) == (2, True)


def test_notes_are_told_gravest_first_and_counted(command: Command) -> None:
    slack = {"provider": "slack"}
    command.put("f.yaml", file(email=provider(tls_skip_verify="true", color="red"), slack=slack))
    ran = command("import", "f.yaml")
    labels = [line[:9].strip() for line in ran.stderr.splitlines()[:-2]]
    assert list(dict.fromkeys(labels)) == ["warning", "left out", "better", "same"]
    counts = {label: labels.count(label) for label in labels}
    said = ran.stderr.splitlines()[-2]
    assert f"{counts['warning']} to look at" in said
    assert f"{counts['left out']} left out" in said
    assert {note["fate"] for note in ran.json["notes"]} == {"warning", "leftOut", "better", "same"}
    assert "None" not in ran.stderr


def test_help_imports_nothing_heavy() -> None:
    program = (
        "import sys\nfrom nina_smtp.cli import main\n"
        "try:\n main(['--help'])\nexcept SystemExit: pass\n"
        f"print(sorted(set({HEAVY!r}) & set(sys.modules)), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert "import" in done.stdout
    assert "export" in done.stdout
    assert done.stderr.strip() == "[]"


def test_the_command_line_knows_every_dialect_without_loading_one() -> None:
    assert exchange.NAMES == NAMES
