"""Text parts: whatever the encoding, a reader decodes what was given."""

import base64
import quopri
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import ANYTHING, BODY_TEXT, check_octets, examples

from nina_smtp.errors import ParameterError
from nina_smtp.message.body import canonical, encode_text


def decoded(encoding: str, octets: bytes) -> bytes:
    if encoding == "base64":
        return base64.b64decode(octets, validate=False)
    return quopri.decodestring(octets) if encoding == "quoted-printable" else octets


def check(text: str, *, allow_8bit: bool = False) -> None:
    encoding, octets = encode_text(text, allow_8bit=allow_8bit)
    wanted = canonical(text)
    assert decoded(encoding, octets).replace(b"\r\n", b"\n") == wanted.replace(b"\r\n", b"\n")
    check_octets(octets)
    for line in octets.split(b"\r\n"):
        assert not line.endswith((b" ", b"\t"))
        assert not line.startswith(b"From ")
        assert len(line) <= (76 if encoding != "7bit" else 78) or allow_8bit
    assert octets.isascii() or encoding == "8bit"
    assert b"=_nina_" not in octets


@examples(400)
@given(BODY_TEXT)
def test_any_text_is_decoded_to_itself(text: str) -> None:
    check(text)
    check(text, allow_8bit=True)


@examples(400)
@given(
    st.lists(
        st.sampled_from(["From ", " ", "\t", "\n", "\r\n", "\r", ".", "=", "é", "日", "x" * 30, "=_nina_m_"])
    )
)
def test_any_text_of_what_mail_trips_over_is_too(pieces: list[str]) -> None:
    check("".join(pieces))
    check("".join(pieces), allow_8bit=True)


@examples(200)
@given(ANYTHING)
def test_only_a_lone_surrogate_is_refused(text: str) -> None:
    try:
        encode_text(text)
    except ParameterError as error:
        position = int(re.findall(r"position (\d+)", error.message)[0])
        assert "\ud800" <= text[position] <= "\udfff"
        return
    assert not re.search("[\ud800-\udfff]", text)


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        ("plain\n", "7bit"),
        ("x" * 78, "7bit"),
        ("x" * 79, "quoted-printable"),
        ("trailing \n", "quoted-printable"),
        ("From here\n", "quoted-printable"),
        ("--=_nina_m_1", "quoted-printable"),
        ("\x0c\x00", "quoted-printable"),
        ("A word in German: grün. And the rest is ASCII, as most of it is.\n", "quoted-printable"),
        ("日本語のメール\n", "base64"),
        ("x" * 73 + "é \n" + "x" * 74 + " \n" + "x" * 75 + "\t", "quoted-printable"),
        ("a\n" * 200 + "é", "quoted-printable"),
        ("a\r\n" * 200 + "é", "quoted-printable"),
    ],
)
def test_the_encoding_is_the_plainest_that_changes_nothing(text: str, encoding: str) -> None:
    assert encode_text(text).encoding == encoding
    check(text)


def test_8bit_is_used_only_where_it_is_allowed() -> None:
    assert encode_text("grün\n", allow_8bit=True) == ("8bit", "grün\r\n".encode())
    assert encode_text("ASCII\n", allow_8bit=True).encoding == "7bit"
    assert encode_text("é" * 600, allow_8bit=True).encoding == "base64"


def test_a_text_that_is_the_whole_body_ends_with_a_line_end() -> None:
    assert encode_text("x", alone=True).octets == b"x\r\n"
    assert encode_text("x\n", alone=True).octets == b"x\r\n"
    assert encode_text("x").octets == b"x"


def test_a_signed_text_is_kept_to_the_octet() -> None:
    encoding, octets = encode_text("x", alone=True, signed=True)
    assert decoded(encoding, octets) == b"x"
