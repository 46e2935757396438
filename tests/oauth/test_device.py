"""The device grant: how often the provider is asked, and when no more."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from bed.oauth import CLIENT_ID, DEVICE_GRANT, OAuthServer

from nina_smtp.errors import CredentialError, NinaError
from nina_smtp.oauth import device
from nina_smtp.oauth.client import Grant
from nina_smtp.oauth.device import DeviceCode
from nina_smtp.oauth.source import TokenSource
from nina_smtp.oauth.store import MemoryStore

Source = Callable[..., TokenSource]


def connect(source: TokenSource, stopped: Any, seconds: float = 1800.0) -> list[DeviceCode]:
    shown: list[DeviceCode] = []
    asyncio.run(
        device.connect(source, shown.append, seconds=seconds, clock=stopped.clock, sleep=stopped.sleep)
    )
    return shown


def device_source(source: Source, **wishes: Any) -> TokenSource:
    return source(None, **({"grant": Grant.DEVICE_CODE} | wishes))


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ("access_denied", "said no"),
        ("expired_token", "in time"),
        ("invalid_grant", "Connect the account again"),
    ],
)
def test_a_no_ends_it(provider: OAuthServer, source: Source, stopped: Any, answer: str, words: str) -> None:
    provider.device_answers = ["authorization_pending", answer]
    with pytest.raises(CredentialError, match=answer) as caught:
        connect(device_source(source), stopped)
    assert words in (caught.value.hint or "")
    assert stopped.slept == [3, 3]


def test_nobody_who_comes_in_time_ends_it(provider: OAuthServer, source: Source, stopped: Any) -> None:
    provider.device_answers = ["authorization_pending"] * 1000
    with pytest.raises(CredentialError, match="expired_token"):
        connect(device_source(source), stopped)
    assert sum(stopped.slept) == 900
    with pytest.raises(CredentialError, match="expired_token"):
        connect(device_source(source), stopped, seconds=10)
    assert sum(stopped.slept) == 909


def test_without_its_url_it_says_so(source: Source, stopped: Any) -> None:
    with pytest.raises(NinaError) as caught:
        connect(device_source(source, device_url=None), stopped)
    assert caught.value.parameter == "deviceUrl"


def test_a_wrong_client_is_told_at_once(source: Source, stopped: Any) -> None:
    with pytest.raises(CredentialError) as caught:
        connect(device_source(source, client_id="nobody"), stopped)
    assert caught.value.parameter == "clientId"
    assert stopped.slept == []


@pytest.mark.parametrize(
    "change",
    [
        {"device_code": None},
        {"device_code": 5},
        {"user_code": "\x1b[2J"},
        {"user_code": ""},
        {"user_code": "x" * 101},
        {"verification_uri": "javascript:alert(1)"},
        {"verification_uri": "http://login.example.com/"},
        {"verification_uri": "https://login.example.com/\x07"},
        {"verification_uri": None},
    ],
)
def test_what_a_person_should_not_see_is_not_shown(
    provider: OAuthServer, source: Source, stopped: Any, change: dict[str, Any]
) -> None:
    usual = provider.device({"client_id": CLIENT_ID})[1]
    provider.device = lambda form: (200, usual | change)  # type: ignore[method-assign]
    with pytest.raises(CredentialError, match="no device code"):
        connect(device_source(source), stopped)


def test_a_provider_that_is_in_trouble_for_a_while_is_asked_less_often(
    provider: OAuthServer, source: Source, stopped: Any
) -> None:
    provider.device_answers = ["authorization_pending", "temporarily", "authorization_pending"]
    honest = provider.token

    def token(form: dict[str, str]) -> tuple[int, dict[str, Any]]:
        status, answer = honest(form)
        return (503, {}) if answer.get("error") == "temporarily" else (status, answer)

    provider.token = token  # type: ignore[method-assign]
    connect(device_source(source), stopped)
    assert stopped.slept == [3, 3, 6, 6]


def test_it_asks_at_the_interval_and_slower_when_told_to(
    provider: OAuthServer, source: Source, stopped: Any
) -> None:
    provider.device_answers = ["authorization_pending", "slow_down", "authorization_pending", "slow_down"]
    store = MemoryStore()
    tokens = device_source(source, store=store)
    (shown,) = connect(tokens, stopped)
    assert (shown.user_code, shown.url) == ("ABCD-EFGH", f"{provider.url}/activate")
    assert "device-c0de" not in repr(shown)
    assert stopped.slept == [3, 3, 8, 8, 13]
    assert {form.get("grant_type") for path, form in provider.requests if path == "/token"} == {DEVICE_GRANT}
    again = device_source(source, store=store)
    assert asyncio.run(again.token()).reveal() == provider.issued[0]
    asyncio.run(again.renewed(asyncio.run(again.token())))
    assert provider.requests[-1][1]["grant_type"] == "refresh_token"
