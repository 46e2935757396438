"""In and out again: nothing is lost, or it is said what would be."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import examples

from nina_smtp.catalog import default_catalog
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
        ({"operation": "sendRaw", "parameters": {"rawEmail": "From: a@x.test"
          r"\nTo: b@x.test", "messageId": "<a@b>"}}, "n.parameters.messageId, .*n.*rawEmail|rawEmail"),
    ],
)  # fmt: skip
def test_what_an_action_cannot_say_is_named(node: Any, lost: str) -> None:
    with pytest.raises(InvalidConfiguration, match=lost):
        write(ours(node=node))


def test_everything_that_would_be_lost_is_named_at_once() -> None:
    node = {"parameters": PARAMETERS | {"envelopeFrom": "e@x.test"}, "extract": {"cc": "$.cc"}}
    with pytest.raises(InvalidConfiguration) as caught:
        write(ours(data=DATA | {"ehloName": "h.test", "limits": {"connections": 1}}, node=node))
    for name in ("c.ehloName", "c.limits", "n.parameters.envelopeFrom", "n.extract"):
        assert name in caught.value.message


def test_different_actions_are_not_one() -> None:
    raw = {"operation": "sendRaw", "parameters": {"rawEmail": "From: a@x.test\nTo: b@x.test\n\nB"}}
    with pytest.raises(InvalidConfiguration, match="one by one"):
        write(Imported("soar", {}, {"a": {"parameters": PARAMETERS}, "b": raw}))


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


@examples(400)
@given(ASSETS, st.booleans())
def test_an_asset_is_the_same_again(asset: Any, named: bool) -> None:
    same_again({"name": "corp", "configuration": asset} if named else asset)


@examples(500)
@given(ACTIONS)
def test_an_action_is_the_same_again(action: tuple[str, Any]) -> None:
    same_again({"action": action[0], "parameters": action[1]})


@examples(200)
@given(ASSETS, st.sampled_from(["send email", "send htmlemail"]), st.data(), st.booleans())
def test_both_are_the_same_again(asset: Any, action: str, data: st.DataObject, named: bool) -> None:
    one = EMAILS if action == "send email" else HTMLS
    sets = data.draw(st.lists(one, min_size=1, max_size=3))
    name = {"name": "Tell them"} if named else {}
    same_again({"asset": asset, "action": action, "targets": [{"parameters": sets}]} | name)


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
