"""Looking into an element, which may be any JSON: nothing here raises."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, TypeGuard

from nina_smtp.parameters.paths import MISSING, walk

NAME_LENGTH = 150

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_NUMBER = re.compile(r"[0-9]{9,19}")


def is_object(value: Any) -> TypeGuard[Mapping[str, Any]]:
    """Whether it is an object of JSON."""
    return isinstance(value, Mapping)


def is_list(value: Any) -> TypeGuard[list[Any]]:
    """Whether it is a list of JSON."""
    return isinstance(value, list)


def at(element: Any, *keys: str) -> Any:
    """What is at the end of ``keys``, or None."""
    found = walk(element, keys)
    return None if found is MISSING else found


def first(*places: tuple[Any, *tuple[str, ...]], limit: int = NAME_LENGTH) -> str:
    """The first of some places that has a text or a number, on one line."""
    return next((text for value, *keys in places if (text := text_of(at(value, *keys), limit))), "")


def text_of(value: Any, limit: int) -> str:
    """A text or a number on one line; of anything else, nothing."""
    if isinstance(value, str):
        return one_line(value, limit)
    if isinstance(value, int | float) and not isinstance(value, bool):
        try:
            return one_line(str(value), limit)
        except ValueError:  # Python writes no number of more than 4300 digits
            return ""
    return ""


def one_line(text: str, limit: int) -> str:
    r"""``text`` on one line of at most ``limit`` characters; what would not show as itself is ``\u202e``."""
    line = " ".join(text[: limit * 4].split())
    if not line.isprintable():
        line = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in line)
    return line if len(line) <= limit else f"{line[: limit - 1]}…"


def iso_time(value: Any) -> str:
    """A moment as ISO 8601 in UTC, or empty: of seconds, milliseconds (LimaCharlie's), micro- or nanoseconds
    since 1970, told apart by their size, and of the texts LimaCharlie has (``2026-03-04 13:23:02`` is UTC).
    """
    if isinstance(value, str) and _NUMBER.fullmatch(value):
        value = int(value)
    try:
        if isinstance(value, str):
            moment = datetime.fromisoformat(value[:40])
            moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
        elif isinstance(value, int | float) and not isinstance(value, bool) and value > 0:
            power = next((power for power in (0, 3, 6, 9) if value < 10 ** (11 + power)), 12)
            moment = _EPOCH + timedelta(microseconds=value * 10**6 // 10**power)
        else:
            return ""
    except (ValueError, OverflowError):
        return ""
    text = moment.isoformat(timespec="milliseconds" if moment.microsecond else "seconds")
    return text.replace("+00:00", "Z")
