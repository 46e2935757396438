"""The workflow as a person saves it: nodes, and the wires between their ports."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import ConfigDict, Discriminator, Field, Tag

from nina_smtp.forms import Form

MAX_NODES = 1000
MAX_EDGES = 10_000

_TYPE = r"^[A-Za-z0-9_]{1,64}$"
_NO_CONTROLS = r"^[^\x00-\x1f\x7f]+$"


class Position(Form):
    """Where a node is drawn on the canvas, in pixels from its origin."""

    x: float = Field(title="X", description="Pixels to the right.", examples=[240], allow_inf_nan=False)
    y: float = Field(title="Y", description="Pixels down.", examples=[120], allow_inf_nan=False)


class InlineCredential(Form):
    """A credential written into a workflow file, for `nina-smtp run`. A host's vault keeps its own apart."""

    type: str = Field(title="Type", description="The credential type.", examples=["smtp"], pattern=_TYPE)
    data: Mapping[str, Any] = Field(
        title="Data",
        description="The fields of the credential type.",
        examples=[{"host": "smtp.example.com", "username": "soc", "password": "${SMTP_PASSWORD}"}],
        repr=False,
    )


def _credential_kind(value: object) -> str:
    if isinstance(value, list):
        return "route"
    return "inline" if isinstance(value, Mapping | InlineCredential) else "name"


_Name = Annotated[str, Field(min_length=1, max_length=200), Tag("name")]
_Inline = Annotated[InlineCredential, Tag("inline")]
_One = Annotated[_Name | _Inline, Discriminator(_credential_kind)]
Credential = Annotated[
    _Name | _Inline | Annotated[list[_One], Field(min_length=1, max_length=10), Tag("route")],
    Discriminator(_credential_kind),
]
"""One, or several in the order in which they are used."""


class Node(Form):
    """One step of a workflow."""

    id: str = Field(
        title="Id",
        description="Names the node in wires, runs and retries; it never changes.",
        examples=["send"],
        pattern=r"^[A-Za-z0-9_.-]+$",
        max_length=64,
    )
    type: str = Field(title="Type", description="The node type.", examples=["smtp"], pattern=_TYPE)
    name: str = Field(
        title="Name",
        description='What people call it; `{{ nodes["Name"] }}` reaches its output.',
        examples=["Mail the analyst"],
        pattern=_NO_CONTROLS,
        max_length=100,
    )
    position: Position | None = Field(
        default=None, title="Position", description="Where it is drawn.", examples=[{"x": 240, "y": 120}]
    )
    credential: Credential | None = Field(
        default=None,
        title="Credential",
        description="The name of a stored credential; in a workflow file also its type and data. "
        "A list names those to fall back on, in order.",
        examples=["Local inbox", ["Office 365", "Relay"]],
    )
    config: Mapping[str, Any] = Field(
        default_factory=dict[str, Any],
        title="Configuration",
        description="The form of the node type, filled in.",
        examples=[{"parameters": {"to": ["soc@example.com"]}}],
        repr=False,
    )
    disabled: bool = Field(
        default=False,
        title="Disabled",
        description="A disabled node does nothing: its items pass through to its first output.",
        examples=[False],
    )
    notes: str | None = Field(
        default=None, title="Notes", description="For whoever reads it next.", examples=["Night shift only."]
    )

    @property
    def route(self) -> tuple[str | InlineCredential, ...]:
        """Its credentials, in the order in which they are used."""
        given = self.credential
        if given is None:
            return ()
        return tuple(given) if isinstance(given, list) else (given,)


class Edge(Form):
    """A wire from an output of one node to an input of another."""

    source: str = Field(
        alias="from", title="From", description="The id of the node it leaves.", examples=["start"]
    )
    output: str | None = Field(
        default=None, title="Output", description="Default: the first output of the type.", examples=["main"]
    )
    target: str = Field(
        alias="to", title="To", description="The id of the node it enters.", examples=["send"]
    )
    input: str | None = Field(
        default=None, title="Input", description="Default: the first input of the type.", examples=["main"]
    )


class Workflow(Form):
    """Nodes and the wires between them."""

    model_config = ConfigDict(title="NINA workflow")

    name: str = Field(
        title="Name",
        description="What people call the workflow.",
        examples=["Alert to mail"],
        pattern=_NO_CONTROLS,
        max_length=200,
    )
    nodes: tuple[Node, ...] = Field(
        title="Nodes",
        description="The steps, in any order.",
        examples=[[{"id": "start", "type": "manual_trigger", "name": "Start", "config": {}}]],
        min_length=1,
        max_length=MAX_NODES,
        strict=False,  # JSON has lists; a strict tuple takes none
    )
    edges: tuple[Edge, ...] = Field(
        default=(),
        title="Edges",
        description="The wires. Where several enter one port, their order decides which value wins.",
        examples=[[{"from": "start", "output": "main", "to": "send", "input": "main"}]],
        max_length=MAX_EDGES,
        strict=False,
    )

    def as_dict(self) -> dict[str, Any]:
        """JSON, as it is saved. Inline credentials are in it as they were written."""
        return self.model_dump(by_alias=True, exclude_none=True)


def schema() -> dict[str, Any]:
    """The published JSON Schema of a workflow (draft 2020-12)."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": "urn:nina-smtp:workflow:1",
        **Workflow.model_json_schema(by_alias=True),
    }
