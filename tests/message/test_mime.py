"""Messages: their headers, their shape, and what is wrong with them by name."""

import base64
import io
import re
from dataclasses import dataclass
from typing import Any

import pytest
from bed.parts import headers_of
from bed.readers import read_same
from hypothesis import given
from hypothesis import strategies as st
from strategies import (
    ADDRESS,
    ANYTHING,
    BODY_TEXT,
    LINE_TEXT,
    check_octets,
    check_shown,
    examples,
    header_lines,
    mail,
    quick,
)

from nina_smtp.errors import InvalidAddress, MissingParameter, NinaError, ParameterError
from nina_smtp.message import Attachment, Email, Mailbox, Message, compose
from nina_smtp.message.mime import format_date
from nina_smtp.message.parts import MAX_HTML_FOR_TEXT

CSV = Attachment("a.csv", "aWQK", "text/csv")
LOGO = Attachment("logo.png", "iVBORw0KGgo=", "image/png", "logo")


def headers(message: Message) -> dict[str, str]:
    return {name: value.strip() for name, value in headers_of(message.bytes)}


def shape(message: Message) -> str:
    """The types in order, as in ``mixed(alternative(plain html) csv)``."""
    kinds = re.findall(
        r"^Content-Type: (\w+/[\w.-]+)|^(--=_nina_\w+--)", message.bytes.decode(), re.MULTILINE
    )
    text = ""
    for kind, end in kinds:
        if end:
            text = text.rstrip() + ") "
        else:
            name = kind.split("/")[1]
            text += f"{name}(" if kind.startswith("multipart/") else f"{name} "
    return text.strip()


# -- shape -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"text": "x"}, "plain"),
        ({"text": None, "html": "<p>x"}, "alternative(plain html)"),
        ({"text": "x", "html": "<p>x"}, "alternative(plain html)"),
        ({"text": "", "html": "<p>x"}, "html"),
        ({"text": "x", "attachments": [CSV]}, "mixed(plain csv)"),
        ({"text": "x", "html": "<p>x", "attachments": [CSV]}, "mixed(alternative(plain html) csv)"),
        ({"text": "", "html": "<img src=cid:logo>", "attachments": [LOGO]}, "related(html png)"),
        (
            {"text": "x", "html": "<img src='cid:logo'>", "attachments": [LOGO]},
            "alternative(plain related(html png))",
        ),
        (
            {"text": "x", "html": '<img src="cid:logo">', "attachments": [CSV, LOGO]},
            "mixed(alternative(plain related(html png)) csv)",
        ),
        ({"text": "x", "html": "<p>x", "attachments": [LOGO]}, "mixed(alternative(plain html) png)"),
    ],
)
def test_there_are_only_the_layers_that_are_needed(values: dict[str, Any], expected: str) -> None:
    message = mail(**values)
    assert shape(message) == expected
    check_octets(message.bytes)
    read_same(message.bytes)


def test_an_inline_file_is_named_by_its_content_id() -> None:
    message = mail(html='<img src="cid:logo">', attachments=[LOGO])
    assert b"Content-ID: <logo>\r\nContent-Disposition: inline; filename=logo.png" in message.bytes
    (attachment,) = read_same(message.bytes).attachments or []
    assert attachment.content_id == "logo"
    assert not message.warnings


@pytest.mark.parametrize("html", ["<p>cid:logo2", "<p>logo", "", "cid:", "<img src='cid:Logo'>"])
def test_a_content_id_that_nothing_refers_to_is_an_attachment_and_a_warning(html: str) -> None:
    message = mail(html=html or "<p>", attachments=[LOGO])
    assert "Content-Disposition: attachment" in message.bytes.decode()
    assert message.warnings == ("Nothing in the HTML refers to cid:logo (attachments[0]).",)


@pytest.mark.parametrize(
    ("content_id", "html"),
    [
        ("a@b", "<img src='cid:a%40b'>"),
        ("a@b", '<img src="CID:a@b">'),
        ("a&b", '<img src="cid:a&amp;b">'),
        ("it's", '<img src="cid:it\'s">'),
        ("logo", "<div style='background: url(cid:logo)'>"),
    ],
)
def test_every_spelling_of_a_reference_counts(content_id: str, html: str) -> None:
    message = mail(html=html, attachments=[Attachment("x.png", "AAEC", "image/png", content_id)])
    assert not message.warnings
    assert b"Content-Disposition: inline" in message.bytes


