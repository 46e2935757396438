"""The credential type ``smtpOAuth2``: a server, and an account that is connected at its provider."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from nina_smtp.credential import CredentialType, Report, Step
from nina_smtp.delivery.account import Account
from nina_smtp.delivery.trial import run_test
from nina_smtp.errors import InvalidCredential
from nina_smtp.forms import fill_in
from nina_smtp.oauth.endpoint import check_installed

from .fields import OAuth2Fields
from .presets import PRESETS


class SmtpOAuth2Credential(CredentialType):
    """SMTP with access tokens (XOAUTH2)."""

    type = "smtpOAuth2"
    title = "SMTP with OAuth 2"
    description = "A mail server, with access tokens instead of a password."
    fields = OAuth2Fields
    presets = PRESETS

    def read(self, data: Mapping[str, Any]) -> Account:
        """The account. Raises InvalidCredential, naming the field, or the extra that is not installed."""
        fields = fill_in(OAuth2Fields, data, InvalidCredential, source="credential")
        check_installed()
        return fields.account()

    async def test(
        self, credential: Any, *, send_to: str | None = None, progress: Callable[[Step], None] | None = None
    ) -> Report:
        """Resolve, connect, greeting, TLS, EHLO, token, login, and one mail if ``send_to`` is given."""
        assert isinstance(credential, Account)
        return await run_test(credential, send_to=send_to, progress=progress)


CREDENTIAL = SmtpOAuth2Credential()
