"""The audit line: one JSON object on one line for every mail, when its fate is known.

It goes through the logger ``nina_smtp.audit`` at INFO; the message of the record is the line, and its facts
are in ``record.nina``. It has the envelope and the verdict, and never a subject, content or a server's words.
"""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from nina_smtp.observe import logs
from nina_smtp.observe.text import json_line, masked

if TYPE_CHECKING:
    from nina_smtp.delivery.account import Account
    from nina_smtp.delivery.result import Result
    from nina_smtp.smtp.mail import Refusal

_MOST_CODES = 20
_REPLY = re.compile(r"(\d{3})(?: ([245]\.\d{1,3}\.\d{1,3})\b)?")


class _Settings:
    mask_recipients = False


def mask_recipients(wanted: bool = True) -> None:
    """From now on, in this process, recipients are ``a***@corp.example`` in audit lines and in logs."""
    _Settings.mask_recipients = wanted


def facts_of(result: Result, *, key: str | None, account: Account | None) -> dict[str, Any]:
    """What is said of a mail, keys without a value left out."""
    envelope, error = result.envelope, result.error
    code, enhanced = _codes(result)
    server: dict[str, Any] = dict(result.server or {})
    tls = server.get("tls")
    shape: dict[str, Any] = {
        "status": result.status.value,
        "messageId": result.message_id,
        "from": envelope.sender if envelope else None,
        "to": _recipients(envelope.recipients) if envelope else None,
        "accepted": len(result.accepted),
        "rejected": len(result.rejected),
        "rejectedCodes": _counted(result.rejected) or None,
        "uncertain": len(result.uncertain) or None,
        "code": code,
        "enhancedCode": enhanced,
        "error": error.type if error else None,
        "phase": error.phase if error else None,
        "attempts": result.attempts,
        "durationMs": result.duration_ms,
        "size": result.size,
        "host": server.get("host") or (account.server.host if account else None),
        "port": server.get("port") or (account.server.port if account else None),
        "tls": tls.get("version") if tls else None,
        "account": account.identity if account else None,
        "key": key,
        "item": result.item,
    }
    return {name: value for name, value in shape.items() if value is not None}


def write(facts: dict[str, Any]) -> None:
    """One audit line."""
    line = {"time": logs.timestamp(time.time()), "event": "mail", **facts}
    logs.AUDIT.info("%s", json_line(line), extra={"nina": line})


def _recipients(addresses: Iterable[str]) -> list[str]:
    return [masked(address) for address in addresses] if _Settings.mask_recipients else list(addresses)


def _codes(result: Result) -> tuple[int | None, str | None]:
    """Those of the reply that decided."""
    if result.error:
        return result.error.code, result.error.enhanced_code
    found = _REPLY.match(result.response or "")
    return (int(found[1]), found[2]) if found else (None, None)


def _counted(refused: Iterable[Refusal]) -> dict[str, int]:
    """``{"550 5.1.1": 2}``; a server that thinks of ever new codes gets ``other``."""
    counts = Counter(f"{one.reply.code} {one.reply.enhanced_code or ''}".rstrip() for one in refused)
    shape = dict(counts.most_common(_MOST_CODES))
    if len(counts) > _MOST_CODES:
        shape["other"] = counts.total() - sum(shape.values())
    return shape
