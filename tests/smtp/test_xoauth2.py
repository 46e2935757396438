"""XOAUTH2: a token that is refused is renewed once, the login tried once more, and then no more."""

from __future__ import annotations

import asyncio
import json
import logging
import traceback
from base64 import b64decode
from collections.abc import Iterator
from typing import Any

import pytest
from bed.invariants import check_commands, check_no_secret
from bed.oauth import CLIENT_ID, OAuthServer
from bed.xoauth2 import TokenRecorder

from nina_smtp.errors import NinaError, ServerRefused
from nina_smtp.oauth.client import Grant, OAuthClient
from nina_smtp.oauth.source import TokenSource
from nina_smtp.oauth.store import MemoryStore
from nina_smtp.secret import Redactor, Secret
from nina_smtp.smtp.auth import TokenSupply, XOAuth2
from nina_smtp.smtp.server import Encryption, Server, Timeouts
from nina_smtp.smtp.session import Session

USER = "alice@mail.test"
SHORT = Timeouts(connect=5, greeting=5, command=5, data=5, final=5, quit=0.2, total=20)


@pytest.fixture
def provider() -> Iterator[OAuthServer]:
    with OAuthServer() as running:
        running.refresh_tokens.add("rt-mine")
        yield running


def tokens_at(provider: OAuthServer, refresh: str = "rt-mine", **wishes: Any) -> TokenSource:
    client = OAuthClient(
        Grant.REFRESH_TOKEN, USER, CLIENT_ID, provider.token_url, refresh_token=Secret(refresh), **wishes
    )
    return TokenSource(client, MemoryStore())


def server_at(mail: TokenRecorder, tokens: TokenSupply, **wishes: Any) -> Server:
    usual = {"encryption": Encryption.NONE, "mechanism": XOAuth2(USER, tokens), "timeouts": SHORT}
    return Server("localhost", mail.port, **(usual | wishes))


async def log_in(server: Server, times: int = 1) -> None:
    """Logs in, one connection after another."""
    for _ in range(times):
        await (await Session.open(server)).quit()


def failure(mail: TokenRecorder, tokens: TokenSupply, *secrets: str, **wishes: Any) -> NinaError:
    """The error of a login, which shows none of the tokens."""
    server = server_at(mail, tokens, **wishes)
    with pytest.raises(NinaError) as caught:
        asyncio.run(log_in(server))
    error = caught.value
    frames = traceback.TracebackException.from_exception(error, capture_locals=True)
    ours = [str(frame.locals) for frame in frames.stack if "/tests/" not in frame.filename]
    check_no_secret([json.dumps(error.as_dict()), str(error), repr(server), *ours], secrets, USER)
    return error


class Fixed:
    """Tokens that are what they are."""

    renewable = False

    def __init__(self, token: str) -> None:
        self._token = Secret(token)

    async def token(self) -> Secret:
        return self._token

    async def renewed(self, refused: Secret) -> Secret:
        raise AssertionError("there is no other")

    async def facts(self) -> dict[str, Any]:
        return {}


# -- refused -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("hangs_up", [False, True], ids=["stays", "hangs up"])
@pytest.mark.parametrize("challenges", [True, False], ids=["334", "535"])
def test_a_token_that_is_refused_for_ever_is_renewed_once_and_tried_twice(
    provider: OAuthServer, challenges: bool, hangs_up: bool
) -> None:
    with TokenRecorder(challenges=challenges, hangs_up=hangs_up, echoes=True) as mail:
        tokens = tokens_at(provider)
        error = failure(mail, tokens)
        check_no_secret([json.dumps(error.as_dict())], provider.issued, USER)
    assert (error.type, error.code, error.retry) == ("authFailed", 535, False)
    assert "a new one too" in error.message
    assert "nina-smtp login" in (error.hint or "")
    assert [exchange.password for exchange in mail.exchanges] == provider.issued
    assert len(provider.issued) == 2
    assert len(mail.sessions) == (2 if hangs_up else 1)


def test_an_error_in_a_challenge_is_answered_by_an_empty_line(provider: OAuthServer) -> None:
    with TokenRecorder() as mail:
        failure(mail, tokens_at(provider))
    for exchange in mail.exchanges:
        assert exchange.mechanism == b"XOAUTH2"
        assert exchange.lines[1:] == [b"\r\n"]
    check_commands(mail.sessions[0])


def test_an_error_in_a_challenge_counts_whatever_comes_behind_it(provider: OAuthServer) -> None:
    with TokenRecorder(refusal=b"554 5.7.0 No. ") as mail:
        error = failure(mail, tokens_at(provider))
    assert (error.code, len(mail.exchanges), len(provider.issued)) == (554, 2, 2)


@pytest.mark.parametrize("refusal", [b"454 4.7.0 Later. ", b"554 5.7.0 No. ", b"421 4.3.2 Bye. "])
def test_a_refusal_that_is_not_about_the_token_renews_nothing(provider: OAuthServer, refusal: bytes) -> None:
    with TokenRecorder(challenges=False, refusal=refusal) as mail:
        error = failure(mail, tokens_at(provider))
    assert error.code == int(refusal[:3])
    assert isinstance(error, ServerRefused) is refusal.startswith(b"421")
    assert (len(mail.exchanges), len(provider.issued)) == (1, 1)


