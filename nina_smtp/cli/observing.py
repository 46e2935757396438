"""The options of commands that send: an audit file, a log, metrics, transcripts."""

from __future__ import annotations

import argparse
import logging
import os
import sys
from collections.abc import Callable, Generator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from nina_smtp.cli.output import say
from nina_smtp.errors import ParameterError

if TYPE_CHECKING:
    from nina_smtp.delivery.result import Result

_LEVELS = ("debug", "info", "warning", "error")


def add_options(parser: argparse.ArgumentParser, *, mails: bool = True) -> None:
    """``--log`` and, for what sends ``mails``, ``--audit``."""
    if mails:
        parser.add_argument(
            "--audit", metavar="FILE", help="append a line of JSON for every mail, when its fate is known"
        )
        parser.add_argument(
            "--mask-recipients", action="store_true", help="write a***@corp.example in audit lines and logs"
        )
    parser.add_argument(
        "--log", metavar="FILE", help="append what happens, a line of JSON each; - is standard error"
    )
    parser.add_argument("--log-level", choices=_LEVELS, default="info", help="how much of it (info)")


@contextmanager
def observing(options: argparse.Namespace) -> Generator[None]:
    """What the options ask for, while it lasts. Raises ParameterError."""
    audit, log, port = (getattr(options, name, None) for name in ("audit", "log", "metrics_port"))
    if audit is None and log is None and port is None:
        yield
        return
    from nina_smtp.observe import audit as auditing

    with ExitStack() as stack:
        if getattr(options, "mask_recipients", False):
            auditing.mask_recipients()
            stack.callback(auditing.mask_recipients, False)
        if audit is not None:
            stack.enter_context(_audit(audit))
        if log is not None:
            stack.enter_context(_log(log, options.log_level))
        if port is not None:
            from nina_smtp.observe.endpoint import serving

            stack.enter_context(serving(port, lambda url: say(f"metrics are at {url}")))
        yield


@contextmanager
def _audit(path: str) -> Generator[None]:
    from nina_smtp.observe.logs import AUDIT

    with _handling(AUDIT, _file(path, "audit"), logging.INFO):
        yield


@contextmanager
def _log(path: str, level: str) -> Generator[None]:
    from nina_smtp.observe.logs import AUDIT, ROOT, JsonFormatter

    handler = logging.StreamHandler(sys.stderr) if path == "-" else _file(path, "log")
    handler.setFormatter(JsonFormatter())
    handler.addFilter(lambda record: record.name != AUDIT.name)  # that has a file of its own
    with _handling(ROOT, handler, getattr(logging, level.upper())):
        yield


@contextmanager
def _handling(logger: logging.Logger, handler: logging.Handler, level: int) -> Generator[None]:
    before = logger.level
    logger.addHandler(handler)
    logger.setLevel(level)
    try:
        yield
    finally:
        logger.setLevel(before)
        logger.removeHandler(handler)
        handler.close()


def _file(path: str, parameter: str) -> logging.Handler:
    from nina_smtp.observe.linefile import LineFile

    try:
        return LineFile(Path(path), lambda problem: say(f"nina-smtp: {problem}"))
    except OSError as error:
        raise ParameterError(
            f"{path} cannot be written: {error.strerror}.",
            hint="Name a file in a folder that can be written to. Nothing was sent.",
            parameter=parameter,
        ) from None


def transcript_writer(folder: Path) -> Callable[[Result], list[Path]]:
    """Writes what was said for a mail: FOLDER/N.log, and FOLDER/N.2.log for the second attempt.

    Returns the paths. What cannot be written is said, and stops nothing. Raises ParameterError if there can
    be no such folder.
    """
    from nina_smtp.observe.transcript import attempts

    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise ParameterError(
            f"{folder} cannot be a folder for transcripts: {error.strerror}.",
            hint="Name another one. Nothing was sent.",
            parameter="transcript",
        ) from None

    def write(result: Result) -> list[Path]:
        written: list[Path] = []
        for number, lines in enumerate(attempts(result.transcript), 1):
            path = folder / (f"{result.item}.log" if number == 1 else f"{result.item}.{number}.log")
            try:
                _write(path, "".join(f"{line}\n" for line in lines))
            except OSError as error:
                say(f"nina-smtp: {path} cannot be written: {error.strerror}")
            else:
                written.append(path)
        result.transcript = ()  # it may be long, and there may be many
        return written

    return write


def _write(path: Path, text: str) -> None:
    """For its owner alone, also where there was a file before."""
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(file, "w", encoding="utf-8", errors="backslashreplace") as stream:
        if hasattr(os, "fchmod"):
            os.fchmod(file, 0o600)
        stream.write(text)
