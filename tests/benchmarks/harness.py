"""How everything here is measured: programs side by side in one run, in turns, compared round by round.

A machine's speed drifts, and its cores are shared; the ratio of two figures taken next to each other is
steadier. So each side has a process of its own, warmed up first; a round gives every side one turn; what is
reported is the median over the rounds, and of a ratio the median of the ratios of each round.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any, Self

HERE = Path(__file__).parent
PEERS = HERE / "peers"


@dataclass(frozen=True, slots=True)
class Turn:
    """One turn of one side: how many pieces of work, wall seconds, and CPU seconds of its process."""

    count: int
    wall: float
    cpu: float


class Program:
    """A process that takes orders: a peer, or the sink. See ``peers/loop.py``."""

    def __init__(self, command: Iterable[str | Path], environment: Mapping[str, str] | None = None) -> None:
        self._command = [str(part) for part in command]
        self._environment = environment

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=self._environment
        )
        return self

    def __exit__(self, *_: object) -> None:
        self._process.stdin.close()
        self._process.stdout.close()
        self._process.wait()

    @property
    def pid(self) -> int:
        return self._process.pid

    def ask(self, action: str, **arguments: Any) -> Any:
        """One order and its answer. Raises RuntimeError with the program's own words when it fails."""
        try:
            self._process.stdin.write(json.dumps({"do": action, **arguments}) + "\n")
            self._process.stdin.flush()
            answer = self._process.stdout.readline()
        except BrokenPipeError:
            answer = ""
        if not answer:
            raise RuntimeError(f"{Path(self._command[-1]).name} ended with status {self._process.wait()}.")
        read = json.loads(answer)
        if isinstance(read, dict) and "error" in read:
            raise RuntimeError(f"{Path(self._command[-1]).name}: {read['error']}")
        return read

    def turn(self, count: int = 1, **arguments: Any) -> Turn:
        """Has it do ``count`` pieces of work, and says how long that took."""
        return Turn(count, **self.ask("run", count=count, **arguments))


def cache_folder() -> Path:
    """Where what is not in the repository is kept: nodemailer, the servers written in C."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "nina-smtp-bench"


def python_peer(name: str) -> Program:
    """``peers/<name>.py``."""
    return Program([sys.executable, PEERS / f"{name}.py"])


def sink(*options: str) -> Program:
    """``sink.py``."""
    return Program([sys.executable, HERE / "sink.py", *options])


def in_turns(sides: Mapping[str, Callable[[], Turn]], rounds: int) -> dict[str, list[Turn]]:
    """A B C, A B C, …: ``rounds`` turns of each side."""
    turns: dict[str, list[Turn]] = {name: [] for name in sides}
    for _ in range(rounds):
        for name, take in sides.items():
            turns[name].append(take())
    return turns


def count_for(seconds: float, program: Program, trial: int) -> int:
    """Warms ``program`` up, and says how many pieces of work take about ``seconds`` of CPU."""
    program.turn(trial)
    second = program.turn(trial)
    return max(1, round(trial * seconds / max(second.cpu, 1e-3)))


def paired(ours: list[Turn], theirs: list[Turn], figure: Callable[[Turn], float]) -> list[float]:
    """Ours over theirs, round by round."""
    return [figure(one) / figure(other) for one, other in zip(ours, theirs, strict=True)]


def cpu_rate(turn: Turn) -> float:
    return turn.count / turn.cpu


def wall_each(turn: Turn) -> float:
    return turn.wall / turn.count


def cpu_each(turn: Turn) -> float:
    return turn.cpu / turn.count


def middle(turns: list[Turn], figure: Callable[[Turn], float]) -> float:
    return median(figure(turn) for turn in turns)


def arguments(
    description: str, *, rounds: int, more: Callable[[argparse.ArgumentParser], object] | None = None
) -> argparse.Namespace:
    """The options every script has; ``more`` adds those of one."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--rounds", type=int, default=None, help=f"turns of each side (default {rounds})")
    parser.add_argument("--quick", action="store_true", help="fewer rounds: to see that it runs")
    parser.add_argument("--json", type=Path, metavar="OUT", help="also write what was measured to this file")
    if more:
        more(parser)
    options = parser.parse_args()
    options.rounds = options.rounds or (3 if options.quick else rounds)
    return options
