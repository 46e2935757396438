"""One question to a provider, and every way in which the answer can be none."""

from __future__ import annotations

import asyncio
import json
import logging
import sys
import traceback
from collections.abc import Callable
from typing import Any

import pytest
from bed.certs import make_certs
from bed.invariants import check_no_secret
from bed.mailservers import free_ports
from bed.oauth import BODY_OF_THE_PAGE, CLIENT_SECRET, OAuthServer

from nina_smtp.errors import CredentialError, InvalidCredential, NinaError, error_from_dict
from nina_smtp.oauth import endpoint
from nina_smtp.oauth.client import OAuthClient, checked_url
from nina_smtp.oauth.source import TokenSource
from nina_smtp.secret import Secret

Source = Callable[..., TokenSource]


def failure(source: TokenSource) -> NinaError:
    """The error of asking for a token, which shows neither a secret nor what the answer was."""
    with pytest.raises(CredentialError) as caught:
        asyncio.run(source.token())
    error = caught.value
    told = [json.dumps(error.as_dict()), str(error), repr(error)]
    frames = traceback.TracebackException.from_exception(error, capture_locals=True)
    ours = [str(frame.locals) for frame in frames.stack if "/tests/" not in frame.filename]
    assert ours
    refresh = source.client.refresh_token
    secrets = [CLIENT_SECRET, *([refresh.reveal()] if refresh else [])]
    check_no_secret([*told, *ours], secrets)
    assert BODY_OF_THE_PAGE not in "".join([*told, *ours])
    assert error.__cause__ is None
    assert type(error_from_dict(error.as_dict())).type == error.type
    return error


@pytest.mark.parametrize(
    ("fault", "kind", "retry"),
    [
        ("rt-revoked", "authFailed", False),
        ("rt-500", "tokenUnavailable", True),
        ("rt-busy", "tokenUnavailable", True),
        ("rt-sorry", "tokenUnavailable", True),
        ("rt-mute", "credentialError", False),
        ("rt-slow", "tokenUnavailable", True),
        ("rt-drip", "tokenUnavailable", True),
        ("rt-cut", "tokenUnavailable", True),
        ("rt-html", "credentialError", False),
        ("rt-list", "credentialError", False),
        ("rt-bare", "credentialError", False),
        ("rt-wide", "credentialError", False),
        ("rt-huge", "credentialError", False),
        ("rt-moved", "credentialError", False),
        ("rt-echo", "authFailed", False),
    ],
)
def test_a_provider_that_fails(
    provider: OAuthServer, source: Source, fault: str, kind: str, retry: bool
) -> None:
    patience = 0.3 if fault in ("rt-slow", "rt-drip") else 30.0
    error = failure(source(fault, deadline=patience, client_secret=Secret(CLIENT_SECRET)))
    assert (error.type, error.retry) == (kind, retry)
    assert error.hint
    assert error.phase == "auth"
    assert provider.asked_for_tokens == 1
    assert all(path != "/elsewhere" for path, _ in provider.requests)


def test_a_grant_that_was_taken_back_asks_to_connect_again(source: Source) -> None:
    error = failure(source("rt-revoked"))
    assert "Token has been expired or revoked." in error.message
    assert "Connect the account again" in (error.hint or "")


def test_what_the_provider_says_is_escaped_and_without_secrets(source: Source) -> None:
    error = failure(source("rt-echo", client_secret=Secret(CLIENT_SECRET)))
    assert r"\x1b[31m" in error.message
    assert "***" in error.message
    assert len(error.message) < 500


def test_a_wrong_client_names_its_field(source: Source) -> None:
    error = failure(source(client_id="somebody-else"))
    assert (error.type, error.parameter) == ("authFailed", "clientId")


def test_a_provider_that_is_not_there(source: Source) -> None:
    (port,) = free_ports(1)
    error = failure(source(token_url=f"http://127.0.0.1:{port}/token"))
    assert (error.type, error.retry) == ("tokenUnavailable", True)


def test_a_provider_is_trusted_by_its_certificate(source: Source) -> None:
    certs = make_certs()
    with OAuthServer(context=certs.server_context("good")) as safe:
        safe.refresh_tokens.add("rt-mine")
        error = failure(source(token_url=safe.token_url))
        assert (error.type, error.retry) == ("certificateRejected", False)
        assert safe.asked_for_tokens == 0
        trusting = source(token_url=safe.token_url, ca_pem=certs.ca_pem.read_text())
        assert asyncio.run(trusting.token()).reveal() == safe.issued[0]


def test_no_log_has_a_secret_in_it(
    provider: OAuthServer, source: Source, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        asyncio.run(source(client_secret=Secret(CLIENT_SECRET)).token())
        failure(source("rt-echo", client_secret=Secret(CLIENT_SECRET)))
    check_no_secret([caplog.text], [CLIENT_SECRET, "rt-mine", "rt-echo", *provider.issued])


def test_without_the_extra_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "httpx", None)
    with pytest.raises(InvalidCredential) as caught:
        endpoint.check_installed()
    assert caught.value.hint == "pip install 'nina-smtp[oauth]'"


@pytest.mark.parametrize(
    "url",
    [
        "",
        "login.example.com/token",
        "http://login.example.com/token",
        "http://127.0.0.1.example.com/token",
        "http://169.254.169.254/latest",
        "http://10.0.0.1/token",
        "ftp://localhost/token",
        "https:///token",
        "https://u:p@login.example.com/token",
        "https://login.example.com/token#x",
        "https://login.example.com:port/token",
        "https://login.example.com/{tenant}/token",
        "https://login.example.com/to ken",
        "https://login.example.com/\r\nX: y",
        "https://login.example.com\\@evil.example/",
        "https://[::1/token",
        "javascript:alert(1)",
    ],
)
def test_a_url_that_is_not_asked(url: str) -> None:
    with pytest.raises(InvalidCredential):
        checked_url(url)


@pytest.mark.parametrize(
    "url",
    [
        "https://login.example.com/token?x=y",
        "https://login.example.com:8443",
        "http://127.0.0.1:8080/token",
        "http://localhost/token",
        "http://[::1]:5/token",
    ],
)
def test_a_url_that_is(url: str) -> None:
    assert checked_url(url) == url


def test_a_client_does_not_show_its_secrets(client: Callable[..., OAuthClient]) -> None:
    full: dict[str, Any] = {"client_secret": Secret(CLIENT_SECRET), "access_token": Secret("tok-first")}
    shown = repr(client(**full))
    check_no_secret([shown, client(**full).key], [CLIENT_SECRET, "rt-mine", "tok-first"])
    assert client(**full).key != client("rt-other", **full).key
