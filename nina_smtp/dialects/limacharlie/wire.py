"""The filters as LimaCharlie's own configuration of an output has them: every value is a text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

from nina_smtp.errors import ParameterError
from nina_smtp.forms import fill_in

from .element import is_object
from .filters import Filters
from .shape import as_json


def from_wire(output: Mapping[str, Any]) -> Filters:
    """The filters in LimaCharlie's own configuration of an output; its other keys are not looked at.

    There a list is a text with an entry on each line, and numbers and booleans are texts, too. Raises
    ParameterError, naming the key.
    """
    given = {name: output[name] for name in Filters.model_fields if output.get(name) not in (None, "")}
    return fill_in(Filters, {name: _read(name, value) for name, value in given.items()}, ParameterError)


def as_wire(filters: Filters) -> dict[str, str]:
    """The inverse of ``from_wire``: what differs from the defaults, all of it texts."""
    return {name: _written(value) for name, value in filters.model_dump(exclude_defaults=True).items()}


def _written(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return "\n".join(cast(Sequence[str], value)) if isinstance(value, tuple) else str(value)


def _read(name: str, value: Any) -> Any:
    """A value of theirs as the form wants it; what is none stays as it is, for the form to refuse."""
    default = Filters.model_fields[name].default
    if isinstance(value, str):
        text = value.strip()
        if isinstance(default, bool):
            return {"true": True, "false": False, "": False}.get(text.lower(), value)
        if isinstance(default, int):
            return max(int(text), 1) if text.isdecimal() and len(text) < 10 else value
        if isinstance(default, tuple):
            return tuple(line.strip() for line in text.splitlines() if line.strip())
        return (value if name == "custom_transform" else text) or None
    if name == "custom_transform" and is_object(value):  # YAML leads to writing it as what it is
        return as_json(value)
    return 1 if value == 0 and name == "sample_rate" else value
