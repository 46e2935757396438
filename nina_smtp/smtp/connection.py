"""A socket, the protocol on it, and deadlines: the only place where a mail socket is opened, written, read.

Every wait has a deadline that is a total, not a pause between octets, so that a server which sends one octet
at a time gets no further than one which sends none. What ends a connection is kept and raised at the next use
of it, as the NinaError that names the phase.
"""

from __future__ import annotations

import asyncio
import os
import ssl
from collections.abc import Callable, Sequence
from ipaddress import ip_address
from typing import TYPE_CHECKING

from nina_smtp import observe
from nina_smtp.errors import ConnectFailed, NinaError, ReplyTimeout, TlsFailed
from nina_smtp.observe.transcript import Opening
from nina_smtp.smtp.failures import lost, silent
from nina_smtp.smtp.phase import Phase
from nina_smtp.smtp.protocol import Answer, Command, Protocol, State
from nina_smtp.smtp.replies import Reply
from nina_smtp.smtp.server import Encryption, IPAddress, Server, no_mail_server
from nina_smtp.smtp.wire import Wire

if TYPE_CHECKING:
    from nina_smtp.smtp.tls import TlsFacts

_DEAD_ADDRESS = 5.0  # seconds after which the next address of the host is tried


class Connection:
    """A connection to ``server``, from looking up its name to being closed.

    ``opening`` is what was said before, if this one stands in for another.
    """

    def __init__(self, server: Server, opening: Opening | None = None) -> None:
        self.server = server
        self.opening = opening or Opening(server)
        self.protocol = Protocol(server.redactor)
        self.tls: TlsFacts | None = None
        self.peer: IPAddress | None = None
        self._wire: Wire | None = None
        self._deadline = float("inf")

    @property
    def usable(self) -> bool:
        """Whether a command can be written now."""
        return bool(self._wire and not self._wire.failure and self.protocol.state is State.IDLE)

    @property
    def is_broken(self) -> bool:
        """Whether nothing can be written any more."""
        return self._wire is None or self._wire.failure is not None

    @property
    def local_address(self) -> IPAddress:
        """This machine's end."""
        transport = self._connected().transport
        assert transport
        return ip_address(str(transport.get_extra_info("sockname")[0]).partition("%")[0])

    def begin_attempt(self) -> None:
        """From now on ``timeouts.total`` counts."""
        self._deadline = asyncio.get_running_loop().time() + self.server.timeouts.total

    def within(self, seconds: float) -> float:
        """The moment, on the loop's clock, when ``seconds`` or the whole attempt are over."""
        return min(asyncio.get_running_loop().time() + seconds, self._deadline)

    # Opening.

    async def resolve(self) -> list[IPAddress]:
        """The addresses of the host. Raises ConnectFailed if there is none, or none where mail is."""
        host = self.server.host
        try:
            async with asyncio.timeout_at(self.within(self.server.timeouts.connect)):
                found = await asyncio.get_running_loop().getaddrinfo(host, self.server.port, type=1)
        except (OSError, UnicodeError, TimeoutError) as error:
            raise ConnectFailed(
                f"The host {host} cannot be resolved: {_reason(error)}.",
                hint="Check the spelling of the host, and that this machine can resolve names.",
                phase=Phase.RESOLVE.value,
            ) from None
        addresses = dict.fromkeys(ip_address(str(entry[4][0]).partition("%")[0]) for entry in found)
        usable = [address for address in addresses if not no_mail_server(address)]
        if not usable:
            raise ConnectFailed(
                f"The host {host} has no address a mail server can be at.",
                hint="Link-local, multicast and unspecified addresses are never connected to.",
                phase=Phase.RESOLVE.value,
            )
        self.opening.note(f"{host} is at {', '.join(map(str, usable))}")
        return usable

    async def connect(self, addresses: Sequence[IPAddress]) -> None:
        """Opens the connection, trying one address after the other. Raises ConnectFailed."""
        loop = asyncio.get_running_loop()
        deadline = self.within(self.server.timeouts.connect)
        failure: Exception = OSError("no address")
        for index, address in enumerate(addresses):
            last = index == len(addresses) - 1
            try:
                async with asyncio.timeout_at(
                    deadline if last else min(deadline, loop.time() + _DEAD_ADDRESS)
                ):
                    _, self._wire = await loop.create_connection(
                        lambda: Wire(self.protocol), str(address), self.server.port
                    )
                self.peer = address
                self.opening.note(f"connected to {address}")
                observe.connected(self)
                return
            except (OSError, TimeoutError) as error:
                failure = error
                self.opening.note(f"no connection to {address}: {_reason(error)}")
        raise ConnectFailed(
            f"No connection to {self.server.host} port {self.server.port}: {_reason(failure)}.",
            hint="Check host and port, and that the firewall lets this machine out on that port.",
            phase=Phase.CONNECT.value,
        )

    async def start_tls(self) -> None:
        """The TLS handshake, on a fresh connection or behind STARTTLS. Raises TlsFailed, ServerError."""
        from nina_smtp.smtp.tls import check_peer

        wire = self._connected()
        implicit = self.server.encryption is Encryption.TLS
        if implicit and (wire.has_spoken or self.protocol.violation):
            raise TlsFailed(
                f"{self.server.host} speaks plain text on port {self.server.port}.",
                hint="Use encryption starttls here; tls belongs to port 465.",
                phase=Phase.TLS.value,
            )
        if not implicit:
            self.protocol.start_tls()
        try:
            transport = await self._handshake(wire)
        except BaseException as error:  # of a broken handshake asyncio tells its own TLS layer alone
            wire.connection_lost(error if isinstance(error, Exception) else None)
            raise
        wire.attach(transport)
        tls = transport.get_extra_info("ssl_object")
        assert isinstance(tls, ssl.SSLObject)
        self.tls = facts = check_peer(tls, self.server.trust)
        verified = "verified" if facts.verified else "NOT VERIFIED"
        self.opening.note(f"{facts.version}, {facts.cipher}, {verified}, {facts.subject}")

    async def _handshake(self, wire: Wire) -> asyncio.Transport:
        from nina_smtp.smtp.tls import handshake_error

        assert wire.transport
        seconds = self.server.timeouts.command
        context = self.server.tls_context
        try:
            async with asyncio.timeout_at(self.within(seconds)):
                transport = await asyncio.get_running_loop().start_tls(
                    wire.transport, wire, context, server_hostname=self.server.host
                )
        except TimeoutError:
            raise silent(Phase.TLS, seconds, encrypted=False) from None
        except OSError as error:
            if isinstance(error, ssl.SSLError) and not isinstance(error, ssl.SSLEOFError):
                implicit = self.server.encryption is Encryption.TLS
                raise handshake_error(error, self.server.host, implicit=implicit) from None
            raise lost("the server closed it in the TLS handshake", Phase.TLS) from None
        if transport is None or wire.failure:
            raise lost("the server closed it in the TLS handshake", Phase.TLS)
        return transport

    # Talking.

    async def exchange(self, line: bytes, phase: Phase) -> Reply:
        """One command that waits for its reply."""
        return await self.command(Command(line, phase, ends_group=True))

    async def command(self, command: Command, seconds: float | None = None) -> Reply:
        """One command and its reply, within ``seconds`` or ``timeouts.command``."""
        self.write_commands(command)
        return (await self.answer(command.phase, seconds or self.server.timeouts.command)).reply

    def write_commands(self, *commands: Command) -> None:
        """Writes a group of commands at once. Raises what has ended the connection."""
        self.check(commands[0].phase)
        octets = self.protocol.send(*commands)
        self.opening.said(commands)
        self._connected().write(octets)

    def write(self, octets: bytes) -> None:
        """Writes octets that the protocol knows of. Raises what has ended the connection."""
        self.check(self.protocol.phase or Phase.BODY)
        self._connected().write(octets)

    async def taken(self, deadline: float, given_up: Callable[[], bool] = lambda: False) -> None:
        """Waits while the server does not take what was written, and it is not given up.

        Raises ReplyTimeout, ConnectionLost.
        """
        wire = self._connected()
        wire.expect(deadline)
        try:
            while wire.paused and not wire.failure and not given_up():
                await wire.wait()
        except TimeoutError:
            raise ReplyTimeout("The server stopped taking the message.", phase=Phase.BODY.value) from None
        self.check(Phase.BODY)

    async def answer(self, phase: Phase, seconds: float) -> Answer:
        """The next answer. Raises ReplyTimeout, ConnectionLost, or the breach of protocol that was found."""
        wire = self._connected()
        self.expect(self.within(seconds))
        try:
            while not wire.has_spoken:
                self.check(phase)
                await wire.wait()
        except TimeoutError:
            raise silent(phase, seconds, encrypted=bool(self.tls)) from None
        answer = wire.take()[0]
        self.opening.heard(answer)
        return answer

    def listen(self, listener: Callable[[list[Answer]], None] | None) -> None:
        """From now on ``listener`` hears the answers, at once; None: they wait to be taken."""
        self._connected().listener = listener

    def expect(self, until: float) -> None:
        """From now on ``wait`` ends at ``until``, a moment on the loop's clock."""
        self._connected().expect(until)

    async def wait(self) -> None:
        """Returns when something has happened. Raises TimeoutError at the moment that is expected."""
        await self._connected().wait()

    async def idle(self, until: float) -> bool:
        """Whether ``wake`` was called before ``until``, and before the server ended the connection."""
        wire = self._connected()
        wire.expect(until)
        try:
            await wire.wait()
        except TimeoutError:
            return False
        return self.usable

    def wake(self) -> None:
        """Ends ``wait`` or ``idle``: there is something else to do."""
        self._connected().wake()

    def check(self, phase: Phase) -> None:
        """Raises what has ended the connection, if anything has."""
        failure = self._connected().failure
        if failure is None:
            return
        if isinstance(failure, NinaError):
            failure.phase = failure.phase or phase.value
            raise failure
        raise lost(_reason(failure), phase)

    # Closing.

    def abort(self) -> None:
        """Ends the connection at once."""
        if self._wire:
            self._wire.abort()

    def when_closed(self, told: Callable[[str], object]) -> None:
        """``told`` gets the reason when the connection is gone."""
        wire = self._connected()
        wire.when_closed(lambda: told(_reason(wire.failure or EOFError("it was closed"))))

    async def closed(self) -> None:
        """Returns when the connection is gone."""
        if self._wire:
            await self._wire.closed()

    def _connected(self) -> Wire:
        assert self._wire, "connect first"
        return self._wire


def _reason(error: BaseException) -> str:
    if isinstance(error, TimeoutError) and not str(error):
        return "no answer in time"
    text = str(error) or type(error).__name__
    if isinstance(error, OSError) and error.strerror:  # asyncio's own text has the address in it, once more
        text = os.strerror(error.errno) if error.errno and error.errno > 0 else error.strerror
    return text[:1].lower() + text[1:].rstrip(".")