def test_what_cannot_be_renewed_is_tried_once(provider: OAuthServer) -> None:
    with TokenRecorder() as mail:
        error = failure(mail, Fixed("tok-f1xed-S3cr3t/+=="), "tok-f1xed-S3cr3t/+==")
    assert (error.type, error.code, len(mail.exchanges)) == ("authFailed", 535, 1)
    assert "a new one" not in error.message


def test_a_grant_that_was_taken_back_meanwhile_is_the_error(provider: OAuthServer) -> None:
    tokens = tokens_at(provider)
    provider.when_asked = lambda: provider.issued and provider.refresh_tokens.clear()
    with TokenRecorder() as mail:
        error = failure(mail, tokens, "rt-mine")
    assert "invalid_grant" in error.message
    assert "Connect the account again" in (error.hint or "")
    assert (len(mail.exchanges), len(provider.issued)) == (1, 1)


@pytest.mark.parametrize(("fault", "retry"), [("rt-revoked", False), ("rt-500", True), ("rt-html", False)])
def test_without_a_token_there_is_no_login(provider: OAuthServer, fault: str, retry: bool) -> None:
    with TokenRecorder() as mail:
        error = failure(mail, tokens_at(provider, fault))
    assert (error.retry, mail.exchanges) == (retry, [])


def test_a_server_that_goes_on_asking_gets_nowhere() -> None:
    from bed.dialogue import Dialogue
    from bed.recording import Exchange

    class Curious(Dialogue):
        def judge(self, exchange: Exchange) -> None:
            for _ in range(2):
                self.send(b"334 \r\n")
                line = self.read_line() or b""
                exchange.lines.append(line)
            self.send(b"501 5.7.0 Cancelled\r\n")

    class Curiosity(TokenRecorder):
        dialogue = Curious

    with Curiosity() as mail:
        error = failure(mail, Fixed("tok-f1xed"))
    assert error.type == "authFailed"
    assert mail.exchanges[0].lines[1:] == [b"\r\n", b"*\r\n"]


def test_a_server_that_takes_no_tokens_gets_none(provider: OAuthServer) -> None:
    with TokenRecorder(keywords=["AUTH PLAIN LOGIN"]) as mail:
        error = failure(mail, tokens_at(provider))
    assert (error.type, mail.exchanges, provider.requests) == ("authUnavailable", [], [])
    assert "LOGIN, PLAIN" in error.message
    assert "authMethod" not in (error.hint or "")


def test_no_token_goes_over_a_clear_line_to_another_machine() -> None:
    session = Session(Server("mail.test", mechanism=XOAuth2(USER, Fixed("tok"))))
    with pytest.raises(NinaError, match="The access token would travel in clear text"):
        asyncio.run(session.login())


def test_no_log_shows_a_token(provider: OAuthServer, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG), TokenRecorder(echoes=True) as mail:
        failure(mail, tokens_at(provider))
    check_no_secret([caplog.text], ["rt-mine", *provider.issued], USER)


# -- taken -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("hangs_up", [False, True], ids=["stays", "hangs up"])
def test_an_expired_token_costs_one_renewal_and_one_more_try(provider: OAuthServer, hangs_up: bool) -> None:
    with TokenRecorder(hangs_up=hangs_up) as mail:
        provider.when_asked = lambda: mail.good.update(["tok-alice-2-S3cr3t/+=="])  # type: ignore[union-attr]
        asyncio.run(log_in(server_at(mail, tokens_at(provider)), times=3))
    accepted = [exchange.accepted for exchange in mail.exchanges]
    assert accepted == [False, True, True, True]
    assert len(provider.issued) == 2


def test_a_good_token_needs_one_round_trip_and_serves_every_connection(provider: OAuthServer) -> None:
    with TokenRecorder("tok-alice-1-S3cr3t/+==") as mail:
        asyncio.run(log_in(server_at(mail, tokens_at(provider)), times=3))
    assert len(provider.issued) == 1
    for exchange in mail.exchanges:
        (line,) = exchange.lines
        assert (
            b64decode(line.split(b" ")[2]) == b"user=alice@mail.test\1auth=Bearer tok-alice-1-S3cr3t/+==\1\1"
        )


def test_the_longest_token_with_the_longest_user_name_fits_into_one_line() -> None:
    long = "tok-" + "x" * 7996
    mechanism = XOAuth2("u" * 1024, Fixed(long))
    with TokenRecorder(long) as mail:
        asyncio.run(log_in(server_at(mail, Fixed(long), mechanism=mechanism)))
    assert mail.exchanges[0].accepted
    assert len(mail.exchanges[0].lines) == 1


def test_equal_credentials_are_equal_and_hashable(provider: OAuthServer) -> None:
    tokens = tokens_at(provider)
    one, same, other = XOAuth2(USER, tokens), XOAuth2(USER, tokens), XOAuth2(USER, tokens_at(provider))
    assert (one, hash(one)) == (same, hash(same))
    assert one != other
    assert {Server("mail.test", mechanism=one): 1}[Server("mail.test", mechanism=same)] == 1


def test_a_redactor_learns_tokens_and_remembers_the_last_few() -> None:
    redactor = Redactor(("given-secret",), USER)
    tokens = [f"tok-{number}-S3cr3t/+==" for number in range(20)]
    for token in tokens:
        redactor.learn(Secret(token), USER)
        redactor.learn(Secret(token), USER)
    for secret in ("given-secret", *tokens[-8:]):
        assert redactor.text(f"a {secret} b") == "a *** b"
    assert redactor.text(tokens[0]) == tokens[0]
    assert "S3cr3t" not in repr(redactor)
