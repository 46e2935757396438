"""The shape in which an element is sent."""

import copy
import json
from typing import Any

import pytest
from dialects.limacharlie import elements
from hypothesis import given
from strategies import examples

from nina_smtp.dialects.limacharlie.filters import Filters
from nina_smtp.dialects.limacharlie.selector import selector
from nina_smtp.dialects.limacharlie.shape import as_json, check_transform, flat, shaped
from nina_smtp.errors import TemplateError


def fill_in(text: str, element: Any) -> str:
    """Stands for a template: tells what it was asked."""
    return f"<{text}|{element['routing']['hostname'] if 'routing' in element else element}>"


def with_options(element: Any, **options: Any) -> Any:
    return shaped(element, Filters(**options), fill_in)


def test_without_options_it_is_the_element_and_no_option_changes_the_element():
    before = copy.deepcopy(elements.DETECTION)
    assert with_options(elements.DETECTION) == before
    every = {"is_flat", "is_payload_as_string", "is_prefix_data", "is_no_routing"}
    with_options(elements.DETECTION, **dict.fromkeys(every, True), custom_transform='{"+a": "b"}')
    assert before == elements.DETECTION


def test_without_routing():
    assert with_options(elements.EVENT, is_no_routing=True) == {"event": elements.EVENT["event"]}


def test_the_payload_as_a_text_as_the_documentation_shows_it():
    element = {"event": {"some": "event-data", "andother": "fields"}, "routing": {"event_type": "my-event"}}
    sent = with_options(element, is_payload_as_string=True)
    assert sent == {
        "event": '{"some":"event-data","andother":"fields"}',
        "routing": {"event_type": "my-event"},
    }
    assert json.loads(with_options(elements.DETECTION, is_payload_as_string=True)["detect"])["ts"]


def test_wrapped_in_the_event_type_as_the_documentation_shows_it():
    element = {"event": "test", "routing": {"event_type": "my-event"}}
    assert with_options(element, is_prefix_data=True) == {"my-event": element}


@pytest.mark.parametrize(
    ("element", "key"), [(elements.AUDIT, "config_change"), (elements.DETECTION, "NEW_PROCESS")]
)
def test_what_has_another_kind_of_type_is_wrapped_in_that(element: Any, key: str):
    assert with_options(element, is_prefix_data=True) == {key: element}


def test_what_has_no_type_is_not_wrapped():
    assert with_options({"a": 1}, is_prefix_data=True) == {"a": 1}


def test_flat_is_one_level():
    element = {"a": {"b": [1, {"c": None}], "d": {}}, "e": [], "f": "x"}
    assert with_options(element, is_flat=True) == {
        "a/b/0": 1, "a/b/1/c": None, "a/d": {}, "e": [], "f": "x",
    }  # fmt: skip


def test_flat_loses_nothing_where_two_paths_read_the_same():
    assert flat({"a/b": 1, "a": {"b": 2}}) == {"a/b": 1, "a/b(2)": 2}


def test_flat_takes_any_depth():
    deep: Any = 1
    for _ in range(20_000):
        deep = {"a": deep}
    assert list(flat(deep).values()) == [1]


def test_all_options_at_once():
    sent = with_options(
        elements.EVENT, is_flat=True, is_payload_as_string=True, is_prefix_data=True, is_no_routing=True
    )
    assert list(sent) == ["NEW_PROCESS/event"]
    assert json.loads(sent["NEW_PROCESS/event"]) == elements.EVENT["event"]


# Transforms.

DOCUMENTED = """{
    "message": "Interesting event from {{ .routing.hostname }}",
    "dat": {"raw": "event.PARENT"},
    "ts": "routing.event_time",
    "nope": "does.not.exist"
}"""


def test_a_transform_as_the_documentation_shows_it():
    assert with_options(elements.EVENT, custom_transform=DOCUMENTED) == {
        "message": "<Interesting event from {{ .routing.hostname }}|workstation-01.corp.example>",
        "dat": {"raw": elements.EVENT["event"]["PARENT"]},
        "ts": 1656959942437,
        "nope": None,
    }


def test_a_transform_keeps_what_is_neither_text_nor_object():
    assert with_options({"a": 1}, custom_transform='{"x": [true, "a"], "y": 2.5}') == {
        "x": [True, 1],
        "y": 2.5,
    }


def test_a_plus_keeps_the_element_and_a_minus_removes():
    element = {"webster": {"a": 1, "d": 3}, "other": "x"}
    transform = '{"+c": "webster.d", "-other": null, "webster": {"-d": null, "e": "other"}}'
    assert with_options(element, custom_transform=transform) == {"webster": {"a": 1, "e": "x"}, "c": 3}


def test_a_text_held_in_the_element_is_parsed_in_place():
    element = {"user": "alice", "data": '{"action": "login"}', "bad": "{"}
    transform = '{"+data": "data|@parsejson", "+bad": "bad|@parsejson"}'
    assert with_options(element, custom_transform=transform) == {
        "user": "alice", "data": {"action": "login"}, "bad": None,
    }  # fmt: skip


def test_the_transform_is_the_last_step():
    sent = with_options(
        elements.EVENT, is_prefix_data=True, custom_transform='{"a": "NEW_PROCESS.event.PROCESS_ID"}'
    )
    assert sent == {"a": 4812}


@pytest.mark.parametrize("template", ["{{ .event.text }}", "just words", "{ not JSON", "[1]", '"text"'])
def test_what_is_no_object_is_a_template_whose_text_is_sent(template: str):
    sent = with_options(elements.EVENT, custom_transform=template)
    assert sent == f"<{template}|workstation-01.corp.example>"
    assert as_json(sent) == sent


