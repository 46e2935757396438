"""One value for every parameter, from the first source that has it, and where it came from (contract, section 3).

1. **node**: the node's own parameters; a string is a Liquid template over the item.
2. **extracted**: what ``extract`` finds by JSONPath; then the item's own object ``parameters``; then what is found
   by name at any depth below the top level, if there is exactly one match of the right type.
3. **input**: the item's top-level keys.

A value that is missing, null or ``""`` is absent. Values of the sources 2 and 3 are data: they are never taken for
templates. A key may be in camelCase or snake_case, but not in both.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

from nina_smtp.errors import ExtractError, MissingParameter, NinaError, ParameterError, UnknownParameter
from nina_smtp.forms import nearest
from nina_smtp.parameters.extract import Finder, compile_path, find_by_name
from nina_smtp.parameters.paths import nearest_path
from nina_smtp.parameters.template import Template, compile_template, shown

MAX_DEPTH = 64

_ABSENT: Any = object()


class AutoExtract(str, Enum):
    """Which parameters are looked for by name."""

    CONTENT = "content"
    ALL = "all"
    OFF = "off"


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter of an operation.

    ``check`` returns the value in its final form or raises ParameterError; ``is_list`` takes one value for a list
    of one; ``is_content`` may be found by name by default; ``empty_is_value``: ``""`` says something.
    """

    name: str
    check: Callable[[Any], Any]
    required: bool = False
    is_list: bool = False
    is_text: bool = False
    is_content: bool = False
    empty_is_value: bool = False


@dataclass(frozen=True, slots=True)
class Source:
    """Where a value came from: node, extracted or input; ``path`` is a JSONPath; ``overrode`` who had one too."""

    source: str
    path: str | None = None
    overrode: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """JSON, keys without a value left out."""
        shape: dict[str, Any] = {"source": self.source}
        if self.path:
            shape["path"] = self.path
        if self.overrode:
            shape["overrode"] = list(self.overrode)
        return shape


@dataclass(frozen=True, slots=True)
class Merged:
    """The values by parameter name, absent ones left out, and the source of each."""

    values: Mapping[str, Any]
    sources: Mapping[str, Source]


