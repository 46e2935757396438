"""Mail through Postfix, by the front door, and read back over IMAP."""

from __future__ import annotations

import base64
import hashlib
import random
import re
from typing import Any

import pytest
from bed.mailservers import MailHost
from bed.parts import headers_of
from bed.readers import read_same

import nina_smtp
from nina_smtp.delivery.result import Result
from nina_smtp.errors import AuthFailed

WAYS = ("starttls and login", "tls and plain", "neither")
BIG = random.Random(1).randbytes(5 * 1024 * 1024)
SMALL = bytes(range(256))
PIXEL = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNgAAAAAgABSK+kcQAAAABJRU5ErkJggg=="
)


def credential(host: MailHost, way: str = WAYS[0], **data: Any) -> dict[str, Any]:
    shape: dict[str, Any] = {
        "host": host.host,
        "username": host.user,
        "password": host.password,
        "fromAddress": "alice@mail.test",
        "caCertificate": host.ca_pem.read_text(),
    }
    shape |= {
        "starttls and login": {"port": host.starttls_port, "encryption": "starttls", "authMethod": "login"},
        "starttls and plain": {"port": host.starttls_port, "encryption": "starttls", "authMethod": "plain"},
        "tls and login": {"port": host.tls_port, "encryption": "tls", "authMethod": "login"},
        "tls and plain": {"port": host.tls_port, "encryption": "tls", "authMethod": "plain"},
        "neither": {"port": host.plain_port, "encryption": "none", "authMethod": "none"},
    }[way]
    return shape | data


def send(data: dict[str, Any], **parameters: Any) -> Result:
    """One mail, to bob unless told otherwise."""
    parameters = {"to": "bob@mail.test", "subject": "s", "body": "b\n"} | parameters
    (result,) = nina_smtp.send({"resource": "email", "operation": "send", "parameters": parameters}, data)
    return result


def b64(content: bytes) -> str:
    return base64.b64encode(content).decode()


# -- refused -----------------------------------------------------------------------------------------

REFUSED = {
    "tempfail@mail.test": (451, "4.7.1", True),
    "full@mail.test": (452, "4.2.2", True),
    "gone@mail.test": (550, "5.1.1", False),
    "policy@mail.test": (554, "5.7.1", False),
}


def test_refused_recipients_come_back_one_by_one_and_the_others_get_the_mail(postfix: MailHost) -> None:
    result = send(credential(postfix), to=["bob@mail.test", *REFUSED])
    shape = result.as_dict()
    assert shape["status"] == "partial"
    assert shape["accepted"] == ["bob@mail.test"]
    rejected = {r["address"]: (r["code"], r["enhancedCode"], r["temporary"]) for r in shape["rejected"]}
    assert rejected == REFUSED
    postfix.imap_fetch("bob@mail.test", shape["messageId"])


@pytest.mark.parametrize("address", REFUSED)
def test_when_nobody_is_accepted_the_mail_has_failed(postfix: MailHost, address: str) -> None:
    code, enhanced, temporary = REFUSED[address]
    shape = send(credential(postfix), to=address).as_dict()
    assert shape["status"] == "failed"
    assert shape["accepted"] == []
    error = shape["error"]
    assert (error["type"], error["code"], error["enhancedCode"]) == ("recipientsRefused", code, enhanced)
    assert error["retry"] is temporary
    assert error["hint"]


def test_one_recipient_that_may_be_taken_later_makes_the_whole_worth_another_try(postfix: MailHost) -> None:
    shape = send(credential(postfix), to=["gone@mail.test", "tempfail@mail.test"]).as_dict()
    assert shape["status"] == "failed"
    assert shape["error"]["retry"]
    assert len(shape["rejected"]) == 2


@pytest.mark.parametrize("name", ["hangup", "shut"])
def test_a_server_that_closes_at_a_recipient_has_delivered_nothing(postfix: MailHost, name: str) -> None:
    result = send(credential(postfix), to=[f"{name}@mail.test", "bob@mail.test"])
    assert result.status == "failed"
    assert result.error
    assert not result.error.uncertain
    assert result.error.retry
    assert result.accepted == ()


def test_a_sender_that_is_not_ones_own_is_refused_with_the_remedy(postfix: MailHost) -> None:
    shape = send(credential(postfix), **{"from": "bob@mail.test"}).as_dict()
    error = shape["error"]
    assert (error["type"], error["code"], error["enhancedCode"]) == ("senderRefused", 553, "5.7.1")
    assert "own address" in error["hint"]
    assert not error["retry"]


