"""One value for every parameter, from the first source that has it, and where it came from.

Contract, section 3:

1. **node**: the node's own parameters; a string is a Liquid template over the item.
2. **extracted**: what ``extract`` finds by JSONPath; then the item's own object ``parameters``; then what is
   found by name at any depth below the top level, if there is exactly one match of the right type.
3. **input**: the item's top-level keys; where the item tells of a mail, not those that are that mail's own.

A node may say that it takes only what it sets itself: source 1 and ``extract``.

A value that is missing, null or ``""`` is absent. Values of the sources 2 and 3 are data: they are never
taken for templates. A key may be in camelCase or snake_case, but not in both.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import Any

from nina_smtp.errors import ExtractError, MissingParameter, NinaError, ParameterError, UnknownParameter
from nina_smtp.forms import nearest
from nina_smtp.parameters.extract import Finder, compile_path, find_by_name
from nina_smtp.parameters.insertion import Mode, shown
from nina_smtp.parameters.paths import nearest_path
from nina_smtp.parameters.template import Template, compile_template

MAX_DEPTH = 64

_ABSENT: Any = object()


class AutoExtract(StrEnum):
    """Which parameters are looked for by name."""

    CONTENT = "content"
    ALL = "all"
    OFF = "off"


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter of an operation.

    ``check`` returns the value in its final form or raises ParameterError; ``is_list`` may have several
    values from one JSONPath; ``is_content`` may be found by name by default; ``empty_is_value``: ``""`` says
    something; ``is_own``: where the item tells of another mail, its key of this name is that one's.
    """

    name: str
    check: Callable[[Any], Any]
    required: bool = False
    is_list: bool = False
    is_text: bool = False
    is_content: bool = False
    empty_is_value: bool = False
    is_own: bool = False


@dataclass(frozen=True, slots=True)
class Source:
    """Where a value came from: node, extracted (with its JSONPath) or input; ``overrode`` who had one too."""

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


_Candidate = tuple[Any, str, str | None]
"""A value, its source and its JSONPath."""


@dataclass(frozen=True, slots=True)
class _Upstream:
    """One item as the sources have it: its ``parameters``, what is found by name, its top-level keys."""

    item: Mapping[str, Any]
    scope: Mapping[str, Any]
    inner: Mapping[str, Any]
    by_name: Mapping[str, tuple[str, Any]]
    outer: Mapping[str, Any]


class Merger:
    """The parameters of one node, ready for one item after another. Raises ParameterError.

    ``mode`` says of a parameter, and the values merged before it, what its templates may insert: an HTML
    body escapes, a parameter with mailboxes lets no value bring a second one. Parameters are merged in the
    order of the table.
    """

    def __init__(
        self,
        table: Sequence[Parameter],
        parameters: Mapping[str, Any],
        extract: Mapping[str, str],
        *,
        auto_extract: AutoExtract = AutoExtract.CONTENT,
        only_node: bool = False,
        tells_of_a_mail: Callable[[Mapping[str, Any]], bool] = lambda item: False,
        mode: Callable[[str, Mapping[str, Any]], Mode] = lambda name, values: Mode.TEXT,
    ) -> None:
        self._table = table
        self._mode = mode
        self._names = spellings(table)
        own = {parameter.name for parameter in table if parameter.is_own}
        self._not_own = {key: name for key, name in self._names.items() if name not in own}
        self._tells_of_a_mail = tells_of_a_mail
        self._only_node = only_node
        self._node = _named(parameters, self._names, "node", strict=True)
        for name, value in self._node.items():
            _filled_in(name, value, None, mode(name, {}))  # a broken template shows before any item comes
        self._finders: dict[str, tuple[str, Finder]] = {}
        for name, path in _named(extract, self._names, "extract", strict=True).items():
            if not isinstance(path, str):
                raise ExtractError(
                    f"extract.{name} is not a JSONPath.", parameter=f"extract.{name}", source="node"
                )
            self._finders[name] = (path, _located(f"extract.{name}", "node", compile_path, path))
        self._named = frozenset(self._node) | frozenset(self._finders)
        wanted = [p for p in table if auto_extract is AutoExtract.ALL or p.is_content]
        self._auto = {
            spelling: (name, _fits(parameter))
            for parameter in ([] if only_node or auto_extract is AutoExtract.OFF else wanted)
            for spelling, name in self._names.items()
            if name == parameter.name
        }

    def merge(self, item: Mapping[str, Any], context: Mapping[str, Any] | None = None) -> Merged:
        """The parameters for ``item``. Templates see ``context`` too, where the item has no such key itself.

        Raises ParameterError naming the parameter and the source it came from.
        """
        own = None if self._only_node else item.get("parameters")
        names = self._not_own if self._tells_of_a_mail(item) else self._names
        upstream = _Upstream(
            item,
            {**context, **item} if context else item,
            _named(own, self._names, "extracted") if isinstance(own, Mapping) else {},  # pyright: ignore[reportUnknownArgumentType]
            find_by_name(item, self._auto) if self._auto else {},
            {} if self._only_node else _named(item, names, "input"),
        )
        values: dict[str, Any] = {}
        sources: dict[str, Source] = {}
        named = {*self._named, *upstream.inner, *upstream.by_name, *upstream.outer}
        for parameter in self._table:
            candidates = self._candidates(parameter, values, upstream) if parameter.name in named else ()
            if candidates:
                value, source, path = candidates[0]
                values[parameter.name] = _located(parameter.name, source, parameter.check, value)
                sources[parameter.name] = _source(source, path, _others(candidates))
            elif parameter.required:
                raise self._missing(parameter, item)
        return Merged(values, sources)

    def _candidates(
        self, parameter: Parameter, values: Mapping[str, Any], upstream: _Upstream
    ) -> list[_Candidate]:
        """Every value that is present, the winner first."""
        name = parameter.name
        found: list[_Candidate] = []
        if name in self._node:
            value = self._node[name]
            if parameter.empty_is_value or value != "":
                value = _filled_in(name, value, upstream.scope, self._mode(name, values))
                if parameter.is_text:
                    value = _as_text(self._node[name], value)
                if _is_present(value, parameter):
                    found.append((value, "node", None))
        if name in self._finders:
            path, find = self._finders[name]
            value = _matched(parameter, path, find(upstream.item), wins=not found)
            if _is_present(value, parameter):
                found.append((value, "extracted", path))
        if name in upstream.inner and _is_present(upstream.inner[name], parameter):
            found.append((upstream.inner[name], "extracted", f"$.parameters.{name}"))
        if name in upstream.by_name:
            path, value = upstream.by_name[name]
            found.append((value, "extracted", path))
        if name in upstream.outer and _is_present(upstream.outer[name], parameter):
            found.append((upstream.outer[name], "input", None))
        return found

    def _missing(self, parameter: Parameter, item: Mapping[str, Any]) -> NinaError:
        name = parameter.name
        if name in self._finders:
            path = self._finders[name][0]
            near = nearest_path(path.removeprefix("$."), item)
            hint = f"{path} found nothing." + (f" Did you mean $.{near}?" if near else "")
        elif name in self._node and self._node[name] not in (None, ""):
            return MissingParameter(
                f"{name} is required, and what the node sets comes out empty.",
                hint='Say what to write then: {{ path | default: "…" }}.',
                parameter=name,
                source="node",
            )
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


