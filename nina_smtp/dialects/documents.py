"""The text of a configuration, JSON or YAML, as plain data.

In YAML every scalar is the text that stands there: ``0123`` may be a password, and ``no`` a name. Only
``null``, ``~`` and nothing at all are nothing. So every system's reader says itself what is a number.
"""

from __future__ import annotations

from typing import Any

from nina_smtp.errors import InvalidConfiguration, WorkflowError
from nina_smtp.workflow.document import MAX_BYTES, MAX_DEPTH, inspect, load
from nina_smtp.workflow.problems import Problems

MAX_YAML = 128 * 1024  # octets; reading it takes a second
MAX_VALUES = 100_000  # also with the aliases written out: a few lines can stand for a billion values

_NOTHING = frozenset({"", "~", "null", "Null", "NULL"})
_CORE = "tag:yaml.org,2002:"
_READ = frozenset({"str", "int", "float", "bool", "null", "timestamp", "merge", "value", "seq", "map"})
_MARKS = "Put a text that begins with !, & or * in quotes."


def parse(text: bytes) -> Any:
    """JSON if it looks like that, else YAML. Raises InvalidConfiguration, naming line and column."""
    try:
        return checked(load(text) if looks_like_json(text) else _yaml(text))
    except WorkflowError as error:
        raise _in_its_own_words(error) from None


def checked(document: Any) -> Any:
    """``document`` itself. Raises WorkflowError for what cannot be written again: half a character, a number
    that is none, too many levels.
    """
    problems = Problems()
    inspect(document, problems)
    problems.raise_if_any()
    return document


def _in_its_own_words(error: WorkflowError) -> InvalidConfiguration:
    """It is no workflow yet that is wrong here."""
    first = error.problems[0]
    place = first["place"]
    message = f"{place}: {first['message']}" if place else first["message"]
    return InvalidConfiguration(message, hint=first.get("hint"), parameter=place or None)


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
        raise InvalidConfiguration(
            f"The document has {len(text):,} octets; at most {MAX_YAML:,} are read.",
            hint="Split it, or write it as JSON.",
        )
    try:
        node = yaml.compose(text.decode("utf-8-sig"), Loader=yaml.SafeLoader)
        return None if node is None else _Plain(yaml).value(node, 0)
    except UnicodeDecodeError as error:
        raise InvalidConfiguration(
            f"The document is not UTF-8 (octet {error.start}).", hint="Save it as UTF-8."
        ) from None
    except yaml.YAMLError as error:
        raise _wrong(error, text) from None
    except InvalidConfiguration:
        raise
    except (RecursionError, ValueError):
        raise _too_much("is nested too deeply") from None


class _Plain:
    """Writes out what the nodes of a YAML document stand for."""

    def __init__(self, yaml: Any) -> None:
        self._yaml = yaml
        self._count = 0
        self._characters = 0

    def value(self, node: Any, depth: int) -> Any:
        self._count += 1
        if self._count > MAX_VALUES:
            raise _too_much(f"stands for more than {MAX_VALUES:,} values")
        if depth > MAX_DEPTH:
            raise _too_much(f"is nested deeper than {MAX_DEPTH} levels, or contains itself")
        if not node.tag.startswith(_CORE) or node.tag.removeprefix(_CORE) not in _READ:
            raise InvalidConfiguration(f"{_where(node)}: a tag is not read here.", hint=_MARKS)
        if isinstance(node, self._yaml.ScalarNode):
            self._characters += len(node.value)
            if self._characters > MAX_BYTES:
                raise _too_much(f"stands for more than {MAX_BYTES:,} characters")
            return None if node.tag == f"{_CORE}null" and node.value in _NOTHING else node.value
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
                    if not isinstance(one, dict):
                        raise InvalidConfiguration(f"{_where(key_node)}: what is merged is not an object.")
                    merged |= one
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


def _wrong(error: Any, text: bytes) -> InvalidConfiguration:
    """What the parser says, without the names in it: what it takes for an anchor may be a password."""
    mark, problem = getattr(error, "problem_mark", None), getattr(error, "problem", None)
    context = str(getattr(error, "context", None) or "")
    if mark:
        place = f"Line {mark.line + 1}, column {mark.column + 1}: "
    else:  # a character that may not be in YAML
        before = text.decode("utf-8-sig")[: getattr(error, "position", 0)]
        place = f"Line {before.count(chr(10)) + 1}, column {len(before) - before.rfind(chr(10))}: "
    said = str(problem or getattr(error, "reason", None) or "it cannot be read")
    if said.startswith("but "):
        said = f"{context}, {said}"
    for wrong in ("found undefined alias", "found undefined tag handle", "found duplicate anchor"):
        if said.startswith(wrong) or context.startswith(wrong):
            return InvalidConfiguration(f"{place}{wrong}.", hint=_MARKS)
    return InvalidConfiguration(f"{place}{said[:200]}.", hint="Correct the YAML there.")


def _too_much(what: str) -> InvalidConfiguration:
    return InvalidConfiguration(f"The document {what}.", hint="Write it out simply.")
