"""Expressions of n8n: a value that begins with ``=``, with JavaScript between ``{{`` and ``}}``.

A path into the item, or into the item of an earlier node, is a path here too. Anything else is JavaScript,
which nobody runs here: the value is refused, so that no mail goes out with it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from nina_smtp.dialects.exporting import lost
from nina_smtp.dialects.inserts import Insert, Piece, insert, joined
from nina_smtp.dialects.source import Source
from nina_smtp.dialects.untranslated import Untranslated, refused
from nina_smtp.errors import InvalidConfiguration
from nina_smtp.parameters.paths import Step

_QUOTED = r"""'[^'"\\\n]*'|"[^'"\\\n]*\""""
_WORD = r"[^\W\d](?:\w|\$)*|\$(?:\w|\$)*"
_EXPRESSION = re.compile(
    rf"(?:(\$json|\$input\.item\.json)|\$\(\s*({_QUOTED})\s*\)\.item\.json"
    rf"|\$node(?:\[\s*({_QUOTED})\s*\]|\.({_WORD}))\.json)"
    rf"((?:\.(?:{_WORD})|\[\s*(?:\d{{1,9}}|{_QUOTED})\s*\])+)"
)
_STEP = re.compile(rf"\.({_WORD})|\[\s*(?:(\d{{1,9}})|({_QUOTED}))\s*\]")
_IDENTIFIER = re.compile(r"[A-Za-z_$][\w$]*", re.ASCII)
_OF_A_RESULT = frozenset({"messageId", "response", "accepted", "envelope"})
"""What the result of a mail says in the same words there and here."""


@dataclass(frozen=True, slots=True)
class Scope:
    """What an expression of a node can see.

    ``item`` says what comes in: the data the workflow starts with, the result of a mail, or neither alone.
    ``nodes`` has the nodes before it, and of each whether its output is such a result. ``untranslated``
    collects what is no path; without it the first is raised.
    """

    item: str = "data"
    nodes: Mapping[str, bool] = field(default_factory=dict[str, bool])
    untranslated: Untranslated | None = None


def pieces(source: Source, key: str, scope: Scope, text: str) -> list[Piece]:
    """The texts and inserts of a value. Raises InvalidConfiguration naming the key."""
    if not text.startswith("="):
        return joined([text])
    found: list[Piece] = []
    position = 1
    while (start := text.find("{{", position)) >= 0:
        end = text.find("}}", start)
        if end < 0 or text[start - 1] == "\\":
            raise source.wrong(key, "has braces that are not an expression.", "Write it without braces.")
        code = text[start + 2 : end].strip()
        path = _insert(code, scope) or refused(scope.untranslated, _not_a_path(source, key, code))
        found += [text[position:start], path]
        position = end + 2
    return joined([*found, text[position:]])


def _not_a_path(source: Source, key: str, code: str) -> InvalidConfiguration:
    return source.wrong(
        key,
        f"has an expression that is not a path: {code[:60]!a}.",
        "Have an earlier step compute it, so that it is a field of the item: {{ $json.field }}. "
        "Nothing was imported: a mail must not go out with it.",
    )


def _insert(code: str, scope: Scope) -> Insert | None:
    match = _EXPRESSION.fullmatch(code)
    if not match:
        return None
    steps: list[Step] = []
    for word, index, quoted in _STEP.findall(match[5]):
        if word == "length":
            return None  # JavaScript's own
        steps.append(int(index) if index else word or quoted[1:-1])
    if match[1]:
        if scope.item == "data" or (scope.item == "result" and steps[0] in _OF_A_RESULT):
            return insert(steps)
        return None
    name = match[4] or (match[2] or match[3])[1:-1]
    if name not in scope.nodes or (scope.nodes[name] and steps[0] not in _OF_A_RESULT):
        return None
    return insert(["nodes", name, *steps])


def said(place: str, parts: list[Piece], nodes: frozenset[str] = frozenset()) -> str:
    """The value as n8n has it. Raises InvalidConfiguration for what it would read differently.

    ``nodes`` are the names of the nodes in the workflow.
    """
    whole = joined(parts)
    if not any(isinstance(part, Insert) for part in whole):
        text = "".join(map(str, whole))
        if not text.startswith("="):
            return text
        whole = [text]
    found = "="
    for number, part in enumerate(whole):
        if isinstance(part, Insert):
            found += f"{{{{ {_javascript(place, part, nodes)} }}}}"
            continue
        last = number == len(whole) - 1
        if "{{" in part or (not last and part.endswith(("{", "\\"))):
            raise lost(place, "has braces in it, which n8n would take for an expression")
        found += part
    return found


def _javascript(place: str, part: Insert, nodes: frozenset[str]) -> str:
    if part.raw:
        raise lost(place, "has a value that is inserted raw")
    root, steps = "$json", part.steps
    if steps[0] == "nodes" and len(steps) > 2 and steps[1] in nodes and "'" not in str(steps[1]):
        root, steps = f"$('{steps[1]}').item.json", steps[2:]
    text = root
    for step in steps:
        if isinstance(step, int):
            text += f"[{step}]"
        elif _IDENTIFIER.fullmatch(step) and step != "length":
            text += f".{step}"
        elif "'" in step or '"' in step:
            raise lost(place, "has a path with quotes in it")
        else:
            text += f'["{step}"]'
    return text
