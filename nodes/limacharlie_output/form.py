"""The form of the LimaCharlie output: what to make of elements, and who gets them."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, WithJsonSchema

from nina_smtp.dialects.limacharlie.filters import Filters
from nina_smtp.forms import Form

_LIST = {"anyOf": [{"type": "array", "items": {"type": "string"}}, {"type": "string"}]}
Mailboxes = Annotated[str | list[str], WithJsonSchema(_LIST | {"format": "mailbox-list"})]


class OutputFields(Form):
    """LimaCharlie's names for it, without what the credential has."""

    stream: Literal["event", "detect", "audit", "deployment", "artifact", "tailored", "billing"] | None = (
        Field(
            None,
            title="Stream",
            description="What the elements are; if it is not said, each element tells.",
            examples=["detect"],
        )
    )
    dest_email: Mailboxes = Field(
        title="To", description="Who gets a mail for each element.", examples=["SOC <soc@corp.example>"]
    )
    cc_email: Mailboxes | None = Field(
        None, title="Cc", description="Who gets a copy.", examples=["manager@corp.example"]
    )
    bcc_email: Mailboxes | None = Field(
        None,
        title="Bcc",
        description="Who gets a copy that the others do not see.",
        examples=["audit@corp.example"],
    )
    from_email: str | None = Field(
        None, title="From", description="The sender; else the credential's.", examples=["lc@corp.example"]
    )
    is_readable: bool = Field(
        False,
        title="Readable",
        description="HTML for people; else the element as JSON, for machines.",
        examples=[True],
    )
    subject: str | None = Field(
        None,
        title="Subject",
        description="A template string; <Name> is the name of the detection, or of the event.",
        examples=["LC Detection- <Name>", "{{ .cat }} on {{ .routing.hostname }}"],
    )
    template: str | None = Field(
        None,
        title="Template",
        description="A template string for the body, HTML if it is readable.",
        examples=["{{ .cat }}: {{ .detect | prettyjson }}"],
    )
    filters: Filters = Field(
        default_factory=lambda: Filters.model_validate({}),
        title="Filters",
        description="Which elements are sent, and in which shape.",
        examples=[{"catBlackList": ["informational"]}],
    )
    on_error: Literal["fail", "continue"] = Field(
        "continue",
        title="On error",
        description="Stop at the first failed mail, or go on with the other elements.",
        examples=["continue"],
    )
    on_partial: Literal["warn", "fail"] = Field(
        "warn",
        title="On partial",
        description="What a refused recipient means if others got it.",
        examples=["fail"],
    )
    on_uncertain: Literal["stop", "resend", "assumeSent"] = Field(
        "stop",
        title="On uncertain",
        description="What to do when nobody can tell whether it was delivered.",
        examples=["resend"],
    )
