"""The doctor: what each port of a host speaks, and the settings that follow."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from bed.certs import Certs
from bed.faulty import FaultyServer
from bed.mailservers import MailHost, free_ports
from bed.recorder import EVERYTHING, Recorder

from nina_smtp.errors import ConnectFailed
from nina_smtp.smtp.doctor import PORTS, Diagnosis, Finding, Speaks, examine
from nina_smtp.smtp.server import Encryption, Timeouts, Trust

SHORT = Timeouts(connect=2, greeting=0.3, command=1, quit=0.2, total=5)
STARTTLS, TLS = Encryption.STARTTLS, Encryption.TLS


@pytest.fixture
def servers() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def diagnose(ports: dict[int, Encryption], certs: Certs | None = None) -> Diagnosis:
    trust = Trust(certs.ca_pem.read_text()) if certs else None
    diagnosis = asyncio.run(examine("localhost", ports=ports, timeouts=SHORT, trust=trust))
    json.dumps(diagnosis.as_dict())
    return diagnosis


def one(port: int, expected: Encryption, certs: Certs | None = None) -> Finding:
    (finding,) = diagnose({port: expected}, certs).ports
    return finding


def test_a_host_that_does_not_resolve_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    with pytest.raises(ConnectFailed):
        asyncio.run(examine("nowhere.test"))


def test_closed_ports_leave_no_settings() -> None:
    first, second = free_ports(2)
    diagnosis = diagnose({first: TLS, second: STARTTLS})
    assert [finding.speaks for finding in diagnosis.ports] == [Speaks.CLOSED, Speaks.CLOSED]
    assert diagnosis.settings == {}
    assert "firewall" in diagnosis.advice


@pytest.mark.parametrize("expected", [TLS, STARTTLS])
@pytest.mark.parametrize(
    ("fault", "speaks"),
    [
        ("g_none", Speaks.SILENT),
        ("g_250", Speaks.OTHER),
        ("g_endless_line", Speaks.OTHER),
        ("g_close", Speaks.OTHER),
        ("g_554", Speaks.SMTP),
        ("g_421", Speaks.SMTP),
        ("e_code_change", Speaks.SMTP),
    ],
)
def test_a_port_that_is_of_no_use_is_named_and_not_recommended(
    fault: str, speaks: Speaks, expected: Encryption, certs: Certs
) -> None:
    with FaultyServer(fault, tls=certs, patience=1) as server:
        diagnosis = diagnose({server.port: expected}, certs)
    assert diagnosis.ports[0].speaks is speaks
    assert diagnosis.ports[0].error
    assert diagnosis.settings == {}


@pytest.mark.parametrize("fault", ["t_454", "t_close", "t_inject_many", "t_garbage"])
def test_a_starttls_that_does_not_work_is_not_recommended_and_neither_is_clear_text(
    fault: str, certs: Certs
) -> None:
    with FaultyServer(fault, tls=certs) as server:
        diagnosis = diagnose({server.port: STARTTLS}, certs)
    assert diagnosis.ports[0].speaks is Speaks.SMTP
    assert diagnosis.settings == {}


@pytest.mark.parametrize("mode", ["starttls", "implicit"])
@pytest.mark.parametrize("fault", ["t_selfsigned", "t_wrongname", "t_expired"])
def test_a_certificate_that_is_not_trusted_is_shown_with_its_fingerprint(
    fault: str, mode: Any, certs: Certs
) -> None:
    with FaultyServer(fault, tls=certs, mode=mode) as server:
        diagnosis = diagnose({server.port: STARTTLS if mode == "starttls" else TLS}, certs)
    (finding,) = diagnosis.ports
    assert finding.tls
    assert not finding.tls.verified
    assert finding.tls.fingerprint in diagnosis.advice
    assert finding.tls.subject
    assert finding.tls.expires
    assert finding.error
    assert finding.error.type == "certificateRejected"
    assert finding.inside.mechanisms == {"PLAIN", "LOGIN"}
    assert diagnosis.settings["encryption"] == ("starttls" if mode == "starttls" else "tls")
    assert "certificateFingerprint" not in diagnosis.settings  # that is for a person to decide


def test_nobody_logs_in_and_no_mail_is_begun(certs: Certs, servers: ExitStack) -> None:
    recorders = [
        servers.enter_context(Recorder(tls="implicit", certs=certs)),
        servers.enter_context(Recorder(tls="starttls", certs=certs, certificate="selfsigned")),
        servers.enter_context(Recorder()),
    ]
    ports = dict(zip((recorder.port for recorder in recorders), (TLS, STARTTLS, STARTTLS), strict=True))
    diagnose(ports, certs)
    servers.close()
    assert {verb for recorder in recorders for verb in recorder.verbs} == {"EHLO", "STARTTLS", "QUIT"}


@pytest.mark.parametrize("expected", [TLS, STARTTLS])
def test_what_a_port_speaks_is_found_whatever_was_expected(
    expected: Encryption, certs: Certs, servers: ExitStack
) -> None:
    implicit = servers.enter_context(Recorder(tls="implicit", certs=certs))
    starttls = servers.enter_context(Recorder(tls="starttls", certs=certs))
    plain = servers.enter_context(Recorder())
    found = one(implicit.port, expected, certs)
    assert (found.speaks, found.encryption) == (Speaks.TLS, TLS)
    found = one(starttls.port, expected, certs)
    assert (found.speaks, found.encryption) == (Speaks.SMTP, STARTTLS)
    assert found.clear.mechanisms == frozenset()
    assert found.inside.mechanisms == {"PLAIN", "LOGIN"}
    found = one(plain.port, expected, certs)
    assert (found.speaks, found.encryption) == (Speaks.SMTP, Encryption.NONE)
    assert found.tls is None


def test_tls_from_the_start_is_preferred_then_starttls_then_the_rest(
    certs: Certs, servers: ExitStack
) -> None:
    def recorder(**how: Any) -> int:
        return servers.enter_context(Recorder(certs=certs, **how)).port

    implicit, untrusted = recorder(tls="implicit"), recorder(tls="implicit", certificate="selfsigned")
    starttls, plain = recorder(tls="starttls"), recorder()
    no_login = recorder(tls="starttls", keywords=["SIZE 10"])
    order = [
        (implicit, "tls"),
        (starttls, "starttls"),
        (no_login, "starttls"),
        (untrusted, "tls"),
        (plain, "none"),
    ]
    while order:
        ports = {port: STARTTLS if said == "starttls" else TLS for port, said in reversed(order)}
        settings = diagnose(ports, certs).settings
        assert (settings["port"], settings["encryption"]) == order.pop(0)


@pytest.mark.parametrize(
    ("keywords", "method", "said"),
    [
        (EVERYTHING, "plain", "Use port"),
        (["AUTH=LOGIN"], "login", "Use port"),
        (["AUTH XOAUTH2"], "none", "smtpOAuth2"),
        ([], "none", "Nobody can log in"),
    ],
)
def test_the_way_to_log_in_is_one_that_is_offered_in_tls(
    keywords: list[str], method: str, said: str, certs: Certs
) -> None:
    with Recorder(keywords, tls="starttls", certs=certs) as server:
        diagnosis = diagnose({server.port: STARTTLS}, certs)
    assert diagnosis.settings["authMethod"] == method
    assert said in diagnosis.advice


def test_the_ports_of_mail_are_probed_in_the_order_of_preference() -> None:
    assert list(PORTS) == [465, 587, 25]


def test_postfix_is_diagnosed(postfix: MailHost, certs: Certs) -> None:
    assert postfix.plain_port
    ports = {postfix.tls_port: TLS, postfix.starttls_port: STARTTLS, postfix.plain_port: STARTTLS}
    diagnosis = diagnose(ports, certs)
    assert diagnosis.settings == {
        "host": "localhost",
        "port": postfix.tls_port,
        "encryption": "tls",
        "authMethod": "plain",
    }
    implicit, starttls, plain = (finding.as_dict() for finding in diagnosis.ports)
    assert implicit["speaks"] == "tls"
    assert implicit["tls"]["version"] == "TLSv1.3"
    assert implicit["size"] == postfix.size_limit
    assert starttls["starttls"]
    assert starttls["mechanisms"] == []
    assert "LOGIN" in starttls["mechanismsInTls"]
    assert "tls" not in plain
    assert "mail.test" in plain["greeting"]
