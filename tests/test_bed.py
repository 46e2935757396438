"""The bed itself: a check that cannot fail, or a fault that does not happen, would prove nothing."""

import base64
import smtplib  # noqa: TID251 - a client that is not ours
import socket
import ssl
import uuid
from contextlib import suppress
from dataclasses import replace

import pytest
from bed.certs import Certs
from bed.chaos import ChaosProxy
from bed.faulty import FAULTS, FaultyServer, tls11_possible
from bed.invariants import check_no_secret, check_wire
from bed.mailservers import MailHost
from bed.needs import missing
from bed.readers import read_all, read_same, readers
from bed.recorder import EVERYTHING, SEVEN_BIT, Recorder
from bed.samples import FILE_NAMES, NESTED, NESTED_READ, with_file_name

MAIL = b"From: a@mail.test\r\nTo: b@mail.test\r\nSubject: hello\r\n\r\nhi\r\n"


def dated(message_id: str) -> bytes:
    """A message to which no server adds a header of its own below the trace."""
    lines = f"Date: Fri, 20 Nov 2026 12:00:00 +0000\r\nMessage-ID: <{message_id}>\r\n"
    return lines.encode() + MAIL


def plain(user: str, password: str) -> str:
    return base64.b64encode(f"\0{user}\0{password}".encode()).decode()


def say(server: Recorder, octets: bytes) -> bytes:
    """Send `octets` in one go and read until the server closes."""
    with socket.create_connection((server.host, server.port), 10) as connection:
        connection.sendall(octets)
        connection.shutdown(socket.SHUT_WR)
        return b"".join(iter(lambda: connection.recv(65536), b""))


def transaction(data: bytes, mail: bytes = b"", rcpt: bytes = b"<b@mail.test>") -> bytes:
    """A whole session; `data` as it stands on the wire, `mail` the parameters of MAIL."""
    return (
        b"EHLO me.test\r\nMAIL FROM:<a@mail.test>" + mail + b"\r\nRCPT TO:" + rcpt + b"\r\nDATA\r\n" + data
    ) + b".\r\nQUIT\r\n"


# -- real servers ------------------------------------------------------------------------------------


@pytest.mark.parametrize("tls", ["starttls", "implicit"])
def test_a_real_server_takes_mail_after_a_password_beyond_ascii(
    mail_host: MailHost, tls: str, certs: Certs
) -> None:
    server = mail_host
    message_id = f"{uuid.uuid4()}@mail.test"
    context = certs.client_context()
    if tls == "implicit":
        client: smtplib.SMTP = smtplib.SMTP_SSL(server.host, server.tls_port, context=context, timeout=20)
    else:
        client = smtplib.SMTP(server.host, server.starttls_port, timeout=20)
    with client:
        if tls == "starttls":
            client.starttls(context=context)
        client.ehlo()
        assert client.esmtp_features["size"] == str(server.size_limit)
        assert client.docmd("AUTH", f"PLAIN {plain(server.user, 'wrong')}")[0] == 535
        assert client.docmd("AUTH", f"PLAIN {plain(server.user, server.password)}")[0] == 235
        client.sendmail("alice@mail.test", ["bob@mail.test"], dated(message_id))
    arrived = server.imap_fetch("bob@mail.test", message_id)
    assert arrived.endswith(dated(message_id))
    assert server.imap_copies("bob@mail.test", message_id) == [arrived]


def test_postfix_takes_a_token_and_refuses_as_told(postfix: MailHost, certs: Certs) -> None:
    with smtplib.SMTP(postfix.host, postfix.starttls_port, timeout=20) as client:
        client.starttls(context=certs.client_context())
        client.ehlo()
        token = base64.b64encode(f"user=alice\1auth=Bearer {postfix.token}\1\1".encode()).decode()
        assert client.docmd("AUTH", f"XOAUTH2 {token}")[0] == 235
        assert client.mail("bob@mail.test")[0] == 553
        client.rset()
        client.mail("alice@mail.test")
        codes = {name: client.rcpt(f"{name}@mail.test")[0] for name in ("bob", "tempfail", "gone", "full")}
        assert codes == {"bob": 250, "tempfail": 451, "gone": 550, "full": 452}


def test_postfix_has_a_plain_relay_and_a_port_that_offers_auth_in_clear(postfix: MailHost) -> None:
    assert postfix.plain_port is not None
    assert postfix.plain_auth_port is not None
    message_id = f"{uuid.uuid4()}@mail.test"
    with smtplib.SMTP(postfix.host, postfix.plain_port, timeout=20) as client:
        client.sendmail("x@y.test", ["ok-relay@mail.test"], dated(message_id))
    assert postfix.imap_fetch("ok-relay@mail.test", message_id).endswith(dated(message_id))
    with smtplib.SMTP(postfix.host, postfix.plain_auth_port, timeout=20) as client:
        client.ehlo()
        assert client.has_extn("auth")
        assert not client.has_extn("starttls")


