"""What an output keeps back, and says why."""

import copy
import json
from typing import Any

import pytest
from dialects.limacharlie import elements
from hypothesis import given
from hypothesis import strategies as st
from strategies import examples

from nina_smtp.dialects.limacharlie.filters import Filters, why_not, without_effect
from nina_smtp.dialects.limacharlie.wire import as_wire, from_wire
from nina_smtp.errors import ParameterError
from nina_smtp.forms import fill_in


def kept_back(element: object, stream: str, **filters: Any) -> str | None:
    return why_not(element, stream, fill_in(Filters, filters, ParameterError))


@pytest.mark.parametrize(
    ("filters", "stream", "reason"),
    [
        pytest.param({"inv_id": "inv-1"}, "event", "inv_id: it is not of inv-1", id="inv_id"),
        pytest.param({"inv_id": "inv-2026"}, "event", "inv_id: it is not of inv-2026", id="inv_id-begins"),
        pytest.param({"sid": "0"}, "detect", "sid: it is not of 0", id="sid"),
        pytest.param({"tag": "dev"}, "event", "tag: the sensor is not tagged dev", id="tag"),
        pytest.param({"tag": "prod"}, "event", "tag: the sensor is not tagged prod", id="tag-begins"),
        pytest.param(
            {"tagBlackList": ["x", "production"]},
            "event",
            "tag_black_list: the sensor is tagged production",
            id="tag_black_list",
        ),
        pytest.param(
            {"cat": "00313"}, "detect", "cat: 00313-NIX-Execution_From_Tmp is not 00313", id="cat-is-whole"
        ),
        pytest.param(
            {"cat_white_list": ["00314"]},
            "detect",
            "cat_white_list: 00313-NIX-Execution_From_Tmp begins with nothing in it",
            id="cat_white_list",
        ),
        pytest.param(
            {"cat_black_list": ["x", "00313-"]},
            "detect",
            "cat_black_list: 00313-NIX-Execution_From_Tmp begins with 00313-",
            id="cat_black_list",
        ),
        pytest.param(
            {"event_white_list": ["DNS_REQUEST", "NEW_PROCES"]},
            "event",
            "event_white_list: NEW_PROCESS is not in it",
            id="event_white_list",
        ),
        pytest.param(
            {"event_white_list": ["error"]},
            "audit",
            "event_white_list: config_change is not in it",
            id="event_white_list-audit",
        ),
        pytest.param(
            {"event_black_list": ["NEW_PROCESS"]},
            "event",
            "event_black_list: NEW_PROCESS is in it",
            id="event_black_list",
        ),
        pytest.param(
            {"rule_tag_white_list": ["windows"]},
            "detect",
            "rule_tag_white_list: the rule has no tag that is in it",
            id="rule_tag_white_list",
        ),
        pytest.param(
            {"rule_tag_black_list": ["windows", "coinminer"]},
            "detect",
            "rule_tag_black_list: the rule is tagged coinminer",
            id="rule_tag_black_list",
        ),
        pytest.param(
            {"event_white_list": ["NEW_PROCESS"]},
            "tailored",
            "event_white_list: DNS_REQUEST is not in it",
            id="tailored-is-an-event",
        ),
    ],
)
def test_keeps_it_back_and_says_why(filters: dict[str, Any], stream: str, reason: str):
    assert kept_back(elements.BY_STREAM[stream], stream, **filters) == reason


@pytest.mark.parametrize(
    ("filters", "stream"),
    [
        pytest.param({}, "event", id="no filter"),
        pytest.param({"inv_id": "inv-2026-041"}, "event", id="inv_id-with-more-behind-a-slash"),
        pytest.param({"inv_id": "inv-2026-041/6fc1a0f2"}, "event", id="inv_id"),
        pytest.param({"sid": elements.SID}, "event", id="sid"),
        pytest.param({"tag": "production"}, "event", id="tag"),
        pytest.param({"tag_black_list": ["prod"]}, "event", id="tag_black_list"),
        pytest.param({"cat": "00313-NIX-Execution_From_Tmp"}, "detect", id="cat"),
        pytest.param({"cat_white_list": ["x", "00313-"]}, "detect", id="cat_white_list"),
        pytest.param({"cat_black_list": ["NIX"]}, "detect", id="cat_black_list"),
        pytest.param({"event_white_list": ["NEW_PROCESS"]}, "event", id="event_white_list"),
        pytest.param({"event_white_list": ["config_change"]}, "audit", id="event_white_list-audit"),
        pytest.param({"event_black_list": ["new_process"]}, "event", id="event_black_list-is-exact"),
        pytest.param({"rule_tag_white_list": ["x", "execution"]}, "detect", id="rule_tag_white_list"),
        pytest.param({"rule_tag_black_list": ["exec"]}, "detect", id="rule_tag_black_list"),
        pytest.param({"sample_rate": 1}, "event", id="sample_rate"),
        pytest.param({"tag": "dev", "inv_id": "x"}, "detect", id="a filter of events, on detections"),
        pytest.param(
            {"cat": "x", "rule_tag_white_list": ["x"]}, "audit", id="a filter of detections, on audit"
        ),
        pytest.param({"event_white_list": ["x"]}, "deployment", id="a filter of events, on deployment"),
    ],
)
def test_lets_it_pass(filters: dict[str, Any], stream: str):
    assert kept_back(elements.BY_STREAM[stream], stream, **filters) is None


