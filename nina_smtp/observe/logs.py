"""Log records with facts: words in the message, and the same as data in ``record.nina``.

The loggers are ``nina_smtp.connection`` and ``nina_smtp.delivery``, and ``nina_smtp.audit`` for the audit
line (:mod:`nina_smtp.observe.audit`). The library sets no level and adds no handler that writes. A record has
no content of a mail, no subject and no secret; what a server said in it is redacted and escaped.
"""

from __future__ import annotations

import logging
import sys
from datetime import UTC, datetime
from typing import Any

from nina_smtp.observe.text import json_line, shown

ROOT = logging.getLogger("nina_smtp")
CONNECTION = logging.getLogger("nina_smtp.connection")
DELIVERY = logging.getLogger("nina_smtp.delivery")
AUDIT = logging.getLogger("nina_smtp.audit")

ROOT.addHandler(logging.NullHandler())


def log(logger: logging.Logger, level: int, event: str, text: str, *parts: object, **facts: Any) -> None:
    """One record, if anybody wants it. ``text`` is filled in with ``parts``, as logging does it.

    Nothing is raised: what is logged about a mail must not be what stops it.
    """
    if not logger.isEnabledFor(level):
        return
    known = {key: value for key, value in facts.items() if value is not None}
    words = [shown(part) if isinstance(part, str) else part for part in parts]
    try:
        logger.log(level, text, *words, extra={"nina": {"event": event, **known}}, stacklevel=2)
    except Exception as error:
        ignored(error)


def ignored(error: Exception) -> None:
    """Says that a handler failed, as logging itself does, and goes on."""
    if logging.raiseExceptions and sys.stderr:  # pyright: ignore[reportUnnecessaryComparison]
        print(f"nina_smtp: a log handler failed: {shown(repr(error))}", file=sys.stderr)


def timestamp(seconds: float) -> str:
    """``2027-01-31T12:00:00.123Z`` for a moment in seconds since 1970."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


class JsonFormatter(logging.Formatter):
    """One JSON object on one line: time, level, logger, message, and what ``record.nina`` has."""

    def format(self, record: logging.LogRecord) -> str:
        """The line, without its end."""
        facts: dict[str, Any] = getattr(record, "nina", {})
        shape: dict[str, Any] = {
            "time": timestamp(record.created),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": facts.get("event") if record.name == AUDIT.name else record.getMessage(),
            **facts,
        }
        if record.exc_info:
            shape["exception"] = self.formatException(record.exc_info)
        return json_line(shape)
