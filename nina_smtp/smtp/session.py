"""A session with a server: logged in, and sending one mail after another.

It is opened step by step, so that a credential test can show each: resolve, connect, (TLS,) greeting, EHLO,
(STARTTLS, EHLO,) login. ``open`` does them all.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from nina_smtp import observe
from nina_smtp.envelope import Envelope
from nina_smtp.errors import (
    AuthFailed,
    ConnectionLost,
    NinaError,
    ProtocolViolation,
    ServerRefused,
)
from nina_smtp.secret import Secret
from nina_smtp.smtp.auth import PlainOrLogin, XOAuth2
from nina_smtp.smtp.capabilities import Capabilities
from nina_smtp.smtp.carrier import Carrier
from nina_smtp.smtp.connection import Connection
from nina_smtp.smtp.failures import (
    in_clear_text,
    lost,
    not_offered,
    refusal,
    tls_required,
    token_refused,
)
from nina_smtp.smtp.mail import Delivery, Mail, Shipment
from nina_smtp.smtp.phase import Phase
from nina_smtp.smtp.protocol import Command
from nina_smtp.smtp.replies import Reply
from nina_smtp.smtp.server import Encryption, Server, is_loopback, own_name
from nina_smtp.smtp.transaction import Transaction


class Session:
    """A conversation with ``server``. Not for two tasks at once."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.connection = Connection(server)
        self.is_fresh = True
        """Whether nothing was sent yet, so that the server has just shown that it is there."""
        self.transaction_open = False
        """Whether the server may have a transaction open, so that the next one has to begin with RSET."""

    @classmethod
    async def open(cls, server: Server, *, prove: bool = False) -> Session:
        """A session that is logged in, and that has answered NOOP if it has to prove itself.

        Raises CredentialError or ServerError.
        """
        session = cls(server)
        try:
            await session._reach()
            await session.login()
            if prove:
                await session.noop()
        except BaseException as error:
            session.connection.abort()
            if isinstance(error, NinaError):
                error.transcript = session.connection.opening.failed(error)
                observe.session_failed(session, error)
            raise
        observe.session_opened(session)
        return session

    async def _reach(self) -> None:
        """All that comes before the login."""
        self.connection.begin_attempt()
        await self.connection.connect(await self.connection.resolve())
        if self.server.encryption is Encryption.TLS:
            await self.connection.start_tls()
        await self.greet()
        await self.hello()
        if self.server.encryption is Encryption.STARTTLS:
            await self.upgrade()

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

    async def login(self) -> str:
        """Authenticates with exactly the credential's mechanism, or the one of the two that is offered; its
        name, or ``none``.

        Raises AuthUnavailable, AuthFailed, TlsRequired, ServerError; with tokens, any CredentialError.
        """
        mechanism = self.server.mechanism
        if mechanism is None:
            return "none"
        self._check_login_is_private("access token" if isinstance(mechanism, XOAuth2) else "password")
        wanted, offered = mechanism.name, self.capabilities.mechanisms
        if isinstance(mechanism, PlainOrLogin):
            mechanism = mechanism.chosen(offered)
        if mechanism is None or mechanism.name not in offered:
            raise not_offered(wanted, self.capabilities.offered_mechanisms)
        if isinstance(mechanism, XOAuth2):
            await self._login_with_token(mechanism)
            return mechanism.name
        reply, _ = await self._authenticate(mechanism.name, mechanism.commands())
        if reply.code != 235:
            raise refusal(AuthFailed, "The server refused the login", Phase.AUTH, reply)
        return mechanism.name

    async def _login_with_token(self, mechanism: XOAuth2) -> None:
        """A token that is refused is renewed once, and the login tried once more, not more often."""
        tokens = mechanism.tokens
        token = await tokens.token()
        reply, refused = await self._present(mechanism, token)
        renew = refused and tokens.renewable
        if renew:
            reply = await self._present_again(mechanism, await tokens.renewed(token))
        if reply.code != 235:
            raise token_refused(reply, renewed=renew)

    async def _present_again(self, mechanism: XOAuth2, token: Secret) -> Reply:
        """The verdict on another token, over a new connection if the server hangs up on whoever fails."""
        if self.usable:
            with suppress(ConnectionLost):
                return (await self._present(mechanism, token))[0]
        self.connection.abort()
        self.connection = Connection(self.server, self.connection.opening)
        await self._reach()
        return (await self._present(mechanism, token))[0]

    async def _present(self, mechanism: XOAuth2, token: Secret) -> tuple[Reply, bool]:
        """The server's verdict on ``token``, and whether that is what it refuses: by 535, or by a challenge
        that tells of an error, with whatever comes then.
        """
        self.server.redactor.learn(token, mechanism.username)
        reply, said = await self._authenticate(mechanism.name, mechanism.commands(token))
        challenged = not said.line  # only the empty line answers such a challenge
        return reply, reply.code == 535 or (challenged and 500 <= reply.code < 600)

    async def _authenticate(self, name: str, commands: Iterator[Command]) -> tuple[Reply, Command]:
        """The server's verdict, 235 or a refusal, and what it is the answer to."""
        for command in commands:
            reply = await self.connection.command(command)
            if reply.code != 334:
                return reply, command
        await self.connection.exchange(b"*", Phase.AUTH)  # cancels (RFC 4954 4)
        raise AuthFailed(
            f"The server goes on asking after {name} has said everything.",
            hint="Try the other authMethod.",
            phase=Phase.AUTH.value,
        )

    def _check_login_is_private(self, what: str) -> None:
        connection = self.connection
        local = connection.peer is not None and is_loopback(connection.peer)
        if not connection.tls and not local and not self.server.allow_cleartext_login:
            raise in_clear_text(what)

    # Sending.

    async def send(self, mail: Mail) -> Delivery:
        """Sends one mail. Nothing is raised for what the server or the network does: the Delivery says it."""
        shipment = _Single(mail)
        await self.carry(shipment)
        return shipment.delivery

    async def carry(self, *shipments: Shipment) -> None:
        """Sends mails, each of which is settled when this returns."""
        waiting = iter(shipments)
        await Carrier(self).run(lambda: next(waiting, None))
        for shipment in waiting:
            try:
                self.connection.check(Phase.MAIL)
                raise lost("the session is over", Phase.MAIL)
            except NinaError as error:
                shipment.settled(Delivery(error=error, attempts=0))

    async def probe(self, envelope: Envelope) -> Delivery:
        """MAIL and RCPT, then RSET: who would be accepted, and is in ``accepted`` here. Nothing is sent."""
        transaction = Transaction(envelope, Capabilities(), size=0, reset=self.transaction_open)
        self.connection.begin_attempt()
        self.transaction_open = True
        try:
            while group := transaction.next_group():
                if group[0].phase is Phase.DATA:
                    break
                self.connection.write_commands(*group)
                transaction.receive(
                    await self.connection.answer(group[0].phase, self.server.timeouts.command)
                )
            await self._reset()
        except NinaError as error:
            self.connection.abort()
            return Delivery(refused=tuple(transaction.refused), error=transaction.error or error)
        except BaseException:
            self.connection.abort()
            raise
        return Delivery(tuple(transaction.accepted), tuple(transaction.refused), None, transaction.error)

    async def _reset(self) -> None:
        reply = await self.connection.exchange(b"RSET", Phase.RSET)
        if not reply.is_positive:
            raise refusal(ServerRefused, "The server refused RSET", Phase.RSET, reply)
        self.transaction_open = False

    async def noop(self) -> None:
        """Raises NinaError unless the server answers as one that is well."""
        reply = await self.connection.exchange(b"NOOP", Phase.NOOP)
        if not reply.is_positive:
            raise refusal(ServerRefused, "The server refused NOOP", Phase.NOOP, reply)

    async def quit(self) -> None:
        """QUIT, if the server cares to answer within its two seconds, and the end of the connection."""
        try:
            if self.usable:
                self.connection.begin_attempt()
                with suppress(NinaError):  # it has taken what it has taken
                    await self.connection.command(
                        Command(b"QUIT", Phase.QUIT, ends_group=True), self.server.timeouts.quit
                    )
        finally:
            self.connection.abort()
        await self.connection.closed()


class _Single(Shipment):
    """A mail that is there already."""

    delivery: Delivery

    def __init__(self, mail: Mail) -> None:
        self._mail = mail

    def prepare(self, capabilities: Capabilities) -> Mail:
        return self._mail

    def settled(self, delivery: Delivery) -> None:
        self.delivery = delivery
