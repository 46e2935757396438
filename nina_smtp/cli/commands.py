"""The commands: how each is called, and what it does. Their imports are their own, so that --help is
quick.
"""

from __future__ import annotations

import argparse
import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from nina_smtp.cli import files
from nina_smtp.cli.output import FAILED, NO_CONNECTION, OK, print_json, say

if TYPE_CHECKING:
    from nina_smtp.credential import Step

Subparsers = Any
Command = Callable[[argparse.Namespace], int]


def _add(subparsers: Subparsers, name: str, run: Command, about: str) -> argparse.ArgumentParser:
    parser = cast(argparse.ArgumentParser, subparsers.add_parser(name, help=about, description=about))
    parser.set_defaults(command=run)
    return parser


# send


def add_send(subparsers: Subparsers) -> None:
    """``nina-smtp send NODE.json --credential CRED.json``."""
    parser = _add(subparsers, "send", send, "Merge, build and send one mail for each input item.")
    parser.add_argument("node", metavar="NODE.json", help="the node's configuration")
    parser.add_argument("--credential", metavar="CRED.json", required=True, help="the credential")
    parser.add_argument("--input", metavar="INPUT.json", help="one item or a list of items")
    parser.add_argument("--dry-run", action="store_true", help="merge and build only; connect to nothing")
    parser.add_argument("--eml", metavar="DIR", type=Path, help="write each finished message as DIR/N.eml")
    parser.add_argument("--idempotency-key", metavar="K", help="the same Message-IDs whenever K is the same")
    parser.add_argument("--jsonl", action="store_true", help="print one line for each item")
    parser.add_argument(
        "--no-progress", dest="progress", action="store_false", help="show no progress on the terminal"
    )


def send(options: argparse.Namespace) -> int:
    """Sends what the files say."""
    from nina_smtp.cli.sending import run_send

    return run_send(options)


# test, doctor


def add_test(subparsers: Subparsers) -> None:
    """``nina-smtp test CRED.json``."""
    parser = _add(subparsers, "test", test, "Test a credential step by step; sends no mail unless asked to.")
    parser.add_argument("credential", metavar="CRED.json", help="the credential")
    parser.add_argument("--send-to", metavar="ADDR", help="send one mail there, as the last step")


def test(options: argparse.Namespace) -> int:
    """Tests the credential; every step as it ends on standard error, the report on standard output."""
    from nina_smtp.api import read_credential
    from nina_smtp.catalog import default_catalog

    document = files.read_credential_file(options.credential)
    credential = read_credential(document)
    kind = default_catalog().credential(str(document.get("type", "smtp")))
    report = asyncio.run(kind.test(credential, send_to=options.send_to, progress=_show_step))
    for warning in report.warnings:
        say(f"note: {warning}")
    print_json(report.as_dict())
    return OK if report.passed else NO_CONNECTION


def _show_step(step: Step) -> None:
    if step.ok is None:
        return
    facts = ", ".join(
        f"{key} {_short(value)}" for key, value in step.facts.items() if value not in (None, [])
    )
    say(f"{'ok    ' if step.ok else 'FAILED'} {step.name:<9}{step.duration_ms:>6} ms  {facts}".rstrip())
    if step.error:
        say(f"       {step.error['message']}")
        if hint := step.error.get("hint"):
            say(f"       {hint}")


def _short(value: Any) -> str:
    return " ".join(map(str, value)) if isinstance(value, list) else str(value)  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]


def add_doctor(subparsers: Subparsers) -> None:
    """``nina-smtp doctor HOST``."""
    parser = _add(
        subparsers, "doctor", doctor, "Find out which port of a host speaks what, and the settings to use."
    )
    parser.add_argument("host", metavar="HOST", help="name or address of the mail server")


def doctor(options: argparse.Namespace) -> int:
    """Probes 25, 465 and 587. Logs in nowhere and sends nothing."""
    from nina_smtp.smtp.doctor import examine
    from nina_smtp.smtp.server import parse_host

    diagnosis = asyncio.run(examine(parse_host(options.host)))
    print_json(diagnosis.as_dict())
    say(diagnosis.advice)
    return OK if diagnosis.settings else NO_CONNECTION


