"""Turns rows into a file: CSV, JSON or HTML."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from nina_smtp.errors import ParameterError
from nina_smtp.forms import fill_in
from nina_smtp.node import NodeType, Outputs, Task
from nina_smtp.workflow.blobs import BlobStore, FileRef
from nina_smtp.workflow.items import Item

from .form import CONTENT_TYPES, Config
from .rows import Row, columns_of, rows_at
from .writers import write


class TableToFile(NodeType):
    """One file of all items, or one file per item from the list at a path in it."""

    type = "table_to_file"
    title = "Table to file"
    description = "Turns rows into a CSV, JSON or HTML file, ready to be attached to a mail."
    aliases = ("csv", "excel", "spreadsheet", "json", "html", "export", "report", "convert", "attachment")
    config = Config
    output_schema: ClassVar[Mapping[str, Any]] = {
        "type": "object",
        "properties": {
            "file": {
                "type": "object",
                "description": "The file, as an attachment takes it. Its key is the output field.",
                "properties": {
                    "filename": {"type": "string"},
                    "blob": {"type": "string"},
                    "contentType": {"type": "string"},
                    "size": {"type": "integer"},
                },
            }
        },
    }

    def check(self, config: Mapping[str, Any]) -> None:
        """Raises ParameterError, naming the field."""
        fill_in(Config, config, ParameterError)

    async def execute(self, task: Task) -> Outputs:
        """Writes in a thread: a disk may be slow. Raises ParameterError if there are no such rows."""
        form = fill_in(Config, task.config, ParameterError)
        return {"main": await asyncio.to_thread(_make, form, task.items, task.blobs)}


def _make(form: Config, items: Sequence[Item], blobs: BlobStore) -> tuple[Item, ...]:
    if form.rows == "items":
        file = _store(form, [item.json for item in items], blobs)
        origins = dict.fromkeys(origin for item in items for origin in item.lineage)
        return (Item({form.output_field: file}, tuple(origins)),)
    for index, item in enumerate(items):
        if form.output_field in item.json:
            raise ParameterError(
                f"outputField: item {index} already has a {form.output_field!r}, which would be lost.",
                hint="Choose another output field.",
                parameter="outputField",
            )
    tables = [rows_at(item.json, form.rows, index) for index, item in enumerate(items)]
    return tuple(
        Item({**item.json, form.output_field: _store(form, table, blobs)}, item.lineage)
        for item, table in zip(items, tables, strict=True)
    )


def _store(form: Config, rows: Sequence[Row], blobs: BlobStore) -> dict[str, Any]:
    columns = form.columns or columns_of(rows)
    blob, size = blobs.put(write(form, columns, rows))
    return FileRef(form.filename or f"table.{form.format}", blob, CONTENT_TYPES[form.format], size).as_dict()


NODE = TableToFile()
