"""What a server offers, as its EHLO reply says (RFC 5321 4.1.1.1)."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from nina_smtp.smtp.replies import Reply

_KEYWORD = re.compile(r"[A-Z0-9][A-Z0-9-]*")
_MAX_SIZE = 2**63


@dataclass(frozen=True, slots=True)
class Capabilities:
    """Keywords in upper case, with their parameters; none is what HELO, or TLS just begun, leaves us."""

    keywords: dict[str, str] = field(default_factory=dict[str, str])
    mechanisms: frozenset[str] = frozenset()

    @classmethod
    def from_reply(cls, reply: Reply) -> Capabilities:
        """Reads an EHLO reply; a line that is no keyword is passed over."""
        keywords: dict[str, str] = {}
        mechanisms: set[str] = set()
        for line in reply.lines[1:]:
            keyword, _, parameters = line.partition(" ")
            if keyword.upper().startswith("AUTH="):  # the form from before RFC 2554, still in use
                keyword, parameters = "AUTH", f"{keyword[5:]} {parameters}"
            if not _KEYWORD.fullmatch(keyword := keyword.upper()):
                continue
            if keyword == "AUTH":
                mechanisms.update(parameters.upper().split())
            keywords[keyword] = parameters.strip()
        return cls(keywords, frozenset(mechanisms))

    def __contains__(self, keyword: str) -> bool:
        return keyword in self.keywords

    @property
    def size(self) -> int | None:
        """The largest message in octets (RFC 1870); None if it is not said, 0 or nonsense."""
        value = self.keywords.get("SIZE", "").split(" ")[0]
        return int(value) if value.isascii() and value.isdigit() and 0 < int(value) < _MAX_SIZE else None

    @property
    def offered_mechanisms(self) -> str:
        """The SASL mechanisms, for a message: ``LOGIN, PLAIN`` or ``none``."""
        return ", ".join(sorted(self.mechanisms)) or "none"
