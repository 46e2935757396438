"""A faulty SMTP server: one behaviour a name, everything else correct and recorded.

    with FaultyServer("t_strip", tls=certs) as server:
        ...                                  # a client connects to server.host, server.port
    assert not server.saw_secret("s3cr3t") and not server.messages

It is a `Recorder`, so sessions, commands and messages are there too; `server.messages` are those it took,
whatever it told the client. What would be endless ends when the peer leaves, or with `patience`, or after
`flood_limit` octets, or with the block.
"""

import functools
import select
import socket
import ssl
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any, Literal

from bed.certs import KINDS, Certs
from bed.dialogue import Dialogue
from bed.faults import FAULTS
from bed.listener import reset_on_close
from bed.recorder import EVERYTHING, Recorder

__all__ = ["FAULTS", "FaultyServer", "tls11_possible"]


class FaultyDialogue(Dialogue):
    """A dialogue with the hooks of one fault in place, and the ways to misbehave they are made of."""

    server: "FaultyServer"

    def __init__(self, server: "FaultyServer", connection: socket.socket) -> None:
        super().__init__(server, connection)
        self.challenged = 0
        self.rcpt_replies: Iterator[bytes] | None = None
        self.deadline = time.monotonic() + server.patience
        for name, hook in FAULTS[server.fault].hooks.items():
            setattr(self, name, functools.partial(hook, self))

    def correct(self, name: str) -> Callable[..., Any]:
        """The method that the fault stands in for."""
        return getattr(Dialogue, name).__get__(self)  # type: ignore[no-any-return]

    def hang_up(self) -> None:
        self.closing = True

    def reset(self) -> None:
        reset_on_close(self.connection)
        self.server.forget(self.connection)
        self.connection.close()
        self.closing = True

    def silence(self) -> None:
        """Read on, and answer nothing."""
        self.connection.settimeout(max(0.01, self.deadline - time.monotonic()))
        while time.monotonic() < self.deadline and self.receive():
            pass
        self.closing = True

    def hold(self) -> None:
        """Neither read nor answer until the peer has gone."""
        watch = select.poll()
        watch.register(self.connection, getattr(select, "POLLRDHUP", 0) | select.POLLHUP | select.POLLERR)
        while not self.server.stopping.is_set() and time.monotonic() < self.deadline:
            if watch.poll(50):
                break
        self.closing = True

    def flood(self, octets: bytes) -> None:
        """Send `octets` again and again."""
        self.closing = True
        self.connection.settimeout(1)
        while self.server.flooded < self.server.flood_limit and time.monotonic() < self.deadline:
            if self.server.stopping.is_set():
                return
            with suppress(TimeoutError):  # the peer does not read
                self.server.flooded += self.connection.send(octets)

    def flood_250(self) -> None:
        self.flood(b"250-2.0.0 still thinking\r\n" * 1000)

    def drip(self, octets: bytes) -> None:
        """Send one octet each `server.drip_interval` seconds."""
        self.closing = True
        for octet in octets:
            if time.monotonic() > self.deadline or self.server.stopping.wait(self.server.drip_interval):
                return
            self.connection.sendall(bytes([octet]))


class FaultyServer(Recorder):
    """`tls` gives the certificates, `mode` how TLS is used where the fault is not about just that.

    Without STARTTLS in the mode, AUTH is offered in clear.
    """

    dialogue = FaultyDialogue

    def __init__(
        self,
        fault: str,
        tls: Certs | None = None,
        *,
        mode: Literal["none", "starttls", "implicit"] = "starttls",
        patience: float = 20.0,
        drip_interval: float = 0.4,
        flood_limit: int = 64 << 20,
        keywords: tuple[str, ...] = EVERYTHING,
    ) -> None:
        assert fault in FAULTS, f"no such fault: {fault}"
        kind = fault.removeprefix("t_")
        super().__init__(keywords, tls=mode, certs=tls, certificate=kind if kind in KINDS else "good")
        self.fault = fault
        self.patience = patience
        self.drip_interval = drip_interval
        self.flood_limit = flood_limit
        self.flooded = 0
        if fault == "d_stop":
            self.receive_buffer = 4096

        self._tls11 = _tls11_context(self.certs) if fault == "t_tls11" else None

    def server_context(self) -> ssl.SSLContext:
        return self._tls11 or super().server_context()


def _tls11_context(certs: Certs) -> ssl.SSLContext:
    context = certs.server_context()
    with warnings.catch_warnings():  # made before any thread starts: this is not safe within one
        warnings.simplefilter("ignore", DeprecationWarning)
        context.set_ciphers("ALL:@SECLEVEL=0")
        context.minimum_version = ssl.TLSVersion.TLSv1
        context.maximum_version = ssl.TLSVersion.TLSv1_1
    return context


def tls11_possible() -> bool:
    """Whether this Python can still speak TLS 1.1, which t_tls11 takes."""
    return ssl.HAS_TLSv1_1
