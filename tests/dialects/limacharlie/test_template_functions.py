"""printf, times and LimaCharlie's own functions in its template strings."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest

from nina_smtp.dialects.limacharlie.template import compile_template
from nina_smtp.errors import TemplateError


def filled(text: str, element: dict[str, Any] | None = None, **options: Any) -> str:
    return compile_template(text).fill_in(element or {}, **options)


def parsetime(source: str, target: str, value: Any) -> str:
    layouts = json.dumps({"from": source, "to": target})
    return filled(f"{{{{ parsetime `{layouts}` .ts }}}}", {"ts": value})


PRINTF = {
    "a verb that does not fit": ('"%d|%5d" "x" "y"', "%!d(string=x)|%!d(string=    y)"),
    "a verb without a value": ('"%d %s" 1', "1 %!s(MISSING)"),
    "a value without a verb": ('"%d" 1 2 "x"', "1%!(EXTRA int=2, string=x)"),
    "no verb": ('"100%"', "100%!(NOVERB)"),
    "an unknown verb": ('"%z" 1', "%!z(int=1)"),
    "percent": ('"%d%%" 5', "5%"),
    "whole numbers": (
        '"%d|%5d|%-5d|%05d|%+d|% d|%.3d" 42 42 42 42 42 42 5',
        "42|   42|42   |00042|+42| 42|005",
    ),
    "bases": ('"%x|%X|%#x|%o|%#o|%O|%b|%x" 255 255 255 8 8 8 5 -255', "ff|FF|0xff|10|010|0o10|101|-ff"),
    "characters": ('"%c|%q|%U|%#U" 65 65 9786 9786', "A|'A'|U+263A|U+263A '☺'"),
    "floats": (
        '"%f|%.2f|%8.3f|%08.3f|%+.1f|%e|%g|%v" 1.5 1.5 1.5 1.5 1.5 1.5 1.5 123456789.25',
        "1.500000|1.50|   1.500|0001.500|+1.5|1.500000e+00|1.5|1.2345678925e+08",
    ),
    "texts": (
        '"%s|%5s|%-5s|%.2s|%q|%x|% X" "abc" "abc" "abc" "abc" "abc" "abc" "abc"',
        'abc|  abc|abc  |ab|"abc"|616263|61 62 63',
    ),
    "quoted": (r'"%q|%+q|%#q" "a\n\"é\x00" "é" "b"', '"a\\n\\"é\\x00"|"\\u00e9"|`b`'),
    "booleans": ('"%t|%v|%6t" true false true', "true|false|  true"),
    "types": ('"%T %T %T %T %T" 1 1.5 "a" true .l', "int float64 string bool []interface {}"),
    "lists": ('"%v|%d|%q" .l .l .w', '[1 <nil>]|[1 <nil>]|["a" "b"]'),
    "objects": ('"%v|%s" .m .m', "map[k:v]|map[k:v]"),
    "as Go source": (
        '"%#v %#v %#v" .l .m "x"',
        '[]interface {}{1, interface {}(nil)} map[string]interface {}{"k":"v"} "x"',
    ),
    "as Go, but numbers are numbers": ('"%.1f %d" 5 5.0', "5.0 5"),
    "as Go, but nothing is empty": ('"%s|%3d|%v" nil nil nil', "|   |"),
}


class TestPrintf:
    @pytest.mark.parametrize(("values", "expected"), PRINTF.values(), ids=PRINTF.keys())
    def test_writes(self, values: str, expected: str):
        element = {"l": [1, None], "w": ["a", "b"], "m": {"k": "v"}}
        assert filled(f"{{{{ printf {values} }}}}", element) == expected


class TestParsetimeRefuses:
    @pytest.mark.parametrize(
        ("source", "value"),
        [
            ("2006-01-02", "2024-13-01"),
            ("2006-01-02", "2023-02-29"),
            ("2006-01-02", "2024-01-01x"),
            ("2006-01-02", "24-01-01"),
            ("2006-01-02 15:04", "2024-01-0115:04"),
            ("15:04", "25:00"),
            ("3:04PM", "13:00PM"),
            ("2006-002", "2023-366"),
            ("-0700", "+9900"),
            ("2006", "9" * 300),
            ("epoch_s", "soon"),
            ("epoch_s", "9" * 300),
            ("epoch_s", 1e300),
            ("epoch_ms", float("nan")),
            ("2006", 2006),
        ],
    )
    def test_what_is_no_time(self, source: str, value: Any):
        with pytest.raises(TemplateError):
            parsetime(source, "2006", value)

    @pytest.mark.parametrize(
        "layouts", ['"{}"', '"[1]"', "5", '`{"from": 1, "to": 2}`', '`{"from": "2006"}`']
    )
    def test_what_are_no_layouts(self, layouts: str):
        with pytest.raises(TemplateError, match="its two layouts as JSON"):
            filled(f"{{{{ parsetime {layouts} .ts }}}}", {"ts": "2006"})


class TestParsetime:
    @pytest.mark.parametrize(
        ("source", "target", "value", "expected"),
        [
            # The page's own two examples.
            (
                "2006-01-02 15:04:05",
                "Mon, 02 Jan 2006 15:04:05 MST",
                "2023-05-10 22:35:48",
                "Wed, 10 May 2023 22:35:48 UTC",
            ),
            (
                "2006/01/02 15:04:05",
                "2006-01-02 15:04:05 MST",
                "2024/02/29 01:02:03",
                "2024-02-29 01:02:03 UTC",
            ),
            ("epoch_s", "2006-01-02T15:04:05Z07:00", 1657925305, "2022-07-15T22:48:25Z"),
            ("epoch_ms", "2006-01-02 15:04:05.000", 1657925305984, "2022-07-15 22:48:25.984"),
            ("epoch_ms", "15:04:05.000", "1657925305984", "22:48:25.984"),
            ("epoch_s", "15:04:05.00", 1657925305.75, "22:48:25.75"),
            ("epoch_s", "2006-01-02 15:04:05", -1, "1969-12-31 23:59:59"),
            (
                "2006-01-02T15:04:05Z07:00",
                "15:04:05.999 -0700 -07:00 -07 MST",
                "2022-07-15T22:48:25.12+05:30",
                "22:48:25.12 +0530 +05:30 +05 +0530",
            ),
            ("2006-01-02T15:04:05Z07:00", "3:4:5 PM pm", "2022-07-15T00:08:05Z", "12:8:5 AM am"),
            (
                "Mon Jan _2 15:04:05 MST 2006",
                "Monday January 2 06 002 __2 MST",
                "Fri Jul  5 22:48:25 CEST 2024",
                "Friday July 5 24 187 187 CEST",
            ),
            (
                "02/Jan/2006:15:04:05 -0700",
                "2006-1-_2T03 Z0700",
                "10/oct/2000:13:55:36 -0700",
                "2000-10-10T01 -0700",
            ),
            ("3:04PM", "15:04", "1:07PM", "13:07"),
            ("06-002", "2006-01-02", "70-366", None),
            ("2006 __2", "2006-01-02", "2024  60", "2024-02-29"),
            ("15:04:05", "15:04:05.999", "10:11:12.3450", "10:11:12.345"),
            ("15:04:05.999", "15:04:05.999", "10:11:12", "10:11:12"),
        ],
    )
    def test_writes_a_time_anew(self, source: str, target: str, value: Any, expected: str | None):
        if expected is None:
            with pytest.raises(TemplateError, match="not in the layout"):
                parsetime(source, target, value)
        else:
            assert parsetime(source, target, value) == expected

    def test_takes_its_layouts_as_the_page_writes_them(self):
        text = r'{{parsetime "{\"from\":\"2006/01/02 15:04:05\", \"to\":\"02.01.2006\"}" .ts}}'
        assert filled(text, {"ts": "2024/02/29 01:02:03"}) == "29.02.2024"


class TestHashes:
    def test_token_is_the_md5_of_the_value(self):
        assert filled("{{ token .x }}", {"x": "bob"}) == hashlib.md5(b"bob").hexdigest()

    def test_token_of_a_number_is_that_of_its_digits(self):
        assert filled("{{ token .x }}", {"x": 42}) == hashlib.md5(b"42").hexdigest()

    def test_anon_puts_the_secret_seed_first(self):
        assert filled("{{ .x | anon }}", {"x": "bob"}, seed="s3cret") == hashlib.md5(b"s3cretbob").hexdigest()


class TestJson:
    def test_is_in_the_order_of_keys_and_leaves_letters_alone(self):
        element = {"x": {"b": [1, 2.0, 1e21, True, None], "a": "é<&\"'"}}
        assert filled("{{ json .x }}", element) == '{"a":"é<&\\"\'","b":[1,2,1e+21,true,null]}'

    def test_pretty_is_over_lines(self):
        element = {"x": {"b": [1, {}], "a": [], "c": {"d": "e"}}}
        assert filled("{{ .x | prettyjson }}", element) == json.dumps(element["x"], indent=2, sort_keys=True)

    @pytest.mark.parametrize(
        "value", [0.1, 1e-6, 1e-7, 123456789.25, 1e20, 5e-324, 1.7976931348623157e308, -0.5]
    )
    def test_keeps_numbers(self, value: float):
        assert json.loads(filled("{{ json .x }}", {"x": value})) == value


class TestTexts:
    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ('{{ split "," "a,b,,c" | len }}', "4"),
            ('{{ split "" "aé" }}{{ split "," "" }}', "[a é][]"),
            ('{{ index (split "@" "joe@x.test") 1 }}', "x.test"),
            ('{{ join "-" .l }}{{ join "-" .none }}', "a-1-true"),
            ('{{ split "," "a,b" | join ";" }}', "a;b"),
            ('{{ replace "b" "XY" "abcb" }}{{ replace "" "-" "ab" }}', "aXYcXY-a-b-"),
        ],
    )
    def test_are_cut_and_joined(self, text: str, expected: str):
        assert filled(text, {"l": ["a", 1, True]}) == expected

    @pytest.mark.parametrize(
        ("path", "base", "directory"),
        [
            ("/a/b/../c.txt", "c.txt", "/a"),
            ("/", "/", "/"),
            ("", ".", "."),
            ("a", "a", "."),
            ("a/", "a", "a"),
            ("/a", "a", "/"),
            ("../../a", "a", "../.."),
            ("/../a/b", "b", "/a"),
            ("a//b//c", "c", "a/b"),
            (r"C:\Windows\System32\cmd.exe", "cmd.exe", r"C:\Windows\System32"),
            (r"C:\cmd.exe", "cmd.exe", "C:\\"),
            ("c:/temp/x.txt", "x.txt", r"c:\temp"),
            (r"\\server\share\x.txt", "x.txt", r"\\server\share"),
            (r"temp\x.txt", "x.txt", "temp"),
            ("C:\\", "\\", "C:\\"),
            ("/odd\\name/x", "x", "/odd\\name"),
        ],
    )
    def test_are_paths_of_two_worlds(self, path: str, base: str, directory: str):
        assert filled("{{ base .p }}|{{ dir .p }}", {"p": path}) == f"{base}|{directory}"