def test_two_files_with_one_content_id_are_refused() -> None:
    with pytest.raises(ParameterError) as caught:
        mail(html="cid:logo", attachments=[LOGO, LOGO])
    assert caught.value.parameter == "attachments[1].contentId"


def test_html_that_is_too_large_gets_no_alternative() -> None:
    message = mail(text=None, html="x" * (MAX_HTML_FOR_TEXT + 1))
    assert shape(message) == "html"
    assert message.warnings == ("The HTML is too large for a plain-text alternative; give textBody.",)


def test_the_largest_file_is_known() -> None:
    assert mail(attachments=[CSV, LOGO]).largest == "logo.png"
    assert mail().largest is None


def test_a_mail_inside_a_mail_is_a_file() -> None:
    inner = base64.b64encode(mail().bytes).decode()
    for kind in ("message/rfc822", None):
        message = mail(attachments=[Attachment("mail.eml", inner, kind)])
        (attachment,) = read_same(message.bytes).attachments or []
        assert attachment.content_type in ("application/octet-stream", "text/plain")
        assert attachment.content == base64.b64decode(inner)


# -- headers -----------------------------------------------------------------------------------------


def test_a_mail_has_exactly_these_headers_in_this_order() -> None:
    message = mail(
        date=0, message_id="<1@x.test>", headers={"X-A": "1"}, cc="c@mail.test", reply_to="r@mail.test"
    )
    assert message.bytes == (
        b"Date: Thu, 01 Jan 1970 00:00:00 +0000\r\nFrom: a@mail.test\r\nTo: b@mail.test\r\n"
        b"Cc: c@mail.test\r\nReply-To: r@mail.test\r\nSubject: s\r\nMessage-ID: <1@x.test>\r\nX-A: 1\r\n"
        b"MIME-Version: 1.0\r\n"
        b"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 7bit\r\n\r\nBody\r\n"
    )


@pytest.mark.parametrize(
    ("importance", "expected"),
    [("normal", None), ("high", ("high", "1", "High")), ("low", ("low", "5", "Low"))],
)
def test_importance_is_said_in_three_headers(importance: str, expected: tuple[str, ...] | None) -> None:
    found = headers(mail(importance=importance))
    names = ("Importance", "X-Priority", "X-MSMail-Priority")
    assert tuple(found.get(name) for name in names) == (expected or (None, None, None))


def test_a_reply_refers_at_least_to_what_it_answers() -> None:
    found = headers(mail(in_reply_to="<1@x.test>"))
    assert found["References"] == found["In-Reply-To"] == "<1@x.test>"
    found = headers(mail(in_reply_to="2@x.test", references=["<1@x.test>", "2@x.test"]))
    assert found["References"] == "<1@x.test> <2@x.test>"


def test_bcc_is_in_the_envelope_only() -> None:
    message = mail(to="b@mail.test", bcc=["jane@mail.test", "b@mail.test"])
    assert message.envelope.recipients == ("b@mail.test", "jane@mail.test")
    assert b"jane@mail.test" not in message.bytes  # c@mail.test may be the end of a Message-ID


def test_a_mail_to_nobody_but_bcc_has_no_to() -> None:
    message = mail(to="undisclosed-recipients:;", bcc="c@mail.test")
    assert message.envelope.recipients == ("c@mail.test",)
    assert "To" not in headers(message)


def test_the_envelope_sender_is_from_unless_said_otherwise() -> None:
    assert mail().envelope.sender == "a@mail.test"
    assert mail(envelope_from="bounces@mail.test").envelope.sender == "bounces@mail.test"
    assert mail(envelope_from="").envelope.sender == ""


def test_the_same_mail_is_the_same_octets() -> None:
    one, two = (mail(message_id="<1@x.test>", date=1.5, html="<p>x", attachments=[CSV]).bytes for _ in "12")
    assert one == two
    assert mail().message_id != mail().message_id


def test_a_body_that_holds_the_boundary_does_not_end_its_part() -> None:
    boundary = re.search(rb"--(=_nina_\w+)", mail(message_id="<1@x.test>", attachments=[CSV]).bytes)
    assert boundary
    text = f"x\n--{boundary[1].decode()}--\nContent-Type: text/html\n\n<script>"
    for values in ({"text": text}, {"text": text + "é"}, {"text": "x", "html": text}):
        for sender in ("a@mail.test", "ü@mail.test"):
            message = mail(**values, sender=sender, message_id="<1@x.test>", attachments=[CSV])
            by_rust = quick(message.bytes)[1]
            assert (values.get("html") and by_rust.html) or by_rust.text == values["text"]
            assert len(by_rust.attachments or []) == 1


