"""A TCP server on a free loopback port: one thread a connection, all of them gone when the block ends."""

import socket
import struct
import threading
import time
from contextlib import suppress
from types import TracebackType
from typing import Self


def reset_on_close(connection: socket.socket) -> None:
    """Let the next close send RST instead of FIN."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def shut(connection: socket.socket, how: int = socket.SHUT_RDWR) -> None:
    """Shut a connection, which wakes a thread that waits on it.

    Not by the method of an SSL socket: that forgets TLS, and a thread that reads would then get cipher text.
    """
    with suppress(OSError):
        socket.socket.shutdown(connection, how)


class Listener:
    """Subclasses write `handle`; whatever it raises, other than the peer going away, the block raises."""

    host = "localhost"
    receive_buffer: int | None = None  # a small one lets a server that stops reading close its window

    def __init__(self) -> None:
        self.stopping = threading.Event()
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        self._threads: list[threading.Thread] = []
        self._errors: list[BaseException] = []

    def handle(self, connection: socket.socket) -> None:
        raise NotImplementedError

    def keep(self, connection: socket.socket) -> socket.socket:
        """Have `connection` shut when the server stops."""
        with self._lock:
            self._open.add(connection)
            stopping = self.stopping.is_set()
        if stopping:
            shut(connection)
        return connection

    def forget(self, connection: socket.socket) -> None:
        """No longer look after `connection`: TLS has taken it over."""
        with self._lock:
            self._open.discard(connection)

    def drop(self, connection: socket.socket) -> None:
        """Close `connection` and forget it."""
        self.forget(connection)
        shut(connection)
        connection.close()

    def spawn(self, target: object, *arguments: object) -> threading.Thread:
        """Run `target(*arguments)` in a thread that the end of the block joins."""

        def run() -> None:
            try:
                target(*arguments)  # type: ignore[operator]
            except OSError:
                pass  # the peer went away, or we did
            except BaseException as error:
                self._errors.append(error)

        thread = threading.Thread(target=run, daemon=True)
        with self._lock:
            self._threads.append(thread)
        thread.start()
        return thread

    def __enter__(self) -> Self:
        self._listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        if self.receive_buffer is not None:
            self._listening.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, self.receive_buffer)
        self._listening.bind(("127.0.0.1", 0))
        self._listening.listen(128)
        self._listening.settimeout(0.05)
        self.port: int = self._listening.getsockname()[1]
        self._acceptor = threading.Thread(target=self._accept, daemon=True)
        self._acceptor.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stopping.set()
        shut(self._listening)  # wakes accept on Linux; elsewhere its timeout does
        self._acceptor.join(5)
        self._listening.close()
        with self._lock:
            connections, threads = list(self._open), list(self._threads)
        for connection in connections:
            shut(connection, socket.SHUT_RD)  # what has already come is still read
        deadline = time.monotonic() + 2
        for thread in threads:
            thread.join(max(0.01, deadline - time.monotonic()))
        for connection in connections:
            shut(connection)
        for thread in threads:
            thread.join(5)
        if self._errors and error is None:
            raise self._errors[0]
        assert not any(thread.is_alive() for thread in threads), "a connection's thread did not end"

    def _accept(self) -> None:
        while not self.stopping.is_set():
            try:
                connection, _ = self._listening.accept()
            except OSError:  # nobody came, or shut, or the client went away before it was accepted
                continue
            connection.setblocking(True)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.keep(connection)
            self.spawn(self.handle, connection)
