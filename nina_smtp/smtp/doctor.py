"""Finds out which port of a host speaks what, and so the settings of a credential.

It logs in nowhere and sends no mail. The ports are probed all at once, each first for what it is expected to
speak and then for the other. A certificate that is not trusted is looked at over a second connection that
does not verify it, so that a person can compare its fingerprint and pin it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

from nina_smtp.errors import CertificateRejected, ConnectFailed, NinaError, ReplyTimeout, ServerRefused
from nina_smtp.smtp.capabilities import Capabilities
from nina_smtp.smtp.connection import Connection
from nina_smtp.smtp.server import Encryption, IPAddress, Server, Timeouts, Trust
from nina_smtp.smtp.session import Session
from nina_smtp.smtp.tls import TlsFacts

PORTS: Mapping[int, Encryption] = {
    465: Encryption.TLS,
    587: Encryption.STARTTLS,
    25: Encryption.STARTTLS,
}
QUICK = Timeouts(connect=5, greeting=5, command=10, quit=1, total=30)


class Speaks(StrEnum):
    """What a port turned out to be. ``other`` answers, and what it says is not SMTP."""

    CLOSED = "closed"
    SILENT = "silent"
    SMTP = "smtp"
    TLS = "tls"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Finding:
    """One port. ``clear`` is what EHLO offers outside TLS, ``inside`` what it offers within."""

    port: int
    speaks: Speaks
    greeting: str | None = None
    clear: Capabilities = field(default_factory=Capabilities)
    inside: Capabilities = field(default_factory=Capabilities)
    tls: TlsFacts | None = None
    error: NinaError | None = None

    @property
    def encryption(self) -> Encryption | None:
        """The best a credential can use here; None if no mail can be sent here."""
        if self.error and not (self.tls and isinstance(self.error, CertificateRejected)):
            return None
        if self.tls:
            return Encryption.TLS if self.speaks is Speaks.TLS else Encryption.STARTTLS
        return Encryption.NONE if self.speaks is Speaks.SMTP else None

    @property
    def offers(self) -> Capabilities:
        """What counts once a credential is connected as ``encryption`` says."""
        return self.inside if self.tls else self.clear

    @property
    def auth_method(self) -> str:
        """plain or login, as offered; none where neither is."""
        return next((name.lower() for name in ("PLAIN", "LOGIN") if name in self.offers.mechanisms), "none")

    def as_dict(self) -> dict[str, Any]:
        """JSON, keys that say nothing left out."""
        shape: dict[str, Any] = {"port": self.port, "speaks": self.speaks.value}
        if self.greeting:
            shape |= {
                "greeting": self.greeting,
                "starttls": "STARTTLS" in self.clear,
                "size": self.offers.size,
                "mechanisms": sorted(self.clear.mechanisms),
                "mechanismsInTls": sorted(self.inside.mechanisms),
                "extensions": sorted(self.offers.keywords),
            }
        if self.tls:
            shape["tls"] = self.tls.details()
        if self.error:
            shape["error"] = self.error.as_dict()
        return shape


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """What a host speaks. ``settings`` are a credential's, empty if there is nothing to send through."""

    host: str
    addresses: tuple[str, ...]
    ports: tuple[Finding, ...]
    settings: Mapping[str, Any]
    advice: str

    def as_dict(self) -> dict[str, Any]:
        """JSON."""
        return {
            "host": self.host,
            "addresses": list(self.addresses),
            "ports": [finding.as_dict() for finding in self.ports],
            "settings": dict(self.settings),
            "advice": self.advice,
        }


async def examine(
    host: str,
    *,
    ports: Mapping[int, Encryption] = PORTS,
    timeouts: Timeouts = QUICK,
    trust: Trust | None = None,
) -> Diagnosis:
    """Probes ``ports``, each with what it is expected to speak, in the order in which they are preferred.

    ``trust`` is which certificates count as verified. Raises ConnectFailed if the host has no address.
    """
    servers = [
        Server(host, port, expected, timeouts=timeouts, trust=trust or Trust())
        for port, expected in ports.items()
    ]
    addresses = await Connection(servers[0]).resolve()
    findings = await asyncio.gather(*(_probe(server, addresses) for server in servers))
    best = _best(findings)
    settings: dict[str, Any] = {}
    if best and best.encryption:
        settings = {
            "host": host,
            "port": best.port,
            "encryption": best.encryption.value,
            "authMethod": best.auth_method,
        }
    return Diagnosis(
        host, tuple(map(str, addresses)), tuple(findings), settings, " ".join(_advice(best, findings))
    )


