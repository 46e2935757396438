"""How far ``send`` is, on the terminal that standard error is.

A :class:`Tally` gathers what happens. It is drawn a few times a second, by rich as bars
(:mod:`nina_smtp.cli.bars`), or without rich as a line. Short work shows nothing, and at the end whatever was
shown is taken away. No word of a server or of a mail is in it.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections import Counter
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from typing import NamedTuple, Protocol

from nina_smtp.delivery.result import Result, Status

LARGE = 1_000_000  # octets of a mail that is shown by itself
_INTERVAL = 0.2  # seconds
_INTERRUPT = len("^C")  # what the terminal itself writes then


class Written(NamedTuple):
    """How much of an item's mail is out."""

    item: int
    octets: int
    size: int


class Tally:
    """What is known of ``total`` mails so far."""

    def __init__(self, total: int) -> None:
        self.total = total
        self._ended: Counter[Status] = Counter()
        self._large: dict[int, Written] = {}

    def written(self, item: int, octets: int, size: int) -> None:
        """``octets`` of the mail's ``size`` are out."""
        if size > LARGE:
            self._large[item] = Written(item, octets, size)

    def settled(self, result: Result) -> None:
        """It is known what became of a mail."""
        self._ended[result.status] += 1
        self._large.pop(result.item, None)

    @property
    def done(self) -> int:
        """How many mails were tried, and have a result."""
        return self._ended.total() - self._ended[Status.NOT_ATTEMPTED]

    @property
    def troubles(self) -> str:
        """How many went wrong, in words; empty if none did."""
        return ", ".join(f"{self._ended[status]} {word}" for status, word in _TROUBLES if self._ended[status])

    @property
    def large(self) -> Written | None:
        """The first large mail under way, of those that are not yet out if there are any."""
        return min(self._large.values(), key=lambda mail: (mail.octets == mail.size, mail.item), default=None)

    @property
    def is_worth_showing(self) -> bool:
        """Whether a person would wonder how far it is."""
        return self.total > 1 or bool(self._large)


_TROUBLES = ((Status.PARTIAL, "partly"), (Status.FAILED, "failed"), (Status.UNKNOWN, "unknown"))


class Display(Protocol):
    """Something that draws."""

    def show(self, tally: Tally) -> None:
        """Draws it in place of what was drawn before."""
        ...

    def end(self) -> None:
        """Takes it away."""
        ...


class Line:
    """A line that is written over itself."""

    def __init__(self) -> None:
        self._shown = 0

    def show(self, tally: Tally) -> None:
        text = describe(tally)[: _columns() - _INTERRUPT - 1]  # the last column would wrap
        _write(f"\r{text.ljust(self._shown)}")
        self._shown = len(text)

    def end(self) -> None:
        _write("\r" + " " * (self._shown + _INTERRUPT) + "\r")


def describe(tally: Tally) -> str:
    """The tally in a line."""
    said = [f"{tally.done} of {tally.total}"] if tally.total > 1 else []
    if tally.troubles:
        said.append(tally.troubles)
    if large := tally.large:
        said.append(f"item {large.item}: {large.octets / 1e6:.1f} of {large.size / 1e6:.1f} MB")
    return f"sending: {', '.join(said)}"


def is_possible(*, lines: bool) -> bool:
    """Whether somebody looks at standard error. With ``lines`` on the same terminal those say enough."""
    if sys.stderr is None or os.environ.get("TERM") == "dumb":  # pyright: ignore[reportUnnecessaryComparison]  # closed by the shell
        return False
    return sys.stderr.isatty() and not (lines and sys.stdout and sys.stdout.isatty())


@asynccontextmanager
async def showing(tally: Tally) -> AsyncGenerator[None]:
    """Shows ``tally`` while the block runs."""
    task = asyncio.create_task(_show(tally))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])


async def _show(tally: Tally) -> None:
    display: Display | None = None
    with suppress(OSError):  # the terminal has gone: the work goes on
        try:
            while True:
                await asyncio.sleep(_INTERVAL)
                if display or tally.is_worth_showing:
                    display = display or _display()
                    display.show(tally)
        finally:
            if display:
                display.end()


def _display() -> Display:
    try:
        from nina_smtp.cli.bars import Bars
    except ImportError:  # rich is not installed
        return Line()
    return Bars()


def _columns() -> int:
    return os.get_terminal_size(sys.stderr.fileno()).columns or 80


def _write(text: str) -> None:
    sys.stderr.write(text)
    sys.stderr.flush()
