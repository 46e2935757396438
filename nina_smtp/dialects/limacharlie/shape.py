"""The shape in which an element is sent, and the exact text of the mail for machines.

In this order, which LimaCharlie's documentation gives only for the last two: the payload as text, without
routing, wrapped in the event type, flat ("the whole thing"), and last the custom transform ("as a last output
step"), which so sees what the others made.

A custom transform ("Template Strings and Transforms") is a JSON object in the shape wanted. Its values are
template strings, which have ``{{`` in them and make texts; paths into the element (gjson selectors), which
take over what is there, or null; and objects of such values. If a key of it begins with ``+`` or ``-``, it
adds to the element, replaces and removes, instead of building anew. What is no JSON object is a template
string, and its text is what is sent.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from itertools import chain
from typing import TYPE_CHECKING, Any

from nina_smtp.errors import TemplateError

from .element import is_list, is_object
from .selector import selector
from .streams import event_type_of

if TYPE_CHECKING:
    from .filters import Filters

FillIn = Callable[[str, Any], str]
"""Fills in a template string with an element. Raises TemplateError."""

_HIDDEN = re.compile(
    "[\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ud800-\udfff\ufeff\ufff9-\ufffb]"
)
_END = object()


def shaped(element: Any, filters: Filters, fill_in: FillIn) -> Any:
    """The element as it is sent: JSON, or a text that the transform made. The element itself stays as it is.

    Raises TemplateError for the transform.
    """
    result = element
    if is_object(element):
        fields = dict(element)
        if filters.is_payload_as_string:
            payloads = [key for key in ("event", "detect") if key in fields]
            fields |= {key: as_json(fields[key]) for key in payloads if not isinstance(fields[key], str)}
        if filters.is_no_routing:
            fields.pop("routing", None)
        result = fields
        if filters.is_prefix_data and (event_type := event_type_of(element)):
            result = {event_type: fields}
        if filters.is_flat:
            result = flat(result)
    return transformed(result, filters.custom_transform, fill_in) if filters.custom_transform else result


def flat(value: Mapping[str, Any]) -> dict[str, Any]:
    """One level: ``routing/tags/0``, written as LimaCharlie writes paths. Empty objects and lists stay.

    Of two paths that read the same, because a key has a slash, the later one has a number behind it.
    """
    result: dict[str, Any] = {}
    waiting: list[tuple[str, Iterator[tuple[Any, Any]]]] = [("", iter(value.items()))]
    while waiting:
        prefix, rest = waiting[-1]
        key, inner = next(rest, (_END, None))
        if key is _END:
            waiting.pop()
            continue
        path = f"{prefix}{key}"
        if is_object(inner) and inner:
            waiting.append((f"{path}/", iter(inner.items())))
        elif is_list(inner) and inner:
            waiting.append((f"{path}/", iter(enumerate(inner))))
        else:
            number = 2
            while path in result:
                path, number = f"{prefix}{key}({number})", number + 1
            result[path] = inner
    return result


def check_transform(text: str, check_template: Callable[[str], object]) -> None:
    """Raises TemplateError for a transform that cannot be used, when it is saved and not with every mail."""
    try:
        _check(_transform(text), check_template, "customTransform")
    except RecursionError:
        raise _too_deep() from None


def transformed(element: Any, transform: str, fill_in: FillIn) -> Any:
    """What a custom transform makes of an element. Raises TemplateError."""
    form = _transform(transform)
    if isinstance(form, str):
        return fill_in(form, element)
    try:
        if not _adds(form):
            return {key: _value(value, element, fill_in) for key, value in form.items()}
        return _added(element if is_object(element) else {}, form, element, fill_in)
    except RecursionError:
        raise _too_deep() from None


def as_json(element: Any, *, in_order_of_keys: bool = False) -> str:
    """The text of the mail for machines: JSON on one line, without spaces, its keys in their own order.

    One line, because the signature is over this very text: there is no line end in it that a mail server, a
    reader or an editor could change. What a custom transform made a text goes out as that text.

    Letters stay as they are. Controls, what turns the direction of writing, what does not show, and half a
    surrogate pair are written as ``\\u202e``: the same to a reader of JSON. NaN and the infinities, which
    JSON does not have, are null, as JavaScript writes them. Nothing raises.
    """
    if isinstance(element, str) and not in_order_of_keys:
        return element.encode("utf-8", "replace").decode()
    try:
        text = json.dumps(
            element, ensure_ascii=False, allow_nan=False, separators=(",", ":"), sort_keys=in_order_of_keys
        )
    except (TypeError, ValueError, RecursionError):
        text = "".join(_pieces(element, in_order_of_keys))
    return _HIDDEN.sub(_escaped, text) if not text.isascii() or "\x7f" in text else text


def _escaped(found: re.Match[str]) -> str:
    return f"\\u{ord(found[0]):04x}"


def _pieces(value: Any, in_order: bool) -> Iterator[str]:
    """What ``json.dumps`` would write, of anything and however deep it is."""
    waiting: list[Iterator[tuple[str, Any]]] = [iter([("", value)])]
    closings = [""]
    while waiting:
        before, inner = next(waiting[-1], ("", _END))
        if inner is _END:
            waiting.pop()
            yield closings.pop()
            continue
        yield before
        if is_object(inner):
            entries = [(str(key), item) for key, item in inner.items()]
            if in_order:
                entries.sort(key=lambda entry: entry[0])
            keys = (f"{json.dumps(key, ensure_ascii=False)}:" for key, _ in entries)
            yield "{"
            closings.append("}")
            waiting.append(_separated(keys, [item for _, item in entries]))
        elif is_list(inner):
            yield "["
            closings.append("]")
            waiting.append(_separated(("" for _ in inner), inner))
        else:
            yield _leaf(inner)


def _separated(keys: Iterator[str], items: list[Any]) -> Iterator[tuple[str, Any]]:
    for comma, key, item in zip(chain(("",), ("," for _ in items)), keys, items, strict=False):
        yield f"{comma}{key}", item


def _leaf(value: Any) -> str:
    if isinstance(value, float) and (value != value or value in (float("inf"), float("-inf"))):
        return "null"
    if isinstance(value, int) and not isinstance(value, bool):
        try:
            return str(value)
        except ValueError:  # more than 4300 digits, which Python writes only in another base
            return f'"{value:#x}"'
    return json.dumps(
        value if isinstance(value, str | bool | float | None) else str(value), ensure_ascii=False
    )


def _transform(text: str) -> Mapping[str, Any] | str:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return text
    return found if is_object(found) else text


def _check(form: Any, check_template: Callable[[str], object], place: str) -> None:
    if is_object(form):
        for key, value in form.items():
            _check(value, check_template, f"{place}.{key}")
    elif isinstance(form, str):
        if "{{" in form or place == "customTransform":
            check_template(form)
        else:
            selector(form)


def _adds(form: Mapping[str, Any]) -> bool:
    return any(key[:1] in ("+", "-") or (is_object(value) and _adds(value)) for key, value in form.items())


def _added(base: Mapping[str, Any], form: Mapping[str, Any], element: Any, fill_in: FillIn) -> dict[str, Any]:
    result = dict(base)
    for key, value in form.items():
        name = key[1:] if key[:1] in ("+", "-") else key
        if key.startswith("-"):
            result.pop(name, None)
        elif is_object(value):
            inner = result.get(name)
            result[name] = _added(inner if is_object(inner) else {}, value, element, fill_in)
        else:
            result[name] = _value(value, element, fill_in)
    return result


def _value(value: Any, element: Any, fill_in: FillIn) -> Any:
    if is_object(value):
        return {key: _value(inner, element, fill_in) for key, inner in value.items()}
    if is_list(value):
        return [_value(inner, element, fill_in) for inner in value]
    if not isinstance(value, str):
        return value
    return fill_in(value, element) if "{{" in value else selector(value).of(element, fill_in)


def _too_deep() -> TemplateError:
    return TemplateError(
        "The transform has too many objects inside each other.",
        hint="A few levels are enough for any mail.",
        parameter="customTransform",
    )