# -- the readers -------------------------------------------------------------------------------------


def test_all_four_readers_are_there() -> None:
    if absent := {"python", "rust", "perl", "node"} - set(readers()):
        missing(f"readers of mail not found: {sorted(absent)}")


@pytest.mark.parametrize("name", ["python", "rust", "perl", "node"])
def test_each_reader_reads_the_nested_message(name: str) -> None:
    if name not in readers():
        missing(f"the reader {name} was not found")
    mail = readers()[name](NESTED)
    if name == "node":  # which ends every text with one line end more
        mail = replace(mail, text=(mail.text or "").removesuffix("\n"))
    assert mail == NESTED_READ
    assert read_same(NESTED) == NESTED_READ


@pytest.mark.parametrize("name", FILE_NAMES)
def test_all_readers_that_judge_file_names_agree(name: str) -> None:
    raw = with_file_name(FILE_NAMES[name])
    mail = read_same(raw)
    assert mail.attachments is not None
    assert [(part.filename, part.content) for part in mail.attachments] == [(name, b"\x00\x01\x02")]
    assert sum(found.attachments is not None for found in read_all(raw).values()) >= 2


def test_readers_agree_on_addresses_in_every_form() -> None:
    to = (
        b'"Joe, PhD" <joe@mail.test>,\r\n =?utf-8?q?J=C3=BC?=\r\n =?utf-8?q?ri?= <j@mail.test>, '
        b'"quoted local"@mail.test, =?utf-8?q?a=2C_b=40evil=2Etest?= <c@mail.test>'
    )
    assert read_same(b"From: a@mail.test\r\nTo: " + to + b"\r\nSubject: x\r\n\r\nhi\r\n").to == [
        ("Joe, PhD", "joe@mail.test"),
        ("Jüri", "j@mail.test"),
        ("", '"quoted local"@mail.test'),
        ("a, b@evil.test", "c@mail.test"),
    ]


def test_readers_that_differ_are_named() -> None:
    both = with_file_name(b"attachment; filename=\"no.txt\"; filename*=utf-8''yes.txt")
    with pytest.raises(AssertionError, match="attachments: python reads"):
        read_same(both)


# -- the recorder ------------------------------------------------------------------------------------


@pytest.mark.parametrize("tls", ["none", "starttls", "implicit"])
def test_the_recorder_keeps_what_a_client_says(tls: str, certs: Certs) -> None:
    with Recorder(tls=tls, users={"alice": "s3cret-word"}) as server:  # type: ignore[arg-type]
        context = certs.client_context()
        if tls == "implicit":
            client: smtplib.SMTP = smtplib.SMTP_SSL(server.host, server.port, context=context)
        else:
            client = smtplib.SMTP(server.host, server.port)
        with client:
            if tls == "starttls":
                client.starttls(context=context)
            client.login("alice", "s3cret-word")
            client.sendmail("a@mail.test", ["b@mail.test", "c@mail.test"], MAIL + b".dot\r\n")
    (message,) = server.messages
    assert message.sender == b"a@mail.test"
    assert message.recipients == [b"b@mail.test", b"c@mail.test"]
    assert message.data == MAIL + b"..dot\r\n"
    assert message.content == MAIL + b".dot\r\n"
    assert message.tls == (tls != "none")
    assert server.sessions[0].exchanges[0].password == "s3cret-word"
    assert server.saw_secret("s3cret-word") == (tls == "none")
    assert server.saw_secret("s3cret-word", clear=False)
    assert server.sessions[0].over


def test_the_recorder_gives_each_recipient_its_reply() -> None:
    with Recorder(
        rcpt_replies={b"gone@mail.test": b"550 5.1.1 Gone"}, dot_reply=b"451 4.3.0 Later"
    ) as server:
        heard = say(server, transaction(MAIL, rcpt=b"<gone@mail.test>\r\nRCPT TO:<b@mail.test>"))
    assert b"550 5.1.1 Gone\r\n" in heard
    assert b"451 4.3.0 Later\r\n" in heard
    assert server.messages == []
    assert server.transactions[0].accepted == [b"TO:<b@mail.test>"]


