"""The authorization code: a browser, which the test plays, goes to the provider and comes back."""

from __future__ import annotations

import asyncio
import json
import traceback
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from bed.invariants import check_no_secret
from bed.oauth import OAuthServer

from nina_smtp.errors import CredentialError, InvalidCredential, NinaError
from nina_smtp.oauth.authorization import Authorization, connect
from nina_smtp.oauth.client import Grant, OAuthClient
from nina_smtp.oauth.redirect import Redirect
from nina_smtp.oauth.source import TokenSource

Source = Callable[..., TokenSource]
Visit = Callable[[httpx.AsyncClient, str], Any]


def browser_source(source: Source, **wishes: Any) -> TokenSource:
    return source(None, **({"grant": Grant.AUTHORIZATION_CODE} | wishes))


def go(source: TokenSource, visit: Visit, uri: str = "http://127.0.0.1/", seconds: float = 30.0) -> Any:
    """Connects the account; ``visit`` gets a browser and the URL. Returns what it returned."""

    async def run() -> Any:
        visits: list[asyncio.Task[Any]] = []

        def show(url: str) -> None:
            visits.append(asyncio.create_task(browse(url)))

        async def browse(url: str) -> Any:
            async with httpx.AsyncClient(trust_env=False, timeout=20) as browser:
                return await visit(browser, url)

        await connect(source, Redirect(uri, seconds=seconds), show)
        return await visits[0]

    return asyncio.run(run())


async def agree(browser: httpx.AsyncClient, url: str) -> httpx.Response:
    return await browser.get(url, follow_redirects=True)


async def way_back(browser: httpx.AsyncClient, url: str) -> str:
    return (await browser.get(url)).headers["location"]


# -- failing -----------------------------------------------------------------------------------------


def test_a_person_who_says_no(provider: OAuthServer, source: Source) -> None:
    provider.says_no = True
    with pytest.raises(CredentialError, match="access_denied") as caught:
        go(browser_source(source), agree)
    assert r"\x1b[0m" in caught.value.message
    assert provider.asked_for_tokens == 0


def test_nobody_who_comes_back(provider: OAuthServer, source: Source) -> None:
    async def look(browser: httpx.AsyncClient, url: str) -> None:
        """Goes away again."""

    with pytest.raises(CredentialError, match="Nobody came back"):
        go(browser_source(source), look, seconds=0.05)


def test_an_answer_with_another_state_is_none_and_the_real_one_still_counts(
    provider: OAuthServer, source: Source
) -> None:
    async def forged_first(browser: httpx.AsyncClient, url: str) -> list[int]:
        back = await way_back(browser, url)
        base = back.partition("?")[0]
        forged = [
            "?code=evil",
            "?code=evil&state=",
            "?code=evil&state=guessed",
            "?error=access_denied&state=x",
            "",
        ]
        replies = [(await browser.get(base + query)).status_code for query in forged]
        replies.append((await browser.get(f"{base}favicon.ico")).status_code)
        replies.append((await browser.post(back)).status_code)
        replies.append((await browser.get(back)).status_code)
        return replies

    assert go(browser_source(source), forged_first) == [400] * 5 + [404, 404, 200]
    assert [form["code"] for path, form in provider.requests if path == "/token"] != ["evil"]


def test_an_answer_without_a_code_is_none(provider: OAuthServer, source: Source) -> None:
    async def emptied(browser: httpx.AsyncClient, url: str) -> int:
        back = await way_back(browser, url)
        state = parse_qs(urlsplit(back).query)["state"][0]
        first = (await browser.get(f"{back.partition('?')[0]}?state={state}")).status_code
        await browser.get(back)
        return first

    assert go(browser_source(source), emptied) == 400


def test_a_visitor_who_talks_without_end_is_shown_out(provider: OAuthServer, source: Source) -> None:
    async def chatter(browser: httpx.AsyncClient, url: str) -> bytes:
        back = await way_back(browser, url)
        reader, writer = await asyncio.open_connection("127.0.0.1", urlsplit(back).port)
        writer.write(b"GET / HTTP/1.1\r\nX: " + b"x" * 100_000)
        heard = b"no end"
        try:
            await writer.drain()
            heard = await reader.read()
        except OSError:
            heard = b""
        writer.close()
        await browser.get(back)
        return heard

    assert go(browser_source(source), chatter) == b""


