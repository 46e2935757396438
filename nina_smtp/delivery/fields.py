"""What every mail credential has, however it logs in: where to, how, and the owner's wishes for every mail.

A form keeps the order of these fields with its own between them by inheritance::

    class _LoginFields(ServerFields): …            its own fields
    class SmtpFields(AccountFields, _LoginFields):  server, own fields, account
"""

from __future__ import annotations

import re
from abc import abstractmethod
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal, cast

from pydantic import AfterValidator, Field, SecretStr, field_validator, model_validator

from nina_smtp.delivery.account import Account, Limits
from nina_smtp.delivery.groups import LimitFields, PolicyFields, TimeoutFields
from nina_smtp.errors import InvalidCredential, NinaError
from nina_smtp.forms import Form
from nina_smtp.message.mailbox import Mailbox, parse_mailbox
from nina_smtp.secret import Secret
from nina_smtp.smtp.auth import Mechanism
from nina_smtp.smtp.server import (
    Encryption,
    Server,
    Timeouts,
    Trust,
    is_this_machine,
    parse_ehlo_name,
    parse_host,
)

MAX_USERNAME = 1024  # octets; with a password of 8000 it still fits into one AUTH line (RFC 4954 section 4)

_FORBIDDEN = re.compile(r"[\x00\r\n\ud800-\udfff]")
_FINGERPRINT = re.compile(r"sha256[0-9a-f]{64}", re.IGNORECASE)


def _secret_text(value: SecretStr) -> SecretStr:
    if bad := _FORBIDDEN.search(value.get_secret_value()):
        raise InvalidCredential(
            f"It holds U+{ord(bad.group()):04X}.", hint="NUL and line breaks cannot be sent."
        )
    return value


SecretText = Annotated[SecretStr, AfterValidator(_secret_text)]


class ServerFields(Form):
    """Where to, and as whom."""

    texts: ClassVar[frozenset[str]] = frozenset(
        {
            "host",
            "username",
            "encryption",
            "fromaddress",
            "secretkey",
            "cacertificate",
            "certificatefingerprint",
            "ehloname",
        }
    )
    """Fields that are not there when they are left empty: folded names."""

    host: str = Field(title="Host", description="Name of the mail server.", examples=["smtp.office365.com"])
    port: int | None = Field(
        None,
        ge=1,
        le=65535,
        title="Port",
        description="587 for starttls, 465 for tls, 25 for none, unless given.",
        examples=[587],
    )
    encryption: Literal["starttls", "tls", "none"] = Field(
        "starttls",
        title="Encryption",
        description="starttls is mandatory STARTTLS; tls is TLS from the start; none is clear text.",
        examples=["starttls"],
    )
    username: str | None = Field(
        None, title="Username", description="Usually the mail address.", examples=["alerts@corp.example"]
    )

    @model_validator(mode="before")
    @classmethod
    def _without_empty_fields(cls, data: Any) -> Any:
        """A text that is left empty is one that is not there; for a number it is still a mistake."""
        if not isinstance(data, Mapping):
            return data
        fields = cast(Mapping[str, Any], data)
        return {
            key: value
            for key, value in fields.items()
            if value is not None and (value != "" or key.replace("_", "").lower() not in cls.texts)
        }

    @field_validator("host")
    @classmethod
    def _check_host(cls, value: str) -> str:
        return parse_host(value)

    @field_validator("username")
    @classmethod
    def _check_username(cls, value: str | None) -> str | None:
        if value and (bad := re.search(r"[\x00\x01\r\n\ud800-\udfff]", value)):
            raise InvalidCredential(f"It holds U+{ord(bad.group()):04X}.", hint="Remove the character.")
        if value and len(value.encode()) > MAX_USERNAME:
            raise InvalidCredential(
                f"It is longer than {MAX_USERNAME} octets.", hint="Check what was pasted."
            )
        return value


