"""The arguments of ``send-mail`` as parameters of ours."""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any

from nina_smtp.dialects import inserts
from nina_smtp.dialects.imported import Fate
from nina_smtp.dialects.inserts import checked_number, insert, parameter
from nina_smtp.dialects.logins import headers
from nina_smtp.dialects.source import as_list, literal
from nina_smtp.dialects.xsoar import raw
from nina_smtp.dialects.xsoar.context import Arguments
from nina_smtp.dialects.xsoar.filling import filled_in, template_params, with_parts

_MAILBOXES = ("to", "cc", "bcc", "replyTo")
_CONTENT_ID = re.compile(r"[A-Za-z0-9._@-]{1,200}")
_IGNORED = {
    "bodyType": "XSOAR does not use it either: what is given, body or htmlBody, is sent",
    "renderBody": "shows the mail in the War Room; here: --dry-run --eml",
}
_OF_THE_PLATFORM = (
    "using-brand",
    "extend-context",
    "ignore-outputs",
    "raw-response",
    "retry-count",
    "retry-interval",
    "execution-timeout",
    "quiet",
    "debug-mode",
)


@dataclass(frozen=True, slots=True)
class Mail:
    """``operation`` is send or sendRaw; ``using`` is the instance that is to send."""

    operation: str
    parameters: dict[str, Any]
    using: str | None


def read(arguments: Arguments) -> Mail:
    """The parameters. Raises InvalidConfiguration, naming the argument that cannot be here."""
    using = arguments.text("using", "credential")
    if arguments.has("raw_message"):
        found, operation = raw.read(arguments), "sendRaw"
        for key in arguments.data:
            if key not in ("raw_message", "to", "cc", "bcc", "sender", "using"):
                arguments.note(
                    str(key)[:80], Fate.LEFT_OUT, "XSOAR does not use it beside raw_message either"
                )
    else:
        found, operation = _fields(arguments), "send"
    for key, why in _IGNORED.items():
        if arguments.has(key):
            arguments.note(key, Fate.LEFT_OUT, why)
    for key in _OF_THE_PLATFORM:
        if arguments.has(key):
            arguments.note(key, Fate.LEFT_OUT, "is for XSOAR itself")
    arguments.rest("is not an argument of send-mail")
    return Mail(operation, found, using)


def _fields(arguments: Arguments) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key in (*_MAILBOXES, "sender"):
        if (value := mailboxes(arguments, key)) is None:
            continue
        ours = "from" if key == "sender" else key
        if key == "sender":
            if len(as_list(value)) > 1:
                raise arguments.wrong(key, "is more than one mailbox.", "Give exactly one.")
            value = as_list(value)[0]
        found[ours] = value
        arguments.note(key, Fate.SAME, becomes=ours)
    if not any(key in found for key in ("to", "cc", "bcc")):
        slip = arguments.missing("to").hint or ""
        hint = slip if "did you mean" in slip else "Give to, cc or bcc."
        raise arguments.wrong("to", "is required: there is no recipient.", hint)
    found.setdefault("to", [])
    subject = arguments.text("subject") or ""
    found["subject"] = parameter(arguments.read("subject", " ".join(subject.splitlines())))
    arguments.note("subject", Fate.SAME, "" if subject else "is empty", "subject")
    files = [*_war_room(arguments), *_transient(arguments)]
    checked_number(arguments, "transientFile", len(files))
    found |= _body(arguments, files)
    if files:
        found["attachments"] = files
    return found | _headers(arguments)


def mailboxes(arguments: Arguments, key: str) -> Any:
    """The mailboxes of a list, or of a text with commas."""
    value = arguments.value(key)
    if value is None:
        return None
    is_list = not isinstance(value, str) or value.lstrip().startswith("[")
    texts = arguments.listed(key, value) if is_list else [value]
    pieces = [arguments.read(key, text) for text in texts]
    return inserts.mailboxes(arguments, key, pieces, is_list=is_list) or None


