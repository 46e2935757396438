"""The parameters of n8n's Send Email, versions 1, 2 and 2.1, as those of our node, and back."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

from nina_smtp.dialects import inserts
from nina_smtp.dialects.exporting import Ours, lost
from nina_smtp.dialects.imported import Fate, Json
from nina_smtp.dialects.inserts import Insert, Piece, insert, listed, mailboxes, parameter, pieces_of
from nina_smtp.dialects.n8n.expressions import Scope, pieces, said
from nina_smtp.dialects.source import Source, as_list

ATTACHMENTS = ("attachments", "fileAttachments")

_OTHER = {
    "sendAndWait": "waits for an answer that comes through a page of n8n; here nothing waits: send the mail "
    "with your own link",
    "sendToInstanceUser": "sends to users of the n8n instance, through its own mail server",
}
_FORMATS = {"text": "text", "html": "html", "both": "both"}
_MAILBOXES = {"toEmail": "to", "ccEmail": "cc", "bccEmail": "bcc", "replyTo": "replyTo"}
_CONTENT_ID = re.compile(r"[A-Za-z0-9._@-]{1,200}")
_NO_TEXT = {"literal": ""}


@dataclass(frozen=True, slots=True)
class Mail:
    """What the parameters are here; ``unverified``: the node trusts any certificate."""

    parameters: Json
    unverified: bool


def other_operation(source: Source) -> bool:
    """Whether the operation is one that is left out, with the note that says so."""
    operation = source.text("operation")
    if operation in _OTHER:
        source.note("operation", Fate.LEFT_OUT, _OTHER[operation])
        return True
    if operation not in (None, "send"):
        raise source.wrong("operation", f"cannot be {operation[:40]!a}.", "There are: send, sendAndWait.")
    if operation:
        source.note("operation", Fate.SAME, becomes="operation")
    return False


def read(source: Source, version: float | None, scope: Scope) -> Mail:
    """The parameters. Raises InvalidConfiguration, naming the one that cannot be here.

    ``version`` is that of the node; without it the parameters tell.
    """
    return _Reader(source, version, scope).read()


class _Reader:
    def __init__(self, source: Source, version: float | None, scope: Scope) -> None:
        self.source = source
        self.version = version
        self.scope = scope
        self.options = source.inner("options") or Source({}, source.at("options"), source.notes)

    def read(self) -> Mail:
        if self.source.has("resource"):
            self.source.choice("resource", {"email": "email"}, "resource")
        found: dict[str, Any] = {}
        for key, ours in _MAILBOXES.items():
            if (value := self.mailboxes(key)) is not None:
                found[ours] = value
                self.holder(key).note(key, Fate.SAME, becomes=ours)
        if "to" not in found:
            raise self.source.missing("toEmail")
        if sender := self.mailboxes("fromEmail"):
            if len(as_list(sender)) > 1:
                raise self.source.wrong("fromEmail", "is more than one mailbox.", "Give exactly one.")
            found["from"] = as_list(sender)[0]
            self.source.note("fromEmail", Fate.SAME, becomes="from")
        else:
            raise self.source.missing("fromEmail")
        subject = self.pieces(self.source, "subject")
        found["subject"] = parameter(subject or [])
        self.source.note("subject", Fate.SAME, "" if subject else "is empty", "subject")
        found |= self.body()
        if files := self.attachments(found):
            found["attachments"] = files
        unverified = self.options.flag("allowUnauthorizedCerts") is True
        if self.options.has("allowUnauthorizedCerts") and not unverified:
            self.options.note("allowUnauthorizedCerts", Fate.SAME, becomes="credential: tlsSkipVerify")
        appended = self.options.flag("appendAttribution")
        if appended is False:
            self.options.note("appendAttribution", Fate.SAME, "no advertisement is added to a mail")
        elif appended or (self.version or 0) > 2:
            self.options.note("appendAttribution", Fate.BETTER, "no advertisement is added to a mail")
        self.options.rest("is not an option of Send Email")
        self.source.rest("is not a parameter of Send Email", known=("notice",))
        return Mail(found, unverified)

    def holder(self, key: str) -> Source:
        """Version 1 has at the top what version 2 has among the options."""
        return self.options if self.options.has(key) else self.source

    def pieces(self, source: Source, key: str) -> list[Piece] | None:
        text = source.text(key)
        return None if text is None else pieces(source, key, self.scope, text)

    def mailboxes(self, key: str) -> Any:
        source = self.holder(key)
        value = source.value(key)
        if value is None:
            return None
        texts: list[list[Piece]] = []
        for one in as_list(value):
            if not isinstance(one, str):
                raise source.wrong(key, "is not a text with mailboxes.", "For example soc@corp.example.")
            texts.append(pieces(source, key, self.scope, one))
        return mailboxes(source, key, texts, is_list=isinstance(value, list)) or None

    def body(self) -> dict[str, Any]:
        text, html = self.pieces(self.source, "text"), self.pieces(self.source, "html")
        form = self.source.choice("emailFormat", _FORMATS) or self.default_format(text, html)
        if form == "both" and not html:
            form = "text"
        shown = f"is {form}, as there" if not self.source.has("emailFormat") else ""
        for key, given, needed in (("text", text, "text"), ("html", html, "html")):
            if given and form not in (needed, "both"):
                self.source.note(key, Fate.LEFT_OUT, f"n8n does not send it either: emailFormat is {form}")
        if form == "text":
            self.source.note("emailFormat", Fate.SAME, shown, "contentType")
            self.source.note("text", Fate.SAME, "" if text else "is empty", "body")
            return {"body": parameter(text or [])}
        beside = form == "both" and bool(text)
        better = "" if beside else "a plain text is made of the HTML, for readers that want one"
        self.source.note("emailFormat", Fate.SAME if beside else Fate.BETTER, better or shown, "contentType")
        body = inserts.html(self.source, "html", html or [])
        found = {"contentType": "html", "body": parameter(body)}
        if beside:
            self.source.note("text", Fate.SAME, becomes="textBody")
            found["textBody"] = parameter(text or [])
        return found

    def default_format(self, text: Any, html: Any) -> str:
        if self.version is not None and self.version >= 2:
            return "text" if self.version == 2 else "html"
        return "both" if text and html else "html" if html else "text"

    def attachments(self, found: Mapping[str, Any]) -> list[Any]:
        """The files of the item. One that the HTML shows gets its name as content ID."""
        files: list[Any] = []
        html = str(found["body"]) if found.get("contentType") == "html" else ""
        for key in ATTACHMENTS:
            source = self.holder(key)
            text = source.text(key)
            if text is None:
                continue
            if text.startswith("="):
                raise source.wrong(key, "is an expression.", "Write the names of the files themselves.")
            names = [name for one in text.split(",") if (name := one.strip())]
            inserts.checked_number(source, key, len(files) + len(names))
            for name in names:
                if (file := insert([name])) is None:
                    raise source.wrong(key, f"has {name[:40]!a}, which cannot be named.", "Rename the file.")
                inline = key == "attachments" and (f"cid:{name}" in html or html.endswith("| raw }}"))
                files.append(_inline(name) if inline and _CONTENT_ID.fullmatch(name) else str(file))
            source.note(
                key,
                Fate.BETTER,
                "the file is the key of that name in the item; if it is not there, the mail is not sent",
                "attachments",
            )
        return sorted(files, key=lambda file: isinstance(file, str))


def _inline(name: str) -> dict[str, Any]:
    fields = {key: str(insert([name, key])) for key in ("filename", "blob", "contentType")}
    return {**fields, "contentId": name}


def write(parameters: Json, place: str, nodes: frozenset[str], *, unverified: bool) -> dict[str, Any]:
    """Parameters of version 2.1. Raises InvalidConfiguration for what they cannot say."""
    inserts.refuse_empty(place, parameters)
    ours = Ours(parameters, place)
    options: dict[str, Any] = {"appendAttribution": False}
    found: dict[str, Any] = {}
    for theirs, key in {"fromEmail": "from", **_MAILBOXES}.items():
        if (value := ours.take(key)) is None:
            continue
        if inserts.is_one_mailbox(value):
            raise lost(f"{place}.{key}", "is one mailbox of the item, where n8n would take a list, too")
        texts = [said(f"{place}.{key}", parts, nodes) for parts in listed(f"{place}.{key}", value)]
        holder = found if theirs in ("fromEmail", "toEmail") else options
        holder[theirs] = _comma(f"{place}.{key}", texts)
    for theirs in ("fromEmail", "toEmail"):
        if theirs not in found:
            raise lost(f"{place}.{theirs}", "is required there")
    kind = ours.take("contentType", "text")
    found["subject"] = _text(ours, "subject", nodes)
    body, beside = ours.take("body"), ours.take("textBody")
    if kind == "text":
        found |= {"emailFormat": "text", "text": _said(f"{place}.body", body, nodes)}
        options |= _names(ours, place)
    elif kind == "html":
        found |= {
            "emailFormat": "both" if beside else "html",
            "html": said(f"{place}.body", inserts.html_pieces(f"{place}.body", body), nodes),
        }
        options |= _names(ours, place)
    else:
        raise lost(f"{place}.contentType", "is none of text and html")
    if beside == _NO_TEXT or (beside and kind == "text"):
        raise lost(f"{place}.textBody", "cannot be said there")
    if beside:
        found["text"] = _said(f"{place}.textBody", beside, nodes)
    if unverified:
        options["allowUnauthorizedCerts"] = True
    ours.done()
    return {key: value for key, value in found.items() if value != ""} | {"options": options}


def _comma(place: str, texts: list[str]) -> str:
    if len(texts) == 1:
        return texts[0]
    if any("{{" in text and not text.startswith("=") for text in texts) and any(
        text.startswith("=") for text in texts
    ):
        raise lost(place, "has braces in it, which n8n would take for an expression")
    dynamic = any(text.startswith("=") for text in texts)
    return ("=" if dynamic else "") + ", ".join(text.removeprefix("=") if dynamic else text for text in texts)


def _text(ours: Ours, key: str, nodes: frozenset[str]) -> str:
    return _said(f"{ours.place}.{key}", ours.take(key), nodes)


def _said(place: str, value: Any, nodes: frozenset[str]) -> str:
    return said(place, inserts.said_pieces(place, value), nodes)


def _names(ours: Ours, place: str) -> dict[str, str]:
    """The names of the files in the item, those with a content ID apart."""
    names: dict[str, list[str]] = {}
    files = as_list(ours.take("attachments") or [])
    if len(files) > inserts.MAX_FILES:
        raise lost(f"{place}.attachments", f"are more than {inserts.MAX_FILES}")
    for number, one in enumerate(files):
        inline = isinstance(one, Mapping)
        name = str(cast(Json, one).get("contentId")) if inline else ""
        if not inline and (parts := pieces_of(one)) and len(parts) == 1 and isinstance(parts[0], Insert):
            name = str(parts[0].steps[0]) if len(parts[0].steps) == 1 else ""
        if not name or "," in name or name != name.strip() or (inline and one != _inline(name)):
            raise lost(f"{place}.attachments[{number}]", "is not a file of the item")
        if name.startswith("="):
            raise lost(f"{place}.attachments[{number}]", "begins with =, which n8n takes for an expression")
        names.setdefault("attachments" if inline else "fileAttachments", []).append(name)
    return {key: ",".join(listed_names) for key, listed_names in names.items()}
