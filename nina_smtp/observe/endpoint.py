"""Where Prometheus fetches the metrics: on this machine alone."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from socketserver import ThreadingMixIn
from typing import TYPE_CHECKING, Any, cast
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from nina_smtp.errors import ParameterError
from nina_smtp.observe import metrics

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

_HOST = "127.0.0.1"
_PLAIN = ("Content-Type", "text/plain; charset=utf-8")


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class _Quiet(WSGIRequestHandler):
    timeout = 10  # seconds for a request: nobody keeps a thread for ever

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - its name there
        """Standard error is the command's."""


@contextmanager
def serving(port: int, tell: Callable[[str], object]) -> Generator[None]:
    """Counts, and answers ``/metrics`` on 127.0.0.1; ``tell`` gets the URL. Port 0 takes a free one.

    Raises ParameterError.
    """
    registry = metrics.enable().registry
    import prometheus_client

    app = cast("WSGIApplication", prometheus_client.make_wsgi_app(registry))  # pyright: ignore[reportUnknownMemberType]
    try:
        server = make_server(_HOST, port, _application(app), _Server, _Quiet)
    except (OSError, OverflowError) as error:
        raise ParameterError(
            f"Port {port} cannot be had for metrics: {getattr(error, 'strerror', None) or error}.",
            hint="Choose another one, or 0 for any that is free.",
            parameter="metricsPort",
        ) from None
    thread = threading.Thread(target=server.serve_forever, name="nina-metrics", daemon=True)
    thread.start()
    try:
        tell(f"http://{_HOST}:{server.server_port}/metrics")
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _application(app: WSGIApplication) -> WSGIApplication:
    """Only for requests by the name of this machine: a page elsewhere can point its own name here."""

    def answer(environ: WSGIEnvironment, start_response: StartResponse) -> Any:
        host = str(environ.get("HTTP_HOST", "")).lower().rpartition(":")[0] or environ.get("HTTP_HOST")
        if host not in (_HOST, "localhost"):
            start_response("421 Misdirected Request", [_PLAIN])
            return [b"This server does not answer for that host\n"]
        if environ.get("PATH_INFO") != "/metrics":
            start_response("404 Not Found", [_PLAIN])
            return [b"Metrics are at /metrics\n"]
        return app(environ, start_response)

    return answer
