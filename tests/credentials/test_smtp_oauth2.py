"""The credential type smtpOAuth2: its fields, its test, and mail that goes out with it."""

from __future__ import annotations

import asyncio
import json
import logging
import subprocess
import sys
import threading
import traceback
from collections.abc import Iterator
from typing import Any

import pytest
from bed.invariants import check_no_secret
from bed.oauth import CLIENT_ID, CLIENT_SECRET, OAuthServer
from bed.xoauth2 import OFFER, TokenRecorder

import nina_smtp
from nina_smtp.api import read_credential
from nina_smtp.catalog import default_catalog
from nina_smtp.credential import Step
from nina_smtp.delivery.account import Account
from nina_smtp.errors import InvalidCredential
from nina_smtp.oauth.account import keeping_tokens, source_of
from nina_smtp.oauth.store import MemoryStore
from nina_smtp.smtp.auth import XOAuth2

TYPE = default_catalog().credential("smtpOAuth2")
DATA: dict[str, Any] = {
    "host": "smtp.mail.test",
    "username": "alice@mail.test",
    "clientId": CLIENT_ID,
    "clientSecret": CLIENT_SECRET,
    "tokenUrl": "https://login.mail.test/token",
    "authUrl": "https://login.mail.test/authorize",
    "deviceUrl": "https://login.mail.test/device",
    "scopes": "https://mail.test/  offline_access",
    "grant": "refreshToken",
    "refreshToken": "rt-m1ne-S3cr3t/+=",
}
SECRETS = [CLIENT_SECRET, "rt-m1ne-S3cr3t/+=", "k3y-of-the-signature", "tok-g1ven-S3cr3t"]
FULL = DATA | {"secretKey": SECRETS[2], "accessToken": SECRETS[3]}
NODE = {
    "parameters": {"to": "b@x.test", "subject": "{{ n }}", "body": "B"},
    "options": {"onError": "continue"},
}


def account(**fields: Any) -> Account:
    data = {key: value for key, value in (DATA | fields).items() if value != "—"}
    found = read_credential({"type": "smtpOAuth2", "data": data})
    assert isinstance(found, Account)
    return found


def refused(**fields: Any) -> dict[str, Any]:
    with pytest.raises(InvalidCredential) as caught:
        account(**fields)
    error = caught.value.as_dict()
    frames = traceback.TracebackException.from_exception(caught.value, capture_locals=True)
    ours = [str(frame.locals) for frame in frames.stack if "/tests/" not in frame.filename]
    check_no_secret([json.dumps(error), repr(caught.value), *ours], SECRETS)
    return error


@pytest.fixture
def provider() -> Iterator[OAuthServer]:
    with OAuthServer(secret=CLIENT_SECRET) as running:
        running.refresh_tokens.add(SECRETS[1])
        yield running


def data_for(mail: TokenRecorder, provider: OAuthServer, **fields: Any) -> dict[str, Any]:
    return DATA | {
        "host": "localhost",
        "port": mail.port,
        "encryption": "none",
        "tokenUrl": provider.token_url,
        "timeouts": {"connect": 5, "greeting": 5, "command": 5, "quit": 0.2},
        **fields,
    }  # fmt: skip


# -- what is refused ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("host", "https://mail.test"),
        ("port", "587"),
        ("username", "a\1auth=Bearer x"),
        ("username", "a\r\nb"),
        ("grant", "password"),
        ("grant", "refresh_token"),
        ("clientId", 5),
        ("clientId", "a\nb"),
        ("clientSecret", "a\nb"),
        ("tokenUrl", "http://login.mail.test/token"),
        ("tokenUrl", "https://u:p@login.mail.test/token"),
        ("tokenUrl", "https://login.mail.test/{tenant}/token"),
        ("authUrl", "login.mail.test"),
        ("deviceUrl", 5),
        ("scopes", "a\tb"),
        ("scopes", 'a"b'),
        ("scopes", ["a"]),
        ("refreshToken", "a b"),
        ("refreshToken", "tök"),
        ("refreshToken", "x" * 8001),
        ("accessToken", "a\1b"),
        ("timeouts", 5),
        ("limits", []),
        ("fromAddress", "nobody"),
        ("ehloName", "a b"),
    ],
)
def test_a_bad_value_is_named_by_its_field(field: str, value: Any) -> None:
    error = refused(**{field: value})
    assert (error["type"], error["parameter"]) == ("invalidCredential", field)
    assert error["hint"]


@pytest.mark.parametrize("missing", ["host", "username", "clientId", "tokenUrl", "refreshToken"])
@pytest.mark.parametrize("nothing", ["—", None, ""])
def test_what_is_required_is_missed(missing: str, nothing: Any) -> None:
    assert refused(**{missing: nothing})["parameter"] == missing


