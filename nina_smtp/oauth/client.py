"""Who asks for tokens, and where: what the OAuth fields of a credential come down to."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from enum import StrEnum
from urllib.parse import SplitResult, urlsplit

from nina_smtp.errors import InvalidCredential
from nina_smtp.secret import Redactor, Secret
from nina_smtp.smtp.server import is_this_machine


class Grant(StrEnum):
    """How the first token is come by."""

    AUTHORIZATION_CODE = "authorizationCode"
    CLIENT_CREDENTIALS = "clientCredentials"
    DEVICE_CODE = "deviceCode"
    REFRESH_TOKEN = "refreshToken"  # noqa: S105

    @property
    def needs_a_person(self) -> bool:
        """Whether somebody has to log in at the provider before there is a token."""
        return self in (Grant.AUTHORIZATION_CODE, Grant.DEVICE_CODE)


@dataclass(frozen=True, slots=True)
class OAuthClient:
    """One application at one provider, for one mailbox. ``deadline`` is the total for one question."""

    grant: Grant
    username: str
    client_id: str
    token_url: str
    client_secret: Secret | None = None
    auth_url: str | None = None
    device_url: str | None = None
    scopes: tuple[str, ...] = ()
    refresh_token: Secret | None = None
    access_token: Secret | None = None
    ca_pem: str | None = None
    deadline: float = 60.0

    @property
    def key(self) -> str:
        """The name of its tokens in a store. With another secret to begin with, they are others."""
        first = [secret.reveal() if secret else None for secret in (self.refresh_token, self.access_token)]
        identity = [self.grant, self.username, self.client_id, self.token_url, sorted(self.scopes), first]
        return hashlib.sha256(json.dumps(identity).encode()).hexdigest()

    def redactor(self, *more: Secret | None) -> Redactor:
        """Removes what is secret, ``more`` too, from what the provider says."""
        secrets = (self.client_secret, self.refresh_token, self.access_token, *more)
        return Redactor(tuple(secret.reveal() for secret in secrets if secret))


def checked_url(text: str) -> str:
    """A URL that may be asked for tokens: https, or http on this machine. Raises InvalidCredential."""
    if "{" in text or "}" in text:
        raise InvalidCredential(
            "It has a part in braces yet.", hint="Put in what belongs there, such as the id of your tenant."
        )
    if not text.isascii() or not text.isprintable() or " " in text or "\\" in text:
        raise InvalidCredential("It is not a URL.", hint="Like https://login.example.com/oauth2/token")
    try:
        url = urlsplit(text)
        host, _ = url.hostname, url.port
    except ValueError:
        host, url = None, urlsplit("")
    if not host or url.scheme not in ("https", "http"):
        raise InvalidCredential("It is not a URL.", hint="Like https://login.example.com/oauth2/token")
    if url.username is not None or url.password is not None or url.fragment:
        raise InvalidCredential("It has a user name or a fragment in it.", hint="Leave that out.")
    if url.scheme == "http" and not is_local(url):
        raise InvalidCredential(
            "It is not encrypted.", hint="Use https; http is for this machine alone, to try things out."
        )
    return text


def is_local(url: SplitResult) -> bool:
    """Whether ``url`` is on this machine."""
    return is_this_machine(url.hostname or "")
