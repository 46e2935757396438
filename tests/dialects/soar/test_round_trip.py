"""In and out again: nothing is lost, or it is said what would be."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import examples

from nina_smtp.catalog import default_catalog
from nina_smtp.cli import main
from nina_smtp.dialects.dialect import dialect, read, recognise
from nina_smtp.dialects.imported import Imported, credential, plain
from nina_smtp.errors import InvalidConfiguration
from nina_smtp.workflow.validate import validate

EXAMPLES = Path(__file__).parents[3] / "examples" / "soar"
DATA = {"host": "h.test", "port": 587, "encryption": "starttls", "username": "u", "password": "p"}
DATA |= {"authMethod": "auto"}
OAUTH = {
    "host": "h.test", "username": "u", "clientId": "c", "clientSecret": "s", "authUrl": "https://p.test/a",
    "tokenUrl": "https://p.test/t",
}  # fmt: skip
PARAMETERS = {"to": ["b@x.test"], "subject": "s", "body": "B"}
OPTIONS = {"mode": "once", "sources": "node"}
NODE = {"parameters": PARAMETERS, "options": OPTIONS}


def write(imported: Imported) -> Any:
    return dialect("soar").write(imported)


def ours(*, data: Any = None, type_: str = "smtp", node: Any = None) -> Imported:
    credentials = {"c": credential(type_, data)} if data else {}
    return Imported("soar", credentials, {"n": node} if node else {})


# -- what would be lost ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("caCertificate", "-----BEGIN"),
        ("certificateFingerprint", "sha256:00"),
        ("tlsSkipVerify", True),
        ("timeouts", {"connect": 5}),
        ("ehloName", "h.test"),
        ("recipientPolicy", {"allow": ["x.test"]}),
        ("limits", {"connections": 1}),
        ("secretKey", "k"),
        ("authMethod", "plain"),
        ("authMethod", "login"),
        ("authMethod", None),
        ("encryption", "whatever"),
    ],
)
def test_a_field_of_a_credential_that_an_asset_does_not_have_is_named(field: str, value: Any) -> None:
    with pytest.raises(InvalidConfiguration, match=f"c.{field}"):
        write(ours(data=DATA | {field: value}))


@pytest.mark.parametrize(
    ("field", "value"),
    [("deviceUrl", "https://p.test/d"), ("refreshToken", "r"), ("accessToken", "a"), ("grant", "deviceCode")],
)
def test_a_field_of_oauth_that_an_asset_does_not_have_is_named(field: str, value: Any) -> None:
    with pytest.raises(InvalidConfiguration, match=f"c.{field}"):
        write(ours(data=OAUTH | {field: value}, type_="smtpOAuth2"))


def test_what_an_asset_requires_and_is_not_there_is_named() -> None:
    with pytest.raises(InvalidConfiguration, match="no client_secret"):
        write(ours(data=OAUTH | {"clientSecret": None}, type_="smtpOAuth2"))


def test_a_credential_that_keeps_its_password_is_not_exported_to_an_asset_that_does_not() -> None:
    with pytest.raises(InvalidConfiguration, match="clear text"):
        write(ours(data=DATA | {"encryption": "none"}))
    allowed = write(ours(data=DATA | {"encryption": "none", "allowCleartextLogin": True}))
    assert allowed["configuration"]["ssl_config"] == "None"


@pytest.mark.parametrize(
    ("node", "lost"),
    [
        ({"parameters": PARAMETERS | {"subject": "{{ title }}"}}, "n.parameters.subject"),
        ({"parameters": PARAMETERS | {"to": ["{{ who }}"]}}, "n.parameters.to"),
        ({"parameters": PARAMETERS | {"headers": {"X-A": "{% x %}"}}}, "n.parameters.headers"),
        ({"parameters": PARAMETERS | {"envelopeFrom": ""}}, "n.parameters.envelopeFrom"),
        ({"parameters": PARAMETERS | {"attachments": [{}]}}, "n.parameters.attachments"),
        ({"parameters": PARAMETERS | {"textBody": "t"}}, "n.parameters.textBody"),
        ({"parameters": PARAMETERS | {"textBody": "", "contentType": "html"}}, "n.parameters.textBody"),
        ({"parameters": PARAMETERS | {"body": "<html>x"}}, "n.parameters.body"),
        ({"parameters": PARAMETERS | {"subject": 3}}, "n.parameters.subject"),
        ({"parameters": PARAMETERS | {"to": [3]}}, "n.parameters.to"),
        ({"parameters": PARAMETERS, "extract": {"cc": "$.cc"}}, "n.extract"),
        ({"parameters": PARAMETERS, "options": {"mode": "each"}}, "n.options.mode"),
        ({"parameters": PARAMETERS, "options": {"autoExtract": "all"}}, "n.options.autoExtract"),
        ({"parameters": PARAMETERS, "options": {"onError": "continue"}}, "n.options.onError"),
        ({"parameters": PARAMETERS}, r"n.options.mode \(an action is once: it is not set here\), n.options"),
        ({"parameters": PARAMETERS, "options": {"mode": "once"}}, "n.options.sources"),
        ({"parameters": PARAMETERS, "options": OPTIONS | {"sources": "input"}}, "n.options.sources"),
        ({"parameters": PARAMETERS | {"subject": {"literal": ""}}}, r"n.parameters.subject \(an empty one"),
        ({"parameters": PARAMETERS | {"subject": ""}}, "n.parameters.subject"),
        ({"parameters": PARAMETERS | {"body": {"literal": ""}}}, "n.parameters.body"),
        ({"parameters": PARAMETERS | {"body": "", "contentType": "html"}}, "n.parameters.body"),
        ({"operation": "sendRaw", "parameters": {"rawEmail": ""}}, "n.parameters.rawEmail"),
        ({"operation": "sendRaw", "parameters": {"rawEmail": "From: a@x.test"
          r"\nTo: b@x.test", "messageId": "<a@b>"}}, "n.parameters.messageId, .*n.*rawEmail|rawEmail"),
    ],
)  # fmt: skip
def test_what_an_action_cannot_say_is_named(node: Any, lost: str) -> None:
    with pytest.raises(InvalidConfiguration, match=lost):
        write(ours(node=node))


@pytest.mark.parametrize(
    ("operation", "parameters", "message"),
    [
        ("send", {"subject": "s", "body": "B"}, "parameters.to .*failed to get email recipients"),
        ("send", PARAMETERS | {"headers": {"X A": "b"}}, "parameters.headers .*not a header name"),
        ("sendRaw", {"rawEmail": "Subject: s\n\nB"}, "parameters.raw_email .*sender"),
    ],
)
def test_what_could_not_be_read_again_is_not_written(operation: str, parameters: Any, message: str) -> None:
    node = {"operation": operation, "parameters": parameters, "options": OPTIONS}
    with pytest.raises(InvalidConfiguration, match=message):
        write(ours(node=node))


def test_more_nodes_than_an_action_may_be_run_for_are_not_written() -> None:
    with pytest.raises(InvalidConfiguration, match="ask for 101 mails"):
        write(Imported("soar", {}, {f"n{number}": NODE for number in range(101)}))


def test_everything_that_would_be_lost_is_named_at_once() -> None:
    node = {"parameters": PARAMETERS | {"envelopeFrom": "e@x.test"}, "extract": {"cc": "$.cc"}}
    with pytest.raises(InvalidConfiguration) as caught:
        write(ours(data=DATA | {"ehloName": "h.test", "limits": {"connections": 1}}, node=node))
    for name in ("c.ehloName", "c.limits", "n.parameters.envelopeFrom", "n.extract"):
        assert name in caught.value.message


def test_different_actions_are_not_one() -> None:
    raw = {"operation": "sendRaw", "parameters": {"rawEmail": "From: a@x.test\nTo: b@x.test\n\nB"}}
    with pytest.raises(InvalidConfiguration, match="one by one"):
        write(Imported("soar", {}, {"a": NODE, "b": raw | {"options": OPTIONS}}))


ASSET = {"name": "A/B ü", "configuration": {"server": "h.test", "ssl_config": "SSL"}}
BOTH = {
    "asset": ASSET,
    "action": "send email",
    "name": "Tell them",
    "parameters": {"to": "a@x.test", "body": "B"},
}


def changed(flow: Any, **change: Any) -> Any:
    """The workflow with something else in its mail."""
    start, mail = flow["nodes"]
    return {**flow, "nodes": [start, mail | change]}


@pytest.mark.parametrize(
    "change",
    [
        {"credential": "another"},
        {"name": "Another"},
        {"disabled": True},
        {"config": NODE},
        {"onError": "stop"},
    ],
)
def test_a_workflow_that_is_more_than_the_action_is_named(change: Any) -> None:
    found = read(BOTH, "playbook")
    flow = changed(found.workflows[0], **change)
    with pytest.raises(InvalidConfiguration, match=r"workflows\.playbook"):
        write(replace(found, workflows=(flow,)))


def test_two_workflows_or_one_without_its_parts_are_named() -> None:
    found = read(BOTH, "playbook")
    (flow,) = found.workflows
    for less in ({"workflows": (flow, flow)}, {"nodes": {}}, {"credentials": {}}):
        with pytest.raises(InvalidConfiguration, match=r"workflows\.playbook"):
            write(replace(found, **less))  # type: ignore[arg-type]
    assert write(replace(found, workflows=())) == write(found)


def test_what_has_the_name_that_it_gets_anyway_is_written_without_one() -> None:
    written = write(Imported("soar", {}, {"send email": NODE}))
    assert written == {"action": "send email", "parameters": {"to": "b@x.test", "subject": "s", "body": "B"}}


def test_oauth_before_a_password_is_one_asset() -> None:
    names = {"username": "u@x.test", "client_id": "c", "client_secret": "s", "token_url": "https://p.test/t"}
    ways = {"auth_url": "https://p.test/a?access_type=offline", "password": "p"}
    asset = {"server": "h.test", "port": 465, "ssl_config": "SSL"} | names | ways
    found = read(asset, "corp")
    assert list(found.credentials) == ["corp", "corp (Basic)"]
    assert write(found) == {"name": "corp", "configuration": asset}


@pytest.mark.parametrize("called", ["a\nb", "x" * 81, " a "])
def test_a_name_that_would_be_another_one_is_named(called: str) -> None:
    document = {**credential("smtp", DATA), "name": called}
    with pytest.raises(InvalidConfiguration, match=r"c\.name"):
        write(Imported("soar", {"c": document}))


def test_what_stands_beside_the_data_of_a_credential_is_named() -> None:
    with pytest.raises(InvalidConfiguration, match=r"c\.description"):
        write(Imported("soar", {"c": {**credential("smtp", DATA), "description": "d"}}))


def test_a_value_that_would_be_read_as_a_variable_is_named() -> None:
    with pytest.raises(InvalidConfiguration, match=r"c\.username"):
        write(ours(data=DATA | {"username": "$${USER}"}))


def test_several_credentials_that_are_no_asset_are_named() -> None:
    two = {"a": credential("smtp", DATA), "b": credential("smtp", DATA)}
    with pytest.raises(InvalidConfiguration, match="b "):
        write(Imported("soar", two))
    with pytest.raises(InvalidConfiguration, match="nothing"):
        write(Imported("soar"))
    with pytest.raises(InvalidConfiguration, match="workflows"):
        write(Imported("soar", {"a": credential("smtp", DATA)}, workflows=({"name": "w"},)))


# -- what is the same again --------------------------------------------------------------------------

WORDS = st.sampled_from(["x", "soc@corp.test", "a ${B} c", "${SECRET}", "$${B}", "ü", " blank ", "{{ a }}"])
SECRETS = ("password", "client_id", "client_secret")
ASSETS = st.fixed_dictionaries(
    {
        "server": st.sampled_from(["h.test", "192.0.2.1", "::1", "Büro.test", "localhost", "h.test:25"]),
        "ssl_config": st.sampled_from(["None", "SSL", "StartTLS"]),
    },
    optional=dict.fromkeys((*SECRETS, "username", "token_url", "scopes"), WORDS)
    | {
        "auth_url": st.sampled_from(["https://p.test/a", "https://p.test/a?x=1#f", "${URL}"]),
        "auth_type": st.sampled_from(["Automatic", "OAuth", "Basic", "Passwordless"]),
        "port": st.integers(1, 65535),
        "sender_address": st.sampled_from(["a@x.test", '"Doe, A" <a@x.test>', "${SENDER}"]),
        "encoding": st.booleans(),
    },
)
LISTS = st.sampled_from(
    ["a@x.test", "A <a@x.test>,, b@x.test,", '"D, {{ J }}" <a@x.test>', "A<mailto:a@x.test>"]
)
TEXTS = st.sampled_from(["x", "{{ a }}", "<html><p>x</p></html>", "<p>x</p>", "ü\nb", r"C:\new", " "])
HEADERS = st.dictionaries(
    st.sampled_from(["Subject", "From", "X-A", "literal", "To", "Importance", "Date"]),
    st.sampled_from(["x", "high", "{{ a }}", "a@x.test"]),
    max_size=4,
).map(lambda one: one | ({"From": "f@x.test"} if "From" in one else {}))
MORE = st.fixed_dictionaries(
    {},
    optional={
        "Reply-To": LISTS,
        "Message-ID": st.just("<1@x.test>"),
        "In-Reply-To": st.just("<0@x.test>"),
        "References": st.just("<0@x.test> <00@x.test>"),
    },
)
COMMON: dict[str, Any] = {
    "from": st.sampled_from(["a@x.test", "A <a@x.test>"]),
    "cc": LISTS,
    "bcc": LISTS,
    "subject": TEXTS.filter(lambda text: "\n" not in text),
    "headers": st.tuples(HEADERS, MORE).map(lambda two: json.dumps(two[0] | two[1])),
}
EMAILS = st.fixed_dictionaries({"to": LISTS, "body": TEXTS}, optional=COMMON)
HTMLS = st.fixed_dictionaries(
    {"to": LISTS, "html_body": TEXTS},
    optional=COMMON | {"text_body": TEXTS, "should_sanitize_template": st.booleans()},
)
RAWS = st.sampled_from(
    [
        "From: a@x.test\nTo: b@x.test\nSubject: {{ x }}\n\nB",
        r"from:a@x.test\n to: b@x.test\nB",
        "From: a@x.test\r\nTo: b@x.test\r\n\r\nB\r\n",
        "\nFrom: a@x.test\nTo: b@x.test\nno empty line",
    ]
).map(lambda raw: {"raw_email": raw})
ACTIONS = (
    st.tuples(st.just("send email"), EMAILS)
    | st.tuples(st.just("send htmlemail"), HTMLS)
    | st.tuples(st.just("send_rawemail"), RAWS)
)


def same_again(document: Any) -> None:
    try:
        first = read(document, "name", dialect_name="soar")
    except InvalidConfiguration:
        return
    exported = json.loads(json.dumps(write(first)))
    assert recognise(exported) is dialect("soar")
    second = read(exported, "name")
    assert plain(second.credentials) == plain(first.credentials)
    assert plain(second.nodes) == plain(first.nodes)
    assert plain(second.workflows) == plain(first.workflows)
    assert write(second) == exported


@examples(150)
@given(ASSETS, st.booleans())
def test_an_asset_is_the_same_again(asset: Any, named: bool) -> None:
    same_again({"name": "corp", "configuration": asset} if named else asset)


@examples(150)
@given(ACTIONS)
def test_an_action_is_the_same_again(action: tuple[str, Any]) -> None:
    same_again({"action": action[0], "parameters": action[1]})


@examples(80)
@given(ASSETS, st.sampled_from(["send email", "send htmlemail"]), st.data(), st.booleans())
def test_both_are_the_same_again(asset: Any, action: str, data: st.DataObject, named: bool) -> None:
    one = EMAILS if action == "send email" else HTMLS
    sets = data.draw(st.lists(one, min_size=1, max_size=3))
    name = {"name": "Tell them"} if named else {}
    same_again({"asset": asset, "action": action, "targets": [{"parameters": sets}]} | name)


def test_the_name_of_an_asset_survives_a_file_that_cannot_be_called_so(tmp_path: Path) -> None:
    asset = ASSET | {"configuration": {"server": "h.test", "ssl_config": "SSL", "port": 465}}
    (tmp_path / "asset.json").write_text(json.dumps(asset), encoding="utf-8")
    assert main(["import", str(tmp_path / "asset.json"), "--to", str(tmp_path / "ours")]) == 0
    (file,) = (tmp_path / "ours").iterdir()
    assert file.name == "A_B ü.credential.json"
    assert json.loads(file.read_bytes())["name"] == "A/B ü"
    assert main(["export", str(file), "--to", "soar", "--out", str(tmp_path / "again.json")]) == 0
    assert json.loads((tmp_path / "again.json").read_bytes()) == asset


def test_all_files_of_an_import_are_the_document_again(tmp_path: Path) -> None:
    (tmp_path / "playbook.json").write_text(json.dumps(BOTH), encoding="utf-8")
    assert main(["import", str(tmp_path / "playbook.json"), "--to", str(tmp_path / "ours")]) == 0
    files = sorted(str(path) for path in (tmp_path / "ours").iterdir())
    assert len(files) == 3
    assert main(["export", *files, "--to", "soar", "--out", str(tmp_path / "again.json")]) == 0
    again = read(json.loads((tmp_path / "again.json").read_bytes()), "playbook")
    assert plain(again.workflows) == plain(read(BOTH, "playbook").workflows)


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("[als]*.json")), ids=lambda path: path.stem)
def test_the_examples_are_recognised_and_come_in(path: Path) -> None:
    document = json.loads(path.read_text(encoding="utf-8"))
    assert recognise(document) is dialect("soar")
    imported = read(document, path.stem)
    for node in imported.nodes.values():
        default_catalog().node("smtp").check(node)


def test_an_asset_and_an_action_are_a_workflow_that_runs() -> None:
    asset = {
        "server": "h.test", "ssl_config": "SSL", "username": "u@x.test", "password": "p", "client_id": "c",
        "client_secret": "s", "auth_url": "https://p.test/a", "token_url": "https://p.test/t",
    }  # fmt: skip
    sets = [{"to": "a@x.test", "body": "1"}, {"to": "b@x.test", "body": "2"}]
    targets = [{"assets": ["corp"], "parameters": sets}]
    document = {"asset": asset, "action": "send_email", "name": "Tell them", "targets": targets}
    imported = read(document, "playbook")
    (flow,) = imported.workflows
    workflow = validate(flow, default_catalog())
    assert [node.type for node in workflow.nodes] == ["manual_trigger", "smtp", "smtp"]
    assert workflow.nodes[1].route == ("playbook", "playbook (Basic)")
    assert list(imported.nodes) == ["Tell them", "Tell them 2"]


def test_a_test_of_connectivity_is_nothing_to_keep() -> None:
    imported = read({"action": "test connectivity"}, "t")
    assert not imported.nodes
    assert "nina-smtp soar" in imported.notes[0].message


def test_a_name_is_one_short_line() -> None:
    asset = {"name": "a\nb\x00" + "x" * 300, "configuration": {"server": "h.test", "ssl_config": "SSL"}}
    action = {"action": "send email", "name": "c\td" * 90, "parameters": {"to": "a@x.test", "body": "B"}}
    imported = read(action | {"asset": asset}, "w\n" * 200)
    validate(imported.workflows[0], default_catalog())
    assert all(name.isprintable() for name in (*imported.credentials, *imported.nodes))
