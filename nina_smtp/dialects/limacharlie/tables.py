"""An element as tables for a mail: one for every object in it, with its path above.

A path instead of tables inside tables, because a phone is narrow and plain text has no boxes. An element may
be hostile and it may be large: everything is escaped, what does not show is made visible, and everything has
a limit. What is left out is counted where it would be.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Mapping
from html import escape
from itertools import islice
from typing import Any

from .element import is_list, is_object, iso_time
from .streams import PLATFORMS

VALUE_LENGTH = 1000
"""Characters of one value."""
KEY_LENGTH = 200
"""Characters of one key."""
PLACE_LENGTH = 400
"""Characters of the path above a table."""
ROWS = 200
"""Rows of one table, which are the entries of one object or list."""
LEVELS = 16
"""How deep objects and lists may be inside each other."""
SIZE = 400_000
"""Bytes (UTF-8) of all tables together."""

SANS = "-apple-system,BlinkMacSystemFont,'Segoe UI',Roboto,Helvetica,Arial,sans-serif"
MONO = "ui-monospace,SFMono-Regular,Menlo,Consolas,'Liberation Mono',monospace"
WRAP = "overflow-wrap:anywhere;word-break:break-word"
INK, SOFT, LINE = "#1b2430", "#55606f", "#e3e7ed"
TABLE = 'width="100%" cellpadding="0" cellspacing="0" style="border-collapse:collapse;table-layout:fixed"'

_ROW = "border-bottom:1px solid #eff2f5"
_KEY = f"padding:5px 10px 5px 0;font:400 12px/19px {MONO};color:{SOFT};{WRAP};text-align:left;{_ROW}"
_VALUE = f"padding:5px 0;font:13px/19px {MONO};color:{INK};{WRAP};white-space:pre-wrap;{_ROW}"
_MUTED = f'<span style="color:{SOFT}">'
_FIRST = ("detect_data", "detect", "event", "record", "error", "entity", "mtd", "detect_mtd")
_TIMES = frozenset({"event_time", "gen_time", "time", "ts", "timestamp", "creation_time"})
_SHORT = 90  # characters of a list that is written on one line


def tables(element: Any) -> str:
    """The whole element, as much of it as there is room for. Never raises."""
    return "".join(_within(_sections(element)))


def visible(text: str, length: int = VALUE_LENGTH) -> str:
    """``text`` for HTML: what would not show, or would change what is around it, as its code in red."""
    cut = text[:length]
    if cut.isprintable():
        shown = escape(cut, quote=False)
    else:
        shown = "".join(_shown(character) for character in cut.replace("\r\n", "\n"))
    if len(text) > length:
        shown += f"{_MUTED}… and {len(text) - length} more characters</span>"
    return shown


def readable_time(when: str) -> str:
    """``2026-03-04 13:23:02 UTC`` of the ISO form; empty stays empty."""
    return f"{when[:19].replace('T', ' ').removesuffix('Z')} UTC" if when else ""


def _sections(element: Any) -> Iterator[str]:
    routing = element.get("routing") if is_object(element) else None
    waiting = _parts(element)[::-1]
    while waiting:
        path, value = waiting.pop()
        rows: list[str] = []
        inside: list[tuple[tuple[str, ...], Any]] = []
        for key, inner in islice(_entries(value), ROWS):
            if not _has_table(inner):
                rows.append(_row(key, _cell(key, inner)))
            elif key == "routing" and _same(inner, routing):
                rows.append(_row(key, f"{_MUTED}the same as routing, at the end</span>"))
            elif len(path) < LEVELS:
                inside.append(((*path, key), inner))
            else:
                rows.append(_row(key, f"{_MUTED}{len(inner)} entries, too deep to be shown</span>"))
        if (is_object(value) or is_list(value)) and len(value) > ROWS:
            rows.append(_row("…", f"{_MUTED}and {len(value) - ROWS} more entries, left out</span>"))
        if rows or not inside:
            yield _section(path, rows)
        waiting.extend(reversed(inside))


def _parts(element: Any) -> list[tuple[tuple[str, ...], Any]]:
    """What happened, then what else there is, and last where it was seen."""
    if not is_object(element):
        return [(("element",), element)]
    plain = {key: value for key, value in element.items() if not _has_table(value)}
    large = {key: value for key, value in element.items() if key not in plain}
    routing = [(("routing",), large.pop("routing"))] if "routing" in large else []
    payload = [((key,), large.pop(key)) for key in _FIRST if key in large]
    others = [((str(key),), value) for key, value in large.items()]
    title = "other fields" if payload or others else "element"
    return [*payload, *others, *([((title,), plain)] if plain or not element else []), *routing]


def _entries(value: Any) -> Iterator[tuple[str, Any]]:
    if is_object(value):
        return ((str(key), inner) for key, inner in value.items())
    if is_list(value):
        return ((f"[{number}]", inner) for number, inner in enumerate(value))
    return iter([("", value)])


def _has_table(value: Any) -> bool:
    """Whether a value is too much for a row: an object, or a list with objects or lists in it."""
    if is_object(value):
        return bool(value)
    return is_list(value) and any(isinstance(inner, Mapping | list) for inner in islice(value, ROWS))


def _same(one: Any, other: Any) -> bool:
    try:
        return bool(one == other)
    except RecursionError:
        return False


def _section(path: tuple[str, ...], rows: list[str]) -> str:
    place = ""
    for step in path:
        place += step if step.startswith("[") or not place else f" › {step}"
    cells = "".join(rows) or _row("", f"{_MUTED}(nothing)</span>")
    return (
        f'<h2 style="margin:26px 0 2px;padding:0 0 6px;font:600 14px/20px {MONO};color:{INK};{WRAP};'
        f'border-bottom:2px solid {LINE}">{visible(place, PLACE_LENGTH)}</h2>\n'
        f"<table {TABLE}>\n{cells}</table>\n"
    )


def _row(key: str, cell: str) -> str:
    name = visible(key, KEY_LENGTH).replace("_", "_<wbr>")  # where a phone may break it
    return (
        f'<tr valign="top"><th width="34%" style="{_KEY}">{name}</th><td style="{_VALUE}">{cell}</td></tr>\n'
    )


def _cell(key: str, value: Any) -> str:
    match value:
        case str():
            return visible(value) if value else f"{_MUTED}(empty)</span>"
        case None | bool():
            return f"{_MUTED}{'null' if value is None else str(value).lower()}</span>"
        case int() | float():
            return _number(key, value)
        case _ if is_list(value) and value:
            return _listed(key, value)
        case _:
            return f"{_MUTED}(nothing)</span>"


def _listed(key: str, values: list[Any]) -> str:
    cells = [_cell(key, value) for value in values[:ROWS]]
    if len(values) > ROWS:
        cells.append(f"{_MUTED}and {len(values) - ROWS} more, left out</span>")
    if len(cells) == 1 or sum(map(len, cells)) <= _SHORT:
        return ", ".join(cells)
    return "<br>".join(f"• {cell}" for cell in cells)


def _number(key: str, value: float) -> str:
    """A number, with what it stands for if that is known."""
    try:
        text = str(value)
    except ValueError:  # Python writes no number of more than 4300 digits
        return f"{_MUTED}(a number of more than 4300 digits)</span>"
    meaning = ""
    if key.lower() in _TIMES and 10**9 <= value < 10**14:
        meaning = readable_time(iso_time(value))
    elif key == "plat" and isinstance(value, int):
        meaning = PLATFORMS.get(value, "")
    return f"{visible(text)} {_MUTED}({meaning})</span>" if meaning else visible(text)


def _shown(character: str) -> str:
    if character == "\n":
        return "<br>"
    if character.isprintable() or character == "\t" or unicodedata.category(character) == "Zs":
        return escape(character, quote=False)
    code = character.encode("unicode_escape").decode()
    return f'<span style="color:#b42318;white-space:nowrap">{code}</span>'


def _within(sections: Iterator[str]) -> Iterator[str]:
    """The sections that fit, and how many do not."""
    left, dropped = SIZE, 0
    for section in sections:
        size = len(section) if section.isascii() else len(section.encode())
        if size > left:
            dropped = 1 + sum(1 for _ in islice(sections, 1000))
            break
        left -= size
        yield section
    if dropped:
        count = f"{dropped} more" if dropped <= 1000 else "More than 1000 further"
        yield (
            f'<p style="margin:26px 0 0;font:14px/20px {SANS};color:{SOFT}">{count} tables of this element '
            "are left out here: it is too large for a mail.</p>\n"
        )
