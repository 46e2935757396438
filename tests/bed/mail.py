"""One form for what the readers of MIME see."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

Mailboxes = list[tuple[str, str]]
DOT_ATOM = re.compile(r"[^\s()<>\[\]:;@\\,.\"]+(?:\.[^\s()<>\[\]:;@\\,.\"]+)*")


class Attachment(NamedTuple):
    filename: str | None
    content_type: str
    content: bytes
    content_id: str | None  # without angle brackets


@dataclass(frozen=True)
class Mail:
    """What one reader sees; None in a field that it is known to misread, where others go on reading.

    Addresses are (name, address), groups flattened, a local part quoted only where it must be; header names
    are in lower case and sorted; line ends of texts are LF.
    """

    subject: str
    from_: Mailboxes | None
    to: Mailboxes | None
    cc: Mailboxes | None
    header_names: list[str]
    text: str | None
    html: str | None
    attachments: list[Attachment] | None


def mail(
    *,
    subject: str,
    boxes: Sequence[Mailboxes | None],
    header_names: Iterable[str],
    text: str | None,
    html: str | None,
    attachments: list[Attachment] | None,
) -> Mail:
    """Bring what a reader said into the form above; `boxes` are From, To and Cc."""
    from_, to, cc = (
        None if some is None else [(name, _address(box)) for name, box in some] for some in boxes
    )
    names = sorted(name.lower() for name in header_names)
    return Mail(subject, from_, to, cc, names, _lines(text), _lines(html), attachments)


def bare(identifier: str | None) -> str | None:
    return None if identifier is None else identifier.strip().removeprefix("<").removesuffix(">")


def _lines(text: str | None) -> str | None:
    return None if text is None else text.replace("\r\n", "\n")


def _address(address: str) -> str:
    local, at, domain = address.rpartition("@")
    if local.startswith('"') and local.endswith('"') and len(local) > 1:
        local = re.sub(r"\\(.)", r"\1", local[1:-1])
    if not DOT_ATOM.fullmatch(local):
        local = '"' + re.sub(r'([\\"])', r"\\\1", local) + '"'
    return local + at + domain
