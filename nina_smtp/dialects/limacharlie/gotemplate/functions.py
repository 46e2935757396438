"""The functions of a template: Go's own, and those of LimaCharlie."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, TypeAlias
from urllib.parse import quote_plus

from nina_smtp.dialects.limacharlie.gotemplate import helpers
from nina_smtp.dialects.limacharlie.gotemplate.budget import Budget, Fault, Means, octets
from nina_smtp.dialects.limacharlie.gotemplate.printf import formatted
from nina_smtp.dialects.limacharlie.gotemplate.values import (
    Html,
    admitted,
    field,
    is_list,
    is_number,
    is_object,
    kind,
    printed,
    sound,
    truth,
)

Function: TypeAlias = Callable[[list[Any], Means], Any]

_HTML = str.maketrans({'"': "&#34;", "'": "&#39;", "&": "&amp;", "<": "&lt;", ">": "&gt;", "\0": "\ufffd"})
_JS = {"\\": "\\\\", "'": "\\'", '"': '\\"', "<": "\\u003C", ">": "\\u003E", "&": "\\u0026", "=": "\\u003D"}


def escaped(text: str, budget: Budget) -> Html:
    """The text as HTML, for an element's content or a quoted attribute."""
    budget.work(len(text))
    made = Html(text.translate(_HTML))
    budget.work(len(made))
    return made


def _print(values: list[Any], means: Means) -> str:
    """All values; a space stands between two of which none is a text."""
    texts: list[str] = []
    for number, value in enumerate(values):
        if number and not isinstance(value, str) and not isinstance(values[number - 1], str):
            texts.append(" ")
        texts.append(printed(value, means.budget))
    means.budget.work(sum(map(len, texts)))
    return "".join(texts)


def _println(values: list[Any], means: Means) -> str:
    texts = [printed(value, means.budget) for value in values]
    means.budget.work(sum(map(len, texts)) + len(texts))
    return " ".join(texts) + "\n"


def _html(values: list[Any], means: Means) -> Html:
    return escaped(_print(values, means), means.budget)


def _js(values: list[Any], means: Means) -> str:
    text = _print(values, means)
    made = "".join(_JS.get(char) or (char if char.isprintable() else f"\\u{ord(char):04X}") for char in text)
    means.budget.work(len(made))
    return made


def _urlquery(values: list[Any], means: Means) -> str:
    made = quote_plus(sound(_print(values, means)))
    means.budget.work(len(made))
    return made


def _is_same(one: Any, other: Any, budget: Budget) -> bool:
    for value in (one, other):
        if is_list(value) or is_object(value):
            raise Fault(
                f"{kind(value)} cannot be compared.".capitalize(), "Compare a text, number or boolean."
            )
    if one is None or other is None:
        return one is other
    if kind(one) != kind(other):
        raise _unlike(one, other)
    if isinstance(one, str):
        budget.work(min(len(one), len(other)))
    return bool(one == other)


def _is_less(one: Any, other: Any, budget: Budget) -> bool:
    if isinstance(one, str) and isinstance(other, str):
        budget.work(min(len(one), len(other)))
        return one < other
    if is_number(one) and is_number(other):
        return one < other
    raise _unlike(one, other)


def _unlike(one: Any, other: Any) -> Fault:
    return Fault(
        f"{kind(one)} cannot be compared with {kind(other)}.".capitalize(),
        'Compare values of one kind: {{ eq (print .code) "5" }}. {{ if }} tells whether a value is there.',
    )


def _eq(values: list[Any], means: Means) -> bool:
    return any(_is_same(values[0], other, means.budget) for other in values[1:])


def _ne(values: list[Any], means: Means) -> bool:
    return not _is_same(values[0], values[1], means.budget)


def _lt(values: list[Any], means: Means) -> bool:
    return _is_less(values[0], values[1], means.budget)


def _gt(values: list[Any], means: Means) -> bool:
    return _is_less(values[1], values[0], means.budget)


def _le(values: list[Any], means: Means) -> bool:
    return _lt(values, means) or _is_same(values[0], values[1], means.budget)


def _ge(values: list[Any], means: Means) -> bool:
    return _gt(values, means) or _is_same(values[0], values[1], means.budget)


