"""Independent readers of MIME behind one function: Python's, Rust's, Perl's and JavaScript's.

Each was written by other people from the same RFCs, so what all of them read alike is what a recipient
will see. Where one is known to misread it does not judge, and the reason stands beside it here.
"""

import re
from collections.abc import Callable
from dataclasses import fields
from email import policy  # noqa: TID251 - a reader to compare with
from email.parser import BytesParser  # noqa: TID251
from functools import cache
from typing import Any

import fast_mail_parser

from bed import reader_processes
from bed.mail import Attachment, Mail, Mailboxes, bare, mail
from bed.needs import missing

__all__ = ["Attachment", "Mail", "read_all", "read_same", "readers"]

ENCODED_WORD = rb"=\?[^?\s]+\?[bqBQ]\?[^?\s]*\?="


@cache
def readers() -> dict[str, Callable[[bytes], Mail]]:
    """The readers that are there, by name: python, rust, perl, node."""
    found: dict[str, Callable[[bytes], Mail]] = {"python": _read_python, "rust": _read_rust}
    for name, process in (("perl", reader_processes.perl()), ("node", reader_processes.node())):
        if process is not None:
            found[name] = process.read
    return found


def read_all(raw: bytes) -> dict[str, Mail]:
    """The message as each reader sees it. Skips the test when neither Perl's nor Node's is there."""
    if len(readers()) < 3:
        missing("neither Perl with Email::MIME nor Node with postal-mime is there to read mail")
    return {name: read(raw) for name, read in readers().items()}


def read_same(raw: bytes) -> Mail:
    """The message as all readers see it: an AssertionError names the readers that differ, and in what."""
    mails = read_all(raw)
    agreed = mails["python"]
    for name, other in mails.items():
        for item in fields(Mail):
            here, there = getattr(agreed, item.name), getattr(other, item.name)
            if item.name in {"text", "html"}:
                same = here == there or (name == "node" and _alike(here or "", there or ""))
            else:
                same = there is None or here == there
            assert same, f"{item.name}: python reads {here!r}, {name} reads {there!r}"
    return agreed


def _alike(text: str, by_node: str) -> bool:
    """postal-mime drops a byte order mark and may end a text with one line end more; the others do not."""
    return by_node in {text.removeprefix("\ufeff"), text.removeprefix("\ufeff") + "\n"}


def _read_python(raw: bytes) -> Mail:
    whole = BytesParser(policy=policy.default).parsebytes(raw)
    # Between encoded words of a display name it keeps the blanks that RFC 2047 says to drop, so it gets none.
    block = raw.partition(b"\r\n\r\n")[0] + b"\r\n\r\n"
    joined = re.sub(rb"(%b)\s+(?=%b)" % (ENCODED_WORD, ENCODED_WORD), rb"\1", block)
    header = BytesParser(policy=policy.default).parsebytes(joined, headersonly=True)

    def mailboxes(name: str) -> Mailboxes:
        found: list[Any] = header.get_all(name, [])
        return [(box.display_name, box.addr_spec) for value in found for box in value.addresses]

    text = html = None
    attachments = []
    for part in whole.walk():
        if part.is_multipart():
            continue
        kind = part.get_content_type()
        body = part.get_filename() is None and part.get_content_disposition() != "attachment"
        if body and kind == "text/plain" and text is None:
            text = part.get_content()
        elif body and kind == "text/html" and html is None:
            html = part.get_content()
        else:
            content = part.get_payload(decode=True)
            assert isinstance(content, bytes)
            attachments.append(Attachment(part.get_filename(), kind, content, bare(part["content-id"])))
    return mail(
        subject=str(whole["subject"] or ""),
        boxes=[mailboxes(name) for name in ("from", "to", "cc")],
        header_names=whole.keys(),
        text=text,
        html=html,
        attachments=attachments,
    )


def _read_rust(raw: bytes) -> Mail:
    """fast-mail-parser over mailparse.

    Not judged: attachments where a quoted file name holds `;` or a backslash or RFC 2231 cuts one in pieces;
    addresses with a quoted local part; names of several words, of which it keeps the quotes.
    """
    whole = fast_mail_parser.parse_email(raw)
    text = html = None
    attachments: list[Attachment] | None = []
    for part in fast_mail_parser.walk(fast_mail_parser.parse_email_tree(raw)):
        if part.children or part.content is None:
            continue
        headers = {name.lower(): values[0] for name, values in part.headers.items()}
        if re.search(r'\\|"[^"]*;[^"]*"|\*1\*?=', headers.get("content-disposition", "")):
            attachments = None
        body = not part.filename and part.disposition != "attachment"
        if body and part.content_type == "text/plain" and text is None:
            text = _decoded(part.content, headers)
        elif body and part.content_type == "text/html" and html is None:
            html = _decoded(part.content, headers)
        elif attachments is not None:
            name = part.filename or None
            attachments.append(Attachment(name, part.content_type, part.content, part.content_id))
    headers = {name.lower(): values[0] for name, values in whole.headers.items()}
    boxes: list[Mailboxes | None] = []
    for name, found in (("from", [whole.from_] if whole.from_ else []), ("to", whole.to), ("cc", whole.cc)):
        pairs = [(box.display_name or "", box.address) for box in found]
        doubtful = '"@' in headers.get(name, "") or any('"' in display for display, _ in pairs)
        boxes.append(None if doubtful else pairs)
    return mail(
        subject=whole.subject,
        boxes=boxes,
        header_names=[name for name, values in whole.headers.items() for _ in values],
        text=text,
        html=html,
        attachments=attachments,
    )


def _decoded(content: bytes, headers: dict[str, str]) -> str:
    charset = re.search(r'charset="?([^\s;"]+)', headers.get("content-type", ""), re.IGNORECASE)
    return content.decode(charset[1] if charset else "us-ascii")
