"""The test of a credential: every step, and where it stops."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from bed.certs import Certs
from bed.faulty import FaultyServer
from bed.invariants import check_no_secret
from bed.mailservers import MailHost, free_ports
from bed.recorder import Recorder

from nina_smtp.catalog import default_catalog
from nina_smtp.credential import Report, Step

USER, PASSWORD = "alice@mail.test", "S3CRET-pässword"
STARTTLS = ["resolve", "connect", "greeting", "ehlo", "tls", "login"]
IMPLICIT = ["resolve", "connect", "tls", "greeting", "ehlo", "login"]
PLAIN = ["resolve", "connect", "greeting", "ehlo", "login"]


def try_out(port: int, certs: Certs, send_to: str | None = None, progress: Any = None, **data: Any) -> Report:
    kind = default_catalog().credential("smtp")
    account = kind.read(
        {
            "host": "localhost",
            "port": port,
            "username": USER,
            "password": PASSWORD,
            "caCertificate": certs.ca_pem.read_text(),
            "timeouts": {"connect": 2, "greeting": 0.5, "command": 2, "total": 5, "quit": 0.2},
            **data,
        }
    )
    report = asyncio.run(kind.test(account, send_to=send_to, progress=progress))
    check_no_secret([json.dumps(report.as_dict()), repr(report)], [PASSWORD], USER)
    return report


def failed_step(report: Report) -> Step:
    """The last step, which failed, when all before it passed."""
    assert not report.passed
    assert all(step.ok for step in report.steps[:-1])
    failed = report.steps[-1]
    assert failed.ok is False
    assert failed.error
    assert failed.error["message"]
    assert failed.error["hint"]
    return failed


# -- failing -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fault", "steps", "error"),
    [
        ("g_none", 3, "replyTimeout"),
        ("g_554", 3, "serverRefused"),
        ("g_endless_line", 3, "protocolViolation"),
        ("e_502", 4, "tlsRequired"),
        ("e_close", 4, "connectionLost"),
        ("t_strip", 5, "tlsRequired"),
        ("t_454", 5, "tlsRequired"),
        ("t_inject_reply", 5, "tlsRequired"),
        ("t_close", 5, "connectionLost"),
        ("t_noauth_after", 6, "authUnavailable"),
        ("a_535", 6, "authFailed"),
        ("a_454", 6, "authFailed"),
        ("a_echo", 6, "authFailed"),
        ("a_334", 6, "authFailed"),
    ],
)
def test_a_failure_stops_at_its_step(fault: str, steps: int, error: str, certs: Certs) -> None:
    with FaultyServer(fault, tls=certs, patience=2) as server:
        report = try_out(server.port, certs)
    found = failed_step(report)
    assert [step.name for step in report.steps] == STARTTLS[:steps]
    assert found.error
    assert found.error["type"] == error
    assert not found.facts
    assert "MAIL" not in server.verbs


def test_a_closed_port_stops_at_connect(certs: Certs) -> None:
    report = try_out(free_ports(1)[0], certs)
    assert [step.name for step in report.steps] == STARTTLS[:2]
    assert failed_step(report).error


def test_a_hanging_handshake_does_not_hang_the_test(certs: Certs) -> None:
    with FaultyServer("t_hang", tls=certs, patience=3) as server:
        report = try_out(server.port, certs, timeouts={"command": 0.3, "quit": 0.2})
    assert failed_step(report).name == "tls"


@pytest.mark.parametrize("mode", ["starttls", "implicit"])
@pytest.mark.parametrize("fault", ["t_selfsigned", "t_wrongname", "t_expired", "t_cnonly"])
def test_a_rejected_certificate_is_shown_so_that_it_can_be_pinned(
    fault: str, mode: Any, certs: Certs
) -> None:
    encryption = "starttls" if mode == "starttls" else "tls"
    with FaultyServer(fault, tls=certs, mode=mode) as server:
        step = failed_step(try_out(server.port, certs, encryption=encryption))
        assert step.name == "tls"
        assert step.error
        assert step.error["type"] == "certificateRejected"
        assert step.facts["verified"] is False
        assert step.facts["subject"]
        assert step.facts["issuer"]
        assert step.facts["expires"]
        verbs = server.verbs
        pinned = try_out(
            server.port, certs, encryption=encryption, certificateFingerprint=step.facts["fingerprint"]
        )
        assert pinned.passed
    assert len(server.sessions) == 3  # the one that fails, the one that looks, and the pinned one
    assert set(verbs) <= {"EHLO", "STARTTLS", "QUIT"}


def test_a_pin_that_does_not_match_shows_what_is_there(certs: Certs) -> None:
    with Recorder(tls="implicit", certs=certs) as server:
        pin = "sha256:" + "0" * 64
        step = failed_step(try_out(server.port, certs, encryption="tls", certificateFingerprint=pin))
    assert step.name == "tls"
    assert step.facts["fingerprint"] != pin
    assert "AUTH" not in server.verbs


def test_a_mail_that_is_refused_fails_the_last_step(certs: Certs) -> None:
    refused = {b"gone@mail.test": b"550 5.1.1 Gone"}
    with Recorder(tls="starttls", certs=certs, rcpt_replies=refused) as server:
        report = try_out(server.port, certs, send_to="gone@mail.test")
    step = failed_step(report)
    assert step.name == "send"
    assert step.error
    assert step.error["enhancedCode"] == "5.1.1"


@pytest.mark.parametrize("address", ["not an address", "bob@forbidden.test"])
def test_an_address_that_cannot_or_may_not_be_sent_to_fails_the_last_step(address: str, certs: Certs) -> None:
    with Recorder(tls="starttls", certs=certs) as server:
        policy = {"deny": ["forbidden.test"]}
        report = try_out(server.port, certs, send_to=address, recipientPolicy=policy)
    assert failed_step(report).name == "send"
    assert "MAIL" not in server.verbs


# -- passing -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("tls", "encryption", "steps"),
    [("starttls", "starttls", STARTTLS), ("implicit", "tls", IMPLICIT), ("none", "none", PLAIN)],
)
def test_the_steps_come_in_order_and_no_mail_is_sent(
    tls: Any, encryption: str, steps: list[str], certs: Certs
) -> None:
    seen: list[Step] = []
    with Recorder(tls=tls, certs=certs, users={USER: PASSWORD}) as server:
        report = try_out(server.port, certs, encryption=encryption, progress=seen.append)
    assert report.passed
    assert [step.name for step in report.steps] == steps
    assert [(step.name, step.ok) for step in seen] == [(n, ok) for n in steps for ok in (None, True)]
    assert all(step.duration_ms >= 0 for step in report.steps)
    assert "MAIL" not in server.verbs
    assert server.verbs[-1] == "QUIT"
    assert report.warnings == ()  # nothing left this machine


def test_a_redirection_holds_for_the_test_mail_too(certs: Certs) -> None:
    with Recorder(tls="starttls", certs=certs) as server:
        policy = {"redirectAllTo": "me@mail.test"}
        report = try_out(server.port, certs, send_to="bob@mail.test", recipientPolicy=policy)
    assert report.passed
    assert server.messages[0].recipients == [b"me@mail.test"]


@pytest.mark.parametrize(("method", "used"), [("login", "LOGIN"), ("plain", "PLAIN"), ("auto", "PLAIN")])
def test_postfix_passes_and_one_mail_arrives(postfix: MailHost, certs: Certs, method: str, used: str) -> None:
    report = try_out(
        postfix.starttls_port,
        certs,
        send_to="bob@mail.test",
        username=postfix.user,
        password=postfix.password,
        fromAddress="alice@mail.test",
        authMethod=method,
    )
    assert report.passed, report.as_dict()
    facts = {step.name: step.facts for step in report.steps}
    assert facts["resolve"]["addresses"]
    assert facts["connect"]["port"] == postfix.starttls_port
    assert facts["greeting"]["reply"].startswith("220 mail.test")
    assert facts["ehlo"]["mechanisms"] == []
    assert facts["tls"]["version"] == "TLSv1.3"
    assert facts["tls"]["verified"]
    assert {"cipher", "subject", "issuer", "expires", "fingerprint"} <= set(facts["tls"])
    assert facts["tls"]["size"] == postfix.size_limit
    assert {"LOGIN", "PLAIN"} <= set(facts["tls"]["mechanisms"])
    assert facts["login"] == {"authMethod": used, "username": postfix.user}
    postfix.imap_fetch("bob@mail.test", facts["send"]["messageId"])
    assert len(postfix.imap_copies("bob@mail.test", facts["send"]["messageId"])) == 1


def test_postfix_says_no_to_a_wrong_password(postfix: MailHost, certs: Certs) -> None:
    step = failed_step(try_out(postfix.tls_port, certs, encryption="tls", username=postfix.user))
    assert step.name == "login"
    assert step.error
    assert (step.error["type"], step.error["code"], step.error["retry"]) == ("authFailed", 535, False)
