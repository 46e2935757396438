"""What is to be written next, gathered for one write; and contents as they are written."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nina_smtp.smtp.connection import Connection
from nina_smtp.smtp.mail import Mail
from nina_smtp.smtp.wire import DotStuffer

if TYPE_CHECKING:
    from nina_smtp.smtp.flight import InFlight

WRITE = 128 * 1024
"""Octets of content that are handed to the transport at a time."""


class Outlet:
    """Octets for ``connection``, ``size`` of them; ``ends`` has the mails whose last octets are in them."""

    def __init__(self, connection: Connection) -> None:
        self.size = 0
        self.ends: list[InFlight] = []
        self._connection = connection
        self._octets: list[bytes] = []

    def put(self, octets: bytes) -> None:
        """They go out with the next write."""
        self._octets.append(octets)
        self.size += len(octets)

    def flush(self) -> None:
        """Writes what there is. Raises NinaError."""
        if self.size:
            self._connection.write(b"".join(self._octets))
            self.clear()

    def clear(self) -> None:
        """Nothing is to be written any more."""
        self._octets.clear()
        self.ends.clear()
        self.size = 0


def octets_of(mail: Mail, *, chunked: bool) -> bytes:
    """The whole content of a small mail as it is written, and what ends it."""
    content = whole_content(mail)
    if chunked:
        return b"BDAT %d LAST\r\n%b" % (mail.size, content)
    stuffer = DotStuffer()
    return stuffer.feed(content) + stuffer.end()


def whole_content(mail: Mail) -> bytes:
    """The content of a small mail. Raises ValueError if it is not what was announced."""
    content = b"".join(mail.chunks())
    check_size(mail, len(content))
    return content


def check_size(mail: Mail, octets: int) -> None:
    """Raises ValueError if the content has not the size that was announced: a server would take what is
    beyond a chunk for commands.
    """
    if octets != mail.size:
        raise ValueError("the content has not the size that was announced")
