"""YAML and JSON as plain data."""

from __future__ import annotations

import json
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import examples

from nina_smtp.dialects.documents import MAX_VALUES, MAX_YAML, parse
from nina_smtp.errors import InvalidConfiguration

SECRET = "hunter2zw"
LAUGHS = "a: &a [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{here}: &{here} [{', '.join([f'*{before}'] * 10)}]\n"
    for before, here in zip("abcdefgh", "bcdefghi", strict=True)
)


def error_of(text: bytes) -> InvalidConfiguration | None:
    try:
        parse(text)
    except InvalidConfiguration as error:
        return error
    return None


def refused(text: str | bytes) -> InvalidConfiguration:
    error = error_of(text if isinstance(text, bytes) else text.encode())
    assert error
    assert error.message.isprintable()
    assert len(error.message) < 500
    return error


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: 1\nb: 2\na: 3\n", "Line 3, column 1: the key 'a' is there twice."),
        ("a:\n  - b: 1\n    b: 2\n", "Line 3, column 5: the key 'b' is there twice."),
        ('{"a": 1, "a": 2}', "The key 'a' is twice in one object."),
        ("{a: 1, 'a': 2}", "Line 1, column 2"),
        ("a: b\n---\nc: d\n", "Line 2, column 1: expected a single document"),
        ("a: [1, 2\n", "Line 2, column 1"),
        ("a: b: c\n", "Line 1, column 5"),
        ("a:\n\t- b\n", "Line 2, column 1"),
        ('{"a": }', "Line 1, column 7"),
        ("? [a, b]\n: c\n", "Line 1, column 3: a key is not a text."),
        ("? {a: b}\n: c\n", "Line 1, column 3: a key is not a text."),
        ("a: one\nb: tw\0o\n", "Line 2, column 6: special characters are not allowed."),
        ("a: \x1b[2J\n", "Line 1, column 4: special characters are not allowed."),
        (b"a: caf\xe9\n", "The document is not UTF-8 (octet 6)."),
        (b'{"a": "caf\xe9"}', "The document is not UTF-8 (byte 10)."),
        ("a: b".encode("utf-16"), "The document is not UTF-8 (octet 0)."),
        ('a: "\\ud800"\n', "a: The text holds half of a surrogate pair."),
        ('{"a": ["\\udfff"]}', "a[0]: The text holds half of a surrogate pair."),
        ('{"a": NaN}', "The document holds a number that is none: NaN."),
        ('{"a": 1e999}', "a: NaN and Infinity are not JSON."),
        (f'{{"a": {"9" * 5000}}}', "The document holds a number that is none"),
        ("a: &t text\nb:\n  <<: *t\n", "Line 3, column 3: what is merged is not an object."),
        ("a: &a\n  b: *a\n", "nested deeper than 64 levels, or contains itself"),
        ("a: &a [*a]\n", "nested deeper than 64 levels, or contains itself"),
        ("a: " + "[" * 5000, "is nested too deeply"),
        ("- " * 5000, "is nested too deeply"),
        ("[" * 200_000, "nested"),
        ("a: " + "[" * 70 + "]" * 70, "nested deeper than 64 levels"),
        ('{"a":' + "[" * 70 + "]" * 70 + "}", "nested deeper than 64 levels"),
        (LAUGHS, f"stands for more than {MAX_VALUES:,} values"),
        ("a: &a " + "x" * 100_000 + "\nb: [" + "*a, " * 100 + "]", "stands for more than"),
        ("a: " + "x" * 2 * MAX_YAML, "The document has 262,147 octets; at most 131,072 are read."),
    ],
    ids=lambda value: repr(value)[:40],
)  # fmt: skip
def test_what_is_refused_is_said_with_its_place(text: str | bytes, said: str) -> None:
    assert said in refused(text).message


@pytest.mark.parametrize(
    "text",
    [
        "pass: *{}", "pass: !{} x", "pass: !{}!x y", "pass: !!{} x", "pass: !<{}> x", "a: &{0} 1\nb: &{0} 2",
        "pass: !!python/object/apply:os.system [{}]", "pass: !!python/name:{} ''",
        "pass: '{}' x", 'pass: "{}\\q"', "pass: |{}", "pass: {{{}", "pass: [{}", "pass: @{}", "pass: %{}",
        "pass: `{}", 'pass: "{}', "%{} x\n--- a", "pass: {}: x", "pass: {}\nx", "{}",
    ],
)  # fmt: skip
def test_a_password_that_looks_like_something_else_is_never_shown(text: str) -> None:
    if error := error_of(text.format(SECRET).encode()):
        assert SECRET not in str(error.as_dict())
        assert "Line " in error.message


