"""A recording SMTP server: it takes what it gets and keeps every octet.

with Recorder(keywords=["PIPELINING", "8BITMIME"], tls="starttls") as server:
    ...                      # a client connects to server.host, server.port
server.messages[0].recipients, server.messages[0].data, server.sessions[0].commands
"""

import socket
import ssl
from collections.abc import Iterable, Mapping
from typing import Literal

from bed.certs import Certs, make_certs
from bed.dialogue import Dialogue
from bed.listener import Listener
from bed.recording import Command, Message, Session, path_of
from bed.secret_forms import forms

EVERYTHING = (
    "PIPELINING",
    "SIZE 52428800",
    "8BITMIME",
    "SMTPUTF8",
    "ENHANCEDSTATUSCODES",
    "AUTH PLAIN LOGIN",
)
CHUNKING = (*EVERYTHING, "CHUNKING")
SEVEN_BIT = ("SIZE 52428800", "ENHANCEDSTATUSCODES", "AUTH PLAIN LOGIN")

OK_MAIL = b"250 2.1.0 Ok\r\n"
OK_RCPT = b"250 2.1.5 Ok\r\n"
OK_DOT = b"250 2.0.0 Ok: queued as BED\r\n"


class Recorder(Listener):
    """`tls` is none, starttls or implicit. STARTTLS is offered by itself before TLS in starttls mode, and
    AUTH then only after it, unless `auth_in_clear`.

    `users` maps names to passwords (or OAuth tokens); None lets everybody in. `rcpt_replies` gives the
    reply, code and text, for single addresses; `dot_reply` the one for the message. `lenient_end` also
    ends message data at the look-alikes of CRLF.CRLF that smuggling uses.
    """

    dialogue: type[Dialogue] = Dialogue

    def __init__(
        self,
        keywords: Iterable[str] = EVERYTHING,
        *,
        tls: Literal["none", "starttls", "implicit"] = "none",
        certs: Certs | None = None,
        certificate: str = "good",
        users: Mapping[str, str] | None = None,
        auth_in_clear: bool = False,
        mail_reply: bytes = OK_MAIL,
        rcpt_replies: Mapping[bytes, bytes] | None = None,
        dot_reply: bytes = OK_DOT,
        lenient_end: bool = False,
    ) -> None:
        super().__init__()
        self.keywords = list(keywords)
        self.tls = tls
        self.certs = certs or make_certs()
        self.certificate = certificate
        self.users = users
        self.auth_in_clear = auth_in_clear or tls == "none"
        self.mail_reply = mail_reply
        self.rcpt_replies = dict(rcpt_replies or {})
        self.dot_reply = dot_reply
        self.lenient_end = lenient_end
        self.sessions: list[Session] = []

    # -- what was recorded ------------------------------------------------------------------------

    @property
    def messages(self) -> list[Message]:
        """The messages taken, over all sessions; one is here before its 250 is on the wire."""
        return [message for message in self.transactions if message.taken]

    @property
    def transactions(self) -> list[Message]:
        """Every transaction from its MAIL on, taken or not."""
        return [message for session in self.sessions for message in session.messages]

    @property
    def commands(self) -> list[Command]:
        return [command for session in self.sessions for command in session.commands]

    @property
    def verbs(self) -> list[str]:
        """The verbs of all commands, upper-case, in order: a short form for assertions."""
        return [command.verb.decode("latin-1") for command in self.commands]

    def saw_secret(self, secret: str | bytes, user: str | bytes | None = None, *, clear: bool = True) -> bool:
        """Whether `secret` came in any disguise outside TLS or, with `clear=False`, at all."""
        heard = [session.clear if clear else session.octets for session in self.sessions]
        return any(form in octets for form in forms(secret, user) for octets in heard)

    @property
    def saw_auth_in_clear(self) -> bool:
        return any(command.verb == b"AUTH" and not command.tls for command in self.commands)

    # -- what is answered -------------------------------------------------------------------------

    def server_context(self) -> ssl.SSLContext:
        return self.certs.server_context(self.certificate)

    def keywords_for(self, *, encrypted: bool) -> list[str]:
        keywords = list(self.keywords)
        if self.tls == "starttls" and not encrypted:
            if not self.auth_in_clear:
                keywords = [keyword for keyword in keywords if not keyword.upper().startswith("AUTH")]
            keywords.insert(0, "STARTTLS")
        return keywords

    def reply_to_mail(self, argument: bytes) -> bytes:
        return _line(self.mail_reply)

    def reply_to_rcpt(self, argument: bytes) -> bytes:
        return _line(self.rcpt_replies.get(path_of(argument), OK_RCPT))

    def reply_to_dot(self, message: Message) -> bytes:
        return _line(self.dot_reply)

    # -- connections ------------------------------------------------------------------------------

    def handle(self, connection: socket.socket) -> None:
        dialogue = self.dialogue(self, connection)
        self.sessions.append(dialogue.session)
        try:
            dialogue.run()
        finally:
            self.drop(dialogue.connection)


def _line(reply: bytes) -> bytes:
    return reply if reply.endswith(b"\n") else reply + b"\r\n"
