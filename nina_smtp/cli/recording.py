"""What commands have in common about ledgers, and the command that looks into one."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from contextlib import suppress
from typing import Any, cast

from nina_smtp.cli.observing import add_options, observing

DAY = 86_400

Subparsers = Any
Command = Callable[[argparse.Namespace], int]


def add_command(subparsers: Subparsers, name: str, run: Command, about: str) -> argparse.ArgumentParser:
    """A command of ``nina-smtp``."""
    parser = cast(argparse.ArgumentParser, subparsers.add_parser(name, help=about, description=about))
    parser.set_defaults(command=run)
    return parser


def add_recording(parser: argparse.ArgumentParser) -> None:
    """The options about a ledger."""
    parser.add_argument(
        "--ledger",
        metavar="FILE",
        help="put every mail on record before it is sent, in a file or a postgresql:// database",
    )
    parser.add_argument(
        "--idempotency-key",
        metavar="K",
        help="the same Message-IDs whenever K is the same; with --ledger, no mail is sent twice for K",
    )
    parser.add_argument(
        "--wait",
        metavar="S",
        type=_seconds,
        default=0.0,
        help="with --ledger, seconds to wait for mails that are to be tried again (0)",
    )


def _seconds(text: str) -> float:
    with suppress(ValueError):
        seconds = float(text)
        if 0 <= seconds <= 30 * DAY:
            return seconds
    raise argparse.ArgumentTypeError(f"{text!a} is not a number of seconds from 0 to {30 * DAY}")


def _days(text: str) -> float:
    with suppress(ValueError):
        days = float(text)
        if 0 <= days <= 36_500:
            return days
    raise argparse.ArgumentTypeError(f"{text!a} is not a number of days from 0 on")


def add_ledger(subparsers: Subparsers) -> None:
    """``nina-smtp ledger ACTION LEDGER``."""
    parser = add_command(subparsers, "ledger", ledger, "What is in a ledger, and what to do about it.")
    actions = parser.add_subparsers(title="actions", metavar="ACTION", dest="action", required=True)
    _action(actions, "status", "How many mails are in which state, by account.")
    listed = _action(actions, "list", "The mails, one line of JSON each, the latest first.")
    listed.add_argument(
        "--state",
        action="append",
        default=[],
        choices=_STATES,
        help="only these (may be given several times)",
    )
    sent = _action(actions, "send", "Send what waits, and what a program that died has left.")
    sent.add_argument(
        "--credential", metavar="CRED.json", required=True, action="append", help="the credential"
    )
    sent.add_argument(
        "--wait", metavar="S", type=_seconds, default=0.0, help="seconds to wait for what is due later (0)"
    )
    add_options(sent)
    resent = _action(actions, "resend", "Have mails sent again that failed, or that may have been delivered.")
    resent.add_argument("id", metavar="ID", nargs="*", help="which")
    resent.add_argument("--all", choices=("unknown", "failed", "deferred"), help="all in this state")
    counted = _action(actions, "count-as-sent", "Say of mails that may have been delivered that they were.")
    counted.add_argument("id", metavar="ID", nargs="+", help="which")
    pruned = _action(actions, "prune", "Forget mails that are over; their keys can be used again.")
    pruned.add_argument("--days", type=_days, default=30.0, metavar="N", help="older than so many days (30)")


_STATES = (
    "queued", "leased", "sending", "committing", "deferred", "sent", "partial", "failed", "unknown",
)  # fmt: skip


def _action(actions: Any, name: str, about: str) -> argparse.ArgumentParser:
    parser = cast(argparse.ArgumentParser, actions.add_parser(name, help=about, description=about))
    parser.add_argument("ledger", metavar="LEDGER", help="a file, or a postgresql:// database")
    return parser


def ledger(options: argparse.Namespace) -> int:
    """Looks into a ledger, and changes what a person decides."""
    from nina_smtp.api import without_library

    try:
        from nina_smtp.cli.ledger import run_ledger
    except ModuleNotFoundError as error:
        raise without_library(error) from None
    with observing(options):
        return run_ledger(options)
