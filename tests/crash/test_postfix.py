"""Killed while it submits to Postfix: the copies are counted in the mailbox, where Dovecot put them."""

from __future__ import annotations

import hashlib
import imaplib
import os
import random
import re
import signal
import threading
import time
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import pytest
from bed.certs import Certs
from bed.mailservers import MailHost
from crash.cradle import GUARD, LARGE, Cradle, Row, Victim, credential, message_id_of, node, rows
from crash.victim import CERTAIN, POINTS

SECONDS = float(os.environ.get("SOAK_SECONDS", "0"))
SAMPLE = {"rcpt": "stop", "half": "stop", "committing": "resend", "dot": "resend", "250": "stop"}
_TRACE = re.compile(rb"\A(?:(?:Return-Path|Delivered-To|Received|X-Original-To):.*\r\n(?:[ \t].*\r\n)*)*")


def settle(log: Path) -> None:
    """Returns when Postfix has no connection open and has delivered what it has."""
    deadline, pause = time.monotonic() + GUARD, threading.Event()
    while True:
        text = log.read_text()
        conversations = len(re.findall(r"smtpd\[\d+\]: connect from", text))
        over = len(re.findall(r"smtpd\[\d+\]: disconnect from", text))
        queued = set(re.findall(r"qmgr\[\d+\]: (\w+): from=", text))
        removed = set(re.findall(r"qmgr\[\d+\]: (\w+): removed", text))
        if conversations == over and queued == removed:
            return
        assert time.monotonic() < deadline, "Postfix is not at rest"
        pause.wait(0.02)


def delivered(host: MailHost, mailbox: str) -> dict[str, list[str]]:
    """For each Message-ID the digests of its copies, as they were submitted."""
    settle(host.log)
    found: defaultdict[str, list[str]] = defaultdict(list)
    context = host.mailboxes.certs.client_context()
    with imaplib.IMAP4_SSL("localhost", host.mailboxes.imaps_port, ssl_context=context, timeout=20) as imap:
        imap.login(f"{mailbox}*reader", "reader")
        imap.select("INBOX", readonly=True)
        _, parts = imap.fetch("1:*", "(BODY.PEEK[])")
        for part in parts:
            if isinstance(part, tuple):
                content = _TRACE.sub(b"", part[1], count=1)
                found[message_id_of(content)].append(hashlib.sha256(content).hexdigest())
    return found


def check(row: Row, policy: str, digests: list[str]) -> None:
    """The copies of a mail are what its policy allows, and the very octets that are on record."""
    assert set(digests) <= {row.sha256}
    doubts = sum(one["outcome"] == "unknown" for one in row.history)
    if not doubts:
        assert (row.state, len(digests)) == ("sent", 1)
    elif policy == "resend":
        assert row.state == "sent"
        assert 1 <= len(digests) <= 1 + doubts
    else:
        assert row.state == ("unknown" if policy == "stop" else "sent")
        assert len(digests) <= 1


@pytest.fixture
def account(postfix: MailHost, certs: Certs) -> dict[str, Any]:
    return credential(postfix.starttls_port, certs)


@pytest.mark.parametrize("point", SAMPLE)
def test_killed_while_it_submits_to_postfix(
    cradle: Cradle, postfix: MailHost, account: dict[str, Any], tmp_path: Path, point: str
) -> None:
    ledger, policy, mailbox = tmp_path / "mail.db", SAMPLE[point], f"ok-kill-{point}@mail.test"
    text = LARGE if point == "half" else "short"
    items = [{"to": mailbox, "name": f"m{n}", "text": f"{text} {n}"} for n in range(3)]
    work = {"node": node(onUncertain=policy, onError="continue"), "items": items, "key": "run-1"}
    trap = {"point": point, "count": 2}
    cradle.killed(work="send", ledger=ledger, credential=account, trap=trap, **work)
    cradle.finished(work="serve", ledger=ledger, credential=account)
    cradle.finished(work="send", ledger=ledger, credential=account, **work)
    found = delivered(postfix, mailbox)
    assert len(rows(ledger)) == 3
    for row in rows(ledger):
        check(row, policy, found[row.message_id])
    assert sum(row.was_in_doubt for row in rows(ledger)) == (point not in CERTAIN)


