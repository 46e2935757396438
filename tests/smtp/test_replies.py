"""Replies: from octets in any pieces, from anybody."""

from __future__ import annotations

import re
from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from nina_smtp.errors import ProtocolViolation
from nina_smtp.secret import Redactor
from nina_smtp.smtp.replies import MAX_LINE, MAX_REPLY, MAX_SHOWN, Reply, ReplyParser, escaped

PASSWORD = "S3CRET-pässword"
REDACTOR = Redactor((PASSWORD,), "alice")


def read(*chunks: bytes, redact: Redactor | type[bytes] = bytes) -> tuple[list[Reply], str | None]:
    """The replies in ``chunks``, and the breach that ended them."""
    parser = ReplyParser(redact)
    replies: list[Reply] = []
    try:
        for chunk in chunks:
            for reply in parser.feed(chunk):
                replies.append(reply)
    except ProtocolViolation as error:
        return replies, error.message
    return replies, None


def pieces(octets: bytes, cuts: list[int]) -> list[bytes]:
    """``octets``, cut at ``cuts``."""
    edges = [0, *sorted(cut % (len(octets) + 1) for cut in cuts), len(octets)]
    return [octets[a:b] for a, b in pairwise(edges)]


LIKE_REPLIES = st.lists(
    st.sampled_from(
        [b"250-a\r\n", b"250 b\r\n", b"250\r\n", b"354 go\n", b"550 5.1.1 \xff\x00\r\n", b"2", b"\r\n"]
    )
    | st.binary(max_size=30)
).map(b"".join)


@given(LIKE_REPLIES | st.binary(max_size=300), st.lists(st.integers(min_value=0), max_size=10))
@example(b"250 " + b"x" * 2042 + b"\r\n", [100, 2047])
@example(b"250 " + b"x" * 2043 + b"\r\n", [100, 2047])
@example(b"250 " + b"x" * 5000, [2048])
def test_whatever_comes_is_read_the_same_in_any_pieces(octets: bytes, cuts: list[int]) -> None:
    assert read(*pieces(octets, cuts)) == read(octets)


@given(LIKE_REPLIES, st.integers(min_value=1, max_value=5000))
def test_no_more_is_kept_than_a_reply_and_one_read(octets: bytes, size: int) -> None:
    parser = ReplyParser()
    stream = octets + (b"250-" + b"y" * 1000 + b"\r\n") * 100

    def read_on() -> None:
        for start in range(0, len(stream), size):
            for _ in parser.feed(stream[start : start + size]):
                pass
            kept = len(parser._buffer) + sum(map(len, parser._lines))
            assert kept <= MAX_REPLY + max(size, MAX_LINE)

    with pytest.raises(ProtocolViolation):
        read_on()


TEXT = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), max_size=60)


@given(
    st.lists(
        st.tuples(st.integers(min_value=200, max_value=599), st.lists(TEXT, min_size=1, max_size=4)),
        max_size=5,
    ),
    st.lists(st.integers(min_value=0), max_size=6),
    st.sampled_from([b"\r\n", b"\n"]),
)
def test_every_valid_reply_is_read_back(
    said: list[tuple[int, list[str]]], cuts: list[int], line_end: bytes
) -> None:
    stream = b"".join(
        b"%d%s%s%s" % (code, b" " if last else b"-", text.encode(), line_end)
        for code, lines in said
        for last, text in [(n == len(lines) - 1, line) for n, line in enumerate(lines)]
    )
    replies, breach = read(*pieces(stream, cuts))
    assert breach is None
    assert [reply.code for reply in replies] == [code for code, _ in said]
    assert [reply.lines for reply in replies] == [
        tuple(escaped(line.encode()) for line in lines) for _, lines in said
    ]


@pytest.mark.parametrize(
    "octets",
    [
        b"\r\n",
        b"25 Ok\r\n",
        b"250Ok\r\n",
        b"250\tOk\r\n",
        b"150 Ok\r\n",
        b"650 Ok\r\n",
        b"\xff\xf4\xff\xfd\r\n",
        b"HTTP/1.1 400 Bad Request\r\n",
        b"250-a\r\n\r\n",
        b"250-a\r\n251 b\r\n",
        "２５０ Ok\r\n".encode(),
    ],
)
def test_what_is_no_reply_is_a_violation(octets: bytes) -> None:
    replies, breach = read(octets)
    assert replies == []
    assert breach


def test_replies_before_a_breach_are_handed_out() -> None:
    replies, breach = read(b"250 Ok\r\nnonsense\r\n")
    assert [reply.code for reply in replies] == [250]
    assert breach


