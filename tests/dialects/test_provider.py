"""The ``email.smtp`` provider."""

from __future__ import annotations

import json
import re
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
import yaml
from bed.certs import Certs
from bed.command import Command, trusting
from bed.fickle import Fickle
from bed.invariants import check_no_secret
from bed.mailservers import MailHost
from bed.readers import read_same
from bed.recorder import Recorder
from dialects.provider_rows import (
    PASSWORD,
    SEED,
    TABLE,
    Bench,
    Row,
    data,
    imported,
    provider,
    refused,
    refused_step,
    step,
    workflow,
)
from dialects.seed_tables import ROOT, SEEDS, kept, tables_of

from nina_smtp.delivery.ledger.database import engine_for
from nina_smtp.delivery.ledger.tables import mails
from nina_smtp.dialects.dialect import dialect, read
from nina_smtp.dialects.imported import Fate, Imported
from nina_smtp.errors import InvalidConfiguration, NinaError

EXAMPLES = sorted((ROOT / "examples/provider").glob("*.yaml"))
ALONE = [path for path in EXAMPLES if "workflows" not in path.read_text("utf-8")]
NAMES = kept("provider.json")


@pytest.fixture
def command(tmp_path: Path, capsysbinary: Any, monkeypatch: pytest.MonkeyPatch) -> Command:
    return Command(tmp_path, capsysbinary, monkeypatch)


