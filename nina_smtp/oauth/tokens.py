"""What a provider gave, and whether it is still good.

A token's age is counted on two clocks, and the older age counts: the steady one, which stands still while the
machine sleeps, and the one on the wall, which somebody may set. A wall clock that jumps costs one renewal at
most, and never makes an expired token look good.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from nina_smtp.secret import Secret

RENEW_BEFORE = 300.0
"""Seconds before its expiry from which on a token is renewed; half its life, if that is less."""

USUAL_LIFETIME = 3600.0
"""Seconds that a token is taken to live if the provider does not say."""

MAX_TOKEN = 8000
"""Octets; an access token has to fit into one line of a login."""

_MAX_LIFETIME = 10 * 365 * 86_400.0
_TOKEN = re.compile(r"[\x21-\x7e]+")


@dataclass(frozen=True, slots=True)
class Clock:
    """The time, in seconds: on the wall, and since some moment."""

    wall: Callable[[], float] = time.time
    steady: Callable[[], float] = time.monotonic


@dataclass(frozen=True, slots=True)
class Tokens:
    """An access token with its lifetime in seconds, obtained at ``obtained`` on the wall's clock."""

    access: Secret
    refresh: Secret | None = None
    scopes: tuple[str, ...] = ()
    lifetime: float = USUAL_LIFETIME
    obtained: float = 0.0

    @classmethod
    def from_answer(
        cls, answer: Mapping[str, Any], *, obtained: float, scopes: tuple[str, ...], refresh: Secret | None
    ) -> Tokens | None:
        """What a token endpoint's answer says (RFC 6749 5.1), or None if that is no token.

        ``scopes`` are those asked for, which need not be repeated; ``refresh`` goes on unless it is replaced.
        """
        access = _secret(answer.get("access_token"))
        granted = answer.get("scope")
        if access is None:
            return None
        return cls(
            access,
            _secret(answer.get("refresh_token")) or refresh,
            tuple(granted.split()) if isinstance(granted, str) and granted.strip() else scopes,
            _seconds(answer.get("expires_in")),
            obtained,
        )

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> Tokens | None:
        """What ``as_document`` wrote, or None if it is something else."""
        access = _secret(document.get("accessToken"))
        lifetime, obtained = document.get("expiresIn"), document.get("obtainedAt")
        scopes: Any = document.get("scopes")
        if not access or not isinstance(lifetime, (int, float)) or not isinstance(obtained, (int, float)):
            return None
        names = tuple(map(str, scopes)) if isinstance(scopes, list) else ()  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]
        return cls(access, _secret(document.get("refreshToken")), names, float(lifetime), float(obtained))

    def as_document(self) -> dict[str, Any]:
        """JSON with the secrets in it: for a store, and for nothing else."""
        return {
            "accessToken": self.access.reveal(),
            "refreshToken": self.refresh.reveal() if self.refresh else None,
            "scopes": list(self.scopes),
            "expiresIn": self.lifetime,
            "obtainedAt": self.obtained,
        }


@dataclass(frozen=True, slots=True)
class Held:
    """Tokens in hand since ``since`` on the steady clock, when they were ``age`` seconds old."""

    tokens: Tokens
    clock: Clock
    since: float = field(init=False)
    age: float = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "since", self.clock.steady())
        age = self.clock.wall() - self.tokens.obtained
        # From the future: the clock was set back since, so that nobody knows how old they are.
        object.__setattr__(self, "age", age if age >= 0 else float("inf"))

    @property
    def remaining(self) -> float:
        """Seconds until they expire, at most."""
        age = max(self.age + self.clock.steady() - self.since, self.clock.wall() - self.tokens.obtained)
        return self.tokens.lifetime - age

    @property
    def good(self) -> bool:
        """Whether there is no need to renew them."""
        return self.remaining > min(RENEW_BEFORE, self.tokens.lifetime / 2)


def _secret(value: Any) -> Secret | None:
    found = isinstance(value, str) and len(value) <= MAX_TOKEN and _TOKEN.fullmatch(value)
    return Secret(value) if found else None


def _seconds(value: Any) -> float:
    """Some providers write the number as a string."""
    if isinstance(value, str) and re.fullmatch(r"[0-9]{1,12}", value):
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value < float("inf"):
        return USUAL_LIFETIME
    return min(float(value), _MAX_LIFETIME)
