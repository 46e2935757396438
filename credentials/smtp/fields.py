"""The form of the credential type ``smtp``."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from nina_smtp.delivery.fields import AccountFields, SecretText, ServerFields
from nina_smtp.errors import InvalidCredential
from nina_smtp.secret import Secret
from nina_smtp.smtp.auth import Login, Mechanism, Plain, PlainOrLogin

MAX_PASSWORD = (
    8000  # octets; with the longest user name it still fits into one AUTH line (RFC 4954 section 4)
)


class _LoginFields(ServerFields):
    password: SecretText | None = Field(
        None,
        title="Password",
        description="The password or app password; sent as it is.",
        examples=["••••••••"],
    )
    auth_method: Literal["login", "plain", "auto", "none"] = Field(
        "login",
        title="Auth method",
        description="The SASL mechanism; auto is PLAIN if it is offered, else LOGIN; none does not log in.",
        examples=["login"],
    )


class SmtpFields(AccountFields, _LoginFields):
    """A mail server, with a user name and a password."""

    texts = AccountFields.texts | {"password", "authmethod"}

    @model_validator(mode="after")
    def _login_is_complete(self) -> Self:
        if self.auth_method == "none":
            return self
        for name, value in (("username", self.username), ("password", self.password)):
            if not value:
                raise InvalidCredential(
                    f"{name} is required.",
                    hint="To send without logging in, set authMethod none.",
                    parameter=name,
                )
        if self.password and len(self.password.get_secret_value().encode()) > MAX_PASSWORD:
            raise InvalidCredential(f"password is longer than {MAX_PASSWORD} octets.", parameter="password")
        return self

    def mechanism(self) -> Mechanism | None:
        """LOGIN or PLAIN, exactly as asked for, or whichever is offered."""
        if self.auth_method == "none":
            return None
        assert self.username
        assert self.password
        kind = _MECHANISMS[self.auth_method]
        return kind(self.username, Secret(self.password.get_secret_value()))


_MECHANISMS: dict[str, type[Login] | type[Plain] | type[PlainOrLogin]] = {
    "login": Login,
    "plain": Plain,
    "auto": PlainOrLogin,
}
