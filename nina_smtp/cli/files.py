"""JSON files, standard input, and ``${NAME}`` from the environment."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn, cast

from nina_smtp.errors import InvalidCredential, NinaError, ParameterError

_VARIABLE = re.compile(r"(\$?)\$\{([A-Za-z_][A-Za-z0-9_]*)\}")


def read_bytes(path: str, what: str) -> bytes:
    """A file, or standard input for ``-``. Raises ParameterError naming ``what`` it was to be."""
    if path == "-" and sys.stdin is None:  # pyright: ignore[reportUnnecessaryComparison]  # closed by the shell
        raise ParameterError(f"The {what} is to come from standard input, which is closed.", parameter=what)
    try:
        return sys.stdin.buffer.read() if path == "-" else Path(path).read_bytes()
    except OSError as error:
        raise ParameterError(
            f"The {what} {path} cannot be read: {error.strerror}.", hint="Check the path.", parameter=what
        ) from None


def read_json(path: str, what: str) -> Any:
    """The JSON in a file. Raises ParameterError with line and column. A key may not be twice in an object."""
    data = read_bytes(path, what)
    try:
        return _loaded(data.decode("utf-8-sig"), path, what)
    except UnicodeDecodeError as error:
        raise _bad(path, what, f"octet {error.start} is not UTF-8") from None


def read_input(path: str, *, empty_is_none: bool = False) -> Any:
    """What a node or a workflow starts with: JSON, or one JSON value a line. Raises ParameterError.

    It is lines if the first one is a whole value and others follow: no single JSON text looks like that.
    """
    data = read_bytes(path, "input")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise _bad(path, "input", f"octet {error.start} is not UTF-8") from None
    lines = [(number, line) for number, line in enumerate(text.split("\n"), 1) if line.strip()]
    if not lines and empty_is_none:
        return []
    if len(lines) < 2 or not _is_json(lines[0][1]):
        return _loaded(text, path, "input")
    return [_loaded(line, path, "input", number) for number, line in lines]


def read_object(path: str, what: str) -> Mapping[str, Any]:
    """A JSON object in a file. Raises ParameterError."""
    value = read_json(path, what)
    if not isinstance(value, dict):
        raise ParameterError(f"The {what} {path} is not a JSON object.", parameter=what)
    return cast(Mapping[str, Any], value)


def read_credential_file(path: str) -> Mapping[str, Any]:
    """A credential file, with ``${NAME}`` filled in. Raises ParameterError, InvalidCredential."""
    return cast(Mapping[str, Any], expand(read_object(path, "credential")))


def expand(value: Any) -> Any:
    """``value`` with ``${NAME}`` in its strings read from the environment; ``$${NAME}`` stands for itself
    without its first ``$``. Raises InvalidCredential if unset.
    """
    if isinstance(value, str):
        return _VARIABLE.sub(lambda found: found[0][1:] if found[1] else _variable(found[2]), value)
    if isinstance(value, Mapping):
        return {key: expand(inner) for key, inner in cast(Mapping[str, Any], value).items()}
    if isinstance(value, list):
        return [expand(inner) for inner in value]  # pyright: ignore[reportUnknownVariableType]
    return value


def _variable(name: str) -> str:
    if name not in os.environ:
        raise InvalidCredential(
            f"The environment has no variable {name}.",
            hint=f"Set it: export {name}=… If ${{{name}}} is meant as it stands, write $${{{name}}}.",
            parameter=name,
        )
    return os.environ[name]


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    collected = dict(pairs)
    if len(collected) < len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise ValueError(f"the key {twice!a} is twice in one object")
    return collected


def _loaded(text: str, path: str, what: str, line: int | None = None) -> Any:
    try:
        return json.loads(text, object_pairs_hook=_object, parse_constant=_refuse)
    except json.JSONDecodeError as error:
        place = f"line {line or error.lineno}, column {error.colno}"
        raise _bad(path, what, f"{place}: {error.msg}") from None
    except RecursionError:
        raise _bad(path, what, "it is nested too deeply") from None
    except ValueError as error:
        raise _bad(path, what, f"line {line}: {error}" if line else str(error)) from None


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not a JSON number")


def _bad(path: str, what: str, why: str) -> NinaError:
    return ParameterError(f"The {what} {path} is not JSON: {why}.", hint="Correct it there.", parameter=what)