@pytest.mark.parametrize("text", ["pass: *x", "pass: !x y", "pass: !x!y z", "pass: &x\nb: &x c"])
def test_what_to_do_about_it_is_said(text: str) -> None:
    assert refused(text).hint == "Put a text that begins with !, & or * in quotes."


@pytest.mark.parametrize("tag", ["!!binary", "!!set", "!!omap", "!!pairs", "!own", "!<tag:x.test,2026:y>"])
def test_a_tag_that_would_change_the_value_is_not_read_over(tag: str) -> None:
    assert "a tag is not read here" in refused(f"a: {tag} aGk=").message


@pytest.mark.parametrize(
    "text",
    ["0123", "1_000", "0x1F", "0o17", "1e3", ".inf", "60:30", "yes", "no", "on", "Off", "true", "False", "=",
     "2026-01-31", "1.0", "587", "null x", "nULL", "~x"],
)  # fmt: skip
def test_a_scalar_is_the_text_that_stands_there(text: str) -> None:
    assert parse(f"a: {text}".encode()) == {"a": text}
    assert parse(f"{text}: a".encode()) == {text: "a"}


@pytest.mark.parametrize("text", ["null", "~", "", "Null", "NULL", "!!null ''"])
def test_nothing_is_nothing(text: str) -> None:
    assert parse(f"a: {text}\nb: 1".encode()) == {"a": None, "b": "1"}


@pytest.mark.parametrize("text", ["'null'", '"~"', "!!str null", '""', "!!str"])
def test_what_is_written_as_a_text_is_one(text: str) -> None:
    assert isinstance(parse(f"a: {text}".encode())["a"], str)


@pytest.mark.parametrize("text", ["", "# nothing\n", "---\n", "null\n", "\ufeff"])
def test_an_empty_document_is_nothing(text: str) -> None:
    assert parse(text.encode()) is None


@pytest.mark.parametrize("mark", ["", "\ufeff"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_line_ends_and_byte_order_marks_are_not_in_the_values(mark: str, end: str) -> None:
    text = end.join(["a: b", "c:", "  - d", "  - |", "    one", "    two", ""])
    assert parse((mark + text).encode()) == {"a": "b", "c": ["d", "one\ntwo\n"]}
    assert parse((mark + end.join(["{", '"a": "b"', "}"])).encode()) == {"a": "b"}


def test_an_object_is_merged_under_what_is_there() -> None:
    text = "x: &x {a: 1, b: 1}\ny: &y {b: 2, c: 2}\nz:\n  <<: [*x, *y]\n  c: 3\nq: {'<<': 5}\n"
    found = parse(text.encode())
    assert found["z"] == {"a": "1", "b": "1", "c": "3"}
    assert found["q"] == {"<<": "5"}


def test_an_alias_is_the_value_itself() -> None:
    assert parse(b"a: &p {x: 1}\nb: *p\nc: [*p, *p]\n")["c"] == [{"x": "1"}, {"x": "1"}]


def test_json_keeps_its_numbers_and_words() -> None:
    assert parse(b'{"a": 587, "b": true, "c": null, "d": 1.5}') == {"a": 587, "b": True, "c": None, "d": 1.5}


def test_without_the_library_for_yaml_json_is_read_and_yaml_told_how(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "yaml", None)
    assert parse(b'{"a": 1}') == {"a": 1}
    assert "nina-smtp[dialects]" in (refused("a: 1").hint or "")


TEXT = st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\u2028\u2029\ufeff"))
PLAIN = st.recursive(
    st.none() | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=12,
)


@given(st.dictionaries(TEXT, PLAIN, max_size=4))
@examples(60)
def test_what_is_written_as_json_is_read_alike_as_yaml(document: Any) -> None:
    text = json.dumps(document, ensure_ascii=False)
    if "__proto__" not in text:
        assert parse(text.encode()) == document
        assert parse(f"# YAML\n{text}".encode()) == document


@given(st.binary(max_size=60) | st.text("ab:-[]{}&*!|>'\"#%@`,?\n \t<0~", max_size=60).map(str.encode))
@examples(120)
def test_anything_is_read_or_refused(text: bytes) -> None:
    if error := error_of(text):
        assert error.message.isprintable()
