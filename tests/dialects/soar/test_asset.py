"""The asset configuration, as credentials."""

from __future__ import annotations

from typing import Any

import pytest
from dialects.soar.running import Soar
from hypothesis import given
from hypothesis import strategies as st
from strategies import examples

from nina_smtp.api import read_credential
from nina_smtp.dialects.dialect import read
from nina_smtp.dialects.imported import Fate, Imported
from nina_smtp.errors import InvalidConfiguration, NinaError

PASSWORD = "pass-wörd"
BARE = {"server": "mail.corp.test", "ssl_config": "StartTLS"}
BASIC = BARE | {"username": "soc@corp.test", "password": PASSWORD}
OAUTH = BARE | {
    "username": "soc@corp.test", "client_id": "id", "client_secret": "hush", "auth_url": "https://p.test/auth",
    "token_url": "https://p.test/token", "scopes": "https://p.test/mail  offline_access",
}  # fmt: skip
MISSING = "One or more required parameters for {} authentication is missing."


def brought(configuration: Any) -> Imported:
    return read(configuration, "corp", dialect_name="soar")


def data(configuration: Any, name: str = "corp") -> dict[str, Any]:
    return dict(brought(configuration).credentials[name]["data"])


def note(imported: Imported, place: str) -> tuple[Fate, str]:
    return next((one.fate, one.message) for one in imported.notes if one.place == place)


@pytest.mark.parametrize(
    ("change", "parameter"),
    [
        ({"server": None}, "server"),
        ({"server": ""}, "server"),
        ({"server": "https://mail.corp.test"}, "server"),
        ({"server": "mail.corp.test/x"}, "server"),
        ({"server": "mail.corp.test:99999"}, "server"),
        ({"port": "x"}, "port"),
        ({"port": 0}, "port"),
        ({"port": 70000}, "port"),
        ({"port": 25.5}, "port"),
        ({"ssl_config": "TLSv1"}, "ssl_config"),
        ({"ssl_config": True}, "ssl_config"),
        ({"auth_type": "Kerberos"}, "auth_type"),
        ({"sender_address": "not an address"}, "sender_address"),
        ({"sender_address": "a@x.test, b@x.test"}, "sender_address"),
        ({"allow_smtputf8": "maybe"}, "allow_smtputf8"),
        ({"usernam": "x"}, "usernam"),
        (OAUTH | {"auth_url": "https://[p.test/"}, "auth_url"),
        ({"configuration": None}, "configuration"),
        ({"password": ["x"], "username": "x"}, "password"),
    ],
)
def test_a_variable_that_is_wrong_is_named(change: dict[str, Any], parameter: str) -> None:
    with pytest.raises(InvalidConfiguration) as caught:
        brought(BARE | change)
    assert caught.value.parameter == parameter


@pytest.mark.parametrize(
    ("change", "way", "first"),
    [
        ({"auth_type": "OAuth"}, "OAuth", "username"),
        ({"auth_type": "oauth", "username": "u", "client_id": "c"}, "OAuth", "client_secret"),
        ({"auth_type": "Basic", "username": "u"}, "Basic", "password"),
        ({"auth_type": "Basic", "password": "p"}, "Basic", "username"),
    ],
)
def test_an_auth_type_whose_variables_are_missing_says_so_as_the_connector_does(
    change: dict[str, Any], way: str, first: str
) -> None:
    with pytest.raises(InvalidConfiguration) as caught:
        brought(BARE | change)
    assert caught.value.message.startswith(MISSING.format(way))
    assert caught.value.parameter == first


def test_a_password_in_clear_is_allowed_as_it_is_there_and_warned_of() -> None:
    imported = brought(BASIC | {"ssl_config": "None"})
    assert imported.credentials["corp"]["data"]["allowCleartextLogin"] is True
    fate, message = note(imported, "ssl_config")
    assert fate is Fate.WARNING
    assert "password is sent in clear text" in message


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.8.9.1", "::1"])
def test_on_this_machine_nothing_has_to_be_allowed(host: str) -> None:
    imported = brought(BASIC | {"ssl_config": "None", "server": host})
    assert "allowCleartextLogin" not in imported.credentials["corp"]["data"]
    assert note(imported, "ssl_config")[0] is Fate.SAME


def test_a_host_that_only_looks_like_this_machine_is_none() -> None:
    imported = brought(BASIC | {"ssl_config": "None", "server": "127.evil.test"})
    assert note(imported, "ssl_config")[0] is Fate.WARNING


