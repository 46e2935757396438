"""Hosts, EHLO names and addresses: what is refused before anything is connected to."""

from __future__ import annotations

from ipaddress import ip_address

import pytest

from nina_smtp.errors import InvalidCredential
from nina_smtp.smtp.server import Encryption, is_loopback, no_mail_server, parse_ehlo_name, parse_host


@pytest.mark.parametrize(
    "text",
    [
        "", " ", "mail.test\r\n", "mail.test\n", "mail .test", "mail\x00.test", "http://mail.test",
        "user@mail.test", "mail.test:25", "unix:/run/x", "mail.test/x", "%00", "fe80::1%eth0",
        "a" * 64 + ".test", "a." * 127 + "test", "-x.test", "x-.test", "a..b", ".", "0", "127.1", "0x7f.1",
        "2130706433", "0177.0.0.1", "1.2.3.4.5", "[x]", "xn--\u202e.test", "mail\u200b.test",
    ],
)  # fmt: skip
def test_what_is_not_a_host_is_refused(text: str) -> None:
    with pytest.raises(InvalidCredential) as caught:
        parse_host(text)
    assert caught.value.parameter == "host"
    assert caught.value.hint


@pytest.mark.parametrize(
    ("text", "host"),
    [
        ("Mail.Test", "mail.test"),
        ("mail.test.", "mail.test"),
        ("localhost", "localhost"),
        ("münchen.test", "xn--mnchen-3ya.test"),
        ("faß.test", "xn--fa-hia.test"),
        ("192.0.2.1", "192.0.2.1"),
        ("[2001:DB8::1]", "2001:db8::1"),
        ("2001:db8::1", "2001:db8::1"),
    ],
)
def test_a_host_is_normalised_once(text: str, host: str) -> None:
    assert parse_host(text) == host


@pytest.mark.parametrize("text", ["", "x\r\nRCPT TO:<e@x>", "a b", "a_b.test", "[1.2.3]", "[x]", "::1"])
def test_what_is_not_a_name_for_ehlo_is_refused(text: str) -> None:
    with pytest.raises(InvalidCredential):
        parse_ehlo_name(text)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("Host.Test", "host.test"),
        ("münchen.test", "xn--mnchen-3ya.test"),
        ("[192.0.2.1]", "[192.0.2.1]"),
        ("[IPv6:2001:db8::1]", "[IPv6:2001:db8::1]"),
        ("[2001:db8::1]", "[IPv6:2001:db8::1]"),
    ],
)
def test_a_name_for_ehlo_is_a_domain_or_an_address_literal(text: str, said: str) -> None:
    assert parse_ehlo_name(text) == said


def test_loopback_is_known_in_ipv6_clothing_too() -> None:
    assert all(map(is_loopback, map(ip_address, ["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1"])))
    assert not any(map(is_loopback, map(ip_address, ["10.0.0.1", "::ffff:10.0.0.1", "fe80::1"])))


def test_private_networks_may_have_mail_servers() -> None:
    assert not any(map(no_mail_server, map(ip_address, ["10.0.0.1", "192.168.1.1", "fd00::1", "127.0.0.1"])))


def test_each_encryption_has_its_port() -> None:
    assert [encryption.port for encryption in Encryption] == [587, 465, 25]
