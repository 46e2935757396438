"""What becomes of a mail after an attempt: every rule, and what must hold whatever happens."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import examples

from nina_smtp import errors
from nina_smtp.delivery.ledger.states import FINAL, OnUncertain, State
from nina_smtp.delivery.retry import ASSUMED, LIMITED, Case, Decision, decide, outcomes_of_round
from nina_smtp.delivery.schedule import HOUR, Schedule
from nina_smtp.errors import NinaError
from nina_smtp.smtp.failures import uncertain as in_doubt
from nina_smtp.smtp.mail import Delivery, Refusal, withdrawn
from nina_smtp.smtp.replies import Reply

NOW = 1_700_000_000.0
DAY = 24 * HOUR
A, B, C = "a@x.test", "b@x.test", "c@x.test"
OK = Reply(250, ("2.0.0 Ok",))
NO = Reply(550, ("5.1.1 No such user",))
LATER = Reply(452, ("4.2.2 Mailbox full",))
GREY = Reply(450, ("4.2.0 Greylisted, see later",))
MANY = Reply(452, ("4.5.3 Too many recipients",))
QUOTA = Reply(550, ("5.4.5 Daily user sending quota exceeded",))
RATE = Reply(454, ("4.7.0 Throttling failure: Maximum sending rate exceeded.",))
ROUTE = ("first", "second", "third")


def case(**more: Any) -> Case:
    given: dict[str, Any] = {
        "recipients": (A, B),
        "attempts": 0,
        "expires": NOW + DAY,
        "route": ("first",),
        "account": "first",
    }
    return Case(**given | more)


def longest(low: float, high: float) -> float:
    return high


def decided(given: Case, delivery: Delivery, **how: Any) -> Decision:
    return decide(given, delivery, **{"now": NOW, "schedule": Schedule(), "dice": longest} | how)


def failure(kind: type[NinaError], phase: str, reply: Reply | None = None) -> Delivery:
    return Delivery(error=kind("It did not work.", phase=phase, reply=reply))


CONNECT = failure(errors.ConnectFailed, "connect")
REFUSED_SESSION = failure(errors.ServerRefused, "greeting", Reply(421, ("4.3.2 Too busy",)))
LOGIN = failure(errors.AuthFailed, "auth", Reply(535, ("5.7.8 Bad login",)))
LOGIN_LATER = failure(errors.AuthFailed, "auth", Reply(454, ("4.7.0 Temporary failure",)))
CERTIFICATE = failure(errors.CertificateRejected, "tls")
OVER_QUOTA = failure(errors.MessageRefused, "dot", QUOTA)
THROTTLED = failure(errors.MessageRefused, "dot", RATE)
POLICY = failure(errors.RecipientNotAllowed, "rcpt")
OPEN = Delivery(error=errors.CircuitOpen("Open.", phase="connect", until_seconds=47.0), attempts=0)
LIMIT = Delivery(error=errors.LimitReached("No more today.", until_seconds=8000.0), attempts=0)
NOBODY = failure(errors.RecipientsRefused, "rcpt", NO)
GONE = failure(errors.MessageRefused, "dot", Reply(554, ("5.6.0 Refused",)))
BUSY = failure(errors.MessageRefused, "dot", Reply(451, ("4.3.0 Try later",)))
LOST = failure(errors.ConnectionLost, "body")
MALFORMED = failure(errors.ParameterError, "mail")
DOUBT = Delivery(error=in_doubt("the connection broke.", None), in_doubt=(A, B))

OF_THE_SERVER = {
    "connect": CONNECT, "421": REFUSED_SESSION, "login": LOGIN, "login later": LOGIN_LATER,
    "certificate": CERTIFICATE, "quota": OVER_QUOTA, "rate": THROTTLED, "circuit": OPEN, "limit": LIMIT,
}  # fmt: skip
OF_THE_MAIL = {"nobody": NOBODY, "refused": GONE, "wrong": MALFORMED}


# -- rule 1: who has the mail, and who was refused for good, is done with ------------------------------


def test_a_mail_that_everybody_has_is_sent() -> None:
    decision = decided(case(), Delivery((A, B), reply=OK))
    assert (decision.state, decision.attempts, decision.recipients) == (State.SENT, 1, ())


def test_one_that_was_refused_to_some_for_good_is_partial() -> None:
    decision = decided(case(), Delivery((A,), (Refusal(B, NO),), OK))
    assert decision.state is State.PARTIAL


# -- rule 2: some are refused for now ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("reply", "wait"), [(LATER, 30), (GREY, 330), (MANY, 30), (RATE, 30), (Reply(451, ("",)), 30)]
)
def test_it_is_deferred_for_those_alone_who_were_refused_for_now(reply: Reply, wait: float) -> None:
    given = case(recipients=(A, B, C), route=ROUTE, account="second")
    decision = decided(given, Delivery((A,), (Refusal(B, NO), Refusal(C, reply)), OK))
    assert decision.state is State.DEFERRED
    assert decision.recipients == (C,)
    assert decision.due == NOW + wait
    assert decision.account == "first"
    assert decision.attempts == 1


def test_one_that_greylists_among_several_decides() -> None:
    decision = decided(case(), Delivery((), (Refusal(A, LATER), Refusal(B, GREY)), OK))
    assert decision.due == NOW + 330


def test_too_old_for_those_it_is_partial() -> None:
    given = case(expires=NOW + 30)
    assert decided(given, Delivery((A,), (Refusal(B, LATER),), OK)).state is State.PARTIAL


def test_it_is_partial_if_somebody_was_refused_for_good_before() -> None:
    assert decided(case(refused_before=True), Delivery((A, B), (), OK)).state is State.PARTIAL


def test_a_limit_of_the_credential_makes_no_mail_too_old_within_a_day() -> None:
    given = case(expires=NOW + 24 * HOUR)
    held_up = Delivery(error=errors.LimitReached("Two a day.", until_seconds=24 * HOUR + 5))
    assert decided(given, held_up).state is State.DEFERRED
    assert decided(case(expires=NOW - 2 * HOUR), held_up).state is State.FAILED


def test_the_delays_grow_with_the_attempts() -> None:
    waits = [decided(case(attempts=n), BUSY).due - NOW for n in range(7)]
    assert waits == [30, 120, 600, 1800, 3600, 7200, 7200]


# -- rule 3: it may have been delivered ----------------------------------------------------------------


@pytest.mark.parametrize("route", [("first",), ROUTE])
def test_in_doubt_it_stops(route: tuple[str, ...]) -> None:
    decision = decided(case(route=route), DOUBT)
    assert (decision.state, decision.account) == (State.UNKNOWN, "first")
    assert decision.recipients == (A, B)  # for a person who has it sent again


def test_in_doubt_it_is_sent_again_by_the_same_account() -> None:
    given = case(route=ROUTE, account="second", on_uncertain=OnUncertain.RESEND)
    decision = decided(given, DOUBT)
    assert (decision.state, decision.account, decision.recipients) == (State.DEFERRED, "second", (A, B))
    assert decision.due == NOW + 30
    assert decision.attempts == 1


def test_sent_again_to_those_in_doubt_and_those_refused_for_now_not_to_those_who_have_it() -> None:
    given = case(recipients=(A, B, C), on_uncertain=OnUncertain.RESEND)
    delivery = Delivery((), (Refusal(C, LATER),), error=DOUBT.error, in_doubt=(B,))
    assert decided(given, delivery).recipients == (B, C)
    delivery = Delivery((A,), (Refusal(C, NO),), error=DOUBT.error, in_doubt=(B,))
    assert decided(given, delivery).recipients == (B,)


def test_in_doubt_and_too_old_nobody_can_tell() -> None:
    given = case(on_uncertain=OnUncertain.RESEND, expires=NOW + 1)
    assert decided(given, DOUBT).state is State.UNKNOWN


@pytest.mark.parametrize(("refused", "state"), [((), State.SENT), ((Refusal(B, NO),), State.PARTIAL)])
def test_in_doubt_it_counts_as_sent(refused: tuple[Refusal, ...], state: State) -> None:
    delivery = Delivery((), refused, error=DOUBT.error, in_doubt=(A,))
    decision = decided(case(on_uncertain=OnUncertain.ASSUME_SENT), delivery)
    assert (decision.state, decision.warning) == (state, ASSUMED)
    assert decision.delivery.accepted == (A,)
    assert decision.delivery.error is None


# -- rule 4: the server's fault, so the next account ---------------------------------------------------


@pytest.mark.parametrize("delivery", OF_THE_SERVER.values(), ids=OF_THE_SERVER)
@pytest.mark.parametrize(("account", "following"), [("first", "second"), ("second", "third")])
def test_what_is_the_servers_fault_goes_to_the_next_account_at_once(
    delivery: Delivery, account: str, following: str
) -> None:
    decision = decided(case(route=ROUTE, account=account), delivery)
    assert (decision.state, decision.account) == (State.QUEUED, following)
    assert (decision.due, decision.attempts, decision.recipients) == (NOW, 0, (A, B))


@pytest.mark.parametrize("delivery", [*OF_THE_MAIL.values(), BUSY, LOST, DOUBT])
def test_what_is_the_mails_fault_or_in_doubt_does_not(delivery: Delivery) -> None:
    assert decided(case(route=ROUTE), delivery).account == "first"


def test_an_account_that_stands_in_and_does_not_take_the_recipients_is_passed_over() -> None:
    assert decided(case(route=ROUTE, account="second"), POLICY).account == "third"
    last = decided(case(route=ROUTE, account="third"), POLICY)
    assert (last.state, last.account) == (State.DEFERRED, "first")
    assert decided(case(route=ROUTE), POLICY).state is State.FAILED


# -- rule 5: waiting may help --------------------------------------------------------------------------


@pytest.mark.parametrize("route", [("first",), ("zero", "first")])
@pytest.mark.parametrize(
    ("delivery", "counts", "wait"),
    [
        (CONNECT, 0, 30),
        (REFUSED_SESSION, 0, 30),
        (LOGIN_LATER, 0, 30),
        (THROTTLED, 1, 30),
        (OVER_QUOTA, 1, 3630),
        (BUSY, 1, 30),
        (LOST, 1, 30),
        (failure(errors.RecipientsRefused, "rcpt", GREY), 1, 330),
        (OPEN, 0, 48),
        (LIMIT, 0, 8001),
    ],
)
def test_it_is_deferred_and_begins_with_the_first_account_again(
    delivery: Delivery, counts: int, wait: float, route: tuple[str, ...]
) -> None:
    decision = decided(case(route=route), delivery)
    assert (decision.state, decision.account) == (State.DEFERRED, route[0])
    assert decision.attempts == counts
    assert decision.due == NOW + wait
    assert decision.recipients == (A, B)


def test_a_server_that_cannot_be_reached_for_long_is_asked_as_often_as_at_first() -> None:
    given = case(attempts=0)
    for _ in range(20):
        decision = decided(given, CONNECT)
        assert decision.due == NOW + 30
        given = case(attempts=decision.attempts)


def test_those_who_were_refused_for_good_are_not_asked_again() -> None:
    error = errors.RecipientsRefused("All refused.", phase="rcpt", reply=LATER)
    decision = decided(case(), Delivery((), (Refusal(A, NO), Refusal(B, LATER)), error=error))
    assert (decision.state, decision.recipients) == (State.DEFERRED, (B,))


def test_a_refused_login_of_the_last_account_can_wait_for_the_first_to_come_back() -> None:
    given = case(route=("first", "second"), account="second")
    assert decided(given, LOGIN).state is State.FAILED
    waits = decided(case(route=("first", "second"), account="second", rounds=("opening",)), LOGIN)
    assert (waits.state, waits.account) == (State.DEFERRED, "first")
    both = decided(case(route=("first", "second"), account="second", rounds=("login",)), LOGIN)
    assert both.state is State.FAILED


def test_what_was_interrupted_is_as_if_it_had_not_been_tried() -> None:
    for error in (withdrawn(), errors.LedgerFailed("Disk full.")):
        decision = decided(case(attempts=3, route=ROUTE, account="second"), Delivery(error=error))
        assert (decision.state, decision.account) == (State.QUEUED, "second")
        assert (decision.attempts, decision.due, decision.recipients) == (3, NOW, (A, B))


# -- rule 6: it has failed -----------------------------------------------------------------------------


@pytest.mark.parametrize("delivery", [*OF_THE_MAIL.values(), LOGIN, CERTIFICATE, POLICY])
def test_it_has_failed_and_a_person_can_have_it_sent_to_the_same_again(delivery: Delivery) -> None:
    decision = decided(case(), delivery)
    assert (decision.state, decision.attempts, decision.recipients) == (State.FAILED, 1, (A, B))


@pytest.mark.parametrize("delivery", [CONNECT, BUSY, OVER_QUOTA, OPEN])
def test_too_old_it_has_failed_and_says_so(delivery: Delivery) -> None:
    given = case(expires=NOW + 20)
    before = delivery.error.hint if delivery.error else None
    for _ in range(2):  # the same error may be that of many mails
        decision = decided(given, delivery)
        assert decision.state is State.FAILED
        error = decision.delivery.error
        assert error
        assert type(error) is type(delivery.error)
        assert (error.hint or "").count("until it was too old") == 1
        assert (error.phase, error.reply) == (delivery.error.phase, delivery.error.reply)  # type: ignore[union-attr]
    assert delivery.error
    assert delivery.error.hint == before


@pytest.mark.parametrize("delivery", [NOBODY, GONE, LOGIN, MALFORMED])
def test_a_mail_that_others_have_is_partial_since_it_must_not_be_sent_to_them_again(
    delivery: Delivery,
) -> None:
    decision = decided(case(recipients=(B,), reached=True), delivery)
    assert decision.state is State.PARTIAL
    error = decision.delivery.error
    assert isinstance(error, errors.SomeRecipientsRefused)
    assert delivery.error
    assert delivery.error.message in error.message
    assert not error.retry


def test_its_refused_recipients_say_the_rest() -> None:
    refused = (Refusal(B, NO),)
    delivery = Delivery((), refused, error=NOBODY.error)
    decision = decided(case(recipients=(B,), reached=True), delivery)
    assert (decision.state, decision.delivery.refused) == (State.PARTIAL, refused)
    assert decision.delivery.error is None


def test_a_mail_that_others_have_is_still_tried_again_for_the_rest() -> None:
    assert decided(case(recipients=(B,), reached=True), BUSY).state is State.DEFERRED
    assert decided(case(recipients=(B,), reached=True), DOUBT).state is State.UNKNOWN


@pytest.mark.parametrize("delivery", [NOBODY, GONE, LOGIN, CERTIFICATE])
@pytest.mark.parametrize("reached", [True, False])
def test_a_mail_that_was_in_doubt_before_is_still_in_doubt(delivery: Delivery, reached: bool) -> None:
    decision = decided(case(in_doubt=True, reached=reached), delivery)
    assert (decision.state, decision.recipients) == (State.UNKNOWN, (A, B))
    assert decision.delivery.in_doubt == (A, B)
    error = decision.delivery.error
    assert error
    assert delivery.error
    assert error.uncertain
    assert delivery.error.message in error.message


# -- the round -----------------------------------------------------------------------------------------


def test_the_outcomes_of_a_round_are_those_of_the_accounts_before() -> None:
    history = [
        {"account": "first", "outcome": "login"},
        {"account": "second", "outcome": "opening"},
        {"account": "first", "outcome": "throttled"},
        {"outcome": "unknown"},
    ]
    assert outcomes_of_round(history, "first", ROUTE) == ()
    assert outcomes_of_round(history, "second", ROUTE) == ("throttled",)
    assert outcomes_of_round(history, "third", ROUTE) == ("throttled", "opening")
    assert outcomes_of_round(history, "elsewhere", ROUTE) == ()
    assert outcomes_of_round([], "third", ROUTE) == ()


# -- whatever happens ----------------------------------------------------------------------------------

PEOPLE = [f"p{n}@x.test" for n in range(6)]
TEXTS = ["", "4.2.0 Greylisted", "5.4.5 Daily user sending quota exceeded", "4.5.3 Too many recipients",
         "4.7.0 Throttling failure", "5.1.1 No", "Server busy"]  # fmt: skip
REPLIES = st.builds(
    Reply, st.sampled_from([421, 450, 451, 452, 454, 521, 535, 550, 552, 554]),
    st.sampled_from(TEXTS).map(lambda text: (text,)),
)  # fmt: skip
PHASES = st.sampled_from(
    ["resolve", "connect", "greeting", "ehlo", "tls", "auth", "mail", "rcpt", "data", "dot", None]
)
KINDS = [
    errors.ConnectFailed, errors.ServerRefused, errors.AuthFailed, errors.TlsRequired, errors.ReplyTimeout,
    errors.SenderRefused, errors.RecipientsRefused, errors.MessageRefused, errors.MessageTooLarge,
    errors.FeatureUnavailable, errors.ProtocolViolation, errors.ConnectionLost, errors.Interrupted,
    errors.LedgerFailed, errors.ParameterError, errors.LoopSuspected, errors.LimitReached, errors.CircuitOpen,
    errors.TokenUnavailable, errors.InternalError, errors.InvalidCredential,
]  # fmt: skip


@st.composite
def attempts(draw: st.DrawFn) -> tuple[Case, Delivery]:
    """A mail, and what an attempt at it may come to."""
    recipients = tuple(draw(st.lists(st.sampled_from(PEOPLE), min_size=1, unique=True)))
    route = draw(st.sampled_from([("first",), ROUTE]))
    given = Case(
        recipients,
        draw(st.integers(0, 9)),
        NOW + draw(st.floats(-DAY, DAY)),
        route,
        draw(st.sampled_from(route)),
        draw(st.sampled_from(OnUncertain)),
        tuple(draw(st.lists(st.sampled_from(["login", "opening", "quota"]), max_size=2))),
        draw(st.booleans()),
        draw(st.booleans()),
    )
    fates = {one: draw(st.sampled_from(["taken", "refused"])) for one in recipients}
    taken = tuple(one for one, fate in fates.items() if fate == "taken")
    refused = tuple(Refusal(one, draw(REPLIES)) for one, fate in fates.items() if fate == "refused")
    how = draw(st.sampled_from(["error", "uncertain", "ok"])) if taken else "error"
    if how == "ok":
        return given, Delivery(taken, refused, OK)
    if how == "uncertain":
        some = draw(st.integers(0, len(taken) - 1))
        return given, Delivery(taken[:some], refused, error=in_doubt("?", None), in_doubt=taken[some:])
    kind = draw(st.sampled_from(KINDS))
    error = kind("What happened.", phase=draw(PHASES), reply=draw(st.none() | REPLIES))
    if isinstance(error, (errors.LimitReached, errors.CircuitOpen)):
        error.until_seconds = draw(st.none() | st.floats(0, 2 * DAY))
    return given, Delivery((), refused if draw(st.booleans()) else (), error=error)


DICE = st.floats(0, 1).map(lambda part: lambda low, high: low + part * (high - low))


@given(attempts(), DICE)
@examples(500)
def test_whatever_happens(what: tuple[Case, Delivery], dice) -> None:
    given, delivery = what
    decision = decide(given, delivery, now=NOW, schedule=Schedule(), dice=dice)
    waits = decision.state in (State.QUEUED, State.DEFERRED)
    assert waits or decision.state in FINAL
    # nobody gets it twice, nor anybody whom it was not for
    assert set(decision.recipients) <= set(given.recipients)
    assert not set(decision.recipients) & set(delivery.accepted)
    if waits:
        assert decision.recipients
        assert decision.due >= NOW
        assert decision.account in given.route
    if decision.state is State.DEFERRED:
        held_up = isinstance(delivery.error, errors.LimitReached)
        assert NOW < decision.due < given.expires + (LIMITED if held_up else 0)
        for one in delivery.refused:
            assert one.reply.is_transient or one.address not in decision.recipients
    if decision.state is State.QUEUED:
        assert set(decision.recipients) == set(given.recipients)
        assert not delivery.accepted
        assert given.attempts == decision.attempts
    # one that is in doubt goes to no other server, and is no failure
    if delivery.error and delivery.error.uncertain:
        assert decision.account == given.account
        assert decision.state is not State.FAILED
        assert decision.state is not State.QUEUED
        assert (decision.state is State.UNKNOWN) <= (given.on_uncertain is not OnUncertain.ASSUME_SENT)
        assert (decision.state is State.DEFERRED) <= (given.on_uncertain is OnUncertain.RESEND)
    else:
        assert decision.state is not State.UNKNOWN or given.in_doubt
    # who has it is never in a mail that failed, since such a mail may be sent again as a whole
    if decision.state is State.FAILED:
        assert not given.reached
        assert not given.in_doubt
        assert not delivery.accepted
        assert decision.delivery.error
    if decision.state is State.SENT:
        assert decision.delivery.error is None
        assert not delivery.refused
        assert not given.refused_before
    assert given.attempts <= decision.attempts <= given.attempts + 1


@given(st.lists(attempts(), min_size=1, max_size=4), DICE)
@examples(30)
def test_a_mail_ends_some_day(deliveries: list[tuple[Case, Delivery]], dice) -> None:
    """Whatever a server does, again and again, no mail is tried after a day, nor goes round at once."""
    first, _ = deliveries[0]
    schedule = Schedule(delays=(600, HOUR))
    now, mail = NOW, Case(first.recipients, 0, NOW + DAY, first.route, first.route[0], first.on_uncertain)
    for rounds in range(100_000):
        _, delivery = deliveries[rounds % len(deliveries)]
        if isinstance(delivery.error, (errors.Interrupted, errors.LedgerFailed)):
            delivery = CONNECT
        decision = decide(mail, delivery, now=now, schedule=schedule, dice=dice)
        if decision.state in FINAL:
            break
        if decision.state is State.QUEUED:  # on to the next account, never back
            assert mail.route.index(decision.account) > mail.route.index(mail.account)
        else:
            assert decision.due >= now + 1 or isinstance(
                delivery.error, (errors.LimitReached, errors.CircuitOpen)
            )
            now = max(decision.due, now + 60)
        mail = Case(decision.recipients, decision.attempts, mail.expires, mail.route, decision.account,
                    mail.on_uncertain)  # fmt: skip
    assert decision.state in FINAL
    assert now <= NOW + DAY
