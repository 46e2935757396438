"""What an element is called, and which stream it is of."""

import copy
from typing import Any

import pytest
from dialects.limacharlie import elements
from hypothesis import given
from hypothesis import strategies as st
from strategies import examples

from nina_smtp.dialects.limacharlie.element import iso_time
from nina_smtp.dialects.limacharlie.streams import (
    Severity,
    Stream,
    event_type_of,
    facts,
    guess,
    headline,
    name_of,
    stream_of,
)
from nina_smtp.errors import ParameterError

HEADLINES = {
    "event": "[LimaCharlie] NEW_PROCESS on workstation-01.corp.example",
    "detect": "[LimaCharlie] 00313-NIX-Execution_From_Tmp on web-1",
    "audit": "[LimaCharlie] config_change: D&R rule deleted by alice@corp.example",
    "deployment": "[LimaCharlie] sensor_over_quota on linux-server-1",
    "artifact": "[LimaCharlie] ingest: pcap on a75cc927-bf28-4178-a42d-25ecc8a6be81",
    "tailored": "[LimaCharlie] DNS_REQUEST on laptop-7",
    "billing": "[LimaCharlie] ext-strelka:bytes_scanned",
}


@pytest.mark.parametrize("stream", HEADLINES)
def test_every_stream_has_a_headline(stream: str):
    assert headline(elements.BY_STREAM[stream], stream) == HEADLINES[stream]


@pytest.mark.parametrize("stream", HEADLINES)
def test_an_element_tells_which_stream_it_is_of(stream: str):
    expected = "event" if stream == "tailored" else stream
    assert guess(elements.BY_STREAM[stream]) == expected


def test_a_sensor_that_has_just_enrolled_has_its_name_in_the_event():
    assert headline(elements.ENROLLMENT, "deployment") == "[LimaCharlie] enrollment on linux-server-2"


def test_a_billing_record_may_be_an_event_of_the_deployment_stream():
    wrapped = {"routing": {"event_type": "billing_record"}, "event": elements.BILLING}
    assert guess(wrapped) is Stream.BILLING
    assert name_of(wrapped, "billing") == "ext-strelka:bytes_scanned"


def test_what_a_name_in_a_subject_stands_for():
    assert name_of(elements.DETECTION, "detect") == "00313-NIX-Execution_From_Tmp"
    assert name_of(elements.AUDIT_ERROR, "audit") == "error: output disabled"


def test_the_facts_of_a_detection():
    known = facts(elements.DETECTION, "detect")
    assert (known.severity, known.priority) == (Severity.HIGH, "7")
    assert (known.where, known.user, known.rule) == ("web-1", "www-data", "nix-execution-from-tmp")
    assert known.when == "2026-03-04T13:23:02.315Z"
    assert known.what.startswith("/tmp/.x/kworker -o pool.example.net:4444")
    assert known.link.startswith("https://app.limacharlie.io/orgs/")


def test_the_facts_of_an_audit_element():
    known = facts(elements.AUDIT, "audit")
    assert (known.when, known.user, known.severity) == ("2026-03-04T14:23:18Z", "alice@corp.example", None)
    assert dict(known.more) == {
        "Object": "dr_rule detect-encoded-powershell",
        "Origin": "api",
        "From address": "203.0.113.10",
    }


@pytest.mark.parametrize(
    ("priority", "severity"),
    [(0, "low"), (2, "low"), (3, "medium"), (4, "medium"), (5, "high"), (7, "high"), (8, "critical")],
)
def test_severity_is_that_of_a_case(priority: int, severity: str):
    assert facts({**elements.DETECTION, "priority": priority}, "detect").severity == severity


@pytest.mark.parametrize(
    ("level", "severity"),
    [("high", "high"), ("Informational", "info"), ("crit", "critical"), ("whatever", None)],
)
def test_without_a_priority_the_level_of_the_rule_counts(level: str, severity: str | None):
    element = {"cat": "x", "detect": {}, "detect_mtd": {"level": level}}
    assert facts(element, "detect").severity == severity