class Merger:
    """The parameters of one node, ready for one item after another. Raises ParameterError for a node that is wrong.

    ``html`` says of a parameter and the values merged before it whether it is an HTML text, in which inserted
    values are escaped. Parameters are merged in the order of the table.
    """

    def __init__(
        self,
        table: Sequence[Parameter],
        parameters: Mapping[str, Any],
        extract: Mapping[str, str],
        *,
        auto_extract: AutoExtract = AutoExtract.CONTENT,
        html: Callable[[str, Mapping[str, Any]], bool] = lambda name, values: False,
    ) -> None:
        self._table = table
        self._html = html
        self._names = spellings(table)
        self._node = _named(parameters, self._names, "node", strict=True)
        for name, value in self._node.items():
            _compile_all(name, value)
        self._finders: dict[str, tuple[str, Finder]] = {}
        for name, path in _named(extract, self._names, "extract", strict=True).items():
            if not isinstance(path, str):
                raise ExtractError(
                    f"extract.{name} is not a JSONPath.", parameter=f"extract.{name}", source="node"
                )
            self._finders[name] = (path, _located(f"extract.{name}", "node", compile_path, path))
        wanted = [p for p in table if auto_extract is AutoExtract.ALL or p.is_content]
        self._auto = {
            spelling: _fits(parameter)
            for parameter in (wanted if auto_extract is not AutoExtract.OFF else [])
            for spelling, name in self._names.items()
            if name == parameter.name
        }

    def merge(self, item: Mapping[str, Any], context: Mapping[str, Any] | None = None) -> Merged:
        """The parameters for ``item``. Templates see ``context`` too, where the item has no such key itself.

        Raises ParameterError naming the parameter and the source it came from.
        """
        own = item.get("parameters")
        inner = _named(own, self._names, "extracted") if isinstance(own, Mapping) else {}  # pyright: ignore[reportUnknownArgumentType]
        outer = _named(item, self._names, "input")
        found = find_by_name(item, self._auto) if self._auto else {}
        by_name = {self._names[spelling]: match for spelling, match in found.items()}
        scope = {**context, **item} if context else item
        values: dict[str, Any] = {}
        sources: dict[str, Source] = {}
        for parameter in self._table:
            candidates = self._candidates(parameter, values, item, scope, inner, outer, by_name)
            if candidates:
                value, source = candidates[0]
                source = Source(source.source, source.path, _others(candidates))
                values[parameter.name] = self._checked(parameter, value, source)
                sources[parameter.name] = source
            elif parameter.required:
                raise self._missing(parameter, item)
        return Merged(values, sources)

    def _candidates(
        self,
        parameter: Parameter,
        values: Mapping[str, Any],
        item: Mapping[str, Any],
        scope: Mapping[str, Any],
        inner: Mapping[str, Any],
        outer: Mapping[str, Any],
        by_name: Mapping[str, tuple[str, Any]],
    ) -> list[tuple[Any, Source]]:
        name = parameter.name
        found: list[tuple[Any, Source]] = []
        if name in self._node:
            value = self._node[name]
            if parameter.empty_is_value or value != "":
                html = self._html(name, values)
                value = _filled_in(name, value, scope, html=html)
            if parameter.is_text and isinstance(value, (int, float)):
                value = shown(value)  # a template with a number in it is a text with a number in it
            found.append((value, Source("node")))
        if name in self._finders:
            path, find = self._finders[name]
            found.append((_matched(parameter, path, find(item)), Source("extracted", path)))
        if name in inner:
            found.append((inner[name], Source("extracted", f"$.parameters.{name}")))
        if name in by_name:
            path, value = by_name[name]
            found.append((value, Source("extracted", path)))
        if name in outer:
            found.append((outer[name], Source("input")))
        empty = () if parameter.empty_is_value else ("",)
        return [(value, source) for value, source in found if not _is_absent(value, empty)]

    def _checked(self, parameter: Parameter, value: Any, source: Source) -> Any:
        if parameter.is_list and isinstance(value, Mapping):
            value = [value]  # one attachment; a text may be a whole list of mailboxes and stays as it is
        return _located(parameter.name, source.source, parameter.check, value)

    def _missing(self, parameter: Parameter, item: Mapping[str, Any]) -> NinaError:
        name = parameter.name
        if name in self._finders:
            path = self._finders[name][0]
            near = nearest_path(path.removeprefix("$."), item)
            hint = f"{path} found nothing." + (f" Did you mean $.{near}?" if near else "")
        else:
            hint = f"Set it in the node, map it in extract, or let the input have a key {name}."
        return MissingParameter(f"{name} is required, and no source has it.", hint=hint, parameter=name)


def spellings(table: Sequence[Parameter]) -> dict[str, str]:
    """Every accepted spelling of every parameter, and its name."""
    snake = {re.sub(r"(?=[A-Z])", "_", parameter.name).lower(): parameter.name for parameter in table}
    return snake | {parameter.name: parameter.name for parameter in table}


def _named(
    values: Mapping[str, Any], names: Mapping[str, str], source: str, *, strict: bool = False
) -> dict[str, Any]:
    """``values`` by parameter name. With ``strict`` any other key is an error."""
    found: dict[str, Any] = {}
    for key, value in values.items() if strict or len(values) < len(names) else _both(values, names):
        name = names.get(key)
        if name is None:
            if strict:
                raise _unknown(key, names, source)
            continue
        if name in found:
            raise ParameterError(
                f"{name} is given twice, in two spellings.", hint="Keep one.", parameter=name, source=source
            )
        found[name] = value
    return found


def _both(values: Mapping[str, Any], names: Mapping[str, str]) -> list[tuple[str, Any]]:
    return [(key, values[key]) for key in names if key in values]


