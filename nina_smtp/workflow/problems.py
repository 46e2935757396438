"""Everything wrong with a workflow, gathered before it is raised."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NoReturn, cast

from nina_smtp.errors import NinaError, WorkflowError
from nina_smtp.forms import field_path, nearest

MAX_PROBLEMS = 1000
MAX_SUGGESTIONS = 20
"""Problems with a did-you-mean: comparing words is slow, and a hostile document has many."""


class Problems:
    """What is wrong, in the order it was found. Each is ``{"place", "message", "hint"}``."""

    def __init__(self) -> None:
        self._found: list[dict[str, str]] = []
        self._more = 0

    def add(self, place: str, message: str, hint: str | None = None) -> None:
        """Notes one problem; beyond a thousand they are only counted."""
        if len(self._found) == MAX_PROBLEMS:
            self._more += 1
            return
        problem = {"place": _short(place), "message": _short(message)}
        self._found.append(problem | ({"hint": hint} if hint else {}))

    def add_unknown(self, place: str, message: str, word: str, known: Sequence[str]) -> None:
        """Notes a word that is not among ``known``, with the one that was probably meant."""
        if len(self._found) >= MAX_SUGGESTIONS:
            self.add(place, message)
        elif len(word) <= 100 and (meant := nearest(word, list(known))):
            self.add(place, message, f"Did you mean {meant}?")
        else:
            self.add(place, message, _short(f"There are: {', '.join(known) or 'none'}."))

    def add_error(self, place: str, error: NinaError) -> None:
        """Notes an error of a form, whose parameter says where below ``place`` it is."""
        self.add(below(place, error.parameter), error.message, error.hint)

    def stop(self, place: str, message: str, hint: str | None = None) -> NoReturn:
        """Notes a problem after which nothing else can be told, and raises."""
        self.add(place, message, hint)
        raise self._error()

    def raise_if_any(self) -> None:
        """Raises WorkflowError if there is at least one."""
        if self._found:
            raise self._error()

    def _error(self) -> WorkflowError:
        if self._more:
            self._found.append({"place": "", "message": f"There are {self._more} more problems."})
        first, count = self._found[0], len(self._found)
        where = f"{first['place']}: " if first["place"] else ""
        others = f" (and {count - 1} more)" if count > 1 else ""
        return WorkflowError(
            f"The workflow cannot run: {where}{first['message'].rstrip('.')}{others}.",
            hint=first.get("hint"),
            problems=tuple(self._found),
        )


def _short(text: str) -> str:
    return text if len(text) <= 500 else f"{text[:499]}…"


def below(place: str, path: str | None) -> str:
    """``path`` inside ``place``: ``nodes[2].config`` and ``to`` are ``nodes[2].config.to``."""
    if not path:
        return place
    return place + path if path.startswith("[") or not place else f"{place}.{path}"


def place_of(steps: tuple[int | str, ...], data: object = None) -> str:
    """The steps from the document to a value as one text.

    With ``data``, steps that are no part of it are left out: pydantic adds one for the branch of a union.
    """
    if data is None:
        return field_path(steps)
    kept: list[int | str] = []
    for position, step in enumerate(steps):
        if isinstance(data, Mapping):
            inside = cast(Mapping[object, object], data)
            if step not in inside and position < len(steps) - 1:
                continue
            data = inside.get(step)
        elif isinstance(data, list | tuple) and isinstance(step, int):
            data = cast(list[object], data)[step]
        else:
            continue
        kept.append(step)
    return field_path(tuple(kept))
