"""What XSOAR makes of a body before it sends it: ``templateParams`` filled in, images as parts of it."""

from __future__ import annotations

import base64
import binascii
import json
import re
import string
from collections.abc import Mapping
from itertools import count
from typing import Any, cast

from nina_smtp.dialects.imported import Fate
from nina_smtp.dialects.inserts import Insert, Piece, checked_number, joined
from nina_smtp.dialects.source import Source
from nina_smtp.dialects.xsoar.context import Arguments

IMAGE = "@html.xsoar"
"""How the content ID ends of an image that stood in the HTML itself."""
MAX_FILLED_IN = 1_000_000
"""So many characters a body may have when it is filled in: a template of ours has no more, either."""
MAX_VALUES = 1000
"""So many values ``templateParams`` may have."""

_DATA_URI = re.compile(r'\bsrc="data:(image/([a-z0-9.+-]{1,100}));base64,([A-Za-z0-9+/=\s]+)"', re.IGNORECASE)
_TAG = 4000
"""So far before its ``src`` an image may begin."""


def template_params(arguments: Arguments) -> dict[str, list[Piece]]:
    """What ``{name}`` in a body stands for. Raises InvalidConfiguration."""
    value = arguments.value("templateParams")
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            raise arguments.wrong("templateParams", "is not JSON.", '{"name": {"value": "…"}}') from None
    if value is None:
        return {}
    params = Source(value, arguments.at("templateParams"), arguments.notes)
    if len(params.data) > MAX_VALUES:
        raise arguments.wrong(
            "templateParams", f"has {len(params.data):,} values; at most {MAX_VALUES:,} are read."
        )
    found: dict[str, list[Piece]] = {}
    for name in params.data:
        one = params.inner(str(name))
        if one is None:
            continue
        if text := one.text("value"):
            one.note("value", Fate.SAME, "is filled in now")
            found[name] = arguments.read("templateParams", text)
        elif key := one.text("key"):
            found[name] = [arguments.path("templateParams", key)]
            one.note("key", Fate.WARNING, "is taken from the item, which is to have the shape of the context")
        one.rest("is not known")
    if found:
        arguments.note("templateParams", Fate.SAME, "is filled in now", "body")
    return found


def filled_in(
    arguments: Arguments, key: str, pieces: list[Piece] | None, values: Mapping[str, list[Piece]]
) -> list[Piece] | None:
    """As Python's ``str.format`` does, but for plain names only. Raises InvalidConfiguration, also for a
    body that would be too long then.
    """
    if pieces is None:
        return None
    sizes = {name: _size(value) for name, value in values.items()}
    found: list[Piece] = []
    size = 0
    for piece in pieces:
        if isinstance(piece, Insert):
            found.append(piece)
            continue
        for text, name in _fields(arguments, key, piece, values):
            size += len(text) + (sizes[name] if name is not None else 0)
            if size > MAX_FILLED_IN:
                why = f"has more than {MAX_FILLED_IN:,} characters when templateParams is filled in."
                raise arguments.wrong(key, why, "Shorten what is inserted, or attach it as a file.")
            found.append(text)
            found += values[name] if name is not None else ()
    return joined(found)


def _size(pieces: list[Piece]) -> int:
    return sum(len(str(piece)) for piece in pieces)


def _fields(
    arguments: Arguments, key: str, piece: str, values: Mapping[str, Any]
) -> list[tuple[str, str | None]]:
    """The texts of a piece, and the name behind each."""
    try:
        parsed = list(string.Formatter().parse(piece))
    except ValueError:
        raise arguments.wrong(
            key, "has a brace that is not closed.", "Write {{ and }} for a brace."
        ) from None
    for _, name, form, conversion in parsed:
        if name is not None and (name not in values or form or conversion):
            raise arguments.wrong(
                key,
                f"has {{{name[:40]}}}, and templateParams no such value.",
                "Give it one; write {{ and }} for a brace.",
            )
    return [(text, name) for text, name, _, _ in parsed]


def with_parts(arguments: Arguments, pieces: list[Piece], files: list[Any]) -> list[Piece]:
    """Images that stand in the HTML become parts of the mail, in ``files``: most readers show no others."""
    taken = {str(cast(Any, file).get("contentId")) for file in files if isinstance(file, Mapping)}
    numbers = count()

    def take(match: re.Match[str]) -> str:
        if not _is_in_an_image(match):
            return match[0]
        checked_number(arguments, "htmlBody", len(files) + 1)
        kind = re.sub(r"[^a-z0-9]", "-", match[2].lower())
        name = next(name for n in numbers if (name := f"image{n}.{kind}") + IMAGE not in taken)
        content = _decodable(arguments, match[3])
        files.append(
            {"filename": name, "content": content, "contentType": match[1].lower(), "contentId": name + IMAGE}
        )
        return f'src="cid:{name}{IMAGE}"'

    return [_DATA_URI.sub(take, piece) if isinstance(piece, str) else piece for piece in pieces]


def _is_in_an_image(match: re.Match[str]) -> bool:
    before = match.string[max(0, match.start() - _TAG) : match.start()]
    _, tag, rest = before.lower().rpartition("<img")
    return bool(tag) and ">" not in rest and not rest[:1].isalnum()


def _decodable(arguments: Arguments, text: str) -> str:
    content = re.sub(r"\s", "", text)
    try:
        base64.b64decode(content, validate=True)
    except binascii.Error:
        raise arguments.wrong("htmlBody", "has an image that is not base64.", "Encode it again.") from None
    return content
