"""Victims for the tests that kill."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from crash.cradle import Cradle


@pytest.fixture(scope="session")
def cradle(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cradle]:
    cradle = Cradle(tmp_path_factory.mktemp("victims"))
    yield cradle
    cradle.close()