@pytest.mark.parametrize(
    ("grant", "needed"),
    [
        ("authorizationCode", "authUrl"),
        ("deviceCode", "deviceUrl"),
        ("clientCredentials", "clientSecret"),
        ("refreshToken", "refreshToken"),
    ],
)
def test_each_grant_misses_what_it_needs_and_nothing_else(grant: str, needed: str) -> None:
    optional = {"authUrl": "", "deviceUrl": "", "clientSecret": "", "refreshToken": ""}
    assert refused(**optional, grant=grant)["parameter"] == needed
    assert account(**(optional | {"grant": grant, needed: DATA[needed]})).server.mechanism


@pytest.mark.parametrize(
    ("field", "meant"), [("clientID", "clientId"), ("refresh_tokn", "refreshToken"), ("scope", "scopes")]
)
def test_an_unknown_field_names_the_one_that_was_meant(field: str, meant: str) -> None:
    assert refused(**{field: SECRETS[0]})["hint"] == f"Did you mean {meant}?"


def test_fields_of_the_other_type_are_not_known() -> None:
    assert refused(password="x")["parameter"] == "password"
    assert refused(authMethod="login")["parameter"] == "authMethod"


def test_without_the_extra_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "httpx", None)
    assert refused()["hint"] == "pip install 'nina-smtp[oauth]'"


# -- what is read ------------------------------------------------------------------------------------


def test_everything_is_read() -> None:
    found = account(limits={"connections": 2}, recipientPolicy={"deny": ["x.test"]})
    source = source_of(found)
    assert source
    client = source.client
    assert (found.server.host, found.server.port) == ("smtp.mail.test", 587)
    assert isinstance(found.server.mechanism, XOAuth2)
    assert found.server.mechanism.username == client.username == "alice@mail.test"
    assert str(found.sender) == "alice@mail.test"
    assert client.scopes == ("https://mail.test/", "offline_access")
    assert client.deadline == 60
    assert found.limits.connections == 2
    assert found.policy.deny == ("x.test",)


def test_the_same_document_is_the_same_account_and_shares_its_tokens() -> None:
    document = {"type": "smtpOAuth2", "name": "n", "data": DATA}
    one, other = read_credential(document), read_credential({"type": "smtpOAuth2", **DATA})
    assert one == other
    assert hash(one.server) == hash(other.server)
    assert source_of(one) is source_of(other)
    assert one != account(refreshToken="rt-another")
    kept = MemoryStore()
    assert keeping_tokens(one, kept) == keeping_tokens(other, kept) != one
    password = read_credential({"host": "h.test", "authMethod": "none"})
    assert keeping_tokens(password, kept) is password


def test_secrets_never_show() -> None:
    found = account(**FULL)
    check_no_secret(
        [
            repr(found),
            str(vars(found.server)),
            repr(source_of(found)),
            repr(TYPE.fields.model_validate(FULL)),
        ],
        SECRETS,
    )


def test_what_is_dangerous_is_said_of_the_token() -> None:
    assert account(encryption="none").warnings == ("The access token is sent in clear text.",)
    assert "read the access token" in account(tlsSkipVerify=True).warnings[0]


def test_the_form_keeps_its_order() -> None:
    names = list(TYPE.fields.model_json_schema(by_alias=True)["properties"])
    assert names[:6] == ["host", "port", "encryption", "username", "grant", "clientId"]
    assert names[-1] == "limits"
    shared = set(default_catalog().credential("smtp").fields.model_json_schema(by_alias=True)["properties"])
    assert shared - set(names) == {"password", "authMethod"}


@pytest.mark.parametrize("preset", TYPE.presets, ids=lambda preset: preset.name)
def test_a_preset_is_a_credential_but_for_what_only_its_owner_knows(preset: Any) -> None:
    values = {
        key: value.replace("{tenant}", "0a1b") if isinstance(value, str) else value
        for key, value in preset.values.items()
    }
    mine = {"username": "a@x.test", "clientId": "c", "clientSecret": "s"}
    assert TYPE.read(values | mine).server.port == 587
    for key, value in preset.values.items():
        if "{" in str(value):
            with pytest.raises(InvalidCredential, match="braces"):
                TYPE.read(values | mine | {key: value})


# -- the test ----------------------------------------------------------------------------------------


def run_test(data: dict[str, Any]) -> Any:
    seen: list[Step] = []
    report = asyncio.run(TYPE.test(TYPE.read(data), progress=seen.append))
    assert [step for step in seen if step.ok is not None] == list(report.steps)
    check_no_secret([json.dumps(report.as_dict()), repr(report)], SECRETS)
    return report


