"""The TLS context of the peers that leave it to their user."""

import ssl
from functools import cache
from typing import Any


def context_for(server: dict[str, Any]) -> ssl.SSLContext | None:
    """None for a server without TLS."""
    return _trusting(server["ca"]) if server["tls"] else None


@cache
def _trusting(authority: str) -> ssl.SSLContext:
    return ssl.create_default_context(cadata=authority)
