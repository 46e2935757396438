"""Rows as the bytes of a file, a piece at a time."""

from __future__ import annotations

import csv
import html
import json
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from nina_smtp.errors import ParameterError

from .form import Config
from .rows import Row

_CHUNK = 64 * 1024

# OWASP "CSV Injection": a spreadsheet runs what begins like this (full-width forms in East Asian settings).
_FORMULA = re.compile(r"[=+\-@\t\r\n\uff1d\uff0b\uff0d\uff20]")
_NUMBER = re.compile(r"[+-]?[0-9]+([.,][0-9]+)?([eE][+-]?[0-9]+)?")
_NOT_SHOWN = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")

_CELL = "border:1px solid #c8c8c8;padding:4px 8px;text-align:left;vertical-align:top;white-space:pre-wrap"
_TABLE = "border-collapse:collapse;font-family:sans-serif;font-size:14px"


def write(form: Config, columns: Sequence[str], rows: Iterable[Row]) -> Iterator[bytes]:
    """The file in pieces of about 64 KiB. Raises ParameterError for a value that is not JSON."""
    match form.format:
        case "csv":
            return _in_chunks(_csv(form, columns, rows))
        case "json":
            return _in_chunks(_json(columns, rows))
        case "html":
            return _in_chunks(_html(columns, rows))


def _csv(form: Config, columns: Sequence[str], rows: Iterable[Row]) -> Iterator[str]:
    """RFC 4180: CRLF after every record, quotes where they are needed."""
    guard = _guarded if form.guard_formulas else str
    writer = csv.writer(_Lines(), delimiter=form.delimiter, lineterminator="\r\n")
    if form.bom:
        yield "\ufeff"
    if columns:
        yield _line(writer, [guard(column) for column in columns])
    for row in rows:
        if columns:
            yield _line(writer, [_cell(row.get(column), guard) for column in columns])


def _json(columns: Sequence[str], rows: Iterable[Row]) -> Iterator[str]:
    separator = "[\n"
    for row in rows:
        chosen = {column: row[column] for column in columns if column in row}
        yield f"{separator}  {_as_json(chosen)}"
        separator = ",\n"
    yield "[]\n" if separator == "[\n" else "\n]\n"


def _html(columns: Sequence[str], rows: Iterable[Row]) -> Iterator[str]:
    yield (
        '<!DOCTYPE html>\n<html>\n<head><meta charset="utf-8"><title>Table</title></head>\n<body>\n'
        f'<table style="{_TABLE}">\n<thead><tr>'
    )
    for column in columns:
        yield f'<th style="{_CELL};background:#f0f0f0">{_escaped(column)}</th>'
    yield "</tr></thead>\n<tbody>\n"
    for row in rows:
        cells = (f'<td style="{_CELL}">{_escaped(_cell(row.get(column), str))}</td>' for column in columns)
        yield f"<tr>{''.join(cells)}</tr>\n"
    yield "</tbody>\n</table>\n</body>\n</html>\n"


def _cell(value: Any, guard: Callable[[str], str]) -> str:
    if value is None:
        return ""
    return guard(value) if isinstance(value, str) else _as_json(value)


def _guarded(text: str) -> str:
    return f"'{text}" if _FORMULA.match(text) and not _NUMBER.fullmatch(text) else text


def _escaped(text: str) -> str:
    return html.escape(_NOT_SHOWN.sub("\ufffd", text))


def _as_json(value: Any) -> str:
    try:
        return json.dumps(value, ensure_ascii=False, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise ParameterError(
            f"rows: a cell holds what is not JSON ({error}).",
            hint="Use text, numbers, true, false, null, lists or objects.",
            parameter="rows",
            source="input",
        ) from None


class _Lines:
    """What csv.writer writes to; it hands each line back instead of keeping it."""

    def write(self, line: str) -> str:
        return line


def _line(writer: Any, cells: Sequence[str]) -> str:
    line: str = writer.writerow(cells)
    return line


def _in_chunks(texts: Iterable[str]) -> Iterator[bytes]:
    buffered = bytearray()
    for text in texts:
        buffered += _encoded(text)
        if len(buffered) >= _CHUNK:
            yield bytes(buffered)
            buffered.clear()
    yield bytes(buffered)


def _encoded(text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError:  # JSON may hold half a surrogate pair: hostile data must not stop the report
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace").encode()
