"""The errors of OAuth, each with what happened and what to do. None of them has an answer's body in it."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit

from nina_smtp.errors import AuthFailed, CredentialError, InvalidCredential, TokenUnavailable
from nina_smtp.oauth.client import Grant, OAuthClient
from nina_smtp.smtp.phase import Phase

MAX_SHOWN = 300

_RECONNECT = "Connect the account again: nina-smtp login CRED.json"
_PHASE = Phase.AUTH.value


@dataclass(frozen=True, slots=True)
class Refusal:
    """The error object of a provider's answer (RFC 6749 5.2), redacted and escaped."""

    code: str
    description: str = ""

    def __str__(self) -> str:
        shown = f"{self.code}: {self.description}" if self.description else self.code
        return shown if len(shown) <= MAX_SHOWN else shown[: MAX_SHOWN - 1] + "…"


_FIELD = {
    "invalid_client": ("clientId", "Check clientId and clientSecret; a secret may have expired."),
    "unauthorized_client": ("grant", "Have the application allow this grant at the provider."),
    "unsupported_grant_type": ("grant", "Use a grant that the provider knows."),
    "invalid_scope": ("scopes", "Use the scopes that the provider has for SMTP; see the presets."),
    "access_denied": (None, "Somebody said no at the provider, or an administrator has to allow it first."),
    "expired_token": (None, "Nobody entered the code in time. Begin again: nina-smtp login CRED.json"),
}


def refused(client: OAuthClient, refusal: Refusal) -> CredentialError:
    """The error for a provider that says no for good."""
    if refusal.code in _FIELD:
        parameter, hint = _FIELD[refusal.code]
    else:
        parameter, hint = None, reconnect(client)
    if refusal.code in ("temporarily_unavailable", "server_error"):
        return unavailable(client.token_url, f"it says {refusal}")
    return AuthFailed(
        f"The provider gives no access token: {refusal}", hint=hint, phase=_PHASE, parameter=parameter
    )


def reconnect(client: OAuthClient) -> str:
    """What to do when what was granted is granted no more."""
    if client.grant is Grant.REFRESH_TOKEN:
        return "Connect the account again: put a new refreshToken into the credential."
    if client.grant is Grant.CLIENT_CREDENTIALS:
        return "Check clientId, clientSecret and what the application may do at the provider."
    return _RECONNECT


def not_connected(client: OAuthClient) -> CredentialError:
    """The error for a credential nobody has connected yet."""
    return AuthFailed(
        "Nobody has connected this account yet, so there is no access token.",
        hint=reconnect(client).replace(" again", ""),
        phase=_PHASE,
    )


def used_up(client: OAuthClient) -> CredentialError:
    """The error for an access token that is good no more, where there is no way to another one."""
    return AuthFailed(
        "The access token is good no more, and there is no refresh token to get another one with.",
        hint=reconnect(client),
        phase=_PHASE,
    )


def unavailable(url: str, why: str) -> CredentialError:
    """The error for a provider that may do it later."""
    return TokenUnavailable(
        f"{urlsplit(url).hostname} gave no access token: {why}.",
        hint="Nothing was sent. Try again later; if it stays so, check the URL, and that this machine may "
        "reach it.",
        phase=_PHASE,
    )


def nonsense(url: str, status: int, why: str) -> CredentialError:
    """The error for an answer that is none. What it says is not shown: nobody knows what it is."""
    return CredentialError(
        f"{urlsplit(url).hostname} answered with status {status}, but {why}.",
        hint="Check the URL. A captive portal or a proxy that wants a login answers like this, too.",
        phase=_PHASE,
    )


def missing_library() -> InvalidCredential:
    """The error for an installation without the extra."""
    return InvalidCredential(
        "Credentials of type smtpOAuth2 need the extra oauth, which is not installed.",
        hint="pip install 'nina-smtp[oauth]'",
        parameter="type",
    )
