"""LimaCharlie's template strings: what is refused and where, and what Go's text/template writes.

The expected texts are those of Go's own text/template, but where the name of a class says otherwise.
"""

from __future__ import annotations

from typing import Any

import pytest

from nina_smtp.dialects.limacharlie.template import MAX_TEMPLATE, compile_template
from nina_smtp.errors import TemplateError

ELEMENT: dict[str, Any] = {
    "cat": "Evil <b>",
    "routing": {"hostname": "win-1", "event_time": 1657925305984, "tags": ["edr", "vip"], "none": None},
    "detect": {"b": 1, "a": {"c": "d"}, "n": None},
    "rows": [{"name": "A", "v": 1}, {"name": "B", "v": 2}],
    "mixed": [1, "a", None, 2.5, [True]],
    "score": 7,
    "ratio": 1.5,
    "zero": 0,
    "yes": True,
    "empty": "",
    "none": None,
    "nobody": [],
    "key-x": "dashed",
    "accents": "héllo",
}


def filled(text: str, element: Any = ELEMENT, **options: Any) -> str:
    return compile_template(text).fill_in(element, **options)


def refused(text: str, element: Any = ELEMENT, **options: Any) -> TemplateError:
    with pytest.raises(TemplateError) as caught:
        filled(text, element, **options)
    assert caught.value.hint
    return caught.value


class TestATemplateThatCannotBeReadIsRefused:
    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("{{ .cat", "An action is not closed."),
            ("{{/* x }}", "A comment is not closed."),
            ("{{/* x */ .cat }}", "A comment ends before its closing braces."),
            ("{{ /* x */ }}", "A comment is alone in its braces."),
            ('{{ "x }}', "A quoted text is not closed."),
            ("{{ `x }}", "A quoted text is not closed."),
            (r'{{ "\q" }}', "A quoted text has an unknown escape."),
            (r'{{ "\ud800" }}', "A quoted text has an unknown escape."),
            (r'{{ "\777" }}', "A quoted text has an unknown escape."),
            ("{{ 'ab' }}", "Single quotes hold one character."),
            ("{{ 1x }}", "A number cannot be read."),
            ("{{ 08 }}", "A number cannot be read."),
            ("{{ " + "9" * 5000 + " }}", "A number cannot be read."),
            ("{{ 99999999999999999999 }}", "A number is too large."),
            ("{{ 1e400 }}", "A number is too large."),
            ("{{ .event/SOURCE }}", "'/' cannot stand here."),
            ("{{ .key-x }}", "'-' cannot stand here."),
            ("{{ .rows[0] }}", "'[' cannot stand here."),
            ("{{ # }}", "'#' cannot stand here."),
            ("{{ , }}", "',' cannot stand here."),
            ("{{ }}", "A value is missing in an action."),
            ("{{ if }}x{{ end }}", "A value is missing in if."),
            ("{{ () }}", "A value is missing in parentheses."),
            ("{{ .cat | }}", "A value is missing in a pipeline."),
            ("{{ $x := }}", "A value is missing in an action."),
            ("{{ (.cat }}", "A parenthesis is not closed."),
            ("{{ .cat ) }}", "')' cannot stand after ."),
            ('{{ "a""b" }}', "'\"b\"' comes too close."),
            ("{{ print(.cat) }}", "'(' comes too close."),
            ('{{ "x".y }}', "'\"x\"' has no fields."),
            ('{{ .cat "x" }}', "Only a function takes values, and this is none."),
            ('{{ "x" | .cat }}', "After | comes a function."),
            ("{{ nil }}", "nil is no value to print or test."),
            ("{{ nope .cat }}", "There is no function nope."),
            ("{{ call .cat }}", "There is no function call."),
            ("{{ len }}", "len takes 1 value, not 0."),
            ("{{ eq 1 }}", "eq takes 2 or more values, not 1."),
            ("{{ slice .cat 1 2 3 4 }}", "slice takes 1 to 4 values, not 5."),
            ("{{ print len.x }}", "len takes 1 value, not 0."),
            ("{{ $x }}", "There is no variable $x."),
            ("{{ $x = 1 }}", "There is no variable $x."),
            ("{{ if $x := 1 }}{{ end }}{{ $x }}", "There is no variable $x."),
            ("{{ $ := 1 }}", "$ is the whole element, always."),
            ("{{ $a, $b := .rows }}", "Only range sets two variables."),
            ("{{ if .cat }}x", "{{if …}} is not closed."),
            ("{{ range .rows }}{{ else }}", "{{range …}} is not closed."),
            ("{{ end }}", "{{end}} has no block to go with."),
            ("{{ else }}", "{{else}} has no block to go with."),
            ("{{ if .cat }}{{ else }}{{ else }}{{ end }}", "A block has a second {{else}}."),
            ("{{ if .cat }}{{ end .x }}", "'.x' cannot stand after end."),
            ("{{ if .cat }}{{ else .x }}{{ end }}", "'.x' cannot stand after else."),
            ("{{ break }}", "{{break}} is outside a range."),
            ("{{ range .nobody }}{{ else }}{{ continue }}{{ end }}", "{{continue}} is outside a range."),
            ('{{ define "x" }}{{ end }}', "{{define}} is not available: a mail's template is one template."),
            ('{{ template "x" . }}', "{{template}} is not available: a mail's template is one template."),
            ('{{ block "x" . }}{{ end }}', "{{block}} is not available: a mail's template is one template."),
        ],
    )
    def test_when_it_is_compiled(self, text: str, message: str):
        with pytest.raises(TemplateError) as caught:
            compile_template(text)
        assert caught.value.message.endswith(message) or caught.value.message.partition(": ")[2].startswith(
            message
        )
        assert caught.value.hint

    def test_with_line_and_column(self):
        assert str(refused("one\ntwo {{ .cat | nope }}")).startswith("Line 2, column 15: ")

    def test_with_the_nearest_function_as_a_hint(self):
        assert "Did you mean prettyjson?" in str(refused("{{ pretyjson . }}").hint)

    def test_with_a_way_to_reach_a_key_that_is_no_name(self):
        assert '{{ index . "the-key" }}' in str(refused("{{ .key-x }}").hint)

    def test_when_it_is_too_long(self):
        assert "at most 1,000,000 characters" in str(refused("x" * (MAX_TEMPLATE + 1)))


