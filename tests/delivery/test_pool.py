"""nina_smtp.Pool: many messages over few connections, and the truth about each."""

from __future__ import annotations

import asyncio
import gc
import ssl
import threading
import weakref
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from typing import Any, TypeVar

import pytest
from bed.dialogue import Dialogue
from bed.faulty import FaultyServer
from bed.invariants import check_wire
from bed.recorder import CHUNKING, EVERYTHING, Recorder
from bed.recording import Message as Recorded

import nina_smtp
from nina_smtp.delivery import pool as pool_module
from nina_smtp.delivery.result import Result
from nina_smtp.errors import (
    AuthFailed,
    CircuitOpen,
    DeliveryUncertain,
    InvalidCredential,
    LimitReached,
    LoopSuspected,
    MessageRefused,
    NinaError,
    ParameterError,
    RecipientNotAllowed,
    RecipientsRefused,
)
from nina_smtp.message import Attachment, Email, Message, compose
from nina_smtp.smtp import pool as connections_module
from nina_smtp.smtp import tls

T = TypeVar("T")
GUARD = 10  # seconds after which a test that hangs is ended
TIMEOUTS = {"connect": 5, "greeting": 5, "command": 5, "data": 20, "final": 20, "quit": 1, "total": 60}


def email(name: str = "m", **more: Any) -> Email:
    return Email("a@mail.test", f"{name}@mail.test", name, **({"text": "t"} | more))


def large(name: str = "m") -> Email:
    """More than any buffer between here and a server that does not read."""
    return email(name, attachments=[Attachment("large.bin", "AAAA" * (6 << 20))])


def credential(server: Recorder, **more: Any) -> dict[str, Any]:
    return {
        "host": "localhost", "port": server.port, "encryption": "none", "authMethod": "none",
        "timeouts": TIMEOUTS, **more,
    }  # fmt: skip


class Held(Recorder):
    """Waits with an answer, at the places in ``holds``, until ``go``; ``came`` is set when one is due.

    ``name at place`` in ``holds`` is the place for one recipient alone.
    """

    receive_buffer = 4096

    def __init__(self, *holds: str, keywords: Iterable[str] = EVERYTHING, **how: Any) -> None:
        super().__init__(keywords, **how)
        self.holds = holds
        self.came = threading.Event()
        self.go = threading.Event()

    def hold(self, place: str, name: str = "") -> None:
        if place in self.holds or f"{name} at {place}" in self.holds:
            self.came.set()
            assert self.go.wait(GUARD), "nobody let the server go on"

    def reply_to_rcpt(self, argument: bytes) -> bytes:
        self.hold("rcpt", argument.decode().partition("<")[2].partition("@")[0])
        return super().reply_to_rcpt(argument)

    def reply_to_dot(self, message: Recorded) -> bytes:
        self.hold("dot", name_of(message))
        return super().reply_to_dot(message)

    class dialogue(Dialogue):  # noqa: N801 - what Recorder calls it
        server: Held

        def greet(self) -> None:
            self.server.hold("greeting")
            super().greet()

        def take_data(self) -> None:
            assert self.transaction
            self.server.hold("content", name_of(self.transaction))
            super().take_data()

        def read_octets(self, size: int) -> bytes | None:
            if self.transaction:
                self.server.hold("content", name_of(self.transaction))
            return super().read_octets(size)


def name_of(message: Recorded) -> str:
    return message.recipients[0].decode().partition("@")[0]


def arrived(server: Recorder) -> Counter[str]:
    return Counter(map(name_of, server.messages))


def with_pool(server: Recorder, work: Callable[[nina_smtp.Pool], Awaitable[T]], **more: Any) -> T:
    """What ``work`` makes of a pool."""

    async def run() -> T:
        async with asyncio.timeout(GUARD), nina_smtp.Pool(credential(server, **more)) as pool:
            return await work(pool)

    return asyncio.run(run())


async def here(event: threading.Event) -> None:
    """Returns when the server has come to where it waits."""
    assert await asyncio.to_thread(event.wait, GUARD)


async def settle(turns: int = 20) -> None:
    """Lets everybody who can go on now."""
    for _ in range(turns):
        await asyncio.sleep(0)


