"""``printf`` with the verbs of Go's package fmt, and its mark for one that does not fit, ``%!d(string=x)``.

A number is a number: %d takes 5.0 and %f takes 5, because JSON does not tell them apart. Nothing is an empty
text with every verb. Positions of values, ``%[1]d``, and ``*`` are refused.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, replace
from typing import Any

from nina_smtp.dialects.limacharlie.gotemplate.budget import MAX_DEPTH, Budget, Fault, Pieces
from nina_smtp.dialects.limacharlie.gotemplate.values import (
    float_text,
    go_type,
    is_list,
    is_number,
    is_object,
    members,
    print_into,
    sound,
)

_VERB = re.compile(r"%([-+# 0]*+)(\d*+)(?:(\.)(\d*+))?(.)?", re.DOTALL)
_ESCAPES = {7: "a", 8: "b", 9: "t", 10: "n", 11: "v", 12: "f", 13: "r", 34: '"', 92: "\\"}
_MAX_WIDTH = 1_000_000


@dataclass(frozen=True, slots=True)
class _Verb:
    flags: str
    width: int
    precision: int | None
    letter: str


def formatted(form: str, values: list[Any], budget: Budget) -> str:
    """What Go's Sprintf makes of them."""
    pieces = Pieces(budget)
    budget.work(len(form))
    position, used = 0, 0
    for match in _VERB.finditer(form):
        budget.step()
        pieces.add(form[position : match.start()])
        position = match.end()
        verb = _verb(match)
        if verb is None:
            pieces.add("%!(NOVERB)")
        elif verb.letter == "%":
            pieces.add("%")
        elif used >= len(values):
            pieces.add(f"%!{verb.letter}(MISSING)")
        else:
            _write(pieces, verb, values[used], 0)
            used += 1
    pieces.add(form[position:])
    if used < len(values):
        pieces.add("%!(EXTRA ")
        for number, value in enumerate(values[used:]):
            pieces.add(", " if number else "")
            _write_typed(pieces, value)
        pieces.add(")")
    return pieces.text()


def _verb(match: re.Match[str]) -> _Verb | None:
    flags, width, point, precision, letter = match.groups()
    if letter is None:
        return None
    if letter in "*[":
        raise Fault(
            f"printf does not take {letter} in a format.",
            "Write widths as numbers, and the values in the order of their verbs.",
        )
    sizes = [digits.lstrip("0") for digits in (width, precision or "")]
    if any(len(digits) > 7 or int(digits or "0") > _MAX_WIDTH for digits in sizes):
        raise Fault(f"A width in a format is more than {_MAX_WIDTH:,}.", "Use a smaller width.")
    return _Verb(flags, int(sizes[0] or "0"), int(sizes[1] or "0") if point else None, letter)


def _write(pieces: Pieces, verb: _Verb, value: Any, depth: int) -> None:
    budget = pieces.budget
    budget.step()
    if verb.letter == "T":
        pieces.add(_padded(verb, go_type(value)))
    elif verb.letter == "v" and "#" in verb.flags and (is_list(value) or is_object(value)):
        _write_go(pieces, verb, value, depth)
    elif is_list(value) or is_object(value):
        if depth >= MAX_DEPTH:
            raise Fault(f"A list or object is nested deeper than {MAX_DEPTH}.", "Print a smaller part.")
        pieces.add("[" if is_list(value) else "map[")
        for number, (key, entry) in enumerate(members(value, budget)):
            pieces.add(" " if number else "")
            if key is not None:
                _write(pieces, verb, key, depth + 1)
                pieces.add(":")
            if entry is None:
                pieces.add("<nil>")
            else:
                _write(pieces, verb, entry, depth + 1)
        pieces.add("]")
    else:
        budget.work(verb.width + (verb.precision or 0))
        text = _text(verb, value, budget)
        if text is None:
            shown = _text(replace(verb, letter="v"), value, budget)
            text = f"%!{verb.letter}({go_type(value)}={shown})"
        pieces.add(text)


def _write_typed(pieces: Pieces, value: Any) -> None:
    pieces.add(go_type(value))
    if value is not None:
        pieces.add("=")
        print_into(pieces, value)


def _write_go(pieces: Pieces, verb: _Verb, value: Any, depth: int) -> None:
    """A list or object as it would stand in a Go program."""
    if depth >= MAX_DEPTH:
        raise Fault(f"A list or object is nested deeper than {MAX_DEPTH}.", "Print a smaller part.")
    pieces.add(go_type(value) + "{")
    for number, (key, entry) in enumerate(members(value, pieces.budget)):
        pieces.add(", " if number else "")
        if key is not None:
            _write(pieces, verb, key, depth + 1)
            pieces.add(":")
        if entry is None:
            pieces.add("interface {}(nil)")
        else:
            _write(pieces, verb, entry, depth + 1)
    pieces.add("}")


