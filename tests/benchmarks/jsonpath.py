"""Five simple JSONPaths over each of 1000 items.

Target: at most 5 ms, the paths given as text each time, as a node does for every item it merges.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Any

import jsonpath_ng
from harness import Turn, arguments, cpu_each, in_turns, middle, wall_each
from report import Report

from nina_smtp.parameters.extract import compile_path

PATHS = (
    "$.alert.title",
    "$.alert.severity",
    "$.alert.asset.owner.email",
    "$.alert.indicators[0].value",
    "$.playbook",
)
LOOKED_UP, ONCE, NG = (
    "compile_path for every item",
    "compile_path once a path",
    "jsonpath_ng, parsed once a path",
)
LIMIT = 5


def main() -> int:
    options = arguments(__doc__, rounds=31)
    report = Report(
        "JSONPath, 1000 items x 5 paths",
        ("side", "wall ms", "CPU ms", "of jsonpath_ng"),
        ["nina-smtp", "jsonpath-ng"],
    )
    items = [item(n) for n in range(1000)]
    ours = [compile_path(path) for path in PATHS]
    theirs = [jsonpath_ng.parse(path) for path in PATHS]

    def looked_up() -> None:
        for one in items:
            for path in PATHS:
                compile_path(path)(one)

    def once() -> None:
        for one in items:
            for path in ours:
                path(one)

    def peer() -> None:
        for one in items:
            for path in theirs:
                [match.value for match in path.find(one)]

    for one in items:
        for path, mine, other in zip(PATHS, ours, theirs, strict=True):
            found, wanted = list(mine(one)), [match.value for match in other.find(one)]
            if found != wanted:
                raise SystemExit(f"{path} finds {found!r}, and by jsonpath_ng {wanted!r}.")
    turns = in_turns({LOOKED_UP: turn_of(looked_up), ONCE: turn_of(once), NG: turn_of(peer)}, options.rounds)
    for name, taken in turns.items():
        wall, cpu = (1e3 * middle(taken, figure) for figure in (wall_each, cpu_each))
        ratio = middle(taken, cpu_each) / middle(turns[NG], cpu_each)
        report.rows.append((name, f"{wall:.2f}", f"{cpu:.2f}", f"{ratio:.3f}"))
    for name in (LOOKED_UP, ONCE):
        report.at_most(name, LIMIT, [1e3 * turn.wall for turn in turns[name]], " ms")
    return report.finish(options.json)


def item(n: int) -> dict[str, Any]:
    """What an upstream node hands over; every third one lacks an indicator, every fifth an owner."""
    return {
        "alert": {
            "title": f"Sign-in from a new place: svc-backup-{n:04}",
            "severity": n % 10,
            "asset": {"name": f"ws-{n:05}", "owner": {"email": f"owner{n}@corp.test"} if n % 5 else None},
            "indicators": [{"value": f"198.51.100.{n % 256}", "kind": "ip"}] if n % 3 else [],
        },
        "playbook": "impossible-travel",
    }


def turn_of(work: Callable[[], None]) -> Callable[[], Turn]:
    def take() -> Turn:
        cpu, wall = time.process_time(), time.perf_counter()
        work()
        return Turn(1, time.perf_counter() - wall, time.process_time() - cpu)

    return take


if __name__ == "__main__":
    sys.exit(main())
