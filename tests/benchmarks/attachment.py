"""A message with an attachment of 25 MB, given as base64, from its fields to the server's last reply.

A connection of its own each time, plain and over TLS. Targets: at most 0.25 times the wall time of nodemailer
and 0.08 times that of aiosmtplib with EmailMessage; and at most a tenth of the attachment more memory
resident than with the input parsed.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Callable
from contextlib import ExitStack
from email import message_from_bytes  # noqa: TID251
from email.policy import default  # noqa: TID251
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

from fixtures import with_attachment
from harness import Program, Turn, arguments, cpu_each, in_turns, middle, paired, python_peer, sink, wall_each
from memory import MIB, Peak, resident
from nodejs import NODEMAILER, Missing, find_node
from report import Report

SIZE = 25_000_000
OURS, NODE = "nina_smtp send_async", "nodemailer"
AIO, RAW = "aiosmtplib + EmailMessage", "finished message, sendall"
LIMIT = {NODE: 0.25, AIO: 0.08}
GROWTH = 0.1
HEADINGS = (
    "side",
    "way",
    "wall s",
    "CPU s",
    "sink CPU s",
    "parsed MiB",
    "peak MiB",
    "growth/payload",
)


def main() -> int:
    options = arguments(__doc__, rounds=9)
    report = Report("Attachment of 25 MB in base64", HEADINGS, ["nina-smtp", "aiosmtplib"])
    peers: dict[str, Callable[[], Program]] = {
        OURS: lambda: python_peer("attach_nina"),
        AIO: lambda: python_peer("attach_aiosmtplib"),
        RAW: lambda: python_peer("attach_raw"),
    }
    try:
        node = find_node()
        peers[NODE] = lambda: node.peer("attach", "--expose-gc")
        report.facts |= {"Node": node.version, "nodemailer": NODEMAILER}
    except Missing as reason:
        report.skip(reason)
    with TemporaryDirectory() as folder:
        fields, content = with_attachment(SIZE)
        small, _ = with_attachment(3000)
        files = {name: Path(folder, name) for name in ("big", "small", "kept")}
        files["big"].write_text(json.dumps(fields))
        files["small"].write_text(json.dumps(small))
        digest = hashlib.sha256(content).hexdigest()
        del fields, content
        for way, sink_options in {"plain": [], "TLS": ["--tls"]}.items():
            measure(way, sink(*sink_options), peers, files, digest, report, options.rounds)
    return report.finish(options.json)


def measure(
    way: str,
    server: Program,
    peers: dict[str, Callable[[], Program]],
    files: dict[str, Path],
    digest: str,
    report: Report,
    rounds: int,
) -> None:
    with ExitStack() as running:
        running.enter_context(server)
        address = server.ask("address")
        sink_cpu = dict.fromkeys(peers, 0.0)

        def turn_of(name: str, program: Program) -> Callable[[], Turn]:
            def take() -> Turn:
                before = server.ask("count")
                turn = program.turn(1, server=address)
                after = server.ask("count")
                if after["messages"] != before["messages"] + 1:
                    raise SystemExit(f"{name} did not send its message.")
                sink_cpu[name] += after["cpu"] - before["cpu"]
                return turn

            return take

        programs = {name: running.enter_context(start()) for name, start in peers.items()}
        for name, program in programs.items():
            program.ask("load", path=str(files["big"]))
            if name != RAW:
                server.ask("keep", path=str(files["kept"]))
                program.turn(1, server=address)
                server.ask("keep", path=None)
                verify(files["kept"].read_bytes(), digest, name)
            program.turn(1, server=address)
        turns = in_turns({name: turn_of(name, program) for name, program in programs.items()}, rounds)
        for program in programs.values():
            program.ask("load", path=str(files["small"]))
        for name, start in peers.items():
            row = [name, way, *(f"{middle(turns[name], figure):.4f}" for figure in (wall_each, cpu_each))]
            row.append(f"{sink_cpu[name] / rounds:.4f}")
            if name == RAW or not sys.platform.startswith("linux"):
                report.rows.append((*row, "", "", ""))
                continue
            grown = [growth(start(), files, address) for _ in range(3)]
            parsed, peak = (median(column) for column in zip(*grown, strict=True))
            report.rows.append(
                (*row, f"{parsed / MIB:.1f}", f"{peak / MIB:.1f}", f"{(peak - parsed) / SIZE:.2f}")
            )
            if name == OURS:
                growths = [(most - before) / SIZE for before, most in grown]
                report.at_most(f"{way}: resident memory grows, over the payload", GROWTH, growths)
        for name, limit in LIMIT.items():
            if name in turns:
                ratios = paired(turns[OURS], turns[name], wall_each)
                report.at_most(f"{way}: wall time, over {name}", limit, ratios)


def growth(program: Program, files: dict[str, Path], address: dict[str, Any]) -> tuple[int, int]:
    """Resident bytes of a fresh process: with its input parsed, and at most while it sends.

    It has sent a small message before, so what is loaded on first use (TLS, libmagic, …) does not count.
    """
    with program:
        program.ask("load", path=str(files["small"]))
        program.turn(1, server=address)
        program.ask("load", path=str(files["big"]))
        program.ask("settle")
        parsed = resident(program.pid)
        with Peak(program.pid) as peak:
            program.turn(1, server=address)
        return parsed, peak.bytes


def verify(message: bytes, digest: str, side: str) -> None:
    """That the attachment arrived, to the last byte."""
    read = message_from_bytes(message, policy=default)
    wanted, _ = with_attachment(9)
    parts = list(read.iter_attachments())
    facts = {
        "subject": (read["Subject"], wanted["subject"]),
        "body": (read.get_body(("plain",)).get_content().strip(), wanted["body"].strip()),
        "file name": ([part.get_filename() for part in parts], ["report.pdf"]),
        "type": ([part.get_content_type() for part in parts], ["application/pdf"]),
        "content": ([hashlib.sha256(part.get_payload(decode=True)).hexdigest() for part in parts], [digest]),
    }
    for fact, (found, expected) in facts.items():
        if found != expected:
            raise SystemExit(f"{side} sends another message: its {fact} is {found!r}, not {expected!r}.")


if __name__ == "__main__":
    sys.exit(main())
