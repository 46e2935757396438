"""What a node type is, and what a host gives it when it runs."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import BaseModel

from nina_smtp.errors import NinaError
from nina_smtp.workflow.blobs import BlobStore
from nina_smtp.workflow.items import Item

if TYPE_CHECKING:
    from nina_smtp.delivery.outbox import Outbox

FormType = type[BaseModel]


@dataclass(frozen=True, slots=True)
class Task:
    """One execution of one node: everything it may know.

    ``items`` are the input items, already joined if several wires end at the port; ``upstream`` has the
    output items of every node before this one by the node's *name*, for ``{{ nodes["Name"] }}``;
    ``credential`` is what the credential type's ``read`` returned, ``fallbacks`` are others of its kind, to
    be used in this order while it cannot be; ``outbox`` keeps a record of what is sent, and sends it again
    where that may help, for which the node waits ``patience`` seconds, or until the end; ``key`` names the
    execution (run and node) and is the same when it is repeated after a crash; ``installation_key`` makes
    what is derived from it unforeseeable; ``names`` are what the items are called in it, where that is not
    their number; ``wired`` are the output ports that lead somewhere; ``transcript``
    asks for what is said to servers (:mod:`nina_smtp.observe.transcript`).
    """

    config: Mapping[str, Any]
    items: Sequence[Item]
    blobs: BlobStore
    upstream: Mapping[str, Sequence[Item]] = field(default_factory=dict[str, Sequence[Item]])
    credential: Any = None
    fallbacks: Sequence[Any] = ()
    outbox: Outbox | None = None
    patience: float | None = None
    key: str | None = None
    names: Sequence[str] | None = None
    installation_key: bytes = field(default=b"", repr=False)
    wired: frozenset[str] = frozenset()
    transcript: bool = False


Outputs = Mapping[str, Sequence[Item]]
"""Items by output port. A port that is left out has none."""


class NodeFailed(NinaError):
    """A node failed as a whole, after some of its work was done: ``outputs`` show what, and go nowhere.

    ``cause`` is what it is reported as.
    """

    def __init__(self, cause: NinaError, outputs: Outputs) -> None:
        super().__init__(cause.message, hint=cause.hint)
        self.cause = cause
        self.outputs = outputs

    def as_dict(self) -> dict[str, Any]:
        """The error object of the cause."""
        return self.cause.as_dict()


class NodeType(ABC):
    """A kind of node: its form, its ports, and what it does.

    A pack has one in ``nodes/<type>/__init__.py`` as ``NODE``, beside ``icon.svg``, ``help.md`` and
    ``example.json`` (a valid ``config``). ``aliases`` are the words a person may search it by.
    """

    type: ClassVar[str]
    title: ClassVar[str]
    description: ClassVar[str]
    aliases: ClassVar[tuple[str, ...]] = ()
    config: ClassVar[FormType]
    """The form. A host draws it from its JSON Schema."""
    operations: ClassVar[Mapping[str, FormType]] = {}
    """The forms of its parameters by operation, where the config has both."""
    output_schema: ClassVar[Mapping[str, Any]] = {}
    """JSON Schema of one output item's JSON, so that a host can offer paths before any run."""
    credentials: ClassVar[tuple[str, ...]] = ()
    """Types of credential it takes; empty if it needs none."""
    inputs: ClassVar[tuple[str, ...]] = ("main",)
    outputs: ClassVar[tuple[str, ...]] = ("main",)

    @abstractmethod
    def check(self, config: Mapping[str, Any]) -> None:
        """Raises ParameterError, naming the field, if ``config`` can never run, whatever the input."""

    @abstractmethod
    async def execute(self, task: Task) -> Outputs:
        """Does the work. Raises NinaError if the node fails as a whole."""
