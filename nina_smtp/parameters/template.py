"""Liquid templates over an item, in bounds: they cannot reach Python, run long or write much.

- A text without ``{{`` and ``{%`` is itself.
- A text that is one whole ``{{ expression }}`` keeps the type of its value: a list stays a list.
- An unknown path is an error that names the nearest existing one, unless the template says ``| default: …``.
- What a value may hold depends on where it is inserted (:mod:`nina_smtp.parameters.insertion`): in HTML it is
  escaped, and into an address it can bring no second one.
- An object, or a list of them, is inserted as JSON.

What most templates are, text with ``{{ paths }}`` in it, is filled in without the Liquid library.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from nina_smtp.errors import TemplateError
from nina_smtp.parameters.insertion import Mode, Place, whole
from nina_smtp.parameters.paths import MISSING, Step, joined, nearest_path, walk

MAX_TEMPLATE = 1_000_000  # characters

_INSERTION = re.compile(
    r"""\{\{\s*([A-Za-z_][\w-]*(?:\.[A-Za-z_][\w-]*|\[\d{1,9}\]|\["[^"\\\]]*"\]|\['[^'\\\]]*'\])*)\s*\}\}"""
)
_STEP = re.compile(r"""([A-Za-z_][\w-]*)|\[(\d{1,9})\]|\["([^"]*)"\]|\['([^']*)'\]""")
_KEYWORDS = frozenset({"nil", "null", "true", "false", "empty", "blank", "and", "or", "not", "contains"})


@dataclass(frozen=True, slots=True)
class Template:
    """A parsed template. ``parts`` are texts and paths in turn, or None if only Liquid can fill it in."""

    text: str
    mode: Mode
    parts: tuple[str | tuple[Step, ...], ...] | None

    def fill_in(self, item: Mapping[str, Any]) -> Any:
        """The text with the item's values in it, or the one value it asks for. Raises TemplateError."""
        if self.parts is None:
            return _by_library(self.text, self.mode, item)
        if len(self.parts) == 1:
            (part,) = self.parts
            return whole(part if isinstance(part, str) else _value(item, part), self.mode)
        place = Place(self.mode)
        insert, wrote = place.insert, place.wrote
        texts: list[str] = []
        for part in self.parts:
            text = part if isinstance(part, str) else insert(_value(item, part))
            texts.append(text)
            if not place.is_free:
                wrote(text)
        return "".join(texts)


@lru_cache(maxsize=1024)
def compile_template(text: str, mode: Mode = Mode.TEXT) -> Template | None:
    """The template in ``text``, or None if it is plain text. Raises TemplateError if it cannot be parsed."""
    if "{{" not in text and "{%" not in text:
        return None
    if len(text) > MAX_TEMPLATE:
        raise TemplateError(f"A template is at most {MAX_TEMPLATE:,} characters, not {len(text):,}.")
    template = Template(text, mode, _parts(text))
    if template.parts is None:
        from nina_smtp.parameters.liquid import parse

        parse(text, mode)  # what is wrong with it shows now, not with the first item
    return template


def unknown_path(path: str, item: Mapping[str, Any]) -> TemplateError:
    """The error for a path that the item does not have."""
    near = nearest_path(path, item)
    has = (", ".join(map(str, item)) or "nothing")[:300]
    hint = f"Did you mean {{{{ {near} }}}}?" if near else f"The item has: {has}."
    return TemplateError(
        f"The item has no {path[:100]}.", hint=f'{hint} For a value that may be missing, add | default: "…".'
    )


def _by_library(text: str, mode: Mode, item: Mapping[str, Any]) -> Any:
    from nina_smtp.parameters.liquid import parse  # 60 ms to import: only when it is needed

    return parse(text, mode).fill_in(item)


def _value(item: Mapping[str, Any], steps: tuple[Step, ...]) -> Any:
    value = walk(item, steps)
    if value is MISSING:  # .size, .first and the like are Liquid's; it also knows how to say what is missing
        return _by_library(f"{{{{ {joined(steps)} }}}}", Mode.TEXT, item)
    return value


def _parts(text: str) -> tuple[str | tuple[Step, ...], ...] | None:
    """Texts and paths in turn; None if anything but plain insertions is in it."""
    pieces = _INSERTION.split(text)
    if any("{{" in piece or "{%" in piece or "}}" in piece for piece in pieces[::2]):
        return None
    parts: list[str | tuple[Step, ...]] = []
    for number, piece in enumerate(pieces):
        if number % 2 == 0:
            if piece:
                parts.append(piece)
            continue
        steps = tuple(_step(match) for match in _STEP.finditer(piece))
        if steps[0] in _KEYWORDS:
            return None
        parts.append(steps)
    return tuple(parts)


def _step(match: re.Match[str]) -> Step:
    name, index, double, single = match.groups()
    return int(index) if index else name or double or single or ""
