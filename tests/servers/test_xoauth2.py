"""Access tokens at real servers: Postfix, and Dovecot's own submission server."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import pytest
from bed.invariants import check_no_secret
from bed.mailservers import MailHost
from bed.oauth import CLIENT_ID, OAuthServer

import nina_smtp
from nina_smtp.api import read_credential
from nina_smtp.catalog import default_catalog
from nina_smtp.errors import AuthFailed

EXPIRED = "alice-expired"  # the tokens of this user are not taken


@pytest.fixture
def provider() -> Iterator[OAuthServer]:
    with OAuthServer() as running:
        running.refresh_tokens.add("rt-mine")
        yield running


@pytest.fixture(params=["postfix", "dovecot"])
def port(request: pytest.FixtureRequest, postfix: MailHost) -> int:
    """Where to log in. What Dovecot takes it gives to Postfix."""
    return postfix.starttls_port if request.param == "postfix" else postfix.mailboxes.submission_port


def credential(port: int, host: MailHost, provider: OAuthServer) -> dict[str, Any]:
    data = {
        "host": host.host,
        "port": port,
        "username": host.user,
        "fromAddress": "alice@mail.test",
        "caCertificate": host.ca_pem.read_text(),
        "clientId": CLIENT_ID,
        "tokenUrl": provider.token_url,
        "grant": "refreshToken",
        "refreshToken": "rt-mine",
        "timeouts": {"command": 20},
    }
    return {"type": "smtpOAuth2", "data": data}


def send(document: dict[str, Any], count: int = 1) -> Any:
    node = {
        "parameters": {"to": "bob@mail.test", "subject": "{{ n }}", "body": "b\n"},
        "options": {"onError": "continue"},
    }
    return nina_smtp.send(node, document, [{"n": number} for number in range(count)])


def test_a_token_that_is_not_taken_is_renewed_once_and_told(
    port: int, postfix: MailHost, provider: OAuthServer
) -> None:
    provider.user = EXPIRED
    (result,) = send(credential(port, postfix, provider))
    assert isinstance(result.error, AuthFailed)
    assert (result.error.code, result.error.retry) == (535, False)
    assert len(provider.issued) == 2
    check_no_secret([json.dumps(result.as_dict()), postfix.log.read_bytes()], provider.issued, postfix.user)


def test_a_mail_goes_out_though_the_first_token_has_expired(
    port: int, postfix: MailHost, provider: OAuthServer
) -> None:
    provider.user = EXPIRED
    provider.when_asked = lambda: setattr(provider, "user", "alice" if provider.issued else EXPIRED)
    (result,) = send(credential(port, postfix, provider))
    assert result.error is None, result.error
    assert len(provider.issued) == 2
    assert postfix.imap_fetch("bob@mail.test", result.message_id)


def test_many_mails_are_one_token(port: int, postfix: MailHost, provider: OAuthServer) -> None:
    results = send(credential(port, postfix, provider), 30)
    results.raise_for_status()
    assert len(provider.issued) == 1


def test_the_test_of_the_credential_shows_it_all(port: int, postfix: MailHost, provider: OAuthServer) -> None:
    account = read_credential(credential(port, postfix, provider))
    report = asyncio.run(default_catalog().credential("smtpOAuth2").test(account))
    assert report.passed, report
    assert [step.name for step in report.steps][-3:] == ["tls", "token", "login"]
    check_no_secret([json.dumps(report.as_dict())], [*provider.issued, "rt-mine"], postfix.user)
