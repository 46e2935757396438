"""A mail as it was received, read to check its signatures."""

from __future__ import annotations

import email  # noqa: TID251  # a reader of what others sent, not the writer of ours
import email.policy  # noqa: TID251
from contextlib import suppress
from dataclasses import replace
from email.message import EmailMessage  # noqa: TID251

from nina_smtp.message.signature import SIMPLE, TIMED, Verdict, verify


def verify_message(octets: bytes, key: str, *, now: int | None = None) -> Verdict:
    """The verdict on a whole mail. Raises InvalidSignature for an empty key.

    The signed text is that of the HTML body if there is one, else of the plain one. Some relays end a text
    that has no final line end with one, so the text without it is tried too.
    """
    message = email.message_from_bytes(octets, policy=email.policy.default)
    headers = {
        name.lower(): str(message[name] or "").strip()
        for name in (SIMPLE, TIMED)
        if message[name] is not None
    }
    message_id = str(message["Message-ID"] or "").strip()
    bodies, others = _parts(message)
    verdict = Verdict("missing", "missing")
    for kind, text in _texts(message):
        verdict = verify(key, text, message_id, headers, now=now)
        if verdict.genuine or "expired" in (verdict.nina_signature, verdict.lc_signature):
            unsigned, added = _beside(kind, bodies, others)
            return replace(verdict, signed_part=kind, not_signed=unsigned, added=added)
    return verdict


def _texts(message: EmailMessage) -> list[tuple[str, str]]:
    candidates: list[tuple[str, str]] = []
    for kind, name in (("html", "html"), ("plain", "text")):
        part = message.get_body((kind,))
        payload = part.get_payload(decode=True) if part else None
        if isinstance(payload, bytes):
            text = payload.decode("utf-8", "replace").replace("\r\n", "\n")
            candidates += [(name, text), (name, text.removesuffix("\n"))]
    return candidates or [("text", "")]


def _parts(message: EmailMessage) -> tuple[list[str], list[str]]:
    """The kinds of the parts that a reader may show as the mail's body, and the names of the others."""
    bodies: list[str] = []
    others: list[str] = []
    for part in message.walk():
        if part.is_multipart() and part.get_content_maintype() == "multipart":
            continue
        kind = part.get_content_type()
        if part.get_content_disposition() == "attachment" or part.get_filename() or part["Content-ID"]:
            others.append(str(part.get_filename() or part["Content-ID"] or kind))
        else:
            bodies.append({"text/html": "html", "text/plain": "text"}.get(kind, kind))
    return bodies, others


def _beside(kind: str, bodies: list[str], others: list[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """What is not signed, and what no mail of ours has: at most a text is beside signed HTML, and files."""
    rest = list(bodies)
    with suppress(ValueError):
        rest.remove(kind)
    alternative = kind == "html" and "text" in rest
    if alternative:
        rest.remove("text")
    unsigned = ("the header, but for Message-ID", *(("the plain text",) if alternative else ()), *others)
    return unsigned, tuple(rest)
