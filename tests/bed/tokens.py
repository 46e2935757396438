"""OAuth on loopback: Dovecot asks here whether a token is good, and clients refresh theirs here.

POST /introspect: `token` tok-<user>-<anything> is active, unless "expired" is in it.
POST /token: `refresh_token` rt-ok gets a fresh token; rt-revoked 400, rt-500 503, rt-html a page, rt-slow
no answer until the server stops.
"""

import itertools
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qs


class _Handler(BaseHTTPRequestHandler):
    server: "_Server"

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name is the library's
        pass

    def reply(self, status: int, body: dict[str, Any] | bytes, kind: str = "application/json") -> None:
        octets = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(octets)))
        self.end_headers()
        self.wfile.write(octets)

    def do_POST(self) -> None:
        raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        form = {key: values[0] for key, values in parse_qs(raw.decode()).items()}
        self.server.requests.append((self.path, form))
        if self.path == "/introspect":
            words = form.get("token", "").split("-")
            active = len(words) >= 3 and words[0] == "tok" and "expired" not in words
            self.reply(200, {"active": True, "username": words[1]} if active else {"active": False})
        elif self.path == "/token":
            self.refresh(form.get("refresh_token", ""))
        else:
            self.reply(404, {})

    def refresh(self, token: str) -> None:
        if token == "rt-revoked":
            self.reply(
                400, {"error": "invalid_grant", "error_description": "Token has been expired or revoked."}
            )
        elif token == "rt-500":
            self.reply(503, {"error": "temporarily_unavailable"})
        elif token == "rt-html":
            self.reply(200, b"<html>captive portal</html>", "text/html")
        elif token == "rt-slow":
            self.server.stopping.wait(30)
        else:
            fresh = f"tok-alice-{next(self.server.numbers)}"
            self.reply(200, {"access_token": fresh, "expires_in": 3600, "token_type": "Bearer"})


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.numbers = itertools.count(1)
        self.stopping = threading.Event()
        self.requests: list[tuple[str, dict[str, str]]] = []


class TokenServer:
    """`with TokenServer() as tokens: tokens.url + "/token"`; `tokens.requests` are (path, form) pairs."""

    def __enter__(self) -> Self:
        self._server = _Server()
        self.requests = self._server.requests
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.stopping.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)
