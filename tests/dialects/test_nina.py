"""NINA's node and credential."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from bed.certs import Certs
from bed.command import Command, trusting
from bed.recorder import Recorder
from dialects.nina_rows import (
    FORM,
    PASSWORD,
    SEED,
    TABLE,
    USER,
    Bench,
    Row,
    data,
    form,
    imported,
    node,
    refused,
)
from dialects.seed_tables import SEEDS, kept, tables_of

from nina_smtp.dialects.dialect import dialect, recognise
from nina_smtp.dialects.imported import Fate, Imported
from nina_smtp.errors import InvalidConfiguration

NAMES = kept("nina.json")
WRITE = dialect("nina").write


@pytest.fixture
def bench(
    tmp_path: Path, capsysbinary: Any, monkeypatch: pytest.MonkeyPatch, certs: Certs
) -> Iterator[Bench]:
    with Recorder(tls="starttls", users={USER: PASSWORD}) as server, trusting(certs.ca_pem, monkeypatch):
        yield Bench(Command(tmp_path, capsysbinary, monkeypatch), server)


@pytest.mark.parametrize("row", TABLE, ids=lambda row: row.id)
def test_a_row_of_the_guide(row: Row, bench: Bench) -> None:
    row.check(bench)


def test_no_row_of_the_guide_is_missing() -> None:
    assert [(row.table, row.name) for row in TABLE] == [(t, row) for t, rows in NAMES.items() for row in rows]
    if (seed := SEEDS / SEED).exists():
        assert tables_of(seed.read_text("utf-8")) == NAMES


# -- credentials ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("host", ["127.evil.test", "localhost.evil.test", "10.0.0.1", "0.0.0.0", "[::2]"])
def test_a_password_in_clear_text_to_another_machine_is_told_of(host: str) -> None:
    found = imported(form(Host=host, Encryption="none"))
    assert [note.place for note in found.told(Fate.WARNING)] == ["Encryption"]
    assert found.credentials["c"]["data"]["allowCleartextLogin"] is True


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST", "127.0.0.1", "127.9.9.9", "::1", "[::1]"])
def test_to_this_machine_it_is_nothing_to_tell(host: str) -> None:
    found = imported(form(Host=host, Encryption="none"))
    assert not list(found.told(Fate.WARNING))
    assert "allowCleartextLogin" not in found.credentials["c"]["data"]


@pytest.mark.parametrize(
    "document",
    [
        form(Auth_Method="plain", Port=465, Encryption="tls"),
        {"host": FORM["Host"], "port": 465, "encryption": "tls", "auth_method": "plain"}
        | {"username": USER, "password": PASSWORD},
        {"type": "smtp", "data": form(authMethod="plain", port="465", encryption="tls")},
        {"Integration Service": "SMTP", "data": form(Auth_Method="plain", Port=465, Encryption="TLS")},
    ],
)
def test_labels_and_names_of_the_fields_are_the_same(document: Any) -> None:
    assert dict(imported(document).credentials["c"]["data"]) == {
        "host": "smtp.office365.com", "port": 465, "encryption": "tls", "username": USER,
        "password": PASSWORD, "authMethod": "plain",
    }  # fmt: skip


@pytest.mark.parametrize("inner", [True, False])
def test_a_credential_keeps_its_name_and_its_description(inner: bool) -> None:
    about = {"Name": "Office 365 Alerts", "Description": "For the SOC"}
    document = about | ({"data": form(Encryption="tls")} if inner else form(Encryption="tls"))
    found = imported(document)
    (name,) = found.credentials
    assert name == "Office 365 Alerts"
    assert found.credentials[name]["description"] == "For the SOC"
    assert not list(found.told(Fate.LEFT_OUT))


def test_a_credential_of_another_kind_is_refused() -> None:
    for key, value in (("Integration Service", "Slack"), ("type", "smtpOAuth2")):
        with pytest.raises(InvalidConfiguration) as caught:
            imported({key: value, "data": form(Encryption="tls")})
        assert caught.value.parameter == key


def test_a_slip_of_the_pen_is_refused_and_what_is_not_known_is_told_of() -> None:
    assert refused(Encrytion="tls").hint == "Did you mean encryption?"
    (note,) = imported(form(tlsSkipVerify=True)).told(Fate.LEFT_OUT)
    assert note.place == "tlsSkipVerify"


def test_a_password_is_not_taken_for_a_number_or_a_word() -> None:
    assert data(Password=12345)["password"] == "12345"
    assert refused(Password=True).parameter == "Password"
    assert refused(Password=["a"]).parameter == "Password"


# -- nodes ---------------------------------------------------------------------------------------------


def test_a_template_is_told_of_and_kept() -> None:
    found = imported(node(subject="[{{ severity }}]", to=["{% if x %}a@mail.test{% endif %}"]))
    assert [note.place for note in found.told(Fate.WARNING)] == ["parameters.to", "parameters.subject"]
    assert found.nodes["c"]["parameters"]["subject"] == "[{{ severity }}]"


def test_a_node_without_parameters_is_refused() -> None:
    for bent in ({"operation": "send"}, {"operation": "send", "parameters": []}):
        with pytest.raises(InvalidConfiguration) as caught:
            imported(bent)
        assert caught.value.parameter == "parameters"


def test_a_parameter_that_is_misspelt_is_named(bench: Bench) -> None:
    bench.command.put("n.json", node(subjcet="x"))
    error = bench.command("import", "n.json").error
    assert (error["parameter"], error["hint"]) == ("subjcet", "Did you mean subject?")


@pytest.mark.parametrize(
    "document",
    [
        None,
        [],
        5,
        "text",
        {},
        {"node": 5},
        {"parameters": {"a": 1}},
        {"data": []},
        {"host": "h", "user": "u"},
    ],
)
def test_what_is_not_ninas_is_not_taken_for_it(document: Any) -> None:
    assert recognise(document) is not dialect("nina")


# -- back ----------------------------------------------------------------------------------------------


def nodes(**parameters: Any) -> Imported:
    return Imported("nina", {}, {"n": {"parameters": parameters}})


def test_what_nina_does_not_know_is_written_as_it_does() -> None:
    written = WRITE(
        nodes(
            to='"Eve, E." <eve@mail.test>, bob@mail.test',
            cc=[],
            bcc={"literal": "x@mail.test"},
            subject={"literal": "Plain"},
            body="b",
        )
    )
    assert written["parameters"] == {
        "to": ['"Eve, E." <eve@mail.test>', "bob@mail.test"], "subject": "Plain", "body": "b", "cc": [],
        "bcc": ["x@mail.test"],
    }  # fmt: skip


@pytest.mark.parametrize(
    ("parameters", "named"),
    [
        ({"subject": "{{ x }}"}, "subject"),
        ({"subject": {"literal": "{{ x }}"}}, "subject"),
        ({"to": ["{{ x }}"]}, "to"),
        ({"to": "nobody"}, "to"),
        ({"textBody": "t"}, "textBody"),
        ({"attachments": [{"blob": "sha256:x"}]}, "blob"),
        ({"attachments": ["x"]}, "attachments"),
    ],
)
def test_what_an_export_of_a_node_would_lose_is_named(parameters: Any, named: str) -> None:
    with pytest.raises(InvalidConfiguration) as caught:
        WRITE(nodes(**parameters))
    assert named in caught.value.message


@pytest.mark.parametrize("extra", [{"options": {"mode": "once"}}, {"extract": {"to": "$.x"}}])
def test_an_option_of_ours_is_not_lost_in_silence(extra: Any) -> None:
    with pytest.raises(InvalidConfiguration):
        WRITE(Imported("nina", {}, {"n": node() | extra}))


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"authMethod": "auto"}, "authMethod"),
        ({"authMethod": "none"}, "authMethod"),
        ({"username": None}, "username"),
        ({"fromAddress": "a@mail.test"}, "fromAddress"),
        ({"tlsSkipVerify": True}, "tlsSkipVerify"),
        ({"allowCleartextLogin": True}, "allowCleartextLogin"),
        ({"recipientPolicy": {"allow": ["x.test"]}}, "recipientPolicy"),
    ],
)
def test_what_an_export_of_a_credential_would_lose_is_named(changes: Any, named: str) -> None:
    ours = {"type": "smtp", "data": {"host": "h.test", "username": "u", "password": "p"} | changes}
    with pytest.raises(InvalidConfiguration) as caught:
        WRITE(Imported("nina", {"c": ours}))
    assert named in caught.value.message


def test_there_is_one_node_and_one_credential_in_a_document() -> None:
    for too_much in (Imported("nina", {}, {"a": node(), "b": node()}), Imported("nina")):
        with pytest.raises(InvalidConfiguration):
            WRITE(too_much)
    account = imported(form()).credentials
    assert set(WRITE(Imported("nina", account, {"n": node()}))) == {"node", "credential"}
