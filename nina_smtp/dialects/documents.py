"""The text of a configuration, JSON or YAML, as plain data.

In YAML every scalar is the text that stands there: ``0123`` may be a password, and ``no`` a name. Only
``null``, ``~`` and nothing at all are nothing. So every system's reader says itself what is a number.
"""

from __future__ import annotations

from typing import Any

from nina_smtp.errors import InvalidConfiguration, NinaError
from nina_smtp.workflow.document import MAX_DEPTH, load

MAX_YAML = 1024 * 1024  # octets; reading it is slow
MAX_VALUES = 100_000  # also with the aliases written out: a few lines can stand for a billion values

_NOTHING = frozenset({"", "~", "null", "Null", "NULL"})


def parse(text: bytes) -> Any:
    """JSON if it looks like that, else YAML. Raises InvalidConfiguration, naming line and column."""
    if looks_like_json(text):
        try:
            return load(text)
        except NinaError as error:
            raise InvalidConfiguration(error.message, hint=error.hint) from None
    return _yaml(text)


def looks_like_json(text: bytes) -> bool:
    """Whether a text begins as a JSON object or list does."""
    return text.removeprefix(b"\xef\xbb\xbf").lstrip()[:1] in (b"{", b"[")


def _yaml(text: bytes) -> Any:
    try:
        import yaml
    except ImportError:
        raise InvalidConfiguration(
            "This is YAML, and the library that reads it is not installed.",
            hint='pip install "nina-smtp[dialects]", or write it as JSON.',
        ) from None
    if len(text) > MAX_YAML:
        raise InvalidConfiguration(f"The document has {len(text):,} octets; at most {MAX_YAML:,} are read.")
    try:
        node = yaml.compose(text.decode("utf-8-sig"), Loader=yaml.SafeLoader)
        return None if node is None else _Plain(yaml).value(node, 0)
    except UnicodeDecodeError as error:
        raise InvalidConfiguration(
            f"The document is not UTF-8 (octet {error.start}).", hint="Save it as UTF-8."
        ) from None
    except yaml.YAMLError as error:
        raise InvalidConfiguration(_said(error), hint="Correct the YAML there.") from None
    except InvalidConfiguration:
        raise
    except (RecursionError, ValueError):
        raise _too_much("is nested too deeply") from None


class _Plain:
    """Writes out what the nodes of a YAML document stand for."""

    def __init__(self, yaml: Any) -> None:
        self._yaml = yaml
        self._count = 0

    def value(self, node: Any, depth: int) -> Any:
        self._count += 1
        if self._count > MAX_VALUES:
            raise _too_much(f"stands for more than {MAX_VALUES:,} values")
        if depth > MAX_DEPTH:
            raise _too_much(f"is nested deeper than {MAX_DEPTH} levels, or contains itself")
        if node.tag.partition(":")[0] != "tag" or "python" in node.tag:
            raise InvalidConfiguration(f"{_where(node)}: the tag {node.tag[:80]!a} is not read here.")
        if isinstance(node, self._yaml.ScalarNode):
            return None if node.style is None and node.value in _NOTHING else node.value
        if isinstance(node, self._yaml.SequenceNode):
            return [self.value(inner, depth + 1) for inner in node.value]
        return self._mapping(node, depth)

    def _mapping(self, node: Any, depth: int) -> dict[str, Any]:
        merged: dict[str, Any] = {}
        own: dict[str, Any] = {}
        for key_node, value_node in node.value:
            key = getattr(key_node, "value", None)
            if not isinstance(key, str):
                raise InvalidConfiguration(f"{_where(key_node)}: a key is not a text.")
            value = self.value(value_node, depth + 1)
            if key == "<<" and key_node.style is None:
                for one in reversed(_listed(value)):
                    merged |= one if isinstance(one, dict) else {}
                continue
            if key in own:
                raise InvalidConfiguration(
                    f"{_where(key_node)}: the key {key[:80]!a} is there twice.", hint="Keep one of them."
                )
            own[key] = value
        return merged | own


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]  # pyright: ignore[reportUnknownVariableType]


def _where(node: Any) -> str:
    return f"Line {node.start_mark.line + 1}, column {node.start_mark.column + 1}"


def _said(error: Any) -> str:
    mark = getattr(error, "problem_mark", None)
    problem = getattr(error, "problem", None) or getattr(error, "reason", None) or "it cannot be read"
    place = f"Line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
    return f"{place}{str(problem)[:200]}."


def _too_much(what: str) -> InvalidConfiguration:
    return InvalidConfiguration(f"The document {what}.", hint="Write it out simply.")
