"""The audit line: one for every mail, when its fate is known, whatever anybody wrote into it."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from bed.certs import Certs
from bed.faulty import FaultyServer
from bed.invariants import check_no_secret
from bed.memory import CHUNKED, ONE_BY_ONE, PIPELINED, Peer, Store, run
from bed.recorder import Recorder

import nina_smtp
from nina_smtp import observe
from nina_smtp.delivery.account import Account
from nina_smtp.delivery.result import Result, Results, Status
from nina_smtp.envelope import Envelope
from nina_smtp.errors import MessageRefused, NinaError, ParameterError
from nina_smtp.message import Email
from nina_smtp.observe import audit
from nina_smtp.observe.linefile import LineFile
from nina_smtp.observe.text import json_line, masked
from nina_smtp.smtp.mail import Refusal
from nina_smtp.smtp.replies import Reply
from nina_smtp.smtp.server import Encryption, Server

CANARY = "CANARY-7f3a/+=ä"
NODE = {"parameters": {"to": "{{ to }}", "from": "a@x.test", "subject": "s {{ n }}", "body": "b"}}
CREDENTIAL = {
    "host": "localhost", "port": 25, "encryption": "none", "authMethod": "none", "ehloName": "me.test",
}  # fmt: skip
HOSTILE = (
    'x"}\r\n{"event": "mail"}\n2027-01-01 INFO login ok \x00\x1b[2J\x7f\x85\x9b\u2028\u2029\u202e\u2066\u200b'
    "\ufeff\U000e0041\ud800 \\"
)


@pytest.fixture
def heard(listen: Any) -> Any:
    return listen("nina_smtp.audit", logging.INFO)


def lines_of(heard: Any) -> list[dict[str, Any]]:
    """The lines, each of which has to be a JSON object on a line of its own."""
    found = []
    for line in heard.lines:
        assert line.isprintable(), f"more than one plain line: {line!r}"
        assert len(line.splitlines()) == 1
        found.append(json.loads(line))
    return found


def sent(*items: Any, node: dict[str, Any] = NODE, on_error: str = "continue", **server: Any) -> Results:
    keywords = server.pop("keywords", PIPELINED)

    async def work() -> Results:
        options = {"options": {"onError": on_error}}
        return await nina_smtp.send_async(
            node | options, CREDENTIAL, list(items), idempotency_key="run-7/mail"
        )

    return run(work, lambda: Peer(Store(), keywords, **server))


def to(*names: str) -> dict[str, Any]:
    return {"to": ", ".join(f"{name}@x.test" for name in names), "n": 1}


def test_a_mail_that_was_sent(heard: Any) -> None:
    (result,) = sent(to("bob", "carol"))
    (line,) = lines_of(heard)
    assert datetime.fromisoformat(line.pop("time")).tzinfo
    assert line.pop("durationMs") == result.duration_ms
    assert line == {
        "event": "mail",
        "status": "sent",
        "messageId": result.message_id,
        "from": "a@x.test",
        "to": ["bob@x.test", "carol@x.test"],
        "accepted": 2,
        "rejected": 0,
        "code": 250,
        "enhancedCode": "2.0.0",
        "attempts": 1,
        "size": result.size,
        "host": "localhost",
        "port": 25,
        "account": "localhost:25",
        "key": "run-7/mail/0",
        "item": 0,
    }


@pytest.mark.parametrize("keywords", [PIPELINED, CHUNKED, ONE_BY_ONE])
def test_there_is_one_line_for_each_mail_whatever_became_of_it(heard: Any, keywords: tuple[str, ...]) -> None:
    def answers(**replies: bytes) -> dict[tuple[str, str], Any]:
        return {("rcpt", name): reply for name, reply in replies.items()}

    results = sent(
        to("good"), to("good", "bad", "later"), to("bad", "bad2"), {"to": "no address", "n": 1}, to("good2"),
        keywords=keywords, answers=answers(bad=b"550 5.1.1", bad2=b"550 5.1.1", later=b"450 4.2.0"),
    )  # fmt: skip
    lines = {line["item"]: line for line in lines_of(heard)}
    assert len(heard.records) == len(lines) == len(results) == 5
    statuses = [lines[item]["status"] for item in range(5)]
    assert (
        statuses == [result.status for result in results] == ["sent", "partial", "failed", "failed", "sent"]
    )
    assert (lines[1]["accepted"], lines[1]["rejected"]) == (1, 2)
    assert lines[1]["rejectedCodes"] == {"550 5.1.1": 1, "450 4.2.0": 1}
    assert (lines[2]["error"], lines[2]["phase"], lines[2]["code"]) == ("recipientsRefused", "rcpt", 550)
    assert lines[3]["error"] == "invalidAddress"
    assert "messageId" not in lines[3]


def test_a_mail_that_may_have_been_delivered(heard: Any) -> None:
    (result,) = sent(to("bob"), answers={("end", "a"): b"what"})
    (line,) = lines_of(heard)
    assert result.status == line["status"] == "unknown"
    assert (line["error"], line["phase"], line["uncertain"]) == ("deliveryUncertain", "dot", 1)


def test_mails_that_were_not_attempted_have_a_line_each(heard: Any) -> None:
    results = sent(
        to("bob"),
        to("bad"),
        to("carol"),
        to("dave"),
        on_error="fail",
        answers={("rcpt", "bad"): b"550 5.1.1"},
    )
    assert [result.status for result in results] == ["sent", "failed", "notAttempted", "notAttempted"]
    assert [line["status"] for line in lines_of(heard)] == [result.status for result in results]


def test_a_server_that_cannot_be_reached_is_named_all_the_same(heard: Any) -> None:
    with Recorder() as closed:
        port = closed.port
    credential = CREDENTIAL | {"host": "127.0.0.1", "port": port}
    nina_smtp.send(NODE | {"options": {"onError": "continue"}}, credential, [to("bob"), to("carol")])
    lines = lines_of(heard)
    assert [(line["status"], line["error"]) for line in lines] == [("failed", "connectFailed")] * 2
    assert [(line["host"], line["port"]) for line in lines] == [("127.0.0.1", port)] * 2


def test_a_line_is_written_at_once_though_results_wait_for_those_before_them(heard: Any) -> None:
    """Item 1 cannot be built, which is seen while item 0 waits for its verdict."""
    results = sent(to("bob"), {"to": "no address", "n": 1})
    assert [result.item for result in results] == [0, 1]
    assert [(line["item"], line["status"]) for line in lines_of(heard)] == [(1, "failed"), (0, "sent")]


def test_the_account_is_the_one_it_was_at_last(heard: Any) -> None:
    with Recorder() as closed:
        port = closed.port
    with Recorder() as server:
        first, second = ({**CREDENTIAL, "host": "127.0.0.1", "port": one} for one in (port, server.port))
        nina_smtp.send(NODE, [first, second], [to("bob")])
    (line,) = lines_of(heard)
    assert (line["status"], line["port"], line["account"]) == (
        "sent",
        server.port,
        f"127.0.0.1:{server.port}",
    )


def test_every_mail_of_work_that_is_stopped_has_its_line(heard: Any) -> None:
    async def work() -> None:
        items = [to(f"m{n}") for n in range(50)]
        task = asyncio.create_task(nina_smtp.send_async(NODE, CREDENTIAL, items))
        while not heard.records:
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    run(work, lambda: Peer(Store()))
    lines = lines_of(heard)
    assert sorted(line["item"] for line in lines) == list(range(50))
    assert {line["status"] for line in lines} >= {"sent", "notAttempted"}


def test_a_pool_has_a_line_for_each_message(heard: Any) -> None:
    account = Account(Server("localhost", 25, Encryption.NONE, ehlo_name="me.test"), name="SOC mail")

    async def work() -> None:
        async with nina_smtp.Pool(account) as pool:
            await pool.send(Email("a@x.test", "b@x.test", "s", text="t"))
            with pytest.raises(NinaError):
                await pool.send(Email("a@x.test", "bad@x.test", "s", text="t"))

    run(work, lambda: Peer(Store(), answers={("rcpt", "bad"): b"550 5.1.1"}))
    lines = lines_of(heard)
    assert [(line["status"], line["account"]) for line in lines] == [
        ("sent", "SOC mail"),
        ("failed", "SOC mail"),
    ]
    assert not any("key" in line for line in lines)


def test_what_is_only_built_or_not_over_or_was_told_before_has_none(heard: Any) -> None:
    nina_smtp.send(NODE, CREDENTIAL, [to("bob"), {"to": "no address"}], dry_run=True)
    observe.mail_ended(Result(Status.DEFERRED))
    observe.mail_ended(Result(Status.SENT, recorded=True))
    assert not heard.records
    result = Result(Status.SENT)
    observe.mail_ended(result)
    observe.mail_ended(result)
    assert len(heard.records) == 1


def test_nobody_who_listens_costs_next_to_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: Any, **__: Any) -> Any:
        raise AssertionError("nobody asked")

    monkeypatch.setattr(audit, "facts_of", never)
    result = Result(Status.SENT)
    observe.mail_ended(result)
    assert not result.told


# -- what must not be in it --------------------------------------------------------------------------


def test_no_secret_no_subject_and_no_content_is_in_it(heard: Any, certs: Certs) -> None:
    node = NODE | {"parameters": NODE["parameters"] | {"subject": f"S {CANARY}", "body": f"B {CANARY}"}}
    data = {
        "host": "localhost", "username": "alice@mail.test", "password": CANARY,
        "caCertificate": certs.ca_pem.read_text(),
    }  # fmt: skip
    for fault in ("ok", "a_echo", "a_535", "r_mixed", "x_554"):
        with FaultyServer(fault, tls=certs) as server:
            nina_smtp.send(node, data | {"port": server.port}, [to("bob", "carol", "dave")])
    lines = lines_of(heard)
    assert [line["status"] for line in lines] == ["sent", "failed", "failed", "partial", "failed"]
    assert lines[0]["tls"].startswith("TLSv1.")
    check_no_secret(heard.lines, [CANARY], "alice@mail.test")
    assert all("subject" not in line and "response" not in line for line in lines)


def test_recipients_are_masked_if_wanted(heard: Any) -> None:
    audit.mask_recipients()
    sent(to("alice", "bob"))
    (line,) = lines_of(heard)
    assert line["to"] == ["a***@x.test", "b***@x.test"]
    assert line["from"] == "a@x.test"
    assert masked('"quoted local"@corp.example') == "q***@corp.example"
    assert masked("ü@bücher.example") == "ü***@bücher.example"
    assert masked("nobody") == "***"


def hostile_result() -> Result:
    reply = Reply(550, (HOSTILE,))
    return Result(
        Status.FAILED,
        message_id=HOSTILE,
        envelope=Envelope(HOSTILE, (HOSTILE, "b@x.test")),
        rejected=(Refusal(HOSTILE, reply),),
        response=HOSTILE,
        server={"host": HOSTILE, "port": 25, "tls": {"version": HOSTILE}},
        error=MessageRefused(HOSTILE, phase=HOSTILE, reply=reply),
    )


def test_nothing_that_anybody_writes_makes_a_second_line(heard: Any) -> None:
    observe.mail_ended(hostile_result(), key=HOSTILE)
    (line,) = lines_of(heard)
    assert line["key"] == HOSTILE.replace("\ud800", "?")
    assert line["to"][1] == "b@x.test"
    raw = heard.lines[0]
    for bad in "\r\n\x00\x1b\x7f\x85\x9b\u2028\u2029\u202e\u2066\u200b\ufeff\U000e0041\ud800":
        assert bad not in raw
    raw.encode()


def test_a_hostile_subject_name_or_server_changes_nothing(heard: Any) -> None:
    evil = HOSTILE.replace("\ud800", "").replace("\0", "").encode().replace(b"\r", b"").replace(b"\n", b"")
    node = {"parameters": {"to": "{{ to }}", "from": "a@x.test", "subject": HOSTILE, "body": HOSTILE}}
    results = sent(
        {"to": f"{HOSTILE} <bob@x.test>"}, to("bad"), to("bob"),
        node=node, answers={("rcpt", "bad"): b"550 5.1.1 " + evil, ("rcpt", "bob"): b"250 " + evil},
    )  # fmt: skip
    lines = lines_of(heard)
    assert len(lines) == len(results) == 3
    assert all("INFO" not in line for line in heard.lines)


@pytest.mark.parametrize(
    "value", ["ü", "\U0001f600", "\u2028", "\x7f", "\ud800", "\\ud800", '"', "\U000e0001"]
)
def test_a_line_of_json_says_the_same(value: str) -> None:
    line = json_line({"k": value})
    assert line.isprintable()
    assert json.loads(line) == {"k": value.replace("\ud800", "?")}


def test_ever_new_codes_of_a_server_do_not_make_the_line_grow() -> None:
    refused = tuple(Refusal("a@x.test", Reply(550, (f"5.1.{n} no",))) for n in range(300))
    facts = audit.facts_of(Result(Status.FAILED, rejected=refused), key=None, account=None)
    assert len(facts["rejectedCodes"]) == 21
    assert sum(facts["rejectedCodes"].values()) == facts["rejected"] == 300


class _Broken(logging.Handler):
    def handle(self, record: logging.LogRecord) -> bool:
        raise RuntimeError(HOSTILE)


def test_a_handler_that_fails_stops_no_mail(capsys: pytest.CaptureFixture[str]) -> None:
    logger, handler = logging.getLogger("nina_smtp.audit"), _Broken()
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        results = sent(to("bob"), to("carol"))
    finally:
        logger.removeHandler(handler)
        logger.setLevel(logging.NOTSET)
    assert [result.status for result in results] == ["sent", "sent"]
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 2
    assert all(line.startswith("nina_smtp: a log handler failed: RuntimeError(") for line in said)


# -- the file ----------------------------------------------------------------------------------------


def record(text: str) -> logging.LogRecord:
    return logging.LogRecord("nina_smtp.audit", logging.INFO, "", 0, "%s", (text,), None)


@pytest.fixture
def problems() -> list[str]:
    return []


@pytest.fixture
def file(tmp_path: Path, problems: list[str]) -> Iterator[LineFile]:
    handler = LineFile(tmp_path / "audit.jsonl", problems.append)
    yield handler
    handler.close()


def test_the_file_is_its_owners_alone_and_is_appended_to(
    file: LineFile, tmp_path: Path, problems: list[str]
) -> None:
    path = tmp_path / "audit.jsonl"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    file.handle(record("one"))
    path.write_text(path.read_text() + "theirs\n")
    file.handle(record("two"))
    assert path.read_text() == "one\ntheirs\ntwo\n"
    assert not problems


def test_a_file_that_was_moved_away_is_begun_anew(file: LineFile, tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    file.handle(record("one"))
    path.rename(tmp_path / "audit.jsonl.1")
    file.handle(record("two"))
    assert (path.read_text(), (tmp_path / "audit.jsonl.1").read_text()) == ("two\n", "one\n")
    path.unlink()
    path.mkdir()
    file.handle(record("nowhere"))
    path.rmdir()
    file.handle(record("three"))
    assert path.read_text() == "three\n"


def test_several_processes_can_share_it(tmp_path: Path) -> None:
    program = (
        "import logging, sys; from pathlib import Path; from nina_smtp.observe.linefile import LineFile\n"
        "handler = LineFile(Path(sys.argv[1]), print)\n"
        "for n in range(200):\n"
        "    text = f'{sys.argv[2]} {n} ' + sys.argv[2] * 6000\n"
        "    handler.handle(logging.LogRecord('a', 20, '', 0, text, None, None))\n"
    )
    path = tmp_path / "shared.jsonl"
    running = [subprocess.Popen([sys.executable, "-c", program, str(path), name]) for name in "abcd"]
    assert [one.wait() for one in running] == [0] * 4
    lines = path.read_text().splitlines()
    wanted = {f"{name} {n} {name * 6000}" for name in "abcd" for n in range(200)}
    assert len(lines) == 800
    assert set(lines) == wanted


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full")
def test_a_full_disk_is_said_once() -> None:
    problems: list[str] = []
    handler = LineFile(Path("/dev/full"), problems.append)
    for _ in range(3):
        handler.handle(record("lost"))
    handler.close()
    assert problems == [
        "/dev/full cannot be written: No space left on device. The mails go out all the same."
    ]


def test_a_line_that_was_torn_spoils_no_other(
    file: LineFile, tmp_path: Path, problems: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    write = os.write
    monkeypatch.setattr(os, "write", lambda file, line: write(file, line[:3]))
    file.handle(record("torn away"))
    monkeypatch.undo()
    file.handle(record("whole"))
    assert (tmp_path / "audit.jsonl").read_text() == "tor\nwhole\n"
    assert len(problems) == 1


def test_a_file_that_cannot_be_is_refused_at_once(tmp_path: Path) -> None:
    from argparse import Namespace

    from nina_smtp.cli.observing import observing

    wish = Namespace(audit=str(tmp_path / "no" / "folder"), log=None)
    with pytest.raises(ParameterError, match="cannot be written"), observing(wish):
        raise AssertionError("it is refused before anything is sent")


# -- with a ledger -----------------------------------------------------------------------------------


def recorded(tmp_path: Path, *items: Any, **server: Any) -> Results:
    """Over the wire, since a ledger's thread and a clock that runs ahead do not go together."""
    with Recorder(**server) as recorder:
        return nina_smtp.send(
            NODE, CREDENTIAL | {"port": recorder.port}, list(items), ledger=tmp_path / "mail.db",
            idempotency_key="run-7/mail",
        )  # fmt: skip


