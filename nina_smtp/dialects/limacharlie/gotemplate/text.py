"""The text of a template, cut into texts and actions, and each action into tokens, as Go's lexer does."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias

from nina_smtp.dialects.limacharlie.gotemplate.budget import Fault

_SPACE = " \t\r\n"
_KEY_HINT = 'A name has letters, digits and _ only. For another key write {{ index . "the-key" }}.'

_TOKEN = re.compile(
    r"""(?P<close>[ \t\r\n]++-\}\}|\}\})
    |(?P<space>[ \t\r\n]++)
    |(?P<number>[+-]?(?:\d|\.\d)(?:[eE][+-]|[\w.])*+)
    |(?P<field>\.[^\W\d]\w*+)
    |(?P<dot>\.)
    |(?P<variable>\$\w*+)
    |(?P<word>[^\W\d]\w*+)
    |(?P<string>"(?:[^"\\\n]|\\[^\n])*+")
    |(?P<raw>`[^`]*+`)
    |(?P<char>'(?:[^'\\\n]|\\[^\n])++')
    |(?P<mark>:=|[=|(),])""",
    re.VERBOSE,
)
_ESCAPE = re.compile(
    r"""\\(?:([abfnrtv\\"'])|x([0-9A-Fa-f]{2})|u([0-9A-Fa-f]{4})|U([0-9A-Fa-f]{8})|([0-7]{3})|)|[^\\]++"""
)
_SIMPLE = {"a": 7, "b": 8, "f": 12, "n": 10, "r": 13, "t": 9, "v": 11, "\\": 92, '"': 34, "'": 39}


@dataclass(frozen=True, slots=True)
class Token:
    """A token; ``kind`` is the name of its group in the pattern. ``spaced``: white space comes before it."""

    kind: str
    text: str
    at: int
    spaced: bool = False


@dataclass(frozen=True, slots=True)
class Action:
    """What is between two braces and two braces."""

    at: int
    tokens: tuple[Token, ...]


Piece: TypeAlias = Token | Action
"""A text outside the braces is a token of kind ``text``."""


def pieces(text: str) -> Iterator[Piece]:
    """Texts and actions in turn, trimmed and without comments. Raises Fault."""
    position = 0
    trim = False
    while True:
        opening = text.find("{{", position)
        end = len(text) if opening < 0 else opening
        start = position
        is_trimming = text[end + 2 : end + 3] == "-" and text[end + 3 : end + 4] in (*_SPACE,)
        literal = text[start:end]
        if trim:
            literal = literal.lstrip(_SPACE)
            start = end - len(literal)
        if is_trimming:
            literal = literal.rstrip(_SPACE)
        if literal:
            yield Token("text", literal, start)
        if opening < 0:
            return
        inside = opening + (3 if is_trimming else 2)
        comment = inside
        if is_trimming:
            comment += len(_leading_space(text, inside))
        if text.startswith("/*", comment):
            position, trim = _after_comment(text, opening, comment)
            continue
        tokens, position = _tokens(text, opening, inside)
        trim = text.startswith("-}}", position - 3)
        yield Action(opening, tokens)


def _leading_space(text: str, start: int) -> str:
    match = re.compile(r"[ \t\r\n]*+").match(text, start)
    return match[0] if match else ""


def _after_comment(text: str, opening: int, start: int) -> tuple[int, bool]:
    end = text.find("*/", start + 2)
    if end < 0:
        raise Fault("A comment is not closed.", "A comment is {{/* … */}}.", opening)
    closing = _TOKEN.match(text, end + 2)
    if closing is None or closing.lastgroup != "close":
        raise Fault("A comment ends before its closing braces.", "A comment is alone: {{/* … */}}.", opening)
    return closing.end(), closing[0] != "}}"


def _tokens(text: str, opening: int, position: int) -> tuple[tuple[Token, ...], int]:
    """The tokens up to the closing braces, and where the text goes on."""
    tokens: list[Token] = []
    spaced = False
    while True:
        match = _TOKEN.match(text, position)
        if match is None:
            raise _not_a_token(text, opening, position)
        kind = str(match.lastgroup)
        at, position = position, match.end()
        if kind == "close":
            return tuple(tokens), position
        if kind == "space":
            spaced = True
            continue
        after = text[position : position + 1]
        if (
            kind in ("field", "dot", "variable", "word")
            and after
            and after not in _SPACE + ".,|:()"
            and not text.startswith("}}", position)
        ):
            raise Fault(f"{after!r} cannot stand here.", _KEY_HINT, position)
        tokens.append(Token(kind, match[0], at, spaced))
        spaced = False


def _not_a_token(text: str, opening: int, position: int) -> Fault:
    found = text[position : position + 1]
    if not found:
        return Fault("An action is not closed.", "Every {{ needs its }}.", opening)
    if found in "\"'`":
        return Fault(
            "A quoted text is not closed.",
            f"End it with {found}; only `…` may go over several lines.",
            position,
        )
    if text.startswith("/*", position):
        return Fault(
            "A comment is alone in its braces.", "Write {{/* … */}}, with no space before /*.", position
        )
    return Fault(f"{found!r} cannot stand here.", _KEY_HINT, position)


