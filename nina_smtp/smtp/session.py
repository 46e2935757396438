"""A session with a server: logged in, and sending one mail after another.

It is opened step by step, so that a credential test can show each: resolve, connect, (TLS,) greeting, EHLO,
(STARTTLS, EHLO,) login. ``open`` does them all.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from nina_smtp.envelope import Envelope
from nina_smtp.errors import (
    AuthFailed,
    MessageRefused,
    NinaError,
    ProtocolViolation,
    ServerRefused,
)
from nina_smtp.smtp.capabilities import Capabilities
from nina_smtp.smtp.connection import Connection
from nina_smtp.smtp.failures import in_clear_text, not_offered, refusal, tls_required, too_large, uncertain
from nina_smtp.smtp.phase import Phase
from nina_smtp.smtp.protocol import Command
from nina_smtp.smtp.replies import Reply
from nina_smtp.smtp.server import Encryption, Server, is_loopback, own_name
from nina_smtp.smtp.transaction import Refusal, Stage, Transaction
from nina_smtp.smtp.wire import DotStuffer

_WRITE = 128 * 1024  # octets of content handed to the transport at a time
_MINIMUM_RATE = 500  # octets a second: what a server has to take of the content, as Postfix has it


@dataclass(frozen=True, slots=True)
class Delivery:
    """What became of one mail. ``error`` is None if the server took it, for whoever is in ``accepted``.

    ``accepted`` is empty unless the server took the message, or may have (``error.uncertain``).
    """

    accepted: tuple[str, ...]
    refused: tuple[Refusal, ...]
    reply: Reply | None
    error: NinaError | None = None


class Session:
    """A conversation with ``server``. Not for two tasks at once."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.connection = Connection(server)
        self._transaction_open = False
        self.in_doubt = False
        """Whether a final dot was written that has no answer yet."""

    @classmethod
    async def open(cls, server: Server) -> Session:
        """A session that is logged in. Raises CredentialError or ServerError."""
        session = cls(server)
        connection = session.connection
        connection.begin_attempt()
        try:
            await connection.connect(await connection.resolve())
            if server.encryption is Encryption.TLS:
                await connection.start_tls()
            await session.greet()
            await session.hello()
            if server.encryption is Encryption.STARTTLS:
                await session.upgrade()
            await session.login()
        except BaseException:
            connection.abort()
            raise
        return session

    @property
    def capabilities(self) -> Capabilities:
        """What the server offers now, in this TLS session."""
        return self.connection.protocol.capabilities

    @property
    def usable(self) -> bool:
        """Whether another mail can be sent."""
        return self.connection.usable

    @property
    def facts(self) -> dict[str, Any]:
        """The ``server`` object of a result."""
        tls = self.connection.tls
        return {"host": self.server.host, "port": self.server.port, "tls": tls.as_dict() if tls else None}

    # Opening, step by step.

    async def greet(self) -> Reply:
        """Reads the greeting. Raises ServerRefused, ProtocolViolation, ReplyTimeout."""
        reply = (await self.connection.answer(Phase.GREETING, self.server.timeouts.greeting)).reply
        if reply.code == 220:
            return reply
        if 400 <= reply.code < 600:
            raise refusal(ServerRefused, "The server does not want the connection", Phase.GREETING, reply)
        raise ProtocolViolation(
            f"The server's greeting is not one: {reply}", phase=Phase.GREETING.value, reply=reply
        )

    async def hello(self) -> Reply:
        """EHLO, or HELO where nothing but plain delivery is asked for. Raises ServerError, TlsRequired."""
        name = (self.server.ehlo_name or own_name(self.connection.local_address)).encode()
        reply = await self.connection.exchange(b"EHLO " + name, Phase.EHLO)
        extended = True
        if 500 <= reply.code < 600:
            if self.server.encryption is Encryption.NONE and self.server.mechanism is None:
                reply = await self.connection.exchange(b"HELO " + name, Phase.EHLO)
                extended = False
            elif self.server.encryption is Encryption.STARTTLS and not self.connection.tls:
                raise tls_required("The server does not do EHLO, so it cannot do STARTTLS", reply)
        self.connection.check(Phase.EHLO)  # something that came along with the reply may have ended it all
        if reply.code == 250:
            offered = Capabilities.from_reply(reply) if extended else Capabilities()
            self.connection.protocol.capabilities = offered
            return reply
        if 400 <= reply.code < 600:
            raise refusal(ServerRefused, "The server refused EHLO", Phase.EHLO, reply)
        raise ProtocolViolation(f"The server answered EHLO with {reply}", phase=Phase.EHLO.value, reply=reply)

    async def upgrade(self) -> None:
        """STARTTLS, mandatory (RFC 3207), and a new EHLO. Raises TlsRequired, TlsFailed, ServerError."""
        if "STARTTLS" not in self.capabilities:
            raise tls_required("The server does not offer STARTTLS")
        reply = await self.connection.exchange(b"STARTTLS", Phase.TLS)
        if reply.code != 220:
            raise tls_required("The server refused STARTTLS", reply)
        await self.connection.start_tls()
        await self.hello()

    async def login(self) -> None:
        """Authenticates with exactly the credential's mechanism.

        Raises AuthUnavailable, AuthFailed, TlsRequired, ServerError.
        """
        mechanism = self.server.mechanism
        if mechanism is None:
            return
        self._check_login_is_private()
        if mechanism.name not in self.capabilities.mechanisms:
            raise not_offered(mechanism.name, self.capabilities.offered_mechanisms)
        for command in mechanism.commands():
            reply = await self.connection.command(command)
            if reply.code == 235:
                return
            if reply.code != 334:
                raise refusal(AuthFailed, "The server refused the login", Phase.AUTH, reply)
        await self.connection.exchange(b"*", Phase.AUTH)  # cancels (RFC 4954 4)
        raise AuthFailed(
            f"The server goes on asking after {mechanism.name} has said everything.",
            hint="Try the other authMethod.",
            phase=Phase.AUTH.value,
        )

    def _check_login_is_private(self) -> None:
        connection = self.connection
        local = connection.peer is not None and is_loopback(connection.peer)
        if not connection.tls and not local and not self.server.allow_cleartext_login:
            raise in_clear_text()

    # Sending.

    async def send(
        self,
        envelope: Envelope,
        content: Iterable[bytes],
        *,
        size: int,
        eight_bit: bool = False,
        smtputf8: bool = False,
    ) -> Delivery:
        """Sends one mail. Never raises for what the server or the network does: the Delivery says it.

        ``content`` has CRLF line ends and is read while it is sent; ``size`` is its octets.
        """
        limit = self.capabilities.size
        if limit is not None and size > limit:
            return Delivery((), (), None, too_large(size, limit))
        transaction = Transaction(
            envelope, self.capabilities, size=size, eight_bit=eight_bit, smtputf8=smtputf8
        )
        try:
            await self.reset()
            await self._envelope(transaction)
            if transaction.stage is Stage.CONTENT:
                await self._content(transaction, content, size)
            elif transaction.stage is Stage.EMPTY_CONTENT:
                await self._final_dot(transaction, b".\r\n")
        except NinaError as error:
            return self._broken(transaction, error)
        except BaseException:  # cancelled, or the content could not be read: half a message is on its way
            self.connection.abort()
            raise
        if transaction.ends_session:
            self.connection.abort()
        refused = tuple(transaction.refused)
        if transaction.error and not transaction.error.uncertain:
            return Delivery((), refused, None, transaction.error)
        return Delivery(tuple(transaction.accepted), refused, transaction.reply, transaction.error)

    async def probe(self, envelope: Envelope) -> Delivery:
        """MAIL and RCPT, then RSET: who would be accepted, and is in ``accepted`` here. Nothing is sent."""
        transaction = Transaction(envelope, Capabilities(), size=0)
        try:
            await self.reset()
            self._transaction_open = True
            for command in iter(lambda: next(iter(transaction.next_group()), None), None):
                if command.phase is Phase.DATA:
                    break
                self.connection.write_commands(command)
                transaction.receive(await self.connection.answer(command.phase, self.server.timeouts.command))
            await self.reset()
        except NinaError as error:
            return self._broken(transaction, error)
        except BaseException:
            self.connection.abort()
            raise
        return Delivery(tuple(transaction.accepted), tuple(transaction.refused), None, transaction.error)

    async def reset(self) -> None:
        """Begins a new attempt, and ends the transaction that the server may still have open."""
        self.connection.begin_attempt()
        if self._transaction_open:
            reply = await self.connection.exchange(b"RSET", Phase.RSET)
            if not reply.is_positive:
                raise refusal(ServerRefused, "The server refused RSET", Phase.RSET, reply)
            self._transaction_open = False

    async def quit(self) -> None:
        """QUIT, if the server cares to answer within its two seconds, and the end of the connection."""
        if self.usable:
            self.connection.begin_attempt()
            with suppress(NinaError):  # it has taken what it has taken
                await self.connection.command(
                    Command(b"QUIT", Phase.QUIT, ends_group=True), self.server.timeouts.quit
                )
        self.connection.abort()
        await self.connection.closed()

    async def _envelope(self, transaction: Transaction) -> None:
        self._transaction_open = True
        while group := transaction.next_group():
            self.connection.write_commands(*group)
            for command in group:
                data = command.phase is Phase.DATA
                seconds = self.server.timeouts.data if data else self.server.timeouts.command
                transaction.receive(await self.connection.answer(command.phase, seconds))

    async def _content(self, transaction: Transaction, content: Iterable[bytes], size: int) -> None:
        stuffer = DotStuffer()
        waiting: list[bytes] = []
        length = 0
        deadline = self.connection.within(self.server.timeouts.data + size / _MINIMUM_RATE)
        for chunk in content:
            waiting.append(stuffer.feed(chunk))
            length += len(chunk)
            if length >= _WRITE:
                await self.connection.write_content(b"".join(waiting), deadline)
                waiting, length = [], 0
        waiting.append(stuffer.end())
        await self._final_dot(transaction, b"".join(waiting))

    async def _final_dot(self, transaction: Transaction, last: bytes) -> None:
        """The last octets of the content, in one write: from here on the mail may be delivered."""
        self.connection.write_last(last)
        transaction.content_written()
        self.in_doubt = transaction.error is None  # an empty content, behind a refusal, is nobody's mail
        transaction.receive(await self.connection.answer(Phase.DOT, self.server.timeouts.final))
        self.in_doubt = False
        self._transaction_open = False

    def _broken(self, transaction: Transaction, error: NinaError) -> Delivery:
        """The connection failed in the middle of ``transaction``."""
        self.connection.abort()
        self.in_doubt = False  # from here on the Delivery says it
        refused = tuple(transaction.refused)
        if transaction.stage is Stage.VERDICT and transaction.error is None:
            return Delivery(tuple(transaction.accepted), refused, None, uncertain(error.message, error.reply))
        if error.phase == Phase.BODY.value and error.reply and 400 <= error.reply.code < 600:
            # It refused the message before it had all of it, which is rude but clear.
            error = refusal(MessageRefused, "The server refused the message", Phase.BODY, error.reply)
        return Delivery((), refused, None, transaction.error or error)
