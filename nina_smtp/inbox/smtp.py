"""The SMTP side: takes every message for anybody from anybody, and passes none on."""

from __future__ import annotations

import asyncio
import socket
from collections import defaultdict
from typing import Any

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from nina_smtp.inbox.store import Login, Messages

MAX_SIZE = 64 * 2**20
# Longer than RFC 5321 asks for (512), for AUTH (RFC 4954 4: 12288) and for long addresses of broken senders.
_COMMAND_SIZE = 12288
# aiosmtpd takes an empty path for a missing one.
_NULL_PATH = "<>"


def _readable(address: str) -> str:
    """An address as text: bytes that are no UTF-8 become ``\\xff``."""
    return address.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


class _Hooks:
    """What aiosmtpd asks for by name."""

    async def handle_EHLO(  # noqa: N802  the name aiosmtpd looks for
        self, server: SMTP, session: Session, envelope: Envelope, hostname: str, responses: list[str]
    ) -> list[str]:
        session.host_name = hostname
        return [*responses[:-1], "250-PIPELINING", responses[-1]]

    async def handle_AUTH(  # noqa: N802  the name aiosmtpd looks for
        self, server: Any, session: Session, envelope: Envelope, args: list[str]
    ) -> str | None:
        # Done here and not by aiosmtpd, which logs a warning about its own old attribute at every login.
        ask = server.auth_PLAIN if args[0] == "PLAIN" else server.auth_LOGIN
        result: AuthResult = await ask(server, args)
        if not result.success:
            return None  # the answer is given
        session.authenticated = True
        session.auth_data = result.auth_data
        return "235 2.7.0 Authentication successful"


def _any_login(
    server: SMTP, session: Session, envelope: Envelope, mechanism: str, auth_data: LoginPassword
) -> AuthResult:
    user = auth_data.login.decode("utf-8", "replace")
    return AuthResult(success=True, auth_data=Login(mechanism, user))


class _Session(SMTP):
    """One connection. Where aiosmtpd refuses what a broken sender writes, this takes it."""

    command_size_limit = _COMMAND_SIZE
    # How much may stand in the buffer: DATA is read in as few pieces as possible, lines of any length.
    line_length_limit = MAX_SIZE
    AuthLoginUsernameChallenge = "Username:"
    AuthLoginPasswordChallenge = "Password:"

    def __init__(self, messages: Messages, sessions: set[_Session]) -> None:
        super().__init__(
            _Hooks(),
            data_size_limit=MAX_SIZE,
            enable_SMTPUTF8=True,
            hostname="localhost",
            ident="nina-smtp inbox",
            auth_require_tls=False,
            authenticator=_any_login,
            loop=asyncio.get_running_loop(),
        )
        # The one of the class is shared by every session, and each EHLO makes it larger.
        self.command_size_limits = defaultdict(lambda: _COMMAND_SIZE)
        self._messages = messages
        self._sessions = sessions

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._sessions.add(self)

    def connection_lost(self, error: Exception | None) -> None:
        super().connection_lost(error)
        self._sessions.discard(self)

    async def end(self) -> None:
        """Closes the connection, whatever the client is doing."""
        if self.transport is not None:
            self.transport.close()
        if self._handler_coroutine is not None:
            self._handler_coroutine.cancel()
            await asyncio.wait([self._handler_coroutine])

    async def smtp_AUTH(self, arg: str) -> None:  # noqa: N802  the name aiosmtpd looks for
        """Logs anybody in; the mechanism may be written in any case (RFC 4422 3.1)."""
        mechanism, space, rest = (arg or "").partition(" ")
        await super().smtp_AUTH(mechanism.upper() + space + rest)

    def _getaddr(self, arg: str) -> tuple[str | None, str | None]:
        """The path and the parameters after it, without judging the path: every address is caught."""
        text = arg.strip()
        if not text.startswith("<"):
            address, _, rest = text.partition(" ")
            return address, rest
        quoted = escaped = False
        for at, letter in enumerate(text):
            if escaped:
                escaped = False
            elif letter == "\\":
                escaped = True
            elif letter == '"':
                quoted = not quoted
            elif letter == ">" and not quoted:
                return text[1:at] or _NULL_PATH, text[at + 1 :]
        return None, None

    async def smtp_DATA(self, arg: str) -> None:  # noqa: N802  the name aiosmtpd looks for
        """Reads a message as it is, lines of any length included, and keeps it."""
        if await self.check_helo_needed():
            return
        if self.envelope is None or not self.envelope.rcpt_tos:
            await self.push("503 5.5.1 Error: need RCPT command")
        elif arg:
            await self.push("501 5.5.4 Syntax: DATA")
        else:
            await self.push("354 End data with <CR><LF>.<CR><LF>")
            await self.push(self._keep(self.envelope, await self._data()))
            self.envelope = self._create_envelope()

    def _keep(self, envelope: Envelope, data: bytes | None) -> str:
        session = self.session
        if data is None or session is None:
            return "552 5.3.4 Error: Too much mail data"
        peer: Any = session.peer
        login: Any = session.auth_data
        sender = "" if envelope.mail_from == _NULL_PATH else envelope.mail_from
        message = self._messages.add(
            data,
            sender=_readable(sender or ""),
            recipients=tuple(_readable(str(recipient)) for recipient in envelope.rcpt_tos),
            helo=_readable(session.host_name or ""),
            peer=f"{peer[0]}:{peer[1]}",
            login=login if isinstance(login, Login) else None,
            tls=session.ssl is not None,
            smtputf8=envelope.smtp_utf8,
        )
        return f"250 2.0.0 Kept as {message.id}"

    async def _data(self) -> bytes | None:
        """The bytes up to the final dot with dot-stuffing undone (RFC 5321 4.5.2); None if too many."""
        # The line end of the command counts as the one before the first line.
        data = bytearray(b"\r\n")
        fits = True
        while not data.endswith(b"\r\n.\r\n"):
            self._reset_timeout()
            try:
                data += await self._reader.readuntil(b".\r\n")
            except asyncio.LimitOverrunError as error:
                data += await self._reader.read(error.consumed)
            if not fits or len(data) > MAX_SIZE + 5:
                fits = False
                del data[:-5]
        return bytes(data[:-3]).replace(b"\r\n.", b"\r\n")[2:] if fits else None


class Server:
    """The SMTP server on a socket that is bound already."""

    def __init__(self, messages: Messages) -> None:
        self._messages = messages
        self._sessions: set[_Session] = set()
        self._server: asyncio.Server | None = None

    async def start(self, listener: socket.socket) -> None:
        """Begins to take connections."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(
            lambda: _Session(self._messages, self._sessions), sock=listener
        )

    async def stop(self) -> None:
        """Closes the port and every connection."""
        if self._server is None:
            return
        self._server.close()
        for session in tuple(self._sessions):
            await session.end()
        await self._server.wait_closed()