def _unknown(key: str, names: Mapping[str, str], source: str) -> UnknownParameter:
    meant = nearest(str(key), sorted(set(names.values())))
    hint = f"Did you mean {meant}?" if meant else f"There are: {', '.join(sorted(set(names.values())))}."
    place = f"extract.{key}" if source == "extract" else str(key)
    return UnknownParameter(
        f"{str(key)[:80]!a} is not a parameter.", hint=hint, parameter=place, source="node"
    )


def _is_literal(value: Mapping[str, Any]) -> bool:
    return len(value) == 1 and "literal" in value


def _compile_all(name: str, value: Any, depth: int = 0) -> None:
    """Parses every template in ``value``, so that a broken one shows before any item comes."""
    if depth > MAX_DEPTH:
        raise ParameterError(f"{name} is nested too deeply.", parameter=name, source="node")
    if isinstance(value, str):
        _located(name, "node", compile_template, value)
    elif isinstance(value, Mapping) and not _is_literal(value):  # pyright: ignore[reportUnknownArgumentType]
        for key, inner in value.items():  # pyright: ignore[reportUnknownVariableType]
            _compile_all(f"{name}.{key}", inner, depth + 1)
    elif isinstance(value, list):
        for index, inner in enumerate(value):  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
            _compile_all(f"{name}[{index}]", inner, depth + 1)


def _filled_in(place: str, value: Any, scope: Mapping[str, Any], *, html: bool = False) -> Any:
    """``value`` with its templates filled in and its literals taken as they stand."""
    if isinstance(value, str):
        if "{" not in value:
            return value
        template: Template | None = _located(place, "node", compile_template, value, html=html)
        return value if template is None else _located(place, "node", template.fill_in, scope)
    if isinstance(value, Mapping):
        if _is_literal(value):  # pyright: ignore[reportUnknownArgumentType]
            return _Literal(value["literal"]) if value["literal"] == "" else value["literal"]  # pyright: ignore[reportUnknownVariableType]
        return {k: _filled_in(f"{place}.{k}", v, scope) for k, v in value.items()}  # pyright: ignore[reportUnknownVariableType]
    if isinstance(value, list):
        return [_filled_in(f"{place}[{n}]", v, scope) for n, v in enumerate(value)]  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
    return value


class _Literal(str):
    """An empty string that was asked for: ``{"literal": ""}`` is a value, unlike ``""``."""


def _is_absent(value: Any, empty: tuple[str, ...]) -> bool:
    if isinstance(value, str):
        return value in empty and not isinstance(value, _Literal)
    return value is None or value is _ABSENT


def _matched(parameter: Parameter, path: str, matches: tuple[Any, ...]) -> Any:
    if not matches:
        return _ABSENT
    if len(matches) == 1:
        return matches[0]
    if parameter.is_list:
        return list(matches)
    raise ExtractError(
        f"{path} found {len(matches)} values for {parameter.name}, which takes one.",
        hint="Make the path narrower, for example with [0].",
        parameter=parameter.name,
        source="extracted",
    )


def _others(candidates: Sequence[tuple[Any, Source]]) -> tuple[str, ...]:
    winner = candidates[0][1].source
    return tuple(dict.fromkeys(source.source for _, source in candidates[1:] if source.source != winner))


def _fits(parameter: Parameter) -> Callable[[Any], bool]:
    def fits(value: Any) -> bool:
        if value == "" or value is None:
            return False
        try:
            parameter.check([value] if parameter.is_list and isinstance(value, Mapping) else value)
        except NinaError:
            return False
        return True

    return fits


def _located(
    parameter: str, source: str, function: Callable[..., Any], *arguments: Any, **options: Any
) -> Any:
    """``function(*arguments)``, with the parameter and its source in whatever it raises."""
    try:
        return function(*arguments, **options)
    except NinaError as error:
        inner = error.parameter
        error.parameter = f"{parameter}{inner}" if inner and inner.startswith("[") else inner or parameter
        error.source = error.source or source
        raise
