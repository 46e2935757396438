"""The commands: how each is called, and what it does. Their imports are their own, so that --help is
quick.
"""

from __future__ import annotations

import argparse
import asyncio
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nina_smtp.cli import files
from nina_smtp.cli.exchange import add_export, add_import
from nina_smtp.cli.observing import add_options, observing
from nina_smtp.cli.output import FAILED, NO_CONNECTION, OK, print_json, say
from nina_smtp.cli.recording import Subparsers, add_command, add_ledger, add_recording
from nina_smtp.cli.soar import add_soar

if TYPE_CHECKING:
    from nina_smtp.credential import Step

# send


def add_send(subparsers: Subparsers) -> None:
    """``nina-smtp send NODE.json --credential CRED.json``."""
    parser = add_command(subparsers, "send", send, "Merge, build and send one mail for each input item.")
    parser.add_argument("node", metavar="NODE.json", help="the node's configuration")
    parser.add_argument(
        "--credential",
        metavar="CRED.json",
        required=True,
        action="append",
        help="the credential; given again, the next one to use where it is certain that nothing was sent",
    )
    parser.add_argument("--input", metavar="INPUT.json", help="one item, a list of items, or one a line")
    parser.add_argument(
        "--dry-run",
        nargs="?",
        const="build",
        choices=("build", "login", "recipients"),
        help="send nothing: merge and build only (build); also connect and log in (login); also ask whether "
        "the server takes the sender and the recipients (recipients)",
    )
    parser.add_argument("--eml", metavar="DIR", type=Path, help="write each finished message as DIR/N.eml")
    add_recording(parser)
    parser.add_argument("--jsonl", action="store_true", help="print one line for each item")
    parser.add_argument(
        "--no-progress", dest="progress", action="store_false", help="show no progress on the terminal"
    )
    parser.add_argument(
        "--transcript", metavar="DIR", type=Path, help="write what was said for each mail as DIR/N.log"
    )
    add_options(parser)


def send(options: argparse.Namespace) -> int:
    """Sends what the files say."""
    from nina_smtp.cli.sending import run_send

    with observing(options):
        return run_send(options)


# test, doctor, login


def add_test(subparsers: Subparsers) -> None:
    """``nina-smtp test CRED.json``."""
    parser = add_command(
        subparsers, "test", test, "Test a credential step by step; sends no mail unless asked to."
    )
    parser.add_argument("credential", metavar="CRED.json", help="the credential")
    parser.add_argument("--send-to", metavar="ADDR", help="send one mail there, as the last step")
    parser.add_argument("--transcript", action="store_true", help="show what was said, on standard error")
    add_options(parser, mails=False)


def test(options: argparse.Namespace) -> int:
    """Tests the credential; every step as it ends on standard error, the report on standard output."""
    from nina_smtp.api import read_credential
    from nina_smtp.catalog import default_catalog
    from nina_smtp.cli.login import with_token_file

    document = files.read_credential_file(options.credential)
    credential = with_token_file(read_credential(document), options.credential)
    kind = default_catalog().credential(str(document.get("type", "smtp")))
    with observing(options):
        report = asyncio.run(kind.test(credential, send_to=options.send_to, progress=show_step))
    for line in report.transcript if options.transcript else ():
        say(line)
    for warning in report.warnings:
        say(f"note: {warning}")
    print_json(report.as_dict())
    return OK if report.passed else NO_CONNECTION