def test_the_sample_is_about_one_in_so_many_and_always_the_same_ones():
    numbered = [{**elements.EVENT, "number": number} for number in range(2000)]
    drawn = [kept_back(element, "event", sample_rate=10) for element in numbered]
    assert 150 < drawn.count(None) < 250
    assert set(drawn) == {None, "sample_rate: it is not the one of 10 that is sent"}
    assert drawn == [kept_back(copy.deepcopy(element), "event", sample_rate=10) for element in numbered]


def test_the_sample_does_not_look_at_the_order_of_keys():
    for number in range(50):
        element = {"a": number, "b": {"c": 1, "d": "ü"}}
        turned = {"b": {"d": "ü", "c": 1}, "a": number}
        assert kept_back(element, "event", sample_rate=3) == kept_back(turned, "event", sample_rate=3)


def test_says_which_filters_look_at_nothing_of_a_stream():
    filters = Filters(tag="x", cat="y", event_black_list=("z",), sample_rate=5)
    assert without_effect(filters, "detect") == ("tag", "event_black_list")
    assert without_effect(filters, "log") == ("tag", "cat", "event_black_list")
    assert without_effect(filters, "tailored") == ()


@pytest.mark.parametrize("entry", ["", " x", "x\n", "a\nb", "a\u2028b"])
def test_an_entry_that_would_not_come_back_is_refused(entry: str):
    with pytest.raises(ParameterError, match="must be one line"):
        fill_in(Filters, {"catBlackList": ["good", entry]}, ParameterError)


@given(elements.ANY_JSON, st.sampled_from([*elements.BY_STREAM, "log", "nonsense"]))
@examples(120)
def test_whatever_the_element_is_there_is_an_answer(element: object, stream: str):
    every = {
        "inv_id": "a", "sid": "a", "tag": "a", "tag_black_list": ["a"], "cat": "a", "cat_white_list": ["a"],
        "cat_black_list": ["b"], "event_white_list": ["a"], "event_black_list": ["b"],
        "rule_tag_white_list": ["a"], "rule_tag_black_list": ["b"], "sample_rate": 2,
    }  # fmt: skip
    for name, value in every.items():
        reason = kept_back(element, stream, **{name: value})
        assert reason is None or reason.startswith(f"{name}: ")


# The form LimaCharlie has for them: all texts, lists with an entry on each line.

WIRE = {
    "tag": "production",
    "cat_black_list": "informational\ntest",
    "sample_rate": "10",
    "is_flat": "true",
    "custom_transform": '{"text": "{{ .cat }}"}',
}


def test_comes_in_from_theirs_and_goes_back():
    filters = from_wire(WIRE | {"dest_host": "mail.example", "is_readable": "true"})
    assert filters.cat_black_list == ("informational", "test")
    assert filters.sample_rate == 10
    assert filters.is_flat
    assert as_wire(filters) == WIRE


@pytest.mark.parametrize(
    ("output", "expected"),
    [
        pytest.param({"event_white_list": "\n NEW_PROCESS \r\n\n\tDNS_REQUEST\n"},
                     Filters(event_white_list=("NEW_PROCESS", "DNS_REQUEST")), id="lines are trimmed"),
        pytest.param({"event_white_list": ["A", "B"]}, Filters(event_white_list=("A", "B")), id="a list"),
        pytest.param({"is_flat": "", "sample_rate": "", "tag": "", "cat_white_list": ""}, Filters(),
                     id="empty"),
        pytest.param({"is_flat": False, "sample_rate": 0}, Filters(), id="zero and false"),
        pytest.param({"is_flat": "TRUE", "sample_rate": "0"}, Filters(is_flat=True), id="zero as a text"),
        pytest.param({"is_no_routing": True, "sample_rate": 5}, Filters(is_no_routing=True, sample_rate=5),
                     id="YAML's own types"),
        pytest.param({"custom_transform": {"a": "b"}}, Filters(custom_transform='{"a":"b"}'), id="an object"),
        pytest.param({"custom_transform": "{{ .a }}\n"}, Filters(custom_transform="{{ .a }}\n"), id="a text"),
        pytest.param({"tag": None, "cat": " x "}, Filters(cat="x"), id="null"),
    ],
)  # fmt: skip
def test_reads_theirs_leniently(output: dict[str, Any], expected: Filters):
    assert from_wire(output) == expected


@pytest.mark.parametrize(
    ("output", "parameter"),
    [
        ({"is_flat": "yes"}, "is_flat"),
        ({"sample_rate": "many"}, "sample_rate"),
        ({"sample_rate": -1}, "sample_rate"),
        ({"tag": 5}, "tag"),
    ],
)
def test_what_theirs_cannot_mean_is_refused(output: dict[str, Any], parameter: str):
    with pytest.raises(ParameterError) as caught:
        from_wire(output)
    assert caught.value.parameter == parameter


def test_the_form_is_camel_case_with_everything_said():
    schema = Filters.model_json_schema(by_alias=True)
    assert "ruleTagWhiteList" in schema["properties"]
    assert all(
        field.get("title") and field.get("description") and field.get("examples")
        for field in schema["properties"].values()
    )
    json.dumps(schema)
