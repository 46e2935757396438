"""What the commands print, and the exit status that goes with it."""

from __future__ import annotations

import json
import sys
from typing import Any

from nina_smtp.delivery.result import Results, Status
from nina_smtp.errors import (
    CredentialError,
    InvalidCredential,
    NinaError,
    ParameterError,
    ServerError,
    WorkflowError,
)

OK, FAILED, INVALID, NO_CONNECTION = 0, 1, 2, 3


class Interrupted(Exception):
    """A person stopped the command."""


def print_json(value: Any, *, indent: int | None = 2) -> None:
    """One JSON value on standard output, in UTF-8 whatever the locale says."""
    text = json.dumps(value, ensure_ascii=False, indent=indent)
    sys.stdout.buffer.write(text.encode("utf-8", "backslashreplace") + b"\n")
    sys.stdout.flush()


def say(text: str) -> None:
    """One line for people, on standard error. Control characters are escaped: part of it may be a
    server's.
    """
    shown = "".join(c if c.isprintable() or c in "\n " else c.encode("unicode_escape").decode() for c in text)
    print(shown, file=sys.stderr, flush=True)


def print_error(error: NinaError) -> int:
    """An error that ended the command: the object on standard output, the words on standard error."""
    print_json({"error": error.as_dict()})
    say(f"nina-smtp: {error.message}")
    for problem in getattr(error, "problems", ()):
        say(f"  {problem['place'] or 'workflow'}: {problem['message']} {problem.get('hint', '')}".rstrip())
    if error.hint:
        say(f"  {error.hint}")
    return status_of(error)


def status_of(error: NinaError) -> int:
    """The exit status for one error."""
    if isinstance(error, (ParameterError, WorkflowError, InvalidCredential)):
        return INVALID
    if isinstance(error, CredentialError) or (isinstance(error, ServerError) and error.phase in _OPENING):
        return NO_CONNECTION
    return INVALID if type(error) is NinaError else FAILED


_OPENING = frozenset({"resolve", "connect", "greeting", "ehlo", "tls", "auth"})


def status_of_results(results: Results) -> int:
    """The exit status for a list of mails: that of its first failure, once nothing at all went out."""
    bad = [result for result in results if not result.succeeded(results.on_partial)]
    if not bad:
        return OK
    if any(result.status in (Status.SENT, Status.PARTIAL, Status.UNKNOWN) for result in results):
        return FAILED
    error = bad[0].error
    return status_of(error) if error else FAILED


def print_results(results: Results, *, lines: bool, one: bool) -> None:
    """One object; with ``lines`` one per mail; a list of items gives ``{"results": […]}``."""
    dicts = results.as_dicts()
    if lines:
        for result in dicts:
            print_json(result, indent=None)
    else:
        print_json(dicts[0] if one and len(dicts) == 1 else {"results": dicts})
    _explain(results)


def _explain(results: Results) -> None:
    total, good = len(results), sum(result.succeeded(results.on_partial) for result in results)
    for result in results:
        for warning in dict.fromkeys(result.warnings) if result.item == 0 else ():
            say(f"note: {warning}")
        if result.error and not result.succeeded(results.on_partial):
            say(f"item {result.item}: {result.error.message}")
            if result.error.hint:
                say(f"  {result.error.hint}")
        for refusal in result.rejected if result.status is Status.PARTIAL else ():
            say(f"item {result.item}: {refusal.address} was refused: {refusal.reply}")
    verb = "built" if all(result.status is Status.DRY_RUN for result in results) else "sent"
    say(f"{good} of {total} {verb}")
