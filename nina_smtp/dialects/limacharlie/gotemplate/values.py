"""The values of a template: what JSON has, and how Go names, tests and prints them.

A missing key and null are *nothing*, which is None.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from typing import Any, TypeGuard

from nina_smtp.dialects.limacharlie.gotemplate.budget import MAX_DEPTH, Budget, Fault, Pieces

_DEEP = f"A list or object is nested deeper than {MAX_DEPTH}."
_DEEP_HINT = "Print a smaller part of the element."


class Html(str):
    """A text that ``html`` has made: escaped already."""

    __slots__ = ()


def is_list(value: object) -> TypeGuard[list[Any] | tuple[Any, ...]]:
    """Whether it is a list; from Python it may be a tuple."""
    return isinstance(value, list | tuple)


def is_object(value: object) -> TypeGuard[Mapping[Any, Any]]:
    """Whether it is a JSON object."""
    return isinstance(value, Mapping)


def is_number(value: object) -> TypeGuard[int | float]:
    """Whether it is a number, which a boolean is not."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def admitted(value: object) -> Any:
    """A value of the element as a template may have it. Raises Fault if JSON does not have it."""
    if value is None or isinstance(value, bool) or is_list(value) or is_object(value):
        return value
    if isinstance(value, str):
        return value if type(value) is str else str.__str__(value)
    if isinstance(value, float):
        return float.__float__(value)
    if isinstance(value, int):
        whole = int.__index__(value)
        if -(2**63) <= whole < 2**64:
            return whole
        try:
            return float(whole)
        except OverflowError:
            raise Fault("A number of the element is too large.", "A number has 64 bits.") from None
    raise Fault("A value of the element is none of JSON's.", "Give texts, numbers, lists and objects.")


def field(value: object, name: str) -> Any:
    """What an object has under ``name``; nothing if it is not there, or if the value is nothing."""
    if value is None:
        return None
    if not is_object(value):
        raise Fault(
            f"There is no .{name[:40]} in {kind(value)}.",
            "For an entry of a list write {{ index .list 0 }}; {{ if }} tells what is there.",
        )
    return admitted(value[name]) if name in value else None


def entries(value: Mapping[Any, Any], budget: Budget) -> list[tuple[str, Any]]:
    """The keys, in order, with their values."""
    budget.step(len(value))
    keys = [key for key in value if isinstance(key, str)]
    if len(keys) < len(value):
        raise Fault("An object of the element has a key that is no text.", "JSON has no such keys.")
    return [(str.__str__(key), admitted(value[key])) for key in sorted(keys, key=str.__str__)]


def members(value: object, budget: Budget) -> Iterator[tuple[str | None, Any]]:
    """The entries of an object with their keys, or those of a list without."""
    if is_object(value):
        yield from entries(value, budget)
    elif is_list(value):
        for entry in value:
            yield None, admitted(entry)


def kind(value: object) -> str:
    """What a value is, in words."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return "a boolean"
    if isinstance(value, str):
        return "a text"
    return "a number" if is_number(value) else "a list" if is_list(value) else "an object"


def go_type(value: object) -> str:
    """What Go calls it."""
    if value is None:
        return "<nil>"
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, int):
        return "int"
    if isinstance(value, float):
        return "float64"
    if isinstance(value, str):
        return "string"
    return "[]interface {}" if is_list(value) else "map[string]interface {}"


def truth(value: object) -> bool:
    """Whether ``if`` takes it: not nothing, false, 0, or an empty text, list or object."""
    return bool(len(value)) if is_list(value) or is_object(value) else bool(value)


def printed(value: object, budget: Budget) -> str:
    """A value as ``{{ … }}`` prints it; nothing is an empty text."""
    if isinstance(value, str):
        budget.work(len(value))
        return value
    if value is None:
        return ""
    pieces = Pieces(budget)
    print_into(pieces, value)
    return pieces.text()


def print_into(pieces: Pieces, value: object, depth: int = 0) -> None:
    """A value as Go's %v writes it, also inside a list or object."""
    pieces.budget.step()
    if isinstance(value, str):
        pieces.add(value)
    elif value is None or isinstance(value, bool):
        pieces.add({None: "<nil>", True: "true", False: "false"}[value])
    elif isinstance(value, float):
        pieces.add(float_text(value))
    elif isinstance(value, int):
        pieces.add(str(value))
    elif depth >= MAX_DEPTH:
        raise Fault(_DEEP, _DEEP_HINT)
    else:
        pieces.add("map[" if is_object(value) else "[")
        for number, (key, entry) in enumerate(members(value, pieces.budget)):
            pieces.add(" " if number else "")
            if key is not None:
                pieces.add(f"{key}:")
            print_into(pieces, entry, depth + 1)
        pieces.add("]")


def float_text(value: float, *, lowest: int = -4, highest: int = 6) -> str:
    """A number in as few digits as it needs; with an exponent below 10**lowest and from 10**highest."""
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    sign = "-" if math.copysign(1, value) < 0 else ""
    mantissa, _, exponent = repr(abs(value)).partition("e")
    whole, _, fraction = mantissa.partition(".")
    digits = (whole + fraction).lstrip("0")
    point = len(whole) + int(exponent or 0) - (len(whole + fraction) - len(digits))  # digits before the point
    digits = digits.rstrip("0")
    if not digits:
        return f"{sign}0"
    if not lowest <= point - 1 < highest:
        rest = f".{digits[1:]}" if len(digits) > 1 else ""
        return f"{sign}{digits[0]}{rest}e{point - 1:+03d}"
    if point <= 0:
        return f"{sign}0.{'0' * -point}{digits}"
    fraction = digits[point:]
    return sign + digits[:point].ljust(point, "0") + (f".{fraction}" if fraction else "")


_SURROGATE = re.compile("[\ud800-\udfff]")


def sound(text: str) -> str:
    """The text, with U+FFFD for what no UTF-8 can hold, as Go reads JSON."""
    return _SURROGATE.sub("\ufffd", text)
