"""When a server is left alone, and when it is tried again."""

from __future__ import annotations

import pytest

from nina_smtp.delivery.breaker import Breaker, in_words
from nina_smtp.errors import AuthFailed, ConnectFailed, NinaError
from nina_smtp.smtp.replies import Reply

DOWN = ConnectFailed("No connection to mail.test: refused.", phase="connect")
WRONG = AuthFailed(
    "The server refused the login: 535 5.7.8 no", phase="auth", reply=Reply(535, ("5.7.8 no",))
)
LATER = AuthFailed("The server refused the login: 454 later", phase="auth", reply=Reply(454, ("later",)))


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def breaker(clock: Clock, dice: float = 0.0) -> Breaker:
    return Breaker(clock, lambda: dice)


def open_times(one: Breaker, clock: Clock, error: NinaError, count: int) -> list[float]:
    """How long it stays open, each time that a trial fails."""
    times: list[float] = []
    for _ in range(count):
        one.failed(error)
        times.append(one.seconds_left())
        clock.now += times[-1]
    return times


def test_it_opens_at_the_fifth_failure_in_a_row(clock: Clock) -> None:
    one = breaker(clock)
    for _ in range(4):
        one.failed(DOWN)
        assert one.error() is None
        assert not one.on_trial
    one.failed(DOWN)
    error = one.error()
    assert error
    assert error.message == (
        "The server failed 5 times in a row, the last time so: No connection to mail.test: refused."
    )
    assert error.hint == "It is tried again in 30 s; nothing was sent."
    assert error.until_seconds == 30
    assert error.retry
    assert not error.uncertain


@pytest.mark.parametrize("how", ["succeeded", "delivered"])
def test_one_success_between_failures_and_they_are_not_in_a_row(clock: Clock, how: str) -> None:
    one = breaker(clock)
    for _ in range(4):
        one.failed(DOWN)
    getattr(one, how)()
    for _ in range(4):
        one.failed(DOWN)
    assert not one.seconds_left()


def test_a_refused_login_opens_it_at_once_and_for_longer(clock: Clock) -> None:
    one = breaker(clock)
    one.failed(WRONG)
    error = one.error()
    assert error
    assert error.until_seconds == 300
    assert "535 5.7.8 no" in error.message
    assert error.hint
    assert "lock the account" in error.hint


def test_a_login_that_cannot_be_checked_now_is_a_failure_like_others(clock: Clock) -> None:
    one = breaker(clock)
    one.failed(LATER)
    assert not one.seconds_left()


def test_each_trial_that_fails_doubles_the_time_up_to_a_quarter_of_an_hour(clock: Clock) -> None:
    one = breaker(clock)
    for _ in range(4):
        one.failed(DOWN)
    assert open_times(one, clock, DOWN, 8) == [30, 60, 120, 240, 480, 900, 900, 900]
    assert one.on_trial


def test_refused_logins_double_it_up_to_an_hour(clock: Clock) -> None:
    assert open_times(breaker(clock), clock, WRONG, 6) == [300, 600, 1200, 2400, 3600, 3600]


def test_a_login_refused_on_trial_begins_anew_with_its_own_times(clock: Clock) -> None:
    one = breaker(clock)
    for _ in range(4):
        one.failed(DOWN)
    open_times(one, clock, DOWN, 4)
    assert open_times(one, clock, WRONG, 2) == [300, 600]


def test_it_is_up_to_a_quarter_longer(clock: Clock) -> None:
    one = breaker(clock, dice=0.999)
    one.failed(WRONG)
    assert one.seconds_left() == pytest.approx(375, rel=0.001)


def test_a_session_on_trial_closes_it(clock: Clock) -> None:
    one = breaker(clock)
    open_times(one, clock, WRONG, 3)
    assert one.on_trial
    one.succeeded()
    assert not one.on_trial
    assert one.error() is None
    assert open_times(one, clock, WRONG, 1) == [300]


def test_failures_that_were_begun_before_it_opened_do_not_double_it(clock: Clock) -> None:
    one = breaker(clock)
    for _ in range(10):
        one.failed(DOWN)
    assert one.seconds_left() == 30
    one.failed(WRONG)
    one.failed(WRONG)
    assert one.seconds_left() == 300


def test_a_mail_that_is_delivered_closes_it_unless_the_login_was_refused(clock: Clock) -> None:
    one = breaker(clock)
    for _ in range(5):
        one.failed(DOWN)
    one.delivered()
    assert not one.seconds_left()
    one.failed(WRONG)
    one.delivered()
    assert one.seconds_left()


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.2, "1 s"), (30, "30 s"), (119, "119 s"), (119.5, "2 min"), (121, "3 min"), (3600, "1 h"),
     (3601, "1 h 1 min"), (86_400, "24 h")],
)  # fmt: skip
def test_times_in_words(seconds: float, words: str) -> None:
    assert in_words(seconds) == words