async def presented(server: Server, addresses: Sequence[IPAddress]) -> tuple[TlsFacts | None, Capabilities]:
    """The certificate that ``server`` shows, whatever it is worth, and what is offered behind it.

    Nothing is verified, so nobody logs in here: the mechanism is taken away before anything else.
    """
    session = Session(replace(server, mechanism=None, trust=Trust(skip_verify=True)))
    session.connection.begin_attempt()
    try:
        await session.connection.connect(addresses)
        if server.encryption is Encryption.TLS:
            await session.connection.start_tls()
        await session.greet()
        await session.hello()
        if server.encryption is Encryption.STARTTLS:
            await session.upgrade()
    except NinaError:
        pass  # the certificate may be there nevertheless
    finally:
        await session.quit()
    return session.connection.tls, session.capabilities


async def _probe(server: Server, addresses: Sequence[IPAddress]) -> Finding:
    """What one port speaks: what is expected there, else the other."""
    expected, other = (_tls, _plain) if server.encryption is Encryption.TLS else (_plain, _tls)
    first = await expected(server, addresses)
    if first.speaks not in (Speaks.SILENT, Speaks.OTHER):
        return first
    second = await other(server, addresses)
    return first if second.speaks in (Speaks.OTHER, Speaks.CLOSED) else second


async def _plain(server: Server, addresses: Sequence[IPAddress]) -> Finding:
    """A port that greets in clear text; with STARTTLS if it is offered."""
    server = replace(server, encryption=Encryption.NONE)
    session = Session(server)
    session.connection.begin_attempt()
    found = Finding(server.port, Speaks.OTHER)
    try:
        await session.connection.connect(addresses)
        found = replace(found, greeting=str(await session.greet()), speaks=Speaks.SMTP)
        await session.hello()
        found = replace(found, clear=session.capabilities)
        if "STARTTLS" in session.capabilities:
            await session.upgrade()
        return replace(found, inside=_inside(session), tls=session.connection.tls)
    except CertificateRejected as error:
        tls, offers = await presented(replace(server, encryption=Encryption.STARTTLS), addresses)
        return replace(found, tls=tls, inside=offers, error=error)
    except NinaError as error:
        return replace(found, speaks=_named(error, found.speaks), error=error)
    finally:
        await session.quit()


async def _tls(server: Server, addresses: Sequence[IPAddress]) -> Finding:
    """A port that speaks TLS from the start."""
    server = replace(server, encryption=Encryption.TLS)
    session = Session(server)
    session.connection.begin_attempt()
    found = Finding(server.port, Speaks.OTHER)
    try:
        await session.connection.connect(addresses)
        await session.connection.start_tls()
        found = replace(found, speaks=Speaks.TLS, tls=session.connection.tls)
        found = replace(found, greeting=str(await session.greet()))
        await session.hello()
        return replace(found, inside=session.capabilities)
    except CertificateRejected as error:
        tls, offers = await presented(server, addresses)
        return replace(found, speaks=Speaks.TLS, tls=tls, inside=offers, error=error)
    except NinaError as error:
        return replace(found, speaks=_named(error, found.speaks), error=error)
    finally:
        await session.quit()


def _inside(session: Session) -> Capabilities:
    return session.capabilities if session.connection.tls else Capabilities()


def _named(error: NinaError, speaks: Speaks) -> Speaks:
    """What a port speaks that failed with ``error`` when it had got as far as ``speaks``."""
    if speaks is not Speaks.OTHER:
        return speaks
    if isinstance(error, ConnectFailed):
        return Speaks.CLOSED
    if isinstance(error, ServerRefused):  # it greets with 421 or 554: SMTP, though not for us
        return Speaks.SMTP
    return Speaks.SILENT if isinstance(error, ReplyTimeout) else Speaks.OTHER


def _best(findings: Sequence[Finding]) -> Finding | None:
    """The port to use: verified before unverified before clear text, TLS from the start before STARTTLS, one
    where people log in before one where they do not.
    """

    def rank(finding: Finding) -> tuple[bool, bool, bool, bool]:
        verified = bool(finding.tls and finding.tls.verified)
        return (
            not verified,
            finding.tls is None,
            finding.auth_method == "none",
            finding.encryption is not Encryption.TLS,
        )

    return min((finding for finding in findings if finding.encryption), key=rank, default=None)


def _advice(best: Finding | None, findings: Sequence[Finding]) -> list[str]:
    if best is None:
        ports = ", ".join(str(finding.port) for finding in findings)
        return [
            f"No mail can be sent through this host: none of the ports {ports} takes it.",
            "Check the name of the host, and that the firewall lets this machine out.",
        ]
    encryption = best.encryption
    said = [f"Use port {best.port} with encryption {encryption.value if encryption else ''}."]
    if best.error:
        said.append(f"{best.error.message} Ask the operator for the fingerprint of the certificate.")
        if best.tls:
            said.append(f"If it is {best.tls.fingerprint}, set it as certificateFingerprint.")
    if best.tls is None:
        said.append("There is no TLS, so everybody on the way can read the mails, and a password.")
    if best.auth_method != "none":
        return said
    if best.offers.mechanisms:
        said.append(f"It lets people log in by {best.offers.offered_mechanisms} only: use smtpOAuth2.")
    else:
        said.append("Nobody can log in there: it takes mail only from machines that it knows.")
    return said
