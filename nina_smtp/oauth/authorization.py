"""A person connects an account in a browser: authorization code (RFC 6749 4.1) with PKCE (RFC 7636)."""

from __future__ import annotations

import secrets
from base64 import urlsafe_b64encode
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from urllib.parse import urlsplit, urlunsplit

from nina_smtp.errors import InvalidCredential
from nina_smtp.oauth.client import OAuthClient
from nina_smtp.oauth.endpoint import Form, ask, encoded
from nina_smtp.oauth.redirect import Redirect
from nina_smtp.oauth.source import TokenSource
from nina_smtp.oauth.tokens import Tokens
from nina_smtp.secret import Secret


@dataclass(frozen=True, slots=True)
class Authorization:
    """One attempt. ``state`` proves that the answer is to this question, ``verifier`` that both are ours."""

    client: OAuthClient
    redirect_uri: str
    state: Secret
    verifier: Secret

    @classmethod
    def begin(cls, client: OAuthClient, redirect_uri: str) -> Authorization:
        """An attempt with fresh secrets."""
        return cls(client, redirect_uri, Secret(secrets.token_urlsafe(24)), Secret(secrets.token_urlsafe(48)))

    @property
    def url(self) -> str:
        """Where the person has to go. Raises InvalidCredential if the credential does not say."""
        if not self.client.auth_url:
            raise InvalidCredential(
                "authUrl is required to connect the account in a browser.",
                hint="Take it from the provider's documentation, or use one of the presets.",
                parameter="authUrl",
            )
        base = urlsplit(self.client.auth_url)
        challenge = urlsafe_b64encode(sha256(self.verifier.reveal().encode()).digest()).rstrip(b"=")
        query = encoded(
            {
                "response_type": "code",
                "client_id": self.client.client_id,
                "redirect_uri": self.redirect_uri,
                "scope": " ".join(self.client.scopes),
                "state": self.state,
                "code_challenge": challenge.decode(),
                "code_challenge_method": "S256",
            }
        )
        return urlunsplit(base._replace(query=f"{base.query}&{query}" if base.query else query))

    async def redeem(self, source: TokenSource, code: Secret) -> Tokens:
        """Exchanges ``code`` for tokens, which the source keeps. Raises CredentialError."""
        form: Form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": self.redirect_uri,
            "code_verifier": self.verifier,
        }
        return await source.adopt(await ask(self.client, self.client.token_url, form))


async def connect(source: TokenSource, redirect: Redirect, show: Callable[[str], object]) -> Tokens:
    """The whole way: ``show`` gets the URL, and the browser comes back to ``redirect``.

    Raises CredentialError.
    """
    async with redirect:
        attempt = Authorization.begin(source.client, redirect.uri)
        show(attempt.url)
        code = await redirect.code(attempt.client, attempt.state)
    return await attempt.redeem(source, code)