class TestAnElementThatDoesNotFitIsRefused:
    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("{{ .cat.x }}", "There is no .x in a text."),
            ("{{ .score.x }}", "There is no .x in a number."),
            ("{{ .yes.x }}", "There is no .x in a boolean."),
            ("{{ .rows.x }}", "There is no .x in a list."),
            ("{{ range .cat }}{{ end }}", "range cannot go through a text."),
            ("{{ range 3 }}{{ end }}", "range cannot go through a number."),
            ("{{ len .score }}", "A number has no length."),
            ("{{ index .rows 9 }}", "A position is outside the text or list."),
            ("{{ index .rows -1 }}", "A position is outside the text or list."),
            ('{{ index .rows "a" }}', "A text is no position."),
            ("{{ index .rows true }}", "A boolean is no position."),
            ("{{ index .detect 1 }}", "A key of an object is a text, not a number."),
            ("{{ index .score 1 }}", "A number has no entries."),
            ("{{ slice .cat 2 1 }}", "A slice ends before it begins."),
            ("{{ slice .cat 0 99 }}", "A position is outside the text or list."),
            ("{{ slice .cat 0 1 2 }}", "A text cannot be sliced so."),
            ("{{ slice .detect 1 }}", "An object cannot be sliced so."),
            ('{{ eq .score "7" }}', "A number cannot be compared with a text."),
            ("{{ eq .rows 1 }}", "A list cannot be compared."),
            ("{{ lt true false }}", "A boolean cannot be compared with a boolean."),
            ("{{ lt .none 1 }}", "Nothing cannot be compared with a number."),
            ("{{ printf 5 }}", "printf takes a format, not a number."),
            ('{{ printf "%[1]d" 5 }}', "printf does not take [ in a format."),
            ('{{ printf "%*d" 5 5 }}', "printf does not take * in a format."),
            ('{{ join "," .cat }}', "join takes a list, not a text."),
            ('{{ split "," .score }}', "split takes a text, not a number."),
            ('{{ parsetime "x" .cat }}', "parsetime takes its two layouts as JSON."),
            ("{{ anon .cat }}", "anon needs a secret seed, and none is set."),
        ],
    )
    def test_when_it_is_filled_in(self, text: str, message: str):
        assert refused(text).message.partition(": ")[2] == message

    def test_at_the_place_that_asks_for_it(self):
        assert str(refused("a\n{{ print (len .cat)\n .cat.x }}")).startswith("Line 3, column 2: ")

    @pytest.mark.parametrize("value", [object(), b"x", {1, 2}, 10**400, -(10**5000)], ids=range(5))
    def test_if_a_value_is_none_of_json(self, value: object):
        assert "element" in str(refused("{{ .x }}", {"x": value}))

    @pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
    def test_if_json_cannot_hold_a_number(self, value: float):
        assert "none that JSON has" in str(refused("{{ json .x }}", {"x": value}))

    def test_if_a_key_is_no_text(self):
        assert "no text" in str(refused("{{ .x }}", {"x": {1: 2}}))

    def test_without_telling_what_is_in_it(self):
        error = refused('{{ lt .secret 1 }}{{ .secret.x }}{{ join "," .secret }}', {"secret": "hunter2"})
        assert "hunter2" not in f"{error} {error.hint}"


