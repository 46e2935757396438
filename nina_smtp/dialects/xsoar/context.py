"""Values that XSOAR takes from its context, ``${incident.name}``, and those given as they are.

A plain path is a path here: the item is to have the shape of the context. A path with a filter or a
transformer is refused, so that no mail goes out with it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, cast

from nina_smtp.dialects.exporting import lost
from nina_smtp.dialects.imported import Fate
from nina_smtp.dialects.inserts import Insert, Piece, insert, joined
from nina_smtp.dialects.source import Source, as_list
from nina_smtp.dialects.untranslated import Untranslated, refused
from nina_smtp.errors import InvalidConfiguration
from nina_smtp.parameters.paths import Step

_EXPRESSION = re.compile(r"\$\{([^{}]*)\}")
_PATH = re.compile(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*|\.?\[\d{1,9}\])*", re.ASCII)
_STEP = re.compile(r"([A-Za-z_]\w*)|\[(\d+)\]", re.ASCII)
_FROM_CONTEXT = 'is taken from the item, which is to have the shape of the context: {"incident": {…}}'
_A_LIST = "[0] wants a list there, even of one thing alone"


class Arguments(Source):
    """The arguments of a command; ``before`` is the way to the context, if the item is something else.

    ``untranslated`` collects what is no path; without it the first is raised.
    """

    def __init__(
        self, source: Source, before: tuple[Step, ...] = (), untranslated: Untranslated | None = None
    ) -> None:
        super().__init__({key: _simple(source, key) for key in source.data}, source.place, source.notes)
        self.before = before
        self.untranslated = untranslated

    def pieces(self, key: str) -> list[Piece] | None:
        """The texts and inserts of a value. Raises InvalidConfiguration naming the key."""
        text = self.text(key)
        return None if text is None else self.read(key, text)

    def read(self, key: str, text: str) -> list[Piece]:
        """The texts and inserts in a text of the value at ``key``, with a warning if there are inserts."""
        found: list[Piece] = []
        position = 0
        for match in _EXPRESSION.finditer(text):
            found += [text[position : match.start()], self.path(key, match[1])]
            position = match.end()
        found.append(text[position:])
        if open_ := next((one for one in _texts(found) if "${" in one), None):
            refused(self.untranslated, self.refused(key, open_[open_.index("${") :]))
        if len(found) > 1:
            indexed = any(isinstance(s, int) for one in found if isinstance(one, Insert) for s in one.steps)
            self.note(key, Fate.WARNING, f"{_FROM_CONTEXT}; {_A_LIST}" if indexed else _FROM_CONTEXT)
        return joined(found)

    def path(self, key: str, text: str) -> Insert:
        """The value at a path of the context."""
        steps = [int(index) if index else name for name, index in _STEP.findall(text.strip())]
        path = insert([*self.before, *steps]) if _PATH.fullmatch(text.strip()) else None
        return path or refused(self.untranslated, self.refused(key, text))

    def plain(self, key: str) -> list[str]:
        """A list of texts that nothing is inserted into, as XSOAR takes it from a text with commas."""
        value = self.value(key)
        texts = self.listed(key, value, strip=False) if value is not None else []
        if any("${" in text for text in texts):
            raise self.refused(key, next(text for text in texts if "${" in text))
        return texts

    def listed(self, key: str, value: object, *, strip: bool = True) -> list[str]:
        """The elements of a list, of a JSON list in a text, or of a text with commas."""
        if isinstance(value, str) and value.lstrip().startswith("[") and value.rstrip().endswith("]"):
            try:
                value = cast(object, json.loads(value))
            except (ValueError, RecursionError):
                raise self.wrong(key, "is not a JSON list.", 'Write ["a", "b"], or a,b.') from None
        elements = value.split(",") if isinstance(value, str) else as_list(value)
        if any(isinstance(one, dict | list | bool) for one in elements):
            raise self.wrong(key, "is not a list of texts.", "Write texts with commas between them.")
        texts = ["" if one is None else str(one) for one in elements]
        return [text.strip() for text in texts] if strip else texts

    def refused(self, key: str, text: str) -> InvalidConfiguration:
        """The error for an expression that is not a plain path."""
        return self.wrong(
            key,
            f"has an expression that is not a path: {text[:60]!a}.",
            "Have an earlier step compute it. Nothing was imported: a mail must not go out with it.",
        )


def _texts(pieces: list[Piece]) -> list[str]:
    return [piece for piece in pieces if isinstance(piece, str)]


def _simple(source: Source, key: str) -> Any:
    """What a playbook writes as ``{"simple": …}``, or as a path in ``{"complex": …}``."""
    value = source.data[key]
    if not isinstance(value, Mapping):
        return cast(object, value)
    held = cast(Mapping[str, Any], value)
    if set(held) == {"simple"}:
        return held["simple"]
    if set(held) == {"complex"} and isinstance(held["complex"], Mapping):
        path = cast(Mapping[str, Any], held["complex"])
        words = [path.get("root"), path.get("accessor")]
        if set(path) <= {"root", "accessor"} and all(one is None or isinstance(one, str) for one in words):
            return f"${{{'.'.join(filter(None, words))}}}"
        raise source.wrong(key, "is computed by filters or transformers.", "Compute it in an earlier step.")
    return held


def said(place: str, parts: list[Piece], before: tuple[Step, ...] = ()) -> str:
    """The value as XSOAR has it. Raises InvalidConfiguration for what it would read differently."""
    found = ""
    for part in parts:
        if isinstance(part, str):
            if "${" in part:
                raise lost(place, "has ${ in it, which XSOAR takes for an expression")
            found += part
            continue
        steps = part.steps[len(before) :] if before and part.steps[: len(before)] == before else part.steps
        text = "".join(f".[{s}]" if isinstance(s, int) else f".{s}" for s in steps)[1:]
        if part.raw or not _PATH.fullmatch(text):
            raise lost(place, "has a value inserted that has no plain path there")
        if found.endswith("$"):
            raise lost(place, "has a $ before an inserted value")
        found += f"${{{text}}}"
    return found