# run


def add_run(subparsers: Subparsers) -> None:
    """``nina-smtp run WORKFLOW.json``."""
    parser = _add(subparsers, "run", run, "Run a workflow file once, in this process.")
    parser.add_argument("workflow", metavar="WORKFLOW.json", help="the workflow")
    parser.add_argument(
        "--input", metavar="INPUT.json", help="what the trigger starts with, instead of its sample"
    )
    parser.add_argument(
        "--credential",
        metavar="NAME=CRED.json",
        action="append",
        default=[],
        help="the credential that nodes refer to as NAME (may be given several times)",
    )
    parser.add_argument(
        "--files", metavar="DIR", type=Path, help="keep the files that nodes make (else a temporary folder)"
    )


def run(options: argparse.Namespace) -> int:
    """Runs the workflow and prints what became of every node."""
    from nina_smtp.cli.running import run_workflow

    return run_workflow(options.workflow, options.input, options.credential, options.files)


# inbox


def add_inbox(subparsers: Subparsers) -> None:
    """``nina-smtp inbox``."""
    parser = _add(
        subparsers, "inbox", inbox, "A local mail server that catches everything, with a page to read it."
    )
    parser.add_argument(
        "--smtp-port", type=int, default=2525, metavar="N", help="SMTP port (2525; 0 takes a free one)"
    )
    parser.add_argument(
        "--http-port", type=int, default=8025, metavar="N", help="web port (8025; 0 takes a free one)"
    )


def inbox(options: argparse.Namespace) -> int:
    """Runs until it is interrupted."""
    from nina_smtp.inbox import serve

    serve("127.0.0.1", options.smtp_port, options.http_port)
    return OK


# describe, serve


def add_describe(subparsers: Subparsers) -> None:
    """``nina-smtp describe``."""
    _add(
        subparsers, "describe", describe, "JSON Schema of every node and credential type, and of a workflow."
    )


def describe(options: argparse.Namespace) -> int:
    """Prints the description."""
    from nina_smtp.describe import description

    print_json(description())
    return OK


def add_serve(subparsers: Subparsers) -> None:
    """``nina-smtp serve``."""
    _add(
        subparsers,
        "serve",
        serve,
        "The worker contract: JSON-RPC 2.0 on standard input and output, one object a line.",
    )


def serve(options: argparse.Namespace) -> int:
    """Serves until the end of input, and finishes what is in flight."""
    from nina_smtp.worker import serve_stdio

    return asyncio.run(serve_stdio())


# verify


def add_verify(subparsers: Subparsers) -> None:
    """``nina-smtp verify MESSAGE.eml --key-file F``."""
    parser = _add(subparsers, "verify", verify, "Check the signatures of a mail.")
    parser.add_argument("message", metavar="MESSAGE.eml", help="the mail as it was received")
    parser.add_argument(
        "--key-file",
        metavar="F",
        required=True,
        help="a file with the key; a final line end is not part of it",
    )
    parser.add_argument(
        "--now", action="store_true", help="the timed signature must not be older than 5 minutes"
    )


def verify(options: argparse.Namespace) -> int:
    """Prints the verdict; exit status 1 if the mail is not genuine."""
    from nina_smtp.cli.received import verify_message

    key = files.read_bytes(options.key_file, "key-file").decode().rstrip("\r\n")
    verdict = verify_message(
        files.read_bytes(options.message, "message"), key, now=int(time.time()) if options.now else None
    )
    print_json(
        {
            "genuine": verdict.genuine,
            "lcSignature": verdict.lc_signature,
            "ninaSignature": verdict.nina_signature,
            "signedAt": verdict.signed_at,
        }
    )
    return OK if verdict.genuine else FAILED


ALL = (add_send, add_test, add_doctor, add_run, add_inbox, add_describe, add_serve, add_verify)
