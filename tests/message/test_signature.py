"""Signatures: genuine as long as nobody touched the text, whatever the relays did to it."""

import hashlib
import hmac

import pytest
from bed.parts import headers_of
from hypothesis import given
from hypothesis import strategies as st
from strategies import ANYTHING, BODY_TEXT, examples, mail, quick

from nina_smtp.errors import InvalidSignature, ParameterError
from nina_smtp.message.signature import SIMPLE, TIMED, WINDOW, Verdict, signature_headers, verify

KEYS = st.text(min_size=1, max_size=40).filter(lambda key: key.isprintable())
NOW = 1_700_000_000
ID = "<1@x.test>"


def signed(text: str, key: str = "key", now: int = NOW) -> dict[str, str]:
    return {name.lower(): value for name, value in signature_headers(key, text, ID, now)}


@examples(200)
@given(KEYS, BODY_TEXT)
def test_what_was_signed_is_genuine(key: str, text: str) -> None:
    headers = signed(text, key)
    verdict = verify(key, text, ID, headers, now=NOW)
    assert verdict == Verdict("valid", "valid", NOW)
    assert verdict.genuine
    assert verify(key, text.replace("\n", "\r\n"), ID, headers) == verdict
    assert not verify(key + "x", text, ID, headers).genuine
    assert not verify(key, text + "x", ID, headers).genuine


def test_the_simple_signature_is_limacharlies() -> None:
    wanted = hmac.new(b"key", b"{}", hashlib.sha256).hexdigest()
    assert signed("{}")["lc-signature"] == wanted


def test_every_octet_of_a_signature_counts() -> None:
    headers = signed("text")
    for name in (SIMPLE.lower(), TIMED.lower()):
        for wrong in (
            headers[name].upper(),
            headers[name][:-1],
            headers[name] + " ",
            headers[name][:-1] + "é",
            "",
            "\ud800",
        ):
            assert not verify("key", "text", ID, headers | {name: wrong}).genuine


def test_the_time_and_the_message_are_signed_too() -> None:
    headers = signed("text")
    later = headers["x-nina-signature"].replace(f"t={NOW}", f"t={NOW + 1}")
    assert verify("key", "text", ID, headers | {"x-nina-signature": later}).nina_signature == "wrong"
    assert verify("key", "text", "<2@x.test>", headers).nina_signature == "wrong"
    assert not verify("key", "text", "<2@x.test>", headers).genuine


@pytest.mark.parametrize(
    ("seconds", "verdict"),
    [(0, "valid"), (WINDOW, "valid"), (-WINDOW, "valid"), (WINDOW + 1, "expired"), (-WINDOW - 1, "expired")],
)
def test_a_timed_signature_is_good_for_a_while(seconds: int, verdict: str) -> None:
    found = verify("key", "text", ID, signed("text"), now=NOW + seconds)
    assert found.nina_signature == verdict
    assert found.genuine == (verdict == "valid")


def test_one_signature_is_enough_and_none_is_not() -> None:
    headers = signed("text")
    assert verify("key", "text", ID, {"lc-signature": headers["lc-signature"]}) == Verdict("valid", "missing")
    assert verify("key", "text", ID, {"x-nina-signature": headers["x-nina-signature"]}).genuine
    assert not verify("key", "text", ID, {}).genuine


@examples(200)
@given(ANYTHING, ANYTHING)
def test_any_header_is_judged(simple: str, timed: str) -> None:
    for value in (timed, f"v1,t={timed}", f"v1,t={NOW},{timed}", f"{timed},t={NOW},x"):
        headers = {"lc-signature": simple, "x-nina-signature": value}
        assert not verify("key", "text", "<\ud800@x>", headers, now=NOW).genuine


def test_an_empty_key_is_refused() -> None:
    for call in (lambda: signature_headers("", "x", ID, NOW), lambda: verify("", "x", ID, {})):
        with pytest.raises(InvalidSignature):
            call()


def test_a_text_without_utf8_is_refused() -> None:
    with pytest.raises(ParameterError, match="surrogate"):
        signature_headers("key", "\ud800", ID, NOW)


@examples(100)
@given(BODY_TEXT, st.booleans(), st.booleans())
def test_the_signature_of_a_mail_holds_for_what_its_reader_sees(text: str, html: bool, alone: bool) -> None:
    values = {"html": text, "text": "" if alone else "x"} if html else {"text": text}
    message = mail(**values, secret_key="key", date=NOW)
    headers = {name.lower(): value.strip() for name, value in headers_of(message.bytes)}
    by_rust = quick(message.bytes)[1]
    seen = (by_rust.html if html else by_rust.text) or ""
    assert verify("key", seen, message.message_id, headers, now=NOW) == Verdict("valid", "valid", NOW)