GO = {
    "a field": ("{{ .cat }}", "Evil <b>"),
    "a path": ("{{.routing.hostname}}", "win-1"),
    "a path from the element": ("{{ range .rows }}{{ $.cat }},{{ end }}", "Evil <b>,Evil <b>,"),
    "a path from parentheses": ('{{ (index .detect "a").c }}', "d"),
    "a path from a variable": ("{{ $x := .detect }}{{ $x.a.c }}", "d"),
    "a whole number": ("{{ .routing.event_time }}", "1657925305984"),
    "a float": (
        "{{ .ratio }} {{ 1e6 }} {{ 123456.0 }} {{ 0.00001 }} {{ -0.5 }}",
        "1.5 1e+06 123456 1e-05 -0.5",
    ),
    "a boolean": ("{{ .yes }} {{ false }}", "true false"),
    "a list": ("{{ .mixed }}{{ .nobody }}", "[1 a <nil> 2.5 [true]][]"),
    "an object, keys in order": ("{{ .detect }}", "map[a:map[c:d] b:1 n:<nil>]"),
    "numbers of all bases": (
        "{{ 0x1F }} {{ 017 }} {{ 0b11 }} {{ 0o17 }} {{ 1_000 }} {{ +5 }}",
        "31 15 3 15 1000 5",
    ),
    "characters are numbers": (r"{{ 'a' }} {{ '\n' }} {{ '\'' }} {{ 'é' }} {{ '\xe9' }}", "97 10 39 233 233"),
    "escapes in a text": (r'{{ "a\tb\x41\u00e9\101\U0001F600\"\\" }}', 'a\tbAéA😀"\\'),
    "a raw text": ("{{ `a\\n}}\n` }}", "a\\n}}\n"),
    "braces in a text": ('{{ "}}" }}', "}}"),
    "trimming": ("a \n {{- .score -}} \n b", "a7b"),
    "a negative number is no trimming": ("a {{-3}} {{- 3 }}", "a -33"),
    "a comment": ("a {{/* }} */}} b", "a  b"),
    "a comment that trims": ("a {{- /* x */ -}} b", "ab"),
    "an action over lines": ("{{\n.score\n}}", "7"),
    "if": ("{{ if .zero }}a{{ else if .yes }}b{{ else }}c{{ end }}", "b"),
    "else": ("{{ if .zero }}a{{ else if .empty }}b{{ else }}c{{ end }}", "c"),
    "what is empty": ("{{ if or .zero .empty .nobody .none false }}x{{ else }}y{{ end }}", "y"),
    "if keeps the dot": ("{{ if .detect }}{{ .score }}{{ end }}", "7"),
    "with": ("{{ with .detect.a }}{{ .c }}{{ end }}{{ with .zero }}x{{ else }}y{{ end }}", "dy"),
    "with and a variable": ("{{ with $x := .score }}{{ $x }}{{ . }}{{ end }}", "77"),
    "range over a list": ("{{ range .rows }}{{ .name }}{{ .v }} {{ end }}", "A1 B2 "),
    "range over an object": ("{{ range $k, $v := .detect.a }}{{ $k }}={{ $v }}{{ end }}", "c=d"),
    "range in the order of keys": ("{{ range $k, $v := .detect }}{{ $k }}{{ end }}", "abn"),
    "range with a position": ("{{ range $i, $v := .routing.tags }}{{ $i }}{{ $v }}{{ end }}", "0edr1vip"),
    "range with one variable": ("{{ range $v := .routing.tags }}{{ $v }}{{ end }}", "edrvip"),
    "range that assigns": (
        "{{ $i := 0 }}{{ $v := 0 }}{{ range $i, $v = .routing.tags }}{{ end }}{{ $i }}{{ $v }}",
        "1vip",
    ),
    "range over nothing": (
        "{{ range .nobody }}x{{ else }}y{{ end }}{{ range .none }}x{{ else }}z{{ end }}",
        "yz",
    ),
    "break": ("{{ range .rows }}{{ if eq .v 2 }}{{ break }}{{ end }}{{ .name }}{{ end }}", "A"),
    "continue": ("{{ range .rows }}{{ if eq .v 1 }}{{ continue }}{{ end }}{{ .name }}{{ end }}", "B"),
    "break in an else belongs to the range around": (
        "{{ range .rows }}{{ range $.nobody }}{{ else }}{{ break }}{{ end }}x{{ end }}",
        "",
    ),
    "an assignment reaches out of a block": ("{{ $x := 1 }}{{ if true }}{{ $x = 2 }}{{ end }}{{ $x }}", "2"),
    "a declaration stays in its block": (
        "{{ $x := 1 }}{{ if true }}{{ $x := 2 }}{{ $x }}{{ end }}{{ $x }}",
        "21",
    ),
    "a variable of if is there in else": ("{{ if $x := .zero }}{{ else }}{{ $x }}{{ end }}", "0"),
    "a pipeline": ('{{ .cat | printf "%s-%s" "x" | len }}', "10"),
    "nested calls": ("{{ print (print 1) (print 2) }}", "12"),
    "and gives the first empty value": ("{{ and 1 0 2 }}{{ and 1 2 }}", "02"),
    "or gives the first value": ('{{ or 0 "" "x" }}{{ or 0 "" }}', "x"),
    "and leaves the rest alone": ("{{ and .zero (index .rows 99) }}{{ or .yes (index .rows 99) }}", "0true"),
    "and takes the pipeline last": ("{{ 5 | and 1 }}{{ 5 | or 0 }}", "55"),
    "not": ("{{ not 0 }} {{ not .cat }}", "true false"),
    "eq with several": (
        '{{ eq .score 7 }} {{ eq "a" "x" "a" }} {{ eq .none nil }} {{ eq .cat nil }}',
        "true true true false",
    ),
    "order": (
        '{{ lt 1 2 }} {{ le 2 2 }} {{ gt "b" "a" }} {{ ge 1 2 }} {{ ne 1 2 }}',
        "true true true false true",
    ),
    "len in octets": ('{{ len .accents }} {{ len .rows }} {{ len .detect }} {{ len "" }}', "6 2 3 0"),
    "index": (
        '{{ index .rows 1 }} {{ index .detect "a" "c" }} {{ index "abc" 1 }} {{ index . "key-x" }}',
        "map[name:B v:2] d 98 dashed",
    ),
    "slice": (
        '{{ slice "abc" 1 }} {{ slice "abc" 1 2 }} {{ slice .routing.tags 1 }} {{ slice .rows 0 0 1 }}',
        "bc b [vip] []",
    ),
    "print puts spaces between what is no text": ('{{ print 1 2 "a" 3 4 true }}', "1 2a3 4 true"),
    "println": ('{{ println "a" 1 }}', "a 1\n"),
    "html": ("{{ html .cat }}{{ html `'\"&` }}", "Evil &lt;b&gt;&#39;&#34;&amp;"),
    "js": (r'{{ js "a=b\n<\\' "'" r'" }}', r"a\u003Db\u000A\u003C\\" + r"\'"),
    "urlquery": ('{{ urlquery .accents " /&" }}', "h%C3%A9llo+%2F%26"),
    "braces alone": ("} }} { %", "} }} { %"),
}


