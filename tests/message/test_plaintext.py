"""Plain text from HTML: what a person would read, from whatever comes, in linear time."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import ANYTHING, examples

from nina_smtp.message.plaintext import text_from_html


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("", "\n"),
        ("plain", "plain\n"),
        ("<p>one</p><p>two</p>", "one\n\ntwo\n"),
        ("one<br>two<br><br>three", "one\ntwo\n\nthree\n"),
        ("<h1>Title</h1>text", "Title\n\ntext\n"),
        ("a  b\n\tc", "a b c\n"),
        ("<pre>a  b\n c</pre>", "a  b\n c\n"),
        ("<ul><li>a<li>b</ul>", "- a\n- b\n"),
        ("<ol><li>a</li><li>b</li></ol>", "1. a\n2. b\n"),
        ("<ul><li>a<ul><li>b</li></ul></li></ul>", "- a\n  - b\n"),
        ('<a href="https://x.test/?a=1&amp;b=2">see</a>', "see <https://x.test/?a=1&b=2>\n"),
        ('<a href="https://x.test">https://x.test</a>', "https://x.test\n"),
        ('<a href="mailto:a@x.test">a@x.test</a>', "a@x.test\n"),
        ('<a href="javascript:alert(1)">see</a>', "see\n"),
        (
            '<a href="https://x.test">one<a href="https://y.test">two</a>',
            "one <https://x.test>two <https://y.test>\n",
        ),
        ("<table><tr><th>a<td>b<tr><td>c<td>d</table>", "a\tb\nc\td\n"),
        ('<img src="x" alt="Logo">', "Logo\n"),
        ("&lt;b&gt; &amp; &euro; &#8364; &nope;", "<b> & € € &nope;\n"),
        ("a<!-- hidden -->b<!DOCTYPE html>c<?php x ?>d", "abcd\n"),
        ("<style>p{}</style><script>x<y</script><title>t</title>shown", "shown\n"),
        ("<head><title>t</title><meta><body>shown", "shown\n"),
        ("<head><style>x</style></head>shown", "shown\n"),
        ("<title>t</title><b>shown", "shown\n"),
        ("1 < 2", "1 < 2\n"),
        ("a<hr>b", "a\n--------------------\nb\n"),
    ],
)
def test_html_reads_as(html: str, text: str) -> None:
    assert text_from_html(html) == text


@examples(300)
@given(ANYTHING)
def test_any_text_has_a_text(html: str) -> None:
    assert text_from_html(html).endswith("\n")


TAGS = st.sampled_from(
    [
        "<",
        ">",
        "</",
        "/>",
        "<!",
        "<!--",
        "-->",
        "--",
        "<?",
        "?>",
        "<![",
        "]]>",
        "CDATA[",
        "<![if x]>",
        "&",
        "&#",
        "&#x",
        "9" * 5000,
        ";",
        "'",
        '"',
        "=",
        " ",
        "\n",
        "a",
        "<a href=",
        "http://x",
        "</a>",
        "<p>",
        "</p>",
        "<ul>",
        "<li>",
        "<pre>",
        "</pre>",
        "<script>",
        "</script>",
        "<style>",
        "<title>",
        "<head>",
        "<body>",
        "<textarea>",
        "<plaintext>",
        "<td>",
        "<br/>",
        "<img alt=",
        "<noscript>",
        "<svg>",
        "\x00",
        "é",
        "\ud800",
        "<ol>",
        "</ol>",
        "</head>",
    ]
)


@examples(800)
@given(st.lists(TAGS, max_size=25))
def test_any_heap_of_tags_has_a_text(pieces: list[str]) -> None:
    assert text_from_html("".join(pieces)).endswith("\n")


@pytest.mark.no_cover
@pytest.mark.parametrize(
    "piece",
    [
        "<",
        ">",
        "</",
        "<a ",
        "<a>",
        "</a>",
        "<a href=http://x>",
        "<a href=http://x>x",
        "<b",
        "<b x='",
        "<b x=\"'>",
        "<!",
        "<!--",
        "<!-->",
        "<![x]>",
        "<?",
        "&",
        "&#",
        "&#1",
        "&amp",
        "<ul>",
        "<ul><li>",
        "</ul>",
        "<head>",
        "</head>",
        "<title>",
        "<head><title>",
        "</title>",
        "<script>",
        "<script></",
        "</script>",
        "<pre>",
        "<pre>\n",
        "\n",
        " ",
        "<td>",
        "<br>",
        "<p>",
        "<h1>x",
        "<x/",
        "<x =",
        "='",
        "<textarea>",
        "<<!a>!",
        "<img alt=x>",
        "<a\n",
        "<style>a</style>",
    ],
)
def test_no_html_takes_more_than_linear_time(piece: str) -> None:
    """Each tag costs a few microseconds; what is quadratic would take minutes."""
    for before, after in (
        ("", ""),
        ("", ">"),
        ("<script>", "</a>"),
        ("<head>", "</style>"),
        ("<a href='", "'>"),
    ):
        html = before + piece * (60_000 // len(piece)) + after
        begin = time.process_time()
        text_from_html(html)
        assert time.process_time() - begin < 0.8
