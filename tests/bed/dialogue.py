"""The server's side of one SMTP connection, correct by default, with a method a phase to override.

It is lenient and literal on purpose: a bare LF ends a command line, nothing is stripped or mended, and
each octet is recorded before it is looked at, so that whatever a client smuggles in becomes visible.
"""

import base64
import binascii
import re
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from bed.recording import Command, Exchange, Message, Session

if TYPE_CHECKING:
    from bed.recorder import Recorder

STRICT_END = re.compile(rb"\r\n\.\r\n")
LENIENT_END = re.compile(rb"(?:\r\n|\n|\r)\x00?\.\x00?(?:\r\n|\n|\r)")


class Dialogue:
    def __init__(self, server: "Recorder", connection: socket.socket) -> None:
        self.server = server
        self.connection = connection
        self.session = Session(implicit_tls=server.tls == "implicit")
        self.buffer = bytearray()
        self.encrypted = False
        self.offered: frozenset[str] = frozenset()
        self.logged_in = False
        self.closing = False
        self.transaction: Message | None = None
        self.held: bytearray | None = None

    # -- the wire ---------------------------------------------------------------------------------

    def receive(self) -> bool:
        """Read what has come into the buffer; False when the peer has gone, politely or not."""
        try:
            octets = self.connection.recv(65536)
        except OSError:
            return False
        self.buffer += octets
        self.session.octets += octets
        if not self.encrypted:
            self.session.clear += octets
        return bool(octets)

    def send(self, octets: bytes) -> None:
        if self.held is not None:
            self.held += octets
            return
        self.session.sent += octets
        self.connection.sendall(octets)

    @contextmanager
    def at_once(self) -> Iterator[None]:
        """What is sent within leaves in one write."""
        self.held = bytearray()
        try:
            yield
        finally:
            octets, self.held = bytes(self.held), None
            self.send(octets)

    def read_line(self) -> bytes | None:
        """One line up to and with its LF; the last one may lack it; None at the end."""
        while (end := self.buffer.find(b"\n")) < 0:
            if not self.receive():
                end = len(self.buffer) - 1
                break
        line = bytes(self.buffer[: end + 1])
        del self.buffer[: end + 1]
        return line or None

    def read_data(self) -> bool:
        """Fill the transaction's data up to the final dot; False when the peer went away before it."""
        assert self.transaction is not None
        pattern = LENIENT_END if self.server.lenient_end else STRICT_END
        data = bytearray(b"\r\n")  # the line before the first: a dot may stand at the very start
        start = 0
        while True:
            data += self.buffer
            self.buffer.clear()
            if found := pattern.search(data, start):
                self.buffer += data[found.end() :]
                first_line_end = re.match(rb"\r\n|\n|\r", found[0])
                assert first_line_end is not None
                self.transaction.data = bytes(data[2 : found.start() + first_line_end.end()])
                self.transaction.ended = True
                return True
            start = max(0, len(data) - 8)
            if not self.receive():
                self.transaction.data = bytes(data[2:])
                return False

    def start_tls(self, context: ssl.SSLContext) -> None:
        def remember(_: ssl.SSLObject, name: str | None, __: ssl.SSLContext) -> None:
            self.session.server_name = name

        context.sni_callback = remember
        self.server.forget(self.connection)
        try:
            wrapped = context.wrap_socket(self.connection, server_side=True, do_handshake_on_connect=False)
        except BaseException:
            self.connection.close()
            raise
        self.connection = self.server.keep(wrapped)
        wrapped.do_handshake()
        self.encrypted = True
        self.session.tls_version = wrapped.version()
        self.logged_in = False
        self.transaction = None

    # -- the conversation -------------------------------------------------------------------------

    def run(self) -> None:
        try:
            if self.server.tls == "implicit":
                self.start_tls(self.server.server_context())
            self.greet()
            while not self.closing and (line := self.read_line()) is not None:
                self.command(line)
        finally:
            self.session.over = True

    def command(self, line: bytes) -> None:
        command = Command(line, self.encrypted)
        self.session.commands.append(command)
        if self.transaction is not None:
            self.transaction.commands.append(line)
        handler = getattr(self, f"on_{command.verb.decode('ascii', 'replace').lower()}", None)
        if handler is None:
            self.send(b"500 5.5.2 What?\r\n")
        else:
            handler(command.argument)

    def greet(self) -> None:
        self.send(b"220 mail.test ESMTP the bed\r\n")

    def keywords(self) -> list[str]:
        return self.server.keywords_for(encrypted=self.encrypted)

    def on_ehlo(self, argument: bytes) -> None:
        self.session.ehlo_names.append(argument)
        self.transaction = None
        keywords = self.keywords()
        self.offered = frozenset(keyword.upper() for keyword in keywords)
        lines = ["mail.test", *keywords]
        parts = [f"250-{text}\r\n" for text in lines[:-1]] + [f"250 {lines[-1]}\r\n"]
        self.send("".join(parts).encode())

    def on_helo(self, argument: bytes) -> None:
        self.session.ehlo_names.append(argument)
        self.transaction = None
        self.offered = frozenset()
        self.send(b"250 mail.test\r\n")

    def on_starttls(self, argument: bytes) -> None:
        if self.encrypted or self.server.tls != "starttls":
            self.send(b"502 5.5.1 Not now\r\n")
            return
        self.send(b"220 2.0.0 Go ahead\r\n")
        self.session.before_tls = bytes(self.buffer)
        self.buffer.clear()
        self.offered = frozenset()
        self.start_tls(self.server.server_context())

    def on_auth(self, argument: bytes) -> None:
        mechanism, _, initial = argument.partition(b" ")
        exchange = Exchange(mechanism.upper(), [b"AUTH " + argument], self.encrypted)
        self.session.exchanges.append(exchange)
        answers = [initial.strip()] if initial else []
        prompts = {b"LOGIN": [b"VXNlcm5hbWU6", b"UGFzc3dvcmQ6"]}.get(exchange.mechanism, [b""])
        while len(answers) < len(prompts):
            self.send(b"334 " + prompts[len(answers)] + b"\r\n")
            line = self.read_line()
            if line is None:
                return
            exchange.lines.append(line)
            if line.strip() == b"*":
                self.send(b"501 5.7.0 Cancelled\r\n")
                return
            answers.append(line.strip())
        exchange.user, exchange.password = _login(exchange.mechanism, answers)
        self.judge(exchange)

    def judge(self, exchange: Exchange) -> None:
        """Answer a finished AUTH exchange."""
        users = self.server.users
        exchange.accepted = exchange.user is not None and (
            users is None or (exchange.user in users and users[exchange.user] == exchange.password)
        )
        self.logged_in = exchange.accepted
        self.send(b"235 2.7.0 Welcome\r\n" if exchange.accepted else b"535 5.7.8 Bad login\r\n")

    def on_mail(self, argument: bytes) -> None:
        self.mail(argument, self.server.reply_to_mail(argument))

    def mail(self, argument: bytes, reply: bytes) -> None:
        self.transaction = message = Message(argument, self.offered, self.encrypted)
        message.commands.append(self.session.commands[-1].line)
        self.session.messages.append(message)
        if not reply.startswith(b"2"):
            message.opened = False
            self.transaction = None
        self.send(reply)

    def on_rcpt(self, argument: bytes) -> None:
        self.rcpt(argument, self.server.reply_to_rcpt(argument))

    def rcpt(self, argument: bytes, reply: bytes) -> None:
        if self.transaction is None:
            self.send(b"503 5.5.1 MAIL first\r\n")
            return
        self.transaction.rcpt_arguments.append(argument)
        if reply.startswith(b"2"):
            self.transaction.accepted.append(argument)
        self.send(reply)

    def on_data(self, argument: bytes) -> None:
        if self.transaction is None or not self.transaction.accepted:
            self.send(b"503 5.5.1 No valid recipients\r\n")
            return
        self.send(b"354 Go ahead\r\n")
        self.take_data()

    def take_data(self) -> None:
        """Read the message; at its end `dot` answers."""
        if self.read_data():
            message, self.transaction = self.transaction, None
            assert message is not None
            self.dot(message)
        else:
            self.closing = True

    def on_bdat(self, argument: bytes) -> None:
        words = argument.split()
        if not words or not words[0].isdigit():
            self.send(b"501 5.5.4 Bad chunk\r\n")
            return
        chunk = self.read_octets(int(words[0]))  # refused or not, it is read (RFC 3030 2)
        message = self.transaction
        if message is not None:
            message.chunked = True
            message.data += chunk or b""
        if chunk is None:
            self.closing = True
        elif message is None or not message.accepted:
            self.send(b"503 5.5.1 No valid recipients\r\n")
        elif words[-1].upper() == b"LAST":
            self.transaction = None
            message.ended = True
            self.dot(message)
        else:
            self.send(b"250 2.0.0 Next\r\n")

    def read_octets(self, size: int) -> bytes | None:
        """So many octets; None when the peer went away before them."""
        while len(self.buffer) < size:
            if not self.receive():
                return None
        octets = bytes(self.buffer[:size])
        del self.buffer[:size]
        return octets

    def dot(self, message: Message) -> None:
        """Answer a whole message."""
        reply = self.server.reply_to_dot(message)
        message.taken = reply.startswith(b"2")
        self.send(reply)

    def on_rset(self, argument: bytes) -> None:
        self.transaction = None
        self.send(b"250 2.0.0 Forgotten\r\n")

    def on_noop(self, argument: bytes) -> None:
        self.send(b"250 2.0.0 Still here\r\n")

    def on_quit(self, argument: bytes) -> None:
        self.session.after_quit = bytes(self.buffer)
        self.send(b"221 2.0.0 Bye\r\n")
        self.closing = True


def _login(mechanism: bytes, answers: list[bytes]) -> tuple[str | None, str | None]:
    """User and password, or token, of an exchange; None for what is not readable."""
    try:
        plain = [base64.b64decode(answer, validate=True).decode() for answer in answers]
    except (binascii.Error, UnicodeDecodeError):
        return None, None
    if mechanism == b"LOGIN":
        return plain[0], plain[1]
    if mechanism == b"PLAIN" and plain[0].count("\0") == 2:
        _, user, password = plain[0].split("\0")
        return user, password
    if mechanism == b"XOAUTH2" and (found := re.fullmatch("user=(.*?)\1auth=Bearer (.*?)\1\1", plain[0])):
        return found[1], found[2]
    return None, None
