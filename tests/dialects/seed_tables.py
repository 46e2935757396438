"""The tables of the documents that a dialect is made to: the names of their rows, by table."""

from __future__ import annotations

import json
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
SEEDS = ROOT / "../shared/spec/seeds"


def kept(name: str) -> dict[str, list[str]]:
    """The names as they are kept here: ``{table: [row]}``."""
    found: dict[str, list[str]] = json.loads((Path(__file__).parent / "seeds" / name).read_text("utf-8"))
    return found


def tables_of(text: str) -> dict[str, list[str]]:
    """The first cells of every table, under the line before it.

    A row may have lost what stood before its first bar.
    """
    found: dict[str, list[str]] = {}
    lines = [line.strip() for line in text.splitlines()]
    for index, line in enumerate(lines):
        if not re.fullmatch(r"\|(?:\s*:?-+:?\s*\|)+", line):
            continue
        title = next(before for before in reversed(lines[: index - 1]) if before).strip("# ")
        rows: list[str] = []
        for row in lines[index + 1 :]:
            if "|" not in row:
                break
            rows.append(row.removeprefix("|").split("|")[0].strip(" `"))
        found[title] = rows
    return found
