"""The clients whose rates are measured: programs in ``peers/``, and Postfix's smtp-source."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, Self

from harness import Program, Turn
from memory import Peak

FEED = 4  # as in peers/rates.py: what waits for each connection, at most


class Client(Protocol):
    """One that has its connections open within the context.

    ``beside`` is how many messages a turn sends that it does not count.
    """

    beside: int

    def __enter__(self) -> Self: ...
    def __exit__(self, *_: object) -> None: ...
    def send(self, count: int) -> tuple[Turn, int]:
        """Sends so many messages; the second value is the most that was resident meanwhile, 0 if unknown."""
        ...


@dataclass(slots=True)
class Peer:
    """A program in ``peers/`` that opens its connections once.

    Before each turn it sends FEED messages for each connection: whatever was closed since the last turn is
    open again. With ``opens_each_turn`` it is measured with its connections' beginning and end.
    """

    program: Program
    messages: Path
    address: Mapping[str, Any]
    connections: int
    options: Mapping[str, Any]
    opens_each_turn: bool = False

    @property
    def beside(self) -> int:
        return 0 if self.opens_each_turn else FEED * self.connections

    def __enter__(self) -> Self:
        self.program.__enter__()
        self.program.ask("load", path=str(self.messages))
        self.program.ask("open", server=self.address, connections=self.connections, **self.options)
        return self

    def __exit__(self, *_: object) -> None:
        self.program.__exit__()

    def send(self, count: int, **options: Any) -> tuple[Turn, int]:
        if self.beside:
            self.program.turn(self.beside, **options)
        if not sys.platform.startswith("linux"):
            return self.program.turn(count, **options), 0
        with Peak(self.program.pid) as peak:
            turn = self.program.turn(count, **options)
        return turn, peak.bytes


@dataclass(slots=True)
class SmtpSource:
    """Postfix's load generator. It sends one finished text again and again, and speaks no TLS.

    A turn is a process of its own; what one takes that sends one message on each connection is subtracted.
    """

    address: Mapping[str, Any]
    connections: int
    size: int  # of a message, in octets
    command: str = ""

    @staticmethod
    def found() -> str | None:
        return shutil.which(
            "smtp-source", path=os.pathsep.join((os.environ["PATH"], "/usr/sbin", "/usr/bin"))
        )

    @property
    def beside(self) -> int:
        return 2 * self.connections

    def __enter__(self) -> Self:
        self.command = self.found() or "smtp-source"
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def send(self, count: int) -> tuple[Turn, int]:
        whole = self._process(count + self.connections)
        opening = self._process(self.connections)
        return Turn(count, max(whole.wall - opening.wall, 1e-6), max(whole.cpu - opening.cpu, 1e-6)), 0

    def _process(self, count: int) -> Turn:
        server = f"inet:{self.address['host']}:{self.address['port']}"
        options = [
            "-d",
            "-s",
            self.connections,
            "-m",
            count,
            "-l",
            self.size,
            "-r",
            2,
            "-M",
            "bench.corp.test",
        ]
        started = time.perf_counter()
        process = subprocess.Popen(
            [self.command, *map(str, options), "-f", "soc@corp.test", "-t", "analyst@corp.test", server]
        )
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.perf_counter() - started
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            raise SystemExit(f"smtp-source ended with status {process.returncode}.")
        return Turn(count, wall, usage.ru_utime + usage.ru_stime)
