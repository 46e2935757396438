"""No template takes a second or all memory, and none raises anything but a TemplateError."""

from __future__ import annotations

import time
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from nina_smtp.errors import TemplateError
from nina_smtp.parameters import bounds
from nina_smtp.parameters.insertion import Mode
from nina_smtp.parameters.template import MAX_TEMPLATE, compile_template

untraced = pytest.mark.no_cover  # what takes its time is the measuring


def deep(depth: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(depth):
        value = [value]
    return value


@pytest.fixture(scope="module")
def item() -> dict[str, Any]:
    return {
        "a": "x",
        "big": "x" * 20_000_000,
        "big2": "x" * 19_999_999 + "y",
        "edge": "=" * bounds.MAX_WORK,
        "tags": "<a " * 300_000 + ">",
        "comments": "<!--" * 400_000 + ">",
        "declarations": "<![" * 500_000 + ">",
        "list": list(range(200_000)),
        "texts": ["1e999999", "nan", "inf"] * 100,
        "format": "%999999Y" * 20,
        "date": "1 " * 90,
        "digits": "9" * 2400,
        "number": 10**300,
        "deep": deep(20_000),
        "objects": [{"k": n} for n in range(900)],
        "spaces": " " * 1_900_000 + "x",
        "returns": "\r" * 1_900_000,
    }


def outcome(text: str, item: dict[str, Any], mode: Mode) -> tuple[float, str]:
    """Seconds of processor time, and what came of it."""
    compile_template.cache_clear()
    start = time.thread_time()
    try:
        template = compile_template(text, mode)
        assert template
        template.fill_in(item)
        told = "filled in"
    except TemplateError as error:
        told = error.message
    return time.thread_time() - start, told


def check_in_time(text: str, item: dict[str, Any], mode: Mode) -> None:
    """That it takes less than a second; if it does not, once more: others may have had the processor."""
    seconds, told = outcome(text, item, mode)
    if seconds >= 1:
        seconds, told = outcome(text, item, mode)
    assert seconds < 1, f"{seconds:.1f} s, then: {told}"


def often(text: str) -> str:
    return f"{{% for i in (1..40) %}}{text}{{% endfor %}}"


READING = {
    "spaces in an output": "{{" + " " * 3000 + "}}",
    "spaces in a tag": "{% if" + " " * 3000 + "%}{% endif %}",
    "spaces below the limit": ("{{" + " " * 199 + "}}") * 120,
    "raw that does not close": "{% raw %}" * 100_000,
    "doc that does not close": "{% doc %}" * 100_000,
    "raw before open braces": "{% raw %}{% endraw %}" + "{{ " * 300_000,
    "open braces in a comment": "{% comment %}" + "{{ " * 300_000,
    "open tags": "{% " * 300_000,
    "single braces": "x {" * 330_000 + "{{ a | upcase }}",
    "parentheses": "{{ " + "(" * 3990 + " }}",
    "many tags of parentheses": ("{{ " + "(" * 3990 + " }}") * 6,
    "parentheses in a condition": "{% if " + "(" * 3980 + " %}{% endif %}",
    "quotes in brackets": "{{ " + '["' * 1990 + " }}",
    "many tags of quotes": "{% comment %}{% endcomment %}" + ("{{ " + '["' * 1990 + " }}") * 6,
    "brackets": "{{ a" + "[" * 3900 + "}}",
    "paths in paths": "{{ a" + "[a" * 1300 + "]" * 1300 + " }}",
    "filters": "{{ a " + "| upcase " * 430 + "}}",
    "long tags": ("{{ a " + "| upcase " * 430 + "}}") * 6,
    "arguments": "{{ a | append: " + "a, " * 1200 + "a }}",
    "alternatives": "{% if a == 1 %}" + "{% elsif a %}" * 1700 + "{% endif %}",
    "cases": "{% case a %}" + "{% when 1, 2, 3 %}x" * 1400 + "{% endcase %}",
    "conditions": "{% if " + "a or " * 780 + "a %}{% endif %}",
    "negations": "{% if " + "not " * 980 + "a %}{% endif %}",
    "blocks in blocks": "{% if true %}" * 900 + "{% endif %}" * 900,
    "many outputs": "{{ a | upcase }}" * 2400,
    "a megabyte of outputs": "{{ a | upcase }}" * 60_000,
    "a megabyte of paths": "{{ a }}" * 140_000,
    "a megabyte of text": "x" * 999_000 + "{{ a | upcase }}",
    "a megabyte of lines": "x\n" * 499_000 + "{{ a | upcase }}",
    "a long integer": "{{ " + "9" * 3990 + " }}",
    "a long float": "{{ " + "9" * 1990 + "." + "9" * 1990 + " }}",
    "lines in liquid": "{% liquid\n" + "echo a\n" * 560 + "%}",
    "liquid in liquid": "{% liquid " + "liquid " * 560 + "%}",
    "assignments": "".join(f"{{% assign a{n} = 1 %}}" for n in range(1400)),
}
FILLING_IN = {
    "a whole range": "{{ (1..1000000000) }}",
    "a range that is too large for Python": "{{ (1..99999999999999999999999999) }}",
    "a range from the data": "{% assign r = (1..number) %}{{ r | size }}",
    "a search in a range": "{% if (1..10000000000) contains 'a' %}{% endif %}",
    "an offset into a range": "{% for i in (1..1000000000) offset: 999999990 limit: 1 %}{% endfor %}",
    "loops in loops": "{% for i in (1..9000) %}{% for i in (1..9000) %}{% endfor %}{% endfor %}",
    "loops after loops": "{% for i in (1..9999) %}{% for j in (1..10) %}{% endfor %}{% endfor %}" * 600,
    "empty blocks in a loop": "{% for i in (1..9999) %}" + "{% if true %}{% endif %}" * 900 + "{% endfor %}",
    "else in a loop": "{% for i in (1..9999) %}"
    + "{% unless true %}{% else %}{% endunless %}" * 600
    + "{% endfor %}",
    "cases in a loop": "{% for i in (1..9999) %}{% case i %}"
    + "{% when 0, 0, 0 %}x" * 1200
    + "{% endcase %}{% endfor %}",
    "breaks in a loop": "{% for i in (1..9999) %}{% for j in (1..10) %}{% break %}{% endfor %}{% endfor %}"
    * 500,
    "increments in a loop": "{% for i in (1..9999) %}" + "{% increment x %}" * 1400 + "{% endfor %}",
    "cycles in a loop": "{% for i in (1..9999) %}{% cycle '', '', big %}{% endfor %}",
    "cycles of groups": "{% for i in (1..9999) %}{% cycle big: '', '' %}{% endfor %}",
    "cycles of objects": "{% for i in (1..9999) %}{% cycle list: '', '' %}{% endfor %}",
    "changes in a loop": "{% for i in (1..9999) %}{% ifchanged %}{{ i }}{% endifchanged %}{% endfor %}" * 50,
    "a table": "{% tablerow i in (1..9999) cols: 1 %}" + "{% if i %}{% endif %}" * 900 + "{% endtablerow %}",
    "searches in a long text": "{% for i in (1..9999) %}{% if big contains 'zzzz' %}{% endif %}{% endfor %}",
    "comparisons of long texts": "{% for i in (1..9999) %}{% if big == big2 %}{% endif %}{% endfor %}",
    "comparisons of lists": "{% for i in (1..9999) %}{% if list == list %}{% endif %}{% endfor %}",
    "sizes of long texts": "{% for i in (1..9999) %}{% assign s = big | size %}{% endfor %}",
    "a number squared again and again": "{% assign x = 9 %}" + often("{% assign x = x | times: x %}"),
    "a text doubled again and again": "{% assign x = 'ab' %}" + often("{% assign x = x | append: x %}"),
    "a list doubled again and again": "{% assign l = 'a,b' | split: ',' %}"
    + often("{% assign l = l | concat: l %}"),
    "a capture of captures": "{% assign x = 'ab' %}" + often("{% capture x %}{{ x }}{{ x }}{% endcapture %}"),
    "a long text inserted often": "{% for i in (1..9999) %}{{ big }}{% endfor %}",
    "a long list inserted often": "{% for i in (1..9999) %}{{ list }}{% endfor %}",
    "objects joined": "{% assign l = objects | concat: objects %}{{ l | join: '-' }}",
    "a join with a long text": "{{ list | join: big | size }}",
    "nothing replaced by a long text": "{{ big | replace: '', big | size }}",
    "letters replaced by a long text": "{{ edge | replace: '=', edge | size }}",
    "a long text split": "{{ big | split: '' | join: '' | size }}",
    "a text at the limit split": "{{ edge | split: '' | size }}",
    "distinct entries": "{{ list | uniq | size }}",
    "distinct letters": "{{ edge | split: '' | uniq | size }}",
    "distinct keys": "{{ objects | uniq: 'k' | size }}",
    "a long list sorted": "{% for i in (1..999) %}{% assign l = list | sort_natural %}{% endfor %}",
    "a sum of texts": "{{ texts | sum }}",
    "unfinished tags stripped": "{{ tags | strip_html | size }}",
    "unfinished comments stripped": "{{ comments | strip_html | size }}",
    "unfinished declarations stripped": "{{ declarations | strip_html | size }}",
    "stripped again and again": "{% for i in (1..999) %}{% assign s = tags | strip_html %}{% endfor %}",
    "escaped for scripts": "{{ edge | escapejs | size }}",
    "escaped for URLs": "{{ edge | url_encode | size }}",
    "escaped once": "{{ edge | escape_once | size }}",
    "spaces squished": "{{ spaces | squish | size }}",
    "spaces stripped": "{{ spaces | strip | strip_newlines | truncatewords: 5 | size }}",
    "returns stripped": "{{ returns | strip_newlines | size }}",
    "returns broken": "{{ returns | newline_to_br | size }}",
    "base64 of base64": "{{ edge " + "| base64_encode " * 200 + "| size }}",
    "JSON of JSON": "{{ a | json " + "| json " * 500 + "| size }}",
    "a date with a long format": "{{ 'now' | date: format }}",
    "a date that is no date": "{{ date | date: '%Y' }}",
    "a date of many digits": "{{ digits | date: '%Y' }}",
    "a date of a large number": "{{ number | date: '%Y' }}",
    "dates in a loop": "{% for i in (1..9999) %}{{ i | append: ' May 2020 10:00' | date: '%c' }}{% endfor %}",
    "a number of many digits": "{{ digits | plus: 1 }}",
    "a rounded number": "{{ 1.5 | round: 1000000000 }}",
    "a slice of everything": "{{ big | slice: 0, 999999999999999999999 | size }}",
    "deep nesting": "{{ deep }} {{ a }}",
    "deep nesting, by Liquid": "{{ deep }} {{ a | upcase }}",
    "deep nesting in JSON": "{{ deep | json }}",
    "deep nesting, compared": "{% if deep == deep %}{% endif %}",
    "deep nesting, flattened": "{{ deep | concat: deep | size }}",
}


@untraced
@pytest.mark.parametrize("name", READING)
def test_a_template_is_read_in_time(name: str, item: dict[str, Any]):
    check_in_time(READING[name], item, Mode.TEXT)


@untraced
@pytest.mark.parametrize("mode", [Mode.TEXT, Mode.HTML], ids=lambda mode: mode.value)
@pytest.mark.parametrize("name", FILLING_IN)
def test_a_template_is_filled_in_in_time(name: str, mode: Mode, item: dict[str, Any]):
    check_in_time(FILLING_IN[name], item, mode)


@untraced
@pytest.mark.parametrize("mode", [Mode.ADDRESSES, Mode.MESSAGE], ids=lambda mode: mode.value)
@pytest.mark.parametrize(
    "text",
    [
        "{{ a }}" * 140_000,
        "Subject: {{ a }}" * 60_000,
        "X: {{ a }}\n" * 90_000,
        "To: x\n\n" + "{{ a }}\n" * 120_000,
        '"{{ a }}" ' * 90_000,
        "{{ a }}{% if true %}{% endif %}" * 800,
        "{% for i in (1..9999) %}X: {{ a }}\n{% endfor %}",
        "{% for i in (1..9999) %}X: {{ a }}{% endfor %}",
        "{% for i in (1..9999) %}" + "{% increment x %}" * 1000 + "{{ a }}{% endfor %}",
    ],
    ids=range(9),
)
def test_looking_at_what_stands_before_takes_no_time(text: str, mode: Mode, item: dict[str, Any]):
    check_in_time(text, item, mode)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("many outputs", "more than 25,000 characters of tags"),
        ("spaces in a tag", "200 spaces in a row in a tag"),
        ("a whole range", "a range of more than 10,000"),
        ("loops in loops", "loop iteration limit reached"),
        ("searches in a long text", "it takes too long"),
        ("a date of many digits", "a date of more than 200 characters"),
        ("unfinished tags stripped", "strip_html of more than 200,000 characters"),
        ("distinct keys", "uniq of more than 1,000"),
        ("a long text split", "split of texts or lists that long"),
        ("a number of many digits", "an integer of more than 1,024 bits"),
    ],
)
def test_the_limit_that_is_met_is_named(name: str, said: str, item: dict[str, Any]):
    text = READING.get(name) or FILLING_IN[name]
    assert outcome(text, item, Mode.TEXT)[1] == f"The template does too much: {said}."


