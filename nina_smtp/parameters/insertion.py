"""What a template may insert where: the text around a value decides what the value may hold.

Upstream data may be hostile, and text that a template inserts must stay the one thing it stands for:

- ``HTML``: inserted values are escaped, unless the template says ``| raw``.
- ``ADDRESSES``, a parameter that takes mailboxes: a value inserted into a part of the text stands for one mailbox, or
  for a name or a domain in one, so it may not hold ``, ; : < > ( ) " \\`` or a control character; between double quotes,
  where a display name goes, only ``"``, ``\\`` and control characters are refused. A template that is the whole parameter,
  ``"to": "{{ owners }}"``, may be a list, or a text with commas: who writes that asks for it.
- ``ADDRESS``, one element of a list of mailboxes: the same, and a template that is the whole element, ``"to": ["{{ owner }}"]``,
  is one mailbox, with its name or without.
- ``MESSAGE``, a raw message: up to the first empty line a value may not hold a control character, and in a header
  with addresses, or in the place of a header's name, the rule for addresses holds.
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

MAX_ADDRESSES = 64 * 1024  # characters of an address parameter, which no longer list may have

_BARE = re.compile(r'[,;:<>()"\\\x00-\x1f\x7f]')
_QUOTED = re.compile(r'["\\\x00-\x1f\x7f]')
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_ONE_MAILBOX = re.compile(
    r"""(?:"[^"\\\x00-\x1f\x7f]*")?[^,;:<>()"\\\x00-\x1f\x7f]*(?:<[^,;:<>()"\\\x00-\x1f\x7f]*>)?"""
)
_HEADER_END = re.compile(r"(?:\A|\r\n|\r(?!\n)|\n)(?:\r\n|\r|\n)")
_FIELD_START = re.compile(r"(?:\r\n|\r|\n)(?![ \t])")
_ADDRESS_FIELD = re.compile(r"(?:resent-)?(?:to|cc|bcc|from|sender|reply-to)\s*:", re.IGNORECASE)


class Mode(Enum):
    """What the text is that a template makes."""

    TEXT = "text"
    HTML = "html"
    ADDRESSES = "addresses"
    ADDRESS = "address"
    MESSAGE = "message"


def inserted(value: Any, mode: Mode, before: str) -> str:
    """``value`` as text after ``before``, the text so far. Raises TemplateError for what may not stand there."""
    text = shown(value)
    if mode is Mode.HTML:
        return escape(text)
    if mode in (Mode.ADDRESSES, Mode.ADDRESS):
        _check_address(text, before)
    elif mode is Mode.MESSAGE:
        _check_header(text, before)
    return text


def whole(value: Any, mode: Mode) -> Any:
    """``value`` where the template is nothing but its place. Raises TemplateError."""
    if isinstance(value, str):
        if mode is Mode.HTML:
            return escape(value)
        if mode is Mode.ADDRESS and not _ONE_MAILBOX.fullmatch(value.strip()):
            raise TemplateError(
                f"{ascii(value[:80])} is not one mailbox.",
                hint="One element of a list is one mailbox. Make the template the whole parameter for several.",
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


def _check_header(text: str, before: str) -> None:
    if _HEADER_END.search(before):
        return
    field = _FIELD_START.split(before)[-1]
    address_field = _ADDRESS_FIELD.match(field)
    if address_field or ":" not in field:
        _check_address(text, field[address_field.end() if address_field else 0 :])
    elif bad := _CONTROL.search(text):
        raise TemplateError(
            f"A value inserted into a header holds U+{ord(bad.group()):04X}.",
            hint="A header is one line: insert the value into the body, or make it one line upstream.",
        )


def _check_address(text: str, before: str) -> None:
    if len(before) > MAX_ADDRESSES:
        raise TemplateError(f"A list of addresses is at most {MAX_ADDRESSES:,} characters.")
    bad = (_QUOTED if _in_quotes(before) else _BARE).search(text)
    if bad:
        raise TemplateError(
            f"A value inserted into an address holds {ascii(bad.group())}: {ascii(text[:80])}.",
            hint="It stands for one mailbox or name. For a list make the template the whole parameter; "
            'a name with a comma goes between double quotes: "{{ name }}" <{{ address }}>.',
        )


def _in_quotes(before: str) -> bool:
    """Whether a double quote is open. Where comments or escapes make that hard to say, the answer is no."""
    return before.count('"') % 2 == 1 and "(" not in before and "\\" not in before
