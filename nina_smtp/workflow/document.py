"""JSON text to plain data, and what a host must not be handed.

Size first, so that a document of a million nodes is answered before anything walks through it.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NoReturn, cast

from nina_smtp.workflow.model import MAX_EDGES, MAX_NODES
from nina_smtp.workflow.problems import Problems, place_of

MAX_BYTES = 8 * 1024 * 1024
MAX_DEPTH = 64

Steps = tuple[int | str, ...]


def load(text: str | bytes) -> Any:
    """The JSON of a workflow file. Raises WorkflowError for text that is not plain, unambiguous JSON.

    Keys may not repeat: two readers would disagree about which one counts.
    """
    problems = Problems()
    if len(text) > MAX_BYTES:
        problems.stop(
            "",
            f"The document has {len(text)} characters; at most {MAX_BYTES} are read.",
            "Keep files in the blob store and large samples out of the workflow.",
        )
    try:
        decoded = text.decode("utf-8-sig") if isinstance(text, bytes) else text.removeprefix("\ufeff")
        data = json.loads(decoded, object_pairs_hook=_pairs(problems), parse_constant=_refuse)
    except UnicodeDecodeError as error:
        problems.stop("", f"The document is not UTF-8 (byte {error.start}).", "Save it as UTF-8.")
    except json.JSONDecodeError as error:
        problems.stop(
            "", f"Line {error.lineno}, column {error.colno}: {error.msg}.", "Correct the JSON there."
        )
    except RecursionError:
        _too_deep(problems, "")
    except ValueError as error:
        problems.stop(
            "", f"The document holds a number that is none: {error}.", "Use a finite number, or null."
        )
    problems.raise_if_any()
    return data


def inspect(data: object, problems: Problems) -> None:
    """Adds what is wrong with plain data before it is looked at as a workflow.

    Raises at once if it is too large or too deep to go on with.
    """
    whole: Any = data  # not yet known to be anything
    for key, limit in (("nodes", MAX_NODES), ("edges", MAX_EDGES)):
        part = whole.get(key) if isinstance(data, Mapping) else None
        count = len(cast(list[Any], part)) if isinstance(part, list | tuple) else 0
        if count > limit:
            problems.add(key, f"There are {count} {key}; at most {limit} are allowed.", "Split the workflow.")
    problems.raise_if_any()
    for steps, message, hint in _walk(whole, problems):
        problems.add(place_of(steps), message, hint)


def _walk(data: object, problems: Problems) -> Iterator[tuple[Steps, str, str]]:
    remaining: list[tuple[Steps, object]] = [((), data)]
    while remaining:
        steps, value = remaining.pop()
        if isinstance(value, str):
            if not _is_text(value):
                yield steps, "The text holds half of a surrogate pair.", r"Remove the lone \ud800-\udfff."
        elif isinstance(value, float):
            if not math.isfinite(value):
                yield steps, "NaN and Infinity are not JSON.", "Use a finite number, or null."
        elif isinstance(value, Mapping):
            for key, inner in cast(Mapping[object, object], value).items():
                if not isinstance(key, str) or not _is_text(key):
                    yield steps, "A key of the object is not text.", "Use text for every key."
                elif key == "__proto__":
                    yield steps, "The key __proto__ is not allowed.", "Give the field another name."
                else:
                    remaining.append(((*steps, key), inner))
        elif isinstance(value, list | tuple):
            inside = cast(Sequence[object], value)
            remaining.extend(((*steps, index), inner) for index, inner in enumerate(inside))
        elif value is not None and not isinstance(value, int):
            yield (
                steps,
                f"A {type(value).__name__} is not JSON.",
                "Use objects, lists, text, numbers or null.",
            )
        if len(steps) > MAX_DEPTH:
            _too_deep(problems, place_of(steps[:6]))


def _is_text(value: str) -> bool:
    if value.isascii():
        return True
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def _too_deep(problems: Problems, place: str) -> NoReturn:
    problems.stop(place, f"The document is nested deeper than {MAX_DEPTH} levels.", "Flatten the data.")


def _pairs(problems: Problems) -> Any:
    def collect(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        collected = dict(pairs)
        if len(collected) < len(pairs):
            seen: set[str] = set()
            for key, _ in pairs:
                if key in seen:
                    problems.add("", f"The key {key!r} is twice in one object.", "Keep one of them.")
                seen.add(key)
        return collected

    return collect


def _refuse(constant: str) -> NoReturn:
    raise ValueError(constant)
