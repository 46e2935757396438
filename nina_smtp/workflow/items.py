"""Items: what travels along a wire."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from nina_smtp.errors import ParameterError


@dataclass(frozen=True, slots=True)
class Origin:
    """One item that another was made from: item ``index`` of output ``port`` of ``node`` (an id)."""

    node: str
    port: str
    index: int

    def as_dict(self) -> dict[str, Any]:
        """JSON."""
        return {"node": self.node, "port": self.port, "index": self.index}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Origin:
        """What ``as_dict`` wrote."""
        return cls(data["node"], data["port"], data["index"])


@dataclass(frozen=True, slots=True)
class Item:
    """A JSON object and where it came from.

    A file inside it is a reference, never bytes: an object ``{"filename", "blob": "sha256:…", "contentType",
    "size"}`` anywhere in the JSON (:class:`nina_smtp.workflow.blobs.FileRef`). That is the shape of an
    attachment of the SMTP node, so ``{{ file }}`` in its attachments list is all the wiring there is.

    ``lineage`` are the items it was made from directly. Their own lineage is in the outputs of their node.
    """

    json: Mapping[str, Any]
    lineage: tuple[Origin, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """JSON."""
        return {"json": dict(self.json), "lineage": [origin.as_dict() for origin in self.lineage]}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Item:
        """What ``as_dict`` wrote."""
        return cls(data["json"], tuple(Origin.from_dict(origin) for origin in data["lineage"]))


def read_items(value: object, *, parameter: str = "items", source: str | None = None) -> tuple[Item, ...]:
    """Upstream data as items: an object is one, a list is one per element, text is ``{"body": text}``.

    Items are taken as they are. Raises ParameterError, naming the element, for anything else.
    """
    if isinstance(value, list | tuple):
        elements = cast(Sequence[object], value)
        return tuple(
            _read_item(element, f"{parameter}[{index}]", source) for index, element in enumerate(elements)
        )
    return (_read_item(value, parameter, source),)


def _read_item(value: object, parameter: str, source: str | None) -> Item:
    if isinstance(value, Item):
        return value
    if isinstance(value, str):
        return Item({"body": value})
    if isinstance(value, Mapping):
        return Item(cast(Mapping[str, Any], value))
    raise ParameterError(
        f"{parameter} is neither an object nor text.",
        hint='Give an object such as {"subject": "…"}, text, or a list of them.',
        parameter=parameter,
        source=source,
    )
