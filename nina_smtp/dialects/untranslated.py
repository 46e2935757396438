"""What is told of the steps of a workflow: all expressions that are no paths at once, and the step's name."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

from nina_smtp.dialects.imported import Fate, Note
from nina_smtp.dialects.inserts import Insert
from nina_smtp.errors import InvalidConfiguration

MOST = 10
"""So many expressions are named in one error."""


@dataclass(frozen=True, slots=True)
class Untranslated:
    """The expressions that were refused so far, while the rest of the document is read."""

    problems: list[InvalidConfiguration] = field(default_factory=list[InvalidConfiguration])

    def add(self, problem: InvalidConfiguration) -> Insert:
        """Keeps it, and returns what stands for the value. Raises it if there are too many already."""
        if all(problem.message != known.message for known in self.problems):
            if len(self.problems) >= MOST:
                raise problem
            self.problems.append(problem)
        return Insert(("untranslated",))

    @contextmanager
    def together(self) -> Generator[None]:
        """Raises one InvalidConfiguration for all of them at the end."""
        more = False
        try:
            yield
        except InvalidConfiguration as problem:
            if not self.problems:
                raise
            more = len(self.problems) >= MOST
            if not more:
                self.problems.append(problem)
        if self.problems:
            first = self.problems[0]
            texts = [one.message for one in self.problems]
            message = " ".join([*texts, "There are more."] if more else texts)
            raise InvalidConfiguration(message, hint=first.hint, parameter=first.parameter)


def refused(untranslated: Untranslated | None, problem: InvalidConfiguration) -> Insert:
    """What stands for an expression that is refused. Raises it if nobody collects them."""
    if untranslated is None:
        raise problem
    return untranslated.add(problem)


@contextmanager
def named(name: str, notes: list[Note], untranslated: Untranslated) -> Generator[None]:
    """The errors and the warnings from within say which step they are of: its place is only a number."""
    told, found = len(notes), len(untranslated.problems)
    try:
        yield
    except InvalidConfiguration as problem:
        _name(problem, name)
        raise
    finally:
        for one in untranslated.problems[found:]:
            _name(one, name)
    for index, note in enumerate(notes[told:], told):
        if note.fate is Fate.WARNING:
            notes[index] = replace(note, message=f"({name}) {note.message}")


def _name(problem: InvalidConfiguration, name: str) -> None:
    place = problem.parameter or ""
    rest = problem.message.removeprefix(place)
    problem.message = f"{place} ({name}){rest}" if place and rest != problem.message else f"{name}: {rest}"
    problem.args = (problem.message,)
