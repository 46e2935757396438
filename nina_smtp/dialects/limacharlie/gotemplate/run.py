"""A template's nodes, run over one element."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import Enum
from typing import Any

from nina_smtp.dialects.limacharlie.gotemplate.budget import Budget, Fault, Means, octets
from nina_smtp.dialects.limacharlie.gotemplate.functions import FUNCTIONS, escaped
from nina_smtp.dialects.limacharlie.gotemplate.nodes import (
    Call,
    Expression,
    If,
    Leave,
    Literal,
    Node,
    Path,
    Pipeline,
    Range,
    Slot,
    Text,
)
from nina_smtp.dialects.limacharlie.gotemplate.values import (
    Html,
    admitted,
    entries,
    field,
    is_list,
    is_object,
    kind,
    printed,
    sound,
    truth,
)


class _Next(Enum):
    """What comes after a body."""

    GO_ON = 0
    CONTINUE = 1
    BREAK = 2


class Run:
    """One filling in. ``at`` is where in the template it is, for errors."""

    def __init__(
        self, element: Mapping[str, Any], slots: int, *, is_html: bool = False, seed: str | None = None
    ) -> None:
        self.budget = Budget()
        self.means = Means(self.budget, seed)
        self.is_html = is_html
        self.slots: list[Any] = [element, *[None] * (slots - 1)]
        self.element = element
        self.texts: list[str] = []
        self.at = 0

    def output(self, nodes: tuple[Node, ...]) -> str:
        """What the nodes write. Raises Fault."""
        self.body(nodes, self.element)
        return sound("".join(self.texts))

    def write(self, text: str) -> None:
        self.budget.write(octets(text))
        self.texts.append(text)

    def body(self, nodes: tuple[Node, ...], dot: Any) -> _Next:
        for node in nodes:
            self.budget.step()
            self.at = node.at
            following = _Next.GO_ON
            match node:
                case Text():
                    self.write(node.text)
                case Pipeline():
                    self.action(node, dot)
                case If():
                    following = self.branches(node, dot)
                case Range():
                    following = self.range(node, dot)
                case Leave():
                    following = _Next.BREAK if node.is_break else _Next.CONTINUE
            if following is not _Next.GO_ON:
                return following
        return _Next.GO_ON

    def action(self, node: Pipeline, dot: Any) -> None:
        value = self.pipeline(node, dot)
        if not node.slots:
            text = printed(value, self.budget)
            if self.is_html and not isinstance(value, Html):
                text = escaped(text, self.budget)
            self.write(text)

    def branches(self, node: If, dot: Any) -> _Next:
        for condition, body, moves in node.branches:
            self.budget.step()
            value = self.pipeline(condition, dot)
            if truth(value):
                return self.body(body, value if moves else dot)
        return self.body(node.otherwise, dot)

    def range(self, node: Range, dot: Any) -> _Next:
        value = self.value(node.over, dot)
        rounds: Iterable[tuple[Any, Any]]
        if is_object(value):
            rounds = entries(value, self.budget)
        elif is_list(value):
            rounds = enumerate(value)
        elif value is None:
            rounds = ()
        else:
            self.at = node.at
            raise Fault(
                f"range cannot go through {kind(value)}.",
                'Use it with a list or object; for a text there is {{ range split "," .text }}.',
            )
        is_empty = True
        for key, entry in rounds:
            self.budget.step()
            is_empty = False
            entry = admitted(entry)
            for slot, given in zip(node.over.slots[::-1], (entry, key), strict=False):
                self.slots[slot] = given
            if self.body(node.body, entry) is _Next.BREAK:
                break
        return self.body(node.otherwise, dot) if is_empty else _Next.GO_ON

    def pipeline(self, node: Pipeline, dot: Any) -> Any:
        value = self.value(node, dot)
        for slot in node.slots:
            self.slots[slot] = value
        return value

    def value(self, node: Pipeline, dot: Any) -> Any:
        """What comes out of a pipeline, before any variable has it."""
        value = self.evaluate(node.first, dot)
        for call in node.calls:
            value = self.call(call, dot, (value,))
        return value

    def evaluate(self, node: Expression, dot: Any) -> Any:
        self.budget.step()
        match node:
            case Literal():
                return node.value
            case Slot():
                return self.slots[node.number]
            case Call():
                return self.call(node, dot, ())
            case Pipeline():
                return self.pipeline(node, dot)
            case Path():
                value = dot if node.of is None else self.evaluate(node.of, dot)
                self.at = node.at
                for name in node.names:
                    self.budget.step()
                    value = field(value, name)
                return value

    def call(self, node: Call, dot: Any, last: tuple[Any, ...]) -> Any:
        """A function's value; ``last`` is what comes through the pipeline."""
        self.budget.step()
        if node.name in ("and", "or"):
            value = None
            for given in node.values:
                value = self.evaluate(given, dot)
                if truth(value) is (node.name == "or"):
                    return value
            return last[0] if last else value
        values = [self.evaluate(given, dot) for given in node.values]
        self.at = node.at
        return FUNCTIONS[node.name]([*values, *last], self.means)