def started(pool: nina_smtp.Pool, *mails: Email, **how: Any) -> list[asyncio.Task[Result]]:
    return [asyncio.create_task(pool.send(mail, **how)) for mail in mails]


async def gone(task: asyncio.Task[Result]) -> None:
    """Cancels ``task``, which then has no result."""
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


# -- what is not sent --------------------------------------------------------------------------------


def test_a_wrong_password_is_one_login_and_everybodys_error() -> None:
    async def work(pool: nina_smtp.Pool) -> list[Any]:
        return await asyncio.gather(*started(pool, *[email() for _ in range(50)]), return_exceptions=True)

    with Recorder(users={"alice": "right"}) as server:
        errors = with_pool(server, work, authMethod="plain", username="alice", password="wrong-word")
    assert [type(error) for error in errors] == [AuthFailed] * 50
    assert server.verbs.count("AUTH") == 1


@pytest.mark.parametrize(
    ("how", "error"),
    [
        ({"rcpt_replies": {b"m@mail.test": b"550 5.1.1 No"}}, RecipientsRefused),
        ({"dot_reply": b"554 5.6.0 No"}, MessageRefused),
        ({"dot_reply": b"100 What"}, DeliveryUncertain),
    ],
)
def test_what_nobody_got_is_raised(how: dict[str, Any], error: type[NinaError]) -> None:
    seen: list[Result] = []
    with Recorder(**how) as server, pytest.raises(error) as caught:
        with_pool(server, lambda pool: pool.send(email(), on_result=seen.append))
    assert [result.error for result in seen] == [caught.value]
    assert seen[0].accepted == ()


def test_a_mail_that_cannot_be_built_is_raised_and_connects_to_nothing() -> None:
    with Recorder() as server, pytest.raises(ParameterError, match="nobody"):
        with_pool(server, lambda pool: pool.send(Email("a@mail.test", "nobody", "s", text="t")))
    assert server.sessions == []


def test_a_credential_that_is_wrong_is_raised_at_once() -> None:
    with pytest.raises(InvalidCredential):
        nina_smtp.Pool({"host": "not a host"})


def test_a_pool_is_used_within_its_block() -> None:
    async def run() -> None:
        pool = nina_smtp.Pool(credential(server))
        with pytest.raises(RuntimeError, match="async with"):
            await pool.send(email())
        async with pool:
            await pool.send(email())
        with pytest.raises(RuntimeError, match="async with"):
            await pool.send(email())

    with Recorder() as server:
        asyncio.run(run())
    assert arrived(server) == Counter(["m"])


def test_a_pool_can_be_used_again() -> None:
    async def run() -> None:
        pool = nina_smtp.Pool(credential(server))
        for name in ("m", "n"):
            async with pool:
                await pool.send(email(name))

    with Recorder() as server:
        asyncio.run(run())
    assert arrived(server) == Counter(["m", "n"])
    assert len(server.sessions) == 2


@pytest.mark.parametrize(
    ("policy", "recipients"),
    [
        ({"deny": ["evil.test"]}, ["b@sub.evil.test"]),
        ({"allow": ["corp.test"]}, ["b@mail.test"]),
        ({"maxRecipients": 1}, ["b@mail.test", "c@mail.test"]),
    ],
)
@pytest.mark.parametrize("form", ["email", "message", "built"])
def test_the_policy_of_the_credential_holds(policy: dict[str, Any], recipients: list[str], form: str) -> None:
    given = Email("a@mail.test", recipients, "s", text="t")
    mail: Any = given
    if form == "message":
        mail = compose(given)
    elif form == "built":
        parameters = {"from": "a@mail.test", "to": recipients, "subject": "s", "body": "b"}
        with Recorder() as server:
            mail = nina_smtp.build({"parameters": parameters}, credential(server))
    with Recorder() as server, pytest.raises(RecipientNotAllowed):
        with_pool(server, lambda pool: pool.send(mail), recipientPolicy=policy)
    assert server.sessions == []