class Soak:
    """Rounds of mails, each with two workers that are killed at random, and a count at the end."""

    def __init__(self, cradle: Cradle, host: MailHost, account: dict[str, Any], folder: Path) -> None:
        self.seed = int.from_bytes(os.urandom(4), "big")
        self.counted: Counter[str] = Counter()
        self._dice = random.Random(self.seed)
        self._cradle, self._host, self._account, self._folder = cradle, host, account, folder

    def round(self, number: int) -> None:
        dice, ledger = self._dice, self._folder / f"{number}.db"
        mailbox = f"ok-soak-{number}@mail.test"
        policy = dice.choice(["stop", "resend", "assumeSent"])
        items = [
            {"to": mailbox, "name": f"m{n}", "text": f"{'' if dice.random() < 0.9 else LARGE} {n}"}
            for n in range(dice.randint(5, 100))
        ]
        options = {"onUncertain": policy, "onError": dice.choice(["fail", "continue", "continue"])}
        work = {"node": node(**options), "items": items, "key": "run", "work": "send"}
        workers = [self._start(ledger, work), self._start(ledger, {"work": "serve"})]
        for _ in range(dice.randint(2, 8)):
            self._kill_one(workers, ledger, work)
        for worker in workers:
            self.counted[self._end_of(worker)] += 1
        self._cradle.finished(work="serve", ledger=ledger, credential=self._account)
        work["node"] = node(**(options | {"onError": "continue"}))
        self._cradle.finished(ledger=ledger, credential=self._account, **work)
        self._count(ledger, policy, mailbox, len(items))

    def _start(self, ledger: Path, work: dict[str, Any]) -> Victim:
        trap = None
        if self._dice.random() < 0.3:
            trap = {"point": self._dice.choice(list(POINTS)), "count": self._dice.randint(1, 20)}
        job = work | {"credential": self._account, "ledger": ledger, "seenEvery": 0.2, "trap": trap}
        return self._cradle.start(**job)

    def _kill_one(self, workers: list[Victim], ledger: Path, work: dict[str, Any]) -> None:
        threading.Event().wait(self._dice.uniform(0, 0.25))  # any moment will do
        place = self._dice.randrange(2)
        workers[place].kill()
        self.counted[self._end_of(workers[place])] += 1
        workers[place] = self._start(ledger, self._dice.choice([work, {"work": "serve"}]))

    def _end_of(self, worker: Victim) -> str:
        end = worker.wait(GUARD)
        assert end in (("killed", signal.SIGKILL), ("exited", 0)), (end, self._cradle.log.read_text())
        return "workers that were killed" if end[0] == "killed" else "workers that were done"

    def _count(self, ledger: Path, policy: str, mailbox: str, items: int) -> None:
        found, on_record = delivered(self._host, mailbox), rows(ledger)
        assert len(on_record) == items
        assert set(found) <= {row.message_id for row in on_record}
        for row in on_record:
            digests = found.get(row.message_id, [])
            check(row, policy, digests)
            self.counted["mails"] += 1
            self.counted[f"{policy}: {row.state}, {len(digests)} copies"] += 1


@pytest.mark.soak
@pytest.mark.skipif(not SECONDS, reason="make soak runs it")
def test_soak(
    cradle: Cradle,
    postfix: MailHost,
    account: dict[str, Any],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    soak, until, number = Soak(cradle, postfix, account, tmp_path), time.monotonic() + SECONDS, 0
    try:
        while time.monotonic() < until:
            soak.round(number)
            number += 1
    finally:
        with capsys.disabled():
            print(f"\n{number} rounds, seed {soak.seed}")
            for name, count in sorted(soak.counted.items()):
                print(f"{count:7}  {name}")
