"""Texts with values inserted into them: what other systems' expressions are as templates of ours, and back.

A text comes as pieces, the expressions in it already read by whoever knows their language. Only what is said
exactly becomes a template; for anything else there is no Insert, and the reader refuses the text.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from nina_smtp.dialects.exporting import lost
from nina_smtp.dialects.imported import Fate
from nina_smtp.dialects.source import Source, as_list, literal
from nina_smtp.parameters.paths import Step

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_SAYABLE = re.compile(r"""[^"\\{}%\x00-\x1f\x7f]+|[^'\\{}%\x00-\x1f\x7f]+""")
_WORDS_OF_LIQUID = frozenset(
    {
        *("nil", "null", "none", "true", "false", "empty", "blank", "and", "or", "not", "contains", "in"),
        *("if", "else", "for", "as", "with", "True", "False", "None"),
    }
)
_BRACE = '{{ "{" }}'
_OPENING = re.compile(r"\{(?=[{%]|\Z)")
_BRACKETS = r"""\["[^"\\]*"\]|\['[^'\\]*'\]"""
_OUTPUT = re.compile(
    rf"""\{{\{{ "\{{" \}}\}}|\{{\{{\s*((?:[A-Za-z_]\w*|{_BRACKETS})"""
    rf"""(?:\.[A-Za-z_]\w*|\[\d{{1,9}}\]|{_BRACKETS})*)(\s*\|\s*raw)?\s*\}}\}}""",
    re.ASCII,
)
_STEP = re.compile(r"""([A-Za-z_]\w*)|\[(\d{1,9})\]|\["([^"]*)"\]|\['([^']*)'\]""", re.ASCII)


@dataclass(frozen=True, slots=True)
class Insert:
    """A value of the item; ``raw`` into HTML as it is."""

    steps: tuple[Step, ...]
    raw: bool = False

    def __str__(self) -> str:
        """As Liquid has it."""
        text = ""
        for step in self.steps:
            if isinstance(step, int):
                text += f"[{step}]"
            elif _NAME.fullmatch(step) and step not in _WORDS_OF_LIQUID:
                text += f".{step}" if text else step
            else:
                text += f"['{step}']" if '"' in step else f'["{step}"]'
        return f"{{{{ {text}{' | raw' if self.raw else ''} }}}}"


Piece = str | Insert
Pieces = Sequence[Piece]

MAX_FILES = 100
"""So many attachments are read of one mail, and written."""
_EMPTY_SAYS = ("envelopeFrom", "envelope_from", "textBody", "text_body")


def insert(steps: Sequence[Step], *, raw: bool = False) -> Insert | None:
    """The value at a path, or None if a template cannot name it."""
    sayable = all(0 <= s < 10**9 if isinstance(s, int) else _SAYABLE.fullmatch(s) for s in steps)
    return Insert(tuple(steps), raw) if sayable and steps and isinstance(steps[0], str) else None


def parameter(pieces: Pieces) -> Any:
    """The value for a parameter of ours. An empty text is one, too."""
    if any(isinstance(piece, Insert) for piece in pieces):
        return "".join(
            _OPENING.sub(lambda _: _BRACE, p) if isinstance(p, str) else str(p) for p in joined(pieces)
        )
    text = "".join(map(str, pieces))
    return literal(text) if text else {"literal": ""}


def joined(pieces: Iterable[Piece]) -> list[Piece]:
    """The same with no two texts in a row, and none that is empty."""
    found: list[Piece] = []
    texts: list[str] = []
    for piece in pieces:
        if isinstance(piece, str):
            texts.append(piece)
            continue
        if text := "".join(texts):
            found.append(text)
        texts.clear()
        found.append(piece)
    text = "".join(texts)
    return [*found, text] if text else found


def pieces_of(value: object) -> list[Piece] | None:
    """What a parameter of ours is made of; None if it is more than texts and paths."""
    if isinstance(value, Mapping):
        held = cast(Mapping[str, Any], value)
        return [held["literal"]] if set(held) == {"literal"} and isinstance(held["literal"], str) else None
    if not isinstance(value, str):
        return None
    found: list[Piece] = []
    position = 0
    for match in _OUTPUT.finditer(value):
        before = value[position : match.start()]
        if "{{" in before or "{%" in before:
            return None
        found += [before, _insert_of(match) if match[1] else "{"]
        position = match.end()
    rest = value[position:]
    return None if "{{" in rest or "{%" in rest else joined([*found, rest])


def _insert_of(match: re.Match[str]) -> Insert:
    steps: list[Step] = []
    for name, index, double, single in _STEP.findall(match[1]):
        steps.append(int(index) if index else name or double or single)
    return Insert(tuple(steps), match[2] is not None)


