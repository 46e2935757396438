"""One mail as the ledger has it."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

from nina_smtp.delivery.ledger.states import OnUncertain, State
from nina_smtp.envelope import Envelope
from nina_smtp.message import Message

_JSON = ("route", "recipients", "history", "sources", "warnings", "result")
_PIECE = 128 * 1024
_last = 0


@dataclass(slots=True, kw_only=True)
class Entry:
    """A row. ``recipients`` are those who are still to get it; times are seconds since 1970.

    ``octets`` are the message, identical in every attempt; ``ascii`` the same for a server without SMTPUTF8.
    They are there when the entry is to be sent.
    """

    id: str = field(default_factory=lambda: new_id())
    key: str
    digest: str
    account: str
    route: tuple[str, ...]
    state: State
    owner: str | None = None
    due: float
    created: float
    expires: float
    attempts: int = 0
    on_uncertain: OnUncertain = OnUncertain.STOP
    message_id: str
    sender: str
    recipients: tuple[str, ...]
    size: int
    sha256: str
    needs_smtputf8: bool = False
    needs_8bitmime: bool = False
    history: tuple[Mapping[str, Any], ...] = ()
    result: Mapping[str, Any] | None = None
    item: int = 0
    sources: Mapping[str, Any] = field(default_factory=dict[str, Any])
    warnings: tuple[str, ...] = ()
    octets: bytes | None = field(default=None, repr=False)
    ascii: bytes | None = field(default=None, repr=False)

    @property
    def message(self) -> Message:
        """The message, for those who are still to get it."""
        assert self.octets is not None
        return Message(
            Envelope(self.sender, self.recipients),
            self.message_id,
            _pieces(self.octets),
            self.size,
            self.needs_smtputf8,
            self.needs_8bitmime,
            self.warnings,
            plain=self.ascii,
        )

    def as_row(self) -> dict[str, Any]:
        """The columns of the table of mails."""
        row = {name: getattr(self, name) for name in COLUMNS}
        for name in _JSON:
            row[name] = None if row[name] is None else json.dumps(row[name])
        return row

    @classmethod
    def of_row(cls, row: Mapping[str, Any]) -> Entry:
        """The entry of a row, with its content if that was asked for too."""
        values = {name: row[name] for name in (*COLUMNS, "octets", "ascii") if name in row}
        for name in _JSON:
            values[name] = None if values[name] is None else json.loads(values[name])
        for name in ("route", "recipients", "history", "warnings"):
            values[name] = tuple(values[name])
        values["state"] = State(values["state"])
        values["on_uncertain"] = OnUncertain(values["on_uncertain"])
        return cls(**values)


COLUMNS = tuple(name for name in Entry.__slots__ if name not in ("octets", "ascii"))


def _pieces(octets: bytes) -> tuple[bytes, ...]:
    """Of a size that is written at a time."""
    return tuple(octets[start : start + _PIECE] for start in range(0, len(octets), _PIECE))


def content_of(message: Message) -> dict[str, Any]:
    """What an entry says of its message: its octets and all that follows from them."""
    octets = message.bytes
    plain = None
    if message.needs_smtputf8:
        changed, _ = message.without_smtputf8()
        plain = changed.bytes if changed.envelope.recipients else None
    return {
        "message_id": message.message_id,
        "sender": message.envelope.sender,
        "recipients": message.envelope.recipients,
        "size": len(octets),
        "sha256": sha256(octets).hexdigest(),
        "needs_smtputf8": message.needs_smtputf8,
        "needs_8bitmime": message.needs_8bitmime,
        "warnings": message.warnings,
        "octets": octets,
        "ascii": plain,
    }


def new_id() -> str:
    """An id that is greater than those before."""
    global _last
    _last = max(_last + 1, time.time_ns() // 1000)
    return f"{_last:014x}{os.urandom(6).hex()}"
