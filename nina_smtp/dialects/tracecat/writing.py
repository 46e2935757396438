"""Ours as Tracecat has it, where that loses nothing."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from nina_smtp.dialects.exporting import Ours, lost
from nina_smtp.dialects.imported import Imported, Json
from nina_smtp.dialects.logins import gathered
from nina_smtp.dialects.tracecat import account, mail
from nina_smtp.dialects.tracecat.actions import SEND
from nina_smtp.dialects.wiring import ERROR
from nina_smtp.errors import InvalidConfiguration
from nina_smtp.parameters.paths import Step

_UNKNOWN_ACCOUNT = {"enable_starttls": True, "enable_ssl": False, "enable_auth": True}
"""What an action says whose credential is not given: nothing goes out in clear."""


def write(imported: Imported) -> Any:
    """One document, or a list of them: the secret, an action, workflow definitions.

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
        self.flags: dict[str, Any] = {}

    def parts(self) -> list[Any]:
        secrets: list[Any] = []
        for name, document in self.imported.credentials.items():
            if made := self.attempt(account.write, name, document):
                secret, self.flags[name] = made
                secrets += [secret] if secret and secret not in secrets else []
        if len(secrets) > 1:
            self.problems.append(lost("The credentials", "are several, and there is one secret smtp there"))
        if self.flags and not self.imported.nodes and not self.imported.workflows:
            self.alone()
        if len(self.imported.nodes) > 1:
            self.problems.append(lost("The nodes", "are several without a workflow"))
        if len(self.imported.nodes) == 1 and len(self.imported.credentials) > 1:
            self.problems.append(
                lost("The credentials", "are several, and the node does not say which is its own")
            )
        parts = list(secrets)
        only = next(iter(self.flags.values())) if len(self.flags) == 1 else None
        for name, node in self.imported.nodes.items():
            args: Json = self.attempt(self.arguments, f"The node {name}", node, only, ()) or {}
            action: Json = {"title": name, "ref": _slug(name), "action": SEND, "args": args}
            parts.append(action)
        parts += [self.attempt(self.definition, workflow) for workflow in self.imported.workflows]
        return parts

    def alone(self) -> None:
        """A secret says nothing of the connection: whoever reads it takes what its port means."""
        for (name, flags), document in zip(
            self.flags.items(), self.imported.credentials.values(), strict=False
        ):
            port = document["data"].get("port")
            usual = {"enable_starttls": port != 465, "enable_ssl": port == 465}
            for key in ("enable_starttls", "enable_ssl"):
                if flags[key] != usual[key]:
                    self.problems.append(
                        lost(f"The credential {name}: encryption", "is said by the actions there")
                    )
                    break
            for key in ("ignore_cert_errors", "timeout"):
                if key in flags:
                    self.problems.append(
                        lost(f"The credential {name}: {key}", "is said by the actions there")
                    )

    def attempt(self, do: Any, *arguments: Any) -> Any:
        """What ``do`` returns; what it cannot say is kept for the end."""
        try:
            return do(*arguments)
        except InvalidConfiguration as problem:
            self.problems.append(problem)
            return None

    def arguments(self, place: str, node: Json, flags: Any, before: tuple[Step, ...]) -> dict[str, Any]:
        ours = Ours(node, place)
        ours.drop("resource", "email")
        ours.drop("operation", "send")
        parameters = ours.take("parameters", {})
        options = Ours(ours.take("options", {}), f"{place}: options")
        ours.done()
        if options.take("sources") != "node":
            raise lost(f"{options.place}.sources", "has to be node: what is in the data sets nothing there")
        for key, value in (
            ("mode", "each"),
            ("onError", "fail"),
            ("onPartial", "warn"),
            ("onUncertain", "stop"),
        ):
            options.drop(key, value)
        options.done()
        return mail.write(parameters, f"{place}: parameters", before) | (flags or _UNKNOWN_ACCOUNT)

    def definition(self, workflow: Json) -> dict[str, Any]:
        ours = Ours(workflow, f"The workflow {workflow.get('name')}")
        name, nodes, edges = ours.take("name"), list(ours.take("nodes", ())), list(ours.take("edges", ()))
        ours.done()
        triggers = [node for node in nodes if node["type"] == "manual_trigger"]
        if len(triggers) != 1 or triggers[0].get("config"):
            raise lost(f"{ours.place}: nodes", "have to have one manual trigger, without sample data")
        start = triggers[0]
        refs = {str(node["id"]): _slug(str(node["name"])) for node in nodes if node is not start}
        if len(set(refs.values())) < len(refs):
            raise lost(f"{ours.place}: nodes", "have names that are the same in lower case")
        actions = [self.attempt(self.action, node, start, edges, refs) for node in nodes if node is not start]
        first = next((action["ref"] for action in actions if action and not action.get("depends_on")), None)
        return {"title": name, "description": "", "entrypoint": {"ref": first}, "actions": actions}

    def action(self, node: Json, start: Json, edges: list[Any], refs: Mapping[str, str]) -> dict[str, Any]:
        ours = Ours(node, f"The node {node['name']}")
        kind, config, credential = ours.take("type"), ours.take("config", {}), ours.take("credential")
        description = ours.take("notes")
        for key in ("id", "name", "position"):
            ours.take(key)
        ours.done()
        if kind != "smtp" or not isinstance(credential, str):
            what, why = (
                ("type", "is not known there") if kind != "smtp" else ("credential", "has to be one name")
            )
            raise lost(f"{ours.place}: {what}", why)
        into = [edge for edge in edges if edge["to"] == node["id"]]
        mails = [edge for edge in into if edge["from"] != start["id"]]
        if mails and len(mails) < len(into):
            raise lost(
                f"{ours.place}: edges", "from the trigger and from a mail cannot be said together there"
            )
        before = ("nodes", str(start["name"])) if mails else ()
        flags = self.flags.get(credential)
        shown: dict[str, Any] = {
            "ref": refs[str(node["id"])],
            "action": SEND,
            "description": description,
            "args": self.arguments(ours.place, config, flags, before),
            "depends_on": [refs[e["from"]] + (".error" if e.get("output") == ERROR else "") for e in mails],
        }
        return {key: value for key, value in shown.items() if value}


def _slug(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")[:60] or "mail"
