"""The form of the node."""

from __future__ import annotations

import re
from typing import Literal

from pydantic import Field, ValidationInfo, field_validator

from nina_smtp.errors import ParameterError
from nina_smtp.forms import Form

Format = Literal["csv", "json", "html"]

CONTENT_TYPES: dict[Format, str] = {"csv": "text/csv", "json": "application/json", "html": "text/html"}
_EXTENSIONS = {"csv": (".csv",), "json": (".json",), "html": (".html", ".htm")}
_NOT_IN_A_NAME = re.compile(r'[\x00-\x1f\x7f<>:"/\\|?*]')


class Config(Form):
    """Which rows, which columns, which file."""

    format: Format = Field(
        default="csv", title="Format", description="The kind of file to make.", examples=["csv"]
    )
    rows: str = Field(
        default="items",
        title="Rows",
        description="`items`: every item is a row, and one file is made. Or the path of a list in each item, "
        "such as `alert.findings`: one file per item. A key called items is `$.items`.",
        examples=["alert.findings"],
        pattern=r"^(\$\.)?[^.]+(\.[^.]+)*$",
    )
    filename: str | None = Field(
        default=None,
        title="File name",
        description="Ends like the format. Default: table.csv, table.json or table.html.",
        examples=["findings.csv"],
        max_length=150,
    )
    columns: tuple[str, ...] | None = Field(
        default=None,
        title="Columns",
        description="Which columns, in this order. Default: every key, in the order it is first seen.",
        examples=[["indicator", "score"]],
        strict=False,  # JSON has lists; a strict tuple takes none
    )
    output_field: str = Field(
        default="file",
        title="Output field",
        description="The key of the output item under which the file is put.",
        examples=["file"],
        pattern=r"^[A-Za-z_][A-Za-z0-9_]*$",
    )
    delimiter: Literal[",", ";", "\t"] = Field(
        default=",",
        title="Delimiter",
        description="What is between the cells of a CSV file. Excel in many European languages wants `;`.",
        examples=[","],
    )
    bom: bool = Field(
        default=False,
        title="Byte order mark",
        description="Start a CSV file with a byte order mark, by which Excel knows that it is UTF-8.",
        examples=[True],
    )
    guard_formulas: bool = Field(
        default=True,
        title="Guard formulas",
        description="Put ' before CSV cells that a spreadsheet would run as a formula. Numbers stay as they "
        "are. Turn it off only if no cell comes from outside.",
        examples=[True],
    )

    @field_validator("filename")
    @classmethod
    def _fits_the_format(cls, name: str | None, info: ValidationInfo) -> str | None:
        kind: Format | None = info.data.get("format")
        if not name or kind is None:
            return None
        if found := _NOT_IN_A_NAME.search(name):
            raise ParameterError(
                f"A file name cannot have {found[0]!r} in it.", hint="Give a plain name, without a folder."
            )
        endings = _EXTENSIONS[kind]
        if not name.lower().endswith(endings) or name.startswith("."):
            stem = name.rsplit(".", 1)[0].strip(".") or "table"
            raise ParameterError(
                f"The file name must end in {endings[0]}, because the format is {kind}.",
                hint=f"Call it {stem}{endings[0]}, or choose another format.",
            )
        return name

    @field_validator("columns")
    @classmethod
    def _no_column_twice(cls, columns: tuple[str, ...] | None) -> tuple[str, ...] | None:
        for index, column in enumerate(columns or ()):
            if column in (columns or ())[:index]:
                raise ParameterError(f"The column {column!r} is listed twice.", hint="Keep one of them.")
        return columns
