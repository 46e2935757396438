"""Secrets: values that never show, and their removal from what others say."""

from __future__ import annotations

import json
from base64 import b64encode
from collections import deque
from collections.abc import Iterator, Mapping
from typing import Any, NoReturn
from urllib.parse import quote, quote_plus

MASK = "***"


class Secret:
    """A string that shows as ``***`` wherever it is printed, formatted or logged; it does not pickle."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """The string itself: for the wire, never for a message."""
        return self._value

    def __repr__(self) -> str:
        return MASK

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        return MASK

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._value == self._value

    def __hash__(self) -> int:
        return hash(self._value)

    def __bool__(self) -> bool:
        return bool(self._value)

    def __reduce__(self) -> NoReturn:
        raise TypeError("a secret is not pickled")


class Hidden(Mapping[str, Any]):
    """A credential as it came, a mapping that does not show what is in it: for the frames of a traceback."""

    __slots__ = ("_values",)

    def __init__(self, values: Mapping[str, Any]) -> None:
        self._values: Mapping[str, Any] = values._values if isinstance(values, Hidden) else values

    def __getitem__(self, key: str) -> Any:
        return self._values[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __repr__(self) -> str:
        return MASK


class Redactor:
    """Replaces secrets by ``***`` in text that a server or a library made.

    Every form that a server might echo is known: raw, base64 (alone, as a SASL PLAIN or XOAUTH2 message,
    padded or not), URL-encoded, hex, JSON-escaped. It never shows what it knows.
    """

    def __init__(self, secrets: tuple[str, ...] = (), username: str = "") -> None:
        self._given: set[bytes] = set()
        for secret in filter(None, secrets):
            self._given |= _forms(secret, username)
        self._learnt: deque[frozenset[bytes]] = deque(maxlen=_REMEMBERED)
        self._forms = _longest_first(self._given)

    def learn(self, secret: Secret, username: str = "") -> None:
        """From now on ``secret`` is one of them: a token that was not there before. The last few are kept."""
        forms = frozenset(_forms(secret.reveal(), username))
        if forms not in self._learnt:
            self._learnt.append(forms)
            self._forms = _longest_first(self._given.union(*self._learnt))

    def __call__(self, octets: bytes) -> bytes:
        """``octets`` without any of the secrets."""
        for form in self._forms:
            octets = octets.replace(form, MASK.encode())
        return octets

    def text(self, text: str) -> str:
        """``text`` without any of the secrets."""
        return (
            self(text.encode(errors="surrogatepass")).decode(errors="surrogatepass") if self._forms else text
        )

    def __repr__(self) -> str:
        return "Redactor()"


_REMEMBERED = 8  # tokens that were learnt; those before them have expired


def _forms(secret: str, username: str) -> set[bytes]:
    raw, name = secret.encode(), username.encode()
    forms = {raw, json.dumps(secret)[1:-1].encode()}
    for message in (raw, b"\0" + name + b"\0" + raw, b"user=" + name + b"\1auth=Bearer " + raw + b"\1\1"):
        encoded = b64encode(message)
        forms |= {encoded, encoded.rstrip(b"=")}
    texts: tuple[str, ...] = (quote(secret, safe=""), quote_plus(secret), raw.hex(), raw.hex().upper())
    return forms | {text.encode() for text in texts}


def _longest_first(forms: set[bytes]) -> list[bytes]:
    return sorted(forms, key=len, reverse=True)
