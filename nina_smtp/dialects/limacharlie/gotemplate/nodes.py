"""What a template is once it is read: nodes that only a reader of them can run.

``at`` is the node's offset in the template. A variable is a slot, found by its name while reading; slot 0 is
``$``, the element.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias


@dataclass(frozen=True, slots=True)
class Literal:
    """A text, number, boolean or nil."""

    at: int
    value: str | int | float | bool | None


@dataclass(frozen=True, slots=True)
class Path:
    """``.a.b``, ``$x.a`` or ``(…).a``: what the names lead to from ``of``; the dot if ``of`` is None."""

    at: int
    of: Slot | Call | Pipeline | None
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Slot:
    """A variable."""

    at: int
    number: int


@dataclass(frozen=True, slots=True)
class Call:
    """A function by its name, which is known to exist."""

    at: int
    name: str
    values: tuple[Expression, ...] = ()


@dataclass(frozen=True, slots=True)
class Pipeline:
    """A value that goes through ``calls`` as the last value of each, and is kept in ``slots``."""

    at: int
    first: Expression
    calls: tuple[Call, ...] = ()
    slots: tuple[int, ...] = ()


Expression: TypeAlias = Literal | Path | Slot | Call | Pipeline


@dataclass(frozen=True, slots=True)
class Text:
    """Text outside the braces."""

    at: int
    text: str


@dataclass(frozen=True, slots=True)
class If:
    """``if``, ``else if`` and ``else``; with ``moves`` it is ``with``, and the dot moves to the value."""

    at: int
    branches: tuple[tuple[Pipeline, tuple[Node, ...], bool], ...]
    otherwise: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Range:
    """``range``; the pipeline's slots are those of the value, or of key and value."""

    at: int
    over: Pipeline
    body: tuple[Node, ...]
    otherwise: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Leave:
    """``break``, or ``continue``."""

    at: int
    is_break: bool


Node: TypeAlias = Text | Pipeline | If | Range | Leave
