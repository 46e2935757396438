"""A person connects an account on another device: the device authorization grant (RFC 8628)."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from nina_smtp.errors import InvalidCredential, TokenUnavailable
from nina_smtp.oauth import failures
from nina_smtp.oauth.client import OAuthClient, is_local
from nina_smtp.oauth.endpoint import Form, ask
from nina_smtp.oauth.failures import Refusal
from nina_smtp.oauth.source import TokenSource
from nina_smtp.oauth.tokens import Clock, Tokens
from nina_smtp.secret import Secret

GRANT_TYPE = "urn:ietf:params:oauth:grant-type:device_code"

_MOST_SECONDS = 1800.0
_SLOWER = 5.0  # seconds more between two questions when the provider says slow_down (RFC 8628 3.5)


@dataclass(frozen=True, slots=True)
class DeviceCode:
    """What the person has to enter, and where; ``seconds`` and ``interval`` are the provider's."""

    device_code: Secret
    user_code: str
    url: str
    interval: float
    seconds: float


async def connect(
    source: TokenSource,
    show: Callable[[DeviceCode], object],
    *,
    seconds: float = _MOST_SECONDS,
    clock: Clock | None = None,
    sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
) -> Tokens:
    """The whole way: ``show`` gets the code, then the provider is asked until somebody has entered it.

    Raises CredentialError.
    """
    clock = clock or Clock()
    code = await request(source.client)
    show(code)
    until = clock.steady() + min(seconds, code.seconds)
    interval = code.interval
    form: Form = {"grant_type": GRANT_TYPE, "device_code": code.device_code}
    while clock.steady() + interval <= until:
        await sleep(interval)
        try:
            answer = await ask(source.client, source.client.token_url, form)
        except TokenUnavailable:
            interval *= 2  # RFC 8628 3.5
            continue
        if not isinstance(answer, Refusal):
            return await source.adopt(answer)
        if answer.code == "slow_down":
            interval += _SLOWER
        elif answer.code != "authorization_pending":
            raise failures.refused(source.client, answer)
    raise failures.refused(source.client, Refusal("expired_token"))


async def request(client: OAuthClient) -> DeviceCode:
    """A code for a person to enter. Raises CredentialError."""
    if not client.device_url:
        raise InvalidCredential(
            "deviceUrl is required for a device code.",
            hint="Take it from the provider's documentation (device authorization endpoint).",
            parameter="deviceUrl",
        )
    answer = await ask(client, client.device_url, {"scope": " ".join(client.scopes)})
    if isinstance(answer, Refusal):
        raise failures.refused(client, answer)
    code = _read(answer)
    if code is None:
        raise failures.nonsense(client.device_url, 200, "there is no device code in it")
    return code


def _read(answer: Mapping[str, Any]) -> DeviceCode | None:
    device_code, user_code = answer.get("device_code"), answer.get("user_code")
    url = answer.get("verification_uri") or answer.get("verification_url")  # the latter is Google's
    if not (isinstance(device_code, str) and device_code and isinstance(user_code, str) and _is_web(url)):
        return None
    if not user_code.isprintable() or not 0 < len(user_code) <= 100:
        return None
    interval, seconds = (_number(answer.get(key), usual) for key, usual in _USUAL)
    return DeviceCode(Secret(device_code), user_code, str(url), max(1.0, min(interval, 60.0)), seconds)


_USUAL = (("interval", 5.0), ("expires_in", 600.0))


def _is_web(url: object) -> bool:
    """Whether a person may be sent there."""
    if not isinstance(url, str) or not url.isascii() or not url.isprintable() or len(url) > 500:
        return False
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    return bool(parts.hostname) and (parts.scheme == "https" or (parts.scheme == "http" and is_local(parts)))


def _number(value: object, usual: float) -> float:
    good = isinstance(value, (int, float)) and not isinstance(value, bool) and 0 < value < float("inf")
    return float(value) if good else usual  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
