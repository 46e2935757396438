"""The parameters of the actions, and what they send."""

from __future__ import annotations

import hashlib
import json
from contextlib import suppress
from typing import Any

import pytest
from dialects.soar.running import RECEIVER, SENDER, Soar
from hypothesis import given
from hypothesis import strategies as st
from strategies import examples

from nina_smtp.dialects.dialect import dialect, read
from nina_smtp.errors import NinaError

CONTENT = b"id,zip\n1,2\n"
VAULT_ID = hashlib.sha1(CONTENT).hexdigest()
UNKNOWN = "ab2b2ccfba08ea538ef22f521caa01c3c2b17ccf"
EMAIL = {"to": RECEIVER, "body": "Test body"}
HTML = {"to": RECEIVER, "html_body": "<b>Hi</b>"}


@pytest.fixture
def vault(soar: Soar) -> dict[str, Any]:
    (soar.folder / "f.csv").write_bytes(CONTENT)
    return {VAULT_ID: {"path": "f.csv", "name": "findings.csv"}, "second": "f.csv"}


# -- what is refused ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("action", "parameters", "message"),
    [
        ("send email", {"body": "B"}, "Error: failed to get email recipients"),
        ("send htmlemail", {"html_body": "B", "cc": RECEIVER}, "Error: failed to get email recipients"),
        ("send email", {"to": " , ", "body": "B"}, "Error: failed to get email recipients"),
        ("send email", {"to": RECEIVER}, "body is required"),
        ("send htmlemail", {"to": RECEIVER}, "html_body is required"),
        ("send rawemail", {}, "raw_email is required"),
        ("send email", EMAIL | {"headers": "{"}, "Unable to parse headers as a dictionary: line 1"),
        ("send email", EMAIL | {"headers": "[1]"}, "Unable to parse headers as a dictionary: it is not"),
        ("send email", EMAIL | {"headers": '{"a": NaN}'}, "Unable to parse headers as a dictionary: "),
        ("send htmlemail", HTML | {"headers": "{"}, "Error: custom email headers field is not valid json"),
        ("send htmlemail", HTML | {"headers": "3"}, "Error: custom email headers field is not a dictionary"),
        ("send email", EMAIL | {"headers": '{"X-A": null}'}, "headers.X-A is not a text"),
        ("send email", EMAIL | {"headers": '{"X-A": ["b"]}'}, "headers.X-A is not a text"),
        ("send email", EMAIL | {"headers": '{"X A": "b"}'}, "'X A' is not a header name"),
        ("send email", EMAIL | {"headers": '{"X-A": "b", "x-a": "c"}'}, "headers.x-a is there twice"),
        ("send email", EMAIL | {"headers": '{"X-A": "b\\nBcc: c@x.test"}'}, "headers.X-A is refused"),
        ("send email", EMAIL | {"headers": '{"Subject": "b\\nBcc: c@x.test"}'}, "headers.Subject is refused"),
        ("send email", EMAIL | {"headers": '{"From": "a@x.test, b@x.test"}'}, "headers.From is more"),
        ("send email", EMAIL | {"headers": '{"Message-ID": "x"}'}, "headers.Message-ID is refused"),
        ("send email", EMAIL | {"headers": '{"In-Reply-To": "<a@b> <c@d>"}'}, "headers.In-Reply-To has more"),
        ("send email", EMAIL | {"to": "a@x.test b@x.test"}, "to is refused"),
        ("send email", EMAIL | {"from": "a@x.test,b@x.test"}, "from is more than one"),
        ("send htmlemail", HTML | {"attachment_json": "{"}, "Error: attachment json field is not valid json"),
        ("send htmlemail", HTML | {"attachment_json": "{}"}, "Error: attachment json field is not a list"),
        ("send htmlemail", HTML | {"attachment_json": '[{"id": 1}]'},
         'Error: attachment json field does not contain any dictionaries with the "vault_id" key'),
        ("send htmlemail", HTML | {"attachment1": UNKNOWN}, f"Error: failed to find vault id: {UNKNOWN}"),
        ("send htmlemail", HTML | {"attachment1": VAULT_ID, "content_id1": "a b"}, "content_id1 is refused"),
        ("send htmlemail", HTML | {"should_sanitize_template": "perhaps"}, "should_sanitize"),
        ("send email", EMAIL | {"attachments": [3]}, "attachments is not a list of vault ids"),
        ("send email", EMAIL | {"subjekt": "s"}, "subjekt is not a known key. Did you mean subject?"),
    ],
)  # fmt: skip
def test_what_cannot_be_sent_is_told_in_the_words_of_the_connector(
    soar: Soar, vault: Any, action: str, parameters: Any, message: str
) -> None:
    done = soar(action, parameters, vault=vault)
    assert done.status == 2
    assert done.result["status"] == "failed"
    assert done.result["parameter"] == parameters
    assert done.printed["summary"] == {"total_objects": 1, "total_objects_successful": 0}
    assert done.message.startswith(message)
    assert not soar.recorder.sessions


