"""Mail through Exim, by the front door, and what it refuses after the final dot."""

from __future__ import annotations

from typing import Any

import pytest
from bed.mailservers import MailHost
from bed.readers import read_same

import nina_smtp
from nina_smtp.delivery.result import Result

WAYS = ("starttls", "tls")


def credential(host: MailHost, way: str) -> dict[str, Any]:
    implicit = way == "tls"
    return {
        "host": host.host,
        "port": host.tls_port if implicit else host.starttls_port,
        "encryption": way,
        "authMethod": "plain" if implicit else "login",
        "username": host.user,
        "password": host.password,
        "fromAddress": "alice@mail.test",
        "caCertificate": host.ca_pem.read_text(),
    }


def send(host: MailHost, way: str, **parameters: Any) -> Result:
    parameters = {"to": "bob@mail.test", "subject": "s", "body": "b\n"} | parameters
    (result,) = nina_smtp.send({"operation": "send", "parameters": parameters}, credential(host, way))
    return result


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    ("body", "code", "enhanced", "retry"),
    [("REJECT-ME", 554, "5.6.0", False), ("DEFER-ME", 451, "4.6.0", True)],
)
def test_a_refusal_after_the_final_dot_is_told(
    exim: MailHost, way: str, body: str, code: int, enhanced: str, retry: bool
) -> None:
    shape = send(exim, way, body=body).as_dict()
    assert shape["status"] == "failed"
    assert shape["accepted"] == []
    error = shape["error"]
    assert (error["type"], error["phase"]) == ("messageRefused", "dot")
    assert (error["code"], error["enhancedCode"], error["retry"]) == (code, enhanced, retry)
    assert exim.imap_copies("bob@mail.test", shape["messageId"]) == []


@pytest.mark.parametrize("way", WAYS)
def test_refused_recipients_come_back_one_by_one(exim: MailHost, way: str) -> None:
    shape = send(
        exim, way, to=["tempfail@mail.test", "bob@mail.test", "gone@mail.test", "x@other.test"]
    ).as_dict()
    assert shape["status"] == "partial"
    assert shape["accepted"] == ["bob@mail.test"]
    assert [(r["code"], r["enhancedCode"], r["temporary"]) for r in shape["rejected"]] == [
        (451, "4.7.1", True),
        (550, "5.1.1", False),
        (550, "5.7.1", False),
    ]
    exim.imap_fetch("bob@mail.test", shape["messageId"])


def test_a_server_that_closes_at_a_recipient_has_delivered_nothing(exim: MailHost) -> None:
    result = send(exim, "starttls", to=["bob@mail.test", "hangup@mail.test"])
    # Exim closes with the content unread, and the reset that follows may overtake its 421.
    assert result.status in ("failed", "unknown")
    assert result.accepted == ()
    later = send(exim, "starttls", to=["bob@mail.test"])
    assert later.message_id
    exim.imap_fetch("bob@mail.test", later.message_id)
    assert result.message_id
    assert exim.imap_copies("bob@mail.test", result.message_id) == []


def test_a_wrong_password_is_refused(exim: MailHost) -> None:
    wrong = credential(exim, "starttls") | {"password": "not the password"}
    node = {"parameters": {"to": "bob@mail.test", "subject": "s", "body": "b"}}
    (result,) = nina_smtp.send(node, wrong)
    assert result.error
    assert (result.error.type, result.error.retry) == ("authFailed", False)


@pytest.mark.parametrize("way", WAYS)
def test_a_mail_arrives_as_it_was_meant(exim: MailHost, way: str) -> None:
    body = "Grün\n.\n..\n" + "x" * 3000 + "\n"
    attachment = {"filename": "日本.bin", "content": "AAECAw==", "contentType": "application/octet-stream"}
    result = send(exim, way, subject="Ü 😀", body=body, attachments=[attachment])
    assert result.status == "sent", result.as_dict()
    assert result.message_id
    mail = read_same(exim.imap_fetch("bob@mail.test", result.message_id))
    assert mail.subject == "Ü 😀"
    assert mail.text == body
    assert mail.attachments
    assert [(part.filename, part.content) for part in mail.attachments] == [("日本.bin", b"\x00\x01\x02\x03")]