def show_step(step: Step) -> None:
    """One line for a step that is over."""
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
    parser = add_command(
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


def add_login(subparsers: Subparsers) -> None:
    """``nina-smtp login CRED.json``."""
    parser = add_command(
        subparsers, "login", login, "Connect the account of a credential of type smtpOAuth2 at its provider."
    )
    parser.add_argument("credential", metavar="CRED.json", help="the credential; tokens are kept beside it")
    parser.add_argument(
        "--no-browser", dest="browser", action="store_false", help="only print the URL; open no browser"
    )
    parser.add_argument(
        "--redirect",
        metavar="URL",
        default="http://127.0.0.1/",
        help="the redirect URI that is registered at the provider (http://127.0.0.1/ with any free port)",
    )
    parser.add_argument(
        "--timeout", metavar="S", type=float, default=300.0, help="seconds that a person has (300)"
    )


def login(options: argparse.Namespace) -> int:
    """Shows where to agree, waits until somebody has, and keeps the tokens."""
    from nina_smtp.cli.login import run_login

    return run_login(options)


# run


def add_run(subparsers: Subparsers) -> None:
    """``nina-smtp run WORKFLOW.json``."""
    parser = add_command(subparsers, "run", run, "Run a workflow file once, in this process.")
    parser.add_argument(
        "workflow", metavar="WORKFLOW.json", help="the workflow: ours, or the file of another system"
    )
    parser.add_argument(
        "--workflow", metavar="NAME", dest="chosen", help="which one, if the other system's file has several"
    )
    parser.add_argument(
        "--input",
        metavar="INPUT.json",
        help="what the trigger starts with, instead of its sample: one JSON text, or one a line",
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
    parser.add_argument("--brief", action="store_true", help="print how many items there are, not the items")
    add_recording(parser)
    add_options(parser)


def run(options: argparse.Namespace) -> int:
    """Runs the workflow and prints what became of every node."""
    from nina_smtp.cli.running import Recording, run_workflow

    recording = Recording(options.ledger, options.idempotency_key, options.wait)
    with observing(options):
        return run_workflow(
            options.workflow,
            options.input,
            options.credential,
            options.files,
            recording,
            chosen=options.chosen,
            brief=options.brief,
        )


# inbox


def add_inbox(subparsers: Subparsers) -> None:
    """``nina-smtp inbox``."""
    parser = add_command(
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
    add_command(
        subparsers, "describe", describe, "JSON Schema of every node and credential type, and of a workflow."
    )


def describe(options: argparse.Namespace) -> int:
    """Prints the description."""
    from nina_smtp.describe import description

    print_json(description())
    return OK


def add_serve(subparsers: Subparsers) -> None:
    """``nina-smtp serve``."""
    parser = add_command(
        subparsers,
        "serve",
        serve,
        "The worker contract: JSON-RPC 2.0 on standard input and output, one object a line.",
    )
    parser.add_argument(
        "--metrics-port",
        type=int,
        metavar="N",
        help="answer Prometheus at http://127.0.0.1:N/metrics (0 takes a free one)",
    )
    parser.add_argument(
        "--ledger",
        metavar="FILE",
        help="put every mail on record before it is sent, in a file or a postgresql:// database",
    )
    add_options(parser)


def serve(options: argparse.Namespace) -> int:
    """Serves until the end of input, and finishes what is in flight."""
    from nina_smtp.worker import serve_stdio

    with observing(options):
        return asyncio.run(serve_stdio(ledger=options.ledger))


# verify


def add_verify(subparsers: Subparsers) -> None:
    """``nina-smtp verify MESSAGE.eml --key-file F``."""
    parser = add_command(subparsers, "verify", verify, "Check the signatures of a mail.")
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
            "signed": verdict.signed_part,
            "notSigned": list(verdict.not_signed),
            "added": list(verdict.added),
        }
    )
    if verdict.added:
        say(f"There is a body beside the signed one ({', '.join(verdict.added)}): the mail was changed.")
    elif verdict.genuine and verdict.not_signed:
        say(f"Genuine is the {verdict.signed_part} body. Not signed: {', '.join(verdict.not_signed)}.")
    return OK if verdict.genuine else FAILED


ALL = (
    add_send,
    add_ledger,
    add_test,
    add_login,
    add_doctor,
    add_run,
    add_inbox,
    add_describe,
    add_serve,
    add_verify,
    add_import,
    add_export,
    add_soar,
)
