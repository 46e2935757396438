"""SASL (RFC 4954): what a login says, challenge by challenge.

A mechanism says its commands in order, one for every challenge, and gives up when it has nothing left to say:
a server that challenges for ever gets nowhere. The text of a challenge is ignored: LOGIN and PLAIN do not
depend on it, and some servers put anything there.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterator
from dataclasses import dataclass

from nina_smtp.secret import Secret
from nina_smtp.smtp.phase import Phase
from nina_smtp.smtp.protocol import MAX_AUTH_LINE, Command


@dataclass(frozen=True, slots=True)
class Plain:
    """PLAIN (RFC 4616), with an initial response: one round trip."""

    username: str
    password: Secret
    name: str = "PLAIN"

    def commands(self) -> Iterator[Command]:
        """AUTH PLAIN with the response, behind it or, where that is too long, on a line of its own."""
        response = b64encode(f"\0{self.username}\0{self.password.reveal()}".encode())
        line = b"AUTH PLAIN " + response
        if len(line) > MAX_AUTH_LINE:
            yield _auth(b"AUTH PLAIN")
            yield _auth(response)
        else:
            yield _auth(line)


@dataclass(frozen=True, slots=True)
class Login:
    """LOGIN: user name, then password, each as an answer to a challenge. Obsolete, and what most want."""

    username: str
    password: Secret
    name: str = "LOGIN"

    def commands(self) -> Iterator[Command]:
        """AUTH LOGIN, the user name, the password."""
        yield _auth(b"AUTH LOGIN")
        yield _auth(b64encode(self.username.encode()))
        yield _auth(b64encode(self.password.reveal().encode()))


Mechanism = Plain | Login


def _auth(line: bytes) -> Command:
    return Command(line, Phase.AUTH, ends_group=True)
