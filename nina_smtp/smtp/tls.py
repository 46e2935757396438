"""TLS for submission: RFC 8314, at least TLS 1.2, names checked against subjectAltName alone."""

from __future__ import annotations

import hashlib
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, cast

from nina_smtp.errors import CertificateRejected, InvalidCredential, TlsFailed
from nina_smtp.smtp.server import Trust

# X509_V_ERR_… of OpenSSL, as ssl.SSLCertVerificationError.verify_code gives them.
_REASONS = {
    9: ("is not valid yet", "Check the clock of this machine and of the server."),
    10: ("has expired", "The server's operator has to renew it."),
    18: ("is self-signed", None),
    19: ("comes from an authority that is not trusted here", None),
    20: ("comes from an authority that is not trusted here", None),
    21: ("comes from an authority that is not trusted here", None),
    62: ("is for another name", "Use the name the certificate is for as host."),
    64: ("is for another address", "Use the name the certificate is for as host."),
}
_TRUST_HINT = (
    "Give the authority's certificate as caCertificate, or accept exactly this certificate "
    "by its certificateFingerprint."
)


@dataclass(frozen=True, slots=True)
class TlsFacts:
    """What was agreed. ``fingerprint`` is ``sha256:…``, ``expires`` is ISO 8601, in UTC."""

    version: str
    cipher: str
    verified: bool
    fingerprint: str
    subject: str | None = None
    issuer: str | None = None
    expires: str | None = None

    def as_dict(self) -> dict[str, Any]:
        """The short form of a result: version, cipher, verified."""
        return {"version": self.version, "cipher": self.cipher, "verified": self.verified}

    def details(self) -> dict[str, Any]:
        """All of it: for the credential test and for the doctor."""
        return {
            **self.as_dict(),
            "fingerprint": self.fingerprint,
            "subject": self.subject,
            "issuer": self.issuer,
            "expires": self.expires,
        }


@lru_cache(maxsize=64)
def client_context(trust: Trust) -> ssl.SSLContext:
    """The context for ``trust``, built once: it costs more than all the rest of a connection.

    Raises InvalidCredential if its certificate cannot be read.
    """
    context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.hostname_checks_common_name = False
    if trust.ca_pem:
        try:
            context.load_verify_locations(cadata=trust.ca_pem)
        except (ssl.SSLError, ValueError, TypeError) as error:  # TypeError: it is not ASCII
            raise InvalidCredential(
                f"caCertificate cannot be read: {_plain(error)}.",
                hint="Paste the certificate in PEM form, from -----BEGIN CERTIFICATE----- on.",
                parameter="caCertificate",
            ) from None
    if trust.fingerprint or trust.skip_verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def check_peer(tls: ssl.SSLObject, trust: Trust) -> TlsFacts:
    """The facts of a finished handshake. Raises CertificateRejected if a pin does not match."""
    der = tls.getpeercert(binary_form=True) or b""
    fingerprint = hashlib.sha256(der).hexdigest()
    if trust.fingerprint and fingerprint != trust.fingerprint:
        raise CertificateRejected(
            f"The server's certificate is not the pinned one: it is sha256:{fingerprint}.",
            hint="If the server's certificate was renewed, check the new one, then change "
            "certificateFingerprint.",
            phase="tls",
        )
    decoded = cast(Mapping[str, Any], tls.getpeercert() or _decoded(der))
    cipher = tls.cipher()
    return TlsFacts(
        version=tls.version() or "",
        cipher=cipher[0] if cipher else "",
        verified=bool(trust.fingerprint) or not trust.skip_verify,
        fingerprint=f"sha256:{fingerprint}",
        subject=_common_name(decoded.get("subject")),
        issuer=_common_name(decoded.get("issuer")),
        expires=_iso(decoded.get("notAfter")),
    )


def handshake_error(error: Exception, host: str, *, implicit: bool) -> TlsFailed:
    """A failed handshake in plain words."""
    if isinstance(error, ssl.SSLCertVerificationError):
        rejected = (f"was rejected ({error.verify_message})", None)
        reason, hint = _REASONS.get(error.verify_code, rejected)
        return CertificateRejected(
            f"The certificate of {host} {reason}.", hint=hint or _TRUST_HINT, phase="tls"
        )
    if implicit and isinstance(error, ssl.SSLError) and "WRONG_VERSION_NUMBER" in str(error):
        return TlsFailed(
            f"{host} does not speak TLS on this port.",
            hint="Port 587 and 25 usually want encryption starttls; tls belongs to port 465.",
            phase="tls",
        )
    if isinstance(error, ssl.SSLError) and "PROTOCOL_VERSION" in str(error):
        return TlsFailed(
            f"{host} speaks only TLS versions that are not safe any more.",
            hint="It has to offer TLS 1.2.",
            phase="tls",
        )
    return TlsFailed(f"The TLS handshake with {host} failed: {_plain(error)}.", phase="tls")


def _plain(error: Exception) -> str:
    reason = getattr(error, "reason", None) or str(error) or type(error).__name__
    return str(reason).replace("_", " ").lower()


def _common_name(name: Any) -> str | None:
    """``commonName`` of a decoded name, else all of it."""
    pairs = [pair for rdn in name or () for pair in rdn]
    common = [value for key, value in pairs if key == "commonName"]
    return common[0] if common else ", ".join(f"{key}={value}" for key, value in pairs) or None


def _iso(not_after: str | None) -> str | None:
    """``2027-01-31T12:00:00+00:00`` for OpenSSL's ``Jan 31 12:00:00 2027 GMT``."""
    if not not_after:
        return None
    return datetime.fromtimestamp(ssl.cert_time_to_seconds(not_after), UTC).isoformat()


def _decoded(der: bytes) -> Mapping[str, Any]:
    """Subject, issuer and expiry of a certificate that was not verified, if cryptography is installed."""
    try:
        from cryptography import x509
    except ImportError:
        return {}
    try:
        certificate = x509.load_der_x509_certificate(der)
        expires = certificate.not_valid_after_utc.strftime("%b %d %H:%M:%S %Y GMT")
        names = {"subject": certificate.subject, "issuer": certificate.issuer}
        return {key: [[("", name.rfc4514_string())]] for key, name in names.items()} | {"notAfter": expires}
    except ValueError:
        return {}
