"""Items: what travels along a wire."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Origin:
    """One item that another was made from: item ``index`` of output ``port`` of ``node`` (an id)."""

    node: str
    port: str
    index: int

    def as_dict(self) -> dict[str, Any]:
        """JSON."""
        return {"node": self.node, "port": self.port, "index": self.index}


@dataclass(frozen=True, slots=True)
class Item:
    """A JSON object and where it came from.

    A file inside it is a reference, never bytes: an object ``{"filename", "blob": "sha256:…", "contentType",
    "size"}`` anywhere in the JSON (:class:`nina_smtp.workflow.blobs.FileRef`). That is the shape of an
    attachment of the SMTP node, so ``{{ file }}`` in its attachments list is all the wiring there is.
    """

    json: Mapping[str, Any]
    lineage: tuple[Origin, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """JSON."""
        return {"json": dict(self.json), "lineage": [origin.as_dict() for origin in self.lineage]}
