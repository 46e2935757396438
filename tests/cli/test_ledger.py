"""``nina-smtp send --ledger`` and ``nina-smtp ledger``, and dry runs that ask the server.

The commands run in this process: each test needs several.
"""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from bed.fickle import Fickle
from bed.invariants import check_no_secret
from bed.mailservers import MailHost
from bed.recorder import Recorder

from nina_smtp.cli import main
from nina_smtp.delivery.ledger.database import engine_for
from nina_smtp.delivery.ledger.tables import mails

PASSWORD = "hunter-zwölf"
LATER = b"451 4.3.0 Try later"
NODE = {"parameters": {"to": "{{ to }}", "subject": "s", "body": "b"}}
TO_ALL = {"to": "b@mail.test, c@mail.test"}


@dataclass(frozen=True)
class Ran:
    status: int
    stdout: str
    stderr: str

    @property
    def json(self) -> Any:
        return json.loads(self.stdout)

    @property
    def lines(self) -> list[Any]:
        return [json.loads(line) for line in self.stdout.splitlines()]


Command = Callable[..., Ran]


@pytest.fixture
def cli(
    capfdbinary: pytest.CaptureFixture[bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Command:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PW", PASSWORD)

    def run(*arguments: str) -> Ran:
        try:
            status = main(arguments)
        except SystemExit as ended:
            status = int(ended.code or 0)
        out, err = capfdbinary.readouterr()
        return Ran(status, out.decode(), err.decode())

    return run


@pytest.fixture
def put(tmp_path: Path) -> Callable[..., str]:
    def put(name: str, value: Any) -> str:
        (tmp_path / name).write_text(json.dumps(value))
        return name

    return put


@pytest.fixture
def closed() -> Iterator[int]:
    """A port at which nobody listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield taken.getsockname()[1]


def credential(server: Recorder | int, **more: Any) -> dict[str, Any]:
    port = server if isinstance(server, int) else server.port
    data = {
        "host": "localhost", "port": port, "encryption": "none", "username": "alice", "password": "${PW}",
        "fromAddress": "a@mail.test", "timeouts": {"quit": 1, "command": 5, "final": 5},
    }  # fmt: skip
    return {"type": "smtp", "data": data | more}


@pytest.fixture
def send(cli: Command, put: Callable[..., str]) -> Command:
    put("node.json", NODE)

    def run(*arguments: str, items: Any = TO_ALL, ledger: str = "mail.db") -> Ran:
        put("items.json", items)
        using = ["--ledger", ledger] if ledger else []
        return cli("send", "node.json", "--input", "items.json", *using, *arguments)

    return run


def make_due(tmp_path: Path, at: float = 0.0) -> None:
    engine = engine_for(tmp_path / "mail.db")
    with engine.begin() as connection:
        connection.execute(sa.update(mails).values(due=at))
    engine.dispose()


# -- send ----------------------------------------------------------------------------------------------


def test_the_same_key_sends_once(send: Command, put: Callable[..., str], tmp_path: Path) -> None:
    with Recorder() as server:
        put("cred.json", credential(server))
        first, again = (send("--credential", "cred.json", "--idempotency-key", "k") for _ in range(2))
        other = send("--credential", "cred.json", "--idempotency-key", "k", items={"to": "z@mail.test"})
    assert (first.status, again.status) == (0, 0)
    assert again.json == first.json | {"recorded": True}
    assert other.status == 2
    assert other.json["error"]["type"] == "keyConflict"
    assert len(server.messages) == 1
    octets = [path.read_bytes().decode("latin-1") for path in tmp_path.glob("mail.db*") if path.is_file()]
    check_no_secret([first.stdout, first.stderr, again.stdout, *octets], [PASSWORD], "alice")


def test_a_key_that_is_no_text_is_told_and_nothing_hangs(send: Command, put: Callable[..., str]) -> None:
    with Recorder() as server:
        put("cred.json", credential(server))
        ran = send("--credential", "cred.json", "--idempotency-key", "k\udcff")
    assert ran.status in (1, 2)
    assert server.messages == []


def test_what_is_to_be_sent_later_has_a_status_of_its_own(
    send: Command, cli: Command, put: Callable[..., str], tmp_path: Path
) -> None:
    with Fickle(rcpt={b"c@mail.test": [LATER] * 2}) as server:
        put("cred.json", credential(server))
        ran = send("--credential", "cred.json")
        assert ran.status == 75
        assert ran.json["status"] == "deferred"
        assert ran.json["nextAttemptAt"].endswith("+00:00")
        assert ran.json["accepted"] == ["b@mail.test"]
        assert "to be sent later" in ran.stderr
        assert "0 of 1 sent" in ran.stderr

        status = cli("ledger", "status", "mail.db")
        [(account, counts)] = status.json.items()
        assert (account, counts) == (f"alice@localhost:{server.port}", {"deferred": 1})

        [mail] = cli("ledger", "list", "mail.db", "--state", "deferred").lines
        assert (mail["state"], mail["to"], mail["attempts"]) == ("deferred", ["c@mail.test"], 1)
        assert mail["due"] > mail["created"]
        assert cli("ledger", "list", "mail.db", "--state", "sent").lines == []

        make_due(tmp_path, at=4e9)  # chance might have it wait for no more than a moment
        waits = cli("ledger", "send", "mail.db", "--credential", "cred.json")
        assert (waits.status, waits.json) == (75, {account: {"deferred": 1}})
        assert "1 wait" in waits.stderr

        make_due(tmp_path)
        assert cli("ledger", "send", "mail.db", "--credential", "cred.json").status == 75  # refused again
        make_due(tmp_path)
        sent = cli("ledger", "send", "mail.db", "--credential", "cred.json")
        assert (sent.status, sent.json) == (0, {account: {"sent": 1}})
        [mail] = cli("ledger", "list", "mail.db").lines
        assert set(mail["result"]["accepted"]) == {"b@mail.test", "c@mail.test"}
        assert "due" not in mail
    assert len(server.messages) == 2


def test_some_sent_and_some_to_be_sent_later_is_later(send: Command, put: Callable[..., str]) -> None:
    with Fickle(rcpt={b"c@mail.test": [LATER]}) as server:
        put("cred.json", credential(server))
        items = [{"to": "b@mail.test"}, {"to": "c@mail.test"}]
        ran = send("--credential", "cred.json", "--jsonl", items=items)
    assert ran.status == 75
    assert [line["status"] for line in ran.lines] == ["sent", "deferred"]


def test_several_credentials_stand_in_for_each_other(
    send: Command, put: Callable[..., str], closed: int
) -> None:
    with Recorder() as server:
        put("first.json", credential(closed))
        put("second.json", credential(server))
        for ledger in ("mail.db", ""):
            ran = send("--credential", "first.json", "--credential", "second.json", ledger=ledger)
            assert ran.status == 0
            assert ran.json["server"]["port"] == server.port
    assert len(server.messages) == 2


def test_it_waits_as_long_as_it_is_told_to(send: Command, put: Callable[..., str], closed: int) -> None:
    put("cred.json", credential(closed))
    ran = send("--credential", "cred.json", "--wait", "0.05")
    assert (ran.status, ran.json["status"]) == (75, "deferred")
    assert ran.json["error"]["type"] == "connectFailed"


def test_a_ledger_that_cannot_be_opened_is_said_before_anything_is_sent(
    send: Command, put: Callable[..., str], tmp_path: Path
) -> None:
    with Recorder() as server:
        put("cred.json", credential(server))
        ran = send("--credential", "cred.json", ledger=str(tmp_path))
        assert ran.status == 2
        assert ran.json["error"]["parameter"] == "ledger"
        (tmp_path / "notes.txt").write_text("no ledger" * 500)
        ran = send("--credential", "cred.json", ledger="notes.txt")
        assert ran.status == 1
        assert ran.json["error"]["type"] == "ledgerFailed"
    assert server.sessions == []


# -- what people decide --------------------------------------------------------------------------------


@pytest.fixture
def in_doubt(send: Command, put: Callable[..., str]) -> Iterator[Recorder]:
    """A server that took a mail and did not answer."""
    with Fickle(dot=[None]) as server:
        put("cred.json", credential(server))
        ran = send("--credential", "cred.json")
        assert (ran.status, ran.json["status"]) == (1, "unknown")
        yield server


def identifier(cli: Command) -> str:
    [mail] = cli("ledger", "list", "mail.db").lines
    return str(mail["id"])


def test_a_person_has_it_sent_again(cli: Command, in_doubt: Recorder) -> None:
    server = in_doubt
    mail = identifier(cli)
    ran = cli("ledger", "resend", "mail.db", mail)
    assert (ran.status, ran.lines) == (0, [{"id": mail, "state": "queued"}])
    sent = cli("ledger", "send", "mail.db", "--credential", "cred.json")
    assert sent.status == 0
    assert len({message.content for message in server.messages}) == 1
    assert [message.recipients for message in server.messages] == [[b"b@mail.test", b"c@mail.test"]] * 2
    refused = cli("ledger", "resend", "mail.db", mail)
    assert refused.status == 1
    assert refused.lines[0]["error"]["type"] == "invalidParameter"
    assert "nothing to decide" in refused.stderr


def test_a_person_has_all_in_a_state_sent_again(cli: Command, in_doubt: Recorder) -> None:
    assert cli("ledger", "resend", "mail.db", "--all", "failed").lines == []
    assert [line["state"] for line in cli("ledger", "resend", "mail.db", "--all", "unknown").lines] == [
        "queued"
    ]
    assert cli("ledger", "status", "mail.db").json.popitem()[1] == {"queued": 1}


def test_a_person_counts_it_as_sent(cli: Command, in_doubt: Recorder) -> None:
    ran = cli("ledger", "count-as-sent", "mail.db", identifier(cli), "nope")
    assert ran.status == 1
    assert [line.get("state") for line in ran.lines] == ["sent", None]
    [mail] = cli("ledger", "list", "mail.db").lines
    assert (mail["state"], mail["result"]["status"]) == ("sent", "sent")
    assert set(mail["result"]["accepted"]) == {"b@mail.test", "c@mail.test"}
    assert cli("ledger", "send", "mail.db", "--credential", "cred.json").status == 0
    assert len(in_doubt.messages) == 1


def test_what_is_over_is_forgotten(
    cli: Command, send: Command, put: Callable[..., str], tmp_path: Path
) -> None:
    with Recorder() as server:
        put("cred.json", credential(server))
        send("--credential", "cred.json", "--idempotency-key", "k")
        assert cli("ledger", "prune", "mail.db").json == {"forgotten": 0}
        make_due(tmp_path)  # when it was over
        assert cli("ledger", "prune", "mail.db", "--days", "1").json == {"forgotten": 1}
        assert cli("ledger", "status", "mail.db").json == {}
        send("--credential", "cred.json", "--idempotency-key", "k")
    assert len(server.messages) == 2
    assert cli("ledger", "prune", "mail.db", "--days", "-1").status == 2


def test_what_waits_for_others_is_said(
    cli: Command, send: Command, put: Callable[..., str], closed: int
) -> None:
    put("cred.json", credential(closed))
    send("--credential", "cred.json")
    with Recorder() as server:
        put("other.json", credential(server))
        ran = cli("ledger", "send", "mail.db", "--credential", "other.json")
    assert ran.status == 0
    assert f"1 wait for alice@localhost:{closed}" in ran.stderr
    assert server.sessions == []


def test_what_a_server_keeps_refusing_is_not_waited_for_for_ever(
    cli: Command, send: Command, put: Callable[..., str], closed: int, tmp_path: Path
) -> None:
    put("cred.json", credential(closed))
    send("--credential", "cred.json", items=[{"to": "b@mail.test"}] * 3)
    make_due(tmp_path)
    ran = cli("ledger", "send", "mail.db", "--credential", "cred.json")
    assert ran.status == 75
    [counts] = ran.json.values()
    assert sum(counts.values()) == 3


def test_what_fails_when_it_is_sent_at_last_is_said(
    cli: Command, send: Command, put: Callable[..., str], tmp_path: Path
) -> None:
    refused = {b"b@mail.test": b"451 4.3.0 Not now\r\n"}
    with Recorder(rcpt_replies=refused) as server:
        put("cred.json", credential(server))
        assert send("--credential", "cred.json", items={"to": "b@mail.test"}).status == 75
        make_due(tmp_path)
        server.rcpt_replies[b"b@mail.test"] = b"550 5.1.1 Gone\r\n"
        ran = cli("ledger", "send", "mail.db", "--credential", "cred.json")
    assert ran.status == 1
    assert "1 failed: nina-smtp ledger list mail.db --state failed" in ran.stderr
    assert "nothing waits" in ran.stderr


def test_an_empty_name_is_no_ledger_and_an_empty_key_no_key(send: Command, put: Callable[..., str]) -> None:
    with Recorder() as server:
        put("cred.json", credential(server))
        nameless = send("--credential", "cred.json", "--ledger", "", ledger="")
        keyless = send("--credential", "cred.json", "--idempotency-key", "")
        assert (nameless.status, nameless.json["error"]["parameter"]) == (2, "ledger")
        assert (keyless.status, keyless.json["error"]["parameter"]) == (2, "idempotencyKey")
    assert server.sessions == []


def test_what_a_person_mistypes_is_said(cli: Command, tmp_path: Path) -> None:
    missing = cli("ledger", "list", "typo.db")
    assert (missing.status, missing.json["error"]["parameter"]) == (2, "ledger")
    assert not (tmp_path / "typo.db").exists()
    for value in ("x", "nan", "-1"):
        ran = cli("ledger", "send", "mail.db", "--credential", "c.json", "--wait", value)
        assert ran.status == 2
        assert "is not a number of seconds from 0" in ran.stderr


# -- dry runs that ask the server ----------------------------------------------------------------------


@pytest.mark.parametrize("depth", ["login", "recipients"])
def test_a_dry_run_sends_nothing(send: Command, put: Callable[..., str], depth: str) -> None:
    with Recorder(
        users={"alice": PASSWORD}, rcpt_replies={b"c@mail.test": b"550 5.1.1 No such user"}
    ) as server:
        put("cred.json", credential(server))
        ran = send("--credential", "cred.json", "--dry-run", depth, items=[TO_ALL, {"to": "b@mail.test"}])
        assert ran.status == 0
        results = ran.json["results"]
        assert [result["status"] for result in results] == ["dryRun", "dryRun"]
        assert server.messages == []
        assert not any(verb in ("DATA", "BDAT") for verb in server.verbs)
        assert len(server.sessions) == 1
        assert server.verbs[-1] == "QUIT"
        if depth == "login":
            assert "MAIL" not in server.verbs
        else:
            assert server.verbs.count("RSET") == 2
            assert results[0]["accepted"] == ["b@mail.test"]
            assert [(one["address"], one["code"]) for one in results[0]["rejected"]] == [("c@mail.test", 550)]
            assert any("1 of 2 recipients would be refused" in text for text in results[0]["warnings"])
            assert results[1]["accepted"] == ["b@mail.test"]


def test_a_dry_run_puts_nothing_on_record(send: Command, put: Callable[..., str], tmp_path: Path) -> None:
    with Recorder() as server:
        put("cred.json", credential(server))
        assert send("--credential", "cred.json", "--dry-run", "recipients").status == 0
    assert not (tmp_path / "mail.db").exists()


@pytest.mark.parametrize("depth", ["login", "recipients"])
def test_a_dry_run_finds_a_wrong_password_of_any_credential(
    send: Command, put: Callable[..., str], depth: str
) -> None:
    with Recorder() as good, Recorder(users={"alice": "another"}) as bad:
        put("good.json", credential(good))
        put("bad.json", credential(bad))
        ran = send("--credential", "good.json", "--credential", "bad.json", "--dry-run", depth)
        assert ran.status == 3
        assert ran.json["status"] == "failed"
        assert (ran.json["error"]["type"], ran.json["error"]["code"]) == ("authFailed", 535)
        check_no_secret([ran.stdout, ran.stderr], [PASSWORD], "alice")
        assert good.verbs[-1] == "QUIT"
    assert "MAIL" not in good.verbs


def test_a_dry_run_finds_that_nobody_would_be_accepted_and_a_sender_who_may_not_send(
    send: Command, put: Callable[..., str]
) -> None:
    no = b"550 5.1.1 No such user"
    with Recorder(rcpt_replies={b"b@mail.test": no, b"c@mail.test": no}) as server:
        put("cred.json", credential(server))
        ran = send("--credential", "cred.json", "--dry-run", "recipients")
        assert (ran.status, ran.json["error"]["type"]) == (1, "recipientsRefused")
        assert len(ran.json["rejected"]) == 2
    with Recorder(mail_reply=b"553 5.7.1 Not yours") as server:
        put("cred.json", credential(server))
        ran = send("--credential", "cred.json", "--dry-run", "recipients")
        assert (ran.status, ran.json["error"]["type"]) == (1, "senderRefused")


def test_a_dry_run_goes_on_with_the_next_item_if_asked_to(send: Command, put: Callable[..., str]) -> None:
    put("node.json", NODE | {"options": {"onError": "continue"}})
    with Recorder(rcpt_replies={b"b@mail.test": b"550 5.1.1 No"}) as server:
        put("cred.json", credential(server))
        items = [{"to": "b@mail.test"}, {"to": "nobody"}, {"to": "c@mail.test"}]
        ran = send("--credential", "cred.json", "--dry-run", "recipients", items=items)
    assert [result["status"] for result in ran.json["results"]] == ["failed", "failed", "dryRun"]
    assert len(server.sessions) == 1


def test_a_dry_run_against_nobody(send: Command, put: Callable[..., str], closed: int) -> None:
    put("cred.json", credential(closed))
    for depth, status in (("build", 0), ("login", 3)):
        assert send("--credential", "cred.json", "--dry-run", depth).status == status


@pytest.mark.server
def test_a_dry_run_asks_a_real_server(send: Command, put: Callable[..., str], postfix: MailHost) -> None:
    more = {
        "host": postfix.host, "encryption": "starttls", "username": postfix.user,
        "password": postfix.password, "fromAddress": "alice@mail.test",
        "caCertificate": postfix.ca_pem.read_text(),
    }  # fmt: skip
    put("cred.json", credential(postfix.starttls_port, **more))
    items = {"to": "bob@mail.test, gone@mail.test, tempfail@mail.test"}
    ran = send("--credential", "cred.json", "--dry-run", "recipients", items=items)
    assert (ran.status, ran.json["status"], ran.json["accepted"]) == (0, "dryRun", ["bob@mail.test"])
    assert {one["address"]: one["temporary"] for one in ran.json["rejected"]} == {
        "gone@mail.test": False, "tempfail@mail.test": True,
    }  # fmt: skip
    assert postfix.imap_copies("bob@mail.test", ran.json["messageId"]) == []
    put("cred.json", credential(postfix.starttls_port, **more | {"password": "wrong"}))
    ran = send("--credential", "cred.json", "--dry-run", "login", items=items)
    assert (ran.status, ran.json["error"]["type"]) == (3, "authFailed")