def test_a_range_below_the_limit_is_written_as_one():
    template = compile_template("{{ (1..3) }}!")
    assert template
    assert template.fill_in({}) == "1..3!"


@pytest.mark.parametrize(
    "text", ["x{{ n }}", "{{ n }} {{ n | plus: 1 }}", "{{ l }}!", "{{ n | json }}", "{{ l | join: ',' }}"]
)
def test_a_number_of_too_many_digits_is_an_error_of_the_template(text: str):
    template = compile_template(text)
    assert template
    with pytest.raises(TemplateError):
        template.fill_in({"n": 10**5000, "l": [10**5000]})


@untraced
def test_the_limits_leave_room_for_what_people_do(item: dict[str, Any]):
    report = (
        "<table>{% for o in objects %}<tr class='{% cycle 'odd', 'even' %}'>"
        "<td>{{ o.k | times: 2 | append: '!' }}</td>"
        "{% if o.k > 5 %}<td>{{ o.k | json }}</td>{% endif %}</tr>{% endfor %}</table>"
    )
    assert outcome(report, item, Mode.HTML)[1] == "filled in"
    assert outcome("{{ big | truncate: 500 }} {{ big | size }}", item, Mode.TEXT)[1] == "filled in"
    assert outcome("{% for i in (1..10000) %}{{ i }}{% endfor %}", item, Mode.TEXT)[1] == "filled in"


