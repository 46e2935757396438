"""A configuration of another system, read key by key.

Values come as JSON or YAML has them, or as text: every system here writes ``"true"`` and ``"587"`` as readily
as ``true`` and ``587``. Whoever reads a key says what it becomes, and that is the note on it; what nobody
asked for gets one too, or an error if it looks like a slip of the pen.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, cast

from nina_smtp.dialects.imported import Fate, Note, is_reference
from nina_smtp.errors import InvalidAddress, InvalidConfiguration
from nina_smtp.forms import nearest
from nina_smtp.message.mailbox import MAX_TEXT as MAX_MAILBOXES_TEXT
from nina_smtp.message.mailbox import Mailbox, parse_list

MAX_TEXT = 8 * 1024 * 1024
MAX_NOTES = 1000
MAX_UNKNOWN = 200
"""Keys of one object that nobody asked for: comparing words is slow, and a hostile document has many."""
MAX_PARTS = 1000

_BRACES = re.compile(r"\{[{%]")
_QUOTED_NAME = re.compile(r'[@,;:<>"\[\]\\()]')
_PIECE = re.compile(r'"(?:[^"\\]|\\.)*"|\((?:[^()\\]|\\.)*\)|[^",(]+|["(]', re.DOTALL)
_PLACEHOLDER = re.compile(r"<[A-Za-z][A-Za-z0-9 _-]*>|YOUR[_-][A-Z0-9_-]+")


class Source:
    """One object of the configuration, at ``place`` in it. ``notes`` is shared by all of a document's."""

    def __init__(self, data: object, place: str = "", notes: list[Note] | None = None) -> None:
        if not isinstance(data, Mapping):
            raise InvalidConfiguration(
                f"{place or 'The document'} is not an object.", hint="Write keys and values.", parameter=place
            )
        self.data = cast(Mapping[str, Any], data)
        self.place = place
        self.notes: list[Note] = [] if notes is None else notes
        self._asked: set[str] = set()

    def at(self, key: str) -> str:
        """The path of a key; one with a dot in it is quoted, so that no two places are called the same."""
        if "." in key:
            return f'{self.place}["{key}"]'
        return f"{self.place}.{key}" if self.place else key

    def wrong(self, key: str, message: str, hint: str | None = None) -> InvalidConfiguration:
        """An error that names the key."""
        return InvalidConfiguration(f"{self.at(key)} {message}", hint=hint, parameter=self.at(key))

    def missing(self, key: str) -> InvalidConfiguration:
        """The error for a key that is required; a slip of the pen is named."""
        words = [str(word) for word in self.data if word not in self._asked and len(str(word)) < 100]
        slip = next((word for word in words if _slip(word, [key])), None)
        hint = f"There is {slip}: did you mean {key}?" if slip else f"Give {key} a value."
        return self.wrong(key, "is required.", hint)

    def note(self, key: str, fate: Fate, message: str = "", becomes: str | None = None) -> None:
        """Says what became of a key; once said, it stays said, but for a warning, which is never hidden."""
        place = self.at(key)
        self._asked.add(key)
        told = next((number for number, note in enumerate(self.notes) if note.place == place), None)
        found = Note(place, fate, message, becomes)
        if told is None and (len(self.notes) < MAX_NOTES or fate is Fate.WARNING):
            self.notes.append(found)
        elif told is not None and fate is Fate.WARNING and self.notes[told].fate is not fate:
            self.notes[told] = found

    def has(self, key: str) -> bool:
        """Whether the key is there with anything but nothing or an empty text."""
        self._asked.add(key)
        return self.data.get(key) not in (None, "")

    def value(self, key: str, becomes: str | None = None) -> Any:
        """Whatever is there; None for an empty text."""
        if not self.has(key):
            return None
        if becomes:
            self.note(key, Fate.SAME, becomes=becomes)
        return self.data[key]

    def text(self, key: str, becomes: str | None = None, *, required: bool = False) -> str | None:
        """A text; a number is one too."""
        value = self.value(key, becomes)
        if value is None:
            if required:
                raise self.missing(key)
            return None
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            raise self.wrong(key, "is not a text.", f"Write {key} as a text.")
        text = str(value)
        if len(text) > MAX_TEXT:
            raise self.wrong(key, f"has {len(text):,} characters; at most {MAX_TEXT:,} are read.")
        return text

    def flag(self, key: str, becomes: str | None = None) -> bool | None:
        """``true`` or ``false``, also as text; None if it is not there or empty."""
        value = self.value(key, becomes)
        if value is None or isinstance(value, bool):
            return value
        known = {"true": True, "false": False}
        if isinstance(value, str) and (found := known.get(value.strip().lower())) is not None:
            return found
        raise self.wrong(key, "is neither true nor false.", f"Write {key}: true, or {key}: false.")

    def number(self, key: str, low: int, high: int, becomes: str | None = None) -> int | None:
        """A whole number within bounds, also as text."""
        value = self.value(key, becomes)
        if value is None:
            return None
        if isinstance(value, str) and re.fullmatch(r"[0-9]{1,12}", value.strip()):
            value = int(value)
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise self.wrong(key, f"is not a number from {low} to {high}.", "Write the number alone.")
        return value

    def choice(self, key: str, choices: Mapping[str, Any], becomes: str | None = None) -> Any:
        """What a word stands for, whatever its case; None if it is not there."""
        text = self.text(key, becomes)
        if text is None:
            return None
        folded = {name.lower(): value for name, value in choices.items()}
        if text.strip().lower() not in folded:
            meant = nearest(text, list(choices)) if len(text) < 100 else None
            hint = f"Did you mean {meant}?" if meant else f"There are: {', '.join(choices)}."
            raise self.wrong(key, f"cannot be {text[:40]!a}.", hint)
        return folded[text.strip().lower()]

    def mailboxes(self, key: str, becomes: str | None = None, *, required: bool = False) -> list[str] | None:
        """Mailboxes, one text each, from a text with commas or a list. Blanks between commas are left out."""
        value = self.value(key, becomes)
        listed = as_list(value)
        found: list[str] = []
        for index, one in enumerate(listed):
            where = f"{key}[{index}]" if isinstance(value, list | tuple) else key
            if one is None or one == "":
                continue
            if not isinstance(one, str):
                raise self.wrong(where, "is not a mailbox.", "Write it as a text: SOC <soc@corp.example>.")
            found += [written(mailbox) for mailbox in self._parsed(where, one)]
        if not found and required:
            raise self.missing(key)
        return found or None

    def mailbox(self, key: str, becomes: str | None = None) -> str | None:
        """One mailbox."""
        found = self.mailboxes(key, becomes)
        if found and len(found) > 1:
            raise self.wrong(key, "is more than one mailbox.", "Give exactly one.")
        return found[0] if found else None

    def inner(self, key: str) -> Source | None:
        """The object at a key, to be read in the same way."""
        value = self.value(key)
        return None if value is None else Source(value, self.at(key), self.notes)

    def objects(self, key: str) -> list[Source]:
        """The objects in the list at a key."""
        value = self.value(key)
        if value is None:
            return []
        if not isinstance(value, list | tuple):
            raise self.wrong(key, "is not a list.", "Write a list of objects.")
        listed = cast(Sequence[Any], value)
        return [Source(one, f"{self.at(key)}[{index}]", self.notes) for index, one in enumerate(listed)]

    def rest(self, why: str = "is not known here", *, known: Iterable[str] = ()) -> None:
        """Tells of every key that nobody asked for. Raises InvalidConfiguration if one is nearly a known one.

        ``known`` are keys that nobody has to ask for.
        """
        expected = {*self._asked, *known}
        unknown = [str(key) for key in self.data if key not in expected]
        if len(unknown) > MAX_UNKNOWN:
            raise self.wrong(unknown[0][:80], f"and {len(unknown) - 1} other keys are not known here.")
        missing = [name for name in sorted(expected) if self.data.get(name) in (None, "")]
        for word in unknown:
            if len(word) < 100 and (meant := _slip(word, missing)):
                raise self.wrong(word[:80], "is not a known key.", f"Did you mean {meant}?")
            self.note(word[:80], Fate.LEFT_OUT, why)

    def _parsed(self, key: str, text: str) -> tuple[Mailbox, ...]:
        try:
            given = _without_blanks(text) if len(text) <= MAX_MAILBOXES_TEXT else text
            return parse_list(given) if given else ()
        except InvalidAddress as error:
            hint = error.hint or "Write it as local-part@domain."
            if "<" in text and "," in text.partition("<")[0]:
                hint = 'A name with a comma goes between double quotes: "Doe, Jane" <jane@corp.example>.'
            raise self.wrong(key, f"is refused: {error.message}", hint) from None