TEXTS = st.sampled_from(
    [None, "", "x", "soc@corp.test", "https://p.test/a", "${SECRET}", "None", "mail.corp.test"]
)
HOSTS = st.sampled_from(
    [
        "mail.corp.test",
        "127.0.0.1",
        "localhost",
        "127.evil.test",
        "192.0.2.1",
        "[::1]",
        "h.test:25",
        "${HOST}",
    ]
)
CONFIGURATIONS = st.fixed_dictionaries(
    {"server": HOSTS, "ssl_config": st.sampled_from(["None", "none", "NONE", "SSL", "starttls", None, ""])},
    optional=dict.fromkeys(
        ("username", "password", "client_id", "client_secret", "token_url", "scopes"), TEXTS
    )
    | {
        "auth_url": st.sampled_from([None, "https://p.test/a?access_type=online", "${URL}"]),
        "auth_type": st.sampled_from([None, "Automatic", "OAuth", "Basic", "Passwordless"]),
        "port": st.sampled_from([None, 25, "587"]),
        "ssl_config.x": st.just("1"),
        "name": st.just("n"),
    },
)


@examples(150)
@given(CONFIGURATIONS, st.sampled_from([0, 1, 150]), st.booleans())
def test_no_secret_goes_out_in_clear_without_a_warning(
    configuration: dict[str, Any], noise: int, wrapped: bool
) -> None:
    many = {f"zz{number}": 1 for number in range(noise)}
    document = {**many, "configuration": configuration, "configuration.ssl_config": 1} if wrapped else (
        many | configuration
    )  # fmt: skip
    try:
        imported = brought(document)
    except InvalidConfiguration:
        return
    for credential in imported.credentials.values():
        found = credential["data"]
        logs_in = found.get("authMethod") != "none"
        local = found["host"] in ("localhost", "127.0.0.1", "::1")
        assert "tlsSkipVerify" not in found
        if found["encryption"] == "none" and logs_in and not local:
            warned = [n for n in imported.told(Fate.WARNING) if n.place.endswith("ssl_config")]
            assert any("in clear text" in one.message for one in warned)
        else:
            assert not found.get("allowCleartextLogin")


@pytest.mark.parametrize(
    ("written", "encryption", "port"),
    [("None", "none", 25), ("SSL", "tls", 465), ("StartTLS", "starttls", 587), ("STARTTLS", "starttls", 587),
     ("ssl", "tls", 465), (None, "starttls", 587), ("", "starttls", 587)],
)  # fmt: skip
def test_encryption_and_its_port(written: str | None, encryption: str, port: int) -> None:
    found = data(BARE | {"ssl_config": written})
    assert (found["encryption"], found["port"]) == (encryption, port)


def test_a_port_in_the_server_is_the_port() -> None:
    assert data(BARE | {"server": "mail.corp.test:2525"})["port"] == 2525
    assert data(BARE | {"port": 587.0})["port"] == 587


def test_what_is_better_is_said() -> None:
    imported = brought(BASIC | {"allow_smtputf8": True, "encoding": False})
    for place in ("port", "ssl_config", "password", "allow_smtputf8", "encoding"):
        assert note(imported, place)[0] is Fate.BETTER
    assert "caCertificate" in note(imported, "ssl_config")[1]


def test_basic_takes_whichever_mechanism_is_offered() -> None:
    found = data(BASIC | {"sender_address": "SOC <alerts@corp.test>"})
    assert (found["authMethod"], found["password"]) == ("auto", PASSWORD)
    assert found["fromAddress"] == "SOC <alerts@corp.test>"


def test_without_a_password_nobody_logs_in() -> None:
    assert data(BARE)["authMethod"] == "none"
    imported = brought(BARE | {"username": "soc@corp.test"})
    assert imported.credentials["corp"]["data"]["authMethod"] == "none"
    assert note(imported, "username")[0] is Fate.WARNING


def test_oauth_is_complete() -> None:
    credential = brought(OAUTH).credentials["corp"]
    assert credential["type"] == "smtpOAuth2"
    assert credential["data"]["grant"] == "authorizationCode"
    assert credential["data"]["scopes"] == "https://p.test/mail offline_access"
    assert credential["data"]["authUrl"] == "https://p.test/auth?access_type=offline"
    read_credential(credential)


