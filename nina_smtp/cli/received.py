"""A mail as it was received, read to check its signatures."""

from __future__ import annotations

import email  # noqa: TID251  # a reader of what others sent, not the writer of ours
import email.policy  # noqa: TID251
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
    verdict = Verdict("missing", "missing")
    for text in _texts(message):
        verdict = verify(key, text, message_id, headers, now=now)
        if verdict.genuine or "expired" in (verdict.nina_signature, verdict.lc_signature):
            break
    return verdict


def _texts(message: EmailMessage) -> list[str]:
    candidates: list[str] = []
    for kind in ("html", "plain"):
        part = message.get_body((kind,))
        payload = part.get_payload(decode=True) if part else None
        if isinstance(payload, bytes):
            text = payload.decode("utf-8", "replace").replace("\r\n", "\n")
            candidates += [text, text.removesuffix("\n")]
    return candidates or [""]
