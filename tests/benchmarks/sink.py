"""An SMTP server that takes everything as fast as Python can and keeps only the last message, if asked to.

A process of its own, driven over stdin and stdout like the peers (``peers/loop.py``) and gone with its stdin:

``address``  where it listens: ``{"host", "port", "tls", "ca"}``, ``ca`` the PEM of the authority to trust
``count``    messages so far and CPU seconds used
``keep``     from now on writes every message to ``path``, overwriting the last one; ``null`` stops that

It offers PIPELINING, 8BITMIME, SMTPUTF8, SIZE, CHUNKING, STARTTLS where there is no TLS yet, and AUTH PLAIN
and LOGIN, which take any password. Replies to commands that arrived together leave together.
"""

import argparse
import socket
import ssl
import sys
import threading
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import trustme

sys.path.insert(0, str(Path(__file__).parent / "peers"))
from loop import cpu_seconds, serve

HOST = "127.0.0.1"
BUFFER = 512 * 1024
OFFERS = ("PIPELINING", "8BITMIME", "SMTPUTF8", "SIZE 104857600", "CHUNKING", "AUTH PLAIN LOGIN")
END = b"\r\n.\r\n"
CHALLENGES = {b"PLAIN": (b"",), b"LOGIN": (b"VXNlcm5hbWU6", b"UGFzc3dvcmQ6")}


class Sink:
    """Listens, and serves each connection in a thread."""

    def __init__(self, *, tls: bool, offers: tuple[str, ...]) -> None:
        self.tls, self.offers = tls, offers
        self.messages = 0
        self.path: Path | None = None
        self._lock = threading.Lock()
        self._listening = socket.create_server((HOST, 0), backlog=128)
        authority = trustme.CA(key_type=trustme.KeyType.ECDSA)
        self.authority = authority.cert_pem.bytes().decode()
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        with TemporaryDirectory() as folder:
            pem = Path(folder, "server.pem")
            pem.write_bytes(authority.issue_cert(HOST, "localhost").private_key_and_cert_chain_pem.bytes())
            self.context.load_cert_chain(pem)

    def start(self) -> None:
        threading.Thread(target=self._accept, daemon=True).start()

    def address(self) -> dict[str, Any]:
        return {"host": HOST, "port": self._listening.getsockname()[1], "tls": self.tls, "ca": self.authority}

    def count(self) -> dict[str, float]:
        return {"messages": self.messages, "cpu": cpu_seconds()}

    def keep(self, path: str | None) -> None:
        self.path = Path(path) if path else None

    def took(self, content: bytearray | None) -> None:
        """One more message, with its content if it was to be kept."""
        if self.path and content is not None:
            self.path.write_bytes(content)
        with self._lock:
            self.messages += 1

    def _accept(self) -> None:
        while True:
            connection, _ = self._listening.accept()
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        try:
            if self.tls:
                connection = self.context.wrap_socket(connection, server_side=True)
            Session(connection, self, encrypted=self.tls).run()
        except OSError:
            pass  # the client went away
        finally:
            connection.close()