@pytest.mark.parametrize("key", ["from", "to", "cc", "bcc"])
@pytest.mark.parametrize("as_list", [False, True])
def test_a_text_too_long_for_mailboxes_is_refused_before_anything_looks_into_it(
    key: str, as_list: bool
) -> None:
    text = "(\\(" * 60_000
    with pytest.raises(NinaError, match=f"{key} has 180,000 characters") as caught:
        read({"action": "send email", "parameters": EMAIL | {key: [text] if as_list else text}})
    assert caught.value.parameter == f"parameters.{key}"


@pytest.mark.no_cover
@pytest.mark.parametrize(
    "text",
    ["a" * 65_000, "a@" * 32_000, "<" * 65_000, "<mailto:" * 8_000, "<mailto:" + " " * 65_000,
     "<" + " " * 65_000 + "mailto:", "a@b " * 16_000 + "<mailto:|", "<mailto:a|" * 6_500,
     "<mailto:a@x.test> " * 3_600],
)  # fmt: skip
def test_a_long_list_is_put_right_in_one_go(text: str) -> None:
    """A regular expression that tries again would take minutes."""
    with pytest.raises(NinaError, match="to is refused"):
        read({"action": "send email", "parameters": EMAIL | {"to": text}})


def test_an_action_that_is_none_is_told_so(soar: Soar) -> None:
    done = soar.run("soar", soar.file("asset.json", soar.configuration()), "send mail")
    assert done.status == 2
    assert "Did you mean send email?" in done.words


def test_more_actions_than_anybody_means_are_not_read() -> None:
    with pytest.raises(NinaError, match="ask for 101 mails"):
        read({"action": "send email", "targets": [{"parameters": [EMAIL] * 101}]})
    with pytest.raises(NinaError, match="There is no action '7'"):
        read({"action": 7, "parameters": EMAIL}, dialect_name="soar")


def test_an_attachment_without_any_vault_is_not_left_away_silently(soar: Soar) -> None:
    done = soar("send email", EMAIL | {"attachments": UNKNOWN})
    assert done.status == 2
    assert "--vault" in done.message
    assert not soar.recorder.sessions


def test_an_unknown_vault_id_of_send_email_is_warned_of_and_the_mail_goes(soar: Soar, vault: Any) -> None:
    done = soar("send email", EMAIL | {"attachments": f"{UNKNOWN}, {VAULT_ID} ,, gone,"}, vault=vault)
    expected = f"Email sent. The following attachments are invalid and were not sent: {UNKNOWN}, gone"
    assert (done.status, done.message) == (0, expected)
    assert soar.mail.attachments
    assert [one.filename for one in soar.mail.attachments] == ["findings.csv"]
    assert soar.mail.attachments[0].content == CONTENT


# -- who sends and who gets it -----------------------------------------------------------------------


@pytest.mark.parametrize("header", ["To", "Cc", "Bcc", "tO"])
def test_a_header_with_recipients_changes_nobody_and_makes_no_second_header(soar: Soar, header: str) -> None:
    headers = json.dumps({"Subject": "Test1", header: "test3@testdomain.com"})
    done = soar("send email", EMAIL | {"headers": headers})
    assert soar.recipients == [RECEIVER]
    assert b"test3" not in soar.recorder.messages[0].content
    assert f"headers.{header}: does not change who gets the mail" in done.words


@pytest.mark.parametrize(
    ("written", "shown", "address"),
    [
        ("Bob<mailto:bob@x.test>", "Bob", "bob@x.test"),
        ("bob@x.test<mailto:bob@x.test>, ", "", "bob@x.test"),
        ("<mailto:bob@x.test|bob@x.test>", "", "bob@x.test"),
        (" Bob <bob@x.test> ,", "Bob", "bob@x.test"),
        ('"Doe, Bob" <bob@x.test>', "Doe, Bob", "bob@x.test"),
        ("BOB@x.test < MAILTO: bob@x.test >", "", "bob@x.test"),
        ("Bob Doe <mailto:bob@x.test|anything>", "Bob Doe", "bob@x.test"),
    ],
)
def test_addresses_as_they_are_pasted(soar: Soar, written: str, shown: str, address: str) -> None:
    assert soar("send email", EMAIL | {"to": written}).status == 0
    assert soar.recipients == [address]
    assert soar.mail.to == [(shown, address)]


@pytest.mark.parametrize("value", ["a@x.test, b@x.test", "a@x.test,,b@x.test,", " ,a@x.test , b@x.test, ",
                                   ["a@x.test", "b@x.test"]])  # fmt: skip