def mailboxes(source: Source, key: str, texts: Sequence[Pieces], *, is_list: bool = False) -> Any:
    """The value for a parameter with mailboxes: one for each comma, those without an insert checked.

    One insert that is all there is may be a list; so it stays the whole parameter. In a list (``is_list``)
    it is one mailbox.
    """
    if not is_list and len(texts) == 1 and (only := _alone(texts[0])):
        return str(only)
    found: list[Any] = []
    for element in (one for text in texts for one in _elements(text)):
        if all(isinstance(piece, str) for piece in element):
            place = Source({key: "".join(map(str, element))}, source.place, source.notes)
            found += [literal(one) for one in place.mailboxes(key) or ()]
        else:
            found.append(parameter(element))
    return found


def _elements(pieces: Pieces) -> list[list[Piece]]:
    """Cut at the commas that are not between double quotes."""
    found: list[list[Piece]] = [[]]
    quoted = escaped = False
    for piece in joined(pieces):
        if isinstance(piece, Insert):
            found[-1].append(piece)
            continue
        begin = 0
        for position, character in enumerate(piece):
            if character == "," and not quoted:
                found[-1].append(piece[begin:position])
                found.append([])
                begin = position + 1
            quoted ^= character == '"' and not escaped
            escaped = character == "\\" and quoted and not escaped
        found[-1].append(piece[begin:])
    return [stripped for element in found if (stripped := _stripped(element))]


def _stripped(pieces: Pieces) -> list[Piece]:
    found = joined(pieces)
    if found and isinstance(found[0], str):
        found[0] = found[0].lstrip()
    if found and isinstance(found[-1], str):
        found[-1] = found[-1].rstrip()
    return joined(found)


def _alone(pieces: Pieces) -> Insert | None:
    """The insert that is all there is, but for blanks."""
    only = _stripped(pieces)
    return only[0] if len(only) == 1 and isinstance(only[0], Insert) else None


def is_one_mailbox(value: object) -> bool:
    """Whether a parameter of ours is one mailbox that a template gives, so that it can be no list."""
    given = as_list(value)
    parts = pieces_of(given[0]) if len(given) == 1 else None
    return bool(parts and _alone(parts)) and (isinstance(value, list | tuple) or len(parts or ()) > 1)


def listed(place: str, value: object) -> list[list[Piece]]:
    """What each of the mailboxes of a parameter of ours is made of. Raises InvalidConfiguration."""
    return [said_pieces(place, one) for one in as_list(value)]


def html(source: Source, key: str, body: list[Piece]) -> list[Piece]:
    """An HTML body of a system that inserts values as they are, with the note on its key."""
    inserts = [piece for piece in body if isinstance(piece, Insert)]
    if inserts and len(body) == 1:
        why = "is one value, and goes into the mail as it is: who makes the value makes the HTML"
        source.note(key, Fate.WARNING, why, "body")
        return [Insert(inserts[0].steps, raw=True)]
    why = (
        "values are inserted as text, so nothing in them becomes HTML; where one is to, write | raw behind it"
    )
    if inserts:
        source.note(key, Fate.BETTER, why, "body")
    else:
        source.note(key, Fate.SAME, "" if body else "is empty", "body")
    return body


def html_pieces(place: str, value: object) -> list[Piece]:
    """What such a body is made of. Raises InvalidConfiguration for what would be inserted otherwise there."""
    parts = said_pieces(place, value)
    if len(parts) == 1 and isinstance(only := parts[0], Insert):
        if not only.raw:
            raise lost(place, "is one value that is inserted as text; there it would be HTML")
        return [Insert(only.steps)]
    return parts


def said_pieces(place: str, value: object) -> list[Piece]:
    """The pieces of a parameter of ours. Raises InvalidConfiguration if it is more than texts and paths."""
    parts = pieces_of(value)
    if parts is None:
        raise lost(place, "is a template that cannot be said there" if value else "is not set")
    return parts


def checked_number(source: Source, key: str, number: int) -> None:
    """Raises InvalidConfiguration for more files than are read of one mail."""
    if number > MAX_FILES:
        raise source.wrong(key, f"has {number:,} files; at most {MAX_FILES} are read.", "Attach fewer.")


def refuse_empty(place: str, parameters: Mapping[str, Any]) -> None:
    """Raises InvalidConfiguration for what says something by being empty, which no other system can say."""
    for key in _EMPTY_SAYS:
        if parameters.get(key) in ("", {"literal": ""}):
            raise lost(f"{place}.{key}", "is empty on purpose, which cannot be said there")
