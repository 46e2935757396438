"""What one credential may use, and who shares it."""

from __future__ import annotations

import asyncio
import gc
from dataclasses import replace
from weakref import ref as Ref  # noqa: N812 - it is a type here

import pytest

from nina_smtp import errors
from nina_smtp.delivery import shared
from nina_smtp.delivery.account import Account, Limits, RecipientPolicy
from nina_smtp.delivery.governor import CredentialGovernor
from nina_smtp.delivery.shared import governor_of, shared_pool
from nina_smtp.envelope import Envelope
from nina_smtp.errors import LoopSuspected, NinaError
from nina_smtp.secret import Secret
from nina_smtp.smtp.auth import Plain
from nina_smtp.smtp.capabilities import Capabilities
from nina_smtp.smtp.failures import refusal, uncertain
from nina_smtp.smtp.governor import Governor
from nina_smtp.smtp.mail import Delivery, Mail, Refusal, Shipment
from nina_smtp.smtp.phase import Phase
from nina_smtp.smtp.replies import Reply
from nina_smtp.smtp.server import Server

SERVER = Server("mail.test", mechanism=Plain("alice", Secret("pw")))
DAY = 86_400
SLOW = Reply(451, ("4.7.0 Too fast",))
USED_UP = Reply(550, ("5.4.5 Daily user sending limit exceeded",))


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


class Parcel(Shipment):
    def prepare(self, capabilities: Capabilities) -> Mail:
        return Mail(Envelope("a@mail.test", ("b@mail.test",)), lambda: [b"x"], 1)

    def settled(self, delivery: Delivery) -> None:
        raise AssertionError("nobody settles it here")


def refused(reply: Reply) -> NinaError:
    return refusal(errors.MessageRefused, "The server refused the message", Phase.DOT, reply)


def sent(governor: Governor, delivery: Delivery | None = None, *, was_begun: bool = True) -> Parcel:
    parcel = Parcel()
    governor.took(parcel)
    governor.settled(parcel, delivery or Delivery(("b@mail.test",)), was_begun=was_begun)
    return parcel


def test_without_limits_it_is_never_in_the_way() -> None:
    governor = CredentialGovernor(Clock())
    for _ in range(1000):
        sent(governor)
    assert governor.seconds_left() == 0
    assert governor.exhausted() is governor.circuit() is None
    assert not governor.on_trial


def test_a_day_that_is_used_up_is_an_error_that_says_until_when() -> None:
    governor = CredentialGovernor(Clock(), per_day=2)
    governor.preload([(DAY - 3000, 1)])
    sent(governor)
    error = governor.exhausted()
    assert isinstance(error, errors.LimitReached)
    assert error.message == "The credential's 2 mails of 24 hours are used up."
    assert error.hint
    assert "in 54 min" in error.hint
    assert error.until_seconds == pytest.approx(3000, abs=301)
    assert error.retry
    assert not error.uncertain


@pytest.mark.parametrize(
    "ended",
    [
        Delivery(error=refused(Reply(550, ("5.1.1 Nobody",)))),
        Delivery(error=errors.ConnectionLost("gone", phase="rcpt")),
    ],
)
def test_what_was_not_delivered_is_none_of_the_day(ended: Delivery) -> None:
    governor = CredentialGovernor(Clock(), per_day=1)
    sent(governor, ended)
    assert governor.exhausted() is None


def test_what_may_have_been_delivered_is_one_of_the_day() -> None:
    governor = CredentialGovernor(Clock(), per_day=1)
    sent(governor, Delivery(error=uncertain("it broke", None)))
    assert governor.exhausted()


def test_a_mail_that_the_server_never_heard_of_takes_nobodys_place() -> None:
    governor = CredentialGovernor(Clock(), per_second=1)
    sent(governor, Delivery(error=errors.InvalidAttachment("bad")), was_begun=False)
    parcel = Parcel()
    governor.took(parcel)
    governor.not_taken(parcel)
    assert governor.seconds_left() == 0


@pytest.mark.parametrize(
    "delivery",
    [
        Delivery(error=refused(SLOW)),
        Delivery(("c@mail.test",), (Refusal("b@mail.test", Reply(450, ("4.2.1 too quickly",))),)),
    ],
)
def test_a_server_that_says_it_is_too_fast_slows_it_down(delivery: Delivery) -> None:
    governor = CredentialGovernor(Clock())
    sent(governor, delivery)
    assert governor.connections(4) == 2
    assert governor.seconds_left() > 0
    assert governor.exhausted() is None, "that is worth waiting for"


