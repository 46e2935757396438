"""Certificates for the servers of the bed: a good one and the ways in which one can be bad."""

import atexit
import datetime as dt
import shutil
import ssl
import tempfile
from dataclasses import dataclass
from functools import cache
from ipaddress import ip_address
from pathlib import Path

import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

KINDS = ("good", "selfsigned", "wrongname", "expired", "cnonly")


@dataclass(frozen=True)
class Certs:
    """One CA (`ca_pem`) and a PEM file, key and chain in one, per kind of certificate."""

    ca_pem: Path
    pems: dict[str, Path]

    def server_context(self, kind: str = "good") -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.pems[kind])
        return context

    def client_context(self) -> ssl.SSLContext:
        """What a careful client uses: it trusts this CA only and checks the host name."""
        return ssl.create_default_context(cafile=self.ca_pem)


def _private_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _leaf(ca: trustme.CA | None, san: list[x509.GeneralName], *, expired: bool = False) -> bytes:
    """A certificate for the common name localhost, signed by `ca` or, without one, by itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    issuer, signer = name, key
    if ca is not None:
        issuer = x509.load_pem_x509_certificate(ca.cert_pem.bytes()).subject
        loaded = serialization.load_pem_private_key(ca.private_key_pem.bytes(), None)
        assert isinstance(loaded, ec.EllipticCurvePrivateKey)
        signer = loaded
    end = dt.datetime.now(dt.UTC) + dt.timedelta(days=-1 if expired else 7)
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(end - dt.timedelta(days=30))
        .not_valid_after(end)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False
        )
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )
    if san:
        builder = builder.add_extension(x509.SubjectAlternativeName(san), critical=False)
    signed = builder.sign(signer, hashes.SHA256())
    return _private_pem(key) + signed.public_bytes(serialization.Encoding.PEM)


@cache
def make_certs() -> Certs:
    """Certificates of this process, made once and removed when it ends."""
    folder = Path(tempfile.mkdtemp(prefix="nina-certs-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    ca = trustme.CA(key_type=trustme.KeyType.ECDSA)
    here: list[x509.GeneralName] = [x509.DNSName("localhost"), x509.IPAddress(ip_address("127.0.0.1"))]
    good = ca.issue_cert("localhost", "127.0.0.1", "::1", "mail.test", "xn--mnchen-3ya.test")
    wrong = ca.issue_cert("other.test", common_name="localhost")
    contents = {
        "good": good.private_key_and_cert_chain_pem.bytes(),
        "wrongname": wrong.private_key_and_cert_chain_pem.bytes(),
        "selfsigned": _leaf(None, here),
        "expired": _leaf(ca, here, expired=True),
        # the common name matches, but no DNS name is in the certificate
        "cnonly": _leaf(ca, [x509.RFC822Name("x@y.test")]),
    }
    pems = {}
    for kind in KINDS:
        pems[kind] = folder / f"{kind}.pem"
        pems[kind].write_bytes(contents[kind])
    (folder / "ca.pem").write_bytes(ca.cert_pem.bytes())
    return Certs(folder / "ca.pem", pems)
