"""Postfix behind a connection that is cut, reset, stalled or spoiled at any octet: what is said is true."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pytest
from bed.chaos import ChaosProxy, Relay
from bed.mailservers import MailHost

import nina_smtp
from nina_smtp.delivery.result import Result

TIMEOUTS = {"connect": 3, "greeting": 5, "command": 5, "data": 5, "final": 5, "quit": 1, "total": 20}
HASTY = TIMEOUTS | {"greeting": 2, "command": 0.5, "data": 0.5, "final": 0.5, "quit": 0.1}
STEP = 13
QUIT = len(b"QUIT\r\n")


@dataclass(frozen=True)
class Run:
    """One mail through a proxy: how far it let the client's octets through, and what came of it."""

    after: int | None
    result: Result
    relay: Relay

    @property
    def error_type(self) -> str | None:
        return self.result.error.type if self.result.error else None


def send(proxy: ChaosProxy, host: MailHost, message_id: str, timeouts: dict[str, Any], tls: bool) -> Result:
    node = {
        "parameters": {"to": "bob@mail.test", "subject": "s", "body": "b\n", "messageId": f"<{message_id}>"}
    }
    credential: dict[str, Any] = {
        "host": "localhost",
        "port": proxy.port,
        "timeouts": timeouts,
        "ehloName": "me.test",
    }
    if tls:
        credential |= {
            "username": host.user, "password": host.password, "caCertificate": host.ca_pem.read_text(),
        }  # fmt: skip
    else:
        credential |= {"encryption": "none", "authMethod": "none"}
    credential["fromAddress"] = "alice@mail.test"
    (result,) = nina_smtp.send(node, credential)
    return result


def through(host: MailHost, kind: str, points: Sequence[int | None], **how: Any) -> list[Run]:
    """A mail for each of ``points``, all at once, each through a proxy of its own."""
    port = host.starttls_port if how.get("tls") else host.plain_port
    assert port

    def run(after: int | None) -> Run:
        faults = how.get("faults", {}) if after is None else {kind: after}
        with ChaosProxy(port, **faults, hide=how.get("hide")) as proxy:
            name = message_id(kind, after, "data" if how.get("hide") else "bdat")
            result = send(proxy, host, name, how.get("timeouts", TIMEOUTS), how.get("tls", False))
        return Run(after, result, proxy.relays[0])

    return [run(point) for point in points]


def message_id(kind: str, after: int | None, way: str = "bdat") -> str:
    """Always of the same length, so that all mails have the same octets in the same places."""
    return f"chaos-{way}-{kind[:9]:x<9}-{after or 0:06d}@mail.test"


HIDDEN = {"data": b"CHUNKING", "bdat": None}


@pytest.fixture(scope="module", params=HIDDEN)
def way(request: pytest.FixtureRequest) -> str:
    """How the content travels."""
    return str(request.param)


@pytest.fixture(scope="module")
def whole(postfix: MailHost, way: str) -> int:
    """How many octets the client says from EHLO to QUIT when nothing goes wrong."""
    (run,) = through(postfix, "none", [None], hide=HIDDEN[way])
    assert run.result.status == "sent"
    return run.relay.to_server


@pytest.mark.parametrize("kind", ["cut_to_server", "reset_to_server", "stall_to_server"])
def test_what_is_said_of_a_broken_connection_is_true(
    postfix: MailHost, whole: int, way: str, kind: str
) -> None:
    dot = whole - QUIT  # from this octet on the server has the whole mail
    stalls = kind.startswith("stall")
    sparse = stalls or way == "bdat"  # there all of it is one write
    points = [*range(1, dot, STEP * (5 if sparse else 1)), dot - 1, dot, dot + 1]
    timeouts = HASTY if stalls else TIMEOUTS
    for run in through(postfix, kind, points, timeouts=timeouts, hide=HIDDEN[way]):
        assert run.after is not None
        status, error = run.result.status, run.result.error
        name = message_id(kind, run.after, way)
        if status == "sent":
            assert run.after >= dot, "a 250 was read before the mail was out"
            postfix.imap_fetch("bob@mail.test", name)
        elif status == "unknown":
            assert error
            assert error.phase == "dot"
            assert not error.retry
        else:
            assert status == "failed"
            assert error
            assert error.retry, error.as_dict()
            assert not error.uncertain
            assert run.after < dot
        if run.after > dot:
            assert status == "sent", error
        if run.after == dot and kind == "cut_to_server":  # the reply may just have come through
            assert status in ("sent", "unknown")
            postfix.imap_fetch("bob@mail.test", name)
    barrier(postfix)
    for point in points:
        copies = len(postfix.imap_copies("bob@mail.test", message_id(kind, point, way)))
        assert copies <= (point >= dot), f"{copies} copies of what was broken after {point} octets"


def barrier(postfix: MailHost) -> None:
    """Returns when what Postfix had taken before is in the mailboxes."""
    (run,) = through(postfix, "none", [None])
    assert run.result.message_id
    postfix.imap_fetch("bob@mail.test", run.result.message_id)


def test_a_lost_final_reply_leaves_one_copy_and_a_doubt(postfix: MailHost, way: str) -> None:
    faults = {"mute_after": {"data": rb"\r\n\.\r\n", "bdat": rb" LAST\r\n"}[way]}
    timeouts = HASTY | {"command": 5 if way == "data" else 0.5, "data": 5}
    (run,) = through(postfix, "mute", [None], faults=faults, timeouts=timeouts, hide=HIDDEN[way])
    assert run.result.status == "unknown"
    assert run.result.accepted == ()
    assert run.result.error
    assert run.result.error.uncertain
    postfix.imap_fetch("bob@mail.test", message_id("mute", None, way))
    barrier(postfix)
    assert len(postfix.imap_copies("bob@mail.test", message_id("mute", None, way))) == 1


@pytest.mark.parametrize("tls", [False, True], ids=["clear", "tls"])
def test_segments_of_one_octet_make_no_difference(postfix: MailHost, tls: bool) -> None:
    kind = f"chop{tls}"
    (run,) = through(postfix, kind, [None], faults={"chop": 1}, tls=tls)
    assert run.result.status == "sent", run.result.error
    postfix.imap_fetch("bob@mail.test", message_id(kind, None))


@pytest.mark.parametrize("kind", ["flip_to_server", "flip_to_client"])
def test_a_flipped_octet_in_tls_is_an_error(postfix: MailHost, kind: str) -> None:
    (clean,) = through(postfix, "clean", [None], tls=True)
    assert clean.result.status == "sent"
    length = clean.relay.to_server if kind == "flip_to_server" else clean.relay.to_client
    within = (
        range(length // 3, length - 250, 97) if kind == "flip_to_server" else range(800, length - 400, 97)
    )
    assert len(within) > 3
    for run in through(postfix, kind, within, tls=True):
        assert run.result.status in ("failed", "unknown"), run.after
        assert run.error_type in {"connectionLost", "tlsFailed", "certificateRejected", "deliveryUncertain"}
