"""From the node to the server by way of a ledger: once each, again where it helps, and the truth told."""

from __future__ import annotations

import asyncio
import base64
import socket
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from bed.entries import add, entry, found
from bed.faulty import FaultyServer
from bed.fickle import Fickle
from bed.invariants import check_wire
from bed.mailservers import MailHost
from bed.recorder import CHUNKING, EVERYTHING, Recorder

import nina_smtp
from nina_smtp.api import mail_node, mail_task, read_credential
from nina_smtp.delivery.ledger import review
from nina_smtp.delivery.ledger.database import engine_for
from nina_smtp.delivery.ledger.entry import Entry, content_of
from nina_smtp.delivery.ledger.ledger import Ledger
from nina_smtp.delivery.ledger.states import FINAL, State
from nina_smtp.delivery.ledger.tables import mails
from nina_smtp.delivery.outbox import News, Outbox
from nina_smtp.delivery.result import Result, Results
from nina_smtp.delivery.schedule import Dice, Schedule
from nina_smtp.message.identifier import deterministic_msg_id

GUARD = 15
NOW = 1_800_000_000.0
TIMEOUTS = {"connect": 5, "greeting": 5, "command": 5, "data": 5, "final": 5, "quit": 1, "total": 30}
B, C, D = b"b@mail.test", b"c@mail.test", b"d@mail.test"
LATER = b"451 4.3.0 Try later"
NO = b"550 5.1.1 No such user"


@dataclass(frozen=True, slots=True)
class AtOnce(Schedule):
    """What is to be tried again is tried at once."""

    def delay(self, attempts: int, *, greylisted: bool = False, dice: Dice = max) -> float:
        return 0.0


AT_ONCE = AtOnce()


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """For other processes, of which there are none."""
    monkeypatch.setattr("nina_smtp.delivery.outbox.LOOK_EVERY", 0.01)


@pytest.fixture
def place(tmp_path: Path) -> str:
    """Where the kind of database does not matter."""
    return str(tmp_path / "mail.db")


def credential(server: Recorder | int, **more: Any) -> dict[str, Any]:
    port = server if isinstance(server, int) else server.port
    return {
        "host": "localhost", "port": port, "encryption": "none", "authMethod": "none",
        "fromAddress": "soc@mail.test", "timeouts": TIMEOUTS, **more,
    }  # fmt: skip


def name_of(server: Recorder | int) -> str:
    return read_credential(credential(server)).identity  # type: ignore[no-any-return]


