"""Finds the rows in an item, and the columns in the rows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast

from nina_smtp.errors import ParameterError
from nina_smtp.forms import nearest

Row = Mapping[str, Any]

_DEPTH = 8
_KINDS: Mapping[object, str] = {
    str: "text",
    bool: "true or false",
    int: "a number",
    float: "a number",
    type(None): "null",
}


def rows_at(data: Row, path: str, item: int) -> Sequence[Row]:
    """The list of objects at a dotted path; one object is one row.

    Raises ParameterError, naming the nearest list there is. ``item`` is the item's number, for the message.
    """
    value: Any = data
    for step in path.removeprefix("$.").split("."):
        if not isinstance(value, Mapping) or step not in value:
            raise ParameterError(
                f"rows: item {item} has no {path}.", hint=_hint(data, path), parameter="rows", source="node"
            )
        value = cast(Row, value)[step]
    if isinstance(value, Mapping):
        return (cast(Row, value),)
    if not isinstance(value, list | tuple):
        raise ParameterError(
            f"rows: {path} of item {item} is {_kind(value)}, not a list of objects.",
            hint=_hint(data, path),
            parameter="rows",
            source="node",
        )
    for index, row in enumerate(cast(Sequence[object], value)):
        if not isinstance(row, Mapping):
            raise ParameterError(
                f"rows: {path}[{index}] of item {item} is {_kind(row)}, not an object.",
                hint='A row is an object such as {"indicator": "…", "score": 1}.',
                parameter="rows",
                source="node",
            )
    return cast(Sequence[Row], value)


def columns_of(rows: Sequence[Row]) -> tuple[str, ...]:
    """Every key of every row, in the order it is first seen."""
    return tuple(dict.fromkeys(key for row in rows for key in row))


def _hint(data: Row, path: str) -> str:
    lists = list(_lists(data, "", _DEPTH))
    if meant := nearest(path, lists):
        return f"Did you mean {meant}?"
    if lists:
        return f"Its lists of objects: {', '.join(lists[:10])}."
    return "There is no list of objects in the item. To make every item a row, choose items."


def _lists(data: Row, prefix: str, depth: int) -> Iterator[str]:
    for key, value in data.items():
        if isinstance(value, Mapping) and depth:
            yield from _lists(cast(Row, value), f"{prefix}{key}.", depth - 1)
        elif isinstance(value, list | tuple):
            rows = cast(Sequence[object], value)
            if rows and all(isinstance(row, Mapping) for row in rows):
                yield f"{prefix}{key}"


def _kind(value: object) -> str:
    return _KINDS.get(type(value), "a list" if isinstance(value, list | tuple) else "an object")
