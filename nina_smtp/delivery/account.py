"""What a mail credential comes down to: a server and a login, and the owner's wishes for every mail."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from hashlib import sha256

from nina_smtp.envelope import Envelope
from nina_smtp.errors import RecipientNotAllowed
from nina_smtp.message import Message
from nina_smtp.message.mailbox import Mailbox
from nina_smtp.secret import Secret
from nina_smtp.smtp.server import Server


@dataclass(frozen=True, slots=True)
class RecipientPolicy:
    """Who may be sent to.

    ``allow`` and ``deny`` are domains in A-labels, each standing for its subdomains too; deny wins.
    ``redirect_all_to`` gets everything instead. No more than ``max_recipients`` are in one mail, and no more
    than ``max_per_recipient`` mails go to one address within ten minutes. None is no limit.
    """

    allow: tuple[str, ...] | None = None
    deny: tuple[str, ...] = ()
    redirect_all_to: Mailbox | None = None
    max_recipients: int | None = None
    max_per_recipient: int | None = 1000

    def enforced(self, message: Message) -> Message:
        """The message as the policy lets it out. Raises RecipientNotAllowed."""
        redirect = self.redirect_all_to
        recipients = message.envelope.recipients
        if redirect and recipients != (redirect.address,):
            meant = ", ".join(recipients)[:300]
            message = replace(
                message,
                envelope=Envelope(message.envelope.sender, (redirect.address,)),
                warnings=(
                    *message.warnings,
                    f"Redirected to {redirect.address} by the credential; meant for {meant}.",
                ),
            )
        self.check(message.envelope.recipients)
        return message

    def check(self, recipients: tuple[str, ...]) -> None:
        """Raises RecipientNotAllowed for the first recipient that is kept out, or for too many."""
        if self.max_recipients is not None and len(recipients) > self.max_recipients:
            raise RecipientNotAllowed(
                f"{len(recipients)} recipients are more than the credential allows ({self.max_recipients}).",
                hint="Split the list, or have the credential's owner raise maxRecipients.",
                parameter="to",
            )
        if self.allow is None and not self.deny:
            return
        for recipient in recipients:
            domain = recipient.rpartition("@")[2]
            if _within(domain, self.deny) or (self.allow is not None and not _within(domain, self.allow)):
                raise RecipientNotAllowed(
                    f"The credential does not allow mail to {recipient}.",
                    hint="Its owner decides that in recipientPolicy.",
                    parameter="to",
                )


@dataclass(frozen=True, slots=True)
class Limits:
    """What one credential may use, all its users together."""

    connections: int = 5
    messages_per_second: float | None = None
    messages_per_day: int | None = None
    pipeline_window: int = 1


_LONGEST = 390  # characters of an identity


@dataclass(frozen=True, slots=True)
class Account:
    """A server and a login. ``sender`` is used where a mail names none."""

    server: Server
    sender: Mailbox | None = None
    secret_key: Secret | None = None
    policy: RecipientPolicy = field(default_factory=RecipientPolicy)
    limits: Limits = field(default_factory=Limits)
    warnings: tuple[str, ...] = ()
    name: str = ""
    """What the host calls the credential."""

    @property
    def identity(self) -> str:
        """What a ledger calls it: its name, or who logs in where."""
        if self.name:
            return self.name
        mechanism = self.server.mechanism
        user = f"{mechanism.username}@" if mechanism else ""
        text = f"{user}{self.server.host}:{self.server.port}"
        return text if len(text) <= _LONGEST else f"sha256:{sha256(text.encode()).hexdigest()}"


def _within(domain: str, domains: tuple[str, ...]) -> bool:
    return any(domain == one or domain.endswith(f".{one}") for one in domains)