@pytest.mark.parametrize("form", [lambda mail: mail, compose], ids=["email", "message"])
def test_what_the_credential_redirects_goes_there_alone(form: Callable[[Email], Any]) -> None:
    mail = Email("a@mail.test", ["b@mail.test"], "s", text="t", bcc=["c@mail.test"])
    with Recorder() as server:
        result = with_pool(
            server, lambda pool: pool.send(form(mail)), recipientPolicy={"redirectAllTo": "me@corp.test"}
        )
    assert [message.recipients for message in server.messages] == [[b"me@corp.test"]]
    assert result.accepted == ("me@corp.test",)
    assert any("meant for b@mail.test, c@mail.test" in warning for warning in result.warnings)


# -- callbacks ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("window", [1, 8])
@pytest.mark.parametrize("keywords", [EVERYTHING, CHUNKING], ids=["data", "chunks"])
@pytest.mark.parametrize("name", ["on_result", "on_progress"])
def test_a_callback_that_raises_costs_no_other_mail_anything(
    name: str, keywords: tuple[str, ...], window: int
) -> None:
    def bad(*_: Any) -> None:
        raise ZeroDivisionError("in the callback")

    async def work(pool: nina_smtp.Pool) -> list[Any]:
        mails = [
            pool.send(email(f"m{number}"), **({name: bad} if number in (3, 7, 8) else {}))
            for number in range(20)
        ]
        return await asyncio.gather(*mails, return_exceptions=True)

    with Recorder(keywords) as server:
        results = with_pool(server, work, limits={"connections": 1, "pipelineWindow": window})
    good = [result for number, result in enumerate(results) if number not in (3, 7, 8)]
    assert [getattr(result, "status", result) for result in good] == ["sent"] * 17
    assert max(arrived(server).values()) == 1


def test_a_callback_that_raises_keeps_nobody_from_hearing_of_a_wrong_password() -> None:
    def bad(result: Result) -> None:
        raise ZeroDivisionError("in the callback")

    async def work(pool: nina_smtp.Pool) -> list[Any]:
        sends = [
            asyncio.create_task(pool.send(email(f"m{number}"), on_result=bad if number == 1 else None))
            for number in range(4)
        ]
        async with asyncio.timeout(5):
            return await asyncio.gather(*sends, return_exceptions=True)

    with Recorder(users={}) as server:
        errors = with_pool(server, work, authMethod="plain", username="alice", password="wrong-word")
    assert [type(error) for error in errors[2:]] == [AuthFailed] * 2


def test_progress_is_told_up_to_the_end() -> None:
    told: list[tuple[int, int]] = []
    with Recorder() as server:
        result = with_pool(
            server,
            lambda pool: pool.send(
                email(attachments=[Attachment("a.bin", "AAAA" * 200_000)]),
                on_progress=lambda written, size: told.append((written, size)),
            ),
        )
    assert len(told) > 2
    assert told == sorted(told)
    assert {size for _, size in told} == {result.size}
    assert told[-1][0] == result.size


# -- cancelled ---------------------------------------------------------------------------------------

WAYS = {"data": EVERYTHING, "chunks": CHUNKING, "one by one": ()}
way = pytest.mark.parametrize("keywords", WAYS.values(), ids=WAYS)


@way
def test_cancelled_in_line_a_mail_is_not_sent_and_the_others_are(keywords: tuple[str, ...]) -> None:
    seen: list[Result] = []

    async def work(pool: nina_smtp.Pool) -> None:
        tasks = started(pool, *[email(f"m{number}") for number in range(9)])
        (waiting,) = started(pool, email("n"), on_result=seen.append)
        await here(server.came)
        await gone(waiting)
        server.go.set()
        await asyncio.gather(*tasks)

    with Held("dot", keywords=keywords) as server:
        with_pool(server, work, limits={"connections": 1})
    assert [(result.status, result.attempts) for result in seen] == [("failed", 0)]
    assert seen[0].error
    assert seen[0].error.type == "interrupted"
    assert arrived(server) == Counter(f"m{number}" for number in range(9))
    assert len(server.sessions) == 1


def test_cancelled_while_it_connects_a_mail_is_not_sent() -> None:
    seen: list[Result] = []

    async def work(pool: nina_smtp.Pool) -> None:
        (task,) = started(pool, email("m"), on_result=seen.append)
        await here(server.came)
        await gone(task)
        server.go.set()
        await pool.send(email("n"))

    with Held("greeting") as server:
        with_pool(server, work)
    assert [result.status for result in seen] == ["failed"]
    assert arrived(server) == Counter(["n"])


