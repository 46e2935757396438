"""A provider, a clock that stands still, and a source of tokens from one on the other."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from bed.oauth import CLIENT_ID, OAuthServer

from nina_smtp.oauth.client import Grant, OAuthClient
from nina_smtp.oauth.source import TokenSource
from nina_smtp.oauth.store import MemoryStore
from nina_smtp.oauth.tokens import Clock
from nina_smtp.secret import Secret


class StoppedClock:
    """A clock that only moves when it is told to."""

    def __init__(self) -> None:
        self.wall, self.steady = 1_700_000_000.0, 5000.0
        self.slept: list[float] = []

    @property
    def clock(self) -> Clock:
        return Clock(lambda: self.wall, lambda: self.steady)

    def pass_(self, seconds: float) -> None:
        self.wall += seconds
        self.steady += seconds

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.pass_(seconds)


@pytest.fixture
def stopped() -> StoppedClock:
    return StoppedClock()


@pytest.fixture
def provider() -> Iterator[OAuthServer]:
    with OAuthServer() as running:
        running.refresh_tokens.add("rt-mine")
        yield running


@pytest.fixture
def client(provider: OAuthServer) -> Callable[..., OAuthClient]:
    """``client(refresh="rt-mine", grant=…)``: at the provider."""

    def make(refresh: str | None = "rt-mine", **wishes: Any) -> OAuthClient:
        usual: dict[str, Any] = {
            "grant": Grant.REFRESH_TOKEN,
            "username": "alice@mail.test",
            "client_id": CLIENT_ID,
            "token_url": provider.token_url,
            "auth_url": provider.auth_url,
            "device_url": provider.device_url,
            "scopes": ("https://mail.test/", "offline_access"),
            "refresh_token": Secret(refresh) if refresh else None,
        }
        return OAuthClient(**(usual | wishes))

    return make


@pytest.fixture
def source(client: Callable[..., OAuthClient], stopped: StoppedClock) -> Callable[..., TokenSource]:
    """``source(refresh="rt-mine", store=…, grant=…)``."""

    def make(refresh: str | None = "rt-mine", *, store: Any = None, **wishes: Any) -> TokenSource:
        return TokenSource(client(refresh, **wishes), store or MemoryStore(), stopped.clock)

    return make
