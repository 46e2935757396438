"""Which mail comes after which, in a workflow of another system of which only the mails are known here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Any

from nina_smtp.dialects.imported import Fate, Json, Note
from nina_smtp.errors import InvalidConfiguration
from nina_smtp.workflow.model import MAX_EDGES, MAX_NODES

ERROR = "error"
"""The output of a mail that failed."""

Wire = tuple[str, str | None]
"""The name of the step it comes from, and its output; None is the first."""


class Kind(Enum):
    """What a step of the other system is here."""

    TRIGGER = auto()
    MAIL = auto()
    THROUGH = auto()
    """It hands on what it gets: it need not be there."""
    OTHER = auto()
    """Nobody knows here what it does."""


@dataclass(frozen=True, slots=True)
class Feeds:
    """Where a mail gets its items: ``others`` are the unknown steps right before it."""

    trigger: bool
    mails: tuple[Wire, ...]
    others: tuple[str, ...]

    @property
    def only_data(self) -> bool:
        """Whether what comes in is what the workflow starts with."""
        return not self.mails


@dataclass(slots=True)
class Wiring:
    """The steps by name, and the wires into each."""

    kinds: dict[str, Kind] = field(default_factory=dict[str, Kind])
    into: dict[str, list[Wire]] = field(default_factory=dict[str, list[Wire]])
    known: dict[str, Feeds] = field(default_factory=dict[str, Feeds])

    def add(self, name: str, kind: Kind, place: str) -> None:
        """A step. Raises InvalidConfiguration for a name that is taken."""
        if name in self.kinds:
            raise InvalidConfiguration(
                f"{place} is called {name[:80]!a}, as another one is.",
                hint="Give each a name of its own.",
                parameter=place,
            )
        self.kinds[name] = kind

    def wire(self, source: str, target: str, output: str | None = None) -> None:
        """A wire, if both its ends are there; the same one twice is one."""
        wires = self.into.setdefault(target, [])
        if source in self.kinds and target in self.kinds and (source, output) not in wires:
            wires.append((source, output))

    def silence(self, start: str) -> frozenset[str]:
        """The mails that nothing leads to, so that they never run there: they hand on what ``start`` gives.

        To be asked for when all wires are there, before anything else is.
        """
        onward: dict[str, list[str]] = {}
        for target, wires in self.into.items():
            for source, _ in wires:
                onward.setdefault(source, []).append(target)
        waiting = [name for name, kind in self.kinds.items() if kind in (Kind.TRIGGER, Kind.OTHER)]
        reached = set(waiting)
        while waiting:
            for target in onward.get(waiting.pop(), ()):
                if target not in reached:
                    reached.add(target)
                    waiting.append(target)
        silent = frozenset(n for n, kind in self.kinds.items() if kind is Kind.MAIL and n not in reached)
        for name in silent:
            self.kinds[name] = Kind.THROUGH
            if not self.into.get(name):
                self.wire(start, name)
        return silent

    def feeds(self, name: str) -> Feeds:
        """What comes before a mail, steps that hand on skipped; asked for when all wires are there."""
        if name not in self.known:
            self.known[name] = self._found(name)
        return self.known[name]

    def _found(self, name: str) -> Feeds:
        trigger, seen = False, {name}
        mails: list[Wire] = []
        others: list[str] = []
        waiting = list(self.into.get(name, ()))
        while waiting:
            source, output = waiting.pop(0)
            kind = self.kinds[source]
            if kind is Kind.MAIL:
                mails += [] if (source, output) in mails else [(source, output)]
                continue
            if source in seen:
                continue
            seen.add(source)
            trigger |= kind is Kind.TRIGGER
            others += [source] if kind is Kind.OTHER else []
            waiting += self.into.get(source, ()) if kind is Kind.THROUGH else ()
        order = {step: number for number, step in enumerate(self.kinds)}
        mails.sort(key=lambda wire: (order[wire[0]], wire[1] or ""))
        return Feeds(trigger, tuple(mails), tuple(others))

    def before(self, name: str) -> frozenset[str]:
        """Every mail that has a way to this one. Raises InvalidConfiguration if it is among them."""
        found: set[str] = set()
        waiting = [name]
        while waiting:
            for source, _ in self.feeds(waiting.pop()).mails:
                if source not in found:
                    found.add(source)
                    waiting.append(source)
        if name in found:
            raise InvalidConfiguration(
                f"The wires go round in a circle through {name[:80]!a}.", hint="Remove one of them."
            )
        return frozenset(found)


@dataclass(frozen=True, slots=True)
class Step:
    """A mail of the workflow; ``node`` is the workflow's node without its name. ``place`` is for notes.
    ``conditional`` mails have a condition of their own, which is not known here.
    """

    name: str
    node: Json
    feeds: Feeds
    place: str
    conditional: bool = False


def workflow(
    name: str, trigger: Json, steps: Sequence[Step], notes: list[Note], kinds: Mapping[str, str]
) -> dict[str, Any]:
    """The workflow: the trigger, then the mails.

    A mail behind steps that are not known here, which may be what decides whether it is sent, follows the
    trigger, disabled, and so are those behind it; a note warns of that. ``kinds`` says what those steps are.
    Raises InvalidConfiguration if there are too many.
    """
    if len(steps) >= MAX_NODES or sum(len(step.feeds.mails) + 1 for step in steps) > MAX_EDGES:
        raise InvalidConfiguration(f"There are {len(steps)} mails, which are too many for one workflow.")
    ids = {step.name: step.node["id"] for step in steps}
    off = _behind_what_is_not_known(steps)
    edges: list[dict[str, str]] = []
    for step in steps:
        feeds = step.feeds
        if feeds.others:
            between = ", ".join(f"{other[:40]} ({kinds.get(other, '?')[:60]})" for other in feeds.others[:5])
            warn(
                notes,
                step.place,
                f"({step.name}) comes after {between}, which is not known here and may decide whether it is "
                "sent: it is wired to the trigger and disabled; enable it when what decides is before it",
            )
        elif len(feeds.mails) + feeds.trigger > 1:
            warn(
                notes,
                step.place,
                f"({step.name}) has several wires in: here they make one mail, their items laid over each "
                "other",
            )
        on = [(source, output) for source, output in feeds.mails if source not in off]
        if feeds.trigger or feeds.others or len(on) < max(len(feeds.mails), 1):
            edges.append({"from": trigger["id"], "to": step.node["id"]})  # what is disabled hands on
        for source, output in on:
            edge = {"from": ids[source], "to": step.node["id"]}
            edges.append(edge | {"output": output} if output else edge)
    nodes = [dict(trigger)]
    for step in steps:
        disabled = {"disabled": True} if step.name in off else {}
        nodes.append({**step.node, "name": step.name, **disabled})
        if step.name in off and not step.feeds.others:
            warn(
                notes, step.place, f"({step.name}) comes after a mail that is disabled, and is disabled, too"
            )
    return {"name": name, "nodes": nodes, "edges": edges}


def _behind_what_is_not_known(steps: Sequence[Step]) -> frozenset[str]:
    """The mails that must not go out by themselves: a disabled node hands on its items to those behind it."""
    off = {step.name for step in steps if step.feeds.others or step.conditional}
    while more := {step.name for step in steps if any(mail in off for mail, _ in step.feeds.mails)} - off:
        off |= more
    return frozenset(off)


def warn(notes: list[Note], place: str, message: str) -> None:
    """A warning about a step as a whole."""
    notes.append(Note(place, Fate.WARNING, message))
