"""From the pieces of a template to its nodes. What is wrong with a template shows here, as far as it can."""

from __future__ import annotations

from nina_smtp.dialects.limacharlie.gotemplate.budget import MAX_DEPTH, Fault
from nina_smtp.dialects.limacharlie.gotemplate.nodes import If, Leave, Node, Pipeline, Range, Text
from nina_smtp.dialects.limacharlie.gotemplate.pipelines import Cursor, Names, pipeline
from nina_smtp.dialects.limacharlie.gotemplate.text import Action, Token, pieces

_REFUSED = frozenset({"define", "template", "block"})
_STATEMENTS = frozenset({"if", "with", "range", "else", "end", "break", "continue"}) | _REFUSED


def parse(text: str) -> tuple[tuple[Node, ...], int]:
    """The nodes of a template, and how many slots its variables take. Raises Fault."""
    parser = _Parser(text)
    nodes, end = parser.body(None)
    if end is not None:
        raise Fault(
            f"{{{{{end.word}}}}} has no block to go with.",
            "It belongs to an if, with or range before it.",
            end.at,
        )
    return nodes, parser.names.slots


class _Statement(Cursor):
    """The tokens of one action, and the word it begins with, if that is a statement."""

    def __init__(self, action: Action) -> None:
        super().__init__(action.tokens, action.at)
        first = self.peek()
        is_statement = first is not None and first.kind == "word" and first.text in _STATEMENTS
        self.word = self.take().text if is_statement else ""

    def finish(self) -> None:
        """Raises Fault unless that was all."""
        if (token := self.peek()) is not None:
            raise Fault(
                f"{token.text[:40]!r} cannot stand after {self.word}.",
                "End the action with }} before it.",
                token.at,
            )


class _Parser:
    def __init__(self, text: str) -> None:
        self.pieces = pieces(text)
        self.names = Names()
        self.depth = 0
        self.loops = 0

    def body(self, opened: _Statement | None) -> tuple[tuple[Node, ...], _Statement | None]:
        """Nodes up to an else or end, which is read and returned; None at the end of the text."""
        nodes: list[Node] = []
        for piece in self.pieces:
            if isinstance(piece, Token):
                nodes.append(Text(piece.at, piece.text))
                continue
            statement = _Statement(piece)
            self.names.count(len(piece.tokens) + 1)
            if statement.word in ("else", "end"):
                return tuple(nodes), statement
            nodes.append(self.node(statement))
        if opened is not None:
            raise Fault(f"{{{{{opened.word} …}}}} is not closed.", "Close it with {{end}}.", opened.at)
        return tuple(nodes), None

    def node(self, statement: _Statement) -> Node:
        word = statement.word
        if word in ("if", "with", "range"):
            self.depth += 1
            if self.depth > MAX_DEPTH:
                raise Fault(f"Blocks are nested deeper than {MAX_DEPTH}.", "Nest fewer blocks.", statement.at)
            with self.names.scope():
                node = self.range(statement) if word == "range" else self.branches(statement)
            self.depth -= 1
            return node
        if word in ("break", "continue"):
            statement.finish()
            if not self.loops:
                raise Fault(
                    f"{{{{{word}}}}} is outside a range.", "Put it between range and end.", statement.at
                )
            return Leave(statement.at, word == "break")
        if word:
            raise Fault(
                f"{{{{{word}}}}} is not available: a mail's template is one template.",
                "Write the text where it is used, or keep a value with {{ $name := … }}.",
                statement.at,
            )
        return self.pipeline(statement, "an action")

    def pipeline(self, statement: _Statement, what: str, *, is_range: bool = False) -> Pipeline:
        statement.depth = self.depth
        made = pipeline(statement, self.names, what, is_range=is_range)
        statement.finish()
        return made

    def branches(self, opened: _Statement) -> If:
        """An if or with; {{else if}} and {{else with}} are branches of it, so a long chain is no deep one."""
        branches: list[tuple[Pipeline, tuple[Node, ...], bool]] = []
        statement = opened
        while True:
            moves = statement.word == "with"
            condition = self.pipeline(statement, statement.word)
            with self.names.scope():
                body, end = self.body(opened)
            branches.append((condition, body, moves))
            assert end is not None, "body() refuses a block that is not closed"
            if end.word == "end":
                end.finish()
                return If(opened.at, tuple(branches), ())
            following = end.peek()
            if following is None or following.text not in ("if", "with"):
                return If(opened.at, tuple(branches), self.otherwise(opened, end))
            end.word = end.take().text
            statement = end

    def range(self, opened: _Statement) -> Range:
        over = self.pipeline(opened, "range", is_range=True)
        self.loops += 1
        with self.names.scope():
            body, end = self.body(opened)
        self.loops -= 1
        assert end is not None, "body() refuses a block that is not closed"
        if end.word == "else":
            return Range(opened.at, over, body, self.otherwise(opened, end))
        end.finish()
        return Range(opened.at, over, body, ())

    def otherwise(self, opened: _Statement, statement: _Statement) -> tuple[Node, ...]:
        """What stands between a last {{else}} and its {{end}}."""
        statement.finish()
        with self.names.scope():
            body, end = self.body(opened)
        assert end is not None, "body() refuses a block that is not closed"
        if end.word == "else":
            raise Fault("A block has a second {{else}}.", "Use {{else if …}} before the last one.", end.at)
        end.finish()
        return body