@contextmanager
def nobody() -> Iterator[int]:
    """A port at which nobody listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield taken.getsockname()[1]


def node(parameters: dict[str, Any] | None = None, **options: Any) -> dict[str, Any]:
    given = {"to": "{{ to }}", "subject": "s", "body": "b"} | (parameters or {})
    return {"parameters": given, "options": options}


def items(count: int) -> list[dict[str, str]]:
    return [{"to": f"m{number}@mail.test"} for number in range(count)]


EVERYBODY = [{"to": "b@mail.test, c@mail.test, d@mail.test"}]
ONE = [{"to": "b@mail.test"}]


async def deliver(
    ledger: Ledger,
    credentials: Sequence[dict[str, Any]] | dict[str, Any],
    given: list[dict[str, Any]],
    *,
    schedule: Schedule = AT_ONCE,
    wait: float | None = None,
    key: str | None = None,
    parameters: dict[str, Any] | None = None,
    on_result: Any = None,
    on_progress: Any = None,
    **options: Any,
) -> Results:
    task = mail_task(node(parameters, **options), credentials, given, key=key)
    async with asyncio.timeout(GUARD), Outbox(ledger, schedule=schedule) as outbox:
        return await mail_node().deliver(
            replace(task, outbox=outbox, patience=wait), on_result=on_result, on_progress=on_progress
        )


def send(place: str, credentials: Any, given: list[dict[str, Any]] | None = None, **how: Any) -> Results:
    async def work() -> Results:
        async with Ledger(place) as ledger:
            return await deliver(ledger, credentials, given or ONE, **how)

    return asyncio.run(work())


def statuses(results: Results) -> list[str]:
    return [result.status.value for result in results]


def in_ledger(place: str) -> list[Entry]:
    """What is there, in the order of the items."""

    engine = engine_for(place)
    with engine.begin() as connection:
        rows = [Entry.of_row(dict(row)) for row in connection.execute(sa.select(mails)).mappings()]
    engine.dispose()
    return sorted(rows, key=lambda one: (one.item, one.id))


def states(place: str) -> list[str]:
    return [one.state.value for one in in_ledger(place)]


def rcpts(server: Recorder) -> list[list[bytes]]:
    """The recipients of each mail that was taken."""
    return [
        [argument.partition(b"<")[2].rstrip(b">") for argument in one.accepted] for one in server.messages
    ]


# -- sent ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("keywords", [EVERYTHING, CHUNKING, ()], ids=["data", "chunks", "one by one"])
@pytest.mark.parametrize("on_error", ["fail", "continue"])
def test_everything_is_sent_once_and_on_record(
    ledger_place: str, keywords: tuple[str, ...], on_error: str
) -> None:
    with Recorder(keywords) as server:
        results = send(ledger_place, credential(server), items(24), onError=on_error)
    assert [(result.status.value, result.item) for result in results] == [("sent", n) for n in range(24)]
    check_wire(server, [f"m{n}@mail.test" for n in range(24)], messages=24)
    for result, there in zip(results, in_ledger(ledger_place), strict=True):
        assert (there.state, there.owner, there.recipients, there.attempts) == (State.SENT, None, (), 1)
        assert there.result == result.as_dict() | {"item": there.item}
        assert [one["outcome"] for one in there.history] == ["sent"]
        assert result.history == there.history
        assert result.as_dict()["history"][0]["account"] == name_of(server)
        assert not result.recorded


def test_no_octet_of_the_end_goes_out_before_it_is_on_record(ledger_place: str) -> None:
    seen: list[tuple[str, int]] = []

    def look() -> None:
        [there] = in_ledger(ledger_place)
        seen.append((there.state.value, there.attempts))

    with Fickle(at={"dot": look}) as server:
        send(ledger_place, credential(server)).raise_for_status()
    assert seen == [("committing", 1)]


def test_by_the_front_door(tmp_path: Path) -> None:
    with Recorder() as server:
        results = nina_smtp.send(node(), credential(server), items(3), ledger=tmp_path / "mail.db")
        assert statuses(results) == ["sent"] * 3
        failed = nina_smtp.send(node(), credential(server), items(2), ledger=tmp_path)
        assert [result.error.type for result in failed if result.error] == ["invalidParameter"] * 2


@pytest.mark.server
def test_through_a_real_server(ledger_place: str, postfix: MailHost) -> None:
    data = {
        "host": postfix.host, "port": postfix.starttls_port, "username": postfix.user,
        "password": postfix.password, "fromAddress": "alice@mail.test",
        "caCertificate": postfix.ca_pem.read_text(),
    }  # fmt: skip
    [result] = send(
        ledger_place,
        data,
        [{"to": "bob@mail.test, tempfail@mail.test, gone@mail.test"}],
        wait=0,
        schedule=Schedule(),
    )
    assert result.status.value == "deferred"
    [there] = in_ledger(ledger_place)
    assert (there.state, there.recipients) == (State.DEFERRED, ("tempfail@mail.test",))
    assert result.message_id
    assert postfix.imap_fetch("bob@mail.test", result.message_id)
    with_one = [{"to": "bob@mail.test"}]
    [sent] = send(ledger_place, data, with_one, key="k")
    [again] = send(ledger_place, data, with_one, key="k")
    assert (sent.status.value, again.status.value, again.recorded) == ("sent", "sent", True)
    assert sent.message_id == again.message_id
    assert sent.message_id
    postfix.imap_fetch("bob@mail.test", sent.message_id)
    assert len(postfix.imap_copies("bob@mail.test", sent.message_id)) == 1


# -- again, where that helps ---------------------------------------------------------------------------


def test_those_who_were_refused_for_now_get_the_same_octets_and_nobody_else_does(ledger_place: str) -> None:
    with Fickle(rcpt={C: [LATER, LATER], D: [LATER]}) as server:
        [result] = send(ledger_place, credential(server), EVERYBODY)
    assert rcpts(server) == [[B], [D], [C]]
    assert len(set(server.contents)) == 1
    assert result.status.value == "sent"
    assert set(result.accepted) == {"b@mail.test", "c@mail.test", "d@mail.test"}
    assert result.rejected == ()
    assert result.envelope
    assert set(result.envelope.recipients) == set(result.accepted)
    assert [one["outcome"] for one in result.history] == ["partial", "partial", "sent"]
    assert result.attempts == 3
    [there] = in_ledger(ledger_place)
    assert (there.state, there.attempts, there.recipients) == (State.SENT, 3, ())


def test_those_who_are_refused_for_good_in_the_end_make_it_partial_and_nobody_gets_it_twice(
    ledger_place: str,
) -> None:
    with Fickle(rcpt={C: [LATER, NO]}) as server:
        [result] = send(ledger_place, credential(server), [{"to": "b@mail.test, c@mail.test"}], key="k")
        [again] = send(ledger_place, credential(server), [{"to": "b@mail.test, c@mail.test"}], key="k")
    assert result.status.value == again.status.value == "partial"
    assert result.accepted == again.accepted == ("b@mail.test",)
    assert [one.address for one in result.rejected] == ["c@mail.test"]
    assert result.error
    assert result.error.type == "someRecipientsRefused"
    assert rcpts(server) == [[B]]
    assert states(ledger_place) == ["partial"]


@dataclass(frozen=True, slots=True)
class Twice(Schedule):
    """Two attempts that count, and it is too old."""

    def delay(self, attempts: int, *, greylisted: bool = False, dice: Dice = max) -> float:
        return 0.0 if attempts < 2 else self.max_age


def test_the_rest_is_too_old_and_others_have_it(place: str) -> None:
    with Fickle(rcpt={C: [LATER, LATER, LATER]}) as server:
        [result] = send(place, credential(server), [{"to": "b@mail.test, c@mail.test"}], schedule=Twice())
    assert result.status.value == "partial"
    assert result.accepted == ("b@mail.test",)
    assert [one.address for one in result.rejected] == ["c@mail.test"]
    assert len(server.messages) == 1


def test_a_server_that_greylists_is_left_alone_for_five_minutes(place: str) -> None:
    async def work() -> Result:
        async with Ledger(place, clock=lambda: NOW) as ledger:
            [result] = await deliver(ledger, credential(server), ONE, schedule=Schedule(), wait=0)
            return result

    with Fickle(rcpt={B: [b"450 4.2.0 Greylisted, see http://x.test"]}) as server:
        result = asyncio.run(work())
    assert result.status.value == "deferred"
    assert result.due
    assert NOW + 300 <= result.due <= NOW + 330
    [there] = in_ledger(place)
    assert (there.state, there.due) == (State.DEFERRED, result.due)
    assert result.as_dict()["nextAttemptAt"].startswith("2027-01-15T08:0")


def test_too_many_recipients_get_it_at_once_in_the_same_attempt(place: str) -> None:
    too_many = b"452 4.5.3 Too many recipients"
    with Fickle(rcpt={C: [too_many], D: [too_many, too_many]}) as server:
        [result] = send(place, credential(server), EVERYBODY)
    assert rcpts(server) == [[B], [C], [D]]
    assert len(set(server.contents)) == 1
    assert (result.status.value, result.attempts) == ("sent", 1)
    assert len(server.sessions) == 1


PHASES = {
    "greet": LATER, "ehlo": LATER, "auth": b"454 4.7.0 Temporary authentication failure", "mail": LATER,
    "data": LATER, "dot": LATER,
}  # fmt: skip


@pytest.mark.parametrize("phase", [*PHASES, "rcpt"])
def test_a_refusal_for_now_is_tried_again_wherever_it_came(place: str, phase: str) -> None:
    answers: dict[str, Any] = (
        {"rcpt": {B: [LATER, LATER]}} if phase == "rcpt" else {phase: [PHASES[phase]] * 2}
    )
    with Fickle(users={"alice": "pw"}, **answers) as server:
        data = credential(server, authMethod="plain", username="alice", password="pw")
        [result] = send(place, data, key="k")
    assert (result.status.value, result.attempts) == ("sent", 3)
    assert rcpts(server) == [[B]]
    ended = [message.data for message in server.transactions if message.ended]
    assert len(set(ended)) == 1
    [there] = in_ledger(place)
    before_mail = phase in ("greet", "ehlo", "auth")
    assert there.attempts == (1 if before_mail else 3)
    assert [one["phase"] for one in result.history][:2] == [{"greet": "greeting"}.get(phase, phase)] * 2
    assert [one["code"] for one in result.history] == [int(PHASES.get(phase, LATER)[:3])] * 2 + [250]


def test_a_server_that_is_not_there_is_asked_again_later(place: str) -> None:
    with nobody() as port:
        [result] = send(place, credential(port), wait=0, schedule=Schedule())
    assert result.status.value == "deferred"
    assert result.error
    assert result.error.type == "connectFailed"
    [there] = in_ledger(place)
    assert (there.state, there.attempts, there.recipients) == (State.DEFERRED, 0, ("b@mail.test",))
    assert there.due > there.created


@pytest.mark.parametrize("place_of_it", ["mail", "data", "dot"])
def test_a_refusal_for_good_has_failed(place: str, place_of_it: str) -> None:
    with Fickle(**{place_of_it: [b"554 5.6.0 No"]}) as server:  # type: ignore[arg-type]
        [result] = send(place, credential(server))
    assert (result.status.value, result.attempts) == ("failed", 1)
    assert server.messages == []
    [there] = in_ledger(place)
    assert (there.state, there.recipients) == (State.FAILED, ("b@mail.test",))
    assert there.result == result.as_dict()


def test_what_is_too_old_has_failed_and_says_so(place: str) -> None:
    with Fickle(dot=[LATER]) as server:
        [result] = send(place, credential(server), schedule=AtOnce(max_age=0.0))
    assert result.status.value == "failed"
    assert result.error
    assert "too old" in (result.error.hint or "")


def test_without_a_ledger_nothing_is_said_of_age() -> None:
    with nobody() as port:
        [result] = nina_smtp.send(node(), credential(port), ONE)
    assert result.error
    assert "too old" not in (result.error.hint or "")


def test_it_is_waited_for_no_longer_than_wanted(place: str) -> None:
    with Fickle(dot=[LATER]) as server:
        [result] = send(place, credential(server), schedule=Schedule(), wait=0.05)
        assert result.status.value == "deferred"
        assert result.error
        assert result.error.code == 451
        assert not Results([result]).succeeded
        [waiting] = in_ledger(place)
        assert result.due == waiting.due


def test_what_waits_is_sent_by_whoever_serves_the_account_next(ledger_place: str) -> None:
    async def work() -> None:
        clock = [NOW]
        async with Ledger(ledger_place, clock=lambda: clock[0]) as ledger:
            results = await deliver(ledger, credential(server), items(3), schedule=Schedule(), wait=0)
            assert statuses(results) == ["deferred"] * 3
            assert server.messages == []
            clock[0] += 31
            told: asyncio.Queue[News] = asyncio.Queue()
            async with asyncio.timeout(GUARD), Outbox(ledger) as outbox:
                await outbox.serve(read_credential(credential(server)))
                for one in await ledger.call(review.listed, review.Question((State.DEFERRED,))):
                    outbox.listen(one, told.put_nowait)
                over: list[News] = []
                while len(over) < 3:
                    news = await told.get()
                    over += [news] if news.state in FINAL else []
            assert {news.state for news in over} == {State.SENT}
            assert {news.result.attempts for news in over} == {2}

    with Fickle(dot=[LATER] * 3) as server:
        asyncio.run(work())
    assert len(server.messages) == 3


# -- in doubt ------------------------------------------------------------------------------------------

DOUBTS = ["x_close", "x_rst", "x_junk", "x_part", "x_354"]


@pytest.mark.parametrize("fault", DOUBTS)
@pytest.mark.parametrize("policy", ["stop", "assumeSent", "resend"])
def test_a_mail_in_doubt_is_as_the_author_says(place: str, fault: str, policy: str) -> None:
    with FaultyServer(fault, mode="none") as server, Recorder() as other:
        results = send(
            place,
            [credential(server), credential(other)],
            onUncertain=policy,
            wait=0,
            schedule=Schedule(),
            key="k",
        )
        assert statuses(results) == [{"stop": "unknown", "assumeSent": "sent", "resend": "deferred"}[policy]]
        again = send(
            place,
            [credential(server), credential(other)],
            onUncertain=policy,
            wait=0,
            schedule=Schedule(),
            key="k",
        )
        assert statuses(again) == statuses(results)
        assert again[0].recorded
    assert other.sessions == []
    assert len(server.messages) == 1
    [result], [there] = results, in_ledger(place)
    if policy == "assumeSent":
        assert (result.accepted, result.error) == (("b@mail.test",), None)
        assert any("counts as sent" in warning for warning in result.warnings)
    else:
        assert (result.accepted, result.uncertain) == ((), ("b@mail.test",))
        assert result.error
        assert result.error.uncertain
        assert there.recipients == ("b@mail.test",)
    assert there.history[0]["outcome"] == "unknown"


@pytest.mark.parametrize("keywords", [EVERYTHING, CHUNKING], ids=["data", "chunks"])
def test_sent_again_it_is_the_same_mail(ledger_place: str, keywords: tuple[str, ...]) -> None:
    with Fickle(keywords, dot=[None, None]) as server:
        [result] = send(ledger_place, credential(server), onUncertain="resend")
    assert (result.status.value, result.attempts) == ("sent", 3)
    assert len(server.messages) == 3
    assert len(set(server.contents)) == 1
    assert [one["outcome"] for one in result.history] == ["unknown", "unknown", "sent"]


def test_once_in_doubt_it_goes_to_no_other_server_ever(place: str) -> None:
    with Fickle(dot=[None], greet=[b"", LATER, LATER]) as server, Recorder() as other:
        [result] = send(place, [credential(server), credential(other)], onUncertain="resend")
    assert result.status.value == "sent"
    assert other.sessions == []
    assert len(server.messages) == 2
    assert [one["outcome"] for one in result.history] == ["unknown", "opening", "opening", "sent"]


@pytest.mark.parametrize("recorded", [True, False], ids=["ledger", "none"])
def test_what_was_in_doubt_and_is_refused_when_it_is_sent_again_is_still_in_doubt(
    place: str, recorded: bool
) -> None:
    with Fickle(dot=[None, b"554 5.6.0 Seen before"] + [b"554 5.6.0 Seen before"] * 2) as server:
        asked = node(onUncertain="resend"), credential(server), ONE
        [result] = send(place, asked[1], onUncertain="resend") if recorded else nina_smtp.send(*asked)
    assert result.status.value == "unknown"
    assert result.uncertain == ("b@mail.test",)
    assert result.error
    assert "Seen before" in result.error.message
    assert len(server.messages) == 1


@pytest.mark.parametrize("recorded", [True, False], ids=["ledger", "none"])
def test_nor_does_one_that_was_in_doubt_go_elsewhere_when_its_server_is_gone(
    place: str, recorded: bool
) -> None:
    gone = [b"", b"554 5.3.2 Not you"] + [b"554 5.3.2 Not you"] * 3
    with Fickle(dot=[None], greet=gone) as server, Recorder() as other:
        both = [credential(server), credential(other)]
        if recorded:
            [result] = send(place, both, onUncertain="resend")
        else:
            [result] = nina_smtp.send(node(onUncertain="resend"), both, ONE)
    assert result.status.value == "unknown"
    assert other.sessions == []


def test_one_in_doubt_stops_those_behind_it(place: str) -> None:
    with Fickle(dot=[b"", None]) as server:
        results = send(place, credential(server), items(5))
    assert statuses(results) == ["sent", "unknown", "notAttempted", "notAttempted", "notAttempted"]
    assert len(server.messages) == 2
    assert states(place)[:2] == ["sent", "unknown"]


# -- another account -----------------------------------------------------------------------------------

QUOTA = b"550 5.4.5 Daily user sending quota exceeded"


@pytest.mark.parametrize(
    ("answers", "outcome"),
    [
        ({"greet": [b"421 4.3.2 Too busy"]}, "throttled"),
        ({"greet": [b"554 5.3.2 Not you"]}, "login"),
        ({"auth": [b"535 5.7.8 Bad login"]}, "login"),
        ({"auth": [b"454 4.7.0 Temporary authentication failure"]}, "opening"),
        ({"dot": [QUOTA]}, "quota"),
        ({"mail": [b"454 4.7.0 Throttling failure: Maximum sending rate exceeded"]}, "throttled"),
    ],
)
@pytest.mark.parametrize("recorded", [True, False], ids=["ledger", "none"])
def test_what_is_the_servers_fault_goes_by_another_account(
    place: str, answers: dict[str, Any], outcome: str, recorded: bool
) -> None:
    with Fickle(users={"alice": "pw"}, **answers) as server, Recorder() as other:
        data = credential(server, authMethod="plain", username="alice", password="pw")
        both = [data, credential(other)]
        [result] = send(place, both) if recorded else nina_smtp.send(node(), both, ONE)
    assert result.status.value == "sent"
    assert rcpts(other) == [[B]]
    assert server.messages == []
    assert result.server
    assert result.server["port"] == other.port
    assert result.attempts == 2
    if recorded:
        [there] = in_ledger(place)
        assert there.account == name_of(other)
        assert [one["outcome"] for one in there.history] == [outcome, "sent"]
        ended = [message.data for message in (*server.transactions, *other.transactions) if message.ended]
        assert len(set(ended)) == 1


@pytest.mark.parametrize("recorded", [True, False], ids=["ledger", "none"])
def test_so_does_what_cannot_be_connected_to(place: str, recorded: bool) -> None:
    with nobody() as port, nobody() as second, Recorder() as other:
        route = [credential(port), credential(second), credential(other)]
        [result] = send(place, route) if recorded else nina_smtp.send(node(), route, ONE)
    assert (result.status.value, len(other.messages)) == ("sent", 1)


@pytest.mark.parametrize("recorded", [True, False], ids=["ledger", "none"])
@pytest.mark.parametrize(
    ("answers", "status"),
    [
        ({"dot": [None]}, "unknown"),
        ({"dot": [b"554 5.6.0 No"]}, "failed"),
        ({"mail": [b"550 5.7.1 Not from you"]}, "failed"),
        ({"rcpt": {B: [NO]}}, "failed"),
    ],
)
def test_what_is_in_doubt_or_the_mails_fault_does_not(
    place: str, answers: dict[str, Any], status: str, recorded: bool
) -> None:
    with Fickle(**answers) as server, Recorder() as other:
        both = [credential(server), credential(other)]
        [result] = send(place, both) if recorded else nina_smtp.send(node(), both, ONE)
    assert result.status.value == status
    assert other.sessions == []


def test_the_choice_is_on_record_before_it_is_used(ledger_place: str) -> None:
    seen: list[tuple[str, str]] = []

    def look() -> None:
        [there] = in_ledger(ledger_place)
        seen.append((there.account, there.state.value))

    with nobody() as port, Fickle(at={"greet": look}) as other:
        send(ledger_place, [credential(port), credential(other)]).raise_for_status()
        assert seen == [(name_of(other), "leased")]


def test_when_all_fail_it_begins_with_the_first_again(place: str) -> None:
    with nobody() as port, nobody() as second:
        [result] = send(place, [credential(port), credential(second)], wait=0, schedule=Schedule())
        [there] = in_ledger(place)
        assert (there.state, there.account) == (State.DEFERRED, name_of(port))
        assert there.route == (name_of(port), name_of(second))
    assert result.status.value == "deferred"
    assert [one["account"] for one in there.history] == list(there.route)


def test_a_refused_login_of_the_second_waits_for_the_first_to_come_back(place: str) -> None:
    """Also when nothing was tried with the first, since it had failed so often."""
    with nobody() as port, Fickle(users={}) as other:
        second = credential(other, authMethod="plain", username="alice", password="pw")
        results = send(
            place, [credential(port), second], items(8), wait=0, schedule=Schedule(), onError="continue"
        )
    assert statuses(results) == ["deferred"] * 8


def test_the_same_account_twice_is_once(place: str) -> None:
    with nobody() as port:
        [result] = send(place, [credential(port)] * 3, wait=0, schedule=Schedule())
    assert result.status.value == "deferred"
    assert len(result.history) == 1


def test_an_account_that_does_not_allow_the_recipient_is_passed_over(place: str) -> None:
    with nobody() as port, Recorder() as strict, Recorder() as other:
        denies = credential(strict, recipientPolicy={"deny": ["mail.test"]})
        [result] = send(place, [credential(port), denies, credential(other)])
    assert result.status.value == "sent"
    assert strict.messages == []
    assert len(other.messages) == 1


# -- one that fails and the others ---------------------------------------------------------------------


@pytest.mark.parametrize("keywords", [EVERYTHING, CHUNKING, ()], ids=["data", "chunks", "one by one"])
def test_after_a_mail_that_failed_none_is_delivered(place: str, keywords: tuple[str, ...]) -> None:
    with Fickle(keywords, rcpt={b"m4@mail.test": [NO]}) as server:
        results = send(place, credential(server), items(20))
        assert statuses(results) == ["sent"] * 4 + ["failed"] + ["notAttempted"] * 15
        assert [one for [one] in rcpts(server)] == [f"m{n}@mail.test".encode() for n in range(4)]
        assert set(states(place)[5:]) <= {"failed"}  # those that were on record: nobody has them
        assert {one.type for result in results[5:] if (one := result.error)} == {"notAttempted"}


def test_with_continue_the_others_go_on(place: str) -> None:
    given = items(20)
    given[7]["to"] = "nobody"
    with Fickle(rcpt={b"m4@mail.test": [NO]}) as server:
        results = send(place, credential(server), given, onError="continue")
    bad = [result.item for result in results if result.status.value != "sent"]
    assert bad == [4, 7]
    assert len(server.messages) == 18
    assert len(in_ledger(place)) == 19


def test_one_that_waits_stops_nobody(place: str) -> None:
    with Fickle(rcpt={b"m1@mail.test": [LATER]}) as server:
        results = send(place, credential(server), items(4), schedule=Schedule(), wait=0)
    assert statuses(results) == ["sent", "deferred", "sent", "sent"]


@pytest.mark.parametrize("on_partial", ["warn", "fail"])
def test_a_partial_one_stops_the_others_only_if_asked_to(place: str, on_partial: str) -> None:
    given = [{"to": "b@mail.test, c@mail.test"}, {"to": "m1@mail.test"}]
    with Fickle(rcpt={C: [NO]}) as server:
        results = send(place, credential(server), given, onPartial=on_partial)
    assert statuses(results) == ["partial", "sent" if on_partial == "warn" else "notAttempted"]


# -- the same key --------------------------------------------------------------------------------------


def test_under_the_same_key_nothing_is_sent_twice(ledger_place: str) -> None:
    with Fickle(rcpt={b"m1@mail.test": [LATER]}) as server:
        first = send(ledger_place, credential(server), items(5), key="run-1")
        sessions = len(server.sessions)
        again = send(ledger_place, credential(server), items(5), key="run-1")
        assert len(server.sessions) == sessions
        other = send(ledger_place, credential(server), items(5), key="run-2")
    assert statuses(first) == statuses(again) == statuses(other) == ["sent"] * 5
    assert [result.recorded for result in (*first, *again, *other)] == [False] * 5 + [True] * 5 + [False] * 5
    for one, two in zip(first, again, strict=True):
        assert two.as_dict() == one.as_dict() | {"recorded": True}
    assert len(server.messages) == 10


@pytest.mark.parametrize(
    "answers",
    [{"rcpt": {C: [NO]}}, {"dot": [None]}, {"dot": [LATER]}],
    ids=["partial", "unknown", "deferred"],
)
def test_what_is_on_record_is_told_as_it_was(place: str, answers: dict[str, Any]) -> None:
    with Fickle(**answers) as server:
        first, again = (
            send(place, credential(server), EVERYBODY, key="k", wait=0, schedule=Schedule()) for _ in range(2)
        )
    assert again[0].as_dict() == first[0].as_dict() | {"recorded": True}
    assert first[0].status.value != "sent"


def test_more_items_under_the_same_key_send_the_new_ones(place: str) -> None:
    with Recorder() as server:
        send(place, credential(server), items(2), key="k")
        results = send(place, credential(server), items(4), key="k")
    assert [result.recorded for result in results] == [True, True, False, False]
    assert len(server.messages) == 4


@pytest.mark.parametrize("change", [{"subject": "another"}, {"body": "another"}, {"cc": "z@mail.test"}])
def test_another_mail_under_the_same_key_is_refused(place: str, change: dict[str, str]) -> None:
    with Recorder() as server:
        send(place, credential(server), key="k").raise_for_status()
        [result] = send(place, credential(server), key="k", parameters=change)
        [third] = send(place, credential(server), key="k")
    assert result.status.value == "failed"
    assert result.error
    assert (result.error.type, result.error.parameter) == ("keyConflict", "idempotencyKey")
    assert (third.status.value, third.recorded) == ("sent", True)
    assert len(server.messages) == 1


def test_what_failed_may_be_tried_again_under_the_same_key_even_corrected(ledger_place: str) -> None:
    with Fickle(rcpt={b"m1@mail.test": [NO, NO]}) as server:
        first, again = (send(ledger_place, credential(server), items(4), key="k") for _ in range(2))
        corrected = items(4)
        corrected[1]["to"] = "other@mail.test"
        third = send(ledger_place, credential(server), corrected, key="k")
    assert statuses(first) == statuses(again) == ["sent", "failed", "notAttempted", "notAttempted"]
    assert statuses(third) == ["sent"] * 4
    assert [result.recorded for result in third] == [True, False, False, False]
    assert Counter(one for [one] in rcpts(server)) == Counter(
        [b"m0@mail.test", b"other@mail.test", b"m2@mail.test", b"m3@mail.test"]
    )
    assert first[1].message_id == again[1].message_id


def test_what_waits_is_not_sent_a_second_time(place: str) -> None:
    with Fickle(dot=[LATER]) as server:
        [first] = send(place, credential(server), key="k", schedule=Schedule(), wait=0)
        [again] = send(place, credential(server), key="k", schedule=Schedule(), wait=0)
        assert first.status.value == again.status.value == "deferred"
        assert again.recorded
        assert again.due == first.due
    assert server.messages == []
    assert len(in_ledger(place)) == 1


def test_what_waits_for_an_account_that_is_not_given_is_not_waited_for(place: str) -> None:
    async def work(credentials: Any) -> Result:
        async with Ledger(place) as ledger:
            [result] = await deliver(ledger, credentials, ONE, key="k", wait=0)
            return result

    with Recorder() as server, Recorder() as other:
        asyncio.run(work(credential(server)))
        engine = engine_for(place)
        with engine.begin() as connection:  # as one leaves it that died on its way to another account
            values = {"state": "queued", "account": name_of(other), "result": None}
            connection.execute(sa.update(mails).values(**values))
        engine.dispose()
        result = asyncio.run(work(credential(server)))
    assert (result.status.value, result.recorded) == ("deferred", True)


def test_two_at_once_under_one_key_send_once(ledger_place: str) -> None:
    async def work() -> list[Results]:
        async with Ledger(ledger_place) as one, Ledger(ledger_place) as two:
            return await asyncio.gather(
                *(deliver(books, credential(server), items(3), key="k") for books in (one, two, one))
            )

    with Recorder() as server:
        for results in asyncio.run(work()):
            assert statuses(results) == ["sent"] * 3
    assert len(server.messages) == 3


def test_the_message_ids_are_those_of_the_ledger_and_its_key(place: str, tmp_path: Path) -> None:
    async def installation(where: str) -> bytes:
        async with Ledger(where) as ledger:
            return ledger.installation_key

    with Recorder() as server:
        results = send(place, credential(server), items(2), key="run")
        elsewhere = send(str(tmp_path / "other.db"), credential(server), items(2), key="run")
    key = asyncio.run(installation(place))
    expected = [deterministic_msg_id(key, f"run|{n}", "mail.test") for n in range(2)]
    assert [result.message_id for result in results] == expected
    assert not {result.message_id for result in elsewhere} & set(expected)


# -- stopped -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("on_error", ["fail", "continue"])
@pytest.mark.parametrize("answered", [True, False])
def test_cancelled_behind_the_last_octet_a_mail_is_told_what_became_of_it(
    ledger_place: str, answered: bool, on_error: str
) -> None:
    came, go = threading.Event(), threading.Event()
    told: list[Result] = []

    def wait() -> None:
        if len(server.messages) == 4:
            came.set()
            assert go.wait(GUARD)

    async def work() -> None:
        async with Ledger(ledger_place) as ledger:
            timeouts = TIMEOUTS | {"quit": 5 if answered else 0.05}
            data = credential(server, timeouts=timeouts, limits={"connections": 1})
            running = asyncio.create_task(
                deliver(ledger, data, items(9), on_result=told.append, onError=on_error, key="k")
            )
            assert await asyncio.to_thread(came.wait, GUARD)
            running.cancel()
            if answered:
                asyncio.get_running_loop().call_soon(go.set)
            with pytest.raises(asyncio.CancelledError):
                await running

    with Fickle(at={"dot": wait}) as server:
        try:
            asyncio.run(work())
        finally:
            go.set()
        fate = "sent" if answered else "unknown"
        assert [result.item for result in told] == list(range(9))
        assert [result.status.value for result in told][:4] == ["sent"] * 3 + [fate]
        assert {result.status.value for result in told[4:]} <= {"notAttempted", "failed"}
        assert [one for [one] in rcpts(server)] == [f"m{n}@mail.test".encode() for n in range(4)]
        server.at.clear()
        again = send(ledger_place, credential(server), items(9), key="k", onError="continue")
    assert statuses(again)[:4] == ["sent"] * 3 + [statuses(again)[3]]
    assert statuses(again)[4:] == ["sent"] * 5
    assert Counter(one for [one] in rcpts(server)) == Counter(f"m{n}@mail.test".encode() for n in range(9))


def test_cancelled_while_it_waits_for_a_mail_that_is_tried_later_it_stays_in_the_ledger(place: str) -> None:
    told: list[Result] = []

    async def work() -> None:
        async with Ledger(place) as ledger:
            running = asyncio.create_task(
                deliver(ledger, credential(server), items(1), on_result=told.append, schedule=Schedule())
            )
            while not await ledger.call(review.listed, review.Question((State.DEFERRED,))):
                await asyncio.sleep(0)
            running.cancel()
            with pytest.raises(asyncio.CancelledError):
                await running

    with Fickle(dot=[LATER] * 9) as server:
        asyncio.run(work())
    assert [result.status.value for result in told] == ["deferred"]
    assert states(place) == ["deferred"]


def test_a_callback_that_raises_ends_the_work_though_a_mail_waits(place: str) -> None:
    def bad(index: int, *_: int) -> None:
        if index == 1:
            raise ZeroDivisionError("in the callback")

    async def work() -> None:
        async with Ledger(place) as ledger:
            given = [{"to": "c@mail.test"}, *items(1)]
            with pytest.raises(ZeroDivisionError):
                await deliver(ledger, credential(server), given, on_progress=bad, schedule=Schedule())

    with Fickle(rcpt={C: [LATER]}) as server:
        asyncio.run(work())
    assert states(place)[0] == "deferred"


@pytest.mark.parametrize("turns", [0, 3, 40])
def test_an_outbox_that_is_left_gives_everything_back(ledger_place: str, turns: int) -> None:
    """What it has leased meanwhile is nobody's afterwards, though the ledger stays open."""

    async def work() -> None:
        async with Ledger(ledger_place) as ledger:
            name = name_of(server)
            waiting = [entry(account=name, route=(name,), due=0.0) for _ in range(300)]
            await add(ledger, *waiting)
            for _ in range(3):
                async with asyncio.timeout(GUARD), Outbox(ledger) as outbox:
                    await outbox.serve(read_credential(credential(server)))
                    for _ in range(turns):
                        await asyncio.sleep(0)
                assert (await ledger.call(review.counts))[name].keys() <= {"queued", "sent"}

    with Recorder() as server:
        asyncio.run(work())
    there = in_ledger(ledger_place)
    assert {one.owner for one in there} == {None}
    assert len(server.messages) == sum(one.state is State.SENT for one in there)