def is_placeholder(value: object) -> bool:
    """Whether it stands in an example for what the user has to fill in: ``<your-app-password>``."""
    return isinstance(value, str) and _PLACEHOLDER.fullmatch(value) is not None


def sources(document: object) -> list[Source]:
    """The objects of a document: a list is a list of them. Raises InvalidConfiguration."""
    if not isinstance(document, list | tuple):
        return [Source(document)]
    listed = as_list(cast(object, document))
    if not 0 < len(listed) <= MAX_PARTS:
        raise InvalidConfiguration(f"The list has {len(listed)} entries; from 1 to {MAX_PARTS} are read.")
    notes: list[Note] = []
    return [Source(one, f"[{index}]", notes) for index, one in enumerate(listed)]


def as_list(value: object) -> list[Any]:
    """The elements of a list, or the one value there is."""
    return list(cast(Sequence[Any], value)) if isinstance(value, list | tuple) else [value]


def objects_in(value: object) -> list[Mapping[str, Any]]:
    """Those elements of a list, or values of an object, that are objects."""
    found: list[Any] = (
        list(cast(Mapping[str, Any], value).values()) if isinstance(value, Mapping) else as_list(value)
    )
    return [cast(Mapping[str, Any], one) for one in found if isinstance(one, Mapping)]


