"""Message identifiers (RFC 5322 3.6.4)."""

from __future__ import annotations

import hashlib
import hmac
import os
import re

from nina_smtp.errors import ParameterError

MAX_REFERENCES = 100

_MSG_ID = re.compile(r"[^\s<>@\x00-\x20\x7f-\U0010ffff]{1,256}@[^\s<>@\x00-\x20\x7f-\U0010ffff]{1,256}")


def parse_msg_id(text: str) -> str:
    """One msg-id, in angle brackets. Raises ParameterError. The brackets may be missing."""
    inner = text[1:-1] if text.startswith("<") and text.endswith(">") else text
    if not _MSG_ID.fullmatch(inner):
        raise ParameterError(f"{text[:80]!a} is not a message id.", hint="Write it like <unique@domain>.")
    return f"<{inner}>"


def parse_references(texts: list[str]) -> tuple[str, ...]:
    """The msg-ids of a thread, oldest first. Raises ParameterError.

    A thread longer than 100 keeps its first, which names it, and its last 99.
    """
    ids = [parse_msg_id(text) for text in texts]
    return tuple(ids if len(ids) <= MAX_REFERENCES else ids[:1] + ids[-MAX_REFERENCES + 1 :])


def random_msg_id(domain: str) -> str:
    """A fresh msg-id: 128 random bits."""
    return f"<{os.urandom(16).hex()}@{domain}>"


def deterministic_msg_id(key: bytes, name: str, domain: str) -> str:
    """The msg-id of the mail called ``name`` (run, node and item): the same whenever the mail is sent again.

    ``key`` is the installation's, so that nobody else can foretell an id.
    """
    return f"<{hmac.new(key, name.encode(), hashlib.sha256).hexdigest()[:32]}@{domain}>"