def _filled_in(place: str, value: Any, scope: Mapping[str, Any] | None, mode: Mode, depth: int = 0) -> Any:
    """``value`` with its templates filled in and its literals taken as they stand.

    Without a scope the templates are only parsed.
    """
    if isinstance(value, str):
        if "{" not in value:
            return value
        template: Template | None = _located(place, "node", compile_template, value, mode)
        return (
            value if template is None or scope is None else _located(place, "node", template.fill_in, scope)
        )
    if depth > MAX_DEPTH:
        raise ParameterError(f"{place[:80]} is nested too deeply.", parameter=place[:80], source="node")
    if isinstance(value, Mapping):
        if _is_literal(value):  # pyright: ignore[reportUnknownArgumentType]
            return _Literal(value["literal"]) if value["literal"] == "" else value["literal"]  # pyright: ignore[reportUnknownVariableType]
        return {
            k: _as_text(v, _filled_in(f"{place}.{k}", v, scope, Mode.TEXT, depth + 1))
            for k, v in value.items()  # pyright: ignore[reportUnknownVariableType]
        }
    if isinstance(value, list):
        inner = Mode.ADDRESS if mode is Mode.ADDRESSES else mode
        return [_filled_in(f"{place}[{n}]", v, scope, inner, depth + 1) for n, v in enumerate(value)]  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
    return value


def _as_text(given: Any, value: Any) -> Any:
    """A template with a number in it is a text with a number in it."""
    return shown(value) if isinstance(value, (int, float)) and isinstance(given, str) else value


class _Literal(str):
    """An empty string that was asked for: ``{"literal": ""}`` is a value, unlike ``""``."""


def _is_present(value: Any, parameter: Parameter) -> bool:
    if isinstance(value, str) and not value:
        return parameter.empty_is_value or isinstance(value, _Literal)
    return value is not None and value is not _ABSENT


def _matched(parameter: Parameter, path: str, matches: tuple[Any, ...], *, wins: bool) -> Any:
    """The one value of a JSONPath, or all for a list. That there are too many matters only if it wins."""
    if not matches:
        return _ABSENT
    if len(matches) == 1:
        return matches[0]
    if parameter.is_list or not wins:
        return list(matches)
    raise ExtractError(
        f"{path} found {len(matches)} values for {parameter.name}, which takes one.",
        hint="Make the path narrower, for example with [0].",
        parameter=parameter.name,
        source="extracted",
    )


@lru_cache(maxsize=1024)
def _source(source: str, path: str | None, overrode: tuple[str, ...]) -> Source:
    """The same object for the same words: ten thousand results say the same few."""
    return Source(source, path, overrode)


def _others(candidates: Sequence[_Candidate]) -> tuple[str, ...]:
    """The sources that had a value too, each once."""
    if len(candidates) == 1:
        return ()
    winner = candidates[0][1]
    return tuple(dict.fromkeys(source for _, source, _ in candidates[1:] if source != winner))


def _fits(parameter: Parameter) -> Callable[[Any], bool]:
    def fits(value: Any) -> bool:
        if value == "" or value is None:
            return False
        try:
            parameter.check(value)
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
