"""Hostile and broken messages are read in time, in full, and without an exception."""

from __future__ import annotations

import json
import time
from email.message import EmailMessage  # noqa: TID251  a writer that is not ours

import pytest

from nina_smtp.inbox.kinds import kind_of
from nina_smtp.inbox.reader import Address, addresses, read

_NESTED = b"".join(
    b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n" % (i, i) for i in range(1000)
)

HOSTILE = {
    "nothing": b"",
    "one line end": b"\r\n",
    "zeros": b"\0" * 1000,
    "every byte": bytes(range(256)) * 50,
    "no header": b"just text",
    "commas": b"To: " + b"," * 500_000 + b"\r\n\r\nx",
    "brackets": b"To: " + b"(" * 100_000 + b"<" * 100_000 + b"\r\n\r\nx",
    "half encoded words": b"Subject: " + b"=?a?q?" * 100_000 + b"\r\n\r\nx",
    "parameters": b"Content-Type: multipart/mixed; " + b'a="b;' * 100_000 + b"\r\n\r\nx",
    "1000 nested multiparts": _NESTED + b"\r\nhello",
    "a boundary in itself": b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n" * 1000,
    "a million parts": b"Content-Type: multipart/mixed; boundary=b\r\n\r\n" + b"--b\r\n\r\n" * 1_000_000,
    "a million fields": b"A: b\r\n" * 1_000_000,
    "codecs that are no charsets": b"".join(
        b"Subject: =?%s?q?a=ff?=\r\n" % name for name in (b"idna", b"hex", b"zlib", b"undefined", b"rot13")
    ),
    "a lone surrogate in UTF-7": b"Content-Type: text/plain; charset=utf-7\r\n\r\n+2AA-",
    "a file name in no charset": b"Content-Type: x/y; name*=idna''%ff%fe; name*9999999999*=a\r\n\r\n",
    "base64 that is none": b"Content-Type: image/png\r\nContent-Transfer-Encoding: base64\r\n\r\n!!!QUJ",
    "tags without end": b"Content-Type: text/html\r\n\r\n" + b"<img src=" * 200_000,
}


@pytest.mark.parametrize("raw", HOSTILE.values(), ids=HOSTILE.keys())
def test_a_hostile_message_is_read_quickly_and_can_be_written_as_json(raw: bytes) -> None:
    before = time.process_time()
    reading = read(raw)
    assert time.process_time() - before < 5
    assert reading.size == len(raw)
    json.dumps(reading.as_dict(), ensure_ascii=False).encode("utf-8")
    assert not any("could not be taken apart" in warning for warning in reading.warnings)


def test_a_bug_of_the_reader_still_shows_the_source(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(raw: bytes) -> None:
        raise RecursionError

    monkeypatch.setattr("nina_smtp.inbox.reader.take_apart", broken)
    reading = read(b"Subject: x\r\n\r\nbody")
    assert reading.text == "Subject: x\r\n\r\nbody"
    assert "RecursionError" in reading.warnings[0]


def test_a_cut_message_keeps_what_arrived() -> None:
    reading = read(b"Content-Type: multipart/mixed; boundary=zz\r\n\r\n--zz\r\n\r\nHalf a mess")
    assert reading.text == "Half a mess"
    assert reading.warnings == ("A multipart has no end: the message may be cut short.",)


def test_a_header_without_an_end_is_said() -> None:
    reading = read(b"Subject: x\r\nbody comes at once\r\n")
    assert reading.subject == "x"
    assert reading.text == "body comes at once\n"
    assert reading.warnings == ("The header is not followed by an empty line.",)


@pytest.mark.parametrize("charset", ["utf-8", "latin-1"])
def test_eight_bit_header_junk_is_readable(charset: str) -> None:
    reading = read("Subject: Grüße\r\nFrom: Jörg <j@corp.test>\r\n\r\nüß".encode(charset))
    assert (reading.subject, reading.sender, reading.text) == (
        "Grüße",
        (Address("Jörg", "j@corp.test"),),
        "üß",
    )


def test_encoded_words_cut_inside_a_character_are_joined() -> None:
    reading = read(b"Subject: a =?utf-8?b?4pw=?=\r\n =?utf-8?b?kw==?= =?iso-8859-1?q?=FC_b?= c\r\n\r\n")
    assert reading.subject == "a ✓ü b c"


def test_a_name_never_becomes_an_address() -> None:
    value = (
        r'"evil@evil.test, \"x\"" <a@corp.test>, =?utf-8?q?b=2C_c?= <b@corp.test>, '
        "Team: d@corp.test;, e@x (E)"
    )
    assert addresses(value) == (
        Address('evil@evil.test, "x"', "a@corp.test"),
        Address("b, c", "b@corp.test"),
        Address("", "d@corp.test"),
        Address("E", "e@x"),
    )


def test_an_ordinary_message_reads_as_it_was_written() -> None:
    mail = EmailMessage()
    mail["Subject"] = "Grüße ✓"
    mail["From"] = "SOC <soc@corp.test>"
    mail["To"] = "jane@corp.test"
    mail["Date"] = "Mon, 10 Mar 2025 14:32:08 +0100"
    mail["Message-ID"] = "<1@corp.test>"
    mail.set_content("hällo\n")
    mail.add_alternative('<img src="cid:logo@corp">', subtype="html")
    mail.add_attachment(b"GIF89a", maintype="image", subtype="gif", cid="<logo@corp>", disposition="inline")
    mail.add_attachment(b"a,b\n", maintype="text", subtype="csv", filename="Übersicht, 1.csv")
    mail.add_attachment(b"MZ\x90\0", maintype="application", subtype="pdf", filename="invoice.pdf")
    reading = read(mail.as_bytes())
    assert reading.warnings == ()
    assert (reading.subject, reading.text, reading.html) == (
        "Grüße ✓",
        "hällo\n",
        '<img src="cid:logo@corp">\n',
    )
    assert (reading.date, reading.message_id) == ("2025-03-10T14:32:08+01:00", "<1@corp.test>")
    assert [header[0] for header in reading.headers[:2]] == ["Subject", "From"]
    picture, table, program = reading.attachments
    assert (picture.content_id, picture.disposition, picture.embedded) == ("logo@corp", "inline", True)
    assert (table.filename, table.size, table.kind, table.mismatch) == (
        "Übersicht, 1.csv",
        4,
        "CSV text",
        False,
    )
    assert (program.kind, program.mismatch) == ("Windows program", True)


@pytest.mark.parametrize(
    ("content", "name", "kind", "mismatch"),
    [
        (b"PK\x03\x04", "a.docx", "Word document", False),
        (b"%PDF-1.7", "a.pdf", "PDF", False),
        (b"MZ, the code of Mozambique", "a.txt", "Text", False),
        (b"MZ\x90\0", "a.txt", "Windows program", True),
        (b"MZ\x90\0", "a.exe", "Windows program", False),
        (b"#!/bin/sh\n", "a.csv", "Script", True),
        (b"plain", "a.pdf", "Text", True),
        (b"\0\1\2", "a", "Data", False),
    ],
)
def test_a_kind_is_what_the_bytes_say(content: bytes, name: str, kind: str, mismatch: bool) -> None:
    assert kind_of(content, name) == (kind, mismatch)
