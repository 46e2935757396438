"""Paths through JSON, and the nearest existing one to a path that is not there."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from typing import Any

Step = str | int
MISSING: Any = object()

_LISTED = 3000  # paths looked at for a suggestion
_NAME = re.compile(r"[A-Za-z_][\w-]*")


def walk(value: Any, steps: Sequence[Step]) -> Any:
    """What is at the end of ``steps``, or MISSING. Names step into objects, numbers into lists."""
    try:
        for step in steps:
            if type(value) is str:  # a character of a text is not an entry of a list
                return MISSING
            value = value[step]
    except (KeyError, IndexError, TypeError):
        return MISSING
    return value


def joined(steps: Sequence[Step]) -> str:
    """``("a", 0, "b c")`` as ``a[0]["b c"]``: a path in a template; behind ``$.`` it is a JSONPath."""
    text = ""
    for step in steps:
        if isinstance(step, int):
            text += f"[{step}]"
        elif _NAME.fullmatch(step):
            text += f".{step}" if text else step
        else:
            text += f'["{step}"]' if "'" in step else f"['{step}']"
    return text


def every_path(value: Any) -> Iterator[tuple[tuple[Step, ...], Any]]:
    """All paths into ``value`` with what is there, nearer ones first; of a list the first ten entries."""
    queue: deque[tuple[tuple[Step, ...], Any]] = deque([((), value)])
    while queue:
        path, current = queue.popleft()
        if path:
            yield path, current
        if isinstance(current, Mapping):
            queue.extend(((*path, str(key)), inner) for key, inner in current.items())  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
        elif isinstance(current, list):
            queue.extend(((*path, index), inner) for index, inner in enumerate(current[:10]))  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]


def nearest_path(wanted: str, value: Any) -> str | None:
    """The existing path that ``wanted`` probably means: spelt like it, or ending like it."""
    paths: dict[str, None] = {}
    for steps, _ in every_path(value):
        paths[joined(steps)] = None
        if len(paths) >= _LISTED:
            break
    last = wanted.rpartition(".")[2]
    elsewhere = [path for path in paths if path.rpartition(".")[2] == last]
    close = get_close_matches(wanted, paths, n=1, cutoff=0.6) or elsewhere[:1]
    return close[0] if close else None