def test_what_a_template_raises_comes_through():
    with pytest.raises(TemplateError, match=r"seen \{\{ \.x \}\}"):
        shaped({}, Filters(custom_transform='{"a": "{{ .x }}"}'), fail_on_any)


ELEMENT = {
    "a": {"b": [{"n": 1}, {"n": 2}, {}], "x.y": "dot", "wild1": "w", "time": "2023-05-10"},
    "n": [10, 20],
    "7": "key",
}


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("a.b.0.n", 1),
        ("a.b.#", 3),
        ("a.b.#.n", [1, 2]),
        ("a.b.#.n|0", 1),
        ("a.b.#.n.0", []),
        ("a.x\\.y", "dot"),
        ("a.wi*", "w"),
        ("a.wild?", "w"),
        ("a|b|1", {"n": 2}),
        ("n.1", 20),
        ("n.2", None),
        ("7", "key"),
        ("n.x", None),
        ("a.b.n", None),
        ("n|@this", [10, 20]),
        ("@this.n", [10, 20]),
        ("a.b.0|@keys", ["n"]),
        ("a.b.0.@values", [1]),
        ("n.@keys", None),
        ("7.#", None),
    ],
)  # fmt: skip
def test_paths(path: str, expected: Any):
    assert selector(path).of(ELEMENT, fill_in) == expected


def test_a_time_is_written_in_another_format_by_the_template_function():
    path = 'a.time|@parsetime:{"from":"2006-01-02", "to":"Mon"}'
    asked: list[Any] = []
    selector(path).of(ELEMENT, lambda text, element: asked.append((text, element)) or "Wed")
    argument = r'"{\"from\":\"2006-01-02\", \"to\":\"Mon\"}"'
    assert asked == [(f"{{{{ parsetime {argument} .value }}}}", {"value": "2023-05-10"})]


@pytest.mark.parametrize(
    "path",
    ["", "a..b", "a.", "a.#(n==1)", "{a,b}", "[a]", "a|@extract:{}", "a|@parsejson:{", "a|@parsetime",
     "@thisx", 'a|@parsejson:{"a":1}', "*a*b*c*d*", "@this:1x", "a|@parsetime:{}x"],
)  # fmt: skip
def test_a_path_that_is_not_understood_is_refused_when_it_is_checked(path: str):
    with pytest.raises(TemplateError, match="cannot be read"):
        check_transform(json.dumps({"x": {"y": path}}), fail_on_templates)


def fail_on_any(text: str, element: Any) -> str:
    raise TemplateError(f"seen {text}")


def fail_on_templates(text: str) -> None:
    raise TemplateError(f"seen {text}")


@pytest.mark.parametrize("transform", ["plain", '{"a": "{{ .x }}"}', '{"a": {"b": "{{"}}'])
def test_the_templates_of_a_transform_are_checked(transform: str):
    with pytest.raises(TemplateError, match="seen"):
        check_transform(transform, fail_on_templates)


def test_a_good_transform_passes():
    check_transform(DOCUMENTED, lambda text: None)


def test_a_transform_of_too_many_levels_is_refused_and_not_followed():
    transform = '{"a":' * 900 + '"{{"' + "}" * 900
    with pytest.raises(TemplateError):
        shaped({}, Filters(custom_transform=transform), fail_on_any)
    with pytest.raises(TemplateError):
        check_transform(transform, fail_on_templates)


# The text for machines.


def test_the_text_is_one_line_without_spaces_in_the_order_of_the_keys():
    assert (
        as_json({"b": [1, 2.5, None], "a": {"x": "two\nlines"}})
        == '{"b":[1,2.5,null],"a":{"x":"two\\nlines"}}'
    )


@pytest.mark.parametrize(
    ("value", "text"),
    [
        pytest.param("grün 漢字 🦊", '"grün 漢字 🦊"', id="letters stay readable"),
        pytest.param("\ud800", '"\\ud800"', id="half a surrogate pair"),
        pytest.param("a\u202eb\u2028\x7f\x9f\ufeff", '"a\\u202eb\\u2028\\u007f\\u009f\\ufeff"', id="hidden"),
        pytest.param(float("nan"), "null", id="NaN"),
        pytest.param(float("-inf"), "null", id="an infinity"),
        pytest.param(True, "true", id="a boolean"),
        pytest.param({1: 2}, '{"1":2}', id="a number for a key"),
    ],
)
def test_the_text_of_values(value: Any, text: str):
    assert as_json([value]) == f"[{text}]"
    assert as_json([value, float("nan")]) == f"[{text},null]", "the same by the other way"


def test_a_text_alone_is_sent_as_it_is():
    assert as_json('not "quoted" \ud800') == 'not "quoted" ?'


def test_any_depth_and_any_number_can_be_written():
    deep: Any = 10**5000
    for _ in range(20_000):
        deep = [deep]
    text = as_json(deep)
    assert text.startswith("[" * 20_000 + '"0x')
    assert text.endswith('"' + "]" * 20_000)


@given(elements.ANY_JSON)
@examples(120)
def test_whatever_the_element_is_its_text_is_json_on_one_line(element: Any):
    text = as_json([element])
    assert len(text.splitlines()) == 1
    text.encode()
    json.loads(text)
    assert json.loads(as_json([element, float("nan")]))[0] == json.loads(text)[0]


@given(elements.ANY_JSON)
@examples(80)
def test_whatever_the_element_is_it_can_be_shaped(element: Any):
    every = {"is_flat", "is_payload_as_string", "is_prefix_data", "is_no_routing"}
    as_json(with_options(element, **dict.fromkeys(every, True)))
    shaped(
        element, Filters(custom_transform='{"+a": "cat", "event": {"-x": 0}, "b": "routing.#.*"}'), fill_in
    )
