"""What a ledger costs: a list of 2 KB alerts, merged into a node's templates, with one and without.

Every mail is written three times before its result is told: that it is to be sent, that its last octet may go
out now, and what became of it; each has to be on the disk. With onError: continue many mails share a write,
with onError: fail each waits for the one before.

Targets, with --check, for 5 connections and onError: continue: a ledger adds at most 1.5 ms of CPU to a mail,
and 400 messages a second go out.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from fixtures import items, node
from harness import arguments, cpu_each, middle, paired, python_peer
from lines import Line, Sent, Side, Turns, measured, rate
from report import Report

NONE, SQLITE, POSTGRESQL = "no ledger", "SQLite", "PostgreSQL"
CONNECTIONS = 5
COUNT, QUICK = 3000, 600  # messages in a turn
COST, RATE = 1.5, 400
HEADINGS = (
    "node", "side", "messages/s", "min … max", "CPU ms/mail", "sink CPU ms/mail", "peak MiB", "rate/without",
    "CPU/without", "CPU ms added",
)  # fmt: skip


def main() -> int:
    options = arguments(__doc__, rounds=5, more=own_options)
    report = Report("A ledger, 2 KB alerts", HEADINGS, ["nina-smtp", "SQLAlchemy", "psycopg"])
    count = QUICK if options.quick else COUNT
    with ExitStack() as running:
        folder = Path(running.enter_context(TemporaryDirectory(dir=options.folder, prefix="nina-ledger-")))
        report.facts["a write on the disk"] = f"{1000 * seconds_of_a_write(folder):.2f} ms"
        places = {NONE: None, SQLITE: str(folder / "mail.db")}
        if url := running.enter_context(postgresql(report)):
            places[POSTGRESQL] = url
        given = folder / "items.json"
        given.write_text(json.dumps(items()))
        for on_error in ("continue", "fail"):
            written = folder / f"{on_error}.json"
            written.write_text(json.dumps(node() | {"options": {"onError": on_error}}))
            sides = {
                name: Side(
                    lambda: python_peer("list_ledger"),
                    given,
                    {"node": str(written), "ledger": place},
                    opens_each_turn=True,
                    count=count if on_error == "continue" else count // 3,
                )
                for name, place in places.items()
            }
            line = Line(f"onError: {on_error}", CONNECTIONS, 0, options.rounds)
            turns = measured(line, sides, 0, report)
            tabulate(line, turns, report)
            if options.check and on_error == "continue":
                judge(turns, report)
    return report.finish(options.json)


def own_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--check", action="store_true", help="the status is 1 when a target is missed")
    parser.add_argument(
        "--folder",
        type=Path,
        help="where SQLite's file is, and what is written there is on a disk (temporary)",
    )


@contextmanager
def postgresql(report: Report) -> Iterator[str | None]:
    """The URL of a server that waits for the disk; None if there is none, and ``report`` says why."""
    sys.path.insert(0, str(Path(__file__).parents[1]))
    import pytest
    from bed.postgres import postgres

    with ExitStack() as running:
        try:
            server = running.enter_context(postgres(durable=True))
        except (pytest.skip.Exception, pytest.fail.Exception) as reason:
            report.skip(f"PostgreSQL: {reason}")
            yield None
            return
        yield running.enter_context(server.schema())


def seconds_of_a_write(folder: Path) -> float:
    """What a small write takes there until it is on the disk."""
    taken = []
    with (folder / "probe").open("wb", buffering=0) as file:
        for _ in range(50):
            started = time.perf_counter()
            file.write(bytes(4096))
            os.fsync(file.fileno())
            taken.append(time.perf_counter() - started)
    return median(taken)


def tabulate(line: Line, turns: Turns, report: Report) -> None:
    for name, taken in turns.items():
        rates = [rate(turn) for turn in taken]
        report.rows.append(
            (
                line.name,
                name,
                f"{median(rates):.0f}",
                f"{min(rates):.0f} … {max(rates):.0f}",
                f"{1000 * middle(taken, cpu_each):.3f}",
                f"{1000 * median(turn.served / turn.count for turn in taken):.3f}",
                f"{max(turn.peak for turn in taken) / (1 << 20):.0f}",
                f"{median(paired(taken, turns[NONE], rate)):.3g}",
                f"{median(paired(taken, turns[NONE], cpu_each)):.3g}",
                f"{median(added(taken, turns[NONE])):.3f}",
            )
        )


def judge(turns: Turns, report: Report) -> None:
    for name, taken in turns.items():
        if name != NONE:
            report.at_most(f"{name}: CPU added to a mail", COST, added(taken, turns[NONE]), " ms")
            report.at_least(f"{name}: messages a second", RATE, [rate(turn) for turn in taken], "")


def added(ours: list[Sent], without: list[Sent]) -> list[float]:
    """Milliseconds of CPU more for each mail, round by round."""
    return [1000 * (cpu_each(one) - cpu_each(other)) for one, other in zip(ours, without, strict=True)]


if __name__ == "__main__":
    sys.exit(main())
