"""Alert after alert over connections that are open: on the loopback, over lines with latency, and as a list.

Targets, in messages a second. On the loopback with 5 connections, plain and TLS: 8 times nodemailer, at 0.12
of its CPU time, 15 times aiosmtplib with EmailMessage, and 0.7 of smtp-source, which builds nothing. With a
round trip of 20 and 100 ms: 1.9 times nodemailer and 3.8 times aiosmtplib; 20 times nodemailer with a
window of 16. A list of 10,000 items given to a node: 3 times nodemailer.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from build import verify
from clients import SmtpSource
from compiler import NotCompiled
from fixtures import alerts, items, node
from harness import arguments, cpu_each, middle, paired, python_peer, sink
from lines import Line, Side, Turns, measured, rate, served_each
from memory import MIB
from nodejs import NODEMAILER, Missing, find_node
from report import Report

PIPELINING, CHUNKING, WINDOW = "nina_smtp, pipelining", "nina_smtp, chunking", "nina_smtp, window 16"
NODE, AIO, STDLIB = "nodemailer", "aiosmtplib + EmailMessage", "smtplib + EmailMessage"
SOURCE, RAW = "smtp-source, finished text", "finished message, sockets"
LIST = "nina_smtp send_async, a list"
FIRST = 2000  # messages of a client that has just been started
LIST_LENGTH = 10_000
CONNECTIONS = (1, 5, 20)
MIDDLE = 5  # connections; most targets are for so many
SHORT, LONG = 0.02, 0.1  # round trips in seconds
PARTS = ("loopback", "list", "latency")
HEADINGS = (
    "line",
    "connections",
    "side",
    "messages/s",
    "min … max",
    "CPU s/1000",
    "sink CPU s/1000",
    "peak MiB",
    "rate/nodemailer",
    "CPU/nodemailer",
)


def main() -> int:
    options = arguments(__doc__, rounds=7, more=own_options)
    if options.plot:
        from figure import draw  # without matplotlib it fails now, not in half an hour
    report = Report("Throughput, 2 KB alerts", HEADINGS, ["nina-smtp", "aiosmtplib"])
    results: dict[Line, Turns] = {}
    with TemporaryDirectory() as folder:
        sides = sides_here(Path(folder), report)
        size = verify_all(sides, Path(folder, "kept"))
        for part in options.only or PARTS:
            for line in lines_of(part, options.rounds, quick=options.quick):
                there = {name: side for name, side in sides.items() if takes_part(name, part, line)}
                try:
                    results[line] = measured(line, there, size, report)
                except NotCompiled as reason:
                    report.skip(f"{reason} Nothing was measured with latency.")
    for line, turns in results.items():
        tabulate(line, turns, report)
        judge(line, turns, report)
    if options.plot:
        drawn = {line.name: turns for line, turns in results.items() if line.connections == MIDDLE}
        draw(
            {
                name: {side: middle(taken, rate) for side, taken in turns.items()}
                for name, turns in drawn.items()
                if "TLS" not in name and "started" not in name and LIST not in turns
            },
            options.plot,
        )
    return report.finish(options.json)


def own_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--only", choices=PARTS, action="append", help="this part; may be given again")
    parser.add_argument(
        "--plot", type=Path, metavar="PNG", help="also draw the rates at 5 connections (needs matplotlib)"
    )


def sides_here(folder: Path, report: Report) -> dict[str, Side]:
    """The sides that can take part here; ``report`` says which cannot. Their input goes into ``folder``."""
    files = {name: folder / f"{name}.json" for name in ("alerts", "items", "node")}
    for name, content in {"alerts": alerts(), "items": items(), "node": node()}.items():
        files[name].write_text(json.dumps(content))
    given = files["alerts"]
    sides = {
        PIPELINING: Side(lambda: python_peer("rate_nina"), given),
        CHUNKING: Side(lambda: python_peer("rate_nina"), given, chunking=True),
        WINDOW: Side(lambda: python_peer("rate_nina"), given, {"window": 16}, chunking=True),
        LIST: Side(
            lambda: python_peer("list_nina"),
            files["items"],
            {"node": str(files["node"])},
            opens_each_turn=True,
            count=LIST_LENGTH,
        ),
    }
    try:
        runtime = find_node()
        sides[NODE] = Side(lambda: runtime.peer("rate"), given)
        report.facts |= {"Node": runtime.version, "nodemailer": NODEMAILER}
    except Missing as reason:
        report.skip(reason)
    sides[AIO] = Side(lambda: python_peer("rate_aiosmtplib"), given)
    sides[STDLIB] = Side(lambda: python_peer("rate_smtplib"), given)
    if SmtpSource.found():
        sides[SOURCE] = Side(None, given)
    else:
        report.skip("smtp-source: it is not installed; it comes with Postfix.")
    sides[RAW] = Side(lambda: python_peer("rate_raw"), given)
    return sides


def verify_all(sides: Mapping[str, Side], kept: Path) -> int:
    """Has each side send one message to a sink that keeps it, and reads it. Returns the octets of ours."""
    size = 0
    with sink("--without", "CHUNKING") as server:
        address = server.ask("address")
        server.ask("keep", path=str(kept))
        for name, side in sides.items():
            if side.start:
                with side.peer(address, 1) as peer:
                    peer.program.turn(1)
                verify(kept.read_bytes(), alerts()[0], name)
                size = size or kept.stat().st_size
    return size


def lines_of(part: str, rounds: int, *, quick: bool) -> Iterator[Line]:
    if part == "loopback":
        for connections in CONNECTIONS:
            yield Line("loopback", connections, 0.3 if quick else 1.0, rounds)
        yield Line("loopback, TLS", MIDDLE, 0.3 if quick else 1.0, rounds, tls=True)
        yield Line("loopback, just started", MIDDLE, 0, rounds, fresh=FIRST)
        yield Line("loopback, TLS, just started", MIDDLE, 0, rounds, tls=True, fresh=FIRST)
    elif part == "list":
        yield Line("loopback, a list", MIDDLE, 0.6 if quick else 2.0, rounds)
    else:
        for trip in (SHORT, LONG):
            # The first envelope of a turn takes a round trip of its own: little beside so many others. One
            # turn takes long here, and is much like the next.
            seconds = max(1.0, 15 * trip) if quick else max(2.0, 40 * trip)
            for connections in CONNECTIONS:
                name = f"round trip {1000 * trip:.0f} ms"
                yield Line(name, connections, seconds, min(3, rounds), round_trip=trip)


def takes_part(side: str, part: str, line: Line) -> bool:
    if part == "list":
        return side in (LIST, NODE, AIO)
    return side != LIST and not (line.tls and side == SOURCE)  # which speaks none


def tabulate(line: Line, turns: Turns, report: Report) -> None:
    for name, taken in turns.items():
        rates = [rate(turn) for turn in taken]
        peak = max(turn.peak for turn in taken)
        to_node = ["", ""]
        if NODE in turns:
            to_node = [f"{median(paired(taken, turns[NODE], figure)):.3g}" for figure in (rate, cpu_each)]
        report.rows.append(
            (
                line.name,
                str(line.connections),
                name,
                shown(median(rates)),
                f"{shown(min(rates))} … {shown(max(rates))}",
                f"{1000 * middle(taken, cpu_each):.3f}",
                f"{1000 * middle(taken, served_each):.4f}",
                f"{peak / MIB:.0f}" if peak else "",
                *to_node,
            )
        )
    if RAW in turns and line.connections == MIDDLE and not line.round_trip:
        most = 1 / middle(turns[RAW], served_each)
        report.facts[f"the sink's limit, {line.name}"] = f"{most:.0f} messages/CPU s"


def shown(figure: float) -> str:
    return f"{figure:.0f}" if figure >= 100 else f"{figure:.1f}"


def judge(line: Line, turns: Turns, report: Report) -> None:
    """The targets of this line, those of them whose sides took part."""

    def at_least(limit: float, ours: str, theirs: str) -> None:
        if theirs in turns:
            name = f"{line.name}, {line.connections}: {ours}, rate over {theirs.partition(',')[0]}"
            report.at_least(name, limit, paired(turns[ours], turns[theirs], rate))

    if line.round_trip:
        at_least(1.9, PIPELINING, NODE)
        at_least(3.8, PIPELINING, AIO)
        if (line.round_trip, line.connections) == (SHORT, MIDDLE):
            at_least(20, WINDOW, NODE)
    elif LIST in turns:
        at_least(3, LIST, NODE)
    elif line.connections == MIDDLE:
        at_least(8, PIPELINING, NODE)
        at_least(15, PIPELINING, AIO)
        at_least(0.7, PIPELINING, SOURCE)
        if NODE in turns:
            name = f"{line.name}, {line.connections}: {PIPELINING}, CPU a message over {NODE}"
            report.at_most(name, 0.12, paired(turns[PIPELINING], turns[NODE], cpu_each))


if __name__ == "__main__":
    sys.exit(main())
