"""The two servers together: in a program or a test (:class:`Inbox`), or as a command (:func:`serve`)."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import ipaddress
import logging
import signal
import socket
import sys
from types import TracebackType
from typing import TYPE_CHECKING, Self

from nina_smtp.errors import NinaError, ParameterError
from nina_smtp.inbox.store import KEEP, MAX_BYTES, Message, Messages

if TYPE_CHECKING:
    from nina_smtp.inbox import smtp as smtp_side
    from nina_smtp.inbox import web as web_side

SMTP_PORT = 2525
HTTP_PORT = 8025


class Inbox:
    """An SMTP server that keeps every message, and a web page to read them, on loopback.

    Port 0 takes a free one; ``smtp_port`` and ``http_port`` are the real ones once it runs. ``messages``
    holds the newest ``keep`` messages, up to ``max_bytes``, and is gone with the inbox.
    """

    def __init__(
        self,
        host: str = "127.0.0.1",
        smtp_port: int = 0,
        http_port: int = 0,
        keep: int = KEEP,
        *,
        max_bytes: int = MAX_BYTES,
    ) -> None:
        self.host = _loopback(host)
        self.smtp_port = smtp_port
        self.http_port = http_port
        self.messages = Messages(keep, max_bytes)
        self._running: tuple[smtp_side.Server, web_side.Server] | None = None

    @property
    def url(self) -> str:
        """Where the page is."""
        return f"http://{_in_url(self.host)}:{self.http_port}/"

    async def wait_for(self, count: int, timeout: float = 10.0) -> tuple[Message, ...]:
        """The messages, oldest first, as soon as ``count`` are kept; TimeoutError if that takes too long."""
        return await self.messages.wait_for(count, timeout)

    async def __aenter__(self) -> Self:
        """Starts both servers."""
        try:
            from nina_smtp.inbox import api, smtp, web
        except ModuleNotFoundError as error:
            package = (error.name or "").partition(".")[0]
            if package in {"", "nina_smtp"}:
                raise
            raise NinaError(
                f"The inbox needs {package}, which is not installed",
                hint='pip install "nina-smtp[inbox]"',
            ) from error

        with contextlib.ExitStack() as unless_started:
            smtp_socket = unless_started.enter_context(_listener(self.host, self.smtp_port, "SMTP"))
            http_socket = unless_started.enter_context(_listener(self.host, self.http_port, "web"))
            self.smtp_port = smtp_socket.getsockname()[1]
            self.http_port = http_socket.getsockname()[1]
            app = api.application(
                self.messages,
                hosts={
                    f"{host}:{self.http_port}"
                    for host in ("127.0.0.1", "localhost", "[::1]", _in_url(self.host))
                },
                smtp=(self.host, self.smtp_port),
            )
            self._running = smtp.Server(self.messages), web.Server(app)
            await self._running[0].start(smtp_socket)
            await self._running[1].start(http_socket)
            unless_started.pop_all()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stops both servers and closes every connection."""
        self.messages.close()
        if self._running is not None:
            for server in self._running:
                await server.stop()


def serve(
    host: str = "127.0.0.1",
    smtp_port: int = SMTP_PORT,
    http_port: int = HTTP_PORT,
    keep: int = KEEP,
    *,
    max_bytes: int = MAX_BYTES,
) -> None:
    """Runs the inbox until SIGINT or SIGTERM, and says on standard error where it is."""
    asyncio.run(_serve(Inbox(host, smtp_port, http_port, keep, max_bytes=max_bytes)))


async def _serve(inbox: Inbox) -> None:
    stop = asyncio.Event()
    # aiosmtpd logs what clients sent as it is: that is no text for a terminal.
    logging.getLogger("mail").addHandler(logging.NullHandler())
    logging.getLogger("mail").propagate = False
    async with inbox:
        _on_signal(stop)
        print(f"SMTP  {_in_url(inbox.host)}:{inbox.smtp_port}  (no encryption, any login)", file=sys.stderr)
        print(f"Page  {inbox.url}", file=sys.stderr)
        print("Mail sent here stays here. Ctrl+C stops it and forgets the mail.", file=sys.stderr, flush=True)
        await stop.wait()


def _on_signal(stop: asyncio.Event) -> None:
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        try:
            loop.add_signal_handler(number, stop.set)
        except NotImplementedError:  # Windows
            signal.signal(number, lambda _number, _frame: loop.call_soon_threadsafe(stop.set))


def _loopback(host: str) -> str:
    if host == "localhost":
        return "127.0.0.1"
    with contextlib.suppress(ValueError):
        if ipaddress.ip_address(host).is_loopback:
            return host
    raise ParameterError(
        f"The inbox listens on loopback only, not on {host!r}",
        hint="It has no login and no encryption: use 127.0.0.1",
        parameter="host",
    )


def _in_url(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _listener(host: str, port: int, name: str) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listener = socket.create_server((host, port), family=family)
        # Connections inherit it: without it every reply of several lines waits 40 ms for an acknowledgement.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return listener
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise NinaError(
                f"Port {port} is taken: the {name} side of the inbox cannot start.",
                hint="Stop the other program, or choose another port (0 takes a free one).",
            ) from error
        raise NinaError(
            f"Port {port} on {host} cannot be opened for the {name} side of the inbox: {error.strerror}.",
            hint="Choose a port from 1024 to 65535." if error.errno == errno.EACCES else None,
        ) from error
    except OverflowError as error:
        raise ParameterError(f"{port} is no port: 0 to 65535", parameter="port") from error