def test_a_server_that_closes_for_that_slows_it_down_too() -> None:
    governor = CredentialGovernor(Clock())
    governor.dismissed(Reply(421, ("4.4.2 timeout",)))
    assert governor.connections(4) == 4
    governor.dismissed(Reply(421, ("4.7.0 too many messages",)))
    assert governor.connections(4) == 2


@pytest.mark.parametrize(
    "delivery",
    [
        Delivery(error=refused(USED_UP)),
        Delivery(("c@mail.test",), (Refusal("b@mail.test", USED_UP),)),
    ],
)
def test_a_quota_that_is_used_up_is_an_error_with_the_providers_words(delivery: Delivery) -> None:
    governor = CredentialGovernor(Clock())
    sent(governor, delivery)
    error = governor.exhausted()
    assert isinstance(error, errors.LimitReached)
    assert "550 5.4.5 Daily user sending limit exceeded" in error.message
    assert error.until_seconds == 3600


def test_a_quota_at_the_login_does_not_open_the_breaker() -> None:
    governor = CredentialGovernor(Clock())
    reply = Reply(451, ("Authentication failed: Maximum credits exceeded",))
    for _ in range(9):
        governor.refused(refusal(errors.AuthFailed, "The server refused the login", Phase.AUTH, reply))
    assert governor.circuit() is None
    assert governor.exhausted()


def test_a_refused_login_opens_the_breaker_until_a_session_proves_itself() -> None:
    clock = Clock()
    governor = CredentialGovernor(clock, dice=lambda: 0.0)
    governor.refused(errors.AuthFailed("535", phase="auth"))
    assert isinstance(governor.circuit(), errors.CircuitOpen)
    sent(governor)
    assert governor.circuit(), "another connection's success says nothing of the login"
    clock.now += 300
    assert governor.circuit() is None
    assert governor.on_trial
    governor.opened()
    assert not governor.on_trial


def test_a_mail_counts_once_for_its_recipients_however_often_it_is_tried() -> None:
    governor = CredentialGovernor(Clock(), per_recipient=2)
    mail = Parcel().prepare(Capabilities())
    first = Parcel()
    for _ in range(5):
        governor.admit(first, mail)
    governor.admit(Parcel(), mail)
    with pytest.raises(LoopSuspected):
        governor.admit(Parcel(), mail)


# -- who shares it -----------------------------------------------------------------------------------


def account(password: str = "pw", *, per_recipient: int | None = 1000, **limits: float) -> Account:
    server = replace(SERVER, mechanism=Plain("alice", Secret(password)))
    policy = RecipientPolicy(max_per_recipient=per_recipient)
    return Account(server, policy=policy, limits=replace(Limits(), **limits))


def test_equal_credentials_share_one_and_others_do_not() -> None:
    async def work() -> None:
        one = governor_of(account())
        assert governor_of(account()) is one
        others = [
            account("other"),
            account(messages_per_second=5.0),
            account(messages_per_day=5),
            account(per_recipient=None),
        ]
        assert len({id(one), *(id(governor_of(other)) for other in others)}) == 5

    asyncio.run(work())


def test_it_outlives_the_connections_and_not_the_loop() -> None:
    async def work() -> Ref[asyncio.AbstractEventLoop]:
        one = governor_of(account(messages_per_day=5))
        sent(one)
        number = id(one)
        for _ in range(2):
            async with shared_pool(account(messages_per_day=5), keep_warm=False):
                pass
            gc.collect()
        del one
        gc.collect()
        assert id(governor_of(account(messages_per_day=5))) == number
        return Ref(asyncio.get_running_loop())

    its_loop = asyncio.run(work())
    gc.collect()
    assert its_loop() is None


def test_those_that_nobody_uses_are_dropped_when_there_are_too_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shared, "_KEPT", 3)

    async def work() -> None:
        used = governor_of(account("used"))
        for number in range(10):
            governor_of(account(f"{number}"))
        assert governor_of(account("used")) is used
        here = shared._loops[asyncio.get_running_loop()]
        assert len(here._kept) == 3
        assert len(here._governors) == 3

    asyncio.run(work())


def test_whoever_reads_the_log_hears_when_a_server_is_left_alone_and_when_it_wants_less(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO")
    governor = CredentialGovernor(Clock(), server=SERVER)
    for _ in range(7):
        governor.refused(errors.ConnectFailed("No way there.", phase=Phase.CONNECT.value))
    sent(governor, Delivery(error=refused(SLOW)))
    events = [getattr(record, "nina")["event"] for record in caplog.records]  # noqa: B009 - it is an extra
    assert events == ["breaker.opened", "throttled"]