# -- what was left behind ------------------------------------------------------------------------------


def left_behind(place: str, server: Recorder, *entries: Entry) -> None:
    """Puts mails on record that wait for the account of ``server``."""

    async def work() -> None:
        async with Ledger(place) as ledger:
            for one in entries:
                one.account, one.route, one.due = name_of(server), (name_of(server),), 0.0
            await add(ledger, *entries)

    asyncio.run(work())


def serve(place: str, server: Recorder, *entries: Entry) -> list[News]:
    """Sends what waits; what became of each."""

    async def work() -> list[News]:
        async with Ledger(place) as ledger, Outbox(ledger, schedule=AT_ONCE) as outbox:
            told: dict[str, asyncio.Future[News]] = {}
            loop = asyncio.get_running_loop()
            await outbox.serve(read_credential(credential(server)))
            for one in entries:
                told[one.id] = loop.create_future()

                def hear(news: News, future: asyncio.Future[News] = told[one.id]) -> None:
                    if news.state in FINAL:
                        future.set_result(news)

                outbox.listen(await found(ledger, one), hear)
            async with asyncio.timeout(GUARD):
                return await asyncio.gather(*told.values())

    return asyncio.run(work())


def build(**parameters: Any) -> dict[str, Any]:
    given = {"to": "b@mail.test", "subject": "s", "body": "b"} | parameters
    return content_of(nina_smtp.build({"parameters": given}, credential(25)).message)