def test_a_lenient_end_of_data_lets_smuggled_commands_out() -> None:
    smuggled = MAIL + b"x\n.\nMAIL FROM:<evil@evil.test>\r\n"
    with Recorder() as strict:
        say(strict, transaction(smuggled))
    with Recorder(lenient_end=True) as lenient:
        say(lenient, transaction(smuggled))
    assert [message.sender for message in strict.transactions] == [b"a@mail.test"]
    assert [message.sender for message in lenient.transactions] == [b"a@mail.test", b"evil@evil.test"]


# -- the invariants ----------------------------------------------------------------------------------

MULTIPART = (
    b"From: a@mail.test\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n"
    b"--b\r\nContent-Type: text/plain\r\n%b\r\nhi\r\n--b--\r\n"
)

BROKEN = {
    "I1: an unknown command": b"EHLO me\r\nXEVIL\r\n" + transaction(MAIL),
    "I1: 2 messages went out": transaction(MAIL).replace(b"QUIT\r\n", transaction(MAIL)),
    "I1: 0 messages went out": b"EHLO me\r\nQUIT\r\n",
    "I1: a control character in a command": transaction(MAIL, rcpt=b"<b@mail.test\x00>"),
    "I1: a command line does not end in CRLF": transaction(MAIL, rcpt=b"<b@mail.test>\n"),
    "I1: not a MAIL command": transaction(MAIL, mail=b" x=\xc3\xbc y"),
    "I1: not the name of a host": b"EHLO me; evil\r\n" + transaction(MAIL),
    "I1: a command that takes no argument": transaction(MAIL).replace(b"DATA\r\n", b"DATA 1\r\n"),
    "I1: a command with spaces around it": transaction(MAIL).replace(b"DATA\r\n", b"DATA \r\n"),
    "I1: a login line that is not base64": b"EHLO me\r\nAUTH PLAIN\r\nMAIL FROM:<x@y.test>\r\n"
    + transaction(MAIL),
    "I1: more came after QUIT": transaction(MAIL) + b"MAIL FROM:<x@y.test>\r\n",
    "I1: RCPT outside": b"RCPT TO:<evil@evil.test>\r\n" + transaction(MAIL),
    "I2: recipients .*evil@evil.test": transaction(MAIL, rcpt=b"<b@mail.test>\r\nRCPT TO:<evil@evil.test>"),
    "I2: .*b@mail.test> NOTIFY=NEVER": transaction(MAIL, rcpt=b"<b@mail.test> NOTIFY=NEVER"),
    "I2: .*b'TO:<b@mail.test>'.* missing": transaction(MAIL, rcpt=b"<c@mail.test>"),
    "I3: a Bcc header": transaction(b"Bcc: x@mail.test\r\n" + MAIL),
    "I3: headers nobody asked for: .'x-evil'": transaction(b"X-Evil: 1\r\n" + MAIL),
    "I3: not a header line": transaction(b"no colon\r\n" + MAIL),
    "I3: the header starts with a continuation": transaction(b" x\r\n" + MAIL),
    "I3: a header line of blanks": transaction(MAIL.replace(b"\r\n\r\n", b"\r\n \r\n\r\n")),
    "I3: part 1 has headers": transaction(MULTIPART % b"X-Evil: 1\r\n"),
    "I3: the boundary": transaction(MULTIPART % b"" + b"--b\r\n\r\nmore\r\n"),
    "I4: more than once in the message: .'subject'": transaction(b"Subject: x\r\n" + MAIL),
    "I4: more than once in part 1": transaction(MULTIPART % b"Content-Type: text/html\r\n"),
    "I5: a bare LF": transaction(MAIL + b"x\ny\r\n"),
    "I5: a bare CR": transaction(MAIL + b"x\ry\r\n"),
    "I5: a control character": transaction(MAIL + b"x\x00y\r\n"),
    "I5: a dot that is not stuffed": transaction(MAIL + b".x\r\n"),
    "I5: an 8-bit body": transaction(MAIL + b"\xc3\xbc\r\n"),
    "I5: 8-bit headers": transaction(b"Subject: \xc3\xbc\r\n\r\nhi\r\n"),
    "I5: line 6 has 999 octets": transaction(MAIL + b"x" * 999 + b"\r\n"),
    "I5: an 8-bit address": transaction(MAIL, rcpt=b"<\xc3\xbc@mail.test>\r\nRCPT TO:<b@mail.test>"),
}


@pytest.mark.parametrize("rule", BROKEN)
def test_a_broken_rule_is_found(rule: str) -> None:
    with Recorder() as server:
        say(server, BROKEN[rule])
    with pytest.raises(AssertionError, match=rule):
        check_wire(server, ["b@mail.test"])


