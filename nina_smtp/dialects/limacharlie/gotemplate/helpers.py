"""LimaCharlie's own functions, as its page "Template Strings and Transforms" has them.

What the page leaves open is decided here: a function of nothing is nothing, but for JSON, where it is null;
``prettyjson`` indents by two spaces; JSON leaves ``<`` and ``&`` alone; a path that begins with a drive
or a share, or has backslashes only, is one of Windows.
"""

from __future__ import annotations

import hashlib
import json as stdlib_json
import re
from typing import Any

from nina_smtp.dialects.limacharlie.gotemplate.budget import MAX_DEPTH, Fault, Means, Pieces, octets
from nina_smtp.dialects.limacharlie.gotemplate.time import epoch, format_time, parse_time
from nina_smtp.dialects.limacharlie.gotemplate.values import (
    admitted,
    field,
    float_text,
    is_list,
    is_object,
    kind,
    members,
    printed,
    sound,
)

_DRIVE = re.compile(r"[A-Za-z]:[\\/]")


def token(values: list[Any], means: Means) -> str:
    """The MD5 of the value as it is printed, in hexadecimal."""
    return _digest("", values[0], means)


def anon(values: list[Any], means: Means) -> str:
    """The same after the secret seed, so that nobody finds the value by trying what it may be."""
    if not means.seed:
        raise Fault("anon needs a secret seed, and none is set.", "Set one, or use token, which needs none.")
    return _digest(means.seed, values[0], means)


def _digest(seed: str, value: Any, means: Means) -> str:
    if value is None:
        return ""
    text = sound(seed + printed(value, means.budget))
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


def json(values: list[Any], means: Means) -> str:
    """The value as JSON, keys in order."""
    pieces = Pieces(means.budget)
    _write_json(pieces, values[0], None, 0)
    return pieces.text()


def prettyjson(values: list[Any], means: Means) -> str:
    """The value as JSON over several lines, keys in order."""
    pieces = Pieces(means.budget)
    _write_json(pieces, values[0], "\n", 0)
    return pieces.text()


def _write_json(pieces: Pieces, value: Any, newline: str | None, depth: int) -> None:
    pieces.budget.step()
    if isinstance(value, str):
        pieces.budget.work(len(value))
        pieces.add(stdlib_json.dumps(value, ensure_ascii=False))
    elif value is None or isinstance(value, bool):
        pieces.add({None: "null", True: "true", False: "false"}[value])
    elif isinstance(value, float):
        text = float_text(value, lowest=-6, highest=21)
        if text in ("NaN", "+Inf", "-Inf"):
            raise Fault("A number of the element is none that JSON has.", "Print it without json.")
        pieces.add(re.sub("e-0", "e-", text))
    elif isinstance(value, int):
        pieces.add(str(value))
    elif depth >= MAX_DEPTH:
        raise Fault(
            f"A list or object is nested deeper than {MAX_DEPTH}.", "Print a smaller part of the element."
        )
    else:
        opening, closing = "{}" if is_object(value) else "[]"
        inner = newline and f"{newline}  "
        pieces.add(opening)
        for number, (key, entry) in enumerate(members(value, pieces.budget)):
            pieces.add("," if number else "")
            pieces.add(inner or "")
            if key is not None:
                pieces.budget.work(len(key))
                pieces.add(stdlib_json.dumps(key, ensure_ascii=False) + (": " if inner else ":"))
            _write_json(pieces, entry, inner, depth + 1)
        pieces.add((newline or "" if value else "") + closing)