@pytest.mark.parametrize("key", ["to", "cc", "bcc"])
def test_lists_with_commas(soar: Soar, key: str, value: Any) -> None:
    assert soar("send email", EMAIL | {key: value}).status == 0
    assert soar.recipients == ([] if key == "to" else [RECEIVER]) + ["a@x.test", "b@x.test"]


@pytest.mark.parametrize(
    ("parameters", "asset", "sender"),
    [
        ({"from": "a@x.test", "headers": '{"From": "b@x.test"}'}, {}, "a@x.test"),
        ({"headers": '{"From": "B <b@x.test>"}'}, {}, "b@x.test"),
        ({}, {}, SENDER),
        ({}, {"sender_address": None, "username": "u@x.test"}, "u@x.test"),
    ],
)
def test_who_the_sender_is(soar: Soar, parameters: Any, asset: Any, sender: str) -> None:
    assert soar("send email", EMAIL | parameters, asset=asset).status == 0
    assert soar.recorder.messages[0].sender == sender.encode()
    assert soar.mail.from_
    assert soar.mail.from_[0][1] == sender


def test_without_any_sender_it_says_what_to_fill_in(soar: Soar) -> None:
    done = soar("send email", EMAIL, asset={"sender_address": None})
    assert done.status == 2
    assert "from is required" in done.message


# -- headers -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("action", ["send email", "send htmlemail"])
def test_the_subject_of_the_headers_wins_and_there_is_one(soar: Soar, action: str) -> None:
    body = EMAIL if action == "send email" else HTML
    soar(action, body | {"subject": "Test", "headers": '{"Subject": "Test1"}'})
    assert soar.mail.subject == "Test1"
    assert soar.mail.header_names.count("subject") == 1


def test_headers_that_have_a_parameter_become_that(soar: Soar) -> None:
    headers = {
        "Reply-To": "A <a@x.test>, b@x.test", "Message-ID": "<1@x.test>", "In-Reply-To": "<0@x.test>",
        "References": "<00@x.test> <0@x.test>", "X-Priority": "1 (Highest)", "X-Count": 3, "X-Good": True,
        "X-Braces": "{{ not.a.template }}", "X-Umlaut": "Grüße", "Date": "never", "Content-Type": "text/evil",
        "DKIM-Signature": "x", "Return-Path": "<r@x.test>",
    }  # fmt: skip
    done = soar("send email", EMAIL | {"headers": json.dumps(headers)})
    assert done.status == 0
    found = soar.headers
    assert found["reply-to"] == "A <a@x.test>, b@x.test"
    assert (found["message-id"], found["in-reply-to"]) == ("<1@x.test>", "<0@x.test>")
    assert found["references"] == "<00@x.test> <0@x.test>"
    assert (found["importance"], found["x-priority"][0]) == ("high", "1")
    assert (found["x-count"], found["x-good"]) == ("3", "true")
    assert found["x-braces"] == "{{ not.a.template }}"
    assert found["date"] != "never"
    for name in ("Date", "Content-Type", "DKIM-Signature", "Return-Path"):
        assert f"headers.{name}: is written by us" in done.words


@pytest.mark.parametrize(
    ("headers", "importance"),
    [
        ({"Importance": "High"}, "high"),
        ({"X-Priority": 5}, "low"),
        ({"X-Priority": "1", "Importance": "low"}, "low"),
        ({"X-MSMail-Priority": "Low"}, "low"),
        ({"Importance": "Normal"}, None),
        ({"Importance": "very"}, None),
        ({"Importance": ""}, None),
    ],
)
def test_importance(soar: Soar, headers: Any, importance: str | None) -> None:
    assert soar("send email", EMAIL | {"headers": headers}).status == 0
    assert soar.headers.get("importance", "").lower() == (importance or "")


def test_a_header_called_literal_is_one(soar: Soar) -> None:
    assert soar("send email", EMAIL | {"headers": {"literal": "x"}}).status == 0
    assert soar.headers["literal"] == "x"


# -- bodies ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "body",
    ["<html>\n<p>Hi</p></html>", "<!DOCTYPE html><html><p>Hi</p></html>", " \n<HTML lang=en><p>Hi</p></HTML>",
     "<!doctype html public 'x'><p>Hi</p>"],
)  # fmt: skip
def test_a_body_that_begins_like_html_is_html_with_a_text_beside_it(soar: Soar, body: str) -> None:
    soar("send email", EMAIL | {"body": body})
    assert soar.mail.html
    assert soar.mail.html.strip() == body.strip()
    assert soar.mail.text
    assert "Hi" in soar.mail.text


@pytest.mark.parametrize("body", ["<p>Hi</p>", "See <html>", "<htmlx>", "<!doctype xml>", "{{ a }} {% b %}"])
def test_any_other_body_is_text_as_it_is(soar: Soar, body: str) -> None:
    assert soar("send email", EMAIL | {"body": body}).status == 0
    assert soar.mail.html is None
    assert soar.mail.text == f"{body}\n"