class TestGoWritesTheSame:
    @pytest.mark.parametrize(("text", "expected"), GO.values(), ids=GO.keys())
    def test_for(self, text: str, expected: str):
        assert filled(text) == expected

    def test_for_a_long_chain_of_else_if(self):
        text = "{{ if false }}" + "{{ else if false }}x" * 5000 + "{{ else }}y{{ end }}"
        assert filled(text) == "y"


class TestUnlikeGo:
    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("{{ .nope }}|{{ .nope.x.y }}|{{ .none }}|{{ .routing.none.x }}", "|||"),
            ("{{ print .nope 1 }}{{ html .nope }}{{ printf `%s%d` .nope .nope }}", " 1"),
            ("{{ len .nope }}{{ index .nope 1 }}{{ if .nope.x }}x{{ end }}", "0"),
            ('{{ join "," .nope }}{{ base .nope }}{{ dir .nope }}{{ token .nope }}{{ json .nope }}', "null"),
        ],
    )
    def test_a_missing_value_is_an_empty_text(self, text: str, expected: str):
        assert filled(text) == expected

    def test_all_numbers_can_be_compared(self):
        assert filled("{{ eq .score 7.0 }} {{ gt .score 6.5 }}") == "true true"

    def test_a_half_of_a_surrogate_pair_becomes_a_mark(self):
        assert filled("{{ .x }}{{ token .x }}", {"x": "a\ud800"}).startswith("a\ufffd")


