"""What a dialect is, and which there are."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from nina_smtp.dialects.imported import Imported
from nina_smtp.errors import InvalidConfiguration
from nina_smtp.forms import nearest

NAMES = ("limacharlie", "soar", "provider", "n8n", "xsoar", "tracecat", "nina")
"""In the order in which a document is offered to them: what could be anybody's comes last."""


@dataclass(frozen=True, slots=True)
class Dialect:
    """One system's way to say it.

    ``read`` makes ours of a document, whose name (that of its file, say) names what has none; it raises
    InvalidConfiguration. ``write`` is its inverse, for what the dialect can say: it raises
    InvalidConfiguration, naming what would be lost.
    """

    name: str
    title: str
    recognises: Callable[[Any], bool]
    read: Callable[[Any, str], Imported]
    write: Callable[[Imported], Any]


def dialect(name: str) -> Dialect:
    """The dialect called ``name``. Raises InvalidConfiguration."""
    if name not in NAMES:
        meant = nearest(name, NAMES)
        raise InvalidConfiguration(
            f"There is no dialect {name[:40]!a}.",
            hint=f"Did you mean {meant}?" if meant else f"There are: {', '.join(NAMES)}.",
            parameter="from",
        )
    found: Dialect = import_module(f"nina_smtp.dialects.{name}").DIALECT
    return found


def dialects() -> Iterator[Dialect]:
    """All of them."""
    return map(dialect, NAMES)


def recognise(document: Any) -> Dialect | None:
    """Whose configuration this is, or None."""
    return next((one for one in dialects() if one.recognises(document)), None)


def read(document: Any, name: str = "imported", *, dialect_name: str | None = None) -> Imported:
    """What a document of another system is here. Raises InvalidConfiguration.

    ``name`` names what has no name of its own. Without ``dialect_name`` the document says itself whose it is.
    """
    found = dialect(dialect_name) if dialect_name else recognise(document)
    if found is None:
        raise InvalidConfiguration(
            "Nothing in the document tells which system it is for.",
            hint=f"Say so with --from: {', '.join(NAMES)}.",
            parameter="from",
        )
    return found.read(document, name)
