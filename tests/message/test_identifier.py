"""Message identifiers."""

import re

import pytest
from hypothesis import given
from strategies import ANYTHING, check_shown, examples

from nina_smtp.errors import ParameterError
from nina_smtp.message.identifier import deterministic_msg_id, parse_msg_id, parse_references, random_msg_id


@pytest.mark.parametrize("text", ["a@b", "<a@b>"])
def test_an_id_has_brackets_whether_given_or_not(text: str) -> None:
    assert parse_msg_id(text) == "<a@b>"


@pytest.mark.parametrize(
    "text", ["", "<>", "a", "<a@b", "a@b>", "<a@b>\n", "<a b@c>", "<a@b><c@d>", "<a@b@c>", "<ü@b>"]
)
def test_what_is_not_one_id_is_refused(text: str) -> None:
    with pytest.raises(ParameterError):
        parse_msg_id(text)


@examples(200)
@given(ANYTHING)
def test_any_text_is_one_id_or_refused(text: str) -> None:
    try:
        found = parse_msg_id(text)
    except ParameterError as error:
        check_shown(error)
        return
    assert re.fullmatch(r"<[!-~]+@[!-~]+>", found)


def test_a_long_thread_keeps_its_first_and_its_last() -> None:
    ids = [f"<{n}@x.test>" for n in range(1000)]
    kept = parse_references(ids)
    assert len(kept) == 100
    assert kept == (ids[0], *ids[-99:])
    assert parse_references(ids[:100]) == tuple(ids[:100])


def test_an_id_of_a_run_is_the_same_every_time_and_nobody_else_can_make_it() -> None:
    one = deterministic_msg_id(b"key", "run|node|0", "x.test")
    assert one == deterministic_msg_id(b"key", "run|node|0", "x.test")
    assert one != deterministic_msg_id(b"key", "run|node|1", "x.test")
    assert one != deterministic_msg_id(b"other", "run|node|0", "x.test")
    assert re.fullmatch(r"<[0-9a-f]{32}@x\.test>", one)


def test_a_random_id_is_fresh() -> None:
    assert random_msg_id("x.test") != random_msg_id("x.test")
    assert parse_msg_id(random_msg_id("x.test"))