class TestInHtml:
    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("<p>{{ .x }}</p>", "<p>&lt;script&gt;&#34;&#39;&amp;</p>"),
            ("{{ html .x }}", "&lt;script&gt;&#34;&#39;&amp;"),
            ("{{ .x | html }}{{ $y := html .x }}{{ $y }}", "&lt;script&gt;&#34;&#39;&amp;" * 2),
            ('{{ "<i>" }}', "&lt;i&gt;"),
            ("{{ json .x }}", "&#34;&lt;script&gt;\\&#34;&#39;&amp;&#34;"),
            ("{{ .l }}", "[&lt;b&gt;]"),
            ("{{ or (html .x) 1 }}", "&lt;script&gt;&#34;&#39;&amp;"),
            ('{{ printf "%s" (html .x) }}', "&amp;lt;script&amp;gt;&amp;#34;&amp;#39;&amp;amp;"),
        ],
    )
    def test_every_value_is_escaped_once(self, text: str, expected: str):
        assert filled(text, {"x": "<script>\"'&", "l": ["<b>"]}, html=True) == expected

    def test_the_element_cannot_say_that_it_is_escaped(self):
        from nina_smtp.dialects.limacharlie.gotemplate.values import Html

        assert filled("{{ .x }}", {"x": Html("<b>")}, html=True) == "&lt;b&gt;"


def test_a_template_is_compiled_once():
    assert compile_template("{{ .once }}") is compile_template("{{ .once }}")
