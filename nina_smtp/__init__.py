"""The e-mail node for visual automation: merge, build, sign and send mail over SMTP, and know what happened.

::

    results = nina_smtp.send(node, credential, items)
    results.raise_for_status()

Importing this package imports nothing else; what a name needs is imported when the name is used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nina_smtp.api import build as build
    from nina_smtp.api import send as send
    from nina_smtp.api import send_async as send_async
    from nina_smtp.delivery.ledger.ledger import Ledger as Ledger
    from nina_smtp.delivery.outbox import Outbox as Outbox
    from nina_smtp.delivery.pool import Pool as Pool
    from nina_smtp.delivery.result import Result as Result
    from nina_smtp.delivery.result import Results as Results
    from nina_smtp.errors import NinaError as NinaError
    from nina_smtp.message import Message as Message

_HOMES = {
    "build": "nina_smtp.api",
    "send": "nina_smtp.api",
    "send_async": "nina_smtp.api",
    "Ledger": "nina_smtp.delivery.ledger.ledger",
    "Outbox": "nina_smtp.delivery.outbox",
    "Pool": "nina_smtp.delivery.pool",
    "Result": "nina_smtp.delivery.result",
    "Results": "nina_smtp.delivery.result",
    "NinaError": "nina_smtp.errors",
    "Message": "nina_smtp.message",
}

__all__ = [
    "Ledger",
    "Message",
    "NinaError",
    "Outbox",
    "Pool",
    "Result",
    "Results",
    "build",
    "send",
    "send_async",
]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        from importlib import import_module

        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*globals(), *__all__]