def test_a_date_is_utc_in_english() -> None:
    assert format_date(951_782_400.9) == "Tue, 29 Feb 2000 00:00:00 +0000"


# -- errors ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "parameter"),
    [
        ({"sender": "x"}, "from"),
        ({"sender": "a@x.test, b@x.test"}, "from"),
        ({"sender": "g:;"}, "from"),
        ({"to": "x"}, "to"),
        ({"to": ["a@x.test", "x"]}, "to[1]"),
        ({"to": []}, "to"),
        ({"to": "g:;"}, "to"),
        ({"to": ["b@mail.test"] * 1001}, "to"),
        (
            {"to": [f"b{n}@mail.test" for n in range(600)], "cc": [f"c{n}@mail.test" for n in range(600)]},
            "to",
        ),
        ({"cc": "x"}, "cc"),
        ({"bcc": ["x"]}, "bcc[0]"),
        ({"reply_to": "x"}, "replyTo"),
        ({"envelope_from": "x"}, "envelopeFrom"),
        ({"envelope_from": "a@x.test, b@x.test"}, "envelopeFrom"),
        ({"subject": "a\nb"}, "subject"),
        ({"text": "\ud800"}, "body"),
        ({"html": "\ud800"}, "body"),
        ({"text": "\ud800", "html": "x"}, "textBody"),
        ({"text": "\ud800", "secret_key": "k"}, "body"),
        ({"secret_key": ""}, "secretKey"),
        ({"importance": "urgent"}, "importance"),
        ({"headers": {"Bcc": "x"}}, "headers.Bcc"),
        ({"headers": {"X\r\nY": "x"}}, "headers.'X\\r\\nY'"),
        ({"headers": {"X-A": "x\n"}}, "headers.X-A"),
        ({"message_id": "x"}, "messageId"),
        ({"in_reply_to": "x"}, "inReplyTo"),
        ({"references": ["<a@b>", "x"]}, "references"),
        ({"attachments": [CSV, Attachment("", "AAEC")]}, "attachments[1].filename"),
        ({"attachments": [Attachment("x", "AAE")]}, "attachments[0].content"),
        ({"attachments": [Attachment("x", "AAEC", "x")]}, "attachments[0].contentType"),
        ({"attachments": [Attachment("x", "AAEC", None, "")]}, "attachments[0].contentId"),
        ({"attachments": [Attachment("x", "AAEC", None, None, "x")]}, "attachments[0].disposition"),
    ],
)
def test_what_is_wrong_is_named(values: dict[str, Any], parameter: str) -> None:
    with pytest.raises(ParameterError) as caught:
        mail(**values)
    assert caught.value.parameter == parameter


def test_no_recipient_and_too_many_are_errors_of_their_own() -> None:
    with pytest.raises(MissingParameter):
        mail(to=())
    with pytest.raises(InvalidAddress, match="At most 1000"):
        mail(to=["b@mail.test"] * 1001)


MSG_ID = st.from_regex(r"<[a-zA-Z0-9.!#$%&'*+/=?^_`{|}~-]{1,100}@[a-z.]{1,60}>", fullmatch=True)
NAMES = ("sender", "to", "subject", "text", "html", "cc", "message_id", "envelope_from", "secret_key")
FILES = st.builds(Attachment, ANYTHING, ANYTHING, ANYTHING | st.none(), ANYTHING | st.none())
VALUES = st.fixed_dictionaries(
    {},
    optional=dict.fromkeys(NAMES, ANYTHING)
    | {
        "headers": st.dictionaries(ANYTHING, ANYTHING, max_size=2),
        "references": st.lists(ANYTHING, max_size=2),
        "attachments": st.lists(FILES, max_size=1),
    },
)


@examples(300)
@given(VALUES)
def test_whatever_comes_in_a_message_or_a_ninaerror_comes_out(values: dict[str, Any]) -> None:
    try:
        message = mail(**values)
    except NinaError as error:
        check_shown(error)
        return
    assert message.size == len(message.bytes)
    check_octets(message.bytes)