def test_without_a_subject_it_says_so(soar: Soar) -> None:
    soar("send email", EMAIL)
    assert soar.mail.subject == "(no subject)"


def test_the_text_beside_the_html_is_the_one_that_is_given(soar: Soar) -> None:
    soar("send htmlemail", HTML | {"text_body": "In words"})
    assert soar.mail.text
    assert soar.mail.text.strip() == "In words"


# -- attachments -------------------------------------------------------------------------------------


def test_attachments_of_an_html_mail_come_in_order_with_their_content_ids(soar: Soar, vault: Any) -> None:
    parameters = {
        "to": RECEIVER,
        "html_body": '<img src="cid:logo"><img src="cid:two">',
        "attachment_json": json.dumps([{"vault_id": VAULT_ID, "content_id": " logo "}, {"x": 1}, 3]),
        "attachment1": f" {VAULT_ID} ",
        "content_id1": "<two>",
        "attachment3": "second",
        "content_id2": "nobody",
    }
    done = soar("send htmlemail", parameters, vault=vault)
    assert done.status == 0
    assert "content_id2: there is no attachment2" in done.words
    assert "what has no vault_id is left out" in done.words
    found = soar.mail.attachments
    assert found
    assert [(one.filename, one.content_id) for one in found] == [
        ("findings.csv", "logo"),
        ("findings.csv", "two"),
        ("f.csv", None),
    ]
    raw = soar.recorder.messages[0].content
    assert raw.count(b"Content-Disposition: inline") == 2


def test_a_file_name_that_looks_like_a_template_is_a_name(soar: Soar) -> None:
    (soar.folder / "f.csv").write_bytes(CONTENT)
    vault = {"a": {"path": "f.csv", "name": "{{ x }}.csv"}}
    assert soar("send email", EMAIL | {"attachments": ["a"]}, vault=vault).status == 0
    assert soar.mail.attachments
    assert soar.mail.attachments[0].filename == "{{ x }}.csv"


def test_at_import_attachments_stay_behind_and_it_says_what_to_do() -> None:
    for action, parameters, place in (
        ("send email", EMAIL | {"attachments": VAULT_ID}, "parameters.attachments"),
        ("send htmlemail", HTML | {"attachment2": VAULT_ID}, "parameters.attachment2"),
    ):
        imported = read({"action": action, "parameters": parameters})
        assert "attachments" not in imported.nodes[action]["parameters"]
        (note,) = [one for one in imported.notes if one.place == place]
        assert note.fate == "leftOut"
        assert "--vault" in note.message


def test_what_is_for_the_platform_stays_there_and_it_says_so() -> None:
    imported = read(
        {"action": "send email", "asset": "corp", "parameters": EMAIL | {"context": {"guid": "1"}}}
    )
    told = {one.place: (one.fate, one.message) for one in imported.notes}
    assert told["parameters.context"] == ("leftOut", "is for the playbook")
    assert told["asset"][1].startswith("names an asset, which is imported by itself")
    assert (imported.credentials, imported.workflows) == ({}, ())


# -- whatever comes ----------------------------------------------------------------------------------

KEYS = [
    "from", "to", "cc", "bcc", "subject", "body", "headers", "html_body", "text_body", "attachment_json",
    "attachment1", "content_id1", "attachments", "raw_email", "should_sanitize_template", "context",
]  # fmt: skip
SCALARS = st.none() | st.booleans() | st.integers(-(10**9), 10**9) | st.floats(allow_nan=False)
JSON = st.recursive(
    SCALARS | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=8,
)
LIKELY = st.sampled_from(
    ["a@x.test", "A <a@x.test>, b@x.test", "<html>x", '{"From": "c@x.test", "X": 1}', '[{"vault_id": "1"}]',
     "1", r"From: a@x.test\nTo: b@x.test\nx", True, "{{ a }}"]
)  # fmt: skip
NAMES = st.sampled_from(["send email", "send_htmlemail", "SEND rawemail", "test connectivity", "x", 1, None])
PARAMETERS = st.dictionaries(st.sampled_from(KEYS), LIKELY | JSON, max_size=8) | JSON
TARGETS = st.lists(st.fixed_dictionaries({"parameters": PARAMETERS, "assets": JSON}), max_size=2) | JSON
DOCUMENTS = st.fixed_dictionaries(
    {"action": NAMES}, optional={"parameters": PARAMETERS, "targets": TARGETS, "asset": JSON, "name": JSON}
)


@examples(150)
@given(DOCUMENTS | JSON)
def test_whatever_it_is_only_our_errors_come_of_it(document: Any) -> None:
    dialect("soar").recognises(document)
    with suppress(NinaError):
        read(document, "n", dialect_name="soar")
