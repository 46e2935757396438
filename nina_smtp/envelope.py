"""The envelope: who a message is from and to, as the server is told (RFC 5321 2.3.1)."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Envelope:
    """The reverse path and the forward paths of one mail transaction.

    ``sender`` is ``local@domain`` without angle brackets, or ``""`` for the null reverse path; ``recipients``
    likewise, each once, in order. Domains are A-labels; a local part may be UTF-8, and then the server has to
    offer SMTPUTF8 (RFC 6531).
    """

    sender: str
    recipients: tuple[str, ...]

    def without_smtputf8(self) -> tuple[Envelope, tuple[str, ...]]:
        """What a server without SMTPUTF8 can carry: the envelope of ASCII recipients, and those left out."""
        ascii_only = tuple(r for r in self.recipients if r.isascii())
        return Envelope(self.sender, ascii_only), tuple(r for r in self.recipients if not r.isascii())
