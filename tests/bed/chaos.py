"""A proxy that spoils a TCP connection on purpose, for use in front of a real or a recording server.

    with ChaosProxy(port, cut_to_server=1000) as proxy:
        ...                              # a client connects to proxy.host, proxy.port
    proxy.relays[0].to_server            # how many octets went through

Counts are octets of one connection in one direction; "to server" is what the client sent.
"""

import re
import select
import socket
import time
from dataclasses import dataclass

from bed.listener import Listener, reset_on_close, shut

PATIENCE = 60.0  # seconds that a stalled connection is held at the most


@dataclass
class Relay:
    """One connection through the proxy."""

    to_server: int = 0
    to_client: int = 0
    swallowed: int = 0  # octets for the client that it did not get
    muted: bool = False
    ended_by: str | None = None  # cut, reset, stall, close_on; error where one side went away rudely


@dataclass(frozen=True)
class _Way:
    """One direction of a relay, with its faults."""

    name: str
    source: socket.socket
    sink: socket.socket
    cut: int | None
    reset: int | None
    stall: int | None
    flip: int | None


class ChaosProxy(Listener):
    """cut, reset and stall strike after so many octets: FIN, RST, or nothing more for ever, both ways.

    `flip_*` changes one bit of the octet with this index. `mute_after` is a pattern in clear text of the
    client from which on the server's answers are swallowed: `rb"\\r\\n\\.\\r\\n"` loses the reply to the
    final dot. `close_on` closes both sides when the client's text matches, before the server sees that text.
    `hide` is a word of the server, in clear text, that the client gets to see as X's: a keyword it shall do
    without. `chop` passes segments of so many octets, `delay` seconds apart.
    """

    def __init__(
        self,
        target_port: int,
        *,
        target_host: str = "127.0.0.1",
        cut_to_server: int | None = None,
        cut_to_client: int | None = None,
        reset_to_server: int | None = None,
        reset_to_client: int | None = None,
        stall_to_server: int | None = None,
        stall_to_client: int | None = None,
        flip_to_server: int | None = None,
        flip_to_client: int | None = None,
        mute_after: bytes | None = None,
        close_on: bytes | None = None,
        chop: int | None = None,
        hide: bytes | None = None,
        delay: float = 0.0,
    ) -> None:
        super().__init__()
        self.target = (target_host, target_port)
        self.faults = {
            "to_server": (cut_to_server, reset_to_server, stall_to_server, flip_to_server),
            "to_client": (cut_to_client, reset_to_client, stall_to_client, flip_to_client),
        }
        self.mute_after = re.compile(mute_after, re.IGNORECASE | re.DOTALL) if mute_after else None
        self.close_on = re.compile(close_on, re.IGNORECASE | re.DOTALL) if close_on else None
        self.chop = chop
        self.hide = hide
        self.delay = delay
        self.relays: list[Relay] = []

    def handle(self, connection: socket.socket) -> None:
        relay = Relay()
        self.relays.append(relay)
        try:
            server = self.keep(socket.create_connection(self.target, 10))
        except OSError:
            reset_on_close(connection)
            self.forget(connection)
            connection.close()
            return
        server.settimeout(None)
        server.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        forth = _Way("to_server", connection, server, *self.faults["to_server"])
        back = self.spawn(self._pump, _Way("to_client", server, connection, *self.faults["to_client"]), relay)
        try:
            self._pump(forth, relay)
            back.join()
        finally:
            for one in (connection, server):
                if relay.ended_by == "reset":
                    reset_on_close(one)
                    self.forget(one)
                    one.close()
                else:
                    self.drop(one)

    def _pump(self, way: _Way, relay: Relay) -> None:
        """Pass one direction on until its end, which is passed on too, or until a fault ends both."""
        seen = b""
        try:
            while self._readable(way.source, relay) and (octets := way.source.recv(65536)):
                if way.name == "to_server":
                    seen = (seen + octets)[-200_000:]
                    if self.mute_after and self.mute_after.search(seen):
                        relay.muted = True
                    if self.close_on and self.close_on.search(seen):
                        relay.ended_by = "close_on"
                        return
                elif self.hide:
                    octets = octets.replace(self.hide, b"X" * len(self.hide))
                if way.name == "to_client" and relay.muted:
                    relay.swallowed += len(octets)
                    continue
                self._pass(way, relay, octets)
            if relay.ended_by is None:
                shut(way.sink, socket.SHUT_WR)
        except OSError:
            relay.ended_by = relay.ended_by or "error"  # one side has gone: so goes the other

    def _readable(self, source: socket.socket, relay: Relay) -> bool:
        """Wait for octets; in turns, as a socket that another thread waits on cannot be reset."""
        watch = select.poll()
        watch.register(source, select.POLLIN)
        while relay.ended_by is None:
            if watch.poll(20):
                return True
        return False

    def _pass(self, way: _Way, relay: Relay, octets: bytes) -> None:
        """Send `octets` on, up to where a fault strikes."""
        done: int = getattr(relay, way.name)
        if way.flip is not None and done <= way.flip < done + len(octets):
            spoiled = bytearray(octets)
            spoiled[way.flip - done] ^= 1
            octets = bytes(spoiled)
        limits = {"cut": way.cut, "reset": way.reset, "stall": way.stall}
        struck = [kind for kind, limit in limits.items() if limit is not None and done + len(octets) >= limit]
        for kind in struck:
            octets = octets[: max(0, (limits[kind] or 0) - done)]
        step = self.chop or max(1, len(octets))
        for start in range(0, len(octets), step):
            if start and self.delay and self.stopping.wait(self.delay):
                return
            segment = octets[start : start + step]
            way.sink.sendall(segment)
            done += len(segment)
            setattr(relay, way.name, done)
        if "stall" in struck:
            self._hold(way.source if way.name == "to_server" else way.sink)
        if struck:
            relay.ended_by = struck[0]

    def _hold(self, client: socket.socket) -> None:
        """Pass nothing on until the client has gone."""
        watch = select.poll()
        watch.register(client, getattr(select, "POLLRDHUP", 0) | select.POLLHUP | select.POLLERR)
        deadline = time.monotonic() + PATIENCE
        while not self.stopping.is_set() and time.monotonic() < deadline and not watch.poll(20):
            pass