@way
def test_cancelled_with_its_envelope_out_a_mail_is_not_delivered(keywords: tuple[str, ...]) -> None:
    seen: list[Result] = []

    async def work(pool: nina_smtp.Pool) -> None:
        (task,) = started(pool, large("m"), on_result=seen.append)
        others = started(pool, email("n"), email("o"), caller="other")
        await here(server.came)
        await gone(task)
        await settle()
        assert [result.status for result in seen] == ["failed"]  # known before the server goes on
        server.go.set()
        await asyncio.gather(*others)

    with Held("m at rcpt", keywords=keywords) as server:
        with_pool(server, work, limits={"connections": 1})
    assert arrived(server) == Counter(["n", "o"])
    assert not [message for message in server.transactions if name_of(message) == "m" and message.ended]


@way
def test_cancelled_behind_another_whose_verdict_is_out_a_mail_costs_that_one_nothing(
    keywords: tuple[str, ...],
) -> None:
    async def work(pool: nina_smtp.Pool) -> Result:
        (first,) = started(pool, email("m"))
        await here(server.came)
        (second,) = started(pool, large("n"))  # its envelope goes out behind m's content
        await settle()
        await gone(second)
        server.go.set()
        result = await first
        await pool.send(email("o"))
        return result

    with Held("m at dot", keywords=keywords) as server:
        assert with_pool(server, work, limits={"connections": 1}).status == "sent"
    assert arrived(server) == Counter(["m", "o"])


@way
def test_cancelled_while_its_content_goes_out_a_mail_is_not_delivered_and_keeps_nobody_waiting(
    keywords: tuple[str, ...],
) -> None:
    seen: list[Result] = []
    progress: list[int] = []

    async def work(pool: nina_smtp.Pool) -> None:
        (task,) = started(
            pool,
            large("m"),
            on_result=seen.append,
            on_progress=lambda written, size: progress.append(written),
        )
        await here(server.came)
        while not progress:
            await asyncio.sleep(0)
        await settle(1000)  # until all buffers between here and there are full
        await gone(task)
        async with asyncio.timeout(5):  # the credential's timeouts are longer
            await pool.send(email("n"))
        server.go.set()

    with Held("m at content", keywords=keywords) as server:
        try:
            with_pool(server, work, limits={"connections": 1})
        finally:
            server.go.set()
    assert [(result.status, result.error and result.error.type) for result in seen] == [
        ("failed", "interrupted")
    ]
    assert arrived(server) == Counter(["n"])
    assert not [message for message in server.transactions if name_of(message) == "m" and message.ended]


@way
def test_cancelled_after_its_last_octet_a_mail_still_tells_that_it_was_sent(
    keywords: tuple[str, ...],
) -> None:
    seen: list[Result] = []

    async def work(pool: nina_smtp.Pool) -> None:
        (task,) = started(pool, email("m"), on_result=seen.append)
        await here(server.came)
        await gone(task)
        server.go.set()
        await pool.send(email("n"))

    with Held("m at dot", keywords=keywords) as server:
        with_pool(server, work, limits={"connections": 1})
    assert [result.status for result in seen] == ["sent"]
    assert arrived(server) == Counter(["m", "n"])


def test_a_timeout_around_send_ends_it_and_the_next_mail_goes_out() -> None:
    async def work(pool: nina_smtp.Pool) -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await pool.send(email("m"))
        server.go.set()
        assert (await pool.send(email("n"))).status == "sent"

    with Held("m at rcpt") as server:
        with_pool(server, work)
    assert arrived(server) == Counter(["n"])


def test_leaving_with_an_exception_sends_nothing_more_and_tells_each() -> None:
    seen: list[Result] = []
    tasks: list[asyncio.Task[Result]] = []

    async def work(pool: nina_smtp.Pool) -> None:
        tasks.extend(started(pool, *[email(f"m{number}") for number in range(20)], on_result=seen.append))
        await here(server.came)
        asyncio.get_running_loop().call_soon(server.go.set)
        raise ZeroDivisionError

    async def run() -> list[Any]:
        with pytest.raises(ZeroDivisionError):
            async with asyncio.timeout(GUARD), nina_smtp.Pool(credential(server)) as pool:
                await work(pool)
        return await asyncio.gather(*tasks, return_exceptions=True)

    with Held("dot") as server:
        results = asyncio.run(run())
    assert len(seen) == 20
    sent = [result for result in results if isinstance(result, Result)]
    assert [result.status for result in sent] == ["sent"] * len(sent)
    assert len(sent) == len(server.messages) < 20
    errors = {result.type for result in results if isinstance(result, NinaError)}
    assert errors == {"interrupted"}


