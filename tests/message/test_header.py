"""Header fields: a reader gets the value back, and nothing else becomes of it."""

import re

import pytest
from bed.readers import read_same
from hypothesis import given
from hypothesis import strategies as st
from strategies import ANYTHING, LINE_TEXT, check_octets, examples, header_lines, mail, quick

from nina_smtp.errors import NinaError, ParameterError
from nina_smtp.message import Mailbox, header


@examples(300)
@given(LINE_TEXT)
def test_a_subject_comes_back_as_it_was(subject: str) -> None:
    raw = mail(subject=subject).bytes
    check_octets(raw)
    assert [seen.subject for seen in quick(raw)] == [subject, subject]


@examples(40)
@given(LINE_TEXT)
def test_every_reader_sees_the_same_subject(subject: str) -> None:
    assert read_same(mail(subject=subject).bytes).subject == subject


@examples(300)
@given(st.text("ab =?_é日😀\t\u2028", max_size=150))
def test_a_subject_of_odd_characters_comes_back_too(subject: str) -> None:
    raw = mail(subject=subject).bytes
    assert [seen.subject for seen in quick(raw)] == [subject, subject]
    assert all(len(line) <= 76 for line in header_lines(raw) if b"=?" in line)


@examples(150)
@given(LINE_TEXT.map(lambda text: " ".join(text.split())), LINE_TEXT.map(lambda text: " ".join(text.split())))
def test_display_names_come_back_as_they_were(one: str, two: str) -> None:
    raw = mail(to=[Mailbox("b", "mail.test", one), Mailbox("c", "mail.test", two)]).bytes
    check_octets(raw)
    assert max(map(len, header_lines(raw))) <= 78
    for seen in quick(raw):
        assert seen.to in (None, [(one, "b@mail.test"), (two, "c@mail.test")])


@examples(40)
@given(LINE_TEXT.map(lambda text: " ".join(text.split())))
def test_every_reader_sees_the_same_display_name(name: str) -> None:
    read_same(mail(sender=Mailbox("a", "mail.test", name)).bytes)


@examples(200)
@given(LINE_TEXT)
def test_a_custom_header_comes_back_as_it_was(value: str) -> None:
    raw = mail(headers={"Subject-Of-Test": value}).bytes
    renamed = raw.replace(b"Subject: s\r\n", b"").replace(b"Subject-Of-Test:", b"Subject:")
    assert [seen.subject for seen in quick(renamed)] == [value, value]


@examples(300)
@given(ANYTHING, ANYTHING)
def test_any_header_is_written_or_refused(name: str, value: str) -> None:
    try:
        field = header.custom(name, value)
    except ParameterError:
        return
    assert field.isascii()
    assert field.split(":")[0] == name
    assert not re.search(r"[\x00-\x08\x0b-\x0c\x0e-\x1f]|\r(?!\n )|(?<!\r)\n", field)


@examples(200)
@given(st.text("abc é", max_size=300), st.integers(1, 76))
def test_no_line_is_longer_than_it_has_to_be(value: str, length: int) -> None:
    for line in header.custom("x" * length, value).split("\r\n")[1:]:
        assert len(line) <= 78 or " " not in line.strip()


@pytest.mark.parametrize("length", [77, 78, 79, 919, 920, 921, 922, 998, 999, 5000])
@pytest.mark.parametrize("name", ["X", "X" * 76])
def test_a_word_of_any_length_fits(name: str, length: int) -> None:
    for value in ("x" * length, "x" * length + " y", "y " + "x" * length):
        field = header.custom(name, value)
        assert max(map(len, field.split("\r\n"))) <= 998
        raw = mail(subject="s").bytes.replace(b"Subject: s", b"Subject" + field[len(name) :].encode())
        assert [seen.subject for seen in quick(raw)] == [value, value]


@pytest.mark.parametrize("length", range(40, 75))
def test_an_address_that_does_not_fit_beside_its_name_is_on_the_next_line(length: int) -> None:
    for name in ("N" * length, "N, " + "N" * (length - 3)):
        raw = mail(to=[Mailbox("b" * 40, "mail.test", name)] * 2).bytes
        assert max(map(len, header_lines(raw))) <= 78
        assert read_same(raw).to == [(name, "b" * 40 + "@mail.test")] * 2


def test_a_utf8_mailbox_without_smtputf8_is_an_empty_group_and_comes_last() -> None:
    boxes = [Mailbox("ü", "x.test", "Ü"), Mailbox("b", "x.test", "B")]
    field = header.addresses("To", boxes)
    assert re.fullmatch(r"To: B <b@x\.test>, =\?utf-8\?b\?[A-Za-z0-9+/]+=\?=\r\n :;", field)
    assert header.addresses("To", boxes, utf8=True) == "To: =?utf-8?q?=C3=9C?=\r\n <ü@x.test>, B <b@x.test>"


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("Bcc", "Use bcc."),
        ("SUBJECT", "Use subject."),
        ("content-type", "Use contentType."),
        ("Content-Anything", "written by us"),
        ("Received", "written by us"),
        ("Resent-To", "written by us"),
        ("X-Priority", "Use importance."),
        ("X Y", "no space"),
        ("", "no space"),
        ("X:", "no space"),
        ("x" * 77, "no space"),
        ("Ü", "no space"),
    ],
)
def test_a_reserved_or_malformed_name_is_refused(name: str, hint: str) -> None:
    with pytest.raises(ParameterError) as caught:
        header.custom(name, "1")
    assert hint in (caught.value.hint or "")


def test_a_value_has_a_limit() -> None:
    with pytest.raises(ParameterError, match="65536 are allowed"):
        header.custom("X-A", "é" * 65_537)


@examples(200)
@given(st.text(max_size=80))
def test_a_parameter_is_never_more_than_its_text(text: str) -> None:
    try:
        field = header.parameterized("Content-Disposition", "attachment", [("filename", text)])
    except (NinaError, UnicodeEncodeError):
        assert re.search("[\ud800-\udfff]", text)
        return
    assert field.isascii()
    assert max(map(len, field.split("\r\n"))) <= 78
    assert "=?" not in field
