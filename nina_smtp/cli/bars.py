"""The progress of ``send`` as bars: one of mails, and one of octets while a large mail is under way.

It needs rich, so it is imported only when there is something to draw.
"""

from __future__ import annotations

from rich.console import Console, Group
from rich.live import Live
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)
from rich.text import Text

from nina_smtp.cli.progress import Tally, Written


class Bars:
    """Both bars, drawn only when told to, on standard error alone."""

    def __init__(self) -> None:
        console = Console(stderr=True)
        self._mails = Progress(
            TextColumn("sending"),
            BarColumn(30),
            MofNCompleteColumn(),
            _Rate(),
            TimeRemainingColumn(),
            TextColumn("{task.description}", style="red"),
            console=console,
        )
        self._octets = Progress(
            TextColumn("{task.description}"),
            BarColumn(30),
            DownloadColumn(),
            TransferSpeedColumn(),
            TimeRemainingColumn(),
            console=console,
        )
        self._mails_bar: TaskID | None = None
        self._octets_bar: TaskID | None = None
        self._item: int | None = None
        self._live = Live(
            Group(self._mails, self._octets),
            console=console,
            auto_refresh=False,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
        )
        self._live.start()
        console.show_cursor()  # nobody would bring it back after a kill

    def show(self, tally: Tally) -> None:
        if tally.total > 1:
            if self._mails_bar is None:
                self._mails_bar = self._mails.add_task("", total=tally.total)
            self._mails.update(self._mails_bar, completed=tally.done, description=tally.troubles)
        self._show_large(tally.large)
        self._live.refresh()

    def end(self) -> None:
        self._live.stop()

    def _show_large(self, large: Written | None) -> None:
        if self._octets_bar is not None and (large is None or large.item != self._item):
            self._octets.remove_task(self._octets_bar)
            self._octets_bar = None
        if large:
            if self._octets_bar is None:
                self._octets_bar = self._octets.add_task(f"item {large.item}", total=large.size)
                self._item = large.item
            self._octets.update(self._octets_bar, completed=large.octets)


class _Rate(ProgressColumn):
    """Mails a second."""

    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        return Text(f"{speed:.{0 if speed >= 10 else 1}f}/s" if speed else "", style="progress.data.speed")