def _text(verb: _Verb, value: Any, budget: Budget) -> str | None:
    """One value in one verb; None if they do not fit."""
    if value is None:
        return _padded(verb, "")
    if isinstance(value, bool):
        return _padded(verb, "true" if value else "false") if verb.letter in "tv" else None
    if isinstance(value, str):
        budget.work(len(value))
        return _string(verb, value, budget)
    assert is_number(value), "a list or object is written entry by entry"
    if verb.letter in "eEfFgG" or (verb.letter == "v" and isinstance(value, float)):
        return _float(verb, float(value))
    if isinstance(value, float) and not value.is_integer():
        return None
    return _integer(verb, int(value))


def _string(verb: _Verb, value: str, budget: Budget) -> str | None:
    is_quoted = verb.letter == "q" or (verb.letter == "v" and "#" in verb.flags)
    if verb.letter not in "svqxX":
        return None
    if verb.letter in "xX":
        octets = sound(value).encode()[: verb.precision]
        budget.work(5 * len(octets))
        if " " in verb.flags:
            prefix = "0x" if "#" in verb.flags else ""
            text = " ".join(f"{prefix}{octet:02x}" for octet in octets)
        else:
            text = ("0x" if "#" in verb.flags and octets else "") + octets.hex()
        return _padded(verb, text.upper() if verb.letter == "X" else text)
    text = value if verb.precision is None else value[: verb.precision]
    if is_quoted:
        budget.work(4 * len(text))
        can_be_raw = "#" in verb.flags and verb.letter == "q" and "`" not in text
        if can_be_raw and all(char.isprintable() or char == "\t" for char in text):
            text = f"`{text}`"
        else:
            text = _quoted(text, '"', is_ascii="+" in verb.flags)
    return _padded(verb, text)


def _quoted(text: str, quote: str, *, is_ascii: bool) -> str:
    made: list[str] = []
    for char in text:
        code = ord(char)
        if char == quote or (code in _ESCAPES and char != '"'):
            made.append(f"\\{_ESCAPES.get(code, char)}")
        elif char.isprintable() and (code < 127 or not is_ascii):
            made.append(char)
        else:
            made.append(
                f"\\x{code:02x}" if code < 128 else f"\\u{code:04x}" if code < 65536 else f"\\U{code:08x}"
            )
    return quote + "".join(made) + quote


def _integer(verb: _Verb, value: int) -> str | None:
    letter, flags = verb.letter, verb.flags
    if letter in "cqU":
        if not 0 <= value <= 0x10FFFF:
            value = 0xFFFD
        char = sound(chr(value))
        if letter == "U":
            code = f"U+{value:0{max(4, verb.precision or 0)}X}"
            return _padded(verb, f"{code} '{char}'" if "#" in flags and char.isprintable() else code)
        return _padded(verb, char if letter == "c" else _quoted(char, "'", is_ascii="+" in flags))
    if letter not in "vdboOxX":
        return None
    digits = format(abs(value), {"v": "d", "O": "o"}.get(letter, letter))
    prefix = "0o" if letter == "O" else ""
    if "#" in flags:
        prefix = {"b": "0b", "o": "0", "x": "0x", "X": "0X"}.get(letter, prefix)
    if verb.precision is not None:
        digits = digits.rjust(verb.precision, "0") if value or verb.precision else ""
    return _signed(verb, value < 0, prefix, digits, may_zero=verb.precision is None)


def _float(verb: _Verb, value: float) -> str:
    letter = verb.letter
    if not math.isfinite(value):
        text = "NaN" if math.isnan(value) else "Inf"
        sign = "+" if "+" in verb.flags or value > 0 else ""
        return _padded(verb, f"-{text}" if value < 0 else sign + text, may_zero=False)
    if letter in "gGv" and verb.precision is None:
        digits = float_text(abs(value))
        digits = digits.upper() if letter == "G" else digits
    else:
        precision = 6 if verb.precision is None else verb.precision
        digits = f"%.{precision}{'g' if letter == 'v' else letter}" % abs(value)
    return _signed(verb, math.copysign(1, value) < 0, "", digits, may_zero=True)


def _signed(verb: _Verb, is_negative: bool, prefix: str, digits: str, *, may_zero: bool) -> str:
    sign = (
        "-"
        if is_negative
        else "+"
        if "+" in verb.flags and verb.letter != "v"
        else " "
        if " " in verb.flags
        else ""
    )
    if may_zero and "0" in verb.flags and "-" not in verb.flags:
        digits = digits.rjust(verb.width - len(sign), "0")
    return _padded(verb, sign + prefix + digits, may_zero=False)


def _padded(verb: _Verb, text: str, *, may_zero: bool = True) -> str:
    if "-" in verb.flags:
        return text.ljust(verb.width)
    return text.rjust(verb.width, "0" if may_zero and "0" in verb.flags else " ")