@pytest.fixture
def trusted(certs: Certs, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with trusting(certs.ca_pem, monkeypatch):
        yield


@pytest.fixture
def server(trusted: None) -> Iterator[Recorder]:
    with Recorder(tls="starttls", users={"alice": PASSWORD}) as running:
        yield running


@pytest.fixture
def bench(command: Command, server: Recorder) -> Bench:
    return Bench(command, server)


@pytest.fixture
def closed() -> Iterator[int]:
    """A port at which nobody listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield taken.getsockname()[1]


def read_file(**document: Any) -> Imported:
    return read(document, "f", dialect_name="provider")


def parameters(**config: Any) -> Any:
    """Those of the node that a step becomes."""
    return read_file(workflows=[workflow(step(**config))]).workflows[0]["nodes"][1]["config"]["parameters"]


def left_out(found: Imported) -> list[str]:
    return [note.place for note in found.told(Fate.LEFT_OUT)]


# -- its documentation ---------------------------------------------------------------------------------


@pytest.mark.parametrize("row", TABLE, ids=lambda row: row.id)
def test_a_row_of_the_documentation(row: Row, bench: Bench) -> None:
    row.check(bench)


def keys(config: dict[str, Any]) -> Iterator[str]:
    for key, value in config.items():
        yield from [f"{key}.{inner}" for inner in value] if isinstance(value, dict) else [key]


def test_no_row_of_the_documentation_is_missing() -> None:
    assert [(row.table, row.name) for row in TABLE] == [(t, row) for t, rows in NAMES.items() for row in rows]
    if (seed := SEEDS / SEED).exists():
        text = seed.read_text("utf-8")
        block = re.search(r"## Usage in Workflows\s+```yaml\n(.*?)```", text, re.DOTALL)
        assert block
        (used,) = yaml.safe_load(block[1])["workflows"][0]["steps"]
        assert tables_of(text) | {"Usage in Workflows": list(keys(used["config"]))} == NAMES


def test_the_examples_are_those_of_the_documentation() -> None:
    assert len(EXAMPLES) == 8
    if (seed := SEEDS / SEED).exists():
        blocks = re.findall(r"```yaml\n(.*?)```", seed.read_text("utf-8"), re.DOTALL)
        assert [path.read_text("utf-8") for path in EXAMPLES[:7]] == blocks


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_is_imported_as_it_is_and_its_placeholders_are_told_of(
    path: Path, command: Command
) -> None:
    ran = command("import", str(path))
    assert ran.status == 0, ran.stderr
    text = path.read_text("utf-8")
    placeholders = re.findall(r"(\w+): (<[a-z-]+>)", text)
    for key, placeholder in placeholders:
        assert re.search(rf"warning .*config\.{key}: is still the placeholder {placeholder}", ran.stderr)
    told = [note for note in ran.json["notes"] if note["fate"] == "warning"]
    assert len(told) == len(placeholders) + ("tls_skip_verify: true" in text)
    assert "left out" not in ran.stderr


def filled_in(path: Path, host: MailHost) -> dict[str, Any]:
    """An example as a user of this server would fill it in."""
    document: dict[str, Any] = yaml.safe_load(path.read_text("utf-8"))
    for one in document.get("providers", {}).values():
        one["config"] |= {
            "host": host.host, "port": host.starttls_port, "user": host.user, "pass": "${SMTP_PASSWORD}",
            "from": "alice@mail.test",
        }  # fmt: skip
    for one in document.get("workflows", ()):
        one["steps"][0]["config"]["to"] = ["bob@mail.test"]
    return document


@pytest.mark.parametrize("path", ALONE, ids=lambda path: path.stem)
def test_a_provider_of_an_example_passes_the_test_of_its_credential(
    path: Path, command: Command, postfix: MailHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without the authority being trusted only the one that skips the verification passes."""
    command.put("example.yaml", filled_in(path, postfix))
    (written,) = command("import", "example.yaml", "--to", "out").json["files"]
    skips = "tls_skip_verify: true" in path.read_text("utf-8")
    untrusted = command("test", written, SMTP_PASSWORD=postfix.password)
    assert (untrusted.status, untrusted.json["passed"]) == ((0, True) if skips else (3, False))
    with trusting(postfix.ca_pem, monkeypatch):
        ran = command("test", written)
    assert (ran.status, ran.json["passed"]) == (0, True), ran.stderr
    check_no_secret([ran.stdout, ran.stderr], [postfix.password], postfix.user)


@pytest.mark.parametrize("path", EXAMPLES[6:], ids=lambda path: path.stem)
def test_the_workflow_of_an_example_arrives_as_text_and_html(
    path: Path, command: Command, postfix: MailHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    command.put("example.yaml", filled_in(path, postfix))
    given: list[str] = []
    if path.stem == "7-workflow-alone":
        assert "email" in command("run", "example.yaml").json["error"]["message"]
        command.put("first.yaml", filled_in(EXAMPLES[0], postfix))
        (written,) = command("import", "first.yaml", "--to", ".").json["files"]
        given = ["--credential", f"email={written}"]
    with trusting(postfix.ca_pem, monkeypatch):
        ran = command("run", "example.yaml", *given, SMTP_PASSWORD=postfix.password)
    assert ran.status == 0, ran.stderr
    (item,) = ran.json["nodes"][1]["outputs"]["success"]
    mail = read_same(postfix.imap_fetch("bob@mail.test", item["json"]["messageId"]))
    assert mail.subject == "Access Request Approval Required"
    assert (mail.text or "").strip() == "A new access request requires your approval."
    html = "<h2>Access Request</h2><p>A new access request requires your approval.</p>"
    assert (mail.html or "").strip() == html
    check_no_secret([ran.stdout, ran.stderr], [postfix.password], postfix.user)


# -- what it promises ----------------------------------------------------------------------------------


def test_two_steps_are_two_mails_over_one_connection(bench: Bench) -> None:
    bench.sent(step(subject="One"), step(subject="Two"))
    assert [len(session.messages) for session in bench.server.sessions] == [2]


def test_no_mail_has_the_message_id_of_the_one_before_it(bench: Bench) -> None:
    bench.sent(step(), step(), step())
    ids = {re.findall(rb"(?m)^Message-ID: (.*)\r", message.content)[0] for message in bench.server.messages}
    assert len(ids) == 3


def test_what_the_workflow_starts_with_adds_no_recipient(command: Command, server: Recorder) -> None:
    command.put("f.yaml", {"providers": {"email": provider(server.port)}, "workflows": [workflow(step())]})
    evil = {
        "to": "e@mail.test",
        "cc": "e@mail.test",
        "bcc": "e@mail.test",
        "parameters": {"bcc": "e@mail.test"},
    }
    assert command("run", "f.yaml", "--input", "-", stdin=json.dumps(evil).encode()).status == 0
    assert [message.recipients for message in server.messages] == [[b"bob@mail.test"]]


def test_a_step_that_fails_ends_the_workflow(command: Command, server: Recorder) -> None:
    server.rcpt_replies[b"gone@mail.test"] = b"550 5.1.1 Gone"
    bench = Bench(command, server)
    ran = bench.run(step(to="gone@mail.test"), step())
    assert (ran.status, [node["status"] for node in ran.json["nodes"]][1:]) == (1, ["failed", "skipped"])
    assert server.messages == []


def test_what_fails_for_now_is_tried_again_and_sent_once(command: Command) -> None:
    with Fickle(dot=[b"451 4.3.0 Try later"]) as server:
        command.put("f.yaml", {"workflows": [workflow(step())]})
        local = {"host": "127.0.0.1", "port": server.port, "encryption": "none", "authMethod": "none"}
        command.put("local.json", {"type": "smtp", "data": local | {"fromAddress": "a@mail.test"}})
        using = ("run", "f.yaml", "--credential", "email=local.json", "--ledger", "mail.db")
        first = command(*using, "--idempotency-key", "4711")
        assert first.status == 75, first.stderr
        make_due(command.folder / "mail.db")
        again = command(*using, "--idempotency-key", "4711", "--wait", "60")
        assert again.status == 0, again.stderr
        assert command(*using, "--idempotency-key", "4711").status == 0
    assert [message.taken for message in server.transactions] == [False, True]


def make_due(ledger: Path) -> None:
    engine = engine_for(ledger)
    with engine.begin() as connection:
        connection.execute(sa.update(mails).values(due=0.0))
    engine.dispose()


def test_without_starttls_neither_password_nor_mail_goes_out(command: Command, trusted: None) -> None:
    with Recorder(tls="none") as server:
        ran = Bench(command, server).run()
    assert (ran.status, ran.json["nodes"][1]["error"]["type"]) == (3, "tlsRequired")
    assert not server.saw_secret(PASSWORD, "alice")
    assert server.transactions == []


def test_the_second_provider_is_used_with_its_own_login_while_the_first_is_down(
    command: Command, server: Recorder, closed: int
) -> None:
    providers = {"email": provider(closed, user="else", **{"pass": "else"}), "backup": provider(server.port)}
    command.put("f.yaml", {"providers": providers, "workflows": [workflow(step())]})
    ran = command("run", "f.yaml")
    assert ran.status == 0, ran.stderr
    assert [exchange.user for session in server.sessions for exchange in session.exchanges] == ["alice"]
    assert len(server.messages) == 1
    (item,) = ran.json["nodes"][1]["outputs"]["success"]
    assert "could not be used" in item["json"]["warnings"][0]


def test_the_others_of_the_file_are_what_a_mail_falls_back_on_in_their_order() -> None:
    providers = {name: provider() for name in ("a", "b", "c")}
    for given, route in (("b", ["b", "a", "c"]), (["c", "a"], ["c", "a"]), (["b"], "b")):
        found = read_file(providers=providers, workflows=[workflow(step(provider=given))])
        assert found.workflows[0]["nodes"][1]["credential"] == route


def test_a_mail_that_falls_back_keeps_its_sender_which_is_told_if_that_is_another_one() -> None:
    providers = {"email": provider(), "backup": provider(**{"from": "backup@corp.example"})}
    (note,) = read_file(providers=providers, workflows=[workflow(step())]).told(Fate.WARNING)
    assert note.place == "workflows[0].steps[0].config.provider"
    assert "still from the sender of the first" in note.message
    own = workflow(step(**{"from": "soc@corp.example"}))
    assert not list(read_file(providers=providers, workflows=[own]).told(Fate.WARNING))


# -- providers -----------------------------------------------------------------------------------------


def test_everything_that_is_missing_is_named_at_once() -> None:
    error = refused(host=None, user="", **{"pass": None})
    assert "[host user pass]" in error.message


def test_a_password_of_the_environment_is_read_when_it_is_used_and_shown_nowhere(
    command: Command, server: Recorder
) -> None:
    providers = {"email": provider(server.port, **{"pass": "${SMTP_PASSWORD}"})}
    command.put("f.yaml", {"providers": providers, "workflows": [workflow(step())]})
    assert command("import", "f.yaml").json["credentials"]["email"]["data"]["password"] == "${SMTP_PASSWORD}"
    missing = command("run", "f.yaml")
    assert (missing.status, missing.error["parameter"]) == (2, "SMTP_PASSWORD")
    ran = command("run", "f.yaml", SMTP_PASSWORD=PASSWORD)
    assert ran.status == 0, ran.stderr
    check_no_secret([ran.stdout, ran.stderr], [PASSWORD], "alice")


def test_a_dollar_before_it_makes_a_variable_a_password(command: Command, server: Recorder) -> None:
    server.users = {"alice": "${NOT_SET}"}
    assert Bench(command, server).sent(**{"pass": "$${NOT_SET}"})


def test_braces_that_are_no_variable_are_told_of() -> None:
    for password in ("${A:-b}", "${a b}", "$${"):
        (note,) = imported(**{"pass": password}).told(Fate.WARNING)
        assert note.place == "providers.email.config.pass"
        assert password not in note.message
        assert data(**{"pass": password})["password"] == password


@pytest.mark.parametrize(("kind", "platform"), [("email.ses", None), ("email", "acs"), ("email", "SES")])
def test_a_provider_that_is_not_smtp_is_left_out_with_the_way_to_reach_it(
    kind: str, platform: str | None
) -> None:
    other = {"provider": kind, "config": {"platform": platform, "from": "a@corp.example"}}
    found = read_file(providers={"cloud": other, "email": provider()})
    assert list(found.credentials) == ["email"]
    (note,) = found.told(Fate.LEFT_OUT)
    assert note.place == "providers.cloud"
    assert "over SMTP use" in note.message


@pytest.mark.parametrize("config", [None, {}, {"host": "h"}])
def test_a_platform_that_nobody_knows_is_refused_where_it_stands(config: Any) -> None:
    with pytest.raises(InvalidConfiguration) as caught:
        read_file(providers={"x": {"provider": "email.stmp", "config": config}})
    assert caught.value.parameter == "providers.x.provider"


def test_nobody_looks_into_a_provider_that_is_not_mail() -> None:
    slack = {"provider": "slack", "config": {"platform": {"odd": 1}, "host": ["x"]}}
    found = read_file(providers={"slack": slack, "aws": {"config": []}, "none": None, "email": provider()})
    assert list(found.credentials) == ["email"]
    assert left_out(found) == ["providers.slack", "providers.aws", "providers.none"]


def test_a_provider_that_is_disabled_is_not_used() -> None:
    off = provider() | {"enabled": "false"}
    found = read_file(providers={"off": off, "email": provider()}, workflows=[workflow(step())])
    assert list(found.credentials) == ["email"]
    assert left_out(found) == ["providers.off.enabled"]
    with pytest.raises(InvalidConfiguration) as caught:
        read_file(providers={"off": off, "email": provider()}, workflows=[workflow(step(provider="off"))])
    assert "not an e-mail provider that is enabled" in caught.value.message
    with pytest.raises(InvalidConfiguration) as caught:
        read_file(providers={"off": off})
    assert caught.value.parameter == "providers.off.enabled"


def test_a_slip_of_the_pen_is_refused_with_the_key_that_was_meant() -> None:
    for slip, meant in (("tls_skip_verfy", "tls_skip_verify"), ("plattform", "platform")):
        error = refused(**{slip: True})
        assert (error.parameter, error.hint) == (f"providers.email.config.{slip}", f"Did you mean {meant}?")
    assert refused_step(subject=None, subjcet="x").hint == "Did you mean subject?"


def test_a_key_that_is_not_known_is_left_out_and_told_of() -> None:
    assert left_out(imported(color="red")) == ["providers.email.config.color"]
    assert left_out(read_file(providers={"email": provider() | {"region": "eu"}}, storage={})) == [
        "providers.email.region", "storage",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("document", "place"),
    [
        ({"providers": []}, "providers"),
        ({"providers": {}}, "providers"),
        ({"providers": {"email": {"provider": "email", "config": [1]}}}, "providers.email.config"),
        ({"workflows": {"a": {}}}, "workflows"),
        ({"workflows": [5]}, "workflows[0]"),
        ({"workflows": [{"steps": 5}]}, "workflows[0].steps"),
        ({"workflows": [{"steps": [None]}]}, "workflows[0].steps[0]"),
        ({"version": ["1.0"]}, "version"),
    ],
)
def test_a_file_that_is_bent_is_refused_where_it_is(document: Any, place: str) -> None:
    with pytest.raises(InvalidConfiguration) as caught:
        read_file(**document)
    assert caught.value.parameter == place
    assert caught.value.hint


# -- workflows -----------------------------------------------------------------------------------------

APPROVE = {"name": "approve", "task": "approval", "config": {"by": "boss"}}


@pytest.mark.parametrize(
    "foreign",
    [
        APPROVE,
        {"task": "notify", "type": "slack", "config": {}},
        {"thand": "approvals"},
        {"task": "notify", "config": {"provider": "slack", "to": "#soc"}},
        step() | {"if": "${ .approved }"},
        step() | {"enabled": False},
        step() | {"then": "exit"},
    ],
)
def test_a_workflow_with_a_step_that_is_more_than_a_mail_is_left_out_as_a_whole(foreign: Any) -> None:
    providers = {"email": provider(), "slack": {"provider": "slack"}}
    both = [workflow(step(), foreign, name="approval"), workflow(step(), name="plain")]
    found = read_file(providers=providers, workflows=both)
    assert [one["name"] for one in found.workflows] == ["plain"]
    (note,) = [note for note in found.told(Fate.LEFT_OUT) if "workflows" in note.place]
    assert note.place == "workflows[0].steps"
    assert "left out as a whole" in note.message


def test_a_workflow_that_is_switched_off_is_left_out() -> None:
    off = workflow(step()) | {"enabled": "no"}
    assert read_file(providers={"email": provider()}, workflows=[off]).workflows == ()


def test_what_changes_nothing_does_not_leave_a_workflow_out() -> None:
    plain = step() | {"enabled": True, "disabled": "false", "then": "continue", "if": None}
    assert len(read_file(workflows=[workflow(plain)]).workflows) == 1


def test_of_several_workflows_one_is_named(command: Command, server: Recorder) -> None:
    several = [workflow(step(subject=name), name=name) for name in ("one", "two", "two")]
    several.append(workflow(APPROVE, name="approval"))
    command.put("f.yaml", {"providers": {"email": provider(server.port)}, "workflows": several})
    unnamed = command("run", "f.yaml")
    assert (unnamed.status, unnamed.error["parameter"]) == (2, "workflow")
    assert unnamed.error["hint"] == "Name one with --workflow: one, two, two 2."
    for wrong in ("three", "approval"):
        assert command("run", "f.yaml", "--workflow", wrong).status == 2
    assert command("run", "f.yaml", "--workflow", "two").status == 0
    assert [read_same(message.content).subject for message in server.messages] == ["two"]


def test_another_credential_takes_the_place_of_the_files_own(command: Command, closed: int) -> None:
    command.put("f.yaml", {"providers": {"email": provider(closed)}, "workflows": [workflow(step())]})
    with Recorder() as local:
        data = {"host": "127.0.0.1", "port": local.port, "encryption": "none", "authMethod": "none"}
        command.put("local.json", {"type": "smtp", "data": data | {"fromAddress": "a@mail.test"}})
        ran = command("run", "f.yaml", "--credential", "email=local.json")
        slip = command("run", "f.yaml", "--credential", "emial=local.json")
    assert ran.status == 0, ran.stderr
    assert len(local.messages) == 1
    assert (slip.status, slip.error["hint"]) == (2, "Did you mean email?")


@pytest.mark.parametrize(
    "config",
    [
        {"subject": "${ .context.x }"},
        {"to": ["${ .context.user.email }"]},
        {"to": "${cc}"},
        {"cc": "${ .context.x }"},
        {"from": "${FROM}"},
        {"reply_to": "${ .context.x }"},
        {"body": "Hi ${ .context.x }"},
        {"body": {"text": "Hi ${ .context.x }"}},
        {"body": {"html": "<p>${ .context.x }</p>"}},
        {"body": None, "message": "${ .context.x }"},
        {"headers": {"X-User": "${ .context.x }"}},
        {"headers": {"Bcc": ["${ .context.x }"]}},
    ],
)
def test_an_expression_is_refused_and_never_sent(config: Any) -> None:
    error = refused_step(**config)
    assert "expressions are not known here" in error.message
    key = next(key for key, value in config.items() if value)
    assert (error.parameter or "").startswith(f"workflows[0].steps[0].config.{key}")


def test_what_looks_like_a_template_is_sent_as_it_stands(bench: Bench) -> None:
    text = "{{ secrets }} {% raw %} {{ 7 | times: 7 }} {%"
    (mail,) = bench.sent(
        step(
            subject=text,
            body={"text": text, "html": f"<p>{text}</p>"},
            to='"{{ name }}" <bob@mail.test>',
            cc="{{x}}@mail.test",
            reply_to='"{% if %}" <r@mail.test>',
            headers={"X-Note": text, "literal": "L"},
            **{"from": '"{{ me }}" <soc@corp.example>'},
        )
    )
    assert (mail.subject, (mail.text or "").strip(), (mail.html or "").strip()) == (
        text, text, f"<p>{text}</p>",
    )  # fmt: skip
    assert (mail.from_, mail.to, mail.cc) == (
        [("{{ me }}", "soc@corp.example")], [("{{ name }}", "bob@mail.test")], [("", "{{x}}@mail.test")],
    )  # fmt: skip
    assert b"{% if %}" in bench.server.messages[0].content


def test_headers_become_what_they_mean(bench: Bench) -> None:
    headers = {
        "Cc": ["c@mail.test"], "bcc": "d@mail.test", "Reply-To": "r@mail.test", "Sender": "out@corp.example",
        "X-Team": ["SOC"], "Subject": "lost", "X-Empty": None, "X-None": [], "X-Number": 5,
    }  # fmt: skip
    found = read_file(workflows=[workflow(step(headers=headers))])
    place = "workflows[0].steps[0].config.headers"
    assert left_out(found) == [f"{place}.{name}" for name in ("Subject", "X-Empty", "X-None")]
    (mail,) = bench.sent(step(headers=headers))
    assert (mail.subject, mail.cc) == ("s", [("", "c@mail.test")])
    (message,) = bench.server.messages
    assert message.sender == b"out@corp.example"
    assert message.recipients == [b"bob@mail.test", b"c@mail.test", b"d@mail.test"]
    assert b"\r\nX-Team: SOC\r\nX-Number: 5\r\n" in message.content
    for bad in (["a", "b"], {"a": 1}):
        assert refused_step(headers={"X-Bad": bad}).parameter == f"{place}.X-Bad"


def test_what_the_code_reads_is_read_too(bench: Bench) -> None:
    theirs = {"thand": "notify", "with": {"to": "bob@mail.test", "message": "Hello"}}
    (mail,) = bench.sent(theirs)
    assert (mail.subject, (mail.text or "").strip()) == ("Workflow Notification", "Hello")


def test_steps_of_one_name_and_names_of_several_lines_are_nodes(bench: Bench) -> None:
    named = [step() | {"name": name} for name in ("Same", "Same", "Two\nlines", "Start", "x" * 300)]
    assert bench.run(*named).status == 0
    assert len(bench.server.messages) == 5


# -- back ----------------------------------------------------------------------------------------------


def test_the_order_of_the_providers_comes_back() -> None:
    providers = {name: provider() for name in ("a", "b", "c")}
    for given in ("b", ["a", "c", "b"], ["b"], ["c", "b"]):
        found = read_file(providers=providers, workflows=[workflow(step(provider=given))])
        again = read(dialect("provider").write(found), "f")
        assert again.workflows == found.workflows


def changed(**changes: Any) -> Imported:
    """What a file is here, its credential, workflow, or mail changed."""
    found = read_file(providers={"email": provider()}, workflows=[workflow(step())])
    whole = found.as_dict(secrets=True)
    for key, value in changes.items():
        target: Any = {
            "data": whole["credentials"]["email"]["data"],
            "node": whole["workflows"][0]["nodes"][1],
            "start": whole["workflows"][0]["nodes"][0],
            "edge": whole["workflows"][0]["edges"][0],
            "parameters": whole["workflows"][0]["nodes"][1]["config"]["parameters"],
        }[key]
        target |= value
    return Imported("nina", whole["credentials"], {}, tuple(whole["workflows"]))


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"data": {"authMethod": "plain"}}, "authMethod"),
        ({"data": {"encryption": "none"}}, "encryption"),
        ({"data": {"encryption": "tls"}}, "encryption"),
        ({"data": {"secretKey": "k"}}, "secretKey"),
        ({"data": {"fromAddress": None}}, "from"),
        ({"node": {"disabled": True}}, "disabled"),
        ({"node": {"notes": "Mind it"}}, "notes"),
        ({"node": {"credential": "other"}}, "other"),
        ({"start": {"config": {"items": [{"a": 1}]}}}, "items"),
        ({"edge": {"output": "error"}}, "one mail after the other"),
        ({"parameters": {"subject": "{{ x }}"}}, "subject"),
        ({"parameters": {"importance": "high"}}, "importance"),
        ({"parameters": {"messageId": "<1@x.test>"}}, "messageId"),
        ({"parameters": {"subject": "${x}"}}, "${…}"),
        ({"parameters": {"subject": {"literal": 5}}}, "subject is not a text"),
        ({"parameters": {"to": ["{{ x }}"]}}, "to has a template"),
        ({"parameters": {"to": "{{ x }}"}}, "to is a template"),
        ({"parameters": {"textBody": "t"}}, "textBody"),
        ({"parameters": {"headers": {"X-A": "{{ x }}"}}}, "headers"),
        ({"node": {"type": "table_to_file"}}, "table_to_file"),
        ({"node": {"config": {"options": {"mode": "each"}}}}, "options"),
        ({"node": {"credential": {"type": "smtp", "data": {}}}}, "A credential inside a node"),
    ],
)
def test_what_an_export_would_lose_is_named(changes: Any, named: str) -> None:
    with pytest.raises(InvalidConfiguration) as caught:
        dialect("provider").write(changed(**changes))
    assert named in caught.value.message
    assert caught.value.hint