def parsetime(values: list[Any], means: Means) -> str:
    """A time in another format: ``parsetime "{\\"from\\": …, \\"to\\": …}" .ts``, with the layouts of Go.

    ``from`` may be epoch_s or epoch_ms.
    """
    form, value = values
    if value is None:
        return ""
    layouts = _layouts(form)
    means.budget.step(len(form) // 8)
    if layouts["from"] in ("epoch_s", "epoch_ms"):
        moment = epoch(value, 1000 if layouts["from"] == "epoch_ms" else 1)
    else:
        moment = parse_time(layouts["from"], _text("parsetime", value))
    return format_time(layouts["to"], moment)


def _layouts(form: Any) -> dict[str, str]:
    try:
        layouts: Any = stdlib_json.loads(form) if isinstance(form, str) and len(form) <= 1000 else None
    except (ValueError, RecursionError):
        layouts = None
    found = {key: field(layouts, key) for key in ("from", "to")} if is_object(layouts) else {}
    if not found or not all(isinstance(layout, str) for layout in found.values()):
        raise Fault(
            "parsetime takes its two layouts as JSON.",
            """Write them as `{"from": "2006-01-02 15:04:05", "to": "02.01.2006"}`, then the time.""",
        )
    return found


def split(values: list[Any], means: Means) -> list[str]:
    """The parts of a text: ``split "," .text``."""
    separator, text = _text("split", values[0]), _text("split", values[1])
    if values[1] is None:
        return []
    means.budget.work(len(text))
    means.budget.step(text.count(separator))
    return text.split(separator) if separator else list(text)


def join(values: list[Any], means: Means) -> str:
    """The entries of a list as one text: ``join "," .list``."""
    separator, value = _text("join", values[0]), values[1]
    if value is None:
        return ""
    if not is_list(value):
        raise Fault(
            f"join takes a list, not {kind(value)}.", 'Give the separator first: {{ join ", " .list }}.'
        )
    pieces = Pieces(means.budget)
    for number, entry in enumerate(value):
        means.budget.step()
        if number:
            pieces.add(separator)
        pieces.add(printed(admitted(entry), means.budget))
    return pieces.text()


def replace(values: list[Any], means: Means) -> str:
    """The text with one text for another, everywhere: ``replace "old" "new" .text``."""
    old, new, text = (_text("replace", value) for value in values)
    means.budget.work(len(text))
    means.budget.work(octets(text) + text.count(old) * octets(new))
    return text.replace(old, new)


def base(values: list[Any], means: Means) -> str:
    """The last name of a path: ``c.exe`` of ``C:\\a\\c.exe``."""
    path, mark, drive = _path("base", values[0], means)
    if not path and not drive:
        return "" if values[0] is None else "."
    name = path.rstrip(mark).rpartition(mark)[2]
    return name or mark


def directory(values: list[Any], means: Means) -> str:
    """The path without its last name: ``C:\\a`` of ``C:\\a\\c.exe``."""
    path, mark, drive = _path("dir", values[0], means)
    if values[0] is None:
        return ""
    head = path.rpartition(mark)[0]
    if mark == "\\":
        # A share, \\server\share, and a drive's root are left as they are.
        return drive + (head.rstrip(mark) or (mark if path.startswith(mark) else "")) or "."
    return _cleaned(head + mark if path.startswith(mark) else head)


def _path(name: str, value: Any, means: Means) -> tuple[str, str, str]:
    """A path without its drive, what parts its names, and the drive."""
    text = _text(name, value)
    means.budget.work(len(text))
    drive = text[:2] if _DRIVE.match(text) else ""
    if drive or text.startswith("\\\\") or ("\\" in text and "/" not in text):
        return text[len(drive) :].replace("/", "\\"), "\\", drive
    return text, "/", ""


def _cleaned(path: str) -> str:
    """A path without ``.``, ``..`` and doubled slashes, as Go's path.Clean has it."""
    names: list[str] = []
    is_rooted = path.startswith("/")
    for name in path.split("/"):
        if name == ".." and (names and names[-1] != ".."):
            names.pop()
        elif (name == ".." and is_rooted) or name in ("", "."):
            continue
        else:
            names.append(name)
    return "/" * is_rooted + "/".join(names) or "."


def _text(name: str, value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    raise Fault(
        f"{name} takes a text, not {kind(value)}.", "For another value, print it first: (print .value)."
    )