def test_the_test_shows_the_token_before_the_login(provider: OAuthServer) -> None:
    with TokenRecorder("tok-alice-1-S3cr3t/+==") as mail:
        report = run_test(data_for(mail, provider))
    assert report.passed, report
    assert [step.name for step in report.steps] == [
        "resolve",
        "connect",
        "greeting",
        "ehlo",
        "token",
        "login",
    ]
    token, login = report.steps[-2:]
    assert 3590 <= token.facts["expiresIn"] <= 3600
    assert token.facts["scopes"] == ["https://mail.test/", "offline_access"]
    assert login.facts == {"authMethod": "XOAUTH2", "username": "alice@mail.test"}
    check_no_secret([json.dumps(report.as_dict())], provider.issued, "alice@mail.test")


def test_the_test_stops_where_there_is_no_token(provider: OAuthServer) -> None:
    with TokenRecorder() as mail:
        report = run_test(data_for(mail, provider, refreshToken="rt-revoked"))
    failed = report.steps[-1]
    assert (failed.name, failed.ok, failed.error["type"]) == ("token", False, "authFailed")
    assert mail.exchanges == []


def test_the_test_of_a_token_that_is_refused(provider: OAuthServer) -> None:
    with TokenRecorder(hangs_up=True) as mail:
        report = run_test(data_for(mail, provider))
    assert (report.steps[-1].name, report.steps[-1].error["code"]) == ("login", 535)
    assert len(mail.exchanges) == 2
    check_no_secret([json.dumps(report.as_dict())], provider.issued, "alice@mail.test")


# -- mail --------------------------------------------------------------------------------------------


def items(count: int) -> list[dict[str, Any]]:
    return [{"n": number} for number in range(count)]


def test_a_grant_that_was_taken_back_fails_every_mail_with_one_question(provider: OAuthServer) -> None:
    with TokenRecorder() as mail:
        credential = {"type": "smtpOAuth2", "data": data_for(mail, provider, refreshToken="rt-revoked")}
        results = nina_smtp.send(NODE, credential, items(50))
    assert {result.status for result in results} == {"failed"}
    assert results[0].error
    assert "Connect the account again" in (results[0].error.hint or "")
    assert provider.asked_for_tokens == 1
    assert mail.messages == []


def test_many_mails_over_many_connections_are_one_renewal(
    provider: OAuthServer, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG), TokenRecorder("tok-alice-1-S3cr3t/+==") as mail:
        data = data_for(mail, provider, limits={"connections": 20})
        results = nina_smtp.send(NODE, {"type": "smtpOAuth2", "data": data}, items(200))
    results.raise_for_status()
    assert len(mail.messages) == 200
    assert len(mail.sessions) > 1
    assert provider.asked_for_tokens == 1
    told = [json.dumps(results.as_dicts()), repr(results), caplog.text]
    check_no_secret(told, [*SECRETS, *provider.issued], "alice@mail.test")


def test_a_token_that_expires_between_connections_is_one_renewal_for_all(provider: OAuthServer) -> None:
    """The server ends every connection after some mails, and takes the first token no more after a while."""

    class Expiring(TokenRecorder):
        lock = threading.Lock()

        def handle(self, connection: Any) -> None:
            with self.lock:
                if len(self.sessions) == 3:
                    self.good = {"tok-alice-2-S3cr3t/+=="}
            super().handle(connection)

        def reply_to_dot(self, message: Any) -> bytes:
            if len(self.messages) % 10 == 0:
                return b"421 4.3.2 That is enough for one connection\r\n"
            return super().reply_to_dot(message)

    with Expiring(
        "tok-alice-1-S3cr3t/+==", keywords=[word for word in OFFER if word != "PIPELINING"]
    ) as mail:
        data = data_for(mail, provider, limits={"connections": 4})
        nina_smtp.send(NODE, {"type": "smtpOAuth2", "data": data}, items(100))
    assert provider.asked_for_tokens == 2
    assert {exchange.password for exchange in mail.exchanges if exchange.accepted} == set(provider.issued)


def test_what_was_renewed_serves_the_next_execution_too(provider: OAuthServer) -> None:
    provider.rotating = True
    with TokenRecorder() as mail:
        mail.good = provider.issued
        for _ in range(3):
            data = data_for(mail, provider)
            nina_smtp.send(NODE, {"type": "smtpOAuth2", "data": data}, items(2)).raise_for_status()
    assert provider.asked_for_tokens == 1
    assert len(mail.messages) == 6


def test_who_uses_no_tokens_loads_nothing_for_them() -> None:
    program = (
        "import sys, nina_smtp.api as api\n"
        "api.read_credential({'host': 'h.test', 'authMethod': 'none'})\n"
        "print([name for name in sys.modules if name.startswith(('httpx', 'nina_smtp.oauth'))])"
    )
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"