@examples(200)
@given(
    subject=LINE_TEXT,
    text=BODY_TEXT,
    html=BODY_TEXT,
    to=st.lists(ADDRESS, min_size=1, max_size=5, unique=True),
    content=st.lists(st.binary(max_size=200), max_size=3),
    utf8=st.booleans(),
    given_text=st.booleans(),
)
def test_a_whole_mail_comes_back_as_it_was(
    subject: str, text: str, html: str, to: list[str], content: list[bytes], *, utf8: bool, given_text: bool
) -> None:
    files = [
        Attachment(f"{n}.bin", base64.b64encode(one).decode(), "application/octet-stream")
        for n, one in enumerate(content)
    ]
    cc = "ü@mail.test" if utf8 else "c@mail.test"
    message = mail(
        subject=subject, text=text if given_text else None, html=html, to=to, cc=cc, attachments=files
    )
    raw = message.bytes
    assert message.size == len(raw)
    check_octets(raw)
    assert message.needs_smtputf8 == utf8
    assert message.envelope.recipients == (*to, cc)
    for seen in quick(raw):
        assert seen.subject == subject
        assert [address for _, address in seen.to or []] == to
        assert (seen.html or "").removesuffix("\n") == html.removesuffix("\n")
        assert [file.content for file in seen.attachments or []] == content
        if given_text and text:
            assert (seen.text or "").removesuffix("\n") == text.removesuffix("\n")


@examples(30)
@given(text=BODY_TEXT, html=BODY_TEXT.filter(bool), name=LINE_TEXT)
def test_every_reader_sees_the_same_mail(text: str, html: str, name: str) -> None:
    read_same(
        mail(
            sender=Mailbox("a", "mail.test", " ".join(name.split())), text=text, html=html, attachments=[CSV]
        ).bytes
    )


@examples(60)
@given(st.lists(MSG_ID, min_size=1, max_size=40))
def test_references_come_back_as_they_were(references: list[str]) -> None:
    message = mail(references=references)
    assert headers(message)["References"].split() == references
    assert max(map(len, header_lines(message.bytes))) <= max(78, *(len(one) + 12 for one in references))


# -- files and SMTPUTF8 ------------------------------------------------------------------------------


@dataclass
class Stored:
    size: int = 200_000

    def open(self) -> io.BytesIO:
        return io.BytesIO(bytes(self.size))


def test_a_stored_file_is_read_while_the_message_is() -> None:
    message = mail(attachments=[Attachment("x.bin", Stored())])
    assert message.size == len(message.bytes) == sum(map(len, message.chunks()))
    assert len([*message.chunks()]) > 3
    assert quick(message.bytes)[0].attachments[0].content == bytes(200_000)


def test_a_mail_for_a_server_without_smtputf8_is_the_same_mail() -> None:
    message = mail(to=["Ü <ü@mail.test>", "b@mail.test"], text="grün\n", attachments=[LOGO], subject="é")
    assert message.needs_smtputf8
    assert message.needs_8bitmime
    plain, left_out = message.without_smtputf8()
    assert left_out == ("ü@mail.test",)
    assert plain.envelope.recipients == ("b@mail.test",)
    assert not plain.needs_smtputf8
    assert not plain.needs_8bitmime
    assert plain.bytes.isascii()
    assert plain.size == len(plain.bytes)
    same = ("Date", "Message-ID", "Subject", "From")
    assert [headers(plain)[name] for name in same] == [headers(message)[name] for name in same]
    seen = read_same(plain.bytes)
    assert seen.to == [("", "b@mail.test")]
    assert seen.text == "grün\n"
    assert [file.content for file in seen.attachments or []] == [b"\x89PNG\r\n\x1a\n"]


def test_a_utf8_sender_has_no_other_form() -> None:
    plain, left_out = mail(sender="ü@mail.test").without_smtputf8()
    assert plain.envelope.recipients == ()
    assert left_out == ("b@mail.test",)


def test_a_bcc_alone_does_not_make_the_header_utf8() -> None:
    message = mail(bcc="ü@mail.test", text="grün\n")
    assert message.needs_smtputf8
    assert not message.needs_8bitmime
    assert message.bytes.isascii()


def test_an_email_does_not_show_its_key() -> None:
    email = Email("a@x.test", "b@x.test", "s", "t", secret_key="canary")
    assert "canary" not in repr(email) + repr(compose(email))
