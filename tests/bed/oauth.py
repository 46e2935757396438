"""An OAuth provider on loopback: every grant we speak, and the ways in which providers fail.

with OAuthServer() as provider:
    provider.token_url, provider.auth_url, provider.device_url
    provider.refresh_tokens.add("rt-mine")      # is good from now on
    provider.requests                           # (path, form) pairs, in order
    provider.issued                             # access tokens, in order

A refresh token of one of these names fails: rt-revoked (400 invalid_grant), rt-500 (503), rt-busy (429),
rt-html (200, a page), rt-list (200, JSON that is no object), rt-bare (200, no token in it), rt-wide (a token
no login has room for), rt-huge (an answer without end), rt-slow (no answer until the server stops), rt-drip
(an octet now and then), rt-cut (half an answer), rt-moved (307 to elsewhere), rt-sorry (400, later),
rt-mute (403 without an error), rt-echo (400 that says everything that was sent).
"""

import base64
import hashlib
import itertools
import json
import ssl
import threading
from collections.abc import Callable
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qs, urlencode, urlsplit

CLIENT_ID, CLIENT_SECRET = "the-client", "cl13nt-S3cret/+=&%"
BODY_OF_THE_PAGE = "captive portal, please log in"
DEVICE_GRANT = "urn:ietf:params:oauth:grant-type:device_code"