def test_mails_on_record_have_one_line_each_too(heard: Any, tmp_path: Path) -> None:
    refusing = {b"bad@x.test": b"550 5.1.1 no"}
    items = [to("bob"), to("carol", "bad"), to("bad"), to("dave"), to("eve")]
    results = recorded(tmp_path, *items, rcpt_replies=refusing)
    statuses = ["sent", "partial", "failed", "notAttempted", "notAttempted"]
    assert [result.status for result in results] == statuses
    lines = lines_of(heard)
    assert sorted((line["item"], line["status"]) for line in lines) == list(enumerate(statuses))
    assert {line["key"] for line in lines} == {f"run-7/mail/{item}" for item in range(5)}


def test_what_is_deferred_has_its_line_when_it_is_over(heard: Any, tmp_path: Path) -> None:
    (result,) = recorded(tmp_path, to("bob"), dot_reply=b"451 4.3.0 later")
    assert result.status == "deferred"
    assert not heard.records


def test_a_mail_that_a_ledger_had_is_not_told_again(heard: Any, tmp_path: Path) -> None:
    for _ in range(2):
        (result,) = recorded(tmp_path, to("bob"))
        assert result.status == "sent"
    assert result.recorded
    assert len(heard.records) == 1


def test_work_on_record_that_is_stopped_has_no_line_too_many(heard: Any, tmp_path: Path) -> None:
    timeouts = {"quit": 0.2}

    async def work(port: int) -> None:
        data = CREDENTIAL | {"port": port, "timeouts": timeouts}
        items = [to(f"m{n}") for n in range(10)]
        sending = nina_smtp.send_async(NODE, data, items, ledger=tmp_path / "mail.db", idempotency_key="k")
        task = asyncio.create_task(sending)
        while not server.messages:
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    with FaultyServer("x_hang", mode="none", patience=1) as server:
        asyncio.run(work(server.port))
    items = [line["item"] for line in lines_of(heard)]
    assert len(items) == len(set(items))
    assert set(items) >= set(range(2, 10)), "of the two that were on their way the ledger knows"
