"""Every fault of a server, and what has to come of it."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass

import pytest
from bed.certs import Certs
from bed.faulty import FAULTS, FaultyServer, tls11_possible

from nina_smtp.delivery.outgoing import send_over
from nina_smtp.errors import NinaError
from nina_smtp.message import Attachment, Email, compose
from nina_smtp.secret import Secret
from nina_smtp.smtp.auth import Login, Plain
from nina_smtp.smtp.server import Encryption, Server, Timeouts, Trust
from nina_smtp.smtp.session import Delivery, Session

PASSWORD = "S3CRET-pässword"
USER = "alice"
SHORT = Timeouts(connect=2, greeting=1, command=1, data=1, final=1, quit=0.2, total=2.5)

SENT = "sent"
PARTIAL = "partial"
UNKNOWN = "deliveryUncertain"


@dataclass(frozen=True)
class Expected:
    """``outcome`` is sent, partial, or the type of the error; ``retry``: sending again is safe."""

    outcome: str
    retry: bool = False
    phase: str | None = None


OUTCOMES = {
    "ok": Expected(SENT),
    "g_lf": Expected(SENT),
    "g_utf8": Expected(SENT),
    "e_lower": Expected(SENT),
    "a_old": Expected(SENT),
    "e_size_junk": Expected(SENT),
    "r_252": Expected(SENT),
    "q_hang": Expected(SENT),
    "q_close": Expected(SENT),
    "ok_close": Expected(SENT),
    "g_none": Expected("replyTimeout", True, "greeting"),
    "g_drip": Expected("replyTimeout", True, "greeting"),
    "g_close": Expected("connectionLost", True, "greeting"),
    "g_rst": Expected("connectionLost", True, "greeting"),
    "g_421": Expected("serverRefused", True, "greeting"),
    "g_554": Expected("serverRefused", False, "greeting"),
    "g_250": Expected("protocolViolation", False, "greeting"),
    "g_354": Expected("protocolViolation", False, "greeting"),
    "g_endless_lines": Expected("protocolViolation", False, "greeting"),
    "g_endless_line": Expected("protocolViolation", False, "greeting"),
    "g_tls": Expected("replyTimeout", True, "greeting"),
    "e_502": Expected("tlsRequired", False, "tls"),
    "e_close": Expected("connectionLost", True, "ehlo"),
    "e_endless": Expected("protocolViolation", False, "ehlo"),
    "e_code_change": Expected("protocolViolation", False, "ehlo"),
    "e_nohyphen": Expected("protocolViolation", False),
    "e_354": Expected("protocolViolation", False, "ehlo"),
    "e_extra": Expected("protocolViolation", False),
    "e_size_small": Expected("messageTooLarge", False, "mail"),
    "t_strip": Expected("tlsRequired", False, "tls"),
    "t_strip_helo": Expected("tlsRequired", False, "tls"),
    "t_454": Expected("tlsRequired", True, "tls"),
    "t_502": Expected("tlsRequired", False, "tls"),
    "t_250": Expected("tlsRequired", False, "tls"),
    "t_inject_frag": Expected("tlsRequired", False, "tls"),
    "t_inject_reply": Expected("tlsRequired", False, "tls"),
    "t_inject_many": Expected("tlsRequired", False, "tls"),
    "t_close": Expected("connectionLost", True, "tls"),
    "t_hang": Expected("replyTimeout", True, "tls"),
    "t_garbage": Expected("tlsFailed", False, "tls"),
    "t_selfsigned": Expected("certificateRejected", False, "tls"),
    "t_wrongname": Expected("certificateRejected", False, "tls"),
    "t_expired": Expected("certificateRejected", False, "tls"),
    "t_cnonly": Expected("certificateRejected", False, "tls"),
    "t_tls11": Expected("tlsFailed", False, "tls"),
    "t_noauth_after": Expected("authUnavailable", False, "auth"),
    "a_535": Expected("authFailed", False, "auth"),
    "a_454": Expected("authFailed", True, "auth"),
    "a_close": Expected("connectionLost", True),
    "a_echo": Expected("authFailed", False, "auth"),
    "a_334": Expected("authFailed", False, "auth"),
    "a_plain334": Expected("authFailed", False, "auth"),
    "m_451": Expected("senderRefused", True, "mail"),
    "m_550": Expected("senderRefused", False, "mail"),
    "m_hang": Expected("replyTimeout", True, "mail"),
    "r_all550": Expected("recipientsRefused", False, "rcpt"),
    "r_mixed": Expected(PARTIAL),
    "r_421": Expected("connectionLost", True),
    "d_554": Expected("messageRefused", False, "data"),
    "d_250": Expected("protocolViolation", False, "data"),
    "d_354_250": Expected("protocolViolation", False),
    "d_stop": Expected("replyTimeout", True, "body"),
    "x_close": Expected(UNKNOWN, False, "dot"),
    "x_rst": Expected(UNKNOWN, False, "dot"),
    "x_hang": Expected(UNKNOWN, False, "dot"),
    "x_junk": Expected(UNKNOWN, False, "dot"),
    "x_part": Expected(UNKNOWN, False, "dot"),
    "x_354": Expected(UNKNOWN, False, "dot"),
    "x_endless": Expected(UNKNOWN, False, "dot"),
    "x_451": Expected("messageRefused", True, "dot"),
    "x_554": Expected("messageRefused", False, "dot"),
}

BIG = compose(
    Email(
        f"{USER}@mail.test",
        ["bob@mail.test", "carol@mail.test", "dave@mail.test", "erin@mail.test"],
        "A fault",
        text="What has to come of it.\n",
        attachments=[Attachment("big.bin", "AAAA" * 2_000_000, content_type="application/octet-stream")],
    )
)
SMALL = compose(Email(f"{USER}@mail.test", list(BIG.envelope.recipients), "A fault", text="Small.\n"))


def test_every_fault_of_the_bed_has_an_expected_outcome() -> None:
    assert set(FAULTS) == set(OUTCOMES)


@pytest.mark.parametrize("fault", sorted(OUTCOMES))
def test_what_comes_of_a_fault(fault: str, certs: Certs) -> None:
    if fault == "t_tls11" and not tls11_possible():
        pytest.skip("this OpenSSL cannot serve TLS 1.1, so there is no such server to be refused")
    expected = OUTCOMES[fault]
    with FaultyServer(fault, tls=certs, patience=6) as faulty:
        mechanism = Plain if fault == "a_plain334" else Login
        server = Server(
            host="localhost",
            port=faulty.port,
            encryption=Encryption.STARTTLS,
            mechanism=mechanism(USER, Secret(PASSWORD)),
            timeouts=SHORT,
            trust=Trust(ca_pem=certs.ca_pem.read_text()),
        )
        delivery, shown = asyncio.run(_deliver(server, BIG if fault == "d_stop" else SMALL))
        assert not faulty.saw_secret(PASSWORD, USER, clear=True), "the password was seen in clear text"
        error = delivery.error
        if expected.outcome == SENT:
            assert error is None, error
            assert delivery.accepted == SMALL.envelope.recipients
        elif expected.outcome == PARTIAL:
            assert error is None
            assert delivery.accepted
            assert delivery.refused
            assert all(refusal.reply.code >= 400 for refusal in delivery.refused)
        else:
            assert error is not None
            if fault == "g_rst" and error.phase == "connect":
                return  # the reset came before the connection was ours: as harmless, and as good to try again
            assert error.type == expected.outcome, error.as_dict()
            assert error.retry is expected.retry, error.as_dict()
            assert error.uncertain is (expected.outcome == UNKNOWN)
            if expected.phase:
                assert error.phase == expected.phase, error.as_dict()
            if not error.uncertain:
                assert not faulty.messages, "it was taken, although it is reported as not sent"
        for form in _forms_of_the_password():
            assert form not in shown


async def _deliver(server: Server, message) -> tuple[Delivery, str]:  # type: ignore[no-untyped-def]
    """The delivery, and everything a person could be shown of it."""
    try:
        session = await Session.open(server)
    except NinaError as error:
        return Delivery((), (), None, error), json.dumps(error.as_dict()) + repr(error)
    delivery = await send_over(session, message)
    await session.quit()
    shown = repr(delivery) + (json.dumps(delivery.error.as_dict()) if delivery.error else "")
    return delivery, shown


def _forms_of_the_password() -> list[str]:
    from bed.secret_forms import forms

    return [form.decode("latin-1") if isinstance(form, bytes) else form for form in forms(PASSWORD, USER)]
