"""How ``nina-smtp import`` and ``nina-smtp export`` are called."""

from __future__ import annotations

import argparse
from pathlib import Path

from nina_smtp.cli.recording import Subparsers, add_command

NAMES = ("limacharlie", "soar", "provider", "n8n", "xsoar", "tracecat", "nina")


def add_import(subparsers: Subparsers) -> None:
    """``nina-smtp import FILE``."""
    parser = add_command(
        subparsers,
        "import",
        import_,
        "Turn another system's configuration into credentials, nodes and workflows, and say what it became.",
    )
    parser.add_argument("file", metavar="FILE", help="the configuration, JSON or YAML")
    parser.add_argument("--from", dest="dialect", choices=NAMES, help="whose it is, if it does not say so")
    parser.add_argument(
        "--to", metavar="DIR", type=Path, help="write the files there; credentials for their owner alone"
    )
    parser.add_argument("--force", action="store_true", help="replace files that are there")


def import_(options: argparse.Namespace) -> int:
    """Reads another system's configuration."""
    from nina_smtp.cli.importing import run_import

    return run_import(options)


def add_export(subparsers: Subparsers) -> None:
    """``nina-smtp export FILE… --to DIALECT``."""
    parser = add_command(
        subparsers,
        "export",
        export,
        "Write credentials, nodes and workflows as another system has them, where that loses nothing.",
    )
    parser.add_argument(
        "files",
        metavar="FILE",
        nargs="+",
        help="credentials, nodes or workflows of ours; named by their files",
    )
    parser.add_argument("--to", dest="dialect", choices=NAMES, required=True, help="for which system")
    parser.add_argument(
        "--out", metavar="FILE", type=Path, help="write it there, with the secrets, for its owner alone"
    )
    parser.add_argument("--force", action="store_true", help="replace the file if it is there")


def export(options: argparse.Namespace) -> int:
    """Writes ours as another system has it."""
    from nina_smtp.cli.importing import run_export

    return run_export(options)
