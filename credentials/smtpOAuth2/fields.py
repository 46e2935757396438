"""The form of the credential type ``smtpOAuth2``."""

from __future__ import annotations

import re
from typing import Literal, Self

from pydantic import Field, field_validator, model_validator

from nina_smtp.delivery.fields import AccountFields, SecretText, ServerFields
from nina_smtp.errors import InvalidCredential
from nina_smtp.oauth.client import Grant, OAuthClient, checked_url
from nina_smtp.oauth.source import token_source
from nina_smtp.oauth.tokens import MAX_TOKEN
from nina_smtp.secret import Secret
from nina_smtp.smtp.auth import XOAuth2

_SCOPES = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]+(?: +[\x21\x23-\x5b\x5d-\x7e]+)*")  # RFC 6749 3.3


class _OAuthFields(ServerFields):
    grant: Literal["authorizationCode", "clientCredentials", "deviceCode", "refreshToken"] = Field(
        "authorizationCode",
        title="Grant",
        description="How the first token is come by: in a browser (with PKCE), by the application itself, "
        "on another device, or by a refresh token that is there already.",
        examples=["authorizationCode"],
    )
    client_id: str = Field(
        title="Client ID",
        description="The application's, as registered at the provider.",
        examples=["1b2c3d4e-…"],
    )
    client_secret: SecretText | None = Field(
        None,
        title="Client secret",
        description="The application's; a public client has none.",
        examples=["••••••••"],
    )
    auth_url: str | None = Field(
        None,
        title="Authorization URL",
        description="Where a person agrees, in a browser.",
        examples=["https://accounts.google.com/o/oauth2/v2/auth"],
    )
    token_url: str = Field(
        title="Token URL",
        description="Where tokens are given out and renewed.",
        examples=["https://oauth2.googleapis.com/token"],
    )
    device_url: str | None = Field(
        None,
        title="Device URL",
        description="Where device codes are given out.",
        examples=["https://login.microsoftonline.com/organizations/oauth2/v2.0/devicecode"],
    )
    scopes: str | None = Field(
        None,
        title="Scopes",
        description="What the token is to allow, separated by spaces.",
        examples=["https://mail.google.com/"],
    )
    refresh_token: SecretText | None = Field(
        None,
        title="Refresh token",
        description="To begin with; those that follow are kept beside the credential.",
        examples=["••••••••"],
    )
    access_token: SecretText | None = Field(
        None,
        title="Access token",
        description="Used as it is, if there is no way to another one.",
        examples=["••••••••"],
    )


class OAuth2Fields(AccountFields, _OAuthFields):
    """A mail server, with access tokens instead of a password."""

    secret = "access token"  # noqa: S105
    texts = AccountFields.texts | {
        "grant", "clientid", "clientsecret", "authurl", "tokenurl", "deviceurl", "scopes", "refreshtoken",
        "accesstoken",
    }  # fmt: skip

    @field_validator("auth_url", "token_url", "device_url")
    @classmethod
    def _check_url(cls, value: str | None) -> str | None:
        return checked_url(value) if value else None

    @field_validator("client_id")
    @classmethod
    def _check_client_id(cls, value: str) -> str:
        if not value.isprintable() or not value.isascii() or len(value) > 1000:
            raise InvalidCredential("It is not a client ID.", hint="Check what was pasted.")
        return value

    @field_validator("scopes")
    @classmethod
    def _check_scopes(cls, value: str | None) -> str | None:
        if value and not _SCOPES.fullmatch(value.strip(" ")):
            raise InvalidCredential("It is not a list of scopes.", hint="Separate them by spaces.")
        return value

    @field_validator("refresh_token", "access_token")
    @classmethod
    def _check_token(cls, value: SecretText | None) -> SecretText | None:
        text = value.get_secret_value() if value else ""
        if len(text) > MAX_TOKEN or re.search(r"[^\x21-\x7e]", text):
            raise InvalidCredential("It is not a token.", hint="Check what was pasted.")
        return value

    @model_validator(mode="after")
    def _grant_is_complete(self) -> Self:
        needed = {
            Grant.AUTHORIZATION_CODE: ("auth_url", "authUrl"),
            Grant.DEVICE_CODE: ("device_url", "deviceUrl"),
            Grant.CLIENT_CREDENTIALS: ("client_secret", "clientSecret"),
            Grant.REFRESH_TOKEN: ("refresh_token", "refreshToken"),
        }
        attribute, name = needed[Grant(self.grant)]
        if not self.username:
            raise InvalidCredential(
                "username is required.", hint="The mailbox that sends, as an address.", parameter="username"
            )
        if not getattr(self, attribute) and not self.access_token:
            raise InvalidCredential(
                f"{name} is required for the grant {self.grant}.",
                hint="See the provider's documentation, or use another grant.",
                parameter=name,
            )
        return self

    def mechanism(self) -> XOAuth2:
        """XOAUTH2, with tokens that everything in the process shares."""
        assert self.username
        return XOAuth2(self.username, token_source(self._client(self.username)))

    def _client(self, username: str) -> OAuthClient:
        return OAuthClient(
            grant=Grant(self.grant),
            username=username,
            client_id=self.client_id,
            token_url=self.token_url,
            client_secret=_secret(self.client_secret),
            auth_url=self.auth_url,
            device_url=self.device_url,
            scopes=tuple((self.scopes or "").split()),
            refresh_token=_secret(self.refresh_token),
            access_token=_secret(self.access_token),
            ca_pem=self.ca_certificate,
            deadline=self.timeouts.command,
        )


def _secret(value: SecretText | None) -> Secret | None:
    return Secret(value.get_secret_value()) if value else None
