"""Ours as n8n has it, where that loses nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from nina_smtp.dialects.exporting import Ours, lost
from nina_smtp.dialects.imported import Imported, Json
from nina_smtp.dialects.logins import Account, gathered
from nina_smtp.dialects.n8n import account, mail
from nina_smtp.dialects.n8n.flows import SEND, TRIGGER
from nina_smtp.dialects.wiring import ERROR
from nina_smtp.errors import InvalidConfiguration

VERSION = 2.1


def write(imported: Imported) -> Any:
    """One document, or a list of them: credentials, nodes, workflows.

    Raises InvalidConfiguration, naming everything that would be lost.
    """
    writer = _Writer(imported)
    parts = writer.parts()
    gathered(writer.problems)
    if not parts:
        raise InvalidConfiguration(
            "There is nothing to export.", hint="Give a credential, a node or a workflow."
        )
    return parts[0] if len(parts) == 1 else parts


class _Writer:
    def __init__(self, imported: Imported) -> None:
        self.imported = imported
        self.problems: list[InvalidConfiguration] = []
        self.skipping: set[str] = set()

    def parts(self) -> list[Any]:
        parts: list[Any] = []
        alone = len(self.imported.credentials) == 1
        for name, document in self.imported.credentials.items():
            if fields := self.attempt(self.credential, name, document):
                parts.append({"name": name, "type": "smtp", "data": fields})
        if self.skipping and not self.imported.nodes and not self.imported.workflows:
            self.problems.append(lost("tlsSkipVerify", "is said by the nodes there, and there is none"))
        only = next(iter(self.imported.credentials)) if alone else None
        for name, node in self.imported.nodes.items():
            if made := self.attempt(self.node, name, node, only, frozenset()):
                parts.append({"name": name, "type": SEND, "typeVersion": VERSION, **made})
        if len(self.imported.nodes) > 1:
            self.problems.append(lost("The nodes", "are several without a workflow"))
        parts += [self.attempt(self.workflow, workflow) for workflow in self.imported.workflows]
        return parts

    def attempt(self, do: Any, *arguments: Any) -> Any:
        """What ``do`` returns; what it cannot say is kept for the end."""
        try:
            return do(*arguments)
        except InvalidConfiguration as problem:
            self.problems.append(problem)
            return None

    def credential(self, name: str, document: Json) -> dict[str, Any]:
        opened = Account(name, document)
        if opened.skips_verification:
            self.skipping.add(name)
        return account.write(opened)

    def node(self, name: str, node: Json, credential: str | None, nodes: frozenset[str]) -> dict[str, Any]:
        """What a node's parameters and options are there."""
        place = f"The node {name}"
        ours = Ours(node, place)
        ours.drop("resource", "email")
        ours.drop("operation", "send")
        parameters = ours.take("parameters", {})
        options = Ours(ours.take("options", {}), f"{place}: options")
        ours.done()
        found: dict[str, Any] = {}
        if options.take("sources") != "node":
            raise lost(f"{options.place}.sources", "has to be node: what is in the data sets nothing there")
        if options.take("mode", "each") == "once":
            found["executeOnce"] = True
        if options.take("onError", "fail") == "continue":
            found["onError"] = "continueRegularOutput"
        options.drop("onPartial", "warn")
        options.drop("onUncertain", "stop")
        options.done()
        made = mail.write(parameters, f"{place}: parameters", nodes, unverified=credential in self.skipping)
        return {"parameters": made, **found}

    def workflow(self, workflow: Json) -> dict[str, Any]:
        ours = Ours(workflow, f"The workflow {workflow.get('name')}")
        name, listed = ours.take("name"), list(ours.take("nodes", ()))
        edges = list(ours.take("edges", ()))
        ours.done()
        names = {str(node["id"]): str(node["name"]) for node in listed}
        triggers = [node for node in listed if node["type"] == "manual_trigger"]
        if len(triggers) != 1:
            raise lost(f"{ours.place}: nodes", "have to have one manual trigger")
        pinned: dict[str, Any] = {}
        nodes = [self.placed(node, index, names, edges, pinned) for index, node in enumerate(listed)]
        whole = {
            "name": name,
            "nodes": [node for node in nodes if node],
            "connections": _connections(edges, names),
        }
        return {**whole, "pinData": pinned} if pinned else whole

    def placed(
        self, node: Json, index: int, names: Mapping[str, str], edges: list[Any], pinned: dict[str, Any]
    ) -> dict[str, Any] | None:
        ours = Ours(node, f"The node {node['name']}")
        at = ours.take("position") or {"x": 240.0 * index, "y": 0.0}
        shown: dict[str, Any] = {
            "id": ours.take("id"),
            "name": ours.take("name"),
            "position": [at["x"], at["y"]],
            "type": TRIGGER,
            "typeVersion": 1,
            "parameters": {},
        }
        kind, config = ours.take("type"), ours.take("config", {})
        if kind == "manual_trigger":
            if items := config.get("items"):
                pinned[str(node["name"])] = [{"json": dict(item)} for item in items]
            self.attempt(ours.done)
            return shown
        if kind != "smtp":
            self.problems.append(lost(f"{ours.place}: type", f"{kind} is not known there"))
            return None
        credential = ours.take("credential")
        if not isinstance(credential, str):
            self.problems.append(lost(f"{ours.place}: credential", "has to be one name"))
            return None
        about = {key: ours.take(key) for key in ("disabled", "notes")}
        self.attempt(ours.done)
        made: dict[str, Any] = (
            self.attempt(self.node, str(node["name"]), config, credential, frozenset(names.values())) or {}
        )
        failed = any(edge["from"] == node["id"] and edge.get("output") == ERROR for edge in edges)
        if failed and "onError" not in made:
            self.problems.append(
                lost(f"{ours.place}: onError", "has to be continue where the output error is wired")
            )
        if failed:
            made["onError"] = "continueErrorOutput"
        return {
            **shown,
            "type": SEND,
            "typeVersion": VERSION,
            **made,
            "credentials": {"smtp": {"name": credential}},
            **{key: value for key, value in about.items() if value},
        }


def _connections(edges: list[Any], names: Mapping[str, str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for edge in cast(list[Mapping[str, str]], edges):
        ports = found.setdefault(names[edge["from"]], {"main": [[]]})["main"]
        if edge.get("output") == ERROR:
            ports += [[]] if len(ports) == 1 else []
            ports[1].append({"node": names[edge["to"]], "type": "main", "index": 0})
        else:
            ports[0].append({"node": names[edge["to"]], "type": "main", "index": 0})
    return found