@pytest.mark.parametrize("smtputf8", [True, False])
def test_a_mail_with_utf8_addresses_goes_out_in_the_form_that_the_server_takes(
    place: str, smtputf8: bool
) -> None:
    keywords = [word for word in EVERYTHING if smtputf8 or word not in ("SMTPUTF8", "8BITMIME")]
    content = build(to="jürgen@mail.test, b@mail.test", subject="Grüße")
    one = replace_entry(content)
    with Recorder(keywords) as server:
        left_behind(place, server, one)
        [news] = serve(place, server, one)
    [taken] = server.messages
    if smtputf8:
        assert news.state is State.SENT
        assert taken.content == content["octets"]
        assert "SMTPUTF8" in taken.mail_parameters
        assert taken.recipients == ["jürgen@mail.test".encode(), B]
    else:
        assert news.state is State.PARTIAL
        assert [refusal.address for refusal in news.result.rejected] == ["jürgen@mail.test"]
        assert taken.content == content["ascii"]
        assert taken.content.isascii()
        assert taken.recipients == [B]


def replace_entry(content: dict[str, Any], **more: Any) -> Entry:
    base = entry(**more)
    return replace(base, **content)


def test_a_mail_that_only_utf8_addresses_get_has_failed_where_there_is_no_smtputf8(place: str) -> None:
    one = replace_entry(build(to="jürgen@mail.test"))
    with Recorder([word for word in EVERYTHING if word != "SMTPUTF8"]) as server:
        left_behind(place, server, one)
        [news] = serve(place, server, one)
    assert news.state is State.FAILED
    assert server.messages == []