@pytest.mark.parametrize(
    ("data", "mail"),
    [
        (MAIL + b"..x\r\n" + b"y" * 998 + b"\r\n", b" SIZE=100"),
        (MAIL + b"\xc3\xbc\r\n", b" BODY=8BITMIME"),
        (b"Subject: \xc3\xbc\r\n\r\n\xc3\xbc\r\n", b" BODY=8BITMIME SMTPUTF8"),
        (MULTIPART % b"Content-ID: <x@mail.test>\r\n", b""),
    ],
)
def test_a_message_by_the_rules_passes(data: bytes, mail: bytes) -> None:
    with Recorder() as server:
        say(server, transaction(data, mail))
    check_wire(server, ["b@mail.test"], sender="a@mail.test")


@pytest.mark.parametrize("mail", [b" BODY=8BITMIME", b" SMTPUTF8"])
def test_a_parameter_that_was_not_offered_is_found(mail: bytes) -> None:
    with Recorder(SEVEN_BIT) as server:
        say(server, transaction(MAIL, mail))
    with pytest.raises(AssertionError, match="I5: MAIL has"):
        check_wire(server, ["b@mail.test"])


def test_headers_that_were_asked_for_pass() -> None:
    with Recorder() as server:
        say(server, transaction(b"X-Mine: 1\r\nX-Mine: 2\r\n" + MAIL))
    check_wire(server, ["b@mail.test"], headers=["X-Mine"])
    with pytest.raises(AssertionError, match="I1: the sender"):
        check_wire(server, ["b@mail.test"], headers=["X-Mine"], sender="other@mail.test")


def test_a_transaction_after_a_refused_sender_is_by_the_rules() -> None:
    with Recorder(mail_reply=b"451 4.3.0 Later") as server:
        say(server, b"EHLO me\r\nMAIL FROM:<a@mail.test>\r\nMAIL FROM:<a@mail.test>\r\nQUIT\r\n")
    check_wire(server, [], messages=0)


SECRET = "s3cr3t-Pässword"


@pytest.mark.parametrize(
    "text",
    [
        f"the password is {SECRET}!",
        f"AUTH PLAIN {plain('alice', SECRET)}",
        f"AUTH PLAIN {plain('ali', SECRET)}",
        f"AUTH PLAIN {plain('al', SECRET)}",
        "UGFzc3dvcmQ6 " + base64.b64encode(SECRET.encode()).decode(),
        "smtp://alice:s3cr3t-P%C3%A4ssword@mail.test",
        "smtp://alice:s3cr3t-P%c3%a4ssword@mail.test",
        repr(SECRET.encode()),
        r'{"password": "s3cr3t-P\u00e4ssword"}',
        SECRET.encode().hex(),
    ],
)
def test_a_secret_is_found_in_disguise(text: str) -> None:
    with pytest.raises(AssertionError, match="I7"):
        check_no_secret(["nothing", text], [SECRET], user="alice")
    check_no_secret(["nothing", "535 bad login for alice", b"\xff"], [SECRET], user="alice")


# -- faulty servers ----------------------------------------------------------------------------------

TAKEN = {
    "ok",
    "x_close",
    "x_rst",
    "x_part",
    "x_junk",
    "x_354",
    "ok_close",
    "q_hang",
    "q_close",
    "t_noauth_after",
}
NOT_TAKEN = {"x_451", "x_554", "d_354_250", "d_250", "d_554", "d_stop", "m_451", "m_550", "r_all550", "r_421"}


@pytest.mark.parametrize("name", FAULTS)
def test_a_faulty_server_ends_and_takes_what_it_should(name: str) -> None:
    if name == "t_tls11" and not tls11_possible():
        pytest.skip("this OpenSSL cannot speak TLS 1.1")
    with FaultyServer(name, patience=1.0, drip_interval=0.01, flood_limit=1 << 20) as server:
        context = server.certs.client_context()
        with suppress(OSError, smtplib.SMTPException, ValueError):
            client = smtplib.SMTP(server.host, server.port, timeout=2)
            with client:
                client.starttls(context=context)
                with suppress(smtplib.SMTPNotSupportedError):
                    client.login("alice", SECRET.replace("ä", "a"))
                client.sendmail("a@mail.test", ["b@mail.test", "c@mail.test"], MAIL)
    assert len(server.sessions) == 1
    assert not server.saw_auth_in_clear
    if name in TAKEN:
        assert len(server.messages) == 1
    if name in NOT_TAKEN or (name[0] == "g" and name not in {"g_lf", "g_utf8"}):
        assert server.messages == []