def test_more_than_a_row_of_mails_is_not_said() -> None:
    found = changed()
    (whole,) = found.workflows
    start = {"name": "w", "nodes": whole["nodes"][:1], "edges": []}
    for bent in (start, whole | {"edges": []}, whole | {"nodes": [], "edges": []}):
        with pytest.raises(InvalidConfiguration) as caught:
            dialect("provider").write(Imported("nina", {}, {}, (bent,)))
        assert caught.value.message.startswith("The workflow w")
    with pytest.raises(InvalidConfiguration) as caught:
        dialect("provider").write(Imported("nina", {}, {"n": {"parameters": {}}}))
    assert "A node" in caught.value.message
    oauth = {"type": "smtpOAuth2", "data": {"host": "h.test"}}
    with pytest.raises(InvalidConfiguration) as caught:
        dialect("provider").write(Imported("nina", {"c": oauth}))
    assert "smtpOAuth2" in caught.value.message


def test_what_stands_there_as_it_is_comes_back() -> None:
    odd = {"to": ['"{{ x }}" <a@mail.test>'], "cc": "{{x}}@mail.test", "subject": "{% x"}
    found = read_file(workflows=[workflow(step(**odd, reply_to="{{x}}@mail.test"))])
    again = read(dialect("provider").write(found), "f")
    assert again.workflows == found.workflows
    assert parameters(**odd)["to"] == {"literal": ["{{ x }} <a@mail.test>"]}


def test_where_a_node_is_drawn_is_no_loss() -> None:
    assert dialect("provider").write(changed(node={"position": {"x": 1, "y": 2}}))
    with pytest.raises(NinaError):
        dialect("provider").write(Imported("nina"))
