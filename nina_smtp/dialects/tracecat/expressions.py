"""Expressions of Tracecat: ``${{ TRIGGER.alert.id }}``.

A path into what the workflow is started with is a path here too. Anything else (other actions, functions,
secrets, operators) is refused, so that no mail goes out with it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from nina_smtp.dialects.exporting import lost
from nina_smtp.dialects.inserts import Insert, Piece, insert, joined
from nina_smtp.dialects.source import Source
from nina_smtp.dialects.untranslated import Untranslated
from nina_smtp.dialects.untranslated import refused as kept
from nina_smtp.errors import InvalidConfiguration
from nina_smtp.parameters.paths import Step

_QUOTED = r"""'[^'"\\\n]*'|"[^'"\\\n]*\""""
_TRIGGER = re.compile(rf"TRIGGER((?:\.(?:[A-Za-z_][A-Za-z0-9_]*|{_QUOTED})|\[(?:\d{{1,9}}|{_QUOTED})\])+)")
_STEP = re.compile(rf"\.([A-Za-z_][A-Za-z0-9_]*)|\[(\d{{1,9}})\]|[.\[]({_QUOTED})\]?")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


@dataclass(frozen=True, slots=True)
class Scope:
    """``before`` is the way to the data of the trigger, where the item is something else.

    ``untranslated`` collects what is no path; without it the first is raised.
    """

    before: tuple[Step, ...] = ()
    untranslated: Untranslated | None = None


def pieces(source: Source, key: str, scope: Scope, text: str) -> list[Piece]:
    """The texts and inserts of a value. Raises InvalidConfiguration naming the key."""
    found: list[Piece] = []
    position = 0
    while (start := text.find("${{", position)) >= 0:
        end = text.find("}}", start + 4)
        code = text[start + 3 : end].strip() if end >= 0 else text[start:]
        path = _insert(code, scope) if end >= 0 else None
        found += [text[position:start], path or kept(scope.untranslated, refused(source, key, code))]
        position = end + 2 if end >= 0 else len(text)
    return joined([*found, text[position:]])


def _insert(code: str, scope: Scope) -> Insert | None:
    match = _TRIGGER.fullmatch(code)
    if not match:
        return None
    steps: list[Step] = []
    for name, index, quoted in _STEP.findall(match[1]):
        steps.append(int(index) if index else name or quoted[1:-1])
    return insert([*scope.before, *steps])


def refused(source: Source, key: str, code: str) -> InvalidConfiguration:
    """The error for an expression that is not a path into the trigger's data."""
    return source.wrong(
        key,
        f"has an expression that is not a path into TRIGGER: {code[:60]!a}.",
        "Have it computed before the workflow is started, and write ${{ TRIGGER.field }}. Nothing was "
        "imported: a mail must not go out with it.",
    )


def said(place: str, parts: list[Piece], before: tuple[Step, ...] = ()) -> str:
    """The value as Tracecat has it. Raises InvalidConfiguration for what it would read differently."""
    found = ""
    for part in parts:
        if isinstance(part, str):
            if "${{" in found[-2:] + part:
                raise lost(place, "has ${{ in it, which Tracecat takes for an expression")
            found += part
            continue
        steps = part.steps[len(before) :] if before and part.steps[: len(before)] == before else part.steps
        text = ""
        for step in steps:
            if isinstance(step, int):
                text += f"[{step}]"
            elif _NAME.fullmatch(step):
                text += f".{step}"
            elif "'" in step or '"' in step:
                raise lost(place, "has a path with quotes in it")
            else:
                text += f'["{step}"]'
        if part.raw or not steps or found.endswith(("$", "${")):
            raise lost(place, "has a value inserted that cannot be said there")
        found += f"${{{{ TRIGGER{text} }}}}"
    return found