@pytest.mark.parametrize(
    ("moment", "expected"),
    [
        pytest.param(1656959942437, "2022-07-04T18:39:02.437Z", id="milliseconds"),
        pytest.param(1656959942, "2022-07-04T18:39:02Z", id="seconds"),
        pytest.param(1656959942437000, "2022-07-04T18:39:02.437Z", id="microseconds"),
        pytest.param(1656959942437000000, "2022-07-04T18:39:02.437Z", id="nanoseconds"),
        pytest.param("1656959942437", "2022-07-04T18:39:02.437Z", id="a number as a text"),
        pytest.param("2026-03-04 13:23:02", "2026-03-04T13:23:02Z", id="LimaCharlie's ts"),
        pytest.param("2026-03-04T13:23:02Z", "2026-03-04T13:23:02Z", id="ISO"),
        pytest.param("2026-03-04T13:23:02+02:00", "2026-03-04T11:23:02Z", id="another zone"),
        pytest.param(1656959942.5, "2022-07-04T18:39:02.500Z", id="a fraction"),
    ],
)
def test_moments(moment: Any, expected: str):
    assert iso_time(moment) == expected


@pytest.mark.parametrize(
    "moment",
    [0, -1, True, None, "", "soon", {}, float("nan"), float("inf"), 10**400, "0001-01-01T00:00:00+14:00"],
    ids=lambda moment: repr(moment)[:30],
)
def test_what_is_no_moment(moment: Any):
    assert iso_time(moment) == ""


@pytest.mark.parametrize(
    ("name", "stream"),
    [("log", "artifact"), ("detection", "detect"), (" Audit ", "audit"), ("tailored", "tailored")],
)
def test_streams_have_old_names_too(name: str, stream: str):
    assert stream_of(name) is Stream(stream)


def test_a_stream_that_is_none_is_refused_with_the_one_that_is_meant():
    with pytest.raises(ParameterError, match="no stream 'detekt'") as caught:
        stream_of("detekt")
    assert caught.value.hint == "Did you mean detect?"


@pytest.mark.parametrize(
    ("element", "stream", "expected"),
    [
        pytest.param(elements.AUDIT, "detect", HEADLINES["audit"].split(" by ")[0], id="of another stream"),
        pytest.param(elements.DETECTION, "nonsense", HEADLINES["detect"], id="an unknown stream"),
        pytest.param({}, "detect", "[LimaCharlie] Detection", id="empty"),
        pytest.param("some text", "event", "[LimaCharlie] Event", id="a text"),
        pytest.param({"cat": 12}, "detect", "[LimaCharlie] 12", id="a number for a name"),
        pytest.param({"cat": 10**5000}, "detect", "[LimaCharlie] Detection", id="a very long number"),
        pytest.param({"cat": ["x"]}, "detect", "[LimaCharlie] Detection", id="a list for a name"),
        pytest.param({"routing": "x"}, "event", "[LimaCharlie] Event", id="routing is a text"),
    ],
)
def test_a_strange_element_still_has_a_headline(element: object, stream: str, expected: str):
    assert headline(element, stream) == expected


def test_a_headline_is_one_short_line_that_hides_nothing():
    element = copy.deepcopy(elements.DETECTION)
    element["cat"] = "Evil\r\nBcc: x@evil.example\u202egpj.exe \ud800" + "x" * 5000
    text = headline(element, "detect")
    assert text.startswith("[LimaCharlie] Evil Bcc: x@evil.example\\u202egpj.exe \\ud800xxx")
    assert text.endswith("x… on web-1")
    assert text.isprintable()
    assert len(text) < 260


@given(elements.ANY_JSON, st.sampled_from([*elements.BY_STREAM, "log", "nonsense"]))
@examples(120)
def test_whatever_the_element_is_it_has_a_name(element: object, stream: str):
    for text in (headline(element, stream), name_of(element, stream)):
        assert text
        assert text.isprintable()
    assert isinstance(event_type_of(element), str)
