"""How ``nina-smtp soar`` is called."""

from __future__ import annotations

import argparse

from nina_smtp.cli.observing import add_options, observing
from nina_smtp.cli.recording import Subparsers, add_command, add_recording


def add_soar(subparsers: Subparsers) -> None:
    """``nina-smtp soar ASSET.json ACTION [PARAMS.json]``."""
    parser = add_command(
        subparsers,
        "soar",
        soar,
        "Run an action of Splunk SOAR's SMTP connector, and print its action result.",
    )
    parser.add_argument("asset", metavar="ASSET.json", help="the asset's configuration, or the asset")
    parser.add_argument(
        "action",
        metavar="ACTION",
        help="'send email', 'send htmlemail', 'send rawemail' or 'test connectivity'; send_email will do",
    )
    parser.add_argument(
        "parameters", metavar="PARAMS.json", nargs="?", help="the action's parameters, or an object with them"
    )
    parser.add_argument(
        "--vault",
        metavar="PLACE",
        help="where the files of vault ids are: a JSON file that maps them to paths, or a folder",
    )
    parser.add_argument(
        "--no-browser", dest="browser", action="store_false", help="only print the URL of a login; open none"
    )
    parser.add_argument(
        "--redirect",
        metavar="URL",
        default="http://127.0.0.1/",
        help="the redirect URI that is registered at the provider, for the login of test connectivity",
    )
    parser.add_argument(
        "--timeout", metavar="S", type=float, default=300.0, help="seconds that a person has for that (300)"
    )
    add_recording(parser)
    add_options(parser)


def soar(options: argparse.Namespace) -> int:
    """Runs the action."""
    from nina_smtp.cli.soar_action import run_action

    with observing(options):
        return run_action(options)
