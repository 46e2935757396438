"""Writing ours as another system has it, where that loses nothing.

A writer takes what it can say, key by key; what is left at the end would be lost, and is named.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

from nina_smtp.dialects.imported import Json
from nina_smtp.dialects.source import as_list
from nina_smtp.errors import InvalidConfiguration
from nina_smtp.smtp.server import is_this_machine

ABSENT: tuple[Any, ...] = (None, "", [], {})
SAYS = frozenset({"textBody", "envelopeFrom"})
"""Parameters that say something when they are empty: no plain text, no way back for bounces."""


class Ours:
    """One object of ours, taken apart by a writer. ``place`` is its path, for messages."""

    def __init__(self, data: Json, place: str) -> None:
        self._left = {
            key: value for key, value in data.items() if value not in ABSENT or (value == "" and key in SAYS)
        }
        self.place = place

    def take(self, key: str, default: Any = None) -> Any:
        """The value at ``key``, which is said now."""
        return self._left.pop(key, default)

    def drop(self, key: str, *values: Any) -> None:
        """``key`` need not be said if it has one of ``values``: that is how it is there anyway."""
        if key in self._left and self._left[key] in values:
            del self._left[key]

    def text(self, key: str) -> str | None:
        """A text to be taken as it stands: the literal of a parameter, or one that is no template.

        Raises InvalidConfiguration for a template.
        """
        value = self.take(key)
        if isinstance(value, Mapping) and set(value) == {"literal"}:  # pyright: ignore[reportUnknownArgumentType]
            value = value["literal"]  # pyright: ignore[reportUnknownVariableType]
        elif "{{" in str(value) or "{%" in str(value):  # pyright: ignore[reportUnknownArgumentType]
            raise lost(f"{self.place}.{key}", "is a template, which is not understood there")
        if value == "" and key in SAYS:
            raise lost(f"{self.place}.{key}", "is empty on purpose, which cannot be said there")
        if value is None or isinstance(value, str):
            return value
        raise lost(f"{self.place}.{key}", "is not a text")

    def mailboxes(self, key: str) -> list[str] | None:
        """A list of mailboxes, or one as a text. Raises InvalidConfiguration for a template."""
        value = self._left.get(key)
        inner: object = cast(Json, value).get("literal") if isinstance(value, Mapping) else None
        if isinstance(inner, list):
            del self._left[key]
            return [str(one) for one in as_list(cast(object, inner))]
        if not isinstance(value, list):
            text = self.text(key)
            return None if text is None else [text]
        del self._left[key]
        if any("{{" in str(one) or "{%" in str(one) for one in value):  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]
            raise lost(f"{self.place}.{key}", "has a template in it, which is not understood there")
        return [str(one) for one in value]  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]

    def done(self) -> None:
        """Raises InvalidConfiguration, naming everything that was not taken."""
        if self._left:
            names = ", ".join(f"{self.place}.{key}" for key in self._left)
            raise lost(names, "cannot be said there")


def lost(place: str, why: str) -> InvalidConfiguration:
    """The error for what an export would lose."""
    return InvalidConfiguration(
        f"{place} {why}.", hint="Nothing is exported that would lose something: change it first.",
        parameter=place,
    )  # fmt: skip


def checked_type(name: str, document: Json, *types: str) -> Json:
    """``document`` itself, if it has one of ``types``. Raises InvalidConfiguration."""
    if document.get("type", "smtp") not in types:
        raise lost(f"The credential {name}", f"is of the type {str(document.get('type'))[:40]!a}")
    return document


def clear_text(data: Json) -> bool:
    """Whether a credential sends a password in clear text to another machine."""
    return (
        data.get("encryption") == "none"
        and data.get("authMethod") != "none"
        and not is_this_machine(str(data.get("host", "")))
    )


def joined(mailboxes: Sequence[str] | None) -> str | None:
    """Mailboxes as a text with commas."""
    return ", ".join(mailboxes) if mailboxes else None
