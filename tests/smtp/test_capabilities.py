"""What an EHLO reply offers, however it is written."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nina_smtp.smtp.capabilities import Capabilities
from nina_smtp.smtp.replies import Reply


def offered(*lines: str) -> Capabilities:
    return Capabilities.from_reply(Reply(250, ("mail.test", *lines)))


@given(st.lists(st.text(max_size=40)))
def test_whatever_a_server_says_is_read(lines: list[str]) -> None:
    capabilities = offered(*lines)
    assert capabilities.size is None or capabilities.size > 0
    assert all(keyword == keyword.upper() for keyword in capabilities.keywords)


def test_the_name_of_the_server_is_no_keyword() -> None:
    assert "STARTTLS" not in Capabilities.from_reply(Reply(250, ("STARTTLS",)))


def test_keywords_and_mechanisms_are_read_in_any_case() -> None:
    capabilities = offered("starttls", "Auth plain Login", "8BitMime")
    assert "STARTTLS" in capabilities
    assert "8BITMIME" in capabilities
    assert capabilities.mechanisms == {"PLAIN", "LOGIN"}


@pytest.mark.parametrize("line", ["AUTH=LOGIN", "AUTH=LOGIN PLAIN", "auth=login", "AUTH LOGIN"])
def test_the_old_form_of_auth_is_read(line: str) -> None:
    assert "LOGIN" in offered(line).mechanisms


def test_the_mechanisms_of_several_lines_are_put_together() -> None:
    capabilities = offered("AUTH PLAIN", "AUTH=LOGIN", "AUTH XOAUTH2")
    assert capabilities.mechanisms == {"PLAIN", "LOGIN", "XOAUTH2"}
    assert capabilities.offered_mechanisms == "LOGIN, PLAIN, XOAUTH2"


def test_without_auth_no_mechanism_is_offered() -> None:
    assert offered("SIZE 10").offered_mechanisms == "none"
    assert offered("AUTH").offered_mechanisms == "none"


@pytest.mark.parametrize(
    ("line", "size"),
    [
        ("SIZE 1000", 1000),
        ("size 1000", 1000),
        ("SIZE 1000 and more", 1000),
        ("SIZE", None),
        ("SIZE 0", None),
        ("SIZE -1", None),
        ("SIZE 1e9", None),
        ("SIZE 10 MB", 10),
        ("SIZE ٣", None),
        ("SIZE ²", None),
        ("SIZE 99999999999999999999", None),
        ("SIZE " + "9" * 2000, None),
        ("SIZES 10", None),
    ],
)
def test_only_a_plain_number_is_a_size(line: str, size: int | None) -> None:
    assert offered(line).size == size


@pytest.mark.parametrize("line", ["", " ", "-", "X_Y 1", "*", "STARTTLS\t", "ÜBER"])
def test_a_line_that_is_no_keyword_is_passed_over(line: str) -> None:
    assert offered(line).keywords == {}
