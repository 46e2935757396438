"""The text of a whole message, mended where playbooks write it otherwise than RFC 5322 has it.

1. A text without any line break whose lines are parted by a backslash and an n means line breaks by them. A
   text that has line breaks keeps its backslashes: they may be a path, ``C:\\new``.
2. Of a text under rule 1, blanks before the name of a header are left out: they come from writing
   ``\\n subject:``, and would make it a part of the header before.
3. The header ends at the first line that cannot be part of one, also without an empty line there.
"""

from __future__ import annotations

import re

from nina_smtp.dialects.source import Source
from nina_smtp.errors import InvalidConfiguration

_ESCAPED = re.compile(r"(?:\\r)?\\n")
_LINE_END = re.compile(r"\r\n|\r|\n")
_NAME = re.compile(r"(?!<)[!-9;-~]+[ \t]*:")
_INDENTED_NAME = re.compile(r"\A[ \t]+(?=(?!<)[!-9;-~]+:)")
_SENDER, _RECIPIENT = "sender (from)", "recipient (to)"


def mended(source: Source, key: str) -> str:
    """The message at ``key``. Raises InvalidConfiguration, in the connector's words, if it names no sender or
    nobody who gets it.
    """
    given = source.text(key, "parameters.rawEmail", required=True)
    assert given is not None
    text = mend(given)
    names = {line.partition(":")[0].strip().lower() for line in _fields(text)}
    if "from" not in names:
        raise _unavailable(source, key, _SENDER)
    if not names & {"to", "cc", "bcc"}:
        raise _unavailable(source, key, _RECIPIENT)
    return text


def mend(text: str) -> str:
    """``text`` with the three rules applied; a text that went through it once does not change again."""
    escaped = not _LINE_END.search(text.strip("\r\n")) and _ESCAPED.search(text)
    lines = _LINE_END.split(_ESCAPED.sub("\n", text) if escaped else text)
    while lines and not lines[0].strip():
        del lines[0]
    for number, line in enumerate(lines):
        if not line.strip():
            lines[number] = ""
            break
        if escaped:
            lines[number] = _INDENTED_NAME.sub("", line)
        if not (_NAME.match(lines[number]) or (number and line[0] in " \t")):
            lines.insert(number, "")
            break
    return "\n".join(lines)


def _fields(text: str) -> list[str]:
    """The lines of the header that have a name and something in them, folded or not."""
    head = text.partition("\n\n")[0]
    unfolded = re.sub(r"\n(?=[ \t])", "", head)
    return [line for line in unfolded.split("\n") if line.partition(":")[2].strip()]


def _unavailable(source: Source, key: str, who: str) -> InvalidConfiguration:
    return InvalidConfiguration(
        f"Error: Failed to send the email. The {who} is unavailable. Please check the action parameters",
        hint="Give the raw message a header From, and To, Cc or Bcc.",
        parameter=source.at(key),
    )
