"""From merged parameters to a finished message."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, BinaryIO

from nina_smtp.delivery.account import Account
from nina_smtp.errors import MissingParameter, NinaError
from nina_smtp.message import Attachment, Email, Mailbox, Message, compose, compose_raw, parse_mailbox
from nina_smtp.message.identifier import deterministic_msg_id
from nina_smtp.parameters.merge import Merged, Source
from nina_smtp.workflow.blobs import BlobStore

from .forms import AttachmentFields


@dataclass(frozen=True, slots=True)
class Naming:
    """How the mails of one execution get their Message-IDs: from ``key`` and the item's number, or random."""

    key: str | None = None
    installation_key: bytes = b""
    names: Sequence[str] | None = None

    def message_id(self, index: int, domain: str) -> str | None:
        """None leaves it to chance."""
        if not self.key:
            return None
        name = self.names[index] if self.names else index
        return deterministic_msg_id(self.installation_key, f"{self.key}|{name}", domain)


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A file of the blob store, as an attachment reads it."""

    blobs: BlobStore
    reference: str
    size: int

    def open(self) -> BinaryIO:
        """The content."""
        return self.blobs.open(self.reference)


def build(merged: Merged, account: Account, blobs: BlobStore, naming: Naming, index: int) -> Message:
    """The message for one item, with the recipient policy applied. Raises ParameterError with its source."""
    try:
        return account.policy.enforced(_message(merged.values, account, blobs, naming, index))
    except NinaError as error:
        error.source = error.source or _source(error.parameter, merged.sources)
        raise


def _message(
    values: Mapping[str, Any], account: Account, blobs: BlobStore, naming: Naming, index: int
) -> Message:
    if "rawEmail" in values:
        domain = account.sender.domain if account.sender else "localhost.localdomain"
        return compose_raw(
            values["rawEmail"],
            envelope_from=values.get("envelopeFrom"),
            message_id=values.get("messageId") or naming.message_id(index, domain),
        )
    sender = _sender(values.get("from"), account)
    html = values.get("contentType") == "html"
    body, text_body = values["body"], values.get("textBody")
    message = compose(
        Email(
            sender=sender,
            to=values["to"],
            subject=values["subject"],
            text=text_body if html else body,
            html=body if html else None,
            cc=values.get("cc", ()),
            bcc=values.get("bcc", ()),
            reply_to=values.get("replyTo", ()),
            importance=values.get("importance", "normal"),
            attachments=[_attachment(n, a, blobs) for n, a in enumerate(values.get("attachments", ()))],
            headers=values.get("headers", {}),
            in_reply_to=values.get("inReplyTo"),
            references=_references(values.get("references", ())),
            message_id=values.get("messageId") or naming.message_id(index, sender.domain),
            envelope_from=values.get("envelopeFrom"),
            secret_key=account.secret_key.reveal() if account.secret_key else None,
        )
    )
    if text_body is not None and not html:
        warning = "textBody is only used beside an HTML body; contentType is text."
        message = replace(message, warnings=(*message.warnings, warning))
    return message


def _sender(text: str | None, account: Account) -> Mailbox:
    if text is not None:
        try:
            return parse_mailbox(text)
        except NinaError as error:
            error.parameter = "from"
            raise
    if account.sender is None:
        raise MissingParameter(
            "from is required: the credential has no fromAddress, and its username is not a mailbox.",
            hint="Set from in the node, or fromAddress in the credential.",
            parameter="from",
        )
    return account.sender


def _attachment(index: int, fields: AttachmentFields, blobs: BlobStore) -> Attachment:
    content = fields.content
    if fields.blob is not None:
        try:
            file = StoredFile(blobs, fields.blob, blobs.size(fields.blob))
        except NinaError as error:
            error.parameter = f"attachments[{index}].blob"
            raise
        return Attachment(fields.filename, file, fields.content_type, fields.content_id, fields.disposition)
    assert content is not None
    return Attachment(fields.filename, content, fields.content_type, fields.content_id, fields.disposition)


def _references(value: str | list[str] | tuple[str, ...]) -> list[str]:
    return re.findall(r"\S+", value) if isinstance(value, str) else list(value)


def _source(parameter: str | None, sources: Mapping[str, Source]) -> str | None:
    root = re.match(r"\w+", parameter or "")
    return sources[root.group()].source if root and root.group() in sources else None
