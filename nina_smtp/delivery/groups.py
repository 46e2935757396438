"""The groups of fields of a mail credential: timeouts, recipient policy, limits."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from nina_smtp.delivery.account import RecipientPolicy
from nina_smtp.errors import InvalidAddress, InvalidCredential
from nina_smtp.forms import Form
from nina_smtp.message.mailbox import normalised_domain, parse_mailbox

Seconds = Annotated[float, Field(gt=0, le=86_400)]


class TimeoutFields(Form):
    """Seconds; each is the total for one reply or one phase."""

    connect: Seconds = Field(15, title="Connect", description="To open the connection.", examples=[15])
    greeting: Seconds = Field(60, title="Greeting", description="For the server's greeting.", examples=[60])
    command: Seconds = Field(60, title="Command", description="For the reply to a command.", examples=[60])
    data: Seconds = Field(120, title="Data", description="For the reply to DATA.", examples=[120])
    final: Seconds = Field(
        600, title="Final", description="For the reply to the whole message.", examples=[600]
    )
    quit: Seconds = Field(2, title="Quit", description="For the reply to QUIT.", examples=[2])
    total: Seconds = Field(1200, title="Total", description="For one whole attempt.", examples=[1200])


class PolicyFields(Form):
    """Who may be sent to. Enforced after merging, on what will be sent."""

    allow: list[str] | None = Field(
        None,
        title="Allowed domains",
        description="Only these and their subdomains.",
        examples=[["corp.example"]],
    )
    deny: list[str] = Field(
        default_factory=list[str],
        title="Denied domains",
        description="Never these.",
        examples=[["gmail.com"]],
    )
    redirect_all_to: str | None = Field(
        None,
        title="Redirect all to",
        description="Every mail goes here instead.",
        examples=["me@corp.example"],
    )
    max_recipients: int | None = Field(
        None,
        ge=1,
        le=1000,
        title="Most recipients",
        description="In one mail, To, Cc and Bcc together.",
        examples=[50],
    )
    max_per_recipient: int | None = Field(
        1000,
        ge=1,
        title="Most mails to one address",
        description="Within ten minutes: more look like a loop. None is no limit.",
        examples=[1000],
    )

    def policy(self) -> RecipientPolicy:
        """The policy, with domains in A-labels. Raises NinaError."""
        redirect = parse_mailbox(self.redirect_all_to) if self.redirect_all_to else None
        allow = None if self.allow is None else tuple(_domain("allow", one) for one in self.allow)
        deny = tuple(_domain("deny", one) for one in self.deny)
        return RecipientPolicy(allow, deny, redirect, self.max_recipients, self.max_per_recipient)


def _domain(field: str, text: str) -> str:
    try:
        return normalised_domain(text.removeprefix("*.").removeprefix("@"), text)
    except InvalidAddress:
        raise InvalidCredential(
            f"recipientPolicy.{field}: {text[:80]!a} is not a domain.",
            hint="Write it like corp.example; it stands for its subdomains too.",
        ) from None


class LimitFields(Form):
    """What the credential may use, shared by everything that uses it."""

    connections: int = Field(
        5, ge=1, le=100, title="Connections", description="At the same time.", examples=[5]
    )
    messages_per_second: float | None = Field(
        None, gt=0, le=10_000, title="Messages a second", description="None is no limit.", examples=[10]
    )
    messages_per_day: int | None = Field(
        None, ge=1, title="Messages a day", description="None is no limit.", examples=[2000]
    )
    pipeline_window: int = Field(
        1,
        ge=1,
        le=64,
        title="Pipeline window",
        description="Mails on their way at once on a connection.",
        examples=[1],
    )
