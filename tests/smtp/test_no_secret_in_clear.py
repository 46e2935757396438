"""A server that strips, refuses or spoils TLS never sees a password, and no mail is begun."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from bed.certs import Certs
from bed.faulty import FaultyServer
from bed.invariants import check_no_secret
from bed.recorder import Recorder

import nina_smtp
from nina_smtp.catalog import default_catalog

USER, PASSWORD = "alice@mail.test", "S3CRET-pässword"
SPOILED = (
    "e_502", "t_strip", "t_strip_helo", "t_454", "t_502", "t_250", "t_inject_frag", "t_inject_reply",
    "t_inject_many", "t_close", "t_hang", "t_garbage", "t_selfsigned", "t_wrongname", "t_expired", "t_cnonly",
)  # fmt: skip
BAD_CERTIFICATES = ("t_selfsigned", "t_wrongname", "t_expired", "t_cnonly")
NODE = {"operation": "send", "parameters": {"to": "bob@mail.test", "subject": "s", "body": "b"}}


def credential(server: Recorder, certs: Certs, method: str, **data: Any) -> dict[str, Any]:
    return {
        "host": "localhost",
        "port": server.port,
        "username": USER,
        "password": PASSWORD,
        "authMethod": method,
        "caCertificate": certs.ca_pem.read_text(),
        "timeouts": {"connect": 2, "greeting": 1, "command": 1, "total": 3, "quit": 0.2},
        **data,
    }


def sent(data: dict[str, Any]) -> str:
    results = nina_smtp.send(NODE, data)
    assert [result.status for result in results] == ["failed"]
    assert all(result.error and result.error.type != "invalidCredential" for result in results)
    return repr(results.as_dicts()) + repr(results)


def checked(data: dict[str, Any]) -> str:
    kind = default_catalog().credential("smtp")
    report = asyncio.run(kind.test(kind.read(data), send_to="bob@mail.test"))
    assert not report.passed
    assert report.steps[-1].name in {"tls", "ehlo"}
    return repr(report.as_dict())


@pytest.mark.parametrize("method", ["login", "plain"])
@pytest.mark.parametrize("attempt", [sent, checked])
@pytest.mark.parametrize("fault", SPOILED)
def test_nobody_logs_in_where_starttls_is_spoiled(
    fault: str, attempt: Any, method: str, certs: Certs
) -> None:
    with FaultyServer(fault, tls=certs, patience=2) as server:
        shown = attempt(credential(server, certs, method))
    assert not server.saw_secret(PASSWORD, USER, clear=False), "not even inside TLS"
    assert "AUTH" not in server.verbs
    assert "MAIL" not in server.verbs
    assert not server.messages
    check_no_secret([shown], [PASSWORD], USER)


@pytest.mark.parametrize("method", ["login", "plain"])
@pytest.mark.parametrize("attempt", [sent, checked])
@pytest.mark.parametrize("fault", BAD_CERTIFICATES)
def test_nobody_logs_in_behind_a_bad_certificate(fault: str, attempt: Any, method: str, certs: Certs) -> None:
    with FaultyServer(fault, tls=certs, mode="implicit") as server:
        attempt(credential(server, certs, method, encryption="tls"))
    assert not server.saw_secret(PASSWORD, USER, clear=False)
    assert not {"AUTH", "MAIL"} & set(server.verbs)


@pytest.mark.parametrize("method", ["login", "plain"])
def test_a_server_that_speaks_in_clear_where_tls_is_due_hears_nothing(method: str, certs: Certs) -> None:
    with Recorder() as server:
        shown = sent(credential(server, certs, method, encryption="tls"))
    assert "starttls" in shown
    assert not server.saw_secret(PASSWORD, USER)
    assert not {"AUTH", "MAIL"} & set(server.verbs)


@pytest.mark.parametrize("method", ["login", "plain"])
@pytest.mark.parametrize("tls", ["starttls", "implicit"])
def test_in_tls_the_password_arrives_and_in_clear_nothing_of_it(tls: Any, method: str, certs: Certs) -> None:
    with Recorder(tls=tls, certs=certs, auth_in_clear=True, users={USER: PASSWORD}) as server:
        encryption = "tls" if tls == "implicit" else tls
        results = nina_smtp.send(NODE, credential(server, certs, method, encryption=encryption))
    results.raise_for_status()
    assert server.sessions[0].exchanges[0].accepted
    assert not server.saw_secret(PASSWORD, USER)
    check_no_secret([repr(results.as_dicts()), repr(results)], [PASSWORD], USER)


@pytest.mark.parametrize("allowed", [False, True])
def test_without_tls_a_password_goes_to_this_machine_only(
    monkeypatch: pytest.MonkeyPatch, certs: Certs, allowed: bool
) -> None:
    monkeypatch.setattr("nina_smtp.smtp.session.is_loopback", lambda address: False)
    with Recorder(users={USER: PASSWORD}) as server:
        data = credential(server, certs, "plain", encryption="none", allowCleartextLogin=allowed)
        (result,) = nina_smtp.send(NODE, data)
    assert server.saw_secret(PASSWORD, USER) is allowed
    if allowed:
        assert result.status == "sent"
    else:
        assert result.error
        assert result.error.type == "tlsRequired"
        assert "allowCleartextLogin" in (result.error.hint or "")
        assert not {"AUTH", "MAIL"} & set(server.verbs)