def test_the_limit_of_a_template_s_length_is_named():
    with pytest.raises(TemplateError, match="at most 1,000,000 characters, not 1,000,007"):
        compile_template("x" * MAX_TEMPLATE + "{{ a }}")


@pytest.mark.parametrize("text", ["{{ a }} {{ b", "{% raw %} {{ a }}", "{{ a {{ b }} }}", "{% if a"])
def test_braces_that_do_not_close_are_told_with_their_position(text: str):
    with pytest.raises(TemplateError, match=r"braces at position \d+ do not close") as caught:
        compile_template(text)
    assert "literal" in str(caught.value.hint)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
NAMES = st.sampled_from(
    [
        "a",
        "b",
        "a.b",
        "a[0]",
        "a.size",
        "now",
        "nil",
        "empty",
        "forloop.index",
        "zz",
        "'x'",
        "5",
        "-1.5",
        "(1..3)",
    ]
)
FILTERS = st.sampled_from(
    [
        "upcase",
        "size",
        "first",
        "last",
        "json",
        "raw",
        "sort",
        "uniq",
        "reverse",
        "compact",
        "sum",
        "strip_html",
        "escape",
        "join: ','",
        "split: 'a'",
        "date: '%Y'",
        "plus: 1",
        "times: a",
        "divided_by: 0",
        "modulo: 0",
        "round: 2",
        "slice: 0, 2",
        "truncate: 2",
        "map: 'a'",
        "where: 'a', 1",
        "find: 'a', 1",
        "default: 'x'",
        "append: b",
        "replace: 'a', b",
        "concat: a",
        "url_decode",
        "base64_decode",
        "abs",
        "ceil",
        "at_most: b",
        "has: 'a'",
        "sort_natural: 'a'",
        "nope",
        "slice: 'x'",
    ]
)
EXPRESSIONS = st.builds(
    lambda name, filters: " | ".join([name, *filters]), NAMES, st.lists(FILTERS, max_size=3)
)
PIECES = st.one_of(
    st.text(max_size=10),
    EXPRESSIONS.map("{{{{ {} }}}}".format),
    EXPRESSIONS.map("{{% assign a = {} %}}".format),
    NAMES.map("{{% if {} %}}x{{% endif %}}".format),
    NAMES.map("{{% for i in {} %}}{{{{ i }}}}{{% endfor %}}".format),
    NAMES.map("{{% case a %}}{{% when {} %}}x{{% endcase %}}".format),
    st.sampled_from(
        [
            "{{",
            "}}",
            "{%",
            "%}",
            "{% raw %}",
            "{% endraw %}",
            "{% if a %}",
            "{% endif %}",
            "{% else %}",
            "{% break %}",
            "{% liquid echo a %}",
            "{% comment %}",
            "{% tablerow i in a %}{{ i }}{% endtablerow %}",
            "{% increment a %}",
            "{% cycle a, b %}",
            "{%- echo b -%}",
            "{{- a -}}",
            "{% # x %}",
        ]
    ),
)
TEMPLATES = st.lists(PIECES, max_size=6).map("".join) | st.text()


@given(
    TEMPLATES,
    st.dictionaries(st.sampled_from(["a", "b", "self", "now", "size"]) | st.text(), JSON, max_size=4),
    st.sampled_from(Mode),
)
@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@example("{{ a }}{{ nope }}", {"self": 1, "a": float("nan")}, Mode.ADDRESS)
def test_whatever_the_template_and_the_item_only_our_errors_come(text: str, item: dict[str, Any], mode: Mode):
    try:
        template = compile_template(text, mode)
        if template:
            value = template.fill_in(item)
            assert value is None or isinstance(value, (str, int, float, list, dict)), type(value)
    except TemplateError as error:
        told = error.message
    else:
        told = "."
    assert told.endswith(".")
