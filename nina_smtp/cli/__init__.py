"""``nina-smtp``: results as JSON on standard output, words for people on standard error.

Exit status: 0 all sent (or built); 1 at least one delivery failed, is partial with ``onPartial: fail``, or is
unknown; 2 bad usage, or invalid input before anything was sent; 3 the credential or the connection failed;
74 the result could not be written; 75 nothing failed for good, but some of it is to be sent later; 130
interrupted.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from nina_smtp.cli.output import Unwritable, print_error, say, status_of
from nina_smtp.errors import NinaError


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command and returns its exit status."""
    parser = _parser()
    options = parser.parse_args(arguments)
    try:
        return int(options.command(options))
    except NinaError as error:
        return _told(error)
    except Unwritable as error:
        say(f"nina-smtp: the result could not be written ({error}); what was sent is sent")
        return 74
    except KeyboardInterrupt:
        say("nina-smtp: interrupted")
        return 130
    except BrokenPipeError:
        return 141  # whoever read our output has gone, as with any Unix filter


def _told(error: NinaError) -> int:
    try:
        return print_error(error)
    except Unwritable:
        say(f"nina-smtp: {error.message}")
        return status_of(error)


def _parser() -> argparse.ArgumentParser:
    from nina_smtp.cli import commands

    parser = argparse.ArgumentParser(
        prog="nina-smtp",
        description="Send mail from a workflow node, over SMTP, and know what became of it.",
        epilog="Files are JSON; - is standard input. Secrets never come from the command line: "
        "${NAME} in a credential is read from the environment.",
    )
    parser.add_argument("--version", action="version", version=_version())
    subparsers = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for add in commands.ALL:
        add(subparsers)
    return parser


def _version() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return f"nina-smtp {version('nina-smtp')}"
    except PackageNotFoundError:
        return "nina-smtp (not installed)"