def _body(arguments: Arguments, files: list[Any]) -> dict[str, Any]:
    values = template_params(arguments)
    text, html = (arguments.pieces(key) for key in ("body", "htmlBody"))
    if values:
        text = filled_in(arguments, "body", text, values)
        html = filled_in(arguments, "htmlBody", html, values)
    if not html:
        arguments.note("body", Fate.SAME, "" if text else "is empty", "body")
        return {"body": parameter(text or [])}
    made = parameter(inserts.html(arguments, "htmlBody", with_parts(arguments, html, files)))
    if text:
        arguments.note("body", Fate.SAME, becomes="textBody")
        return {"contentType": "html", "body": made, "textBody": parameter(text)}
    arguments.note(
        "body", Fate.BETTER, "a plain text is made of the HTML, for readers that want one", "textBody"
    )
    return {"contentType": "html", "body": made}


def _war_room(arguments: Arguments) -> list[Any]:
    """Files of the War Room are not here: the item is to bring them, by their entry IDs."""
    ids = [one.strip() for one in arguments.plain("attachIDs")]
    names, cids = arguments.plain("attachNames"), arguments.plain("attachCIDs")
    checked_number(arguments, "attachIDs", len(ids))
    files: list[Any] = []
    for entry, name, cid in zip_longest(ids, names[: len(ids)], cids[: len(ids)], fillvalue=""):
        path = insert(["files", entry])
        if not entry or path is None:
            raise arguments.wrong("attachIDs", f"cannot be {entry[:40]!a}.", "Give the entry IDs of files.")
        if not (name.strip() or cid.strip()):
            files.append(str(path))
            continue
        fields = {key: str(insert(["files", entry, key])) for key in ("filename", "blob", "contentType")}
        if name.strip():
            fields["filename"] = literal(name.strip())
        files.append(fields | _content_id(arguments, "attachCIDs", cid))
    why = 'are files of the War Room: give each with the item, as {"files": {"<entry ID>": <file>}}'
    if ids:
        arguments.note("attachIDs", Fate.WARNING, why, "attachments")
    for key, ours in (("attachNames", "filename"), ("attachCIDs", "contentId")):
        if arguments.has(key):
            arguments.note(key, Fate.SAME, becomes=f"attachments: {ours}")
    return files


def _transient(arguments: Arguments) -> list[Any]:
    """Files whose text is in the arguments."""
    names, contents, cids = (
        arguments.plain(key) for key in ("transientFile", "transientFileContent", "transientFileCID")
    )
    if len(names) != len(contents):
        raise arguments.wrong(
            "transientFile",
            f"has {len(names)} names for {len(contents)} contents.",
            "A comma begins the next one: give lists.",
        )
    checked_number(arguments, "transientFile", len(names))
    files: list[Any] = []
    for name, content, cid in zip_longest(names, contents, cids[: len(names)], fillvalue=""):
        text = base64.b64encode(content.encode("utf-8", "surrogatepass")).decode()
        fields = {"filename": literal(name.strip()), "content": text}
        files.append(fields | _content_id(arguments, "transientFileCID", cid))
    for key, ours in (
        ("transientFile", "filename"),
        ("transientFileContent", "content"),
        ("transientFileCID", "contentId"),
    ):
        if arguments.has(key):
            arguments.note(key, Fate.SAME, becomes=f"attachments: {ours}")
    return files


def _content_id(arguments: Arguments, key: str, cid: str) -> dict[str, str]:
    if cid.strip() and not _CONTENT_ID.fullmatch(cid.strip()):
        raise arguments.wrong(key, f"cannot be {cid[:40]!a}.", "Letters, digits and . _ - @.")
    return {"contentId": cid.strip()} if cid.strip() else {}


def _headers(arguments: Arguments) -> dict[str, Any]:
    value = arguments.value("additionalHeader")
    pairs: dict[str, Any] = {}
    for one in arguments.listed("additionalHeader", value) if value is not None else ():
        name, equals, text = one.partition("=")
        if not equals or name in pairs:
            raise arguments.wrong("additionalHeader", "is not name=value,name=value.", "Each name once.")
        pairs[name] = parameter(arguments.read("additionalHeader", " ".join(text.splitlines())))
    if value is not None:
        arguments.note("additionalHeader", Fate.SAME, becomes="headers")
    return headers(arguments, "additionalHeader", pairs.items())