def written(mailbox: Mailbox) -> str:
    """A mailbox as text that is read as the same one."""
    name = mailbox.display_name
    if not name:
        return mailbox.address
    if _QUOTED_NAME.search(name):
        escaped = name.replace("\\", "\\\\").replace('"', '\\"')
        name = f'"{escaped}"'
    return f"{name} <{mailbox.address}>"


def literal(value: Any) -> Any:
    """A value for a parameter of ours: what looks like a template in it stays as it is."""
    keys: set[str] = set(cast(Mapping[str, Any], value)) if isinstance(value, Mapping) else set()
    written_so = keys == {"literal"} or _BRACES.search(str(cast(object, value)))
    unknown = cast(Any, value)
    return {"literal": unknown} if written_so else unknown


def referable(value: str | None) -> str | None:
    """A value for a credential of ours: one ``${NAME}`` alone is the environment's, in a text it is text."""
    return value if is_reference(value) else verbatim(value)


def literally(value: str | None) -> str | None:
    """The inverse of ``referable``. Raises InvalidConfiguration for a text that it would make a reference."""
    if value is None:
        return None
    text = re.sub(r"\$(?=\$\{[A-Za-z_][A-Za-z0-9_]*\})", "", value)
    if text != value and is_reference(text):
        raise InvalidConfiguration(
            f"{value} is a text, and would be read as a variable of the environment there.",
            hint="Write the value into a variable, and its name here.",
        )
    return text


def verbatim(value: str | None) -> str | None:
    """A value for a credential of ours: ``${NAME}`` in it stays as it is."""
    return None if value is None else re.sub(r"(?=\$\{[A-Za-z_][A-Za-z0-9_]*\})", "$", value)


def _without_blanks(text: str) -> str:
    """Mailboxes without what is blank between two commas, unless these are within quotes or a comment."""
    elements = [""]
    position = 0
    while position < len(text):
        if text[position] == ",":
            elements.append("")
            position += 1
        elif piece := _PIECE.match(text, position):
            if piece[0] in ('"', "("):
                return text  # it is never closed: whoever reads the mailboxes says so
            elements[-1] += piece[0]
            position = piece.end()
    return ",".join(element for element in elements if element.strip())


def _slip(word: str, names: Sequence[str]) -> str | None:
    """The known name that ``word`` is spelt almost like; a longer or a shorter word is another word."""
    meant = nearest(word, tuple(names))
    return (
        meant
        if meant and abs(len(meant) - len(word)) <= 2 and word[:1].lower() == meant[:1].lower()
        else None
    )
