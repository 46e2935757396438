"""Reading a configuration key by key."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import ADDRESS, LINE_TEXT, examples

from nina_smtp.cli.files import expand
from nina_smtp.dialects.imported import Fate, Note
from nina_smtp.dialects.source import (
    MAX_NOTES,
    MAX_TEXT,
    Source,
    is_placeholder,
    literal,
    literally,
    referable,
    verbatim,
    written,
)
from nina_smtp.errors import InvalidConfiguration, NinaError
from nina_smtp.message.mailbox import Mailbox, parse_list, parse_mailbox


def refused(method: str, value: Any, *arguments: Any, **options: Any) -> InvalidConfiguration:
    with pytest.raises(InvalidConfiguration) as caught:
        getattr(Source({"key": value}, "a.b"), method)("key", *arguments, **options)
    assert (caught.value.parameter or "").startswith("a.b.key")
    return caught.value


def read(method: str, value: Any, *arguments: Any) -> Any:
    return getattr(Source({"key": value}), method)("key", *arguments)


@pytest.mark.parametrize("value", [None, [], "text", 5, True])
def test_what_is_no_object_has_no_keys(value: Any) -> None:
    with pytest.raises(InvalidConfiguration) as caught:
        Source(value, "a.b")
    assert caught.value.message == "a.b is not an object."


@pytest.mark.parametrize("value", ["yes", "1", 1, 0, "on", "tru", [], {}, "${X}"])
def test_a_flag_is_nothing_but_true_or_false(value: Any) -> None:
    assert refused("flag", value).hint == "Write key: true, or key: false."


@pytest.mark.parametrize(
    ("value", "flag"),
    [(True, True), (False, False), (" True ", True), ("FALSE", False), ("", None), (None, None)],
)
def test_a_flag_may_be_a_text(value: Any, flag: bool | None) -> None:
    assert read("flag", value) is flag


@pytest.mark.parametrize(
    "value", [0, 11, -1, True, "five", "5.0", "-5", "+5", "٥", 5.5, float("inf"), float("nan"), [5], "5" * 13]
)
def test_a_number_is_whole_and_within_its_bounds(value: Any) -> None:
    assert "is not a number from 1 to 10" in refused("number", value, 1, 10).message


@pytest.mark.parametrize("value", [5, "5", " 5 ", 5.0, "05"])
def test_a_number_may_be_a_text(value: Any) -> None:
    assert read("number", value, 1, 10) == 5


@pytest.mark.parametrize("value", [True, [], {}, ["a"]])
def test_a_text_is_no_list(value: Any) -> None:
    refused("text", value)


def test_a_text_is_kept_as_it_is_and_a_number_is_one() -> None:
    assert read("text", "  a\n") == "  a\n"
    assert (read("text", 0), read("text", 1.5), read("text", "")) == ("0", "1.5", None)
    assert "8,388,609 characters" in refused("text", "x" * (MAX_TEXT + 1)).message
    for nothing in (None, ""):
        assert "is required" in refused("text", nothing, required=True).message


def test_a_word_is_found_whatever_its_case_and_a_slip_is_told() -> None:
    choices = {"STARTTLS": 1, "tls": 2}
    assert (read("choice", " StartTLS ", choices), read("choice", "", choices)) == (1, None)
    assert refused("choice", "starttsl", choices).hint == "Did you mean STARTTLS?"
    assert refused("choice", "ß" * 200, choices).hint == "There are: STARTTLS, tls."
    assert len(refused("choice", "x" * 10_000, choices).message) < 100


@pytest.mark.parametrize(
    ("value", "mailboxes"),
    [
        ("a@x.test", ["a@x.test"]),
        (" a@x.test , ,, b@x.test,", ["a@x.test", "b@x.test"]),
        (",a@x.test,", ["a@x.test"]),
        ('"Doe, Jane" <j@x.test>, b@x.test', ['"Doe, Jane" <j@x.test>', "b@x.test"]),
        ('"Doe,, Jane" <j@x.test>,', ['"Doe,, Jane" <j@x.test>']),
        ('"a\\",,b" <j@x.test>', ['"a\\",,b" <j@x.test>']),
        (["a@x.test", "", None, "b@x.test, c@x.test"], ["a@x.test", "b@x.test", "c@x.test"]),
        ("SOC: a@x.test, b@x.test;", ["a@x.test", "b@x.test"]),
        ("Grüße <g@x.test>", ["Grüße <g@x.test>"]),
        ("J. Doe <j@x.test>", ["J. Doe <j@x.test>"]),
        ("", None),
        (" , ,", None),
        ([], None),
        (["", None], None),
    ],
)
def test_mailboxes_are_a_text_with_commas_or_a_list(value: Any, mailboxes: list[str] | None) -> None:
    assert read("mailboxes", value) == mailboxes


@pytest.mark.parametrize(
    "value",
    ["nobody", "Doe, Jane <j@x.test>", ["a@x.test", 5], {"a": 1}, 5, '"a <j@x.test>', "a@x.test b@x.test"],
)
def test_what_is_no_mailbox_is_refused(value: Any) -> None:
    assert refused("mailboxes", value).hint


def test_a_mailbox_that_is_required_is_asked_for() -> None:
    for nothing in (None, "", [], ["", None], " , "):
        assert "is required" in refused("mailboxes", nothing, required=True).message
    assert refused("mailbox", "a@x.test, b@x.test").hint == "Give exactly one."


@pytest.mark.no_cover
def test_a_long_list_is_read_in_one_go() -> None:
    """A regular expression that tries again would take minutes."""
    assert read("mailboxes", "a@x.test" + ", " * 30_000 + "b@x.test") == ["a@x.test", "b@x.test"]
    for hostile in ("a" + " " * 60_000 + "b@x.test", ", " * 30_000 + '"', "(" * 60_000, '"' + "\\" * 60_000):
        refused("mailboxes", hostile)


def test_a_key_is_told_of_once_and_the_first_word_stands() -> None:
    source = Source({"a": "x"})
    source.note("a", Fate.WARNING, "first")
    assert source.text("a", "b") == "x"
    assert [str(note) for note in source.notes] == ["a: first"]


def test_a_flood_of_notes_hides_no_warning() -> None:
    source = Source({})
    for number in range(MAX_NOTES + 50):
        source.note(f"k{number}", Fate.LEFT_OUT, "is not known here")
    source.note("danger", Fate.WARNING, "look")
    source.note("danger2", Fate.WARNING, "look")
    assert len(source.notes) == MAX_NOTES + 2
    assert source.notes[-1].place == "danger2"


def test_a_warning_takes_the_place_of_what_was_said_before_and_stays() -> None:
    source = Source({"tls": "x"})
    source.note("tls", Fate.SAME)
    source.note("tls", Fate.WARNING, "nobody looks")
    source.note("tls", Fate.LEFT_OUT, "harmless")
    assert [(note.fate, note.message) for note in source.notes] == [(Fate.WARNING, "nobody looks")]


def test_a_key_with_a_dot_in_it_is_not_the_place_of_another_one() -> None:
    notes: list[Note] = []
    Source({"b.c": 1}, "a", notes).note("b.c", Fate.LEFT_OUT)
    Source({"c": 1}, "a.b", notes).note("c", Fate.SAME)
    assert [note.place for note in notes] == ['a["b.c"]', "a.b.c"]


def test_hundreds_of_keys_that_nobody_knows_are_an_error() -> None:
    with pytest.raises(InvalidConfiguration, match="and 999 other keys"):
        Source({f"k{number}": "x" for number in range(1000)}).rest()


def test_a_text_too_long_for_mailboxes_is_refused_before_anything_looks_into_it() -> None:
    with pytest.raises(InvalidConfiguration, match="to is refused"):
        Source({"to": "(\\(" * 60_000}).mailboxes("to")


def test_a_name_with_a_comma_is_told_how_to_be_written() -> None:
    with pytest.raises(InvalidConfiguration) as caught:
        Source({"to": "Doe, Jane <jane@corp.example>"}).mailboxes("to")
    assert "double quotes" in (caught.value.hint or "")


@pytest.mark.parametrize(
    ("text", "ours"),
    [("${NAME}", "${NAME}"), ("a${NAME}", "a$${NAME}"), ("${a b}", "${a b}"), ("$${NAME}", "$$${NAME}")],
)
def test_a_reference_alone_is_one_and_in_a_text_it_is_text(text: str, ours: str) -> None:
    assert referable(text) == ours
    assert literally(ours) == text


def test_a_text_that_would_become_a_reference_is_not_written() -> None:
    with pytest.raises(InvalidConfiguration):
        literally("$${NAME}")


@pytest.mark.parametrize(
    ("key", "meant"),
    [("tls_skip_verfy", True), ("Tls-Skip-Verify", True), ("tls_skip", False), ("verify", False)],
)
def test_what_is_nearly_a_known_key_is_an_error_and_another_word_is_not(key: str, meant: bool) -> None:
    source = Source({key: "true"})
    source.flag("tls_skip_verify")
    if meant:
        with pytest.raises(InvalidConfiguration) as caught:
            source.rest()
        assert caught.value.hint == "Did you mean tls_skip_verify?"
    else:
        source.rest()
        assert [note.fate for note in source.notes] == [Fate.LEFT_OUT]


def test_a_key_that_is_there_already_is_nobodys_slip() -> None:
    source = Source({"subject": "x", "subjects": "y"})
    source.text("subject")
    source.rest()
    assert [note.place for note in source.notes] == ["subjects"]


def test_what_is_within_is_read_alike_and_tells_alike() -> None:
    source = Source({"list": [{"a": "1"}, {"b": "2"}], "object": {"c": 3}})
    first, second = source.objects("list")
    inner = source.inner("object")
    assert inner
    for one in (first, second, inner):
        one.rest("is odd")
    assert [str(note) for note in source.notes] == [
        "list[0].a: is odd", "list[1].b: is odd", "object.c: is odd",
    ]  # fmt: skip
    assert (source.objects("none"), source.inner("none")) == ([], None)
    with pytest.raises(InvalidConfiguration):
        source.objects("object")


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("plain {x} text", "plain {x} text"),
        ("{{ x }}", {"literal": "{{ x }}"}),
        (["a", "{% if %}"], {"literal": ["a", "{% if %}"]}),
        ({"literal": "x"}, {"literal": {"literal": "x"}}),
        ({"X-A": "b"}, {"X-A": "b"}),
        (None, None),
    ],
)
def test_what_looks_like_a_template_is_marked_as_none(value: Any, expected: Any) -> None:
    assert literal(value) == expected


@given(st.text("${}ABab_0-", max_size=12))
@examples(120)
def test_no_text_is_taken_for_a_variable(text: str) -> None:
    assert expand(verbatim(text)) == text


@given(LINE_TEXT, ADDRESS)
@examples(120)
def test_a_mailbox_that_is_written_is_read_as_the_same_one(name: str, address: str) -> None:
    box = parse_mailbox(address)
    try:
        (given_box,) = parse_list(written(Mailbox(box.local_part, box.domain, name.strip())))
    except NinaError:
        return  # a name that no text stands for
    assert parse_list(written(given_box)) == (given_box,)


@pytest.mark.parametrize("text", ["<your-app-password>", "<smtp-user>", "<password>", "YOUR_SMTP_HOST"])
def test_a_placeholder_is_told_from_a_value(text: str) -> None:
    assert is_placeholder(text)
    for value in (f"{text} ", f"x{text}", "<a@x.test>", "<>", "yours", None, 5):
        assert not is_placeholder(value)
