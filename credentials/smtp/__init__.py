"""The credential type ``smtp``: a server, and a user name with a password."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from nina_smtp.credential import CredentialType, Report, Step
from nina_smtp.delivery.account import Account
from nina_smtp.delivery.trial import run_test
from nina_smtp.errors import InvalidCredential
from nina_smtp.forms import fill_in

from .fields import SmtpFields
from .presets import PRESETS


class SmtpCredential(CredentialType):
    """SMTP with basic authentication."""

    type = "smtp"
    title = "SMTP"
    description = "A mail server, with a user name and a password."
    fields = SmtpFields
    presets = PRESETS

    def read(self, data: Mapping[str, Any]) -> Account:
        """The account. Raises InvalidCredential, naming the field."""
        return fill_in(SmtpFields, data, InvalidCredential, source="credential").account()

    async def test(
        self, credential: Any, *, send_to: str | None = None, progress: Callable[[Step], None] | None = None
    ) -> Report:
        """Resolve, connect, greeting, TLS, EHLO, login, and one mail if ``send_to`` is given."""
        assert isinstance(credential, Account)
        return await run_test(credential, send_to=send_to, progress=progress)


CREDENTIAL = SmtpCredential()
