"""Text for people and for programs, on one line whatever is in it. Part of it may be a server's."""

from __future__ import annotations

import json
from typing import Any


def shown(text: object) -> str:
    r"""``text`` with ``\n``, ``\x1b`` or ``\u2028`` for what would not show as itself."""
    plain = str(text)
    if plain.isprintable():
        return plain
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in plain)


def json_line(value: Any) -> str:
    """JSON on one line. Controls, line separators and what turns the direction of writing are escaped; a
    surrogate alone, which many a reader of JSON refuses, is a question mark.
    """
    text = json.dumps(value, ensure_ascii=False, default=str)
    if not text.isascii():
        text = text.encode("utf-8", "replace").decode()
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else _escape(c) for c in text)


def masked(address: str) -> str:
    """``a***@corp.example`` for ``alice@corp.example``."""
    local, at, domain = address.rpartition("@")
    first = local.lstrip('"')[:1]
    return f"{first}***{at}{domain}" if at else "***"


def _escape(character: str) -> str:
    number = ord(character)
    if number > 0xFFFF:  # as a pair of surrogates
        return json.dumps(character)[1:-1]
    return f"\\u{number:04x}"
