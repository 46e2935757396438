"""10,000 and then 100,000 messages through one pool of ours, from a bounded feed, no two to one recipient.

Targets: resident memory grows by at most 5 MB between the 10,000th message and the last one, and a message of
the 100,000 takes at most 1.15 times the CPU of one of the 10,000.
"""

from __future__ import annotations

import json
import sys
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

from clients import Peer
from fixtures import alerts
from harness import arguments, cpu_each, python_peer, wall_each
from memory import resident
from report import Report
from servers import Sink, fast_sink

CONNECTIONS = 5
FIRST, SECOND = 10_000, 100_000
MB = 1_000_000
GROWTH, COST = 5, 1.15
HEADINGS = ("round", "messages", "messages/s", "CPU s/1000", "resident MB", "peak MB")


def main() -> int:
    options = arguments(__doc__, rounds=3)
    report = Report("One pool, 110,000 messages", HEADINGS, ["nina-smtp"])
    if not sys.platform.startswith("linux"):
        raise SystemExit("Memory is measured on Linux only.")
    growths, costs = [], []
    with ExitStack() as running:
        messages = Path(running.enter_context(TemporaryDirectory()), "alerts.json")
        messages.write_text(json.dumps(alerts()))
        server = running.enter_context(fast_sink(report, without=["CHUNKING"]))
        for number in range(1, 2 if options.quick else options.rounds + 1):
            growth, cost = grown(number, server, messages, report)
            growths.append(growth / MB)
            costs.append(cost)
    report.at_most("resident memory grows, after 10,000", GROWTH, growths, " MB")
    report.at_most("CPU a message, over that of the first 10,000", COST, costs)
    return report.finish(options.json)


def grown(number: int, server: Sink, messages: Path, report: Report) -> tuple[int, float]:
    """By how many bytes resident memory grows after the FIRST messages, and CPU a message over theirs."""
    before = server.count()["messages"]
    with Peer(python_peer("rate_nina"), messages, server.address, CONNECTIONS, {}) as peer:
        kept, costs, expected = [], [], 0
        for count in (FIRST, SECOND):
            turn, peak = peer.send(count, distinct=True)
            expected += count + peer.beside
            kept.append(resident(peer.program.pid))
            costs.append(cpu_each(turn))
            shown = (f"{1 / wall_each(turn):.0f}", f"{1000 * costs[-1]:.4f}")
            report.rows.append((str(number), str(count), *shown, f"{kept[-1] / MB:.1f}", f"{peak / MB:.1f}"))
    if (arrived := server.count()["messages"] - before) != expected:
        raise SystemExit(f"{arrived} messages arrived instead of {expected}.")
    return kept[1] - kept[0], costs[1] / costs[0]


if __name__ == "__main__":
    sys.exit(main())
