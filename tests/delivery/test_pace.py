"""How fast a credential sends: never faster than allowed, whatever happens in whatever order."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable
from math import ceil

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nina_smtp.delivery.pace import Pace, Reason

DAY = 86_400.0
HOUR = 3600.0


class Clock:
    """Time that passes when it is told to."""

    def __init__(self, now: float = 0.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


def send(pace: Pace, clock: Clock, count: int, what: Callable[[], object] = lambda: None) -> list[float]:
    """When ``count`` mails begin, each as soon as it may; ``what`` happens to each at once."""
    times: list[float] = []
    while len(times) < count:
        if left := pace.seconds_left():
            clock.now += max(left, 1e-6)
        else:
            times.append(pace.took())
            what()
    return times


def most_in(seconds: float, times: list[float]) -> int:
    """How many are the most in any so many seconds."""
    times = sorted(times)
    return max((bisect_left(times, first + seconds) - at for at, first in enumerate(times)), default=0)


# -- the rate ----------------------------------------------------------------------------------------


def test_without_limits_nothing_waits() -> None:
    clock = Clock()
    pace = Pace(clock)
    send(pace, clock, 100_000)
    assert clock.now == 0
    assert pace.connections(5) == 5


@pytest.mark.parametrize("rate", [0.1, 0.5, 1, 2.5, 10, 50, 333, 10_000])
def test_the_rate_is_used_and_never_exceeded(rate: float) -> None:
    clock = Clock(123.456)
    count = ceil(rate * 20) + 1
    times = send(Pace(clock, per_second=rate), clock, count)
    assert most_in(1.0, times) <= ceil(rate)
    assert times[-1] - times[0] == pytest.approx(20, rel=0.06)


def test_mails_are_spread_over_the_second() -> None:
    clock = Clock()
    times = send(Pace(clock, per_second=10), clock, 100)
    assert most_in(0.25, times[10:]) <= 4


def test_a_late_timer_does_not_slow_it_down() -> None:
    clock = Clock()
    pace = Pace(clock, per_second=1000)
    times: list[float] = []
    while clock.now < 10:  # woken every 10 ms, it takes what is due
        while not pace.seconds_left():
            times.append(pace.took())
        clock.now += 0.01
    assert len(times) >= 9_900
    assert most_in(1.0, times) <= 1000


def test_a_mail_that_did_not_begin_leaves_its_place_to_another() -> None:
    clock = Clock()
    pace = Pace(clock, per_second=1)
    for _ in range(1000):
        assert pace.seconds_left() == 0
        pace.not_taken(pace.took())
    pace.took()
    assert pace.seconds_left() > 0.9
    assert pace.reason is Reason.RATE


# -- what the server says ----------------------------------------------------------------------------


def test_a_server_that_is_too_slow_halves_the_rate_of_late_and_the_connections_once() -> None:
    clock = Clock()
    pace = Pace(clock)
    for _ in range(300):  # 100 a second
        pace.took()
        clock.now += 0.01
    for _ in range(5):  # what was on its way
        pace.throttled()
        clock.now += 0.1
    assert pace.connections(5) == 2
    assert pace.connections(1) == 1
    assert pace.seconds_left() == pytest.approx(0.5)  # the rest of a second of rest
    assert pace.reason is Reason.THROTTLE
    clock.now += 1
    times = send(pace, clock, 200)
    assert 200 / (times[-1] - times[0]) == pytest.approx(50, rel=0.1)


def test_success_raises_the_rate_until_it_is_free() -> None:
    clock = Clock()
    pace = Pace(clock)
    for _ in range(300):
        pace.took()
        clock.now += 0.01
    pace.throttled()
    begun = clock.now
    mails = 0
    while pace.connections(100) < 100:
        send(pace, clock, 1, pace.delivered)
        mails += 1
    assert 20 < clock.now - begun < 120
    assert mails > 1000
    send(pace, clock, 10_000)
    assert clock.now - begun < 120


def test_the_rate_allowed_comes_back_and_is_not_exceeded() -> None:
    clock = Clock()
    pace = Pace(clock, per_second=10)
    times = send(pace, clock, 100)
    pace.throttled()
    slow = send(pace, clock, 20)
    assert slow[-1] - slow[0] > 3
    times += slow + send(pace, clock, 2000, pace.delivered)
    late = send(pace, clock, 101)
    assert late[-1] - late[0] == pytest.approx(10, rel=0.02)
    assert most_in(1.0, times + late) <= 10


def test_a_server_of_less_is_found_out_and_told_no_too_often_only_now_and_then() -> None:
    """It takes 14 a second, as a token bucket, and the burst was faster by far."""
    clock = Clock()
    pace = Pace(clock)
    tokens, filled, said, mails = 14.0, 0.0, [], 0
    while clock.now < 600:
        send(pace, clock, 1)
        mails += 1
        tokens, filled = min(14.0, tokens + 14 * (clock.now - filled)), clock.now
        if tokens >= 1:
            tokens -= 1
            pace.delivered()
        else:
            said.append(clock.now)
            pace.throttled()
        clock.now += 0.002
    assert len([moment for moment in said if moment > 60]) < 20
    assert mails / 600 > 9  # of 14


def test_it_never_comes_to_a_halt() -> None:
    clock = Clock()
    pace = Pace(clock)
    for _ in range(50):
        send(pace, clock, 1, pace.throttled)
        clock.now += 5
    assert pace.seconds_left() <= 10
    assert pace.connections(5) == 1


def test_a_server_that_wants_fewer_connections_before_any_mail_gets_fewer_and_no_rate() -> None:
    clock = Clock()
    pace = Pace(clock)
    pace.throttled()
    assert pace.connections(5) == 2
    clock.now += 1
    assert send(pace, clock, 200, pace.delivered)[-1] == 1
    assert pace.connections(5) == 5


# -- the day -----------------------------------------------------------------------------------------


def test_a_day_has_so_many_mails_and_says_when_the_next_one_is() -> None:
    clock = Clock(1000.0)
    pace = Pace(clock, per_day=100)
    send(pace, clock, 100)
    assert pace.seconds_left() == pytest.approx(DAY, abs=300)
    assert pace.seconds_left() >= DAY - 1e-6
    assert pace.reason is Reason.DAY
    clock.now += pace.seconds_left()
    assert pace.seconds_left() == 0


def test_what_was_sent_before_counts() -> None:
    clock = Clock()
    pace = Pace(clock, per_day=100)
    pace.preload([(25 * HOUR, 1000), (20 * HOUR, 60), (23 * HOUR, 40)])
    assert pace.seconds_left() == pytest.approx(HOUR, abs=301)
    clock.now += pace.seconds_left()
    assert len(send(pace, clock, 40)) == 40
    assert pace.seconds_left() == pytest.approx(3 * HOUR, abs=301)


def test_more_than_the_limit_before_waits_for_all_that_are_too_many() -> None:
    clock = Clock()
    pace = Pace(clock, per_day=10)
    pace.preload([(20 * HOUR, 10), (10 * HOUR, 10)])
    assert pace.seconds_left() == pytest.approx(14 * HOUR, abs=301)


def test_a_mail_that_was_not_delivered_is_none_of_the_day() -> None:
    clock = Clock()
    pace = Pace(clock, per_day=1)
    at = pace.took()
    assert pace.seconds_left()
    pace.undelivered(at)
    assert not pace.seconds_left()


def test_a_year_of_mails_takes_no_more_memory_than_a_day() -> None:
    clock = Clock()
    pace = Pace(clock, per_day=10**9)
    for _ in range(365 * 24):
        pace.took()
        clock.now += HOUR
    assert len(pace._day._steps) <= 290


# -- the quota ---------------------------------------------------------------------------------------


def test_a_quota_that_is_used_up_rests_until_the_oldest_mail_is_a_day_old() -> None:
    clock = Clock()
    pace = Pace(clock)
    pace.preload([(20 * HOUR, 500)])
    pace.took()
    pace.quota_reached()
    left = pace.seconds_left()
    assert left == pytest.approx(4 * HOUR, abs=301)
    assert pace.reason is Reason.QUOTA
    clock.now += 60
    pace.quota_reached()  # what was on its way
    assert pace.seconds_left() == left - 60
    clock.now += left
    assert pace.seconds_left() == 0


@pytest.mark.parametrize(("sent", "hours"), [([], 1), ([(23.9 * HOUR, 1)], 1), ([(60, 1)], 24)])
def test_a_quota_rests_for_an_hour_at_least_and_for_a_day_at_most(
    sent: list[tuple[float, int]], hours: int
) -> None:
    clock = Clock()
    pace = Pace(clock)
    pace.preload(sent)
    pace.quota_reached()
    assert pace.seconds_left() == pytest.approx(hours * HOUR, abs=301)


def test_a_quota_rests_for_an_hour_if_nobody_knows_what_was_sent() -> None:
    clock = Clock()
    pace = Pace(clock)
    pace.took()
    pace.quota_reached()
    assert pace.seconds_left() == HOUR


# -- in any order ------------------------------------------------------------------------------------

EVENTS = st.lists(
    st.one_of(
        st.tuples(st.just("wait"), st.floats(0, 3)),
        st.tuples(st.just("sleep"), st.floats(0, DAY)),
        st.tuples(st.just("until due"), st.just(0.0)),
        st.tuples(st.sampled_from(["back", "fails"]), st.floats(0, 1, exclude_max=True)),
        st.tuples(st.sampled_from(["delivered", "throttled"]), st.just(0.0)),
        st.tuples(st.sampled_from(["take"]), st.floats(1, 60)),
    ),
    max_size=60,
)


@given(
    st.one_of(st.floats(0.05, 60), st.integers(1, 60)),
    st.one_of(st.none(), st.integers(1, 100)),
    EVENTS,
    st.floats(0, 1e6),
)
def test_there_are_never_more_than_allowed_in_any_second_or_day(
    rate: float, per_day: int | None, events: list[tuple[str, float]], start: float
) -> None:
    clock = Clock(start)
    pace = Pace(clock, per_second=rate, per_day=per_day)
    begun: list[float] = []  # all of which the server heard
    counted: list[float] = []  # those it may have
    for event, number in events:
        if event in ("wait", "sleep"):
            clock.now += number
        elif event == "until due":
            clock.now += pace.seconds_left()
        elif event == "take":
            for _ in range(int(number)):
                if pace.seconds_left():
                    break
                at = pace.took()
                begun.append(at)
                counted.append(at)
        elif event in ("back", "fails") and counted:
            at = counted.pop(int(number * len(counted)))
            if event == "back":
                pace.not_taken(at)
                begun.remove(at)
            else:
                pace.undelivered(at)
        elif event == "delivered":
            pace.delivered()
        elif event == "throttled":
            pace.throttled()
    assert most_in(1.0, begun) <= ceil(rate)
    if per_day is not None:
        assert most_in(DAY, counted) <= per_day
