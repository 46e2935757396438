"""Values out of an item by JSONPath, and by name.

A path of plain steps (``$.alert.users[0]['full name']``) is walked directly; wildcards, filters and the like
are jsonpath-ng's, which is imported when the first one is seen. Every path is parsed once.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

from nina_smtp.errors import ExtractError
from nina_smtp.parameters.paths import MISSING, Step, joined, walk

MAX_PATH = 1000
MAX_DEPTH = 64

_Test = Callable[[Any], bool]
_NO_TEST: tuple[str, _Test | None] = ("", None)

Finder = Callable[[Any], tuple[Any, ...]]

_STEP = re.compile(r"""\.([A-Za-z_][\w-]*)|\[(\d{1,9})\]|\['([^'\\\]]*)'\]|\["([^"\\\]]*)"\]""")


@lru_cache(maxsize=1024)
def compile_path(path: str) -> Finder:
    """A function from an item to its matches, in document order. Raises ExtractError for a malformed path."""
    if len(path) > MAX_PATH:
        raise ExtractError(f"A JSONPath is at most {MAX_PATH} characters.")
    steps = _plain_steps(path)
    if steps is None:
        return _by_library(path)

    def find(item: Any) -> tuple[Any, ...]:
        found = walk(item, steps)
        return () if found is MISSING else (found,)

    return find


def _plain_steps(path: str) -> tuple[Step, ...] | None:
    if not path.startswith("$"):
        return None
    steps: list[Step] = []
    position = 1
    while position < len(path):
        step = _STEP.match(path, position)
        if not step:
            return None
        name, index, single, double = step.groups()
        steps.append(int(index) if index else name or single or double or "")
        position = step.end()
    return tuple(steps)


def _by_library(path: str) -> Finder:
    from jsonpath_ng.ext.parser import parse  # 22 ms to import: only when needed

    try:
        compiled: Any = parse(path)
    except Exception as error:  # the library raises whatever its parser does
        raise ExtractError(
            f"{path[:80]!a} is not a JSONPath: {str(error)[:200] or type(error).__name__}.",
            hint="For example $.alert.title, $.users[*].email or $..ip.",
        ) from None

    def find(item: Any) -> tuple[Any, ...]:
        try:
            return tuple(match.value for match in compiled.find(item))
        except RecursionError:
            raise ExtractError(f"{path[:80]!a} goes too deep into the item.") from None

    return find


def find_by_name(
    item: Mapping[str, Any], keys: Mapping[str, tuple[str, _Test]]
) -> dict[str, tuple[str, Any]]:
    """For each name, the one value below the top level that has a key of it and that its test accepts.

    ``keys`` has the name and the test by key. Returns ``{name: (JSONPath, value)}``; a name with no match,
    or more than one, is left out. The top level is not looked at: its keys are a source of their own. So are
    those of an object called ``parameters`` there.
    """
    found: dict[str, list[tuple[str, Any]]] = {}
    stack: list[tuple[tuple[Step, ...], Any]] = [
        ((k,), v) for k, v in item.items() if k != "parameters" or not isinstance(v, Mapping)
    ]
    while stack:
        path, value = stack.pop()
        if len(path) > MAX_DEPTH:
            continue
        if isinstance(value, dict):
            for key, inner in value.items():  # pyright: ignore[reportUnknownVariableType]
                name, test = keys.get(key, _NO_TEST)  # pyright: ignore[reportUnknownArgumentType]
                if test and test(inner):
                    found.setdefault(name, []).append((f"$.{joined((*path, key))}", inner))  # pyright: ignore[reportUnknownArgumentType]
                elif isinstance(inner, (dict, list)):
                    stack.append(((*path, key), inner))  # pyright: ignore[reportUnknownArgumentType]
        elif isinstance(value, list):
            for index, inner in enumerate(value):  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
                if isinstance(inner, (dict, list)):
                    stack.append(((*path, index), inner))  # pyright: ignore[reportUnknownArgumentType]
    return {name: matches[0] for name, matches in found.items() if len(matches) == 1}
