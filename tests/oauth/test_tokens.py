"""Tokens: what an answer says, and whether they are still good, whatever is done to the clock."""

from __future__ import annotations

from typing import Any

import pytest

from nina_smtp.oauth.tokens import USUAL_LIFETIME, Held, Tokens
from nina_smtp.secret import Secret

DAY = 86_400.0


def held(stopped: Any, lifetime: float = 3600.0, obtained: float | None = None) -> Held:
    at = stopped.wall if obtained is None else obtained
    return Held(Tokens(Secret("tok"), lifetime=lifetime, obtained=at), stopped.clock)


@pytest.mark.parametrize(
    "answer",
    [
        {},
        {"access_token": None},
        {"access_token": ""},
        {"access_token": 5},
        {"access_token": ["tok"]},
        {"access_token": "a b"},
        {"access_token": "a\1b"},
        {"access_token": "a\r\nMAIL FROM:<>"},
        {"access_token": "tök"},
        {"access_token": "x" * 8001},
    ],
)
def test_what_is_no_token_is_none(answer: dict[str, Any]) -> None:
    assert Tokens.from_answer(answer, obtained=0, scopes=(), refresh=None) is None


@pytest.mark.parametrize(
    ("said", "taken"),
    [
        (3599, 3599),
        (3599.5, 3599.5),
        ("3599", 3599),
        (None, USUAL_LIFETIME),
        (0, USUAL_LIFETIME),
        (-1, USUAL_LIFETIME),
        (True, USUAL_LIFETIME),
        ("soon", USUAL_LIFETIME),
        (float("nan"), USUAL_LIFETIME),
        (float("inf"), USUAL_LIFETIME),
        (1e300, 10 * 365 * DAY),
    ],
)
def test_a_lifetime_however_it_is_said(said: Any, taken: float) -> None:
    found = Tokens.from_answer(
        {"access_token": "tok", "expires_in": said}, obtained=7, scopes=(), refresh=None
    )
    assert found
    assert (found.lifetime, found.obtained) == (taken, 7)


def test_a_refresh_token_goes_on_unless_it_is_replaced() -> None:
    old = Secret("rt-old")
    for answer, expected in (
        ({}, "rt-old"),
        ({"refresh_token": "rt-new"}, "rt-new"),
        ({"refresh_token": 5}, "rt-old"),
    ):
        found = Tokens.from_answer({"access_token": "tok", **answer}, obtained=0, scopes=(), refresh=old)
        assert found
        assert found.refresh
        assert found.refresh.reveal() == expected


def test_scopes_that_are_not_repeated_are_those_asked_for() -> None:
    for said, expected in ((None, ("a", "b")), ("a  c", ("a", "c")), (" ", ("a", "b")), (5, ("a", "b"))):
        found = Tokens.from_answer(
            {"access_token": "t", "scope": said}, obtained=0, scopes=("a", "b"), refresh=None
        )
        assert found
        assert found.scopes == expected


def test_what_is_stored_is_read_again_and_shows_nothing_meanwhile() -> None:
    tokens = Tokens(Secret("tok-1"), Secret("rt-1"), ("a",), 3600.0, 12.5)
    assert Tokens.from_document(tokens.as_document()) == tokens
    assert "tok-1" not in repr(tokens)
    assert "rt-1" not in repr(tokens)


@pytest.mark.parametrize(
    "document", [{}, {"accessToken": "t"}, {"accessToken": "t", "expiresIn": "1", "obtainedAt": 0}]
)
def test_what_is_no_stored_token_is_none(document: dict[str, Any]) -> None:
    assert Tokens.from_document(document) is None


@pytest.mark.parametrize(
    ("lifetime", "passed", "good"),
    [
        (3600, 0, True),
        (3600, 3299, True),
        (3600, 3301, False),
        (3600, 4000, False),
        (60, 29, True),
        (60, 31, False),
    ],
)
def test_it_is_renewed_five_minutes_before_it_expires_or_at_half_its_life(
    stopped: Any, lifetime: float, passed: float, good: bool
) -> None:
    found = held(stopped, lifetime)
    stopped.pass_(passed)
    assert found.good is good


def test_a_clock_that_is_set_back_a_day_makes_no_expired_token_good(stopped: Any) -> None:
    found = held(stopped)
    stopped.wall -= DAY
    assert found.good
    stopped.pass_(3500)
    assert not found.good


def test_a_clock_that_is_set_forward_a_day_costs_one_renewal(stopped: Any) -> None:
    found = held(stopped)
    stopped.wall += DAY
    assert not found.good
    assert held(stopped).good


def test_a_machine_that_slept_does_not_trust_its_steady_clock(stopped: Any) -> None:
    found = held(stopped)
    stopped.wall += 4000  # the steady clock stood still
    assert not found.good


def test_a_stored_token_is_as_old_as_it_says_and_from_the_future_it_is_not_trusted(stopped: Any) -> None:
    assert held(stopped, obtained=stopped.wall - 3000).good
    assert not held(stopped, obtained=stopped.wall - 3400).good
    assert not held(stopped, obtained=stopped.wall + DAY).good
