"""What is kept of an attempt, and what several come to."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st
from strategies import ADDRESS, examples

from nina_smtp.delivery.attempt import (
    Attempt,
    accepted_in,
    refusal_as_dict,
    refusal_from_dict,
    refused_in,
    summed,
)
from nina_smtp.errors import CircuitOpen, ConnectionLost, DeliveryUncertain, MessageRefused
from nina_smtp.smtp.mail import Delivery, Refusal
from nina_smtp.smtp.replies import Reply

OK = Reply(250, ("2.0.0 Ok: queued as 1",))
NO = Reply(550, ("5.1.1 No such user",))
BUSY = Reply(451, ("4.3.0 Try later",))
LATER = Reply(451, ("4.7.1 Try later",))
REPLIES = st.builds(
    Reply,
    st.integers(400, 599),
    st.lists(st.text(st.characters(codec="ascii", categories=["L", "N", "P"]), max_size=30), min_size=1).map(
        tuple
    ),
)
REFUSALS = st.builds(Refusal, ADDRESS, REPLIES)


def attempt(delivery: Delivery, number: int = 1) -> dict[str, object]:
    kept = Attempt.of(delivery, number=number, account="a", at=1000.12345, seconds=0.98765)
    return json.loads(json.dumps(kept.as_dict()))  # type: ignore[no-any-return]


def test_a_mail_that_went_out() -> None:
    assert attempt(Delivery(("x@a.test",), reply=OK)) == {
        "attempt": 1, "account": "a", "at": 1000.123, "seconds": 0.988, "outcome": "sent", "phase": "done",
        "code": 250, "enhancedCode": "2.0.0", "message": "250 2.0.0 Ok: queued as 1",
        "accepted": ["x@a.test"],
    }  # fmt: skip


def test_one_that_went_out_to_some() -> None:
    kept = attempt(Delivery(("x@a.test",), (Refusal("y@a.test", LATER),), OK))
    assert kept["outcome"] == "partial"
    assert kept["refused"] == [
        {
            "address": "y@a.test", "code": 451, "enhancedCode": "4.7.1", "message": "451 4.7.1 Try later",
            "temporary": True,
        }
    ]  # fmt: skip


def test_one_that_failed_says_at_what_and_how() -> None:
    error = MessageRefused("The server refused the message: …", phase="dot", reply=BUSY)
    kept = attempt(Delivery(error=error), 3)
    assert (kept["attempt"], kept["phase"], kept["code"], kept["enhancedCode"]) == (3, "dot", 451, "4.3.0")
    assert kept["outcome"] == "temporary"
    assert kept["message"] == error.message
    assert "accepted" not in kept


def test_one_that_is_in_doubt() -> None:
    kept = attempt(Delivery(error=DeliveryUncertain("?", phase="dot"), in_doubt=("x@a.test",)))
    assert (kept["outcome"], kept["phase"]) == ("unknown", "dot")


def test_where_nothing_was_tried_there_is_no_phase() -> None:
    kept = attempt(Delivery(error=CircuitOpen("Open.", phase="connect"), attempts=0))
    assert kept["outcome"] == "opening"
    assert "phase" not in kept
    assert attempt(Delivery(error=ConnectionLost("Lost.", phase="mail")))["phase"] == "mail"


@given(REFUSALS)
@examples(40)
def test_a_refusal_is_read_as_it_was_written(refusal: Refusal) -> None:
    written = refusal_as_dict(refusal)
    again = refusal_from_dict(json.loads(json.dumps(written)))
    assert again.address == refusal.address
    assert again.reply.code == refusal.reply.code
    assert refusal_as_dict(again) == written


def test_all_attempts_are_summed_up_as_one() -> None:
    history = [
        attempt(
            Delivery(
                ("a@x.test",),
                (Refusal("b@x.test", LATER), Refusal("c@x.test", NO), Refusal("d@x.test", LATER)),
                OK,
            )
        ),
        attempt(Delivery(error=ConnectionLost("Lost.", phase="mail")), 2),
        attempt(Delivery(("b@x.test",), (Refusal("d@x.test", LATER),), OK), 3),
    ]  # fmt: skip
    total = summed(history, Delivery((), (Refusal("d@x.test", NO),), None))
    assert total.accepted == ("a@x.test", "b@x.test")
    assert {one.address: one.reply.code for one in total.refused} == {"c@x.test": 550, "d@x.test": 550}
    assert accepted_in(history) == ("a@x.test", "b@x.test")
    assert [one.address for one in refused_in(history)] == ["c@x.test"]


def test_who_has_it_in_the_end_was_not_refused() -> None:
    history = [
        attempt(Delivery(error=ConnectionLost("Lost.", phase="rcpt"), refused=(Refusal("a@x.test", NO),)))
    ]
    assert summed(history, Delivery(("a@x.test",))).refused == ()


@given(st.lists(st.tuples(st.lists(ADDRESS, max_size=3), st.lists(REFUSALS, max_size=3)), max_size=4))
@examples(40)
def test_nobody_is_both_reached_and_refused_nor_named_twice(rounds) -> None:
    history = [
        attempt(Delivery(tuple(accepted), tuple(refused)), number)
        for number, (accepted, refused) in enumerate(rounds, 1)
    ]
    total = summed(history, Delivery())
    reached, refused = list(total.accepted), [one.address for one in total.refused]
    assert len(set(reached)) == len(reached)
    assert len(set(refused)) == len(refused)
    assert not set(reached) & set(refused)
