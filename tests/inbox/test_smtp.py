"""The SMTP side catches everything, exactly as it was sent."""

from __future__ import annotations

import smtplib  # noqa: TID251  a client that is not ours
import socket
from typing import Any

import pytest
from inbox.conftest import Running


def conversation(inbox: Running, *lines: bytes) -> list[bytes]:
    """Says lines as they are, and returns every answer up to the end of the connection."""
    with socket.create_connection(("127.0.0.1", inbox.inbox.smtp_port), 20) as client:
        client.sendall(b"".join(lines))
        with client.makefile("rb") as answers:
            return answers.read().splitlines()


@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN"])
def test_any_login_is_taken_and_the_password_is_not_kept(inbox: Running, mechanism: str) -> None:
    with inbox.smtp() as client:
        client.ehlo()
        client.user, client.password = "alerts@corp.test", "CANARY-7f3a"
        client.auth(mechanism, getattr(client, f"auth_{mechanism.lower()}"))
        client.sendmail("a@corp.test", ["b@corp.test"], b"Subject: x\r\n\r\ny")
    (message,) = inbox.wait_for(1)
    assert message.login is not None
    assert (message.login.mechanism, message.login.user) == (mechanism, "alerts@corp.test")
    assert "CANARY" not in repr(message) + inbox.get("/api/messages").text


def test_the_envelope_is_kept_with_its_blind_recipients(inbox: Running) -> None:
    raw = b"To: jane@corp.test\r\nSubject: x\r\n\r\ny\r\n"
    inbox.send(raw, "jane@corp.test", "boss@corp.test", sender="")
    (message,) = inbox.wait_for(1)
    assert (message.sender, message.recipients, message.login, message.tls) == (
        "",
        ("jane@corp.test", "boss@corp.test"),
        None,
        False,
    )


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"\r\n",
        b".\r\n",
        b"..\r\n.x\r\n. \r\n",
        b"a\n.\nb\r.\rc\r\n",
        b"x" * 200_000 + b"\r\n",
        b"\0\xff\xfe\r\n",
        b"Subject: x\r\n\r\nends with a dot.\r\n",
        b"Subject: x\r\n\r\n" + b"end.\r\n" * 5000,
    ],
)
def test_the_bytes_are_kept_exactly(inbox: Running, raw: bytes) -> None:
    stuffed = b"\r\n".join(b"." + line if line.startswith(b".") else line for line in raw.split(b"\r\n"))
    answers = conversation(
        inbox,
        b"EHLO x\r\nMAIL FROM:<a@b.test> BODY=8BITMIME\r\nRCPT TO:<c@d.test>\r\nDATA\r\n",
        stuffed + b".\r\n",
        b"QUIT\r\n",
    )
    assert answers[-1].startswith(b"221")
    (message,) = inbox.wait_for(1)
    assert message.raw == raw
    assert inbox.get(f"/api/messages/{message.id}/raw").content == raw


@pytest.mark.parametrize(
    ("path", "recipient"),
    [
        ("<jörg@bücher.test>".encode(), "jörg@bücher.test"),
        (b'<"a>b c"@d.test>', '"a>b c"@d.test'),
        (b"<no at all>", "no at all"),
        (b"<\xff@d.test>", "\\xff@d.test"),
        (b"<@relay.test:a@b.test>", "@relay.test:a@b.test"),
        (b"<" + b"a" * 3000 + b"@d.test>", "a" * 3000 + "@d.test"),
    ],
)
def test_any_recipient_is_caught(inbox: Running, path: bytes, recipient: str) -> None:
    conversation(
        inbox,
        b"EHLO x\r\nMAIL FROM:<> SMTPUTF8\r\nRCPT TO:" + path + b"\r\nDATA\r\n",
        b"Subject: x\r\n\r\n.\r\nQUIT\r\n",
    )
    (message,) = inbox.wait_for(1)
    assert (message.sender, message.recipients, message.smtputf8) == ("", (recipient,), True)
    assert inbox.message(message.id)["envelope"]["to"] == [recipient]


def test_a_message_over_the_limit_is_refused_and_the_session_goes_on(
    inbox: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nina_smtp.inbox.smtp.MAX_SIZE", 1000)
    answers = conversation(
        inbox,
        b"EHLO x\r\nMAIL FROM:<a@b.test>\r\nRCPT TO:<c@d.test>\r\nDATA\r\n",
        b"line.\r\n" * 1000 + b".\r\n",
        b"MAIL FROM:<a@b.test>\r\nRCPT TO:<c@d.test>\r\nDATA\r\nsmall\r\n.\r\nQUIT\r\n",
    )
    codes = b" ".join(answer[:3] for answer in answers)
    assert codes.endswith(b"354 552 250 250 354 250 221")
    (message,) = inbox.wait_for(1)
    assert message.raw == b"small\r\n"


def test_the_limit_is_announced(inbox: Running) -> None:
    with inbox.smtp() as client:
        client.ehlo()
        assert client.esmtp_features["size"] == str(64 * 2**20)
        assert {"8bitmime", "smtputf8", "pipelining"} <= client.esmtp_features.keys()
        assert "starttls" not in client.esmtp_features
        with pytest.raises(smtplib.SMTPSenderRefused):
            client.sendmail("a@b.test", ["c@d.test"], b"x", mail_options=["SIZE=99999999"])


def test_a_page_that_posts_to_the_smtp_port_sends_no_mail(inbox: Running) -> None:
    answers = conversation(
        inbox,
        b"POST / HTTP/1.1\r\nHost: 127.0.0.1\r\nOrigin: http://evil.test\r\nA: b\r\nContent-Length: 99\r\n",
        b"\r\nEHLO x\r\nMAIL FROM:<a@b.test>\r\nRCPT TO:<c@d.test>\r\nDATA\r\nx\r\n.\r\n",
    )
    assert answers[-1].startswith(b"502")
    assert len(inbox.inbox.messages) == 0


def test_an_inbox_stops_while_a_client_is_connected(start: Any) -> None:
    with start() as running:
        client = running.smtp()
        client.ehlo()
    with pytest.raises(smtplib.SMTPServerDisconnected):
        client.noop()
    client.close()
