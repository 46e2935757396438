"""``nina-smtp send``: results as they come, and whatever there is of them when a person stops it."""

from __future__ import annotations

import argparse
import asyncio
import signal
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from nina_smtp.api import mail_node, mail_task, outbox_of
from nina_smtp.cli import files
from nina_smtp.cli.login import with_token_file
from nina_smtp.cli.observing import transcript_writer
from nina_smtp.cli.output import explain, print_json, status_of_results
from nina_smtp.cli.progress import Tally, is_possible, showing
from nina_smtp.delivery.mailnode import Depth
from nina_smtp.delivery.result import Result, Results
from nina_smtp.errors import ParameterError

if TYPE_CHECKING:
    from nina_smtp.message import Message


def run_send(options: argparse.Namespace) -> int:
    """Sends what the files say. Raises NinaError for what is wrong before anything is sent."""
    node = files.read_object(options.node, "node")
    credentials = [files.read_credential_file(path) for path in options.credential]
    items: Any = files.read_input(options.input) if options.input else {}
    task = mail_task(node, credentials, items, key=options.idempotency_key)
    first, *others = map(with_token_file, (task.credential, *task.fallbacks), options.credential)
    task = replace(task, credential=first, fallbacks=others, patience=options.wait)
    write_transcript = transcript_writer(options.transcript) if options.transcript else None
    task = replace(task, transcript=write_transcript is not None)
    transcripts: dict[int, list[Path]] = {}
    depth = Depth(options.dry_run) if options.dry_run else None
    keep = _eml_writer(options.eml) if options.eml else None
    results = Results()
    tally = Tally(_count_mails(node, len(task.items)))
    shown = options.progress and not options.dry_run and is_possible(lines=options.jsonl)

    def settle(result: Result) -> None:
        results.append(result)
        tally.settled(result)
        if write_transcript:
            transcripts[result.item] = write_transcript(result)
        if options.jsonl:
            print_json(result.as_dict(), indent=None)

    async def deliver() -> None:
        async with AsyncExitStack() as stack:
            if shown:
                await stack.enter_async_context(showing(tally))
            recorded = task
            if options.ledger is not None and not depth:
                recorded = replace(task, outbox=await stack.enter_async_context(outbox_of(options.ledger)))
            done = await mail_node().deliver(
                recorded,
                dry_run=depth,
                on_message=keep,
                on_result=settle,
                on_progress=tally.written if shown else None,
            )
        results.on_partial = done.on_partial

    stopped = run_until_stopped(deliver)
    if not options.jsonl:
        dicts = results.as_dicts()
        print_json(dicts[0] if not isinstance(items, list) and len(dicts) == 1 else {"results": dicts})
    explain(results, dry_run=bool(depth), stopped=stopped is not None, transcripts=transcripts)
    return status_of_results(results) if stopped is None else stopped


def run_until_stopped(work: Callable[[], Awaitable[None]]) -> int | None:
    """Runs ``work`` to its end; else until it is interrupted, and then gives the exit status for that."""

    async def run() -> None:
        current = asyncio.current_task()
        assert current
        with suppress(NotImplementedError):  # Windows
            asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, current.cancel)
        await work()

    try:
        asyncio.run(run())
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    except asyncio.CancelledError:
        return 128 + signal.SIGTERM
    return None


def _count_mails(node: Mapping[str, Any], items: int) -> int:
    options: Any = node.get("options")
    once = isinstance(options, Mapping) and cast(Mapping[str, Any], options).get("mode") == "once"
    return min(1, items) if once else items


def _eml_writer(folder: Path) -> Callable[[int, Message], None]:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _unwritable(folder, error) from None

    def write(index: int, message: Message) -> None:
        path = folder / f"{index}.eml"
        try:
            with path.open("wb") as file:
                file.writelines(message.chunks())
        except OSError as error:
            raise _unwritable(path, error) from None

    return write


def _unwritable(path: Path, error: OSError) -> ParameterError:
    return ParameterError(
        f"{path} cannot be written: {error.strerror}.",
        hint="Name a folder that can be written to.",
        parameter="eml",
    )