def test_a_tls_record_gets_the_hint_that_it_is_one() -> None:
    with pytest.raises(ProtocolViolation) as caught:
        list(ReplyParser().feed(b"\x15\x03\x01\x00\x02\x02\x0a\n"))
    assert "TLS" in (caught.value.hint or "")


def test_a_reply_of_64_kib_is_read_and_one_of_more_is_not() -> None:
    line = b"250-" + b"x" * 1018 + b"\r\n"
    fits = line * (MAX_REPLY // len(line) - 1)
    assert read(fits + b"250 end\r\n")[1] is None
    assert "64 KiB" in (read(line * (MAX_REPLY // len(line) + 1))[1] or "")


def test_a_line_that_never_ends_is_given_up_at_its_limit() -> None:
    assert str(MAX_LINE) in (read(b"2" * MAX_LINE)[1] or "")
    assert read(b"2" * (MAX_LINE - 1))[1] is None


def test_controls_and_invisible_characters_are_escaped() -> None:
    ((reply,), _) = read("250 \x1b[31m \x00 \u202e \u200b ü 日\r\n".encode() + b"")
    assert reply.lines == (r"\x1b[31m \x00 \u202e \u200b ü 日",)
    assert escaped(b"\xff\xfe") == r"\xff\xfe"


def test_a_long_text_is_shown_up_to_500_characters() -> None:
    ((reply,), _) = read(b"250-" + b"x" * 900 + b"\r\n250 " + b"y" * 900 + b"\r\n")
    assert len(str(reply)) == MAX_SHOWN
    assert str(reply).endswith("…")


@pytest.mark.parametrize(
    ("lines", "code", "text"),
    [
        ([b"550 5.1.1 No such user"], "5.1.1", "5.1.1 No such user"),
        ([b"550-5.1.1 No such user,", b"550 5.1.1 sorry"], "5.1.1", "5.1.1 No such user, sorry"),
        ([b"550 4.1.1 A class that is not the code's"], None, "4.1.1 A class that is not the code's"),
        ([b"550 5.1 Half a code"], None, "5.1 Half a code"),
        ([b"550 5.1.1"], "5.1.1", "5.1.1"),
        ([b"250"], None, ""),
    ],
)
def test_the_enhanced_code_is_of_the_replys_class_and_said_once(
    lines: list[bytes], code: str | None, text: str
) -> None:
    ((reply,), _) = read(b"\r\n".join(lines) + b"\r\n")
    assert reply.enhanced_code == code
    assert reply.text == text


# -- secrets -----------------------------------------------------------------------------------------


def echo(octets: bytes) -> str:
    """What is shown of a reply or of a breach."""
    replies, breach = read(octets, redact=REDACTOR)
    return "".join(map(repr, replies)) + "".join(map(str, replies)) + (breach or "")


def all_forms() -> list[bytes]:
    import base64
    import json
    from urllib.parse import quote, quote_plus

    raw = PASSWORD.encode()
    plain = base64.b64encode(b"\0alice\0" + raw)
    return [
        raw,
        base64.b64encode(raw),
        base64.b64encode(raw).rstrip(b"="),
        plain,
        plain.rstrip(b"="),
        quote(PASSWORD, safe="").encode(),
        quote_plus(PASSWORD).encode(),
        raw.hex().encode(),
        json.dumps(PASSWORD)[1:-1].encode(),
    ]


@pytest.mark.parametrize("form", all_forms())
def test_an_echoed_password_is_not_shown_in_any_form(form: bytes) -> None:
    for octets in (b"535 5.7.8 bad: " + form + b"\r\n", b"535-" + form + b"\r\n535 no\r\n", form + b"\r\n"):
        shown = echo(octets)
        assert form.decode() not in shown
        assert "***" in shown


@given(st.sampled_from(all_forms()), st.data())
def test_a_password_broken_over_several_lines_is_not_shown(form: bytes, data: st.DataObject) -> None:
    cuts = data.draw(st.lists(st.integers(1, len(form) - 1), min_size=1, max_size=3, unique=True))
    parts = pieces(form, cuts)
    said = [b"535%s5.7.8 " % (b" " if n == len(parts) - 1 else b"-") + part for n, part in enumerate(parts)]
    ((reply,), _) = read(b"\r\n".join(said) + b"\r\n", redact=REDACTOR)
    assert all(re.fullmatch(r"5\.7\.8 (\*\*\*)?=*", line) for line in reply.lines), reply.lines
    assert reply.enhanced_code == "5.7.8"


def test_lines_without_a_secret_stay_as_they_are() -> None:
    ((reply,), _) = read(b"250-mail.test\r\n250-SIZE 10\r\n250 AUTH LOGIN\r\n", redact=REDACTOR)
    assert reply.lines == ("mail.test", "SIZE 10", "AUTH LOGIN")
