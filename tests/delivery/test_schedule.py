"""When a mail is tried again."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import examples

from nina_smtp.delivery.schedule import HOUR, Schedule

SCHEDULE = Schedule()
DICE = st.floats(0, 1).map(lambda part: lambda low, high: low + part * (high - low))


def most(low: float, high: float) -> float:
    return high


def least(low: float, high: float) -> float:
    return low


def test_the_table_goes_from_half_a_minute_to_two_hours_and_stays_there() -> None:
    assert [SCHEDULE.delay(n, dice=most) for n in range(1, 9)] == [30, 120, 600, 1800, HOUR] + 3 * [2 * HOUR]


def test_a_mail_that_never_counted_waits_like_one_that_was_tried_once() -> None:
    assert SCHEDULE.delay(0, dice=most) == SCHEDULE.delay(1, dice=most) == 30


def test_a_day_is_enough() -> None:
    assert SCHEDULE.max_age == 24 * HOUR


@given(st.integers(0, 1000), DICE)
@examples(200)
def test_every_delay_is_drawn_from_nothing_to_the_table(attempts: int, dice) -> None:
    longest = SCHEDULE.delays[min(max(attempts, 1), 6) - 1]
    assert 1 <= SCHEDULE.delay(attempts, dice=dice) <= longest


@given(st.integers(0, 1000), DICE)
@examples(200)
def test_a_server_that_greylists_sees_patience(attempts: int, dice) -> None:
    longest = SCHEDULE.delays[min(max(attempts, 1), 6) - 1]
    assert 300 <= SCHEDULE.delay(attempts, greylisted=True, dice=dice) <= 300 + longest


def test_the_draw_is_even() -> None:
    asked: list[tuple[float, float]] = []

    def dice(low: float, high: float) -> float:
        asked.append((low, high))
        return high

    SCHEDULE.delay(3, dice=dice)
    SCHEDULE.delay(3, greylisted=True, dice=dice)
    assert asked == [(0, 600), (0, 600)]


def test_nothing_comes_back_within_the_same_second() -> None:
    assert SCHEDULE.delay(1, dice=least) == 1


@pytest.mark.parametrize("attempts", [1, 5, 50])
def test_a_schedule_of_ones_own(attempts: int) -> None:
    assert Schedule(delays=(7.0,), greylisted=9.0).delay(attempts, dice=most) == 7
    assert Schedule(delays=(7.0,), greylisted=9.0).delay(attempts, greylisted=True, dice=most) == 16
