"""What a logger is told, and nothing left behind."""

from __future__ import annotations

import logging
from collections.abc import Callable, Generator
from contextlib import ExitStack, contextmanager

import pytest

from nina_smtp.observe import audit, metrics


class Heard(logging.Handler):
    """Keeps the records."""

    def __init__(self) -> None:
        super().__init__()
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)

    @property
    def events(self) -> list[str]:
        return [record.nina["event"] for record in self.records]  # type: ignore[attr-defined]

    @property
    def lines(self) -> list[str]:
        return [self.format(record) for record in self.records]


@contextmanager
def hearing(name: str, level: int) -> Generator[Heard]:
    logger, handler = logging.getLogger(name), Heard()
    before = logger.level
    logger.addHandler(handler)
    logger.setLevel(level)
    try:
        yield handler
    finally:
        logger.removeHandler(handler)
        logger.setLevel(before)


@pytest.fixture
def listen() -> Generator[Callable[[str, int], Heard]]:
    """``listen("nina_smtp.audit", logging.INFO)``."""
    with ExitStack() as stack:
        yield lambda name, level=logging.INFO: stack.enter_context(hearing(name, level))


@pytest.fixture(autouse=True)
def _nothing_is_left_on() -> Generator[None]:
    yield
    audit.mask_recipients(False)
    metrics.disable()