@pytest.mark.parametrize(
    ("server", "url", "asked"),
    [
        ("smtp.gmail.com", "https://p.test/a", "https://p.test/a?access_type=offline&prompt=consent"),
        ("mail.corp.test", "https://p.test/a?x=1", "https://p.test/a?x=1&access_type=offline"),
        ("mail.corp.test", "https://p.test/a?access_type=online", "https://p.test/a?access_type=online"),
    ],
)
def test_the_provider_is_asked_for_a_token_that_can_be_renewed(server: str, url: str, asked: str) -> None:
    assert data(OAUTH | {"server": server, "auth_url": url})["authUrl"] == asked


def test_oauth_and_a_password_are_one_after_the_other() -> None:
    imported = brought(OAUTH | {"password": PASSWORD, "auth_type": "automatic"})
    assert {name: one["type"] for name, one in imported.credentials.items()} == {
        "corp": "smtpOAuth2",
        "corp (Basic)": "smtp",
    }


@pytest.mark.parametrize(
    ("auth_type", "types", "unused"),
    [("OAuth", ["smtpOAuth2"], "password"), ("Basic", ["smtp"], "client_id"),
     ("Passwordless", ["smtp"], "client_secret")],
)  # fmt: skip
def test_an_auth_type_that_is_named_is_the_only_one(auth_type: str, types: list[str], unused: str) -> None:
    imported = brought(OAUTH | {"password": PASSWORD, "auth_type": auth_type})
    assert [one["type"] for one in imported.credentials.values()] == types
    assert note(imported, unused)[0] is Fate.LEFT_OUT


def test_automatic_skips_what_is_incomplete_and_says_so() -> None:
    imported = brought(BASIC | {"client_id": "x"})
    assert imported.credentials["corp"]["data"]["authMethod"] == "auto"
    assert MISSING.format("OAuth") in note(imported, "client_id")[1]


def test_an_asset_as_it_is_exported_has_its_name() -> None:
    exported = {"id": 7, "name": "corp smtp", "product_name": "SMTP", "tags": ["x"], "configuration": BASIC}
    imported = read(exported)
    assert list(imported.credentials) == ["corp smtp"]
    assert note(imported, "product_name")[0] is Fate.LEFT_OUT
    assert note(imported, "configuration.server")[0] is Fate.SAME


def test_every_key_has_a_note() -> None:
    whole = OAUTH | {"port": 25, "password": "p", "sender_address": "a@x.test", "auth_type": "Automatic"}
    whole |= {"allow_smtputf8": True, "encoding": True, "zzz": 1}
    assert {one.place for one in brought(whole).notes} == set(whole)


def test_a_variable_of_the_environment_stays_one_and_other_text_stays_itself() -> None:
    assert data(BASIC | {"password": "${SMTP_PASSWORD}"})["password"] == "${SMTP_PASSWORD}"
    assert data(BASIC | {"password": "a${B}c"})["password"] == "a$${B}c"
    asset = OAUTH | {"server": "${HOST}", "sender_address": "${SENDER}", "auth_url": "${URL}"}
    found = data(asset)
    assert (found["host"], found["fromAddress"], found["authUrl"]) == ("${HOST}", "${SENDER}", "${URL}")
    assert PASSWORD not in repr(brought(BASIC))


def test_the_command_takes_the_environment(soar: Soar, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAIL_PASSWORD", PASSWORD)
    asset = {"username": "alice", "password": "${MAIL_PASSWORD}"}
    done = soar("send email", {"to": "b@x.test", "body": "B"}, asset=asset)
    assert done.status == 0
    assert soar.recorder.sessions[0].exchanges[0].password == PASSWORD


SCALARS = st.none() | st.booleans() | st.integers(-(10**9), 10**9) | st.floats(allow_nan=False)
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**9), 10**9)
    | st.floats(allow_nan=False)
    | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=10,
)
VARIABLES = [*OAUTH, "password", "port", "sender_address", "auth_type", "encoding", "configuration", "name"]


@examples(150)
@given(JSON | st.dictionaries(st.sampled_from(VARIABLES), JSON | TEXTS | HOSTS, max_size=10))
def test_whatever_it_is_only_our_errors_come_of_it(document: Any) -> None:
    try:
        for credential in brought(document).credentials.values():
            read_credential(credential)
    except NinaError:
        pass