def test_leaving_with_an_exception_sends_nothing_of_those_who_wait_to_get_in_line(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(pool_module, "MAX_WAITING", 2)

    async def run() -> list[Any]:
        async with nina_smtp.Pool(credential(server, limits={"connections": 1})) as other:
            with pytest.raises(ZeroDivisionError):  # noqa: PT012
                async with nina_smtp.Pool(credential(server, limits={"connections": 1})) as pool:
                    tasks = started(pool, *[email(f"m{number}") for number in range(9)])
                    await here(server.came)
                    asyncio.get_running_loop().call_soon(server.go.set)
                    raise ZeroDivisionError
            before = len(server.messages)
            done = asyncio.gather(*tasks, return_exceptions=True)
            await settle()
            await other.send(email("n"))
            assert [name for name in arrived(server) if name != "n"][before:] == []
            async with asyncio.timeout(5):
                return await done

    with Held("dot") as server:
        results = asyncio.run(run())
    assert len([result for result in results if isinstance(result, Result)]) == len(server.messages) - 1
    errors = {getattr(result, "type", result) for result in results if not isinstance(result, Result)}
    assert errors == {"interrupted"}


def test_those_who_wait_to_get_in_line_hear_of_a_wrong_password_while_the_pool_is_left(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(pool_module, "MAX_WAITING", 2)

    async def run() -> list[Any]:
        wrong = credential(server, authMethod="plain", username="alice", password="wrong-word")
        async with asyncio.timeout(GUARD):
            async with nina_smtp.Pool(wrong) as pool:
                tasks = started(pool, *[email(f"m{number}") for number in range(9)])
                await settle()
            return await asyncio.gather(*tasks, return_exceptions=True)

    with Recorder(users={}) as server:
        errors = asyncio.run(run())
    assert {type(error) for error in errors} == {AuthFailed, CircuitOpen}
    assert all("535" in str(error) for error in errors)
    assert server.verbs.count("AUTH") == 1


def test_leaving_that_is_interrupted_gives_the_connections_back() -> None:
    leaving = asyncio.Event()

    async def leave() -> None:
        async with nina_smtp.Pool(credential(server)) as pool:
            started(pool, email("m"))
            await here(server.came)
            leaving.set()

    async def run() -> None:
        async with asyncio.timeout(GUARD):
            task = asyncio.create_task(leave())
            await leaving.wait()
            await settle()
            task.cancel()  # it waits for the verdict on m
            with pytest.raises(asyncio.CancelledError):
                await task
            server.go.set()
            async with nina_smtp.Pool(credential(server)) as pool:
                await pool.send(email("n"))
            (carrier,) = [one for one in server.sessions if "n" in map(name_of, one.messages)]
            assert carrier.commands[-1].verb == b"QUIT"  # nobody else uses it

    with Held("m at dot") as server:
        asyncio.run(run())
    assert arrived(server) == Counter(["m", "n"])


# -- back-pressure -----------------------------------------------------------------------------------


def test_a_caller_with_too_much_waits_and_the_others_do_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool_module, "MAX_WAITING", 3)
    monkeypatch.setattr(connections_module, "_PATIENCE", 3600.0)
    in_line: list[str] = []

    async def work(pool: nina_smtp.Pool) -> None:
        async def enter(name: str, caller: str) -> Result:
            return await pool.send(email(name), caller=caller)

        first = asyncio.create_task(enter("a0", "a"))
        await here(server.came)  # one is being judged
        rest = [asyncio.create_task(enter(f"a{number}", "a")) for number in range(1, 9)]
        await settle()
        other = asyncio.create_task(enter("b0", "b"))
        await settle()
        in_line.extend(
            order._given.subject
            for line in pool._lines.values()
            for order in line._waiting  # type: ignore[union-attr]
        )
        server.go.set()
        await asyncio.gather(first, *rest, other)

    with Held("dot", keywords=()) as server:
        with_pool(server, work, limits={"connections": 1})
    assert in_line == ["a1", "a2", "a3", "b0"]
    assert arrived(server) == Counter([*[f"a{number}" for number in range(9)], "b0"])
    assert [name_of(message) for message in server.messages].index("b0") <= 2


def test_cancelled_while_it_waits_to_get_in_line_a_mail_takes_no_place(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(pool_module, "MAX_WAITING", 2)

    async def work(pool: nina_smtp.Pool) -> None:
        tasks = started(pool, *[email(f"m{number}") for number in range(8)])
        await here(server.came)
        await gone(tasks.pop())
        await gone(tasks.pop(3))
        server.go.set()
        await asyncio.gather(*tasks)

    with Held("dot", keywords=()) as server:
        with_pool(server, work, limits={"connections": 1})
    assert arrived(server) == Counter(f"m{number}" for number in (0, 1, 2, 4, 5, 6))


def test_nothing_is_built_before_its_turn() -> None:
    read: list[int] = []

    class Counting(Email):
        """Notes when it is looked at."""

        number: int

        def __getattribute__(self, name: str) -> Any:
            if name == "subject":
                read.append(object.__getattribute__(self, "number"))
            return object.__getattribute__(self, name)

    def counting(number: int) -> Email:
        mail = Counting("a@mail.test", f"m{number}@mail.test", "s", text="t")
        object.__setattr__(mail, "number", number)
        return mail

    async def work(pool: nina_smtp.Pool) -> set[int]:
        tasks = started(pool, *map(counting, range(50)))
        await here(server.came)
        await settle()
        early = set(read)
        server.go.set()
        await asyncio.gather(*tasks)
        return early

    with Held("dot") as server:
        assert with_pool(server, work, limits={"connections": 1}) == {0, 1}
    assert set(read) == set(range(50))
    assert len(server.messages) == 50


def test_a_caller_who_is_done_is_forgotten() -> None:
    class Caller:
        """Somebody."""

    async def work(pool: nina_smtp.Pool) -> list[Any]:
        alive = []
        for _ in range(3):
            caller = Caller()
            await pool.send(email(), caller=caller)
            alive.append(weakref.ref(caller))
        del caller
        gc.collect()
        return [one() for one in alive if one()]

    with Recorder() as server:
        assert with_pool(server, work) == []


# -- sent --------------------------------------------------------------------------------------------


@way
def test_a_message_in_any_form_is_sent_and_told_about(keywords: tuple[str, ...]) -> None:
    async def work(pool: nina_smtp.Pool) -> list[Result]:
        parameters = {"from": "a@mail.test", "to": "built@mail.test", "subject": "s", "body": "b"}
        forms: list[Email | Message | Any] = [
            email("email"), compose(email("message")),
            nina_smtp.build({"parameters": parameters}, credential(server)),
        ]  # fmt: skip
        return [await pool.send(form) for form in forms]

    with Recorder(keywords) as server:
        results = with_pool(server, work)
    for result, message in zip(results, server.messages, strict=True):
        assert result.status == "sent"
        assert result.succeeded()
        assert result.accepted == (message.recipients[0].decode(),)
        assert result.message_id
        assert f"Message-ID: {result.message_id}".encode() in message.content
        assert (result.size, result.attempts, result.error) == (len(message.content), 1, None)
        assert result.response == "250 2.0.0 Ok: queued as BED"
        assert result.server == {"host": "localhost", "port": server.port, "tls": None}
    check_wire(server, [f"{form}@mail.test" for form in ("email", "message", "built")], messages=3)


def test_a_recipient_who_is_refused_makes_it_partial() -> None:
    mail = Email("a@mail.test", ["b@mail.test", "gone@mail.test"], "s", text="t")
    with Recorder(rcpt_replies={b"gone@mail.test": b"550 5.1.1 Gone"}) as server:
        result = with_pool(server, lambda pool: pool.send(mail))
    assert result.status == "partial"
    assert result.accepted == ("b@mail.test",)
    assert [refusal.address for refusal in result.rejected] == ["gone@mail.test"]
    assert result.error
    assert result.error.type == "someRecipientsRefused"


@pytest.mark.parametrize("window", [1, 8])
@way
def test_two_hundred_at_once_arrive_once_each(keywords: tuple[str, ...], window: int) -> None:
    async def work(pool: nina_smtp.Pool) -> list[Result]:
        return await asyncio.gather(
            *[pool.send(email(f"m{number}"), caller=number % 3) for number in range(200)]
        )

    with Recorder(keywords) as server:
        results = with_pool(server, work, limits={"connections": 3, "pipelineWindow": window})
    assert [result.accepted for result in results] == [(f"m{number}@mail.test",) for number in range(200)]
    assert arrived(server) == Counter(f"m{number}" for number in range(200))
    assert 1 < len(server.sessions) <= 3
    assert [session.commands[-1].verb for session in server.sessions] == [b"QUIT"] * len(server.sessions)


def test_whatever_was_given_to_it_is_finished_on_leaving() -> None:
    async def run() -> list[Result]:
        async with asyncio.timeout(GUARD):
            async with nina_smtp.Pool(credential(server)) as pool:
                tasks = started(pool, *[email(f"m{number}") for number in range(30)])
                await settle()
            assert all(task.done() for task in tasks)
            return [task.result() for task in tasks]

    with Recorder() as server:
        assert [result.status for result in asyncio.run(run())] == ["sent"] * 30
    assert len(server.messages) == 30


# -- shared ------------------------------------------------------------------------------------------


def test_pools_of_one_credential_share_its_connections() -> None:
    async def run() -> None:
        more = {"limits": {"connections": 2}}
        async with (
            asyncio.timeout(GUARD),
            nina_smtp.Pool(credential(server, **more)) as one,
            nina_smtp.Pool(credential(server, **more)) as two,
        ):
            sends = [pool.send(email(f"m{number}")) for pool in (one, two) for number in range(50)]
            await asyncio.gather(*sends)

    with Recorder() as server:
        asyncio.run(run())
    assert len(server.sessions) == 2
    assert len(server.messages) == 100


def test_a_pool_that_is_left_leaves_its_connections_to_who_still_uses_them() -> None:
    async def run() -> None:
        async with asyncio.timeout(GUARD), nina_smtp.Pool(credential(server)) as one:
            async with nina_smtp.Pool(credential(server)) as two:
                await two.send(email("m"))
            await one.send(email("n"))

    with Recorder() as server:
        asyncio.run(run())
    assert server.verbs == ["EHLO", *["MAIL", "RCPT", "DATA"] * 2, "QUIT"]


@pytest.mark.parametrize("other", [{"password": "other-word"}, {"username": "bob"}])
def test_pools_of_different_credentials_share_nothing(other: dict[str, Any]) -> None:
    async def run() -> None:
        alice = {"authMethod": "plain", "username": "alice", "password": "secret-word"}
        async with (
            asyncio.timeout(GUARD),
            nina_smtp.Pool(credential(server, **alice)) as one,
            nina_smtp.Pool(credential(server, **alice | other)) as two,
        ):
            await asyncio.gather(one.send(email("m")), two.send(email("n")))

    with Recorder() as server:
        asyncio.run(run())
    assert len(server.sessions) == 2
    logins = {(session.exchanges[0].user, session.exchanges[0].password) for session in server.sessions}
    assert len(logins) == 2


def test_all_who_use_a_credential_share_its_day() -> None:
    async def run() -> list[str]:
        results: list[Result] = []
        for _ in range(3):  # each has connections of its own
            async with asyncio.timeout(GUARD), nina_smtp.Pool(limited) as pool:
                for _ in range(2):
                    with suppress(LimitReached):
                        await pool.send(email(), on_result=results.append)
        return [result.error.type if result.error else result.status for result in results]

    with Recorder() as server:
        limited = credential(server, limits={"messagesPerDay": 3})
        assert asyncio.run(run()) == ["sent"] * 3 + ["limitReached"] * 3
    assert len(server.messages) == 3


def test_a_loop_is_stopped_whoever_sends() -> None:
    async def run() -> list[str]:
        async with asyncio.timeout(GUARD), nina_smtp.Pool(guarded) as one, nina_smtp.Pool(guarded) as other:
            for number in range(3):
                await (one if number % 2 else other).send(email("m"))
            results: list[Result] = []
            for pool in (one, other):
                with pytest.raises(LoopSuspected):
                    await pool.send(email("m"), on_result=results.append)
            await one.send(email("n"))
            return [result.status for result in results]

    with Recorder() as server:
        guarded = credential(server, recipientPolicy={"maxPerRecipient": 3})
        assert asyncio.run(run()) == ["failed", "failed"]
    assert arrived(server) == {"m": 3, "n": 1}


def test_a_policy_is_its_own_credentials_though_connections_are_shared() -> None:
    async def run() -> None:
        async with (
            asyncio.timeout(GUARD),
            nina_smtp.Pool(credential(server, recipientPolicy={"deny": ["mail.test"]})) as strict,
            nina_smtp.Pool(credential(server)) as free,
        ):
            await free.send(email("m"))
            with pytest.raises(RecipientNotAllowed):
                await strict.send(email("n"))

    with Recorder() as server:
        asyncio.run(run())
    assert arrived(server) == Counter(["m"])


def test_the_tls_context_is_built_once_for_all_connections(monkeypatch: pytest.MonkeyPatch) -> None:
    tls.client_context.cache_clear()
    built: list[ssl.SSLContext] = []
    make = ssl.create_default_context

    def counting(*arguments: Any, **more: Any) -> ssl.SSLContext:
        built.append(make(*arguments, **more))
        return built[-1]

    monkeypatch.setattr(ssl, "create_default_context", counting)

    async def run() -> None:
        data = {"encryption": "starttls", "caCertificate": pem, "limits": {"connections": 3}}
        async with asyncio.timeout(GUARD):
            for _ in range(2):
                async with nina_smtp.Pool(credential(server, **data)) as pool:
                    await asyncio.gather(*[pool.send(email(f"m{number}")) for number in range(60)])

    with Recorder(tls="starttls") as server:
        pem = server.certs.ca_pem.read_text()
        asyncio.run(run())
    assert len(server.sessions) > 2
    assert len(built) == 1


def test_nothing_is_left_of_a_loop_that_has_ended() -> None:
    loops: list[Any] = []

    async def closed() -> None:
        loops.append(weakref.ref(asyncio.get_running_loop()))
        async with nina_smtp.Pool(credential(server)) as pool:
            await pool.send(email())

    async def warm() -> None:
        loops.append(weakref.ref(asyncio.get_running_loop()))
        parameters = {"from": "a@mail.test", "to": "b@mail.test", "subject": "s", "body": "b"}
        (await nina_smtp.send_async({"parameters": parameters}, credential(server))).raise_for_status()

    with Recorder() as server:
        for _ in range(3):
            asyncio.run(closed())
            asyncio.run(warm())
    gc.collect()
    assert [loop() for loop in loops if loop()] == []


def test_left_by_an_exception_it_does_not_wait_for_a_verdict_that_does_not_come() -> None:
    async def work(port: int) -> None:
        data = {"host": "localhost", "port": port, "encryption": "none", "authMethod": "none"}
        pool = nina_smtp.Pool(data | {"timeouts": {"quit": 0.1}})
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.5), pool:
                await pool.send(Email("a@x.test", ["b@x.test"], "s", text="t"))

    with FaultyServer("x_hang", mode="none", patience=20) as server:
        asyncio.run(asyncio.wait_for(work(server.port), 15))


@pytest.mark.parametrize("rubbish", [None, "text", b"octets", {"to": "x"}, 42])
def test_what_is_no_message_is_refused_by_name(rubbish: object) -> None:
    async def work() -> None:
        async with nina_smtp.Pool({"host": "localhost", "encryption": "none", "authMethod": "none"}) as pool:
            with pytest.raises(nina_smtp.NinaError, match="is not a message"):
                await pool.send(rubbish)  # type: ignore[arg-type]

    asyncio.run(work())


def test_it_belongs_to_the_loop_it_was_entered_in() -> None:
    async def work() -> None:
        async with nina_smtp.Pool({"host": "localhost", "encryption": "none", "authMethod": "none"}) as pool:
            message = Email("a@x.test", ["b@x.test"], "s", text="t")
            with pytest.raises(RuntimeError, match="event loop"):
                await asyncio.to_thread(lambda: asyncio.run(pool.send(message)))

    asyncio.run(work())
