"""What mails one address again and again is stopped; nobody else is."""

from __future__ import annotations

from collections import deque

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nina_smtp.delivery import loopguard
from nina_smtp.delivery.loopguard import LoopGuard
from nina_smtp.errors import LoopSuspected

B = ("b@mail.test",)


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def admitted(guard: LoopGuard, recipients: tuple[str, ...], count: int) -> int:
    """How many of so many mails go out."""
    for number in range(count):
        try:
            guard.admit(recipients)
        except LoopSuspected:
            return number
    return count


def test_more_than_the_limit_to_one_address_are_a_loop() -> None:
    guard = LoopGuard(Clock(), 3)
    assert admitted(guard, B, 10) == 3
    with pytest.raises(LoopSuspected) as caught:
        guard.admit(("c@mail.test", "B@mail.test"))
    error = caught.value
    assert "B@mail.test got 3 mails" in error.message
    assert error.hint
    assert "maxPerRecipient (3)" in error.hint
    assert error.parameter == "to"
    assert not error.retry


def test_a_mail_that_is_refused_counts_for_nobody() -> None:
    guard = LoopGuard(Clock(), 3)
    admitted(guard, B, 3)
    assert admitted(guard, ("c@mail.test", *B), 1) == 0
    assert admitted(guard, ("c@mail.test",), 9) == 3


def test_an_address_twice_in_a_mail_has_one_mail() -> None:
    assert admitted(LoopGuard(Clock(), 3), ("b@mail.test", "B@mail.test"), 9) == 3


def test_after_ten_minutes_it_may_go_on() -> None:
    clock = Clock()
    guard = LoopGuard(clock, 3)
    admitted(guard, B, 3)
    clock.now += 540
    assert admitted(guard, B, 1) == 0
    clock.now += 60
    assert admitted(guard, B, 9) == 3


def test_without_a_limit_there_is_no_guard() -> None:
    guard = LoopGuard(Clock(), None)
    assert admitted(guard, B, 100_000) == 100_000
    assert not guard._recent


def test_it_remembers_so_many_addresses_and_a_loop_is_among_them() -> None:
    clock = Clock()
    guard = LoopGuard(clock, 10)
    stopped = 0
    for number in range(300_000):
        guard.admit((f"{number}@mail.test",))
        if number % 4999 == 0:
            stopped += not admitted(guard, B, 1)
        clock.now += 0.001
    assert len(guard._recent) + len(guard._before) <= loopguard._ADDRESSES
    assert stopped == 61 - 10


@given(st.integers(1, 4), st.lists(st.tuples(st.floats(0, 400), st.sampled_from("abc")), max_size=60))
def test_nobody_is_stopped_for_what_is_ten_minutes_old_and_nobody_gets_more_for_nine_and_a_half(
    limit: int, mails: list[tuple[float, str]]
) -> None:
    clock = Clock()
    guard = LoopGuard(clock, limit)
    went: deque[tuple[float, str]] = deque()
    for seconds, name in mails:
        clock.now += seconds
        ages = [clock.now - at for at, to in went if to == name]
        if admitted(guard, (f"{name}@mail.test",), 1):
            assert sum(age < 570 for age in ages) < limit
            went.append((clock.now, name))
        else:
            assert sum(age < 600 for age in ages) >= limit
