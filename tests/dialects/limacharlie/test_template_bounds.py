"""No template takes long or writes much, and none raises anything but a TemplateError."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nina_smtp.dialects.limacharlie.gotemplate.budget import MAX_OUTPUT
from nina_smtp.dialects.limacharlie.gotemplate.functions import ARITIES
from nina_smtp.dialects.limacharlie.template import MAX_TEMPLATE, compile_template
from nina_smtp.errors import TemplateError

untraced = pytest.mark.no_cover  # what takes its time is the measuring


def deep(depth: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(depth):
        value = [value]
    return value


def looped() -> dict[str, Any]:
    value: dict[str, Any] = {}
    value["x"] = [value]
    return value


@pytest.fixture(scope="module")
def element() -> dict[str, Any]:
    return {
        "big": "x" * 1_500_000,
        "quotes": '"' * 900_000,
        "huge": "x" * 20_000_000,
        "list": list(range(60_000)),
        "map": {str(number): number for number in range(150_000)},
        "deep": deep(100),
        "loop": looped(),
        "slashes": "a" + "\\" * 500_000 + "/",
        "ten": list(range(10)),
        "form": '{"from": "epoch_s", "to": "' + "2006" * 50 + '"}',
    }


NESTED = "{{ range .list }}{{ range $.list }}{{ end }}{{ end }}"
REFUSED = {
    "a width": '{{ printf "%999999999d" 1 }}',
    "a width of 5000 digits": '{{ printf "%' + "9" * 5000 + 'd" 1 }}',
    "a precision": '{{ printf "%.999999999f" 1.5 }}',
    "many widths": '{{ printf "' + "%1000000d" * 3 + '" 1 2 3 }}',
    "widths in a list": '{{ printf "%100000d" .list }}',
    "many texts by turns": "{{ range .list }}{{ len (print $.big) }}{{ end }}",
    "an output of small parts": "{{ range .ten }}{{ $.big }}{{ end }}",
    "a text too long": "{{ .huge }}",
    "replace": '{{ replace "" .big .big }}',
    "replace by turns": '{{ $x := "x" }}{{ range .list }}{{ $x = replace "x" "xx" $x }}{{ end }}',
    "print by turns": '{{ $x := "x" }}{{ range .list }}{{ $x = print $x $x }}{{ end }}',
    "join": "{{ join .big .list }}",
    "split": '{{ split "" .big }}',
    "escapes": "{{ html .quotes }}",
    "js": "{{ js (js .quotes) }}",
    "urlquery": "{{ urlquery .quotes }}",
    "json of json": "{{ json (json (json (json .quotes))) }}",
    "quotes of quotes": '{{ printf "%q" .quotes | printf "%q" | printf "%q" }}',
    "loops in loops": NESTED,
    "an object too large": "{{ .map }}",
    "an object too large for range": "{{ range .map }}{{ end }}",
    "a value too deep": "{{ .deep }}",
    "JSON too deep": "{{ json .deep }}",
    "printf too deep": '{{ printf "%s" .deep }}',
    "Go source too deep": '{{ printf "%#v" .deep }}',
    "very many times": "{{ range .list }}{{ parsetime $.form 1 }}{{ end }}",
    "a value in itself": "{{ .loop }}",
    "JSON in itself": "{{ prettyjson .loop }}",
    "blocks too deep": "{{ if true }}" * 65 + "{{ end }}" * 65,
    "parentheses too deep": "{{ " + "(" * 65 + "1" + ")" * 65 + " }}",
    "both too deep": "{{ if true }}" * 40 + "{{ " + "(" * 40 + "1" + ")" * 40 + " }}" + "{{ end }}" * 40,
    "very many blocks": "{{ if true }}" * 70_000,
    "very many parentheses": "{{ " + "(" * 200_000,
    "very many parts": "{{.}}" * 100_000,
    "a path of very many names": "{{ " + ".a" * 150_000 + " }}",
    "very many values": "{{ print" + " 1" * 150_000 + " }}",
    "very many calls": "{{ 1" + "|len" * 80_000 + " }}",
    "a quote that does not end": '{{ "' + "\\" * 900_000,
    "spaces without an end": "{{" + " " * 900_000,
    "a number without an end": "{{ " + "1e+" * 300_000,
    "openings without an end": "{{" * 400_000,
}


class TestTooMuchIsRefused:
    @untraced
    @pytest.mark.parametrize("text", REFUSED.values(), ids=REFUSED.keys())
    def test_in(self, text: str, element: dict[str, Any]):
        with pytest.raises(TemplateError) as caught:
            compile_template(text).fill_in(element, html=text == REFUSED["escapes"])
        assert len(str(caught.value)) < 300

    def test_even_if_the_caller_is_deep_in_the_stack(self):
        def at(depth: int) -> str:
            return at(depth - 1) if depth else compile_template(text).fill_in({})

        text = "{{ if true }}" * 30 + "{{ " + "(" * 30 + "1" + ")" * 30 + " }}" + "{{ end }}" * 30
        outcomes: set[str] = set()
        for depth in range(0, 1000, 20):
            compile_template.cache_clear()
            try:
                outcomes.add(at(depth))
            except TemplateError:
                outcomes.add("refused")
            except RecursionError:
                break  # at() itself
        assert "1" in outcomes


class TestMuchIsTaken:
    def test_of_text(self):
        text = "{" * (MAX_TEMPLATE // 2) + "x"
        with pytest.raises(TemplateError):
            compile_template(text)
        assert compile_template("x{ " * (MAX_TEMPLATE // 3)).fill_in({})[:3] == "x{ "

    def test_of_depth(self):
        text = "{{ if true }}" * 64 + "x" + "{{ end }}" * 64
        assert compile_template(text).fill_in({}) == "x"
        assert compile_template("{{ " + "(" * 64 + "1" + ")" * 64 + " }}").fill_in({}) == "1"

    def test_of_output(self):
        assert len(compile_template("{{ .x }}").fill_in({"x": "x" * MAX_OUTPUT})) == MAX_OUTPUT

    @untraced
    def test_of_backslashes_in_a_path(self, element: dict[str, Any]):
        assert compile_template("{{ base .slashes }}").fill_in(element) == "a" + "\\" * 500_000


KEYS = st.sampled_from(["a", "b", "cat", "list", "key-x"])
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(-(2**70), 2**70)
    | st.floats()
    | st.text(st.characters(), max_size=8)
    | st.sampled_from(["%d", "C:\\a\\b", "/a/b", "2006-01-02", "1657925305984", "<b>", "\ud800", "{{ . }}"])
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=12,
)
ELEMENTS = st.dictionaries(KEYS, VALUES, max_size=5)
NAMES = st.sampled_from(sorted(ARITIES))
ATOMS = st.sampled_from(
    [
        '"x"',
        '"%v %5d|%q"',
        '"%-9.3f%x%U%c%#v%T"',
        '`{"from":"epoch_s","to":"Mon Jan _2 15:04:05.000 MST"}`',
        *[
            ".",
            "$",
            ".a",
            ".b",
            ".cat",
            ".list",
            ".a.b",
            "$.list.a",
            "$v",
            "0",
            "1",
            "-1",
            "2.5",
            "true",
            "false",
            "nil",
            '""',
            '","',
            '"a"',
            "0x10",
        ],
    ]
)
EXPRESSIONS = st.recursive(
    ATOMS,
    lambda inner: st.builds(
        lambda name, values: f"({' '.join([name, *values])})", NAMES, st.lists(inner, max_size=3)
    ),
    max_leaves=6,
)
PIPELINES = st.builds(
    lambda first, names: " | ".join([first, *names]), EXPRESSIONS, st.lists(NAMES, max_size=2)
)
BODIES = st.recursive(
    st.text(max_size=4) | st.builds("{{{{ {} }}}}".format, PIPELINES) | st.just("{{- /* c */ -}}"),
    lambda inner: (
        st.builds("{{{{ if {} }}}}{}{{{{ else }}}}{}{{{{ end }}}}".format, PIPELINES, inner, inner)
        | st.builds("{{{{ with $v := {} }}}}{}{{{{ end }}}}".format, PIPELINES, inner)
        | st.builds(
            "{{{{- range $i, $v := {} }}}}{}{{{{ break }}}}{}{{{{ end -}}}}".format, PIPELINES, inner, inner
        )
        | st.builds("{{{{ range $v := {} }}}}{}{{{{ end }}}}".format, PIPELINES, inner)
        | st.builds("{{{{ $v := {} }}}}{}".format, PIPELINES, inner)
        | st.lists(inner, max_size=3).map("".join)
    ),
    max_leaves=6,
)
PIECES = st.lists(
    st.sampled_from(
        [
            "{{",
            "}}",
            "{{-",
            "-}}",
            "/*",
            "*/",
            "if",
            "else",
            "end",
            "range",
            "with",
            "break",
            "continue",
            "define",
            "$x",
            ":=",
            "=",
            "|",
            "(",
            ")",
            ",",
            ".",
            ".a",
            "$",
            "$x",
            '"',
            "`",
            "'",
            "\\",
            "1",
            "-3",
            "1e9",
            "0x",
            "x",
            "len",
            "eq",
            "printf",
            "index",
            "nil",
            "true",
        ]
    )
    | st.sampled_from([" ", "\n"])
    | st.text(max_size=3),
    max_size=40,
).map("".join)


def outcome(text: str, element: dict[str, Any]) -> list[str]:
    texts: list[str] = []
    for is_html in (False, True):
        try:
            texts.append(compile_template(text).fill_in(element, html=is_html, seed="seed"))
        except TemplateError as error:
            texts.append(f"{error} {error.hint}")
    return texts


@untraced
class TestNothingButATemplateErrorIsRaised:
    @given(BODIES, ELEMENTS)
    @settings(max_examples=150, suppress_health_check=[HealthCheck.too_slow])
    def test_by_a_template_that_can_be_read(self, text: str, element: dict[str, Any]):
        first = outcome(text, element)
        assert outcome(text, element) == first
        for made in first:
            made.encode()

    @given(PIECES, ELEMENTS)
    @settings(max_examples=150)
    def test_by_pieces_of_templates(self, text: str, element: dict[str, Any]):
        outcome("{{" + text, element)
        outcome(text, element)

    @given(st.text(), ELEMENTS)
    @settings(max_examples=150)
    def test_by_any_text(self, text: str, element: dict[str, Any]):
        outcome(text, element)

    @given(NAMES, st.lists(VALUES, max_size=4))
    @settings(max_examples=150)
    def test_by_any_function_of_any_values(self, name: str, values: list[Any]):
        places = " ".join(f"(index .v {number})" for number in range(len(values)))
        outcome(f"{{{{ {name} {places} }}}}", {"v": values})

    @given(st.text("%+-# 0123456789.vTtdboOxXcqUeEfFgGspz*[]", max_size=12), st.lists(VALUES, max_size=3))
    @settings(max_examples=150)
    def test_by_any_format(self, form: str, values: list[Any]):
        places = " ".join(f"(index .v {number})" for number in range(len(values)))
        outcome(f"{{{{ printf .form {places} }}}}", {"v": values, "form": form})

    @given(
        st.lists(
            st.sampled_from(
                [
                    "2006",
                    "06",
                    "01",
                    "Jan",
                    "Mon",
                    "02",
                    "_2",
                    "002",
                    "__2",
                    "15",
                    "03",
                    "04",
                    "05",
                    "PM",
                    "MST",
                    "-0700",
                    "Z07:00",
                    ".000",
                    ".999",
                    "x",
                ]
            )
        ),
        st.text("0123456789 -+:.,TZAPMUCx", max_size=16),
        st.integers(-(10**18), 10**18) | st.floats(),
    )
    @settings(max_examples=150)
    def test_by_any_time(self, chunks: list[str], text: str, number: float):
        layout = " ".join(chunks)
        for source, value in ((layout, text), ("epoch_s", number), ("epoch_ms", text)):
            form = f'{{"from": "{source}", "to": "{layout}"}}'
            outcome("{{ parsetime .form .ts }}", {"form": form, "ts": value})

    @given(st.text(st.characters(), max_size=20), st.booleans())
    def test_and_no_value_brings_html_along(self, value: str, is_quoted: bool):
        text = "{{ json .x }}" if is_quoted else "{{ .x }}"
        made = compile_template(text).fill_in({"x": value}, html=True)
        assert not set(made) & set("<>\"'")
