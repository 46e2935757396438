"""One measurement of rates: every side in turns, over the same number of connections to the same sinks."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack, nullcontext
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from clients import FEED, Client, Peer, SmtpSource
from harness import Program, Turn, in_turns
from report import Report
from servers import Sink, delayed, fast_sink, round_trip

WARM_UP = 3  # seconds; V8 compiles as it goes, and nodemailer takes half the CPU then that it took at first


@dataclass(frozen=True, slots=True)
class Line:
    """Where messages go, over how many connections; how long a turn lasts, about, and how many there are."""

    name: str
    connections: int
    seconds: float
    rounds: int
    tls: bool = False
    round_trip: float = 0.0  # in seconds
    fresh: int = 0  # if set, a turn is the first so many messages of a client that has just been started


@dataclass(frozen=True, slots=True)
class Side:
    """What is measured: a program, started anew for each line, or smtp-source if there is none to start."""

    start: Callable[[], Program] | None
    messages: Path
    options: Mapping[str, Any] = field(default_factory=dict)
    chunking: bool = False  # it is given the sink that offers it
    opens_each_turn: bool = False
    count: int | None = None  # of messages in a turn, if they are not to fill the time

    def peer(self, address: Mapping[str, Any], connections: int) -> Peer:
        assert self.start
        return Peer(self.start(), self.messages, address, connections, self.options, self.opens_each_turn)


@dataclass(frozen=True, slots=True)
class Sent(Turn):
    """A turn; the most its client had resident, in bytes; and the sink's CPU seconds."""

    peak: int
    served: float


Turns = Mapping[str, list[Sent]]


def measured(line: Line, sides: Mapping[str, Side], size: int, report: Report) -> Turns:
    """The turns of each side. ``size`` is that of a message, for smtp-source. Raises NotCompiled."""
    with ExitStack() as running:
        servers: dict[bool, tuple[Sink, dict[str, Any]]] = {}
        for chunking in {side.chunking for side in sides.values()}:
            without = [] if chunking else ["CHUNKING"]
            server = running.enter_context(fast_sink(report, tls=line.tls, without=without))
            way = delayed(server.address, line.round_trip) if line.round_trip else nullcontext(server.address)
            servers[chunking] = server, running.enter_context(way)
        if line.round_trip:
            report.facts[line.name] = f"measured {1000 * round_trip(servers[False][1]):.1f}"
        takes: dict[str, Callable[[], Sent]] = {}
        for name, side in sides.items():
            server, address = servers[side.chunking]

            def client_of(side: Side = side, address: Mapping[str, Any] = address) -> Client:
                if side.start:
                    return side.peer(address, line.connections)
                return SmtpSource(address, line.connections, size)

            if line.fresh:
                takes[name] = partial(first, name, client_of, server, line.fresh)
                continue
            client = running.enter_context(client_of())
            send = checked(name, client, server)
            count = side.count or warmed_up(line, send)
            send(count)
            takes[name] = lambda send=send, count=count: send(count)
        return in_turns(takes, line.rounds)


def first(name: str, client_of: Callable[[], Client], server: Sink, count: int) -> Sent:
    """The first messages of a client: each of its connections is open, and little has gone over it."""
    with client_of() as client:
        return checked(name, client, server)(count)


def checked(name: str, client: Client, server: Sink) -> Callable[[int], Sent]:
    """Sends, and sees that all of it arrived."""

    def send(count: int) -> Sent:
        before = server.count()
        turn, peak = client.send(count)
        after = server.count()
        arrived = after["messages"] - before["messages"]
        if arrived != count + client.beside:
            raise SystemExit(f"{name} sent {arrived} messages instead of {count + client.beside}.")
        served = (after["cpu"] - before["cpu"]) * count / arrived
        return Sent(turn.count, turn.wall, turn.cpu, peak, served)

    return send


def warmed_up(line: Line, send: Callable[[int], Sent]) -> int:
    """How many messages fill a turn, as many on each connection; found out while the side warms up."""
    count, started = FEED * line.connections, time.monotonic()
    while True:
        turn = send(count)
        if turn.wall < line.seconds / 4:
            count *= 4
        elif time.monotonic() > started + WARM_UP:
            return line.connections * max(1, round(line.seconds * rate(turn) / line.connections))


def rate(turn: Turn) -> float:
    return turn.count / turn.wall


def served_each(turn: Sent) -> float:
    return turn.served / turn.count