def unquoted(token: Token) -> str:
    """The text that a string or raw token stands for. Raises Fault for an unknown escape."""
    if token.kind == "raw":
        return token.text[1:-1].replace("\r", "")
    return _unescaped(token, '"').decode("utf-8", "replace")


def character(token: Token) -> int:
    """The code point that a character in single quotes stands for. Raises Fault if it is not one."""
    octets = _unescaped(token, "'")
    text = octets.decode("utf-8", "replace")
    if len(text) != 1:
        raise Fault("Single quotes hold one character.", 'For a text use double quotes: "…".', token.at)
    return octets[0] if len(octets) == 1 else ord(text)


def _unescaped(token: Token, quote: str) -> bytes:
    made = bytearray()
    for match in _ESCAPE.finditer(token.text[1:-1]):
        simple, hexadecimal, short, long, octal = match.groups()
        code = int(short or long or "0", 16)
        if simple and simple in "abfnrtv\\" + quote:
            made.append(_SIMPLE[simple])
        elif hexadecimal or octal:
            value = int(hexadecimal, 16) if hexadecimal else int(octal, 8)
            if value > 255:
                raise _bad_escape(token)
            made.append(value)
        elif short or long:
            if code > 0x10FFFF or 0xD800 <= code <= 0xDFFF:
                raise _bad_escape(token)
            made += chr(code).encode()
        elif match[0].startswith("\\"):
            raise _bad_escape(token)
        else:
            made += match[0].encode("utf-8", "replace")
    return bytes(made)


def _bad_escape(token: Token) -> Fault:
    return Fault(
        "A quoted text has an unknown escape.",
        "For a backslash write \\\\, or quote the text with `…`.",
        token.at,
    )


def number(token: Token) -> int | float:
    """The number that a token stands for. Raises Fault if Go could not read it, or 64 bits not hold it."""
    text = token.text
    digits = text.lstrip("+-").lower()
    try:
        if len(text) > 100:
            raise ValueError
        if re.fullmatch(r"0[0-7_]+", digits):
            value: int | float = int(text.replace("0", "0o0", 1), 0)
        elif not re.fullmatch(r"0[xob].*", digits) and re.search(r"[.e]", digits):
            value = float(text) if "_" not in text else int(text, 0)
        else:
            value = int(text, 0)
    except ValueError:
        raise Fault("A number cannot be read.", "Write it as 5, 2.5, 1e6 or 0xff.", token.at) from None
    if (isinstance(value, int) and not -(2**63) <= value < 2**63) or value in (float("inf"), float("-inf")):
        raise Fault("A number is too large.", "A whole number has 64 bits.", token.at)
    return value