@pytest.mark.parametrize("name", ["t_strip", "t_strip_helo", "e_502"])
def test_a_careless_client_shows_its_password_to_a_stripper(name: str) -> None:
    login = f"AUTH PLAIN {plain('alice', SECRET)}\r\n".encode()
    hello = b"EHLO me\r\n" if name == "t_strip" else b"EHLO me\r\nHELO me\r\n"
    with FaultyServer(name) as server:
        heard = say(server, hello + b"STARTTLS\r\n" + login + transaction(MAIL).partition(b"\r\n")[2])
    assert b"STARTTLS" not in heard
    assert server.saw_secret(SECRET)
    assert server.saw_auth_in_clear
    assert len(server.messages) == 1


@pytest.mark.parametrize("kind", ["selfsigned", "wrongname", "expired"])
def test_a_bad_certificate_is_refused_by_a_careful_client(kind: str) -> None:
    with FaultyServer(f"t_{kind}", mode="implicit") as server, pytest.raises(ssl.SSLCertVerificationError):
        smtplib.SMTP_SSL(server.host, server.port, context=server.certs.client_context())


def test_a_certificate_without_names_is_refused_only_without_the_common_name() -> None:
    with FaultyServer("t_cnonly", mode="implicit") as server:
        context = server.certs.client_context()
        with smtplib.SMTP_SSL(server.host, server.port, context=context):
            pass
        context.hostname_checks_common_name = False
        with pytest.raises(ssl.SSLCertVerificationError):
            smtplib.SMTP_SSL(server.host, server.port, context=context)


# -- the proxy ---------------------------------------------------------------------------------------


def through(proxy: ChaosProxy, octets: bytes, *, timeout: float = 10) -> bytes:
    """What comes back through the proxy; ends with `!` and the error's name if one ended it."""
    heard = b""
    with socket.create_connection((proxy.host, proxy.port), timeout) as connection:
        try:
            connection.sendall(octets)
            while more := connection.recv(65536):
                heard += more
        except OSError as error:
            heard += b"!" + type(error).__name__.encode()
    return heard


def test_a_proxy_without_faults_changes_nothing() -> None:
    with Recorder() as server, ChaosProxy(server.port, chop=1) as proxy:
        heard = through(proxy, transaction(MAIL))
    assert heard == server.sessions[0].sent
    check_wire(server, ["b@mail.test"])
    assert proxy.relays[0].to_client == len(heard)
    assert proxy.relays[0].ended_by is None


def test_a_proxy_cuts_resets_and_stalls_where_it_was_told() -> None:
    whole = transaction(MAIL)
    with Recorder() as server:
        with ChaosProxy(server.port, cut_to_server=len(whole) - 8) as proxy:
            assert b"queued" not in through(proxy, whole)
        with ChaosProxy(server.port, cut_to_client=10) as proxy:
            assert len(through(proxy, whole).partition(b"!")[0]) <= 10
        with ChaosProxy(server.port, reset_to_client=10) as proxy:
            assert through(proxy, whole).endswith(b"!ConnectionResetError")
        with ChaosProxy(server.port, stall_to_client=10) as proxy:
            assert through(proxy, whole, timeout=0.3).endswith(b"!TimeoutError")
        assert proxy.relays[0].ended_by == "stall"
    assert server.sessions[0].octets == whole[: len(whole) - 8]
    assert not server.transactions[0].ended


def test_a_proxy_loses_the_reply_to_the_final_dot_only() -> None:
    with Recorder() as server, ChaosProxy(server.port, mute_after=rb"\r\n\.\r\n") as proxy:
        with smtplib.SMTP(proxy.host, proxy.port, timeout=1) as client, pytest.raises(smtplib.SMTPException):
            client.sendmail("a@mail.test", ["b@mail.test"], MAIL)
        assert len(server.messages) == 1
    assert proxy.relays[0].swallowed > 0


def test_a_proxy_spoils_one_octet_and_tls_notices(certs: Certs) -> None:
    def talk(port: int) -> None:
        with smtplib.SMTP_SSL("localhost", port, context=certs.client_context(), timeout=5) as client:
            for _ in range(200):
                client.noop()

    with Recorder(tls="implicit") as server, ChaosProxy(server.port, flip_to_client=1500) as proxy:
        talk(server.port)
        with pytest.raises(OSError, match=r"(?i)mac|decrypt|ssl|reset"):
            talk(proxy.port)


def test_every_extension_is_offered_unless_told_otherwise() -> None:
    with Recorder(SEVEN_BIT) as seven, Recorder() as full:
        assert b"8BITMIME" not in say(seven, b"EHLO me\r\nQUIT\r\n")
        heard = say(full, b"EHLO me\r\nQUIT\r\n").decode()
    assert all(keyword in heard for keyword in EVERYTHING)
