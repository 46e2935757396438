"""What hypothesis makes up for the tests of messages, and what they all check."""

import re
from typing import Any

from bed.readers import Mail, readers
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from nina_smtp.errors import NinaError
from nina_smtp.message import Email, Message, compose

ANYTHING = st.text(max_size=200)  # all categories: controls, surrogates, private use
# What a header can hold: no C0 but TAB, VT, FF, FS to US; and no noncharacters, which Perl will not read.
LINE_TEXT = st.text(
    st.characters(exclude_categories=["Cs", "Cc", "Cn"], include_characters="\t"), max_size=200
)
BODY_TEXT = st.text(st.characters(exclude_categories=["Cs", "Cn"], exclude_characters="\r\x00"), max_size=400)
WORD = st.text("abcdefghijklmnopqrstuvwxyz0123456789-_+", min_size=1, max_size=20)
ADDRESS = st.builds(
    "{}@{}.test".format,
    st.lists(WORD, min_size=1, max_size=3).map(".".join),
    st.from_regex(r"[a-z0-9]([a-z0-9]{0,10}[a-z0-9])?", fullmatch=True),
)


def examples(count: int) -> settings:
    """The same examples every time, without a deadline."""
    return settings(
        max_examples=count, derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow]
    )


def mail(**values: Any) -> Message:
    """A message of `values`, with the rest filled in."""
    given: dict[str, Any] = {"sender": "a@mail.test", "to": "b@mail.test", "subject": "s", "text": "Body\n"}
    return compose(Email(**given | values))


def quick(raw: bytes) -> list[Mail]:
    """The mail as the readers that run in this process see it: Python's and Rust's."""
    return [readers()["python"](raw), readers()["rust"](raw)]


def check_octets(raw: bytes, *, limit: int = 998) -> None:
    """CRLF only, no controls but TAB, no line over `limit`."""
    assert not re.search(rb"(?<!\r)\n|\r(?!\n)|[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]", raw)
    assert max(map(len, raw.split(b"\r\n"))) <= limit


def check_shown(error: NinaError) -> None:
    """What an error says is fit for a log, whatever it is about."""
    for text in (error.message, error.hint or "", error.parameter or ""):
        assert text.isprintable()
        assert len(text) < 1000


def header_lines(raw: bytes) -> list[bytes]:
    return raw.partition(b"\r\n\r\n")[0].split(b"\r\n")
