"""``nina-smtp run``: one workflow, once."""

from __future__ import annotations

import asyncio
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from nina_smtp.api import check_key, outbox_of, read_credential
from nina_smtp.catalog import Catalog, default_catalog
from nina_smtp.cli import files
from nina_smtp.cli.importing import check, read_document, tell
from nina_smtp.cli.login import with_token_file
from nina_smtp.cli.output import FAILED, OK, TRY_LATER, print_json, say, status_of
from nina_smtp.dialects.dialect import recognise
from nina_smtp.dialects.documents import checked, looks_like_json, parse
from nina_smtp.dialects.imported import Fate, plain
from nina_smtp.errors import ParameterError, error_from_dict
from nina_smtp.forms import nearest
from nina_smtp.workflow.blobs import FolderBlobStore
from nina_smtp.workflow.model import Workflow
from nina_smtp.workflow.run import NodeRun, Run, run
from nina_smtp.workflow.schedule import NodeStatus, RunStatus
from nina_smtp.workflow.validate import load, validate


@dataclass(frozen=True, slots=True)
class Recording:
    """The ledger of a run, how the run is called in it, and how long is waited for mails that are to be sent
    again.
    """

    ledger: str | None
    key: str | None
    wait: float


def run_workflow(
    path: str,
    input_path: str | None,
    named: Sequence[str],
    folder: Path | None,
    recording: Recording | None = None,
    *,
    chosen: str | None = None,
    brief: bool = False,
) -> int:
    """Runs the workflow in ``path``, ours or another system's, and prints its run.

    ``chosen`` is the name of the one to run where there are several; ``brief`` prints no items. Raises
    NinaError for anything wrong before it starts.
    """
    catalog = default_catalog()
    given = dict(map(_pair, named))
    document, brought = _document(path, chosen, catalog)
    workflow = validate(document, catalog)
    if chosen not in (None, workflow.name):
        raise _no_such(chosen, [workflow.name])
    for name in given if brought else ():
        if name not in {*brought, *_needed(workflow)}:
            raise _no_such_credential(name, list(brought))
    credentials = {
        name: with_token_file(read_credential(files.read_credential_file(file)), file)
        for name, file in given.items()
    }
    for name in given.keys() & brought.keys():
        _tell_of_signature(name, brought[name], credentials[name])
    for name in (_needed(workflow) & brought.keys()) - given.keys():
        credentials[name] = read_credential(files.expand(brought[name]))
    if recording and recording.key is not None:
        check_key(recording.key)
    items = files.read_input(input_path, empty_is_none=bool(brought)) if input_path else None
    _check_folder(folder)
    with tempfile.TemporaryDirectory(prefix="nina-smtp-") as temporary:
        blobs = FolderBlobStore(folder or Path(temporary))

        async def perform() -> Run:
            async with AsyncExitStack() as stack:
                place = recording.ledger if recording else None
                return await run(
                    workflow,
                    catalog,
                    trigger_items=items,
                    credentials=credentials,
                    blobs=blobs,
                    progress=show_progress,
                    key=recording.key if recording else None,
                    outbox=await stack.enter_async_context(outbox_of(place)) if place is not None else None,
                    patience=recording.wait if recording else None,
                )

        done = asyncio.run(perform())
    print_json(done.as_dict(brief=brief))
    return status_of_run(done)


def _check_folder(folder: Path | None) -> None:
    try:
        if folder:
            folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ParameterError(
            f"{folder} cannot be a folder for files: {error.strerror}.",
            hint="Name another one.",
            parameter="files",
        ) from None


def show_progress(node: NodeRun) -> None:
    """One line for a node that is settled."""
    if node.status is NodeStatus.RUNNING:
        return
    made = ", ".join(f"{len(items)} {port}" for port, items in node.outputs.items()) or "nothing"
    say(f"{node.status.value:<10} {node.name}  {node.items_in} in, {made} out, {node.duration_ms} ms")
    if node.error:
        say(f"           {node.error['message']}")
        if hint := node.error.get("hint"):
            say(f"           {hint}")
    else:
        _tell_of_warnings(node)
        _tell_of_failures(node)


def _tell_of_signature(name: str, replaced: Mapping[str, Any], credential: Any) -> None:
    if replaced["data"].get("secretKey") and getattr(credential, "secret_key", None) is None:
        say(f"note: mails by {name} are not signed: the credential that was given has no secretKey")


def _tell_of_warnings(node: NodeRun) -> None:
    """What the mails that went out have to tell, each thing once."""
    listed = [item.json.get("warnings") for item in node.outputs.get("success", ())]
    told = dict.fromkeys(str(one) for warnings in listed if isinstance(warnings, list) for one in warnings)  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
    for warning in list(told)[:_REASONS]:
        say(f"           note: {warning}")


