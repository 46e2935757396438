"""What a credential type is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from pydantic import BaseModel

FormType = type[BaseModel]


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a credential test.

    ``name`` is one of resolve, connect, greeting, tls, ehlo, token, login, send; ``ok`` is None while it
    runs; ``facts`` are plain JSON (addresses, TLS version, mechanisms…); ``error`` is the object of the
    contract, section 5.
    """

    name: str
    ok: bool | None = None
    duration_ms: int = 0
    facts: Mapping[str, Any] = field(default_factory=dict[str, Any])
    error: Mapping[str, Any] | None = None

    def as_dict(self) -> dict[str, Any]:
        """JSON, keys without a value left out."""
        shape = {"step": self.name, "ok": self.ok, "durationMs": self.duration_ms}
        return (
            shape
            | ({"facts": dict(self.facts)} if self.facts else {})
            | ({"error": self.error} if self.error else {})
        )


@dataclass(frozen=True, slots=True)
class Report:
    """A credential test: its steps in order, and what to know before relying on the credential."""

    steps: tuple[Step, ...]
    warnings: tuple[str, ...] = ()
    transcript: tuple[str, ...] = field(default=(), repr=False)
    """What was said, line by line, without secrets."""

    @property
    def passed(self) -> bool:
        """Whether every step passed."""
        return bool(self.steps) and all(step.ok for step in self.steps)

    def as_dict(self) -> dict[str, Any]:
        """JSON: ``{"passed", "steps", "warnings"}``."""
        return {
            "passed": self.passed,
            "steps": [step.as_dict() for step in self.steps],
            "warnings": list(self.warnings),
        }


@dataclass(frozen=True, slots=True)
class Preset:
    """Values that fill a credential form for one provider, with one hint."""

    name: str
    title: str
    values: Mapping[str, Any]
    hint: str


class CredentialType(ABC):
    """A kind of credential: its form, its presets, and the test that says whether one works.

    A pack has one in ``credentials/<type>/__init__.py`` as ``CREDENTIAL``, beside ``icon.svg`` and
    ``help.md``.
    """

    type: ClassVar[str]
    title: ClassVar[str]
    description: ClassVar[str]
    fields: ClassVar[FormType]
    presets: ClassVar[tuple[Preset, ...]] = ()

    @abstractmethod
    def read(self, data: Mapping[str, Any]) -> Any:
        """The credential, ready for its nodes. Raises InvalidCredential, naming the field."""

    @abstractmethod
    async def test(
        self, credential: Any, *, send_to: str | None = None, progress: Callable[[Step], None] | None = None
    ) -> Report:
        """Tries the credential step by step; never raises for what the server does. No mail unless
        ``send_to``.
        """
