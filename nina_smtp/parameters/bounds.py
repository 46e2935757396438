"""How much a template may be and do, so that none takes a second or the machine's memory.

Reading: the library's lexer tries again from every brace, quote or bracket that does not close, and from
every space of a run, so the time for one tag grows with the square of its length. Tags are therefore short
(:data:`MAX_TAG`), all of them together too, and everything that opens has to close.

Filling in: a clock of processor time is looked at whenever a path is read, a filter called or a block
entered; what happens between two looks is bounded by the sizes of what it works on.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from time import thread_time
from typing import Any

from nina_smtp.errors import TemplateError

MAX_SECONDS = 0.25  # of processor time, for one filling in
MAX_TAG = 4000  # characters between the braces of one tag
MAX_CODE = 25_000  # characters between braces, together
MAX_SPACES = 200  # in a row, between braces
MAX_ITERATIONS = 100_000
MAX_OUTPUT = 4_000_000  # octets
MAX_NAMESPACE = 4_000_000
MAX_RANGE = 10_000
MAX_WORK = 2_000_000  # characters and entries that one filter works on
MAX_BITS = 1024  # of an integer
MAX_DISTINCT = 1000  # entries for uniq, which compares each with each
MAX_DATE = 200  # characters of a date, and of its format
MAX_HTML = 200_000  # characters to strip tags from

_OPENING = re.compile(r"\{\{|\{%")
_VERBATIM = re.compile(r"\{%-?\s*(raw|doc)\s*-?%\}")
_SPACES = re.compile(rf"\s{{{MAX_SPACES}}}")
_CONSTANT = frozenset({"size", "slice", "truncate", "default", "first", "last", "raw", "safe"})


def check_code(text: str) -> None:
    """Looks at every tag of a template once. Raises TemplateError for what is too long or does not close."""
    position = code = 0
    while opening := _OPENING.search(text, position):
        start, mark = opening.span()
        end = text.find("}}" if opening.group() == "{{" else "%}", mark)
        if end < 0 or text.find("{{", mark, end) >= 0:
            raise _unclosed(start)
        code += end - mark
        if end - mark > MAX_TAG or code > MAX_CODE:
            raise too_much(f"more than {MAX_TAG if end - mark > MAX_TAG else MAX_CODE:,} characters of tags")
        if _SPACES.search(text, mark, end):
            raise too_much(f"{MAX_SPACES} spaces in a row in a tag")
        position = end + 2
        if verbatim := _VERBATIM.match(text, start):
            closing = re.compile(rf"\{{%-?\s*end{verbatim[1]}\s*-?%\}}").search(text, position)
            if not closing:
                raise _unclosed(start)
            position = closing.end()


def too_much(what: str) -> TemplateError:
    """The error for a template that goes beyond a limit."""
    return TemplateError(f"The template does too much: {what}.", hint="Loop over less, or write less.")


class Clock:
    """Raises TemplateError when the time for one template is over."""

    __slots__ = ("_end",)

    def __init__(self) -> None:
        self._end = thread_time() + MAX_SECONDS

    def check(self) -> None:
        """Is the time over?"""
        if thread_time() > self._end:
            raise too_much("it takes too long")


def check_arguments(name: str, arguments: tuple[Any, ...]) -> None:
    """Refuses what would take a filter long: its work is at most the product of its arguments."""
    if name in _CONSTANT:
        return
    sizes = [weight(argument) for argument in arguments]
    if name == "date" and max(sizes) > MAX_DATE:
        raise too_much(f"a date of more than {MAX_DATE} characters")
    if name == "strip_html" and sizes[0] > MAX_HTML:
        raise too_much(f"strip_html of more than {MAX_HTML:,} characters")
    if name == "uniq" and sizes[0] > MAX_DISTINCT and not isinstance(arguments[0], str):
        raise too_much(f"uniq of more than {MAX_DISTINCT:,}")
    work = 1
    for size in sizes:
        work = work + size if name == "concat" else work * max(size, 1)
    if work > MAX_WORK:
        raise too_much(f"{name} of texts or lists that long")


def check_result(value: Any) -> None:
    """Refuses integers that grow without end."""
    if type(value) is int and value.bit_length() > MAX_BITS:
        raise too_much(f"an integer of more than {MAX_BITS:,} bits")


def weight(value: Any, limit: int = MAX_WORK) -> int:
    """How many characters and entries a JSON value has; it stops counting above ``limit``."""
    # Not isinstance: that would ask an undefined value for its class, and it would raise.
    kind: type[Any] = type(value)  # pyright: ignore[reportUnknownVariableType]
    if issubclass(kind, str):
        return len(value)
    if not issubclass(kind, (list, tuple, Mapping)):
        return 1
    total = 0
    waiting: list[Any] = [value]
    while waiting and total <= limit:
        one = waiting.pop()
        kind = type(one)  # pyright: ignore[reportUnknownVariableType]
        if issubclass(kind, str):
            total += len(one)
            continue
        total += 1
        if issubclass(kind, Mapping):
            total += sum(map(len, map(str, one)))
            waiting.extend(one.values())
        elif issubclass(kind, (list, tuple)):
            waiting.extend(one)
    return total


def _unclosed(position: int) -> TemplateError:
    return TemplateError(
        f"The template cannot be read: the braces at position {position} do not close.",
        hint='Close them with }} or %}. Text with braces goes in as {"literal": "…"}.',
    )
