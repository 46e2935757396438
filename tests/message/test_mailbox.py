"""Mailboxes: what is refused, what is meant, and that it takes no time."""

import time
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import ADDRESS, ANYTHING, check_shown, examples

from nina_smtp.errors import InvalidAddress
from nina_smtp.message import Mailbox, parse_list, parse_mailbox
from nina_smtp.message.mailbox import MAX_TEXT


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "empty"),
        ("a@x.test,", "empty"),
        ("a", "has an @"),
        ("a@x.test b@x.test", "invalid characters"),
        ("a@x.test (c) b@x.test", "follows a comment"),
        ("<a@x.test> b", "follows the address"),
        ("a@x.test <b@x.test>", "holds @"),
        ("<@x.test:a@y.test>", "source routes"),
        ("a@[127.0.0.1]", "literals"),
        ("a@localhost", "single label"),
        ("a@x.localhost", "no mail"),
        ("a@x.123", "ends in a number"),
        ("a@x.test.", "ends with a dot"),
        ("a@x_y.test", "not a name"),
        ("a@x\u00ad.test", "invisible"),
        ("g:a@x.test", "does not end"),
        ("a@x.test;", "semicolon"),
        ("a@x.test:b@y.test;", "after the name of a group"),
        ("g:h:a@x.test;;", "after the name of a group"),
        ("g:a@x.test; b@y.test", "follows a group"),
        ('"a', "a quote does not close"),
        ("(a", "a comment does not close"),
        ("<a@x.test", "an angle bracket does not close"),
        ('"a>b"@x.test', "angle bracket"),
        ("x" * 65 + "@x.test", "too long"),
        ("x." * 40 + "x@x.test", "too long"),
        (f"<{'é' * 2000}@x.test>", "too long"),
        ("a@x.test\r\n", "control character"),
    ],
)
def test_an_address_is_refused_with_its_reason(text: str, reason: str) -> None:
    with pytest.raises(InvalidAddress, match=reason):
        parse_list(text)


def test_what_is_refused_is_shown_as_ascii_only() -> None:
    for text in ("b@mail\u2024test", "ü\x85@x.test", "\u202e@x.test", "a\u0378@x\u0378.test"):
        with pytest.raises(InvalidAddress) as caught:
            parse_list(text)
        assert caught.value.message.isascii()
        assert caught.value.message.isprintable()


def test_a_group_stands_for_its_members() -> None:
    assert [box.address for box in parse_list("SOC: A <a@x.test>, b@x.test;, c@x.test")] == [
        "a@x.test",
        "b@x.test",
        "c@x.test",
    ]
    assert parse_list("undisclosed-recipients:;") == ()
    with pytest.raises(InvalidAddress, match="not 0"):
        parse_mailbox("undisclosed-recipients:;")


def test_a_comment_after_an_address_is_its_name() -> None:
    assert parse_mailbox("a@x.test (Ann)") == Mailbox("a", "x.test", "Ann")
    assert parse_mailbox("Ann (Ops) <a@x.test>") == Mailbox("a", "x.test", "Ann (Ops)")


def test_a_display_name_is_never_decoded() -> None:
    assert parse_mailbox("=?utf-8?q?x?= <a@x.test>").display_name == "=?utf-8?q?x?="


def test_a_tab_in_a_name_is_a_space() -> None:
    assert parse_mailbox('"A\tB" <a@x.test>').display_name == "A B"


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("a@X.TEST", "a@x.test"),
        ("A@x.test", "A@x.test"),
        ('"a"@x.test', "a@x.test"),
        ('"a b"@x.test', '"a b"@x.test'),
        ('"a@b"@x.test', '"a@b"@x.test'),
        ("a@faß.test", "a@xn--fa-hia.test"),
        ("a@XN--FA-HIA.test", "a@xn--fa-hia.test"),
        ("a@mail．test", "a@mail.test"),
        ("ü@bücher.test", "ü@xn--bcher-kva.test"),
        ("a@sub.local", "a@sub.local"),
    ],
)
def test_an_address_has_one_form(text: str, address: str) -> None:
    assert parse_mailbox(text).address == address
    assert parse_mailbox(f"Name <{text}>").address == address
    assert parse_mailbox(address).address == address


@examples(300)
@given(ANYTHING)
def test_any_text_is_mailboxes_or_an_invalid_address(text: str) -> None:
    try:
        boxes = parse_list(text)
    except InvalidAddress as error:
        check_shown(error)
        return
    for box in boxes:
        assert parse_list(box.address)[0].address == box.address
        assert not set("\r\n\0") & set(box.local_part + box.domain + box.display_name)


@examples(400)
@given(st.text('ab@.,:;<>"\\()[] \té\r=?', max_size=60))
def test_any_text_of_special_characters_is_too(text: str) -> None:
    try:
        boxes = parse_list(text)
    except InvalidAddress:
        return
    for box in boxes:
        assert box.domain == box.domain.lower()
        assert parse_list(box.address)[0].address == box.address


@examples(100)
@given(st.lists(ADDRESS, min_size=1, max_size=8))
def test_a_list_is_its_addresses_in_order(addresses: list[str]) -> None:
    assert [box.address for box in parse_list(", ".join(addresses))] == addresses


@pytest.mark.no_cover
@pytest.mark.parametrize(
    "piece",
    [
        *(
            "(",
            ")",
            "()",
            "<",
            ">",
            '"',
            '""',
            '"\\',
            "\\",
            ",",
            ";",
            ":",
            "g:",
            "g:;",
            "g:;,",
            "a@",
            "a.",
            "@",
            "[",
        ),
        *(" ", "\t", "a,", "a@x.test ", '<"', '<"a"', '"a"', "(\\", "é", "ü@", "xn--", "a@x.test(", "=?"),
        *("\u200b", "-", "x@é."),
    ],
)
def test_no_text_takes_more_than_linear_time(piece: str) -> None:
    """64 KiB of anything; the stdlib's parser took 216 seconds for commas."""
    for text in (piece * (MAX_TEXT // len(piece)), piece * (MAX_TEXT // len(piece) - 20) + "a@x.test"):
        for variant in (text, f"a@{text[:-2]}"):
            begin = time.process_time()
            with suppress(InvalidAddress):
                parse_list(variant)
            assert time.process_time() - begin < 0.5


def test_a_text_is_bounded_before_it_is_read() -> None:
    with pytest.raises(InvalidAddress, match="at most 65536"):
        parse_list("a@x.test," * 10_000)
    with pytest.raises(InvalidAddress, match="At most 1000"):
        parse_list("a@x.test," * 1_001)