class AccountFields(ServerFields):
    """What comes after the login: the sender, trust, patience, policy and limits."""

    secret: ClassVar[str] = "password"  # noqa: S105  # what the warnings call it
    """What a server is given to prove who logs in, in a word."""

    from_address: str | None = Field(
        None,
        title="From",
        description="Sender of mails that name none; else the username.",
        examples=["SOC <soc@corp.example>"],
    )
    secret_key: SecretText | None = Field(
        None,
        title="Signing key",
        description="Key of the HMAC-SHA256 signature in each mail.",
        examples=["••••••••"],
    )
    ca_certificate: str | None = Field(
        None,
        title="CA certificate",
        description="PEM; trusted in addition to the system's, for this credential alone.",
        examples=["-----BEGIN CERTIFICATE-----…"],
    )
    certificate_fingerprint: str | None = Field(
        None,
        title="Certificate fingerprint",
        description="Accept exactly this certificate, whatever issued it.",
        examples=["sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"],
    )
    tls_skip_verify: bool = Field(
        False, title="Skip verification", description="Accept any certificate. Dangerous.", examples=[False]
    )
    allow_cleartext_login: bool = Field(
        False,
        title="Allow login in clear text",
        description="Without it, encryption none sends a password to this machine only.",
        examples=[False],
    )
    timeouts: TimeoutFields = Field(
        default_factory=lambda: TimeoutFields.model_validate({}),
        title="Timeouts",
        description="In seconds.",
        examples=[{"connect": 15}],
    )
    ehlo_name: str | None = Field(
        None,
        title="EHLO name",
        description="This machine's name, unless given.",
        examples=["host.corp.example"],
    )
    recipient_policy: PolicyFields = Field(
        default_factory=lambda: PolicyFields.model_validate({}),
        title="Recipient policy",
        description="Who may be sent to.",
        examples=[{"allow": ["corp.example"]}],
    )
    limits: LimitFields = Field(
        default_factory=lambda: LimitFields.model_validate({}),
        title="Limits",
        description="Shared by everything that uses the credential.",
        examples=[{"connections": 5}],
    )

    @field_validator("ehlo_name")
    @classmethod
    def _check_ehlo_name(cls, value: str | None) -> str | None:
        return parse_ehlo_name(value) if value else None

    @field_validator("from_address")
    @classmethod
    def _check_from(cls, value: str | None) -> str | None:
        if value:
            parse_mailbox(value)
        return value

    @field_validator("certificate_fingerprint")
    @classmethod
    def _check_fingerprint(cls, value: str | None) -> str | None:
        if value and not _FINGERPRINT.fullmatch(value.replace(":", "")):
            raise InvalidCredential("It is not a fingerprint.", hint="Write sha256: and 64 hex digits.")
        return value

    @field_validator("recipient_policy")
    @classmethod
    def _check_policy(cls, value: PolicyFields) -> PolicyFields:
        value.policy()
        return value

    @abstractmethod
    def mechanism(self) -> Mechanism | None:
        """How to log in; None is not at all."""

    def account(self) -> Account:
        """The account these fields describe. Raises InvalidCredential for an unreadable certificate."""
        server = Server(
            host=self.host,
            port=self.port or Encryption(self.encryption).port,
            encryption=Encryption(self.encryption),
            mechanism=self.mechanism(),
            ehlo_name=self.ehlo_name,
            timeouts=Timeouts(**self.timeouts.model_dump()),
            trust=Trust(self.ca_certificate, self._pin(), self.tls_skip_verify),
            allow_cleartext_login=self.allow_cleartext_login,
        )
        if self.ca_certificate:
            _ = server.tls_context  # an unreadable certificate is found now, not in the night
        return Account(
            server=server,
            sender=self._sender(),
            secret_key=Secret(self.secret_key.get_secret_value()) if self.secret_key else None,
            policy=self.recipient_policy.policy(),
            limits=Limits(**self.limits.model_dump()),
            warnings=tuple(self._warnings(logs_in=server.mechanism is not None)),
        )

    def _pin(self) -> str | None:
        return (
            self.certificate_fingerprint.lower().replace(":", "")[6:]
            if self.certificate_fingerprint
            else None
        )

    def _sender(self) -> Mailbox | None:
        if self.from_address:
            return parse_mailbox(self.from_address)
        try:
            return parse_mailbox(self.username or "")
        except NinaError:
            return None

    def _warnings(self, *, logs_in: bool) -> list[str]:
        found: list[str] = []
        if self.tls_skip_verify and not self.certificate_fingerprint and self.encryption != "none":
            found.append(
                f"The server's certificate is not verified: anybody in between can read the {self.secret}."
            )
        if is_this_machine(self.host):
            return found  # nothing leaves this machine
        if self.encryption == "none" and logs_in:
            found.append(f"The {self.secret} is sent in clear text.")
        elif self.encryption == "none":
            found.append("Mails are sent in clear text.")
        return found
