"""What every request has to be, and what every answer carries, before and after any route.

A page of another site can make the browser send requests to a port of this machine. It cannot read the
answers, unless its own name is made to point here (DNS rebinding), so the Host header is checked; and it must
not change anything, so Origin is checked and unsafe methods need a header that no form can set.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from nina_smtp.errors import NinaError

OWN_HEADER = "X-Nina-Inbox"

_SAFE_METHODS = {"GET", "HEAD", "OPTIONS"}
_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'self'; script-src 'self'; object-src 'none'; base-uri 'none'; frame-ancestors 'none'; "
        "form-action 'self'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}


def problem(status: int, kind: str, message: str, hint: str | None = None) -> JSONResponse:
    """An error as the API says it."""
    error = {"type": kind, "message": message, "hint": hint}
    return JSONResponse({"error": error}, status)


class Guard:
    """Wraps the whole application, its error pages included."""

    def __init__(self, app: ASGIApp, hosts: Collection[str]) -> None:
        self._app = app
        self._hosts = frozenset(hosts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers, or refuses, one request."""
        if scope["type"] != "http":
            raise NinaError(f"The inbox speaks HTTP only, not {scope['type']}")

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        app = self._refusal(scope["method"], Headers(scope=scope)) or self._app
        await app(scope, receive, send_guarded)

    def _refusal(self, method: str, headers: Headers) -> JSONResponse | None:
        refused: dict[str, Any] = {}
        hosts = headers.getlist("host")
        if len(hosts) != 1 or hosts[0].lower() not in self._hosts:
            return problem(
                421,
                "wrongHost",
                "This server does not answer for that host",
                "Open it by its loopback address",
            )
        origins = headers.getlist("origin")
        # The frame of a mail has the origin "null", and its pictures are the only thing it may ask for. What
        # is no picture to be shown says same-origin in its own header, and the browser keeps it back.
        picture = origins == ["null"] and method == "GET" and headers.get("sec-fetch-dest") == "image"
        if origins and not picture and origins != [f"http://{hosts[0].lower()}"]:
            refused = {"message": "This request comes from another site"}
        elif method not in _SAFE_METHODS:
            if headers.get("sec-fetch-site", "same-origin") not in {"same-origin", "none"}:
                refused = {"message": "This request comes from another site"}
            elif headers.get(OWN_HEADER) != "1":
                refused = {"message": f"The header {OWN_HEADER} is missing", "hint": f"Send {OWN_HEADER}: 1"}
        return problem(403, "forbidden", **refused) if refused else None
