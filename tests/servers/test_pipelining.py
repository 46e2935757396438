"""Many mails on a connection, as each server takes them: every one is told the truth and arrives once."""

from __future__ import annotations

import imaplib
import re
import subprocess
import uuid
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import pytest
from bed.chaos import ChaosProxy
from bed.mailservers import MailHost

import nina_smtp
from nina_smtp.delivery.result import Results

MAILS = 60
GONE = frozenset({0, 17, 18, 19, 40, 59})  # whose only recipient is refused
SOME = frozenset({1, 16, 30, 41, 58})  # with one recipient refused of three
ARRIVAL = 20.0  # seconds

# Name: what of EHLO is hidden, and how many mails may be on their way at once.
WAYS: dict[str, tuple[bytes | None, int]] = {
    "data": (b"CHUNKING", 1),
    "chunks": (None, 1),
    "chunks in a window": (None, 8),
    "no pipelining": (b"PIPELINING", 8),
}
PLACES = [
    *[("postfix", "plain", way) for way in WAYS],
    *[("postfix", "starttls", way) for way in ("chunks", "chunks in a window")],
    *[("exim", "starttls", way) for way in ("chunks", "chunks in a window")],
]


@contextmanager
def credential(host: MailHost, security: str, hidden: bytes | None) -> Iterator[dict[str, Any]]:
    port = host.plain_port if security == "plain" else host.starttls_port
    assert port
    shape: dict[str, Any] = {"host": host.host, "port": port, "fromAddress": "alice@mail.test"}
    if security == "plain":
        shape |= {"encryption": "none", "authMethod": "none"}
    else:
        shape |= {
            "encryption": "starttls", "authMethod": "login", "username": host.user, "password": host.password,
            "caCertificate": host.ca_pem.read_text(),
        }  # fmt: skip
    with ChaosProxy(port, hide=hidden) if hidden else nullcontext() as proxy:
        yield shape | ({"port": proxy.port} if proxy else {})


def item(number: int) -> dict[str, Any]:
    if number in GONE:
        return {"n": number, "to": ["gone@mail.test"]}
    return {
        "n": number,
        "to": ["bob@mail.test", *(["gone@mail.test", "carol@mail.test"] if number in SOME else [])],
    }


def send(data: dict[str, Any], batch: str, *, window: int, connections: int) -> Results:
    node = {
        "parameters": {
            "to": "{{ to }}", "subject": f"{batch} {{{{ n }}}}", "body": "Line\n.\n..dots\n" * 20,
            "messageId": f"<{{{{ n }}}}-{batch}@mail.test>",
        },
        "options": {"onError": "continue"},
    }  # fmt: skip
    limits = {"connections": connections, "pipelineWindow": window}
    return nina_smtp.send(node, data | {"limits": limits}, [item(number) for number in range(MAILS)])


def found(host: MailHost, mailbox: str, batch: str) -> Counter[int]:
    """The numbers of this batch's mails that are in ``mailbox`` now, by one search."""
    with host.mailboxes._inbox(mailbox) as imap:
        return numbers(imap, batch)


def flush(host: MailHost) -> None:
    """Has Exim deliver what it only queues: all but ten mails of a connection."""
    if host.name == "exim":
        folder = host.log.parent.parent
        subprocess.run([folder / "exim4", "-C", folder / "exim.conf", "-q"], check=True, timeout=60)


def numbers(imap: imaplib.IMAP4_SSL, batch: str) -> Counter[int]:
    _, which = imap.search(None, "HEADER", "Message-ID", f'"{batch}@mail.test"')
    if not which[0]:
        return Counter()
    _, parts = imap.fetch(which[0].replace(b" ", b",").decode(), "(BODY.PEEK[HEADER.FIELDS (MESSAGE-ID)])")
    octets = b"".join(part[1] for part in parts if isinstance(part, tuple))
    return Counter(int(number) for number in re.findall(rb"<(\d+)-" + batch.encode(), octets))


def assert_arrived(host: MailHost, mailbox: str, batch: str, wanted: Counter[int]) -> None:
    """Each of the mails is there, or is on its way and comes, and each is there once."""
    flush(host)
    for number in wanted:
        if found(host, mailbox, batch) >= wanted:
            break
        host.imap_fetch(mailbox, f"{number}-{batch}@mail.test", within=ARRIVAL)
    assert found(host, mailbox, batch) == wanted


