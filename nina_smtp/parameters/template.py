"""Liquid templates over an item, in bounds: they cannot reach Python, run long or write much.

- A text without ``{{`` and ``{%`` is itself.
- A text that is one whole ``{{ expression }}`` keeps the type of its value: a list stays a list.
- An unknown path is an error that names the nearest existing one, unless the template says ``| default: …``.
- In an HTML text inserted values are escaped, unless the template says ``| raw``.
- An object, or a list of them, is inserted as JSON.

What most templates are, text with ``{{ paths }}`` in it, is filled in without the Liquid library.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from html import escape
from typing import TYPE_CHECKING, Any

from nina_smtp.errors import TemplateError
from nina_smtp.parameters.paths import MISSING, Step, nearest_path, walk

if TYPE_CHECKING:
    from nina_smtp.parameters.liquid import LiquidTemplate

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
    html: bool
    parts: tuple[str | tuple[Step, ...], ...] | None

    def fill_in(self, item: Mapping[str, Any]) -> Any:
        """The text with the item's values in it, or the one value it asks for. Raises TemplateError."""
        if self.parts is not None:
            values = [part if isinstance(part, str) else walk(item, part) for part in self.parts]
            if MISSING not in values:
                return self._joined(values)
        return self._liquid.fill_in(item)

    def _joined(self, values: list[Any]) -> Any:
        assert self.parts is not None
        if len(values) == 1:
            return escape(values[0]) if self.html and isinstance(values[0], str) else values[0]
        texts = (
            value if isinstance(part, str) else shown(value, html=self.html)
            for part, value in zip(self.parts, values, strict=True)
        )
        return "".join(texts)

    @property
    def _liquid(self) -> LiquidTemplate:
        from nina_smtp.parameters.liquid import parse  # the library is imported only when it is needed

        return parse(self.text, self.html)


@lru_cache(maxsize=1024)
def compile_template(text: str, *, html: bool = False) -> Template | None:
    """The template in ``text``, or None if it is plain text. Raises TemplateError if it cannot be parsed."""
    if "{{" not in text and "{%" not in text:
        return None
    if len(text) > MAX_TEMPLATE:
        raise TemplateError(f"A template is at most {MAX_TEMPLATE:,} characters, not {len(text):,}.")
    template = Template(text, html, _parts(text))
    if template.parts is None:
        from nina_smtp.parameters.liquid import parse

        parse(text, html)  # what is wrong with it shows now, not with the first item
    return template


def shown(value: Any, *, html: bool = False) -> str:
    """A JSON value as a template inserts it."""
    if isinstance(value, str):
        text = value
    elif value is None:
        text = ""
    elif isinstance(value, bool):
        text = "true" if value else "false"
    elif isinstance(value, Mapping) or (
        isinstance(value, list) and any(isinstance(v, (dict, list)) for v in value)
    ):  # pyright: ignore[reportUnknownVariableType]
        text = json.dumps(value, ensure_ascii=False, default=str)
    elif isinstance(value, (list, tuple)):
        text = "".join(shown(one) for one in value)  # pyright: ignore[reportUnknownVariableType]
    else:
        text = str(value)
    return escape(text) if html else text


def unknown_path(path: str, item: Mapping[str, Any]) -> TemplateError:
    """The error for a path that the item does not have."""
    near = nearest_path(path, item)
    hint = (
        f"Did you mean {{{{ {near} }}}}?"
        if near
        else "The item has: " + (", ".join(map(str, item)) or "nothing")[:300]
    )
    return TemplateError(
        f"The item has no {path[:100]}.", hint=f'{hint} For a value that may be missing, add | default: "…".'
    )


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
