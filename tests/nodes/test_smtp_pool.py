"""The SMTP node over the pool: many items, in order, each once, and the truth about each."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from bed.dialogue import Dialogue
from bed.invariants import check_wire
from bed.recorder import CHUNKING, EVERYTHING, Recorder
from bed.recording import Message as Recorded

import nina_smtp
from nina_smtp.api import mail_node, mail_task
from nina_smtp.delivery.mailnode import Depth
from nina_smtp.delivery.result import Result, Results
from nina_smtp.smtp import pool as connections_module

GUARD = 10  # seconds after which a test that hangs is ended
TIMEOUTS = {"connect": 5, "greeting": 5, "command": 5, "data": 5, "final": 5, "quit": 1, "total": 30}
WAYS = {"data": EVERYTHING, "chunks": CHUNKING, "one by one": ()}
way = pytest.mark.parametrize("keywords", WAYS.values(), ids=WAYS)


class Server(Recorder):
    """Refuses the mail of item ``item`` at ``place``, or waits there until ``go``; ``came`` is set then.

    The places: rcpt, data, dot, and ``drop``, where it hangs up instead of the verdict.
    """

    def __init__(
        self,
        place: str = "",
        item: int = -1,
        *,
        wait: bool = False,
        keywords: Iterable[str] = EVERYTHING,
        **how: Any,
    ) -> None:
        super().__init__(keywords, **how)
        self.place = place
        self.item = item
        self.wait = wait
        self.came = threading.Event()
        self.go = threading.Event()

    def strikes(self, place: str, number: int) -> bool:
        if (place, number) != (self.place, self.item):
            return False
        if self.wait:
            self.came.set()
            assert self.go.wait(GUARD), "nobody let the server go on"
        return not self.wait

    def reply_to_rcpt(self, argument: bytes) -> bytes:
        refused = self.strikes("rcpt", number_in(argument))
        return b"550 5.1.1 No such user\r\n" if refused else super().reply_to_rcpt(argument)

    def reply_to_dot(self, message: Recorded) -> bytes:
        number = number_in(message.rcpt_arguments[0])
        if self.strikes("drop", number):
            return b""
        return b"554 5.6.0 No\r\n" if self.strikes("dot", number) else super().reply_to_dot(message)

    class dialogue(Dialogue):  # noqa: N801 - what Recorder calls it
        server: Server

        def on_data(self, argument: bytes) -> None:
            message = self.transaction
            if message and message.accepted and self.server.strikes("data", number_in(message.accepted[0])):
                self.transaction = None
                self.send(b"451 4.3.0 Not now\r\n")
            else:
                super().on_data(argument)

        def dot(self, message: Recorded) -> None:
            super().dot(message)
            self.closing = self.server.place == "drop" and not message.taken


def number_in(argument: bytes) -> int:
    return int(argument.partition(b"<m")[2].partition(b"@")[0])


def arrived(server: Recorder) -> list[int]:
    return [number_in(message.rcpt_arguments[0]) for message in server.messages]


def credential(server: Recorder, **more: Any) -> dict[str, Any]:
    return {
        "host": "localhost", "port": server.port, "encryption": "none", "authMethod": "none",
        "fromAddress": "soc@mail.test", "timeouts": TIMEOUTS, **more,
    }  # fmt: skip


def node(**options: Any) -> dict[str, Any]:
    return {"parameters": {"to": "{{ to }}", "subject": "s", "body": "b"}, "options": options}


def items(count: int) -> list[dict[str, str]]:
    return [{"to": f"m{number}@mail.test"} for number in range(count)]


def send(
    server: Recorder, given: list[dict[str, str]], *, data: dict[str, Any] | None = None, **options: Any
) -> Results:
    return nina_smtp.send(node(**options), credential(server, **(data or {})), given)


async def deliver(
    server: Recorder, given: list[dict[str, str]], options: dict[str, Any], data: dict[str, Any], **how: Any
) -> Results:
    async with asyncio.timeout(GUARD):
        return await mail_node().deliver(mail_task(node(**options), credential(server, **data), given), **how)


async def here(event: threading.Event) -> None:
    """Returns when the server has come to where it waits."""
    assert await asyncio.to_thread(event.wait, GUARD)


# -- onError: fail -----------------------------------------------------------------------------------


@pytest.mark.parametrize("window", [1, 8])
@pytest.mark.parametrize("place", ["build", "rcpt", "data", "dot", "drop"])
@way
def test_after_a_mail_that_failed_none_is_delivered(
    keywords: tuple[str, ...], place: str, window: int
) -> None:
    if place == "data" and keywords == CHUNKING:
        place = "dot"  # a chunk needs no leave
    given = items(12)
    if place == "build":
        given[4]["to"] = "nobody"
    with Server(place, 4, keywords=keywords) as server:
        results = send(server, given, data={"limits": {"connections": 5, "pipelineWindow": window}})
    failed = "unknown" if place == "drop" else "failed"
    assert [result.status for result in results] == ["sent"] * 4 + [failed] + ["notAttempted"] * 7
    assert [result.item for result in results] == list(range(12))
    assert arrived(server) == [0, 1, 2, 3]
    assert {error.type for result in results[5:] if (error := result.error)} == {"notAttempted"}


def test_what_is_on_record_is_told_of_mails_that_are_not_attempted_again(tmp_path: Path) -> None:
    """Whoever believed that a mail was not attempted would send it twice."""
    given = items(30)
    with Server("drop", 2) as server:
        how = {"ledger": tmp_path / "mail.db", "idempotency_key": "run-1"}
        nina_smtp.send(node(onError="continue"), credential(server), given[:20], **how)
        again = nina_smtp.send(node(onError="fail"), credential(server), given, **how)
        assert len(server.messages) == 19
    assert [result.status for result in again] == (
        ["sent"] * 2 + ["unknown"] + ["sent"] * 17 + ["notAttempted"] * 10
    )
    assert [result.item for result in again] == list(range(30))


@pytest.mark.parametrize("number", [0, 11])
@way
def test_the_first_and_the_last_may_fail_too(keywords: tuple[str, ...], number: int) -> None:
    with Server("dot", number, keywords=keywords) as server:
        results = send(server, items(12))
    expected = ["sent"] * number + ["failed"] + ["notAttempted"] * (11 - number)
    assert [result.status for result in results] == expected
    assert arrived(server) == list(range(number))


def test_a_mail_behind_one_that_failed_was_not_attempted_though_it_was_refused_as_well() -> None:
    """Its envelope went out behind the content, and its replies come along with the refusal."""

    class Together(Server):
        class dialogue(Server.dialogue):  # noqa: N801
            def dot(self, message: Recorded) -> None:
                if number_in(message.rcpt_arguments[0]) == 4:
                    self.held = bytearray()
                super().dot(message)

            def on_data(self, argument: bytes) -> None:
                super().on_data(argument)
                if self.held is not None:
                    octets, self.held = bytes(self.held), None
                    self.send(octets)

        def reply_to_rcpt(self, argument: bytes) -> bytes:
            return b"550 5.1.1 No\r\n" if number_in(argument) == 5 else super().reply_to_rcpt(argument)

    with Together("dot", 4) as server:
        results = send(server, items(8))
    assert [result.status for result in results] == ["sent"] * 4 + ["failed"] + ["notAttempted"] * 3


def test_a_connection_that_breaks_between_two_mails_stops_nothing() -> None:
    class Breaking(Recorder):
        """Hangs up at the third MAIL of each connection."""

        class dialogue(Dialogue):  # noqa: N801
            def on_mail(self, argument: bytes) -> None:
                if len(self.session.messages) == 2:
                    self.closing = True
                else:
                    super().on_mail(argument)

    with Breaking() as server:
        results = send(server, items(9))
    assert [result.status for result in results] == ["sent"] * 9
    assert arrived(server) == list(range(9))
    assert [result.attempts for result in results] == [1, 1, 2, 1, 2, 1, 2, 1, 2]


@way
def test_mails_that_must_stay_in_order_use_one_connection(
    keywords: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections_module, "_PATIENCE", 0.0)
    with Recorder(keywords) as server:
        results = send(server, items(60), data={"limits": {"connections": 5, "pipelineWindow": 8}})
    assert results.succeeded
    assert arrived(server) == list(range(60))
    assert sum(bool(session.messages) for session in server.sessions) == 1
    check_wire(server, [f"m{number}@mail.test" for number in range(60)], messages=60)


# -- onError: continue -------------------------------------------------------------------------------


@pytest.mark.parametrize("window", [1, 8])
@way
def test_many_items_go_over_several_connections_and_come_back_in_order(
    keywords: tuple[str, ...], window: int
) -> None:
    told: list[int] = []
    with Server("rcpt", 77, keywords=keywords) as server:
        results = asyncio.run(
            deliver(
                server,
                items(200),
                {"onError": "continue"},
                {"limits": {"connections": 4, "pipelineWindow": window}},
                on_result=lambda result: told.append(result.item),
            )
        )
    assert [result.item for result in results] == told == list(range(200))
    assert [result.item for result in results if result.status != "sent"] == [77]
    assert [result.accepted for result in results[:2]] == [("m0@mail.test",), ("m1@mail.test",)]
    assert Counter(arrived(server)) == Counter(number for number in range(200) if number != 77)
    assert 1 < len(server.sessions) <= 4


def test_the_second_batch_over_a_warm_connection_gets_more_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections_module, "_PATIENCE", 3600.0)

    async def run() -> None:
        for count in (1, 200):
            (
                await nina_smtp.send_async(node(onError="continue"), credential(server), items(count))
            ).raise_for_status()

    with Recorder() as server:
        asyncio.run(run())
    assert len(server.sessions) > 1


def test_a_result_waits_for_those_before_it() -> None:
    told: list[int] = []

    async def run() -> None:
        work = asyncio.create_task(
            deliver(
                server,
                items(60),
                {"onError": "continue"},
                {"limits": {"connections": 3}},
                on_result=lambda result: told.append(result.item),
            )
        )
        await here(server.came)
        while len(server.messages) < 50:  # the others go on
            await asyncio.sleep(0)
        assert told == []
        server.go.set()
        await work

    with Server("dot", 0, wait=True) as server:
        asyncio.run(run())
    assert told == list(range(60))


# -- callbacks ---------------------------------------------------------------------------------------


def test_progress_is_told_for_each_item() -> None:
    told: list[tuple[int, int, int]] = []
    with Recorder() as server:
        results = asyncio.run(deliver(server, items(5), {}, {}, on_progress=lambda *what: told.append(what)))
    for result in results:
        mine = [(written, size) for index, written, size in told if index == result.item]
        assert mine[-1] == (result.size, result.size)
        assert mine == sorted(mine)


@pytest.mark.parametrize("on_error", ["fail", "continue"])
@pytest.mark.parametrize("name", ["on_result", "on_message", "on_progress"])
@way
def test_a_callback_that_raises_ends_the_work_and_is_raised(
    keywords: tuple[str, ...], name: str, on_error: str
) -> None:
    told: list[int] = []

    def note(result: Result) -> None:
        told.append(result.item)

    def bad(*what: Any) -> None:
        index = what[0].item if name == "on_result" else what[0]
        if index == 5:
            raise ZeroDivisionError("in the callback")

    async def run() -> None:
        callbacks = {"on_result": note} | {name: bad}
        with pytest.raises(ZeroDivisionError):
            await deliver(
                server, items(300), {"onError": on_error}, {"limits": {"connections": 2}}, **callbacks
            )

    with Recorder(keywords) as server:
        asyncio.run(run())
    assert max(Counter(arrived(server)).values()) == 1
    assert len(arrived(server)) < 300
    if on_error == "fail" or name == "on_result":  # else those before it may still be on other connections
        assert set(range(5)) <= set(arrived(server))
    assert told == sorted(told)


def test_a_callback_that_raises_leaves_the_others_of_the_credential_alone() -> None:
    def bad(result: Result) -> None:
        raise ZeroDivisionError("in the callback")

    async def run() -> Results:
        good = asyncio.create_task(deliver(server, items(100), {}, {"limits": {"connections": 1}}))
        with pytest.raises(ZeroDivisionError):
            await deliver(server, items(100), {}, {"limits": {"connections": 1}}, on_result=bad)
        return await good

    with Recorder(CHUNKING) as server:
        results = asyncio.run(run())
    assert [result.status for result in results] == ["sent"] * 100


# -- cancelled ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("on_error", ["fail", "continue"])
@way
def test_cancelled_in_an_envelope_nothing_more_is_delivered(keywords: tuple[str, ...], on_error: str) -> None:
    told: list[Result] = []

    async def run() -> None:
        work = asyncio.create_task(
            deliver(
                server, items(9), {"onError": on_error}, {"limits": {"connections": 1}}, on_result=told.append
            )
        )
        await here(server.came)
        asyncio.get_running_loop().call_soon(server.go.set)
        work.cancel()
        with pytest.raises(asyncio.CancelledError):
            await work

    with Server("rcpt", 3, wait=True, keywords=keywords) as server:
        asyncio.run(run())
    assert [result.item for result in told] == list(range(9))
    sent = [result.item for result in told if result.status == "sent"]
    unknown = [result.item for result in told if result.status == "unknown"]
    assert set(sent) <= set(arrived(server)) <= {*sent, *unknown}
    assert max(Counter(arrived(server)).values()) == 1
    if on_error == "fail" or keywords != CHUNKING:  # where one mail at a time may be in doubt
        assert [result.status for result in told] == ["sent"] * 3 + ["notAttempted"] * 6
        assert arrived(server) == [0, 1, 2]


@pytest.mark.parametrize("answered", [True, False])
@way
def test_cancelled_behind_the_last_octet_a_mail_is_told_what_became_of_it(
    keywords: tuple[str, ...], answered: bool
) -> None:
    told: list[Result] = []

    async def run() -> None:
        timeouts = TIMEOUTS | {"quit": 5 if answered else 0.05}
        work = asyncio.create_task(
            deliver(
                server,
                items(9),
                {},
                {"limits": {"connections": 1}, "timeouts": timeouts},
                on_result=told.append,
            )
        )
        await here(server.came)
        work.cancel()
        if answered:
            asyncio.get_running_loop().call_soon(server.go.set)
        with pytest.raises(asyncio.CancelledError):
            await work
        server.go.set()

    with Server("dot", 3, wait=True, keywords=keywords) as server:
        asyncio.run(run())
    fate = "sent" if answered else "unknown"
    assert [result.status for result in told] == ["sent"] * 3 + [fate] + ["notAttempted"] * 5
    assert [number for number in arrived(server) if number > 3] == []


# -- connections -------------------------------------------------------------------------------------


def test_a_dry_run_connects_to_nothing_and_tells_each() -> None:
    told: list[Result] = []
    built: list[int] = []
    given = items(20)
    given[7]["to"] = "nobody"
    with Recorder() as server:
        results = asyncio.run(
            deliver(
                server,
                given,
                {"onError": "continue"},
                {},
                dry_run=Depth.BUILD,
                on_result=told.append,
                on_message=lambda index, message: built.append(index),
            )
        )
    assert server.sessions == []
    assert [result.status for result in results] == ["dryRun"] * 7 + ["failed"] + ["dryRun"] * 12
    assert told == list(results)
    assert built == [number for number in range(20) if number != 7]


def test_no_items_connect_to_nothing() -> None:
    with Recorder() as server:
        assert send(server, []) == []
    assert server.sessions == []


@pytest.mark.parametrize("tls", ["none", "starttls"])
def test_two_executions_in_one_loop_use_one_login(tls: Any) -> None:
    with Recorder(tls=tls, users={"alice": "secret-word"}) as server:
        data = {
            "authMethod": "plain", "username": "alice", "password": "secret-word", "encryption": tls,
            "caCertificate": server.certs.ca_pem.read_text(),
        }  # fmt: skip

        async def run() -> None:
            for _ in range(2):
                await asyncio.sleep(0)
                (await nina_smtp.send_async(node(), credential(server, **data), items(2))).raise_for_status()

        asyncio.run(run())
    assert server.verbs.count("AUTH") == 1
    assert arrived(server) == [0, 1, 0, 1]
    assert [session.commands[-1].verb for session in server.sessions] == [b"QUIT"]


def test_executions_side_by_side_keep_to_the_limit_of_their_credential() -> None:
    async def run() -> list[Results]:
        data = {"limits": {"connections": 2}}
        return await asyncio.gather(
            *[nina_smtp.send_async(node(), credential(server, **data), items(20)) for _ in range(6)]
        )

    with Recorder() as server:
        for results in asyncio.run(run()):
            results.raise_for_status()
    assert len(server.sessions) <= 2
    assert Counter(arrived(server)) == Counter([*range(20)] * 6)
