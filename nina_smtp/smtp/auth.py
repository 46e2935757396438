"""SASL (RFC 4954): what a login says, challenge by challenge.

A mechanism says its commands in order, one for every challenge, and gives up when it has nothing left to say:
a server that challenges for ever gets nowhere. The text of a challenge is ignored: LOGIN and PLAIN do not
depend on it, and some servers put anything there.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

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
        return _initial_response(self.name, f"\0{self.username}\0{self.password.reveal()}")


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


@dataclass(frozen=True, slots=True)
class PlainOrLogin:
    """PLAIN where the server offers it, else LOGIN: what other clients do who have no setting for it.

    It is the same password in the same session either way, so nothing is lost by the choice.
    """

    username: str
    password: Secret
    name: str = "PLAIN or LOGIN"

    def chosen(self, offered: Collection[str]) -> Plain | Login | None:
        """The mechanism for a server that offers these; None if it has neither."""
        kind = Plain if "PLAIN" in offered else Login if "LOGIN" in offered else None
        return kind(self.username, self.password) if kind else None


class TokenSupply(Protocol):
    """Where the access tokens of a login come from. Equal credentials share one, by which they are equal."""

    @property
    def renewable(self) -> bool:
        """Whether there is a way to another token."""
        ...

    async def token(self) -> Secret:
        """A token that is good for some minutes yet. Raises CredentialError."""
        ...

    async def renewed(self, refused: Secret) -> Secret:
        """Another token than the one that the server has refused. Raises CredentialError."""
        ...

    async def facts(self) -> Mapping[str, Any]:
        """What may be shown of a token, as plain JSON. Raises CredentialError."""
        ...


@dataclass(frozen=True, slots=True)
class XOAuth2:
    """XOAUTH2, as Google and Microsoft have it: a user name and an access token, in one response."""

    username: str
    tokens: TokenSupply
    name: str = "XOAUTH2"

    def commands(self, token: Secret) -> Iterator[Command]:
        """AUTH XOAUTH2 with the response; then an empty line, which is the answer to an error (JSON in a 334)
        and lets the server send its 535.
        """
        yield from _initial_response(self.name, f"user={self.username}\1auth=Bearer {token.reveal()}\1\1")
        yield _auth(b"")


Mechanism = Plain | Login | PlainOrLogin | XOAuth2


def _initial_response(name: str, message: str) -> Iterator[Command]:
    response = b64encode(message.encode())
    line = b"AUTH " + name.encode() + b" " + response
    if len(line) > MAX_AUTH_LINE:
        yield _auth(b"AUTH " + name.encode())
        yield _auth(response)
    else:
        yield _auth(line)


def _auth(line: bytes) -> Command:
    return Command(line, Phase.AUTH, ends_group=True)
