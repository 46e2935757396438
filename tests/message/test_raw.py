"""Whole messages: sent as they are, but for what has to change."""

import pytest
from bed.parts import headers_of
from bed.readers import read_same
from hypothesis import given
from hypothesis import strategies as st
from strategies import ANYTHING, BODY_TEXT, examples, mail

from nina_smtp.errors import MissingParameter, NinaError, ParameterError
from nina_smtp.message import compose_raw

HEAD = "From: a@mail.test\nTo: b@mail.test\nMessage-ID: <1@x.test>\nDate: Thu, 01 Jan 1970 00:00:00 +0000\n"


@examples(100)
@given(text=BODY_TEXT, html=BODY_TEXT)
def test_a_finished_message_is_sent_as_it_is(text: str, html: str) -> None:
    message = mail(text=text, html=html, bcc="c@mail.test")
    again = compose_raw(message.bytes.decode())
    assert again.bytes == message.bytes
    assert again.message_id == message.message_id
    assert not again.warnings


def test_bcc_goes_into_the_envelope_whatever_it_looks_like() -> None:
    text = (
        HEAD
        + "BCC: C <c@mail.test>,\n\td@mail.test\nCc: e@mail.test\nX-Bcc: f@mail.test\nbcc : b@mail.test\n\nx"
    )
    message = compose_raw(text)
    assert message.envelope.recipients == ("b@mail.test", "e@mail.test", "c@mail.test", "d@mail.test")
    assert (
        message.bytes == (HEAD + "Cc: e@mail.test\nX-Bcc: f@mail.test\n\nx\n").replace("\n", "\r\n").encode()
    )


@pytest.mark.parametrize("end", ["\n", "\r", "\r\n"])
def test_bare_line_ends_become_crlf(end: str) -> None:
    message = compose_raw((HEAD + "\none\n.\ntwo").replace("\n", end))
    assert message.bytes.endswith(b"\r\n\r\none\r\n.\r\ntwo\r\n")
    assert message.size == len(message.bytes)


def test_a_missing_date_and_message_id_are_added_and_told() -> None:
    message = compose_raw("From: a@mail.test\nTo: b@mail.test\nMessage-ID:\n\nx", date=0)
    assert len(message.warnings) == 2
    pairs = headers_of(message.bytes)
    assert [name for name, _ in pairs] == ["Date", "Message-ID", "From", "To"]
    assert message.message_id.endswith("@mail.test>")
    message = compose_raw("From: a@mail.test\nTo: b@mail.test\n\nx", message_id="7@x.test")
    assert message.message_id == "<7@x.test>"


def test_the_message_id_given_is_one_message_id() -> None:
    with pytest.raises(ParameterError) as caught:
        compose_raw("From: a@mail.test\nTo: b@mail.test\n\nx", message_id="<1@x.test>\r\nX-Evil: 1")
    assert caught.value.parameter == "messageId"


def test_the_reverse_path_is_from_unless_said_otherwise() -> None:
    assert compose_raw(HEAD).envelope.sender == "a@mail.test"
    assert compose_raw(HEAD, envelope_from="").envelope.sender == ""
    assert compose_raw(HEAD, envelope_from="B <b@x.test>").envelope.sender == "b@x.test"
    for wrong in ("x", "a@x.test, b@x.test"):
        with pytest.raises(ParameterError) as caught:
            compose_raw(HEAD, envelope_from=wrong)
        assert caught.value.parameter == "envelopeFrom"


def test_undisclosed_recipients_are_fine_with_a_bcc() -> None:
    text = "From: a@mail.test\nTo: undisclosed-recipients:;\n"
    assert compose_raw(text + "Bcc: c@mail.test\n\nx").envelope.recipients == ("c@mail.test",)
    with pytest.raises(MissingParameter):
        compose_raw(text + "\nx")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no From"),
        (HEAD + "From: c@mail.test\n\nx", "2 From"),
        (HEAD + "no colon\n\nx", "Line 5 .* not a header field"),
        (" folded\n" + HEAD, "Line 1 .* not a header field"),
        (HEAD + "\n" + "x" * 999, "Line 6 .* 999 octets"),
        (HEAD + " \nBcc: c@mail.test\n\nx", "Line 5 .* not a header field"),
        (HEAD + "\n\0", "NUL"),
        (HEAD + "\n\ud800", "surrogate"),
        (HEAD + "Cc: x\n\n", "Cc of the raw message"),
        (HEAD + "Cc: a@x.test\n b@x.test\n\n", "Cc of the raw message"),
    ],
)
def test_what_cannot_be_sent_is_refused(text: str, message: str) -> None:
    with pytest.raises(ParameterError, match=message) as caught:
        compose_raw(text)
    assert caught.value.parameter == "rawEmail"


def test_what_needs_an_extension_says_so() -> None:
    message = compose_raw(HEAD + "\ngrün")
    assert (message.needs_8bitmime, message.needs_smtputf8) == (True, False)
    message = compose_raw(HEAD + "Subject: grün\n\nx")
    assert (message.needs_8bitmime, message.needs_smtputf8) == (True, True)
    plain, left_out = message.without_smtputf8()
    assert not plain.envelope.recipients
    assert left_out == ("b@mail.test",)


def test_it_is_read_as_it_was_written() -> None:
    seen = read_same(compose_raw(HEAD + "Subject: =?utf-8?q?gr=C3=BCn?=\nBcc: c@mail.test\n\nhello").bytes)
    assert (seen.subject, seen.text) == ("grün", "hello\n")
    assert "bcc" not in seen.header_names


@examples(300)
@given(ANYTHING, st.sampled_from(["", HEAD, HEAD + "\n", HEAD + "Bcc: "]))
def test_any_text_is_sent_or_refused(text: str, before: str) -> None:
    try:
        message = compose_raw(before + text)
    except NinaError:
        return
    assert message.size == len(message.bytes)
    assert "bcc" not in {name.lower() for name, _ in headers_of(message.bytes)}
