"""The forms of the SMTP node: the operations' parameters, and the options around them."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import Field, WithJsonSchema, model_validator
from pydantic.config import JsonDict

from nina_smtp.errors import InvalidAttachment
from nina_smtp.forms import Form

_LIST = {"anyOf": [{"type": "array", "items": {"type": "string"}}, {"type": "string"}]}
Mailboxes = Annotated[str | list[str], WithJsonSchema(_LIST | {"format": "mailbox-list"})]
Ids = Annotated[str | list[str], WithJsonSchema(_LIST)]
CONTENT: JsonDict = {"x-auto-extract": True}


class AttachmentFields(Form):
    """A file that goes along: base64 content, or a reference to a file that an earlier node made."""

    filename: str = Field(title="File name", description="With its extension.", examples=["findings.csv"])
    content: str | None = Field(
        None, title="Content", description="The file in base64, never a path or a URL.", examples=["aWQsaXAK"]
    )
    blob: str | None = Field(
        None,
        title="Stored file",
        description="A reference from an earlier node, instead of content.",
        examples=["sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"],
    )
    content_type: str | None = Field(
        None,
        title="Content type",
        description="Found out from the content when absent.",
        examples=["text/csv"],
    )
    content_id: str | None = Field(
        None, title="Content ID", description="The name after cid: in the HTML.", examples=["logo"]
    )
    disposition: Literal["attachment", "inline"] | None = Field(
        None,
        title="Disposition",
        description="Inline when the HTML refers to the content ID, else attachment.",
        examples=["inline"],
    )
    size: int | None = Field(
        None, title="Size", description="What a file reference says of itself.", examples=[1024]
    )

    @model_validator(mode="after")
    def _one_content(self) -> Self:
        if (self.content is None) == (self.blob is None):
            raise InvalidAttachment(
                "content is required." if self.content is None else "content and blob exclude each other.",
                hint="Give the file in base64 as content, or a stored file as blob.",
            )
        return self


class SendFields(Form):
    """One mail. Every value may also come from the input; see the sources of parameters."""

    to: Mailboxes = Field(title="To", description="Who gets it.", examples=[["SOC <soc@corp.example>"]])
    content_type: Literal["text", "html"] = Field(
        "text",
        title="Content type",
        description="Whether the body is plain text or HTML.",
        examples=["html"],
        json_schema_extra=CONTENT,
    )
    subject: str = Field(
        title="Subject",
        description="One line.",
        examples=["Ransomware on {{ host }}"],
        json_schema_extra=CONTENT,
    )
    body: str = Field(
        title="Body",
        description="The text, or the HTML.",
        examples=["See {{ link }}"],
        json_schema_extra=CONTENT,
    )
    from_: str | None = Field(
        None,
        alias="from",
        title="From",
        description="The sender; else the credential's.",
        examples=["Alerts <alerts@corp.example>"],
    )
    cc: Mailboxes | None = Field(
        None, title="Cc", description="Who gets a copy.", examples=[["ciso@corp.example"]]
    )
    bcc: Mailboxes | None = Field(
        None,
        title="Bcc",
        description="Who gets a copy that the others do not see.",
        examples=[["audit@corp.example"]],
    )
    reply_to: Mailboxes | None = Field(
        None, title="Reply to", description="Where answers go.", examples=["soc@corp.example"]
    )
    importance: Literal["normal", "high", "low"] = Field(
        "normal",
        title="Importance",
        description="How mail readers mark it.",
        examples=["high"],
        json_schema_extra=CONTENT,
    )
    attachments: list[AttachmentFields] | None = Field(
        None,
        title="Attachments",
        description="Files in base64, or files of earlier nodes.",
        examples=[[{"filename": "findings.csv", "content": "aWQsaXAK"}]],
    )
    text_body: str | None = Field(
        None,
        title="Text body",
        description="Plain text beside an HTML body; made from the HTML when absent, left out when empty.",
        examples=["See the dashboard."],
    )
    headers: dict[str, str] | None = Field(
        None, title="Headers", description="Further headers by name.", examples=[{"X-Alert-Id": "{{ id }}"}]
    )
    in_reply_to: str | None = Field(
        None, title="In reply to", description="The message this one answers.", examples=["<1@corp.example>"]
    )
    references: Ids | None = Field(
        None, title="References", description="The thread, oldest first.", examples=[["<1@corp.example>"]]
    )
    message_id: str | None = Field(
        None, title="Message ID", description="Made when absent.", examples=["<alert-42@corp.example>"]
    )
    envelope_from: str | None = Field(
        None,
        title="Envelope sender",
        description="Where bounces go; empty for nowhere. Else from.",
        examples=["bounces@corp.example"],
    )


class SendRawFields(Form):
    """A whole message as text, sent as it is."""

    raw_email: str = Field(
        title="Raw message",
        description="RFC 5322 text; recipients are those of To, Cc and Bcc, and Bcc is removed.",
        examples=["From: a@corp.example\nTo: b@corp.example\nSubject: Hello\n\nText"],
    )
    envelope_from: str | None = Field(
        None,
        title="Envelope sender",
        description="Where bounces go; empty for nowhere. Else the message's From.",
        examples=["bounces@corp.example"],
    )
    message_id: str | None = Field(
        None,
        title="Message ID",
        description="Used if the message has none.",
        examples=["<alert-42@corp.example>"],
    )


class Options(Form):
    """How the node behaves."""

    mode: Literal["each", "once"] = Field(
        "each", title="Mode", description="One mail for each item, or one for all of them.", examples=["each"]
    )
    on_error: Literal["fail", "continue"] = Field(
        "fail",
        title="On error",
        description="Stop at the first failed mail, or go on.",
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
        examples=["stop"],
    )
    sources: Literal["all", "node"] = Field(
        "all",
        title="Sources",
        description="Where parameters come from: the node and the data; or the node alone, whose templates "
        "and JSONPaths still see the data.",
        examples=["node"],
    )
    auto_extract: Literal["content", "all", "off"] = Field(
        "content",
        title="Auto-extract",
        description="Which parameters are looked for by name.",
        examples=["off"],
    )
    max_items: int | None = Field(
        None, ge=1, title="Most items", description="More input items than this are refused.", examples=[100]
    )


class NodeFields(Form):
    """Sends mail over SMTP."""

    resource: Literal["email"] = Field(
        "email", title="Resource", description="What is acted on.", examples=["email"]
    )
    operation: Literal["send", "sendRaw"] = Field(
        "send",
        title="Operation",
        description="Send a mail made of fields, or a whole message.",
        examples=["send"],
    )
    parameters: dict[str, Any] = Field(
        default_factory=dict[str, Any],
        title="Parameters",
        description="Set here, they win over what the data has.",
        examples=[{"to": ["soc@corp.example"], "subject": "Alert", "body": "See {{ link }}"}],
    )
    extract: dict[str, str] = Field(
        default_factory=dict[str, str],
        title="Extract",
        description="Parameters by JSONPath from the item.",
        examples=[{"subject": "$.alert.title"}],
    )
    options: Options = Field(
        default_factory=lambda: Options.model_validate({}),
        title="Options",
        description="How the node behaves.",
        examples=[{"mode": "each"}],
    )
