"""The sinks and the lines that the rates are measured against."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import trustme
from compiler import NotCompiled, compiled
from harness import Program, sink
from report import Report

SLOW = 15_000  # messages a second that sink.py takes


@dataclass(frozen=True, slots=True)
class Sink:
    """A sink that runs. ``address`` is as ``sink.py`` answers it."""

    program: Program
    address: dict[str, Any]

    def count(self) -> dict[str, float]:
        """Messages so far, and CPU seconds used."""
        return self.program.ask("count")


@contextmanager
def fast_sink(report: Report, *, tls: bool = False, without: Sequence[str] = ()) -> Iterator[Sink]:
    """``native/sink.c``; or ``sink.py``, where that cannot be compiled, and ``report`` says so."""
    try:
        executable = compiled("sink", tls=tls)
    except NotCompiled as reason:
        report.skip(f"{reason} Its messages go to sink.py: rates above {SLOW} a second are the sink's.")
        with sink(*["--tls"] * tls, *(["--without", *without] if without else [])) as program:
            yield Sink(program, program.ask("address"))
        return
    options: list[str | Path] = [word for keyword in without for word in ("--without", keyword)]
    with TemporaryDirectory() as folder:
        authority = trustme.CA(key_type=trustme.KeyType.ECDSA)
        if tls:
            pem = Path(folder, "server.pem")
            issued = authority.issue_cert("127.0.0.1", "localhost")
            pem.write_bytes(issued.private_key_and_cert_chain_pem.bytes())
            options += ["--pem", pem]
        with Program([executable, *options]) as program:
            trust = {"tls": tls, "ca": authority.cert_pem.bytes().decode()}
            yield Sink(program, program.ask("address") | trust)


@contextmanager
def delayed(address: dict[str, Any], seconds: float) -> Iterator[dict[str, Any]]:
    """The way to ``address`` with a round trip of so many seconds. Raises NotCompiled."""
    with Program([compiled("delay"), str(address["port"]), str(seconds)]) as line:
        yield address | line.ask("address")


def round_trip(address: dict[str, Any], times: int = 15) -> float:
    """Seconds between a NOOP and its reply."""
    taken = []
    with socket.create_connection((address["host"], address["port"])) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with connection.makefile("rb") as replies:
            replies.readline()
            for _ in range(times):
                started = time.perf_counter()
                connection.sendall(b"NOOP\r\n")
                replies.readline()
                taken.append(time.perf_counter() - started)
    return median(taken)