def _len(values: list[Any], means: Means) -> int:
    (value,) = values
    if value is None:
        return 0
    if isinstance(value, str):
        means.budget.work(len(value))
        return octets(value)
    if is_list(value) or is_object(value):
        return len(value)
    raise Fault(f"{kind(value)} has no length.".capitalize(), "Use len with a text, list or object.")


def _index(values: list[Any], means: Means) -> Any:
    value, *keys = values
    for key in keys:
        if value is None:
            return None
        if is_object(value):
            if not isinstance(key, str):
                raise Fault(
                    f"A key of an object is a text, not {kind(key)}.", 'Write its key as a text: "hostname".'
                )
            value = field(value, key)
        elif isinstance(value, str):
            means.budget.work(len(value))
            encoded = value.encode("utf-8", "surrogatepass")
            value = encoded[_position(key, len(encoded) - 1)]
        elif is_list(value):
            value = admitted(value[_position(key, len(value) - 1)])
        else:
            raise Fault(f"{kind(value)} has no entries.".capitalize(), "Use index with a list or object.")
    return value


def _slice(values: list[Any], means: Means) -> Any:
    value, *bounds = values
    if isinstance(value, str) and len(bounds) < 3:
        means.budget.work(len(value))
        encoded = value.encode("utf-8", "surrogatepass")
        start, end = _bounds(bounds, len(encoded))
        return encoded[start:end].decode("utf-8", "replace")
    if not is_list(value):
        raise Fault(f"{kind(value)} cannot be sliced so.".capitalize(), "Use slice with a text or list.")
    start, end = _bounds(bounds, len(value))
    means.budget.step(end - start)
    return value[start:end]


def _bounds(bounds: list[Any], size: int) -> tuple[int, int]:
    positions = [_position(bound, size) for bound in bounds]
    if positions != sorted(positions):
        raise Fault("A slice ends before it begins.", "Give the start first: {{ slice .text 0 10 }}.")
    start, end = (*positions, 0, size)[:2] if len(positions) != 1 else (positions[0], size)
    return start, end


def _position(value: Any, last: int) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise Fault(f"{kind(value)} is no position.".capitalize(), "A position is a whole number from 0 on.")
    if not 0 <= value <= last:
        raise Fault(
            "A position is outside the text or list.", "Ask for the length first: {{ if gt (len .list) 2 }}."
        )
    return value


def _printf(values: list[Any], means: Means) -> str:
    form, *rest = values
    if not isinstance(form, str):
        raise Fault(f"printf takes a format, not {kind(form)}.", 'Begin with a text: {{ printf "%v" .cat }}.')
    return formatted(form, rest, means.budget)


def _not(values: list[Any], _means: Means) -> bool:
    return not truth(values[0])


_TABLE: dict[str, tuple[int, int | None, Function]] = {
    "not": (1, 1, _not),
    "eq": (2, None, _eq),
    "ne": (2, 2, _ne),
    "lt": (2, 2, _lt),
    "le": (2, 2, _le),
    "gt": (2, 2, _gt),
    "ge": (2, 2, _ge),
    "len": (1, 1, _len),
    "index": (1, None, _index),
    "slice": (1, 4, _slice),
    "print": (0, None, _print),
    "printf": (1, None, _printf),
    "println": (0, None, _println),
    "html": (1, None, _html),
    "js": (1, None, _js),
    "urlquery": (1, None, _urlquery),
    "token": (1, 1, helpers.token),
    "anon": (1, 1, helpers.anon),
    "json": (1, 1, helpers.json),
    "prettyjson": (1, 1, helpers.prettyjson),
    "parsetime": (2, 2, helpers.parsetime),
    "split": (2, 2, helpers.split),
    "join": (2, 2, helpers.join),
    "replace": (3, 3, helpers.replace),
    "base": (1, 1, helpers.base),
    "dir": (1, 1, helpers.directory),
}
FUNCTIONS: Mapping[str, Function] = MappingProxyType({name: run for name, (_, _, run) in _TABLE.items()})

ARITIES: Mapping[str, tuple[int, int | None]] = MappingProxyType(
    {"and": (1, None), "or": (1, None)} | {name: (least, most) for name, (least, most, _) in _TABLE.items()}
)
"""How many values each function takes. ``and`` and ``or`` are the evaluator's: they leave values alone."""
