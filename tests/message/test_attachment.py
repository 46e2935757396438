"""Attachments: base64 judged strictly, rewrapped exactly, and names that are only names."""

import base64
import io
import random
import re
import time
import zipfile
from contextlib import suppress
from dataclasses import dataclass

import pytest
from bed.readers import read_same
from hypothesis import given
from hypothesis import strategies as st
from strategies import ANYTHING, LINE_TEXT, check_shown, examples, mail, quick

from nina_smtp.errors import InvalidAttachment
from nina_smtp.message import Attachment
from nina_smtp.message.attachment import (
    SLICE,
    FileContent,
    check_base64,
    check_content_id,
    check_content_type,
    check_filename,
    sniff,
)


@dataclass
class Stored:
    content: bytes

    @property
    def size(self) -> int:
        return len(self.content)

    def open(self) -> io.BytesIO:
        return io.BytesIO(self.content)


def wire(content: bytes) -> bytes:
    """What base64 in lines of 76 is."""
    text = base64.b64encode(content)
    return b"".join(text[start : start + 76] + b"\r\n" for start in range(0, len(text), 76))


@examples(200)
@given(
    st.binary(max_size=500), st.lists(st.tuples(st.integers(0, 700), st.sampled_from(" \t\r\n")), max_size=30)
)
def test_content_is_rewrapped_with_or_without_white_space(
    content: bytes, spaces: list[tuple[int, str]]
) -> None:
    text = base64.b64encode(content).decode()
    for position, space in spaces:
        text = text[:position] + space + text[position:]
    checked = check_base64(text)
    lines = b"".join(checked.lines())
    assert lines == wire(content)
    assert checked.wire_size == len(lines)
    assert content.startswith(checked.head())
    assert b"".join(FileContent(Stored(content)).lines()) == lines


@pytest.mark.parametrize(
    "size", [0, 1, 2, 3, 56, 57, 58, SLICE // 4 * 3 - 1, SLICE // 4 * 3, SLICE // 4 * 3 + 1]
)
@pytest.mark.parametrize("more", [0, 57, 57 * 2048, 57 * 2048 + 1, 300_000])
def test_content_is_rewrapped_across_slices(size: int, more: int) -> None:
    content = random.Random(size).randbytes(size + more)
    wanted = wire(content)
    plain = base64.b64encode(content).decode()
    for text in (plain, base64.encodebytes(content).decode(), f"\n {plain} \n", wanted.decode()):
        checked = check_base64(text)
        assert b"".join(checked.lines()) == wanted
        assert checked.wire_size == len(wanted)
    stored = FileContent(Stored(content))
    assert b"".join(stored.lines()) == wanted
    assert stored.wire_size == len(wanted)


@examples(300)
@given(st.text("AZaz09+/= \n-_!\x00é", max_size=24))
def test_base64_is_judged_as_the_standard_library_judges_it(text: str) -> None:
    solid = re.sub(r"[ \t\r\n]", "", text)
    try:
        wanted = base64.b64decode(solid, validate=True)
        valid = base64.b64encode(wanted).decode() == solid  # no bits after the padding
    except ValueError:
        valid = False
    try:
        checked = check_base64(text)
    except InvalidAttachment:
        assert not valid
        return
    assert valid
    assert b"".join(checked.lines()) == wire(wanted)


@examples(100)
@given(st.integers(0, SLICE * 2), st.sampled_from("!-_.,*\x00\x0b\x7f\u00e9\ud800\u2028"))
def test_what_is_wrong_is_named_with_its_position(position: int, character: str) -> None:
    text = "A" * position + character + "A" * 20
    with pytest.raises(InvalidAttachment, match=f"at position {position}\\."):
        check_base64(text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("YQ", "not a multiple of 4"),
        ("YQ=", "not a multiple of 4"),
        ("Y===", "padding \\(=\\) at position 1"),
        ("YQ==YQ==", "padding \\(=\\) at position 2"),
        ("YR==", "bits are set in the padding at position 2"),
        ("YWJ" + " " * SLICE * 3 + "=", "bits are set"),
        (" " * SLICE * 3 + "==", "not a multiple of 4"),
        (" =", "not a multiple of 4"),
        ("data:;base64,YQ==", "position 4"),
    ],
)
def test_base64_that_is_not_whole_is_refused(text: str, message: str) -> None:
    with pytest.raises(InvalidAttachment, match=message):
        check_base64(text)


def test_the_hint_knows_what_people_paste() -> None:
    for text, hint in {
        "data:text/plain;base64,YQ==": "data: prefix",
        "ab-_": "URL-safe",
        "https://x.test/a": "never a path, a URL",
    }.items():
        with pytest.raises(InvalidAttachment) as caught:
            check_base64(text)
        assert hint in (caught.value.hint or "")


def test_a_large_attachment_is_checked_in_no_time() -> None:
    for text in ("A" * 30_000_000, "QQ" + " " * 30_000_000 + "==", "A\n" * 15_000_000, "=" * 30_000_000):
        begin = time.process_time()
        with suppress(InvalidAttachment):
            check_base64(text)
        assert time.process_time() - begin < 1