def _tell_of_failures(node: NodeRun) -> None:
    """Why mails failed that left by an output of their own: each reason once, the most frequent first."""
    reasons: Counter[tuple[str, str]] = Counter()
    for item in node.outputs.get("error", ()):
        error = item.json.get("error")
        if isinstance(error, Mapping) and item.json.get("status") != "notAttempted":
            reasons[str(error.get("message")), str(error.get("hint") or "")] += 1  # pyright: ignore[reportUnknownMemberType, reportUnknownArgumentType]
    for (message, hint), count in reasons.most_common(_REASONS):
        say(f"           {count} failed: {message} {hint}".rstrip())
    if len(reasons) > _REASONS:
        say(f"           and for {len(reasons) - _REASONS} other reasons")


_REASONS = 5


def status_of_run(done: Run) -> int:
    """0 if all went well, and no mail was lost on the way of an error port."""
    errors = [node.error for node in done.nodes.values() if node.error]
    errors += [
        item.json["error"]
        for node in done.nodes.values()
        for item in node.outputs.get("error", ())
        if "error" in item.json
    ]
    later = any(
        item.json.get("status") == "deferred"
        for node in done.nodes.values()
        for item in node.outputs.get("success", ())
    )
    if not errors and later and done.status is RunStatus.SUCCEEDED:
        return TRY_LATER
    if not errors:
        return OK if done.status is RunStatus.SUCCEEDED else FAILED
    if any(node.outputs.get("success") for node in done.nodes.values()):
        return FAILED
    return status_of(error_from_dict(errors[0]))


def _document(path: str, chosen: str | None, catalog: Catalog) -> tuple[Any, Mapping[str, Any]]:
    """The workflow to run, and the credentials that come with it, by name."""
    data = files.read_bytes(path, "workflow")
    document = load(data) if looks_like_json(data) else parse(data)
    ours = isinstance(document, dict) and "nodes" in document and "edges" in document
    if ours or not (found := recognise(document)):
        if isinstance(document, dict) and not ours and "workflow" not in document and "nodes" not in document:
            raise _not_a_workflow(path, is_node="parameters" in document)
        return _with_environment(document), {}
    imported = read_document(checked(document), path, found.name)
    check(imported, catalog)
    tell(imported.notes, (Fate.WARNING, Fate.LEFT_OUT))
    names = [str(workflow["name"]) for workflow in imported.workflows]
    if chosen is not None and chosen not in names:
        raise _no_such(chosen, names)
    fitting = [one for one in imported.workflows if chosen in (None, one["name"])]
    if len(fitting) != 1:
        raise _not_one(path, names, found.title)
    return plain(fitting[0]), imported.credentials


def _no_such(chosen: str | None, names: Sequence[str]) -> ParameterError:
    return ParameterError(
        f"There is no workflow {str(chosen)[:80]!a} that can be run.",
        hint=f"There are: {', '.join(names) or 'none'}.",
        parameter="workflow",
    )


def _no_such_credential(name: str, names: Sequence[str]) -> ParameterError:
    meant = nearest(name, list(names)) if len(name) < 100 else None
    return ParameterError(
        f"No mail of the file goes by {name[:80]!a}.",
        hint=f"Did you mean {meant}?" if meant else f"There are: {', '.join(names)}.",
        parameter="credential",
    )


def _not_one(path: str, names: Sequence[str], title: str) -> ParameterError:
    if names:
        message = f"{path} has {len(names)} workflows."
        return ParameterError(
            message, hint=f"Name one with --workflow: {', '.join(names)}.", parameter="workflow"
        )
    return ParameterError(
        f"{path} ({title}) has no workflow that can be run.",
        hint=f"Bring it here: nina-smtp import {path} --to DIR. Then send with the node and the credential.",
        parameter="workflow",
    )


def _not_a_workflow(path: str, *, is_node: bool) -> ParameterError:
    what = "a node, not" if is_node else "not"
    return ParameterError(
        f"{path} is {what} a workflow.", hint="Send with a node: nina-smtp send NODE.json …",
        parameter="workflow",
    )  # fmt: skip


def _needed(workflow: Workflow) -> set[str]:
    return {one for node in workflow.nodes if not node.disabled for one in node.route if isinstance(one, str)}


def _pair(text: str) -> tuple[str, str]:
    name, equals, path = text.partition("=")
    if not equals or not name or not path:
        raise ParameterError(
            f"{text!a} is not NAME=CRED.json.",
            hint="For example --credential 'SOC mail=cred.json'.",
            parameter="credential",
        )
    return name, path


def _with_environment(document: Any) -> Any:
    """The document with ``${NAME}`` filled in where a node brings its own credential."""
    for node in _objects(document, "nodes"):
        if isinstance(node.get("credential"), dict):
            node["credential"] = files.expand(node["credential"])
    return document


def _objects(document: Any, key: str) -> list[dict[str, Any]]:
    """The objects in the list at ``key``, if the document is one that has such a list."""
    found: Any = cast(dict[str, Any], document).get(key) if isinstance(document, dict) else None
    listed: list[Any] = found if isinstance(found, list) else []  # pyright: ignore[reportUnknownVariableType]
    return [cast(dict[str, Any], one) for one in listed if isinstance(one, dict)]
