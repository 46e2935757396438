"""The tokens of one action, read as a pipeline: ``$x := .a.b | printf "%s" | html``."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from difflib import get_close_matches

from nina_smtp.dialects.limacharlie.gotemplate.budget import MAX_DEPTH, MAX_STEPS, Fault
from nina_smtp.dialects.limacharlie.gotemplate.functions import ARITIES
from nina_smtp.dialects.limacharlie.gotemplate.nodes import Call, Expression, Literal, Path, Pipeline, Slot
from nina_smtp.dialects.limacharlie.gotemplate.text import Token, character, number, unquoted

_WORDS = {"true": True, "false": False, "nil": None}


class Cursor:
    """Where reading is in the tokens of one action, which begins at ``at``."""

    def __init__(self, tokens: tuple[Token, ...], at: int) -> None:
        self.tokens = tokens
        self.at = at
        self.position = 0
        self.depth = 0

    def peek(self, ahead: int = 0) -> Token | None:
        """The next token, or None at the end."""
        position = self.position + ahead
        return self.tokens[position] if position < len(self.tokens) else None

    def take(self) -> Token:
        """The next token, which is there."""
        self.position += 1
        return self.tokens[self.position - 1]

    def is_at(self, *texts: str) -> bool:
        """Whether the next token is one of these marks."""
        token = self.peek()
        return token is not None and token.kind == "mark" and token.text in texts


class Names:
    """The variables that can be seen, and how many parts the template has."""

    def __init__(self) -> None:
        self.scopes = [{"$": 0}]
        self.slots = 1
        self.parts = 0

    @contextmanager
    def scope(self) -> Generator[None, None, None]:
        """A block: what is declared in it ends with it."""
        self.scopes.append({})
        yield
        self.scopes.pop()

    def declare(self, name: str) -> int:
        """A new slot for this name, in this block."""
        slot = self.scopes[-1][name] = self.slots
        self.slots += 1
        return slot

    def find(self, token: Token) -> int:
        """The slot of a variable. Raises Fault if it is none."""
        for scope in reversed(self.scopes):
            if token.text in scope:
                return scope[token.text]
        raise Fault(
            f"There is no variable {token.text[:40]}.",
            f"Declare it first: {{{{ {token.text[:40]} := … }}}}, in this block or around it.",
            token.at,
        )

    def count(self, parts: int) -> None:
        """Raises Fault if the template has too many parts."""
        self.parts += parts
        if self.parts > MAX_STEPS:
            raise Fault(f"A template has more than {MAX_STEPS:,} parts.", "Write a shorter template.")


def pipeline(cursor: Cursor, names: Names, what: str, *, is_range: bool = False) -> Pipeline:
    """A pipeline with its variables, up to the end. ``what`` it is for, in errors."""
    declared, assigned = _targets(cursor, is_range=is_range)
    # An assigned variable has to be there before, a declared one is seen only after its own value.
    slots = tuple(names.find(token) for token in assigned)
    made = _commands(cursor, names, what)
    slots += tuple(names.declare(token.text) for token in declared)
    return Pipeline(made.at, made.first, made.calls, slots)


def _targets(cursor: Cursor, *, is_range: bool) -> tuple[list[Token], list[Token]]:
    """The variables before := and those before =."""
    found: list[Token] = []
    for ahead in (0, 2):
        token, mark = cursor.peek(ahead), cursor.peek(ahead + 1)
        if token is None or token.kind != "variable" or mark is None or mark.kind != "mark":
            return [], []
        found.append(token)
        if mark.text in (":=", "="):
            cursor.position += ahead + 2
            if token.text == "$" or found[0].text == "$":
                raise Fault("$ is the whole element, always.", "Use another name, such as $x.", token.at)
            return (found, []) if mark.text == ":=" else ([], found)
        if mark.text != ",":
            return [], []
        if not is_range:
            raise Fault("Only range sets two variables.", "Use one: {{ $x := … }}.", mark.at)
    return [], []


def _commands(cursor: Cursor, names: Names, what: str) -> Pipeline:
    at = token.at if (token := cursor.peek()) else cursor.at
    first = _command(cursor, names, what, is_first=True)
    calls: list[Call] = []
    while cursor.is_at("|"):
        cursor.take()
        call = _command(cursor, names, "a pipeline", is_first=False)
        if not isinstance(call, Call):
            raise Fault("After | comes a function.", 'For example: {{ .cat | printf "%q" }}.', call.at)
        calls.append(call)
    return Pipeline(at, first, tuple(calls))


def _command(cursor: Cursor, names: Names, what: str, *, is_first: bool) -> Expression:
    """One command: a function with its values, or one value."""
    operands: list[Expression] = []
    while (token := cursor.peek()) is not None and not cursor.is_at("|", ")"):
        if operands and not token.spaced:
            raise Fault(
                f"{token.text[:40]!r} comes too close.",
                "Put a space between values, and none into one.",
                token.at,
            )
        operands.append(_operand(cursor, names))
    if not operands:
        at = token.at if token else cursor.at
        raise Fault(f"A value is missing in {what}.", "Write what it is to use: {{ .cat }}.", at)
    first, *values = operands
    if isinstance(first, Call):
        _check_arity(first, len(values) + (not is_first))
        return Call(first.at, first.name, tuple(values))
    if values:
        raise Fault(
            "Only a function takes values, and this is none.",
            "Put the function first, or use a pipeline: {{ .cat | html }}.",
            values[0].at,
        )
    if first == Literal(first.at, None):
        raise Fault("nil is no value to print or test.", "Use it with a function: {{ eq .a nil }}.", first.at)
    return first


def _operand(cursor: Cursor, names: Names) -> Expression:
    token = cursor.take()
    value = _term(cursor, names, token)
    chain: list[str] = []
    while (after := cursor.peek()) is not None and after.kind == "field" and not after.spaced:
        if isinstance(value, Literal) or token.kind == "dot":
            raise Fault(f"{token.text[:40]!r} has no fields.", "Put a space between values.", after.at)
        chain.append(cursor.take().text[1:])
    if not chain:
        return value
    if isinstance(value, Call):
        _check_arity(value, 0)
    if isinstance(value, Path):
        return Path(value.at, value.of, (*value.names, *chain))
    assert not isinstance(value, Literal), "a literal with a field is refused above"
    return Path(token.at, value, tuple(chain))


def _term(cursor: Cursor, names: Names, token: Token) -> Expression:
    at, text = token.at, token.text
    match token.kind:
        case "field":
            return Path(at, None, (text[1:],))
        case "dot":
            return Path(at, None, ())
        case "variable":
            return Slot(at, names.find(token))
        case "string" | "raw":
            return Literal(at, unquoted(token))
        case "char":
            return Literal(at, character(token))
        case "number":
            return Literal(at, number(token))
        case "word" if text in _WORDS:
            return Literal(at, _WORDS[text])
        case "word":
            return Call(at, _function(token))
        case "mark" if text == "(":
            return _parenthesized(cursor, names, token)
        case _:
            raise Fault(f"{text!r} cannot stand here.", "Write a value or a function here.", at)


def _parenthesized(cursor: Cursor, names: Names, opening: Token) -> Pipeline:
    cursor.depth += 1
    if cursor.depth > MAX_DEPTH:
        raise Fault(
            f"Parentheses are nested deeper than {MAX_DEPTH}.", "Keep a value in a $variable.", opening.at
        )
    made = _commands(cursor, names, "parentheses")
    cursor.depth -= 1
    if not cursor.is_at(")"):
        raise Fault("A parenthesis is not closed.", "Every ( needs its ).", opening.at)
    cursor.take()
    return made


def _function(token: Token) -> str:
    if token.text in ARITIES:
        return token.text
    near = get_close_matches(token.text[:40], ARITIES, 1)
    field = f"For a field of the element write .{token.text[:40]}."
    raise Fault(
        f"There is no function {token.text[:40]}.",
        f"Did you mean {near[0]}? {field}" if near else field,
        token.at,
    )


def _check_arity(call: Call, count: int) -> None:
    fewest, most = ARITIES[call.name]
    if count < fewest or (most is not None and count > most):
        wanted = (
            str(fewest) if most == fewest else f"{fewest} or more" if most is None else f"{fewest} to {most}"
        )
        raise Fault(
            f"{call.name} takes {wanted} {'value' if wanted == '1' else 'values'}, not {count}.",
            "Put a value that is itself a function's in parentheses.",
            call.at,
        )
