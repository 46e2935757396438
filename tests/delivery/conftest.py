"""A ledger's place, in each kind of database."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from bed.postgres import Postgres, ledger_places, place_of, postgres


@pytest.fixture(scope="session")
def postgresql() -> Iterator[Postgres]:
    with postgres() as server:
        yield server


@pytest.fixture(params=ledger_places)
def ledger_place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    with place_of(request, tmp_path) as place:
        yield place
