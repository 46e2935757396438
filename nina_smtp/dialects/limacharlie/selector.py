r"""Paths of a custom transform: the part of gjson's syntax that LimaCharlie's documentation uses.

=========================  ==============================================================================
``event.FILE_PATH``        the entry of an object; ``a\.b`` is one key, ``*`` and ``?`` stand for any letters
``routing.tags.0``         the entry of a list
``routing.tags.#``         how many there are
``list.#.name``            that of every entry which has it
``a|b``                    as ``a.b``, but behind ``#`` of the list of what was found
``ctx|@parsejson``         the JSON that a text holds
``ts|@parsetime:{…}``      a time in another format: as the function ``parsetime`` of a template string
``@this @keys @values``    the element itself; the keys, or the values, of an object
=========================  ==============================================================================

Queries (``#(…)``), multipaths (``{…}``, ``[…]``) and the other modifiers are refused when a transform is
checked; so is ``@extract``, whose regular expressions could take a hostile element for ever here.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from nina_smtp.errors import TemplateError
from nina_smtp.parameters.paths import MISSING

from .element import is_list, is_object

_EVERY = "#"
_MODIFIERS = frozenset({"this", "keys", "values", "parsejson", "parsetime"})
_WORD = re.compile(r"@([A-Za-z0-9_]*)")
_JSON = json.JSONDecoder()


@dataclass(frozen=True, slots=True)
class Step:
    """One step: to a key (or a place in a list), by a pattern of keys, to every entry, or by a modifier."""

    text: str = ""
    pattern: re.Pattern[str] | None = None
    every: bool = False
    modifier: str = ""


@dataclass(frozen=True, slots=True)
class Selector:
    """A path that was read: what is between its pipes."""

    parts: tuple[tuple[Step, ...], ...]

    def of(self, element: Any, fill_in: Callable[[str, Any], str]) -> Any:
        """What is at the end of the path, or None. ``fill_in`` fills in a template string, for times."""
        found = element
        for steps in self.parts:
            found = _follow(found, steps, fill_in)
            if found is MISSING:
                return None
        return found


@lru_cache(maxsize=512)
def selector(text: str) -> Selector:
    """Reads a path. Raises TemplateError for what it cannot."""
    parts: list[tuple[Step, ...]] = []
    steps: list[Step] = []
    position = 0
    while True:
        step, position = _step(text, position)
        steps.append(step)
        if position >= len(text):
            return Selector((*parts, tuple(steps)))
        if text[position] == "|":
            parts.append(tuple(steps))
            steps = []
        position += 1


def _step(text: str, position: int) -> tuple[Step, int]:
    begin = text[position : position + 1]
    if begin == "@":
        return _modifier(text, position)
    if begin in ("{", "[", "!", "(") or text.startswith("#(", position):
        raise _unreadable(text, f"{text[position : position + 20]!r} is a query or more than one path.")
    key, pattern, wild = "", "", False
    while position < len(text) and text[position] not in ".|":
        character = text[position]
        if character == "\\" and position + 1 < len(text):
            position += 1
            character = text[position]
        elif character in "*?":
            wild = True
            pattern += ".*" if character == "*" else "."
            key += character
            position += 1
            continue
        key += character
        pattern += re.escape(character)
        position += 1
    if not key:
        raise _unreadable(text, "A key in it is empty.")
    if key == _EVERY and not wild:
        return Step(_EVERY, every=True), position
    # Runs of stars are one, or a hostile key could take long to tell.
    compiled = re.compile(re.sub(r"(\.\*){2,}", ".*", pattern), re.DOTALL) if wild else None
    if pattern.count(".*") > 3:
        raise _unreadable(text, "It has more than three stars in one key.")
    return Step(key, compiled), position


def _modifier(text: str, position: int) -> tuple[Step, int]:
    word = _WORD.match(text, position)
    name = word[1] if word else ""
    position += len(name) + 1
    if name not in _MODIFIERS:
        raise _unreadable(text, f"@{name} is not there; there are: @{', @'.join(sorted(_MODIFIERS))}.")
    argument = ""
    if text[position : position + 1] == ":":
        position += 1
        try:
            _, end = _JSON.raw_decode(text, position)
        except (ValueError, RecursionError):
            raise _unreadable(text, f"What follows @{name}: is not JSON.") from None
        argument, position = text[position:end], end
    if text[position : position + 1] not in ("", ".", "|"):
        raise _unreadable(text, f"Behind @{name} must be a dot, a pipe or nothing.")
    if (name == "parsetime") != bool(argument):
        raise _unreadable(text, 'It is @parsetime:{"from": …, "to": …}; the others take nothing.')
    return Step(argument, modifier=name), position


def _follow(value: Any, steps: Sequence[Step], fill_in: Callable[[str, Any], str]) -> Any:
    for number, step in enumerate(steps):
        if step.every:
            if not is_list(value):
                return MISSING
            entries, rest = value, steps[number + 1 :]
            if not rest:
                return len(entries)
            found = (_follow(entry, rest, fill_in) for entry in entries)
            return [entry for entry in found if entry is not MISSING]
        value = _modified(value, step, fill_in) if step.modifier else _entry(value, step)
        if value is MISSING:
            return MISSING
    return value


def _entry(value: Any, step: Step) -> Any:
    if is_object(value):
        entries = value
        if step.pattern is None:
            return entries.get(step.text, MISSING)
        key = next((key for key in entries if step.pattern.fullmatch(key)), None)
        return MISSING if key is None else entries[key]
    if is_list(value) and step.text.isdecimal() and len(step.text) < 10:
        items, index = value, int(step.text)
        return items[index] if index < len(items) else MISSING
    return MISSING


def _modified(value: Any, step: Step, fill_in: Callable[[str, Any], str]) -> Any:
    match step.modifier:
        case "parsejson":
            try:
                return json.loads(value) if isinstance(value, str) else MISSING
            except (ValueError, RecursionError):
                return MISSING
        case "parsetime":
            return fill_in(f"{{{{ parsetime {json.dumps(step.text)} .value }}}}", {"value": value})
        case "keys" | "values" if is_object(value):
            entries = value
            return list(entries) if step.modifier == "keys" else list(entries.values())
        case "this":
            return value
        case _:
            return MISSING


def _unreadable(text: str, why: str) -> TemplateError:
    return TemplateError(
        f"The path {text[:80]!r} cannot be read. {why}",
        hint="Use keys with dots between them, such as event.FILE_PATH, or a template string.",
        parameter="customTransform",
    )