# -- names -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given_name", "name"),
    [
        ("../../etc/passwd", "passwd"),
        ("C:\\Users\\x\\report.pdf", "report.pdf"),
        ("a/b\\c.txt", "c.txt"),
        (" spaced .txt", " spaced .txt"),
        ("x" * 300 + ".tar.gz", "x" * 252 + ".gz"),
        ("é" * 300 + ".txt", "é" * 125 + ".txt"),
        ("x" * 300, "x" * 255),
        ("." + "x" * 300, "." + "x" * 254),
    ],
)
def test_a_file_name_is_its_last_component(given_name: str, name: str) -> None:
    assert check_filename(given_name) == name


@pytest.mark.parametrize(
    "name", ["", ".", "..", "a/", "/", "\\", " ", "a\nb", "a\x00", "\x7f", "\ud800", "\t"]
)
def test_what_is_not_a_file_name_is_refused(name: str) -> None:
    with pytest.raises(InvalidAttachment):
        check_filename(name)


@examples(150)
@given(LINE_TEXT.filter(lambda name: name.strip(". \t") and "\t" not in name))
def test_a_file_name_comes_back_as_it_was(name: str) -> None:
    try:
        wanted = check_filename(name)
    except InvalidAttachment:
        return
    raw = mail(attachments=[Attachment(name, "AAEC", "application/octet-stream")]).bytes
    by_python, by_rust = (seen.attachments for seen in quick(raw))
    assert by_python is not None
    assert (by_python[0].filename or "").strip(" <>\"'") == wanted.strip().strip(" <>\"'")
    if by_rust is not None:
        assert by_rust[0].filename == wanted


@examples(40)
@given(st.text("ab \"'%;=é日😀\u202e()<*,.?", min_size=1, max_size=80).map(lambda name: f"x{name}.txt"))
def test_every_reader_sees_the_same_file_name(name: str) -> None:
    if "=?" in name:  # postal-mime decodes RFC 2047 inside RFC 2231
        return
    mail_ = read_same(mail(attachments=[Attachment(name, "AAEC", "application/octet-stream")]).bytes)
    assert mail_.attachments is not None
    assert mail_.attachments[0].filename == name


# -- types and content ids ---------------------------------------------------------------------------


@examples(200)
@given(ANYTHING)
def test_any_name_type_and_id_is_used_or_refused(text: str) -> None:
    for check in (check_filename, check_content_id, check_content_type):
        try:
            check(text)
        except InvalidAttachment as error:
            check_shown(error)


def test_a_content_type_has_parameters_each_once() -> None:
    assert check_content_type('Text/CSV; Charset="utf-8";header=present') == (
        "text/csv",
        [("charset", "utf-8"), ("header", "present")],
    )
    for text in (
        "text/csv; a=1; A=2",
        "text/csv;",
        "text/csv; a=1\r\n",
        "text/csv;\r\n a=1",
        'x/y; a="\ud800"',
    ):
        with pytest.raises(InvalidAttachment):
            check_content_type(text)


def test_a_container_is_a_file_like_any_other() -> None:
    for text in (
        "message/rfc822",
        "Multipart/Mixed; boundary=x",
        "message/external-body; access-type=local-file",
    ):
        assert check_content_type(text) == ("application/octet-stream", [])


def test_a_name_inside_the_content_type_is_left_out() -> None:
    assert check_content_type("text/plain; name=evil.exe; charset=utf-8") == (
        "text/plain",
        [("charset", "utf-8")],
    )


def _docx() -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("[Content_Types].xml", "<Types/>" * 20)
        archive.writestr("_rels/.rels", "<Relationships/>")
        archive.writestr("word/document.xml", "<document/>")
    return file.getvalue()


@pytest.mark.parametrize(
    ("content", "name", "kind"),
    [
        (b"%PDF-1.7\n", "report.pdf", "application/pdf"),
        (b"%PDF-1.7\n", "report", "application/pdf"),
        (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + bytes(13), "logo.bin", "image/png"),
        (b"id,ip\n1,192.0.2.1\n", "findings.csv", "text/csv"),
        (b"hello\n", "notes.txt", "text/plain"),
        (b"hello\n", "notes.docx", "text/plain"),
        (
            b"MZ" + bytes(58) + b"\x80\0\0\0" + bytes(64) + b"PE\0\0\x4c\x01" + bytes(200),
            "invoice.pdf",
            "application/",
        ),
        (b"", "empty.csv", "text/csv"),
        (b"", "empty", "application/octet-stream"),
        (b"\0\1\2\3", "x.bin", "application/octet-stream"),
        (b"From: a@x.test\nTo: b@x.test\nSubject: x\nReceived: by x\n\nx\n", "mail.eml", ""),
        (_docx(), "report.docx", "application/vnd.openxmlformats-officedocument.wordprocessingml.document"),
    ],
)
def test_the_type_is_found_out(content: bytes, name: str, kind: str) -> None:
    found = sniff(content, name)
    assert found.startswith(kind)
    assert not found.startswith(("message/", "multipart/"))
    assert name != "invoice.pdf" or "pdf" not in found


@examples(100)
@given(st.binary(max_size=200), LINE_TEXT)
def test_any_content_has_a_type(content: bytes, name: str) -> None:
    assert re.fullmatch(r"[!-.0-~]+/[!-.0-~]+", sniff(content, name))
