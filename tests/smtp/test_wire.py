"""Dot-stuffing: the same octets whatever the pieces."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nina_smtp.smtp.wire import DotStuffer

CONTENT = st.lists(st.sampled_from([b"\r\n", b".", b"..", b"a", b"\r\n.", b"\r\n.\r\n", b" "])).map(b"".join)


def stuffed(*chunks: bytes) -> bytes:
    stuffer = DotStuffer()
    return b"".join([*map(stuffer.feed, chunks), stuffer.end()])


@given(CONTENT, st.lists(st.integers(min_value=0), max_size=12))
def test_any_pieces_give_the_octets_of_the_whole(content: bytes, cuts: list[int]) -> None:
    edges = [0, *sorted(cut % (len(content) + 1) for cut in cuts), len(content)]
    chunks = [content[a:b] for a, b in pairwise(edges)]
    assert stuffed(*chunks) == stuffed(content)


@given(CONTENT)
def test_one_octet_at_a_time_too(content: bytes) -> None:
    assert stuffed(*(content[i : i + 1] for i in range(len(content)))) == stuffed(content)


@given(CONTENT)
def test_the_receiver_gets_back_what_was_written(content: bytes) -> None:
    wire = b"\r\n" + stuffed(content)
    assert wire.endswith(b"\r\n.\r\n")
    end = wire.index(b"\r\n.\r\n")
    assert end == len(wire) - 5, "a dot on a line of its own ends the message early"
    got = wire[: end + 2].replace(b"\r\n.", b"\r\n")[2:]
    assert got == (content if not content or content.endswith(b"\r\n") else content + b"\r\n")


@pytest.mark.parametrize(
    ("content", "wire"),
    [
        (b"", b".\r\n"),
        (b".", b"..\r\n.\r\n"),
        (b".\r\n", b"..\r\n.\r\n"),
        (b"\r\n.\r\n", b"\r\n..\r\n.\r\n"),
        (b"a\r\n.b\r\n", b"a\r\n..b\r\n.\r\n"),
        (b"a.\r\n", b"a.\r\n.\r\n"),
        (b"no line end", b"no line end\r\n.\r\n"),
        (b"..\r\n", b"...\r\n.\r\n"),
    ],
)
def test_only_a_dot_at_the_start_of_a_line_is_doubled(content: bytes, wire: bytes) -> None:
    assert stuffed(content) == wire
