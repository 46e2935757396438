"""What comes of a configuration of another system: ours, and a note on every key of theirs."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from nina_smtp.secret import Hidden

Json = Mapping[str, Any]

SECRETS = frozenset({"password", "secretKey", "clientSecret", "refreshToken", "accessToken"})
"""The fields of our credentials that are secret."""


_REFERENCE = re.compile(r"\$\{[A-Za-z_][A-Za-z0-9_]*\}")


class Fate(StrEnum):
    """What became of a key."""

    SAME = "same"
    """It means here what it meant there."""
    BETTER = "better"
    """What it is for is done, and on purpose not as it was done there."""
    WARNING = "warning"
    """It is done as it is written, and deserves a second look."""
    LEFT_OUT = "leftOut"
    """It has no effect here; the message says why."""


@dataclass(frozen=True, slots=True)
class Note:
    """What became of one key: ``place`` is its path in the source, ``becomes`` the path of ours."""

    place: str
    fate: Fate
    message: str = ""
    becomes: str | None = None

    def as_dict(self) -> dict[str, Any]:
        """JSON, keys without a value left out."""
        shape = {"place": self.place, "fate": self.fate.value, "message": self.message}
        return {k: v for k, v in shape.items() if v} | ({"becomes": self.becomes} if self.becomes else {})

    def __str__(self) -> str:
        return f"{self.place}: {self.message}" if self.message else f"{self.place} is {self.becomes}"


@dataclass(frozen=True, slots=True)
class Imported:
    """Credentials and nodes by name, workflows in order, and the notes.

    Credentials are as in a file of one: ``${NAME}`` stands for the environment's, ``$${NAME}`` for itself.
    """

    dialect: str
    credentials: Mapping[str, Json] = field(default_factory=dict[str, Json], repr=False)
    nodes: Mapping[str, Json] = field(default_factory=dict[str, Json])
    workflows: tuple[Json, ...] = ()
    notes: tuple[Note, ...] = ()

    def told(self, *fates: Fate) -> Iterable[Note]:
        """The notes with one of these fates."""
        return (note for note in self.notes if note.fate in fates)

    def as_dict(self, *, secrets: bool = False) -> dict[str, Any]:
        """JSON. Without ``secrets`` each is a variable of the environment that is named after it."""
        shown = self.credentials if secrets else {n: _open(n, c) for n, c in self.credentials.items()}
        return {
            "dialect": self.dialect,
            "credentials": plain(shown),
            "nodes": plain(self.nodes),
            "workflows": plain(self.workflows),
            "notes": [note.as_dict() for note in self.notes],
        }


def plain(value: Any) -> Any:
    """``value`` as dicts and lists of its own."""
    return json.loads(json.dumps(value, default=dict))


def credential(type_: str, data: Json) -> Json:
    """A credential document that does not show in a traceback; what is None is left out."""
    return {"type": type_, "data": Hidden({key: value for key, value in data.items() if value is not None})}


def variable_name(credential_name: str, secret: str) -> str:
    """What a secret's variable of the environment is called: ``SOC_MAIL_PASSWORD``."""
    spelt = "".join(f"_{c}" if c.isupper() else c for c in secret)
    word = "".join(c if c.isascii() and c.isalnum() else "_" for c in f"{credential_name}_{spelt}").upper()
    return word if word[:1].isalpha() else f"_{word}"


def is_reference(value: object) -> bool:
    """Whether a secret is a variable of the environment already, and so may be shown."""
    return isinstance(value, str) and _REFERENCE.fullmatch(value) is not None


def _open(name: str, document: Json) -> Json:
    data = {
        key: f"${{{variable_name(name, key)}}}" if key in SECRETS and not is_reference(value) else value
        for key, value in document["data"].items()
    }
    return {**document, "data": data}
