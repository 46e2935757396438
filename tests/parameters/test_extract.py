"""JSONPath, and values found by name."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import time
from typing import Any

import pytest

from nina_smtp.errors import ExtractError
from nina_smtp.parameters.extract import MAX_PATH, compile_path, find_by_name

ITEM: dict[str, Any] = {
    "alert": {
        "title": "A",
        "full name": "B",
        "it's": "C",
        "users": [{"email": "a@x.test"}, {"email": "b@x.test"}],
    },
    "0": "zero",
    "-": 1,
}


@pytest.mark.parametrize(
    "path", ["$.", "$.a..", "$[", "$[?(", "$..", "a b", "", "$.a[", "$['a", "$.a.b[*", "}{", "$.a[?(@.x=="]
)
def test_a_path_that_cannot_be_read_is_an_error_with_an_example(path: str):
    with pytest.raises(ExtractError) as caught:
        compile_path(path)
    assert "is not a JSONPath" in caught.value.message
    assert "$.alert.title" in str(caught.value.hint)


def test_a_path_is_not_longer_than_its_limit():
    with pytest.raises(ExtractError, match="at most 1000 characters"):
        compile_path("$" + ".a" * MAX_PATH)


@pytest.mark.parametrize(
    "path", ["$" + "..a" * 300, "$" + "[*]" * 300, "$.a" + "[?(@.b)]" * 120, "(" * 999, "$" + "[(" * 400]
)
def test_a_long_path_is_read_in_time(path: str):
    start = time.thread_time()
    with contextlib.suppress(ExtractError):
        compile_path(path)(ITEM)
    assert time.thread_time() - start < 3


def test_a_path_into_a_deep_item_is_no_crash():
    deep: dict[str, Any] = {}
    for _ in range(20_000):
        deep = {"a": deep}
    for path in ("$..b", "$.*.*", "$..[?(@.b)]"):
        with contextlib.suppress(ExtractError):
            compile_path(path)(deep)


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("$", (ITEM,)),
        ("$.alert.title", ("A",)),
        ("$.alert['full name']", ("B",)),
        ('$.alert["it\'s"]', ("C",)),
        ("$.alert.users[1].email", ("b@x.test",)),
        ("$['0']", ("zero",)),
        ("$.alert.users[2]", ()),
        ("$.alert.title.nope", ()),
        ("$.alert.title[0]", ()),
        ("$.nope", ()),
        ("$.alert.users[*].email", ("a@x.test", "b@x.test")),
        ("$..email", ("a@x.test", "b@x.test")),
        ("alert.title", ("A",)),
        ("$.alert.users[?(@.email == 'b@x.test')].email", ("b@x.test",)),
        ("$.alert.users[-1].email", ("b@x.test",)),
    ],
)
def test_a_path_finds(path: str, found: tuple[Any, ...]):
    assert compile_path(path)(ITEM) == found


@pytest.mark.parametrize(
    "path",
    [
        "$.alert.title",
        "$.alert['full name']",
        '$.alert["it\'s"]',
        "$.alert.users[1].email",
        "$.alert.users[9].email",
        "$['0']",
        "$['-']",
        "$",
    ],
)
def test_a_plain_path_finds_what_the_library_finds(path: str):
    from jsonpath_ng.ext import parse

    assert compile_path(path)(ITEM) == tuple(match.value for match in parse(path).find(ITEM))


def test_plain_paths_do_not_import_the_library():
    program = (
        "import sys; from nina_smtp.parameters.extract import compile_path\n"
        "paths = [compile_path(p) for p in ('$.a', '$.a.b[0]', \"$['a b'].c\", '$.id', '$.x.y.z')]\n"
        "assert not any(name.startswith('jsonpath_ng') for name in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


def test_a_thousand_items_with_five_plain_paths_take_no_time():
    paths = [
        compile_path(path)
        for path in ("$.alert.title", "$.alert.users[0].email", "$['0']", "$.alert['full name']", "$.nope.x")
    ]
    start = time.thread_time()
    for _ in range(1000):
        for path in paths:
            path(ITEM)
    assert time.thread_time() - start < 0.1  # 1000 x 5 at 1 µs


class TestByName:
    @staticmethod
    def found(item: dict[str, Any]) -> dict[str, tuple[str, Any]]:
        return find_by_name(item, {"subject": ("subject", lambda value: isinstance(value, str))})

    def test_two_matches_are_none(self):
        assert self.found({"a": {"subject": "x"}, "b": {"subject": "y"}}) == {}
        assert self.found({"a": [{"subject": "x"}, {"subject": "x"}]}) == {}

    def test_a_match_of_another_type_does_not_count(self):
        assert self.found({"a": {"subject": 5}}) == {}
        assert self.found({"a": {"subject": 5}, "b": {"subject": "y"}}) == {"subject": ("$.b.subject", "y")}

    def test_the_top_level_is_not_looked_at(self):
        assert self.found({"subject": "x"}) == {}
        assert self.found({"subject": {"subject": "x"}}) == {"subject": ("$.subject.subject", "x")}

    def test_the_item_s_own_parameters_are_not_looked_at(self):
        assert self.found({"parameters": {"subject": "x", "more": {"subject": "y"}}}) == {}
        assert self.found({"parameters": [{"subject": "x"}]}) == {"subject": ("$.parameters[0].subject", "x")}
        assert self.found({"a": {"parameters": {"subject": "x"}}}) == {
            "subject": ("$.a.parameters.subject", "x")
        }

    def test_the_path_is_told_and_finds_the_value_again(self):
        item = {"a": [0, {"full name": {"subject": "x"}}]}
        path, value = self.found(item)["subject"]
        assert path == "$.a[1]['full name'].subject"
        assert compile_path(path)(item) == (value,)

    def test_a_deep_item_is_no_crash(self):
        deep: Any = {"subject": "x"}
        for _ in range(20_000):
            deep = [deep]
        assert self.found({"a": deep}) == {}
