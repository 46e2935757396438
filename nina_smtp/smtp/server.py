"""Where to connect and how: what a credential comes down to."""

from __future__ import annotations

import re
import socket
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import TYPE_CHECKING

from nina_smtp.errors import InvalidCredential
from nina_smtp.secret import Redactor
from nina_smtp.smtp.auth import Mechanism, XOAuth2

if TYPE_CHECKING:
    import ssl

IPAddress = IPv4Address | IPv6Address

_LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?")
_NUMBER = re.compile(r"(?:0x[0-9a-f]*|[0-9]+)")


class Encryption(StrEnum):
    """How the connection is protected."""

    STARTTLS = "starttls"
    TLS = "tls"
    NONE = "none"

    @property
    def port(self) -> int:
        """The port that goes with it: 587 and 465 by RFC 8314, 25 by RFC 5321."""
        return {Encryption.STARTTLS: 587, Encryption.TLS: 465, Encryption.NONE: 25}[self]


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds, each the total for one reply or one phase; ``total`` is for one whole attempt."""

    connect: float = 15
    greeting: float = 60
    command: float = 60
    data: float = 120
    final: float = 600
    quit: float = 2
    total: float = 1200


@dataclass(frozen=True, slots=True)
class Trust:
    """Which certificate is accepted: the system's authorities, plus ``ca_pem``; or only the one with
    ``fingerprint`` (lower-case hex SHA-256 of its DER); or, with ``skip_verify``, any.
    """

    ca_pem: str | None = None
    fingerprint: str | None = None
    skip_verify: bool = False


@dataclass(frozen=True)
class Server:
    """One server and one login. ``mechanism`` of None sends without logging in."""

    host: str
    port: int = 587
    encryption: Encryption = Encryption.STARTTLS
    mechanism: Mechanism | None = None
    ehlo_name: str | None = None
    timeouts: Timeouts = field(default_factory=Timeouts)
    trust: Trust = field(default_factory=Trust)
    allow_cleartext_login: bool = False

    @cached_property
    def tls_context(self) -> ssl.SSLContext:
        """Built once, since it costs more than all the rest of a connection. Raises InvalidCredential."""
        from nina_smtp.smtp.tls import client_context

        return client_context(self.trust)

    @cached_property
    def redactor(self) -> Redactor:
        """Removes the password from what the server says; a token, as soon as there is one."""
        if self.mechanism is None or isinstance(self.mechanism, XOAuth2):
            return Redactor()
        return Redactor((self.mechanism.password.reveal(),), self.mechanism.username)


def parse_host(text: str) -> str:
    """A host name in A-labels, or an IP address. Raises InvalidCredential.

    Numbers that a resolver would take for an address (``2130706433``, ``0x7f.1``) are refused: what is
    checked and what is connected to have to be the same thing.
    """
    if not text:
        raise InvalidCredential(
            "The host is empty.", hint="Give the name of the mail server.", parameter="host"
        )
    if bad := next((c for c in text if c.isspace() or not c.isprintable()), None):
        raise _bad_host(text.rpartition("@")[2], f"it holds U+{ord(bad):04X}")
    bare = text[1:-1] if text.startswith("[") and text.endswith("]") else text
    try:
        address = ip_address(bare)
    except ValueError:
        pass
    else:
        if "%" in bare:
            raise _bad_host(text, "it names an interface of this machine")
        return str(address)
    if "@" in text:  # what is before it may be a password
        what = text.rpartition("@")[2]
        raise _bad_host(f"…@{what}", "it holds an @", "Give the host alone; the user name has its own field.")
    if "://" in text:
        raise _bad_host(text, "it is a URL", "Give the name alone, without scheme and path.")
    if ":" in text:
        raise _bad_host(text, "it holds a colon", "The port has its own field.")
    if "/" in text or "%" in text:
        raise _bad_host(text, "it holds a path or an escape")
    return _host_name(text)


def _host_name(text: str) -> str:
    import idna

    name = text.removesuffix(".")
    try:
        name = name.lower() if name.isascii() else idna.encode(name, uts46=True).decode()
    except idna.IDNAError as error:
        raise _bad_host(text, f"it is not a valid internationalised name ({error})") from None
    labels = name.split(".")
    if len(name) > 253 or not all(map(_LABEL.fullmatch, labels)):
        raise _bad_host(text, "it is not a host name")
    if _NUMBER.fullmatch(labels[-1]):
        raise _bad_host(text, "it is a number", "Write an address in full, like 192.0.2.10.")
    return name


def parse_ehlo_name(text: str) -> str:
    """The name said in EHLO: a domain in A-labels or an address literal (RFC 5321 4.1.3).

    Raises InvalidCredential.
    """
    try:
        if text.startswith("[") and text.endswith("]"):
            return address_literal(ip_address(text[1:-1].removeprefix("IPv6:")))
        name = parse_host(text)
    except (ValueError, InvalidCredential):
        name = ""
    if not name or "_" in name or ":" in name or not name.encode().isascii():
        raise InvalidCredential(
            f"{text[:80]!a} is not a name for EHLO.",
            hint="A domain such as host.example.com, or an address literal such as [192.0.2.1].",
            parameter="ehloName",
        )
    return name


def address_literal(address: IPAddress) -> str:
    """``[192.0.2.1]`` or ``[IPv6:2001:db8::1]``."""
    return f"[{address}]" if address.version == 4 else f"[IPv6:{address}]"


def own_name(local: IPAddress) -> str:
    """What this machine calls itself in EHLO: its full name, if any, else the address it speaks from."""
    name = socket.gethostname().lower()
    try:
        return parse_ehlo_name(name) if "." in name.strip(".") else address_literal(local)
    except InvalidCredential:
        return address_literal(local)


def is_loopback(address: IPAddress) -> bool:
    """Whether ``address`` is this machine, in IPv6 clothing too."""
    return (getattr(address, "ipv4_mapped", None) or address).is_loopback


def is_this_machine(host: str) -> bool:
    """Whether ``host`` can only be this machine. A name that merely begins like ``127.`` can be anybody's."""
    try:
        return host.lower() == "localhost" or is_loopback(ip_address(host.strip("[]")))
    except ValueError:
        return False


def no_mail_server(address: IPAddress) -> bool:
    """Addresses where there is no mail server, and much else that must not be talked to: cloud metadata
    services (link-local), all addresses at once (multicast, unspecified).
    """
    plain = getattr(address, "ipv4_mapped", None) or address
    return bool(
        plain.is_link_local or plain.is_multicast or plain.is_unspecified or str(plain) == "255.255.255.255"
    )


def _bad_host(
    text: str, reason: str, hint: str = "Give the name of the mail server, like smtp.example.com."
) -> InvalidCredential:
    return InvalidCredential(f"{text[:80]!a} is not a host: {reason}.", hint=hint, parameter="host")
