"""The browser's way back: a web server on this machine for one answer (RFC 8252 7.3).

It listens on the loopback interface alone. An answer without the right state is none: somebody else may be
knocking, and does not end the wait for the real one.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from hmac import compare_digest
from types import TracebackType
from typing import Self
from urllib.parse import parse_qs, urlsplit

from nina_smtp.errors import AuthFailed, InvalidCredential
from nina_smtp.oauth import failures
from nina_smtp.oauth.client import OAuthClient
from nina_smtp.oauth.failures import Refusal
from nina_smtp.secret import Secret
from nina_smtp.smtp.phase import Phase
from nina_smtp.smtp.replies import escaped

DEFAULT = "http://127.0.0.1/"

_MAX_REQUEST = 16 * 1024
_PATIENCE = 10.0  # seconds that a browser may take for its request, once it has connected


class Redirect:
    """``async with Redirect(uri): … await redirect.code(client, state)``.

    ``uri`` is http on 127.0.0.1, [::1] or localhost; without a port any free one is taken. A person has
    ``seconds``.
    """

    def __init__(self, uri: str = DEFAULT, *, seconds: float = 300.0) -> None:
        url = urlsplit(uri)
        try:
            self._port = url.port or 0
        except ValueError:
            raise _not_here() from None
        self._name = url.hostname or ""
        if url.scheme != "http" or self._name not in ("127.0.0.1", "localhost", "::1") or url.query:
            raise _not_here()
        self._path = url.path or "/"
        self._written_path = url.path
        self._seconds = seconds
        self._server: asyncio.Server | None = None
        self._state: Secret | None = None
        self._answer: asyncio.Future[Secret | Refusal] | None = None

    @property
    def uri(self) -> str:
        """Where the browser has to come back to."""
        host = f"[{self._name}]" if ":" in self._name else self._name
        return f"http://{host}:{self._port}{self._written_path}"

    async def __aenter__(self) -> Self:
        self._answer = asyncio.get_running_loop().create_future()
        address = "::1" if self._name == "::1" else "127.0.0.1"
        try:
            self._server = await asyncio.start_server(
                self._serve, address, self._port, limit=_MAX_REQUEST, backlog=8
            )
        except OSError as error:
            raise AuthFailed(
                f"Nothing can listen on {address} port {self._port}: {error.strerror}.",
                hint="Let it take a free port, or name another one with --redirect.",
                phase=Phase.AUTH.value,
            ) from None
        self._port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._server
        self._server.close()

    async def code(self, client: OAuthClient, state: Secret) -> Secret:
        """The code that the browser brings. Raises AuthFailed if the provider said no, or nobody came."""
        assert self._answer
        self._state = state
        try:
            async with asyncio.timeout(self._seconds):
                answer = await self._answer
        except TimeoutError:
            raise AuthFailed(
                f"Nobody came back from the provider within {self._seconds:g} seconds.",
                hint="Begin again: nina-smtp login CRED.json",
                phase=Phase.AUTH.value,
            ) from None
        if isinstance(answer, Refusal):
            raise failures.refused(client, answer)
        return answer

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            async with asyncio.timeout(_PATIENCE):
                request = await reader.readuntil(b"\r\n\r\n")
                writer.write(self._reply(request.split(b"\r\n", 1)[0]))
                await writer.drain()
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()

    def _reply(self, line: bytes) -> bytes:
        method, _, rest = line.decode("latin-1").partition(" ")
        url = urlsplit(rest.partition(" ")[0])
        if method != "GET" or (url.path or "/") != self._path:
            return _page("404 Not Found", "There is nothing here.")
        query = parse_qs(url.query, max_num_fields=50) if len(url.query) < _MAX_REQUEST else {}
        state = query.get("state", [""])[0]
        if self._state is None or not compare_digest(state.encode(), self._state.reveal().encode()):
            return _page("400 Bad Request", "This is not the answer that was waited for.")
        answer = _answer(query)
        if answer is None:
            return _page("400 Bad Request", "There is no code in the provider's answer.")
        if self._answer and not self._answer.done():
            self._answer.set_result(answer)
        said = "The provider said no." if isinstance(answer, Refusal) else "The account is being connected."
        return _page("200 OK", f"{said} You can close this page and go back to the terminal.")


def _answer(query: dict[str, list[str]]) -> Secret | Refusal | None:
    if error := query.get("error"):
        description = query.get("error_description", [""])[0]
        return Refusal(_shown(error[0]), _shown(description))
    code = query.get("code")
    return Secret(code[0]) if code else None


def _shown(text: str) -> str:
    return escaped(text.encode(errors="backslashreplace"))[: failures.MAX_SHOWN]


def _page(status: str, text: str) -> bytes:
    """A page with nothing in it that came from outside."""
    body = f"<!doctype html><meta charset=utf-8><title>nina-smtp</title><p>{text}</p>\n".encode()
    head = (
        f"HTTP/1.1 {status}\r\nContent-Type: text/html; charset=utf-8\r\nContent-Length: {len(body)}\r\n"
        "Cache-Control: no-store\r\nReferrer-Policy: no-referrer\r\nX-Content-Type-Options: nosniff\r\n"
        "Content-Security-Policy: default-src 'none'\r\nConnection: close\r\n\r\n"
    )
    return head.encode() + body


def _not_here() -> InvalidCredential:
    return InvalidCredential(
        "The redirect is not an address on this machine.",
        hint="Like http://127.0.0.1/ or http://localhost:8400/back, as it is registered at the provider.",
        parameter="redirect",
    )