class _Handler(BaseHTTPRequestHandler):
    server: "_Server"
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name is the library's
        pass

    def reply(self, status: int, body: Any, kind: str = "application/json", **headers: str) -> None:
        octets = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(octets)))
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(octets)

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        form = {key: values[0] for key, values in parse_qs(url.query).items()}
        self.server.provider.requests.append((url.path, form))
        if url.path == "/authorize":
            location = self.server.provider.authorize(form)
            self.reply(
                302 if location else 400, b"", "text/plain", **({"Location": location} if location else {})
            )
        else:
            self.reply(404, {})

    def do_POST(self) -> None:
        raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        form = {key: values[0] for key, values in parse_qs(raw.decode()).items()}
        provider = self.server.provider
        provider.requests.append((self.path, form))
        if self.path == "/introspect":
            self.reply(200, provider.introspect(form.get("token", "")))
        elif self.path == "/device":
            self.reply(*provider.device(form))
        elif self.path == "/token":
            provider.asked()
            fault = form.get("refresh_token", "").removeprefix("rt-")
            misbehave: Callable[[str], None] | None = getattr(self, f"fault_{fault}", None)
            if misbehave:
                misbehave(raw.decode())
            else:
                self.reply(*provider.token(form))
        else:
            self.reply(404, {})

    # -- faults -----------------------------------------------------------------------------------

    def fault_revoked(self, sent: str) -> None:
        self.reply(400, {"error": "invalid_grant", "error_description": "Token has been expired or revoked."})

    def fault_500(self, sent: str) -> None:
        self.reply(503, {"error": "temporarily_unavailable"})

    def fault_busy(self, sent: str) -> None:
        self.reply(429, {"error": "slow_down"})

    def fault_html(self, sent: str) -> None:
        self.reply(200, f"<html>{BODY_OF_THE_PAGE}</html>".encode(), "text/html")

    def fault_list(self, sent: str) -> None:
        self.reply(200, [BODY_OF_THE_PAGE])

    def fault_bare(self, sent: str) -> None:
        self.reply(200, {"token_type": "Bearer", "note": BODY_OF_THE_PAGE})

    def fault_wide(self, sent: str) -> None:
        self.reply(200, {"access_token": "x" * 9000})

    def fault_huge(self, sent: str) -> None:
        self.send_response(200)
        self.end_headers()
        self.close_connection = True
        with suppress(OSError):
            while not self.server.stopping.is_set():
                self.wfile.write(b" " * 65536)

    def fault_sorry(self, sent: str) -> None:
        self.reply(400, {"error": "temporarily_unavailable"})

    def fault_mute(self, sent: str) -> None:
        self.reply(403, {"note": BODY_OF_THE_PAGE})

    def fault_slow(self, sent: str) -> None:
        self.server.stopping.wait(30)
        self.close_connection = True

    def fault_drip(self, sent: str) -> None:
        self.close_connection = True
        with suppress(OSError):
            self.wfile.write(b"HTTP/1.1 200 OK\r\nX-Wait: ")
            while not self.server.stopping.wait(0.02):
                self.wfile.write(b".")

    def fault_cut(self, sent: str) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "1000")
        self.end_headers()
        self.wfile.write(b'{"access_token": "tok-')
        self.close_connection = True

    def fault_moved(self, sent: str) -> None:
        self.reply(307, {}, Location=f"{self.server.provider.url}/elsewhere")

    def fault_echo(self, sent: str) -> None:
        self.reply(400, {"error": "invalid_request", "error_description": f"\x1b[31m{sent} {parse_qs(sent)}"})


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, provider: "OAuthServer", context: ssl.SSLContext | None) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.provider = provider
        self.stopping = threading.Event()
        if context:
            self.socket = context.wrap_socket(self.socket, server_side=True)

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that goes away, or does not trust the certificate, is no error of the server."""


class OAuthServer:
    """`rotating` gives a new refresh token for each that is used, which is then good no more."""

    def __init__(
        self,
        *,
        rotating: bool = False,
        lifetime: float = 3600,
        user: str = "alice",
        secret: str | None = None,
        context: ssl.SSLContext | None = None,
    ) -> None:
        self.rotating = rotating
        self.lifetime = lifetime
        self.user = user
        self.secret = secret
        self.says_no = False
        self.refresh_tokens: set[str] = set()
        self.issued: list[str] = []
        self.requests: list[tuple[str, dict[str, str]]] = []
        self.device_answers: list[str] = []  # errors that the next questions for a device code get
        self.when_asked: Callable[[], object] = lambda: None  # called before a token is given out
        self._context = context
        self._numbers = itertools.count(1)
        self._codes: dict[str, dict[str, str]] = {}

    def __enter__(self) -> Self:
        self._server = _Server(self, self._context)
        scheme, host = ("https", "localhost") if self._context else ("http", "127.0.0.1")
        self.url = f"{scheme}://{host}:{self._server.server_address[1]}"
        self.token_url = f"{self.url}/token"
        self.auth_url = f"{self.url}/authorize?prompt=consent"
        self.device_url = f"{self.url}/device"
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

    @property
    def asked_for_tokens(self) -> int:
        return sum(path == "/token" for path, _ in self.requests)

    @property
    def secrets(self) -> list[str]:
        """Everything that it has given out and nobody else may see."""
        return [*self.issued, *self._codes, *(rt for rt in self.refresh_tokens if rt.startswith("refresh-"))]

    # -- what is answered -------------------------------------------------------------------------

    def asked(self) -> None:
        self.when_asked()

    def authorize(self, form: dict[str, str]) -> str | None:
        if form.get("response_type") != "code" or form.get("client_id") != CLIENT_ID:
            return None
        if form.get("code_challenge_method") != "S256" or len(form.get("code_challenge", "")) != 43:
            return None
        answer = {"state": form.get("state", "")}
        if self.says_no:
            answer |= {"error": "access_denied", "error_description": "The person said no.\x1b[0m"}
        else:
            code = f"code/{next(self._numbers)}+c0de=="
            self._codes[code] = form
            answer["code"] = code
        return f"{form['redirect_uri']}?{urlencode(answer)}"

    def device(self, form: dict[str, str]) -> tuple[int, dict[str, Any]]:
        if form.get("client_id") != CLIENT_ID:
            return 401, {"error": "invalid_client"}
        return 200, {
            "device_code": "device-c0de/+=",
            "user_code": "ABCD-EFGH",
            "verification_uri": f"{self.url}/activate",
            "interval": 3,
            "expires_in": 900,
        }

    def introspect(self, token: str) -> dict[str, Any]:
        return {"active": True, "username": self.user} if token in self.issued else {"active": False}

    def token(self, form: dict[str, str]) -> tuple[int, dict[str, Any]]:
        if form.get("client_id") != CLIENT_ID or (self.secret and form.get("client_secret") != self.secret):
            return 401, {"error": "invalid_client", "error_description": "Unknown client."}
        grant = form.get("grant_type")
        if grant == "client_credentials":
            return 200, self._tokens(form, refresh=None)
        if grant == "refresh_token":
            token = form["refresh_token"]
            if token not in self.refresh_tokens:
                return 400, {"error": "invalid_grant", "error_description": "Unknown or used."}
            if not self.rotating:
                return 200, self._tokens(form, refresh=None)
            self.refresh_tokens.remove(token)
            return 200, self._tokens(form, refresh=f"refresh-{next(self._numbers)}-S3/+==")
        if grant == "authorization_code":
            asked = self._codes.pop(form.get("code", ""), None)
            if asked is None or not _fits(asked, form):
                return 400, {"error": "invalid_grant"}
            return 200, self._tokens(form, refresh=f"refresh-{next(self._numbers)}-S3/+==")
        if grant == DEVICE_GRANT and form.get("device_code") == "device-c0de/+=":
            if self.device_answers:
                return 400, {"error": self.device_answers.pop(0)}
            return 200, self._tokens(form, refresh=f"refresh-{next(self._numbers)}-S3/+==")
        return 400, {"error": "unsupported_grant_type"}

    def _tokens(self, form: dict[str, str], *, refresh: str | None) -> dict[str, Any]:
        access = f"tok-{self.user}-{next(self._numbers)}-S3cr3t/+=="
        self.issued.append(access)
        if refresh:
            self.refresh_tokens.add(refresh)
        answer = {"access_token": access, "expires_in": self.lifetime, "token_type": "Bearer"}
        return answer | ({"refresh_token": refresh} if refresh else {})


def _fits(asked: dict[str, str], form: dict[str, str]) -> bool:
    """Whether the code is redeemed by who asked for it (RFC 7636 4.6)."""
    digest = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
    challenge = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
    return asked["code_challenge"] == challenge and asked["redirect_uri"] == form.get("redirect_uri")
