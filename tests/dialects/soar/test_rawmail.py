"""The text of a whole message, and what is mended in it."""

import json
from pathlib import Path

import pytest
from dialects.soar.running import Soar
from hypothesis import given
from hypothesis import strategies as st
from strategies import examples

from nina_smtp.dialects.soar.rawmail import mend

EXAMPLES = Path(__file__).parents[3] / "examples" / "soar"
WHO = "Error: Failed to send the email. The {} is unavailable. Please check the action parameters"


@pytest.mark.parametrize(
    ("raw", "who"),
    [
        ("To: b@x.test\nSubject: s\n\nFrom: a@x.test\n", "sender (from)"),
        ("From: \nTo: b@x.test\n\nB", "sender (from)"),
        ("no header at all", "sender (from)"),
        (r"to: b@x.test\n\nfrom: a@x.test", "sender (from)"),
        ("From: a@x.test\nSubject: s\n\nTo: b@x.test", "recipient (to)"),
        ("From: a@x.test\nTo:\n\nB", "recipient (to)"),
    ],
)
def test_a_message_without_sender_or_recipient_is_told_so(soar: Soar, raw: str, who: str) -> None:
    done = soar("send rawemail", {"raw_email": raw})
    assert done.status == 2
    assert done.result["status"] == "failed"
    assert done.message.startswith(WHO.format(who))
    assert not soar.recorder.sessions


def test_a_backslash_in_a_text_with_line_breaks_is_a_backslash(soar: Soar) -> None:
    raw = "From: a@x.test\nTo: b@x.test\nSubject: C:\\new\n\nSee C:\\new\\notes.txt\n"
    assert soar("send rawemail", {"raw_email": raw}).status == 0
    assert soar.headers["subject"] == r"C:\new"
    assert soar.mail.text == "See C:\\new\\notes.txt\n"


@pytest.mark.parametrize(
    ("raw", "meant"),
    [
        (r"A: 1\nB: 2\n\nText\nMore", "A: 1\nB: 2\n\nText\nMore"),
        (r"A: 1\r\nB: 2\r\n\r\nText", "A: 1\nB: 2\n\nText"),
        (r"A: 1\n B: 2\n   C:3\n\n D: in the body", "A: 1\nB: 2\nC:3\n\n D: in the body"),
        (r"A: 1\n folded on" + "\n", "A: 1\n folded on\n"),
        ("A: 1\n B: 2\n\nText", "A: 1\n B: 2\n\nText"),
        ("A: 1\nText without a line before", "A: 1\n\nText without a line before"),
        ("A: 1\n<p>Note:</p>", "A: 1\n\n<p>Note:</p>"),
        ("A: 1\n   \nText", "A: 1\n\nText"),
        ("\n\nA: 1\n\nText", "A: 1\n\nText"),
        ("A: 1", "A: 1"),
    ],
)
def test_what_is_mended(raw: str, meant: str) -> None:
    assert mend(raw) == meant


@examples(150)
@given(st.text(st.sampled_from("ab:\\n \r\n\t<"), max_size=40) | st.text(max_size=40))
def test_a_text_that_was_mended_is_not_changed_again(text: str) -> None:
    assert mend(mend(text)) == mend(text)


@pytest.mark.parametrize(
    ("number", "recipients", "subject", "body"),
    [
        (1, ["receiver@testdomain.com"], "Test", "Body Text\n"),
        (2, ["receiver@testdomain.com"], "HTML Test",
         "<html><body><h2>This is test</h2><br>This is unicode data.</body></html>\n"),
        (3, ["receiver1@testdomain.com", "receiver2@testdomain.com"], "CommaSeparated Recipients Test",
         "This is test data.\n"),
    ],
)  # fmt: skip
def test_the_examples_of_the_documentation_arrive(
    soar: Soar, number: int, recipients: list[str], subject: str, body: str
) -> None:
    document = json.loads((EXAMPLES / f"send-rawemail-{number}.json").read_text(encoding="utf-8"))
    done = soar("send rawemail", document)
    assert (done.status, done.message) == (0, "Email sent")
    assert soar.recipients == recipients
    assert soar.mail.subject == subject
    assert body in ((soar.mail.html if number == 2 else soar.mail.text) or "")


def test_blind_copies_get_it_and_nobody_sees_them(soar: Soar) -> None:
    raw = "From: a@x.test\nTo: b@x.test\nCc: c@x.test\nBcc: d@x.test\nSubject: s\n\nB\n"
    assert soar("send rawemail", {"raw_email": raw}).status == 0
    assert soar.recipients == ["b@x.test", "c@x.test", "d@x.test"]
    assert b"d@x.test" not in soar.recorder.messages[0].content
