"""What the commands print, and the exit status that goes with it."""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
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

OK, FAILED, INVALID, NO_CONNECTION, TRY_LATER = 0, 1, 2, 3, 75


class Unwritable(Exception):
    """Standard output is closed or full: what happened is done, but nobody was told."""


def print_json(value: Any, *, indent: int | None = 2) -> None:
    """One JSON value on standard output, in UTF-8 whatever the locale says. Raises Unwritable."""
    text = json.dumps(value, ensure_ascii=False, indent=indent)
    if sys.stdout is None:  # pyright: ignore[reportUnnecessaryComparison]  # it is when the shell closed it
        raise Unwritable("standard output is closed")
    try:
        sys.stdout.buffer.write(text.encode("utf-8", "backslashreplace") + b"\n")
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        raise Unwritable(f"standard output: {error.strerror}") from None


def say(text: str) -> None:
    """One line for people, on standard error. Control characters are escaped: part of it may be a
    server's.
    """
    if sys.stderr is None:  # pyright: ignore[reportUnnecessaryComparison]  # the shell closed it: print would
        return  # take standard output
    shown = "".join(c if c.isprintable() or c in "\n " else c.encode("unicode_escape").decode() for c in text)
    print(shown, file=sys.stderr, flush=True)


def print_error(error: NinaError) -> int:
    """An error that ended the command: the object on standard output, the words on standard error."""
    print_json({"error": error.as_dict()})
    say(f"nina-smtp: {error.message}")
    problems = getattr(error, "problems", ())
    for problem in problems if len(problems) > 1 else ():
        say(f"  {problem['place'] or 'workflow'}: {problem['message']} {problem.get('hint', '')}".rstrip())
    if error.hint and len(problems) <= 1:
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
    if all(result.status is Status.DEFERRED for result in bad):
        return TRY_LATER
    if any(result.status in (Status.SENT, Status.PARTIAL, Status.UNKNOWN) for result in results):
        return FAILED
    error = bad[0].error
    return status_of(error) if error else FAILED


def explain(
    results: Results,
    *,
    dry_run: bool = False,
    stopped: bool = False,
    transcripts: Mapping[int, Sequence[Path]] | None = None,
) -> None:
    """What became of the mails, in words: each failure once, and how many there are of what."""
    counts = Counter(result.status for result in results)
    for warning in list(dict.fromkeys(w for result in results for w in result.warnings))[:_NOTES]:
        say(f"note: {warning}")
    for result in results:
        if result.status is Status.NOT_ATTEMPTED:
            continue
        if result.status is Status.PARTIAL:
            for refusal in result.rejected:
                say(f"item {result.item}: {refusal.address} was refused: {refusal.reply}")
        elif result.error:
            say(f"item {result.item}: {result.error.message}")
            if result.error.hint:
                say(f"  {result.error.hint}")
        if result.error and (paths := (transcripts or {}).get(result.item)):
            say(f"  What was said: {', '.join(map(str, paths))}")
    good = sum(result.succeeded(results.on_partial) for result in results)
    rest = [f"{counts[status]} {word}" for status, word in _WORDS.items() if counts[status]]
    verb = "built" if dry_run else "sent"
    say(f"{'interrupted: ' if stopped else ''}{', '.join([f'{good} of {len(results)} {verb}', *rest])}")


_NOTES = 10
_WORDS = {
    Status.PARTIAL: "partly",
    Status.FAILED: "failed",
    Status.UNKNOWN: "unknown: they may have been delivered",
    Status.DEFERRED: "deferred: they are in the ledger, to be sent later",
    Status.NOT_ATTEMPTED: "not attempted",
}
