"""Starts a workflow by hand, with sample data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from pydantic import Field, field_validator

from nina_smtp.errors import ParameterError
from nina_smtp.forms import Form, fill_in
from nina_smtp.node import NodeType, Outputs, Task
from nina_smtp.workflow.items import Item, read_items


class Config(Form):
    """The sample data."""

    items: tuple[dict[str, Any], ...] = Field(
        default=({},),
        title="Sample data",
        description="What the workflow starts with: a list of objects, one object, or text (it becomes the "
        "body). Data given when the run is started replaces it.",
        examples=[[{"alert": {"title": "Phishing reported", "severity": "high"}}]],
        strict=False,  # JSON has lists; a strict tuple takes none
    )

    @field_validator("items", mode="before")
    @classmethod
    def _as_objects(cls, value: object) -> tuple[dict[str, Any], ...]:
        return tuple(dict(item.json) for item in read_items(value))


class ManualTrigger(NodeType):
    """No inputs; its items are those given to the run, else the sample data."""

    type = "manual_trigger"
    title = "Manual trigger"
    description = (
        "Starts the workflow when you press Run, with sample data or with the data given to the run."
    )
    aliases = ("start", "begin", "run", "test", "sample", "input")
    config = Config
    inputs = ()
    output_schema: ClassVar[Mapping[str, Any]] = {"type": "object", "additionalProperties": True}

    def check(self, config: Mapping[str, Any]) -> None:
        """Raises ParameterError if the sample data is no list of objects."""
        fill_in(Config, config, ParameterError)

    async def execute(self, task: Task) -> Outputs:
        """The items of the task, or else the sample data."""
        if task.items:
            return {"main": tuple(task.items)}
        return {"main": tuple(Item(sample) for sample in fill_in(Config, task.config, ParameterError).items)}


NODE = ManualTrigger()
