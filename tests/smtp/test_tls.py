"""TLS as a credential wants it: which certificates are taken, and what is told of them."""

from __future__ import annotations

import asyncio
import hashlib
import ssl
from typing import Any

import pytest
from bed.certs import Certs
from bed.faulty import FaultyServer
from bed.recorder import Recorder

from nina_smtp.errors import CertificateRejected, ConnectFailed, InvalidCredential, NinaError
from nina_smtp.smtp.phase import Phase
from nina_smtp.smtp.server import Encryption, Server, Timeouts, Trust
from nina_smtp.smtp.session import Session
from nina_smtp.smtp.tls import client_context

SHORT = Timeouts(connect=2, greeting=1, command=1, data=1, final=1, quit=0.2, total=5)


def at(port: int, host: str = "localhost", **wishes: Any) -> Server:
    return Server(host, port, timeouts=SHORT, **wishes)


def fingerprint(certs: Certs, kind: str) -> str:
    pem = certs.pems[kind].read_text()
    start = pem.index("-----BEGIN CERTIFICATE-----")
    end = pem.index("-----END CERTIFICATE-----", start) + len("-----END CERTIFICATE-----")
    return hashlib.sha256(ssl.PEM_cert_to_DER_cert(pem[start:end])).hexdigest()


def handshake(
    certs: Certs, trust: Trust, *, tls: Any = "implicit", certificate: str = "good", host: str = "localhost"
) -> tuple[Session | NinaError, Recorder]:
    """A session, or why there is none, and the server."""

    async def open_and_quit(server: Server) -> Session:
        session = await Session.open(server)
        await session.quit()
        return session

    encryption = Encryption.TLS if tls == "implicit" else Encryption.STARTTLS
    with Recorder(tls=tls, certs=certs, certificate=certificate) as recorder:
        try:
            return asyncio.run(
                open_and_quit(at(recorder.port, host, encryption=encryption, trust=trust))
            ), recorder
        except NinaError as error:
            return error, recorder


BOTH = pytest.mark.parametrize("tls", ["starttls", "implicit"])


@BOTH
@pytest.mark.parametrize(
    ("certificate", "said"),
    [
        ("selfsigned", "self-signed"),
        ("wrongname", "another name"),
        ("expired", "expired"),
        ("cnonly", "name"),
    ],
)
def test_a_bad_certificate_is_rejected_in_plain_words(
    certs: Certs, tls: str, certificate: str, said: str
) -> None:
    found, _ = handshake(certs, Trust(certs.ca_pem.read_text()), tls=tls, certificate=certificate)
    assert isinstance(found, CertificateRejected)
    assert said in found.message
    assert found.hint
    assert not found.retry


def test_an_authority_that_nobody_named_is_not_trusted(certs: Certs) -> None:
    found, _ = handshake(certs, Trust())
    assert isinstance(found, CertificateRejected)
    assert "caCertificate" in (found.hint or "")


@BOTH
def test_an_authority_of_ones_own_is_trusted_and_the_facts_are_told(certs: Certs, tls: str) -> None:
    found, recorder = handshake(certs, Trust(certs.ca_pem.read_text()), tls=tls)
    assert isinstance(found, Session)
    facts = found.connection.tls
    assert facts
    assert facts.version == recorder.sessions[0].tls_version == "TLSv1.3"
    assert facts.fingerprint == f"sha256:{fingerprint(certs, 'good')}"
    assert facts.verified
    assert facts.cipher
    assert facts.issuer
    assert facts.expires
    assert facts.expires.endswith("+00:00")
    assert found.facts["tls"] == {"version": facts.version, "cipher": facts.cipher, "verified": True}
    assert recorder.sessions[0].server_name == "localhost"


def test_an_address_is_checked_against_the_addresses_of_the_certificate(certs: Certs) -> None:
    found, recorder = handshake(certs, Trust(certs.ca_pem.read_text()), host="127.0.0.1")
    assert isinstance(found, Session)
    assert recorder.sessions[0].server_name is None  # an address is no server name (RFC 6066 3)
    found, _ = handshake(certs, Trust(certs.ca_pem.read_text()), host="127.0.0.2")
    assert isinstance(found, ConnectFailed)


@BOTH
@pytest.mark.parametrize("certificate", ["selfsigned", "expired", "wrongname"])
def test_a_pinned_certificate_is_accepted_whatever_it_says(certs: Certs, tls: str, certificate: str) -> None:
    pin = Trust(fingerprint=fingerprint(certs, certificate))
    found, _ = handshake(certs, pin, tls=tls, certificate=certificate)
    assert isinstance(found, Session)
    assert found.connection.tls
    assert found.connection.tls.verified


@BOTH
@pytest.mark.parametrize("skip", [False, True])
def test_a_pin_rejects_every_other_certificate(certs: Certs, tls: str, skip: bool) -> None:
    pin = Trust(certs.ca_pem.read_text(), fingerprint(certs, "expired"), skip_verify=skip)
    found, recorder = handshake(certs, pin, tls=tls)
    assert isinstance(found, CertificateRejected)
    assert fingerprint(certs, "good") in found.message
    assert recorder.verbs in ([], ["EHLO", "STARTTLS"])


def test_without_verification_any_certificate_will_do_and_it_is_said(certs: Certs) -> None:
    found, _ = handshake(certs, Trust(skip_verify=True), certificate="selfsigned")
    assert isinstance(found, Session)
    assert found.connection.tls
    assert not found.connection.tls.verified
    assert found.connection.tls.subject


def test_nothing_older_than_tls_1_2_is_spoken() -> None:
    context = client_context(Trust())
    assert context.minimum_version == ssl.TLSVersion.TLSv1_2
    assert context.verify_mode == ssl.CERT_REQUIRED
    assert context.check_hostname
    assert not context.hostname_checks_common_name


@pytest.mark.parametrize(
    "pem", ["nonsense", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "ü"]
)
def test_an_authority_that_cannot_be_read_is_named(pem: str) -> None:
    with pytest.raises(InvalidCredential) as caught:
        client_context(Trust(pem))
    assert caught.value.parameter == "caCertificate"


@pytest.mark.parametrize("fault", ["t_hang", "t_close", "t_garbage", "t_selfsigned"])
def test_a_connection_whose_handshake_broke_is_over(certs: Certs, fault: str) -> None:
    async def handshake() -> None:
        session = Session(at(server.port, encryption=Encryption.STARTTLS))
        await session.connection.connect(await session.connection.resolve())
        await session.greet()
        await session.hello()
        with pytest.raises(NinaError):
            await session.upgrade()
        assert not session.usable
        await session.quit()  # and it does not wait for what will not come
        with pytest.raises(NinaError):
            await session.connection.exchange(b"NOOP", Phase.RSET)

    with FaultyServer(fault, tls=certs, patience=2) as server:
        asyncio.run(handshake())
    assert "QUIT" not in server.verbs
