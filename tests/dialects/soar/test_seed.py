"""Every row of every table of the connector's documentation does here what it says there."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from dialects.soar.running import Soar
from dialects.soar.seed_rows import SEED, TABLE, Bench, Row, rows_of

ROOT = Path(__file__).parents[3]
DOCUMENT = ROOT / "../shared/spec/seeds" / SEED
NAMES: dict[str, list[str]] = json.loads(
    (ROOT / "tests/dialects/seeds/soar.json").read_text(encoding="utf-8")
)


def test_no_row_of_the_documentation_is_missing() -> None:
    """Against the document where it is, else against the copy of its names."""
    rows = rows_of(DOCUMENT.read_text(encoding="utf-8")) if DOCUMENT.exists() else NAMES
    assert rows == NAMES
    expected = {(table, name) for table, names in rows.items() for name in names}
    assert {(row.table, row.name) for row in TABLE} == expected
    assert len(TABLE) == len(expected) == sum(map(len, rows.values()))


@pytest.mark.parametrize("row", TABLE, ids=lambda row: row.id)
def test_a_row_of_the_documentation(row: Row, soar: Soar, request: pytest.FixtureRequest) -> None:
    row.check(Bench(soar, request))