def test_a_code_that_somebody_else_asked_for_is_worth_nothing(
    provider: OAuthServer, source: Source, client: Callable[..., OAuthClient]
) -> None:
    other = Authorization.begin(client(), "http://127.0.0.1:1/")

    async def injected(browser: httpx.AsyncClient, url: str) -> None:
        theirs = parse_qs(urlsplit(await way_back(browser, other.url)).query)["code"][0]
        back = urlsplit(await way_back(browser, url))
        state = parse_qs(back.query)["state"][0]
        query = httpx.QueryParams(code=theirs, state=state)
        await browser.get(f"http://127.0.0.1:{back.port}/?{query}")

    with pytest.raises(CredentialError, match="invalid_grant"):
        go(browser_source(source), injected)
    assert provider.issued == []


def test_a_port_that_is_taken_is_told(source: Source) -> None:
    async def run() -> None:
        async with Redirect() as taken, Redirect(taken.uri):
            raise AssertionError

    with pytest.raises(CredentialError, match="Nothing can listen"):
        asyncio.run(run())


@pytest.mark.parametrize(
    "uri",
    [
        "https://127.0.0.1/",
        "http://0.0.0.0/",
        "http://example.com/",
        "http://127.0.0.1:x/",
        "",
        "http://127.0.0.1/?a=b",
    ],
)
def test_a_way_back_to_elsewhere_is_refused(uri: str) -> None:
    with pytest.raises(InvalidCredential):
        Redirect(uri)


def test_without_its_url_it_says_so(source: Source) -> None:
    with pytest.raises(NinaError) as caught:
        go(browser_source(source, auth_url=None), agree)
    assert caught.value.parameter == "authUrl"


def test_no_secret_shows_when_the_code_is_refused(provider: OAuthServer, source: Source) -> None:
    sent: list[dict[str, str]] = []

    def refuse(form: dict[str, str]) -> tuple[int, dict[str, Any]]:
        sent.append(form)
        return 400, {"error": "invalid_grant", "error_description": str(form)}

    provider.token = refuse  # type: ignore[method-assign]
    with pytest.raises(CredentialError) as caught:
        go(browser_source(source), agree)
    frames = traceback.TracebackException.from_exception(caught.value, capture_locals=True)
    ours = [str(frame.locals) for frame in frames.stack if "/tests/" not in frame.filename]
    secrets = [sent[0]["code_verifier"], sent[0]["code"]]
    check_no_secret([json.dumps(caught.value.as_dict()), *ours], secrets)


# -- the way -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "uri", ["http://127.0.0.1/", "http://127.0.0.1", "http://localhost", "http://localhost/back"]
)
def test_a_person_agrees_and_the_tokens_are_kept(provider: OAuthServer, source: Source, uri: str) -> None:
    tokens = browser_source(source)
    page = go(tokens, agree, uri)
    assert page.status_code == 200
    assert "You can close this page" in page.text
    assert page.headers["cache-control"] == "no-store"
    (asked,) = [form for path, form in provider.requests if path == "/authorize"]
    assert asked["redirect_uri"].rpartition(":")[0] == uri.rstrip("/").removesuffix("/back")
    assert asked["redirect_uri"].endswith(uri.partition("://")[2].partition("/")[2])
    assert asked["scope"] == "https://mail.test/ offline_access"
    assert asked["prompt"] == "consent"
    assert tokens.renewable
    assert asyncio.run(tokens.token()).reveal() == provider.issued[0]
    renewed = asyncio.run(tokens.renewed(asyncio.run(tokens.token())))
    assert renewed.reveal() == provider.issued[1]


def test_state_and_verifier_are_new_each_time_and_long(client: Callable[..., OAuthClient]) -> None:
    attempts = [Authorization.begin(client(), "http://127.0.0.1:1/") for _ in range(20)]
    for secrets in ({a.state for a in attempts}, {a.verifier for a in attempts}):
        assert len(secrets) == 20
        assert all(len(secret.reveal()) >= 32 for secret in secrets)
    check_no_secret([repr(attempts[0])], [attempts[0].state.reveal(), attempts[0].verifier.reveal()])
    assert attempts[0].verifier.reveal() not in attempts[0].url
