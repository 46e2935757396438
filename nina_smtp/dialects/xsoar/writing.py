"""Ours as XSOAR has it, where that loses nothing."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import Any, cast

from nina_smtp.dialects import inserts
from nina_smtp.dialects.exporting import Ours, lost
from nina_smtp.dialects.imported import Imported, Json
from nina_smtp.dialects.inserts import Insert, listed, pieces_of
from nina_smtp.dialects.logins import Account, gathered, written_headers
from nina_smtp.dialects.source import as_list
from nina_smtp.dialects.wiring import ERROR
from nina_smtp.dialects.xsoar import instance, raw
from nina_smtp.dialects.xsoar.context import said
from nina_smtp.dialects.xsoar.filling import IMAGE
from nina_smtp.errors import InvalidConfiguration
from nina_smtp.parameters.paths import Step

_MAILBOXES = {"to": "to", "cc": "cc", "bcc": "bcc", "replyTo": "replyTo", "from": "sender"}
_HEADERS = {"importance": "Importance", "inReplyTo": "In-Reply-To", "references": "References"}
_OF_A_FILE = ("filename", "blob", "contentType")


def write(imported: Imported) -> Any:
    """One document, or a list of them: instances, commands, playbooks.

    Raises InvalidConfiguration, naming everything that would be lost.
    """
    problems: list[InvalidConfiguration] = []

    def attempt(do: Any, *arguments: Any) -> Any:
        try:
            return do(*arguments)
        except InvalidConfiguration as problem:
            problems.append(problem)
            return None

    parts = [attempt(_instance, *one) for one in imported.credentials.items()]
    for name, node in imported.nodes.items():
        if task := attempt(_task, name, node, ()):
            alone = len(imported.nodes) == 1 and "continueonerror" not in task
            parts.append(
                {"command": "send-mail", **task} if alone else {"name": name, "command": "send-mail", **task}
            )
    parts += [attempt(_playbook, workflow, problems) for workflow in imported.workflows]
    gathered(problems)
    if not parts:
        raise InvalidConfiguration(
            "There is nothing to export.", hint="Give a credential, a node or a workflow."
        )
    return parts[0] if len(parts) == 1 else parts


def _instance(name: str, document: Json) -> Json:
    return instance.write(Account(name, document))


def _task(name: str, node: Json, before: tuple[Step, ...]) -> dict[str, Any]:
    """The arguments of a node, and whether the playbook goes on after a failure."""
    ours = Ours(node, f"The node {name}")
    ours.drop("resource", "email")
    operation = ours.take("operation", "send")
    given = ours.take("parameters", {})
    inserts.refuse_empty(f"{ours.place}: parameters", given)
    parameters = Ours(given, f"{ours.place}: parameters")
    options = Ours(ours.take("options", {}), f"{ours.place}: options")
    ours.done()
    if options.take("sources") != "node":
        raise lost(f"{options.place}.sources", "has to be node: what is in the data sets nothing there")
    goes_on = options.take("onError", "fail") == "continue"
    for key, value in (("mode", "each"), ("onPartial", "warn"), ("onUncertain", "stop")):
        options.drop(key, value)
    options.done()
    made = raw.write(parameters) if operation == "sendRaw" else _arguments(parameters, before)
    return {"arguments": made} | ({"continueonerror": True} if goes_on else {})


def _arguments(ours: Ours, before: tuple[Step, ...]) -> dict[str, Any]:
    place = ours.place
    found: dict[str, Any] = {}
    for key, theirs in _MAILBOXES.items():
        if (value := ours.take(key)) is None:
            continue
        texts = [said(f"{place}.{key}", parts, before) for parts in listed(f"{place}.{key}", value)]
        found[theirs] = texts[0] if len(texts) == 1 and not inserts.is_one_mailbox(value) else texts

    def text(key: str, value: object) -> str:
        return said(f"{place}.{key}", inserts.said_pieces(f"{place}.{key}", value), before)

    found["subject"] = text("subject", ours.take("subject"))
    if any(line in found["subject"] for line in "\r\n"):
        raise lost(f"{place}.subject", "has more than one line")
    kind, body, beside = ours.take("contentType", "text"), ours.take("body"), ours.take("textBody")
    files = as_list(ours.take("attachments") or [])
    if len(files) > inserts.MAX_FILES:
        raise lost(f"{place}.attachments", f"are more than {inserts.MAX_FILES}")
    if kind == "html":
        whole = said(f"{place}.body", inserts.html_pieces(f"{place}.body", body), before)
        found["htmlBody"] = _with_images(whole, files)
        files = [one for one in files if not _is_image(one)]
        if not whole:
            raise lost(f"{place}.body", "is empty, and would be text there")
        if beside:
            found["body"] = text("textBody", beside)
            if not found["body"]:
                raise lost(f"{place}.textBody", "cannot be said there")
    else:
        found["body"] = text("body", body)
        if beside:
            raise lost(f"{place}.textBody", "has no use beside text")
    found |= _files(f"{place}.attachments", files)
    if headers := written_headers(ours, _HEADERS):
        if any("=" in name for name in headers):
            raise lost(f"{place}.headers", "have a name with = in it")
        pairs = [f"{key}={text(f'headers.{key}', value)}" for key, value in headers.items()]
        found["additionalHeader"] = pairs
    ours.done()
    return {key: value for key, value in found.items() if value not in ("", [])}


def _is_image(file: object) -> bool:
    return isinstance(file, Mapping) and str(cast(Json, file).get("contentId", "")).endswith(IMAGE)


def _with_images(html: str, files: list[Any]) -> str:
    """Images that are parts of the mail, in the HTML itself again."""
    for file in filter(_is_image, files):
        uri = f"data:{file.get('contentType')};base64,{file.get('content')}"
        html = html.replace(f'"cid:{file["contentId"]}"', f'"{uri}"')
    return html


def _files(place: str, files: list[Any]) -> dict[str, list[str]]:
    """Files of the War Room, and those whose text is here."""
    room: list[tuple[str, str, str]] = []
    texts: list[tuple[str, str, str]] = []
    for number, file in enumerate(files):
        if isinstance(file, str):
            room.append((_entry(f"{place}[{number}]", file), "", ""))
            continue
        ours = Ours(cast(Json, file), f"{place}[{number}]")
        cid = str(ours.take("contentId", ""))
        if "blob" in file:
            entry = _entry(ours.place, ours.take("blob"), "blob")
            paths = {key: str(inserts.insert(["files", entry, key])) for key in _OF_A_FILE}
            name = ours.take("filename")
            ours.drop("contentType", paths["contentType"])
            shown = "" if name == paths["filename"] else _plain(f"{ours.place}.filename", name)
            room.append((entry, shown, cid))
        else:
            name = _plain(f"{ours.place}.filename", ours.take("filename"))
            texts.append((name, _decoded(ours.place, str(ours.take("content"))), cid))
        ours.done()
    found: dict[str, list[str]] = {}
    for keys, rows in (
        (("attachIDs", "attachNames", "attachCIDs"), room),
        (("transientFile", "transientFileContent", "transientFileCID"), texts),
    ):
        for column, key in enumerate(keys):
            values = [row[column] for row in rows]
            if any(values) or (column == 1 and rows is texts and values):
                found[key] = values
    return found


def _entry(place: str, text: object, last: str | None = None) -> str:
    parts = pieces_of(text) or [""]
    only = parts[0] if len(parts) == 1 else None
    steps = list(only.steps) if isinstance(only, Insert) else []
    if len(steps) != (3 if last else 2) or steps[0] != "files" or (last and steps[2] != last):
        raise lost(place, "is not a file of the War Room, and its content is not text")
    return str(steps[1])


def _plain(place: str, value: object) -> str:
    parts = inserts.said_pieces(place, value)
    if any(isinstance(part, Insert) for part in parts) or not parts or "${" in str(parts[0]):
        raise lost(place, "cannot be said there")
    return str(parts[0])


def _decoded(place: str, content: str) -> str:
    try:
        text = base64.b64decode(content, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError, ValueError):
        raise lost(
            f"{place}.content", "is not text, and a file of the War Room has no content there"
        ) from None
    if "${" in text:
        raise lost(f"{place}.content", "has ${ in it, which XSOAR takes for an expression")
    return text


def _playbook(workflow: Json, problems: list[InvalidConfiguration]) -> dict[str, Any]:
    ours = Ours(workflow, f"The workflow {workflow.get('name')}")
    name, listed_nodes = ours.take("name"), list(ours.take("nodes", ()))
    edges = list(ours.take("edges", ()))
    ours.done()
    triggers = [node for node in listed_nodes if node["type"] == "manual_trigger"]
    if len(triggers) != 1 or triggers[0].get("config"):
        raise lost(f"{ours.place}: nodes", "have to have one manual trigger, without sample data")
    ids = {str(node["id"]): str(node["id"]).removeprefix("task-") for node in listed_nodes}
    ids[str(triggers[0]["id"])] = "start"
    tasks: dict[str, Any] = {}
    for node in listed_nodes:
        try:
            tasks[ids[str(node["id"])]] = _node(node, edges, ids, str(triggers[0]["name"]))
        except InvalidConfiguration as problem:
            problems.append(problem)
    return {"name": name, "starttaskid": "start", "tasks": tasks}


def _node(node: Json, edges: list[Any], ids: Mapping[str, str], trigger: str) -> dict[str, Any]:
    ours = Ours(node, f"The node {node['name']}")
    following: dict[str, list[str]] = {}
    for edge in edges:
        if edge["from"] == node["id"]:
            label = "#error#" if edge.get("output") == ERROR else "#none#"
            following.setdefault(label, []).append(ids[edge["to"]])
    kind, config, name = ours.take("type"), ours.take("config", {}), ours.take("name")
    ours.take("id")
    ours.take("position")
    shown: dict[str, Any] = {"id": ids[str(node["id"])], "nexttasks": following}
    if kind == "manual_trigger":
        ours.done()
        return {**shown, "type": "start", "task": {"name": name}}
    credential = ours.take("credential")
    ours.done()
    if kind != "smtp" or not isinstance(credential, str):
        what, why = ("type", "is not known there") if kind != "smtp" else ("credential", "has to be one name")
        raise lost(f"{ours.place}: {what}", why)
    made = _task(str(name), config, ("nodes", trigger))
    arguments = {**made.pop("arguments"), "using": credential}
    task = {"name": name, "script": "|||send-mail", "type": "regular", "iscommand": True}
    return {**shown, "type": "regular", "task": task, "scriptarguments": arguments, **made}