class Session:
    """One connection. ``buffer[start:end]`` has been received and not been read yet."""

    def __init__(self, connection: socket.socket, sink: Sink, *, encrypted: bool) -> None:
        self.connection, self.sink, self.encrypted = connection, sink, encrypted
        self.buffer = bytearray(BUFFER)
        self.view = memoryview(self.buffer)
        self.start = self.end = 0
        self.replies: list[bytes] = []
        self.chunks: bytearray | None = None  # what BDAT has brought of the current message

    def run(self) -> None:
        self.replies.append(b"220 sink ESMTP")
        while True:
            line = self._line()
            verb, _, rest = line.partition(b" ")
            match verb.upper():
                case b"MAIL" | b"RCPT" | b"RSET" | b"NOOP":
                    self.chunks = None
                    self.replies.append(b"250 2.0.0 Ok")
                case b"DATA":
                    self.replies.append(b"354 Go on")
                    self._data()
                    self.replies.append(b"250 2.0.0 Ok: taken")
                case b"BDAT":
                    self._bdat(*rest.upper().split())
                case b"EHLO":
                    offers = self.sink.offers if self.encrypted else (*self.sink.offers, "STARTTLS")
                    lines = ["sink", *offers]
                    self.replies += [f"250-{text}".encode() for text in lines[:-1]]
                    self.replies.append(f"250 {lines[-1]}".encode())
                case b"HELO":
                    self.replies.append(b"250 sink")
                case b"AUTH":
                    self._auth(*rest.split())
                case b"STARTTLS" if not self.encrypted:
                    self._starttls()
                case b"QUIT":
                    self.replies.append(b"221 2.0.0 Bye")
                    self._flush()
                    return
                case _:
                    self.replies.append(b"500 5.5.1 Unknown command")

    def _line(self) -> bytes:
        while (newline := self.buffer.find(b"\n", self.start, self.end)) < 0:
            self._receive(self.end - self.start)
        line = bytes(self.view[self.start : newline]).rstrip(b"\r")
        self.start = newline + 1
        return line

    def _receive(self, kept: int) -> None:
        """Receives more, after the last ``kept`` octets of what is there."""
        self._flush()
        self.buffer[:kept] = self.buffer[self.end - kept : self.end]
        received = self.connection.recv_into(self.view[kept:])
        if not received:
            raise ConnectionResetError
        self.start, self.end = 0, kept + received

    def _flush(self) -> None:
        if self.replies:
            self.connection.sendall(b"\r\n".join([*self.replies, b""]))
            self.replies.clear()

    def _data(self) -> None:
        """Reads to the final dot; from dot to dot, as base64 has none and ``find`` is fast for one octet."""
        content = bytearray() if self.sink.path else None
        self.start -= 2  # the line end of DATA, for a content that begins with a dot
        scanned = self.start
        while True:
            dot = self.buffer.find(b".", scanned, self.end)
            while dot >= 0:
                if self.buffer[dot - 2 : min(dot + 3, self.end)] == END:
                    break
                dot = self.buffer.find(b".", dot + 1, self.end)
            if dot >= 0:
                break
            kept = min(4, self.end - self.start)  # an END cut off by the end of the buffer
            if content is not None:
                content += self.view[self.start : self.end - kept]
            self._receive(kept)
            scanned = 2
        if content is not None:
            content += self.view[self.start : dot]
            content = content.replace(b"\r\n.", b"\r\n")[2:]
        self.start = dot + 3
        self.sink.took(content)

    def _bdat(self, size: bytes, last: bytes = b"") -> None:
        left = int(size)
        if self.chunks is None:
            self.chunks = bytearray()
        while left:
            if self.start == self.end:
                self._receive(0)
            part = min(left, self.end - self.start)
            if self.sink.path:
                self.chunks += self.view[self.start : self.start + part]
            self.start += part
            left -= part
        if last:
            self.sink.took(self.chunks)
            self.chunks = None
        self.replies.append(b"250 2.0.0 Ok: taken")

    def _auth(self, mechanism: bytes, initial: bytes = b"") -> None:
        prompts = CHALLENGES.get(mechanism.upper())
        if prompts is None:
            self.replies.append(b"504 5.5.4 Unknown mechanism")
            return
        for prompt in prompts[bool(initial) :]:
            self.replies.append(b"334 " + prompt)
            self._line()
        self.replies.append(b"235 2.7.0 Welcome")

    def _starttls(self) -> None:
        self.replies.append(b"220 2.0.0 Go on")
        self._flush()
        if self.start != self.end:
            raise ConnectionResetError  # RFC 3207, 6: nothing may follow STARTTLS in the clear
        self.connection = self.sink.context.wrap_socket(self.connection, server_side=True)
        self.encrypted = True
        self.start = self.end = 0


def main() -> None:
    parser = argparse.ArgumentParser(description="An SMTP server for measurements; it takes orders on stdin.")
    parser.add_argument("--tls", action="store_true", help="TLS from the first octet")
    parser.add_argument("--without", nargs="*", default=[], metavar="KEYWORD", help="extensions not to offer")
    arguments = parser.parse_args()
    offers = tuple(offer for offer in OFFERS if offer.split()[0] not in arguments.without)
    sink = Sink(tls=arguments.tls, offers=offers)
    sink.start()
    serve(address=sink.address, count=sink.count, keep=sink.keep)


if __name__ == "__main__":
    main()
