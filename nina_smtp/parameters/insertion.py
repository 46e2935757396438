"""What a template may insert where: the text around a value decides what the value may hold.

Upstream data may be hostile, and text that a template inserts must stay the one thing it stands for:

- ``HTML``: inserted values are escaped, unless the template says ``| raw``.
- ``ADDRESSES``, a parameter that takes mailboxes: a value inserted into a part of the text stands for one
  mailbox, or for a name or a domain in one, so it may not hold ``, ; : < > ( ) " \\`` or a control
  character; between double quotes, where a display name goes, only ``"``, ``\\`` and control characters are
  refused. A template that is the whole parameter, ``"to": "{{ owners }}"``, may be a list, or a text with
  commas: who writes that asks for it.
- ``ADDRESS``, one element of a list of mailboxes: the same, and a template that is the whole element,
  ``"to": ["{{ owner }}"]``, is one mailbox, with its name or without.
- ``MESSAGE``, a raw message: up to the first empty line a value may not hold a control character, and in a
  header with addresses, or in the place of a header's name, the rule for addresses holds.
- ``TEXT``: anything goes.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from enum import Enum
from html import escape
from typing import Any

from nina_smtp.errors import TemplateError

_BARE = re.compile(r'[,;:<>()"\\\x00-\x1f\x7f]')
_QUOTED = re.compile(r'["\\\x00-\x1f\x7f]')
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_ONE_MAILBOX = re.compile(
    r"""(?:"[^"\\\x00-\x1f\x7f]*")?[^,;:<>()"\\\x00-\x1f\x7f]*(?:<[^,;:<>()"\\\x00-\x1f\x7f]*>)?"""
)
_HEADER_END = re.compile(r"(?:\r\n|\r(?!\n)|\n)(?:\r\n|\r|\n)")
_FIELD_START = re.compile(r"(?:\r\n|\r(?!\n|\Z)|\n)(?![ \t])")
_FIELD_NAME = 100  # characters: enough to know a header by
_ADDRESS_FIELD = re.compile(r"(?:resent-)?(?:to|cc|bcc|from|sender|reply-to)\s*:", re.IGNORECASE)


_HTML = re.compile(r"[&<>\"']")


class Mode(Enum):
    """What the text is that a template makes."""

    TEXT = "text"
    HTML = "html"
    ADDRESSES = "addresses"
    ADDRESS = "address"
    MESSAGE = "message"


class Place:
    """Where the next value goes: of the text before it, what matters."""

    __slots__ = ("_field", "_mode", "_odd_quotes", "_tail", "_tricky", "is_free")

    def __init__(self, mode: Mode) -> None:
        self._mode = mode
        self.is_free = mode in (Mode.TEXT, Mode.HTML)
        self._field = ""  # how the current header begins
        self._tail = "\n"  # the last two characters: a line end may come in two pieces
        self._odd_quotes = False
        self._tricky = False  # comments or escapes make it hard to say whether a quote is open

    def wrote(self, text: str) -> None:
        """``text`` comes next, whoever it is from."""
        if self.is_free:
            return
        if self._mode is Mode.MESSAGE:
            text = self._in_header(text)
        self._odd_quotes ^= text.count('"') % 2 == 1
        self._tricky |= "(" in text or "\\" in text

    def insert(self, value: Any) -> str:
        """``value`` as the text to write here. Raises TemplateError for what may not stand here."""
        text = value if type(value) is str else shown(value)
        if self.is_free:
            return escape(text) if self._mode is Mode.HTML and _HTML.search(text) else text
        if self._mode is Mode.MESSAGE and ":" in self._field and not _ADDRESS_FIELD.match(self._field):
            _check_header(text)
        else:
            _check_address(text, quoted=self._odd_quotes and not self._tricky)
        return text

    def _in_header(self, text: str) -> str:
        """The part of ``text`` that belongs to the current header of a raw message."""
        if not any(end in text for end in "\r\n") and not self._tail.endswith("\r"):
            self._tail = (self._tail + text)[-2:]
            self._field = (self._field + text)[:_FIELD_NAME]
            return text
        whole = self._tail + text
        self._tail = whole[-2:]
        self.is_free = _HEADER_END.search(whole) is not None
        *before, last = _FIELD_START.split(whole)
        if not before:
            return text
        self._field = last[:_FIELD_NAME]
        self._odd_quotes = self._tricky = False
        return last


def whole(value: Any, mode: Mode) -> Any:
    """``value`` where the template is nothing but its place. Raises TemplateError."""
    if isinstance(value, str):
        if mode is Mode.HTML:
            return escape(value)
        if mode is Mode.ADDRESS and not _ONE_MAILBOX.fullmatch(value.strip()):
            raise TemplateError(
                f"{value[:80]!a} is not one mailbox.",
                hint="A list has one in each element. For several make the template the whole parameter.",
            )
    return value


def shown(value: Any) -> str:
    """A JSON value as a template inserts it: a text, or a list of them, as it is; an object as JSON."""
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    try:
        if isinstance(value, Mapping) or (
            isinstance(value, (list, tuple)) and any(isinstance(one, (dict, list)) for one in value)  # pyright: ignore[reportUnknownVariableType]
        ):
            return json.dumps(value, ensure_ascii=False, default=str)
        if isinstance(value, (list, tuple)):
            return "".join(shown(one) for one in value)  # pyright: ignore[reportUnknownVariableType]
        return str(value)
    except (RecursionError, ValueError, TypeError) as error:  # nested for ever, or a number of 5000 digits
        raise TemplateError(f"A value cannot be written as text ({type(error).__name__}).") from None


def _check_header(text: str) -> None:
    if bad := _CONTROL.search(text):
        raise TemplateError(
            f"A value inserted into a header holds U+{ord(bad.group()):04X}.",
            hint="A header is one line: insert the value into the body, or make it one line upstream.",
        )


def _check_address(text: str, *, quoted: bool) -> None:
    if bad := (_QUOTED if quoted else _BARE).search(text):
        raise TemplateError(
            f"A value inserted into an address holds {bad.group()!a}: {text[:80]!a}.",
            hint="It stands for one mailbox or name. For a list make the template the whole parameter; "
            'a name with a comma goes between double quotes: "{{ name }}" <{{ address }}>.',
        )