@pytest.mark.parametrize("keywords", [EVERYTHING, CHUNKING], ids=["data", "chunks"])
def test_a_large_attachment_is_kept_and_sent_as_it_is(ledger_place: str, keywords: tuple[str, ...]) -> None:
    blob = bytes(range(256)) * 20_000
    attachments = [{"filename": "a.bin", "content": base64.b64encode(blob).decode()}]
    with Fickle(keywords, dot=[LATER]) as server:
        [result] = send(
            ledger_place,
            credential(server),
            wait=0,
            schedule=Schedule(),
            parameters={"attachments": attachments},
        )
        assert result.status.value == "deferred"
        first = next(one.content for one in server.transactions if one.ended)
        [waiting] = in_ledger(ledger_place)
        assert waiting.size == len(first) == result.size
        engine = engine_for(ledger_place)
        with engine.begin() as connection:
            connection.execute(sa.update(mails).values(due=0.0))
        engine.dispose()
        [news] = serve(ledger_place, server, waiting)
    assert news.state is State.SENT
    assert server.contents == [first]
    assert base64.b64encode(blob)[:60] in first.replace(b"\r\n", b"")


def test_mails_left_behind_go_out_the_oldest_first_a_few_at_a_time(ledger_place: str) -> None:
    waiting = [entry(created=float(n)) for n in range(200)]
    with Recorder() as server:
        left_behind(ledger_place, server, *waiting)
        news = serve(ledger_place, server, *waiting)
    assert {one.state for one in news} == {State.SENT}
    assert len(server.messages) == 200
    assert all(one.entry.octets is None for one in news)