@pytest.fixture
def host(request: pytest.FixtureRequest) -> MailHost:
    found: MailHost = request.getfixturevalue(request.param)
    return found


def check(host: MailHost, results: Results, batch: str) -> None:
    """What is said of each mail, and what has arrived."""
    for number, result in enumerate(results):
        shape = result.as_dict()
        refused = [(one["address"], one["code"]) for one in shape["rejected"]]
        if number in GONE:
            assert (shape["status"], shape["error"]["type"]) == ("failed", "recipientsRefused"), shape
            assert (shape["accepted"], refused) == ([], [("gone@mail.test", 550)])
        elif number in SOME:
            assert shape["status"] == "partial", shape
            assert shape["accepted"] == ["bob@mail.test", "carol@mail.test"]
            assert refused == [("gone@mail.test", 550)]
        else:
            assert (shape["status"], shape["accepted"], refused) == ("sent", ["bob@mail.test"], []), shape
        assert shape["attempts"] == 1
        assert shape["item"] == number
    expected = {
        "bob@mail.test": Counter(set(range(MAILS)) - GONE),
        "carol@mail.test": Counter(SOME),
    }
    for mailbox, wanted in expected.items():
        assert_arrived(host, mailbox, batch, wanted)


@pytest.mark.server
@pytest.mark.parametrize(("host", "security", "way"), PLACES, indirect=["host"])
def test_every_mail_is_told_the_truth_and_arrives_once(host: MailHost, security: str, way: str) -> None:
    hidden, window = WAYS[way]
    batch = uuid.uuid4().hex
    before = host.log.read_text(errors="replace")
    with credential(host, security, hidden) as data:
        results = send(data, batch, window=window, connections=1)
    check(host, results, batch)
    log = host.log.read_text(errors="replace")[len(before) :]
    refusals = [line for line in log.splitlines() if "RCPT" in line and "550 5.1.1" in line]
    assert len(refusals) == len(GONE | SOME)


@pytest.mark.server
@pytest.mark.parametrize("host", ["postfix", "exim"], indirect=True)
def test_so_it_is_over_several_connections(host: MailHost) -> None:
    batch = uuid.uuid4().hex
    with credential(host, "starttls", None) as data:
        results = send(data, batch, window=8, connections=4)
    check(host, results, batch)


@pytest.mark.server
@pytest.mark.parametrize("window", [1, 8])
def test_a_refusal_of_the_content_is_told_of_that_mail_alone(exim: MailHost, window: int) -> None:
    batch = uuid.uuid4().hex
    node = {
        "parameters": {
            "to": "bob@mail.test", "subject": "s", "body": "{{ body }}",
            "messageId": f"<{{{{ n }}}}-{batch}@mail.test>",
        },
        "options": {"onError": "continue"},
    }  # fmt: skip
    given = [{"n": n, "body": {3: "REJECT-ME", 9: "DEFER-ME"}.get(n, "fine")} for n in range(20)]
    with credential(exim, "starttls", None) as data:
        limits = {"connections": 1, "pipelineWindow": window}
        results = nina_smtp.send(node, data | {"limits": limits}, given)
    failed = {result.item: result.error.code for result in results if result.error}
    assert failed == {3: 554, 9: 451}
    assert_arrived(exim, "bob@mail.test", batch, Counter(set(range(20)) - {3, 9}))


@pytest.mark.server
@pytest.mark.parametrize("way", WAYS)
def test_in_order_nothing_is_delivered_behind_a_mail_that_was_refused(postfix: MailHost, way: str) -> None:
    hidden, window = WAYS[way]
    batch = uuid.uuid4().hex
    node = {
        "parameters": {
            "to": "{{ to }}",
            "subject": "s",
            "body": "b",
            "messageId": f"<{{{{ n }}}}-{batch}@mail.test>",
        }
    }
    given = [{"n": n, "to": "gone@mail.test" if n == 7 else "bob@mail.test"} for n in range(20)]
    with credential(postfix, "plain", hidden) as data:
        results = nina_smtp.send(node, data | {"limits": {"connections": 3, "pipelineWindow": window}}, given)
    assert [result.status for result in results] == ["sent"] * 7 + ["failed"] + ["notAttempted"] * 12
    assert_arrived(postfix, "bob@mail.test", batch, Counter(range(7)))