def test_a_mail_beyond_size_names_the_largest_attachment_and_is_not_begun(postfix: MailHost) -> None:
    large = "AAAA" * (postfix.size_limit // 4)
    before = postfix.log.read_text().count("from=<alice@mail.test>")
    attachments = [
        {"filename": "small.bin", "content": "AAAA"},
        {"filename": "large.bin", "content": large, "contentType": "application/octet-stream"},
    ]
    error = send(credential(postfix), attachments=attachments).as_dict()["error"]
    assert (error["type"], error["phase"]) == ("messageTooLarge", "mail")
    assert "code" not in error  # the server was not asked
    assert "large.bin" in error["hint"]
    assert f"{postfix.size_limit:,}" in error["message"]
    assert postfix.log.read_text().count("from=<alice@mail.test>") == before


@pytest.mark.parametrize("way", ["starttls and login", "tls and plain"])
def test_a_wrong_password_is_tried_once(postfix: MailHost, way: str) -> None:
    node = {
        "parameters": {"to": "bob@mail.test", "subject": "s", "body": "b"},
        "options": {"onError": "continue"},
    }
    wrong = credential(postfix, way, password="not the password")
    results = nina_smtp.send(node, wrong, [{}, {}, {}])
    assert [result.status for result in results] == ["failed"] * 3
    assert [result.attempts for result in results] == [1, 0, 0]
    for shape in results.as_dicts():
        assert shape["error"]["type"] == "authFailed"
        assert shape["error"]["code"] == 535
        assert shape["error"]["retry"] is False
        assert "app password" in shape["error"]["hint"]
    with pytest.raises(AuthFailed):
        results.raise_for_status()


def test_an_authority_that_is_not_trusted_ends_it_before_the_login(postfix: MailHost) -> None:
    data = credential(postfix)
    del data["caCertificate"]
    error = send(data).error
    assert error
    assert error.type == "certificateRejected"


def test_a_password_without_tls_goes_to_this_machine_only(
    postfix: MailHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = credential(postfix, "neither", port=postfix.plain_auth_port, authMethod="plain")
    result = send(data)
    assert result.status == "sent"
    monkeypatch.setattr("nina_smtp.smtp.session.is_loopback", lambda address: False)
    refused = send(data)
    assert refused.error
    assert refused.error.type == "tlsRequired"
    assert send(data | {"allowCleartextLogin": True}).status == "sent"


# -- sent --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", WAYS)
def test_a_whole_mail_arrives_as_it_was_meant(postfix: MailHost, way: str) -> None:
    result = send(
        credential(postfix, way),
        subject="Größe: 日本語 😀 “quoted”",
        body='<p>Grün <img src="cid:logo@mail.test"></p>',
        contentType="html",
        textBody="Grün\n",
        cc="Carol Ü <carol@mail.test>",
        bcc="ok-hidden@mail.test",
        replyTo="replies@mail.test",
        importance="high",
        attachments=[
            {
                "filename": "Übersicht 日本 😀.bin",
                "content": b64(BIG),
                "contentType": "application/octet-stream",
            },
            {"filename": "all octets.dat", "content": b64(SMALL), "contentType": "application/x-test"},
            {"filename": "logo.png", "content": b64(PIXEL), "contentId": "logo@mail.test"},
        ],
    )
    shape = result.as_dict()
    assert shape["status"] == "sent", shape
    assert shape["accepted"] == ["bob@mail.test", "carol@mail.test", "ok-hidden@mail.test"]
    assert re.match("250 2.0.0 Ok: .*queued as", shape["response"])
    tls = shape["server"]["tls"]
    assert (tls is None) == (way == "neither")
    if tls:
        assert tls["version"] == "TLSv1.3"
        assert tls["verified"]
        assert tls["cipher"]
    raw = postfix.imap_fetch("bob@mail.test", shape["messageId"])
    names = [name.lower() for name, _ in headers_of(raw)]
    assert "bcc" not in names
    mail = read_same(raw)
    assert mail.subject == "Größe: 日本語 😀 “quoted”"
    assert mail.cc == [("Carol Ü", "carol@mail.test")]
    assert mail.text == "Grün\n"
    assert mail.html
    assert mail.html.strip() == '<p>Grün <img src="cid:logo@mail.test"></p>'
    assert mail.attachments is not None
    found = {part.filename: part for part in mail.attachments}
    assert hashlib.sha256(found["Übersicht 日本 😀.bin"].content).digest() == hashlib.sha256(BIG).digest()
    assert found["all octets.dat"].content == SMALL
    assert found["logo.png"].content == PIXEL
    assert found["logo.png"].content_id == "logo@mail.test"
    assert b"multipart/related" in raw
    hidden = postfix.imap_fetch("ok-hidden@mail.test", shape["messageId"])
    assert b"ok-hidden" not in raw
    assert "bcc" not in {name.lower() for name, _ in headers_of(hidden)}


@pytest.mark.parametrize(
    "way", ["starttls and login", "starttls and plain", "tls and login", "tls and plain"]
)
def test_a_password_beyond_ascii_works_with_every_mechanism(postfix: MailHost, way: str) -> None:
    assert not postfix.password.isascii()
    result = send(credential(postfix, way))
    assert result.status == "sent", result.as_dict()


TRICKY = {
    "dots": ".\n..\n.leading\n\n.\n",
    "long lines": "x" * 5000 + "\n" + "ü" * 3000 + "\n",
    "dots in long lines": ("." * 1200 + "\n") * 3,
    "From lines and blanks": "From here on\n  spaces  \n\ttab\t\n\n\nend\n",
    "no line end": "no line end",
}


@pytest.mark.parametrize("name", TRICKY)
def test_a_text_arrives_exactly(postfix: MailHost, name: str) -> None:
    result = send(credential(postfix, "neither"), body=TRICKY[name])
    assert result.message_id
    mail = read_same(postfix.imap_fetch("bob@mail.test", result.message_id))
    assert mail.text
    assert mail.text.removesuffix("\n") == TRICKY[name].removesuffix("\n")


LINES = ("MAIL FROM:<evil@mail.test>", "RCPT TO:<ok-smuggled@mail.test>", "DATA", "Message-ID: <{}>", "", "x")
ENDS = {
    "crlf": "\r\n.\r\n",
    "lf": "\n.\n",
    "cr": "\r.\r",
    "lf-crlf": "\n.\r\n",
    "crlf-lf": "\r\n.\n",
    "crcrlf": "\r\r\n.\r\r\n",
}


@pytest.mark.parametrize("raw", [False, True], ids=["body", "raw"])
@pytest.mark.parametrize("name", ENDS)
def test_a_mail_smuggled_into_a_body_stays_in_it(mail_host: MailHost, name: str, raw: bool) -> None:
    end = ENDS[name]
    own = f"{mail_host.name}-{name}-{raw}@mail.test"
    smuggled = f"smuggled-{own}"
    line_end = end.partition(".")[2]
    body = f"before{end}{line_end.join(LINES).format(smuggled)}{end}after{line_end}"
    if raw:
        fields = {"From": "alice@mail.test", "To": "bob@mail.test", "Subject": "s", "Message-ID": f"<{own}>"}
        header = "".join(f"{field}: {value}\r\n" for field, value in fields.items())
        date = "Date: Fri, 20 Nov 2026 12:00:00 +0000\r\n"
        node = {"operation": "sendRaw", "parameters": {"rawEmail": f"{header}{date}\r\n{body}"}}
        (result,) = nina_smtp.send(node, credential(mail_host))
    else:
        result = send(credential(mail_host), body=body, messageId=f"<{own}>")
    assert result.status == "sent", result.as_dict()
    arrived = mail_host.imap_fetch("bob@mail.test", own)
    assert b"RCPT TO:<ok-smuggled@mail.test>" in arrived
    assert arrived.rstrip().endswith(b"after")
    assert mail_host.imap_copies("ok-smuggled@mail.test", smuggled) == []


def test_several_mails_go_over_one_connection(postfix: MailHost) -> None:
    node = {"parameters": {"to": "bob@mail.test", "subject": "{{ n }}", "body": "b"}}
    items = [{"n": str(number)} for number in range(5)]
    before = postfix.log.read_text().count("sasl_method=PLAIN")
    results = nina_smtp.send(node, credential(postfix, "tls and plain"), items)
    results.raise_for_status()
    for result in results:
        assert result.message_id
        postfix.imap_fetch("bob@mail.test", result.message_id)
    assert postfix.log.read_text().count("sasl_method=PLAIN") >= before + 5
    assert len({result.message_id for result in results}) == 5