def test_the_decision_of_a_person_is_carried_out(ledger_place: str) -> None:
    async def decide(state: State) -> None:
        async with Ledger(ledger_place) as ledger:
            [there] = await ledger.call(review.listed, review.Question())
            assert await ledger.call(review.settle, review.Word(there.id, state, ledger.clock())) is state

    with Fickle(dot=[None]) as server:
        [first] = send(ledger_place, credential(server), EVERYBODY)
        assert first.status.value == "unknown"
        asyncio.run(decide(State.QUEUED))
        [there] = in_ledger(ledger_place)
        [news] = serve(ledger_place, server, there)
    assert news.state is State.SENT
    assert rcpts(server) == [[B, C, D]] * 2
    assert len(set(server.contents)) == 1


def test_so_is_that_of_a_mail_that_failed(place: str) -> None:
    with Fickle(dot=[b"554 5.6.0 No"]) as server:
        [first] = send(place, credential(server), EVERYBODY)
        assert first.status.value == "failed"

        async def decide() -> None:
            async with Ledger(place) as ledger:
                [there] = await ledger.call(review.listed, review.Question())
                await ledger.call(review.settle, review.Word(there.id, State.QUEUED, ledger.clock()))

        asyncio.run(decide())
        [news] = serve(place, server, *in_ledger(place))
    assert news.state is State.SENT
    assert rcpts(server) == [[B, C, D]]
