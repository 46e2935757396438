import json

import pytest

from nina_smtp.errors import WorkflowError
from nina_smtp.workflow.document import MAX_BYTES, load


def problem(text: str | bytes) -> str:
    with pytest.raises(WorkflowError) as caught:
        load(text)
    return " ".join(found["message"] for found in caught.value.problems)


def test_a_key_that_is_there_twice_is_refused_and_named():
    assert "'to' is twice" in problem('{"nodes": [{"to": 1, "to": 2}]}')


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity"])
def test_numbers_that_are_none_are_refused(number: str):
    assert number in problem(f'{{"x": {number}}}')


def test_a_number_too_long_to_be_read_is_refused():
    assert "number" in problem("[" + "9" * 10_000 + "]")


def test_text_that_is_not_json_says_where_it_breaks():
    assert problem('{\n  "name": oops\n}').startswith("Line 2, column 11")


def test_bytes_that_are_not_utf8_say_where():
    assert "byte 1" in problem(b'"\xff"')


def test_a_document_nested_out_of_sight_is_refused():
    assert "deeper than 64" in problem("[" * 100_000 + "]" * 100_000)


def test_a_document_that_is_too_long_is_not_even_parsed():
    assert str(MAX_BYTES) in problem(" " * (MAX_BYTES + 1))


def test_the_error_is_json_with_every_problem():
    with pytest.raises(WorkflowError) as caught:
        load('{"a": 1, "a": 2, "b": {"c": 1, "c": 2}}')
    answer = json.loads(json.dumps(caught.value.as_dict()))
    assert answer["type"] == "invalidWorkflow"
    assert [found["message"] for found in answer["problems"]] == [
        "The key 'c' is twice in one object.",
        "The key 'a' is twice in one object.",
    ]


def test_a_byte_order_mark_is_ignored():
    assert load("\ufeff{}") == load(b"\xef\xbb\xbf{}") == {}
