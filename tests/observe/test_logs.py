"""Logs: words and facts, nothing when nobody listens, and a formatter that makes a line of each."""

from __future__ import annotations

import asyncio
import io
import json
import logging
import subprocess
import sys
from typing import Any

import pytest
from bed.certs import Certs
from bed.faulty import FaultyServer
from bed.invariants import check_no_secret
from bed.memory import Peer, Store, run
from bed.recorder import Recorder

import nina_smtp
from nina_smtp import observe
from nina_smtp.errors import ServerRefused
from nina_smtp.message import Email
from nina_smtp.observe.logs import JsonFormatter
from nina_smtp.smtp.replies import Reply
from nina_smtp.smtp.server import Encryption, Server

USER, PASSWORD = "alice@mail.test", "S3CRET-pässword"
NODE = {"parameters": {"to": "b@mail.test", "subject": "A subject", "body": "A body"}}
HOSTILE = "x\r\n2027-01-01 INFO login ok \x1b[2J\u2028\u202e\x85"


@pytest.fixture
def heard(listen: Any) -> Any:
    handler = listen("nina_smtp", logging.DEBUG)
    handler.setFormatter(JsonFormatter())
    return handler


def told(heard: Any, event: str) -> dict[str, Any]:
    (found,) = [json.loads(line) for line in heard.lines if json.loads(line).get("event") == event]
    return found


def send(server: Recorder, certs: Certs, **data: Any) -> None:
    credential = {
        "host": "localhost", "port": server.port, "username": USER, "password": PASSWORD,
        "caCertificate": certs.ca_pem.read_text(), **data,
    }  # fmt: skip

    async def work() -> None:
        async with nina_smtp.Pool(credential) as pool:
            await asyncio.gather(
                pool.send(Email(USER, "b@mail.test", "A subject", text="A body")), return_exceptions=True
            )

    asyncio.run(work())


def test_a_connection_a_login_and_a_mail_are_told(heard: Any, certs: Certs) -> None:
    with Recorder(tls="starttls", certs=certs, users={USER: PASSWORD}) as server:
        send(server, certs)
    assert [event for event in heard.events if event != "mail"] == [
        "connection.opened",
        "login.ok",
        "mail.settled",
        "connection.closed",
    ]
    assert told(heard, "mail")["message"] == "mail", "not the line within the line"
    opened, login = told(heard, "connection.opened"), told(heard, "login.ok")
    settled, closed = told(heard, "mail.settled"), told(heard, "connection.closed")
    assert (opened["host"], opened["port"], opened["level"]) == ("localhost", server.port, "info")
    assert opened["tls"].startswith("TLSv1.")
    assert (login["authMethod"], login["username"]) == ("LOGIN", USER)
    assert (settled["status"], settled["level"], settled["to"]) == ("sent", "debug", ["b@mail.test"])
    assert opened["connection"] == login["connection"] == closed["connection"]
    assert opened["message"] == f"connection {opened['connection']} to localhost port {server.port} opened"
    check_no_secret(heard.lines, [PASSWORD, "A subject", "A body"], USER)


@pytest.mark.parametrize("fault", ["a_echo", "a_535"])
def test_a_refused_login_is_told_without_the_secret(fault: str, heard: Any, certs: Certs) -> None:
    with FaultyServer(fault, tls=certs) as server:
        send(server, certs)
    failed = told(heard, "login.failed")
    assert (failed["error"], failed["code"], failed["level"]) == ("authFailed", 535, "warning")
    assert failed["username"] == USER
    check_no_secret(heard.lines, [PASSWORD], USER)


def test_a_connection_that_fails_is_told_with_the_phase(heard: Any, certs: Certs) -> None:
    with FaultyServer("g_554", tls=certs) as server:
        send(server, certs)
    failed = told(heard, "connection.failed")
    assert (failed["error"], failed["phase"], failed["code"]) == ("serverRefused", "greeting", 554)


def test_what_a_server_says_in_it_is_one_line_with_any_formatter(listen: Any) -> None:
    from nina_smtp.smtp.session import Session

    heard = listen("nina_smtp", logging.DEBUG)

    async def work() -> None:
        server = Server("localhost", 25, Encryption.NONE, ehlo_name="me.test")
        with pytest.raises(nina_smtp.NinaError):
            await Session.open(server)

    def refusing() -> Peer:
        peer = Peer(Store())
        peer._outbox[:] = b"554-" + HOSTILE.encode().replace(b"\r\n", b"") + b"\r\n554 no\r\n"
        return peer

    run(work, refusing)
    lines = [logging.Formatter("%(levelname)s %(name)s %(message)s").format(one) for one in heard.records]
    assert all(line.isprintable() for line in lines)
    assert any("login ok" in line for line in lines)


def test_what_others_tell_has_a_function(heard: Any) -> None:
    server = Server("mail.test")
    observe.throttled(server, reply=Reply(421, (f"4.7.0 {HOSTILE}",)), seconds=60)
    observe.throttled(server)
    error = ServerRefused(f"The server closes the connection: {HOSTILE}")
    observe.breaker_opened(server, error, seconds=29.7)
    first, second, opened = [json.loads(line) for line in heard.lines]
    assert (first["event"], first["seconds"], first["host"]) == ("throttled", 60, "mail.test")
    assert "seconds" not in second
    assert (opened["event"], opened["error"], opened["level"]) == (
        "breaker.opened",
        "serverRefused",
        "warning",
    )
    assert opened["message"].startswith("mail.test port 587 is left alone for 30 seconds: ")
    assert all(line.isprintable() for line in heard.lines)
    assert all(record.getMessage().isprintable() for record in heard.records)


def test_the_formatter_takes_any_record() -> None:
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonFormatter())
    try:
        raise ValueError(HOSTILE)
    except ValueError:
        record = logging.LogRecord("asyncio", logging.ERROR, "f", 1, "bad %s", (HOSTILE,), sys.exc_info())
    handler.handle(record)
    (line,) = stream.getvalue().splitlines()
    shape = json.loads(line)
    assert (shape["logger"], shape["level"], shape["message"]) == ("asyncio", "error", f"bad {HOSTILE}")
    assert "ValueError" in shape["exception"]
    assert line.isprintable()


def test_nothing_is_printed_unless_the_host_says_so() -> None:
    """A failure is a warning, and logging prints warnings that no handler takes."""
    program = (
        "import nina_smtp, sys\n"
        "credential = {'host': '127.0.0.1', 'port': int(sys.argv[1]), 'encryption': 'none'}\n"
        "credential['authMethod'] = 'none'\n"
        "node = {'parameters': {'to': 'b@x.test', 'from': 'a@x.test', 'subject': 's', 'body': 'b'}}\n"
        "assert nina_smtp.send(node, credential)[0].status == 'failed'\n"
    )
    with Recorder() as closed:
        port = closed.port
    done = subprocess.run(
        [sys.executable, "-c", program, str(port)], capture_output=True, check=True, timeout=60
    )
    assert (done.stdout, done.stderr) == (b"", b"")
