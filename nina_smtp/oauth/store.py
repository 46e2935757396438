"""Where tokens are kept between uses, so that a renewed refresh token is not lost."""

from __future__ import annotations

from typing import Protocol

from nina_smtp.oauth.tokens import Tokens


class TokenStore(Protocol):
    """What keeps tokens: a vault, a file, or the memory of this process.

    Equal stores share what they keep, and are hashable. It may be asked in any thread and any event loop.
    ``key`` is made from the credential, and is not a secret.
    """

    async def load(self, key: str) -> Tokens | None:
        """What was saved last under ``key``, if anything was. Raises CredentialError."""
        ...

    async def save(self, key: str, tokens: Tokens) -> None:
        """Keeps ``tokens``, instead of what there was. Raises CredentialError."""
        ...


class MemoryStore:
    """Keeps tokens as long as it lives."""

    def __init__(self) -> None:
        self._tokens: dict[str, Tokens] = {}

    async def load(self, key: str) -> Tokens | None:
        """What was saved."""
        return self._tokens.get(key)

    async def save(self, key: str, tokens: Tokens) -> None:
        """Keeps them."""
        self._tokens[key] = tokens


PROCESS = MemoryStore()
"""The store of credentials that have no other: it lasts as long as the process."""
