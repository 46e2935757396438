"""Cortex XSOAR's ``send-mail``: its arguments, commands, playbooks, and the instance of Mail Sender (New)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from nina_smtp.dialects.dialect import Dialect
from nina_smtp.dialects.imported import Imported, Json, Note
from nina_smtp.dialects.logins import belongs, title
from nina_smtp.dialects.source import Source, as_list, objects_in, sources
from nina_smtp.dialects.untranslated import Untranslated
from nina_smtp.dialects.xsoar import instance, mail
from nina_smtp.dialects.xsoar.context import Arguments
from nina_smtp.dialects.xsoar.playbook import Playbook, config_of, is_mail, read_task
from nina_smtp.dialects.xsoar.writing import write
from nina_smtp.errors import InvalidConfiguration

OWN = frozenset(
    {
        *("htmlBody", "attachIDs", "attachNames", "attachCIDs", "transientFile", "transientFileContent"),
        *("transientFileCID", "templateParams", "additionalHeader", "raw_message", "bodyType", "renderBody"),
    }
)
"""The arguments that nobody else has."""
ARGUMENTS = OWN | {"to", "cc", "bcc", "subject", "body", "replyTo", "sender", "using"}


def read(document: Any, name: str) -> Imported:
    """Credentials, nodes and workflows. Raises InvalidConfiguration."""
    reader = _Reader(name)
    with reader.untranslated.together():
        return reader.read(document)


class _Reader:
    def __init__(self, name: str) -> None:
        self.name = name
        self.notes: list[Note] = []
        self.credentials: dict[str, Json] = {}
        self.nodes: dict[str, Json] = {}
        self.workflows: list[Json] = []
        self.untranslated = Untranslated()

    def read(self, document: Any) -> Imported:
        parts = sources(document)
        self.notes = parts[0].notes
        kinds = [(_kind(part.data), part) for part in parts]
        for kind, part in kinds:
            if kind == "instance":
                self.instance(part)
        for kind, part in kinds:
            if kind == "playbook":
                only = next(iter(self.credentials)) if len(self.credentials) == 1 else self.name
                made = Playbook(part, self.name, only, self.untranslated).read()
                self.workflows += [made] if made else []
            elif kind in ("task", "arguments", None):
                self.node(part, kind)
        if not (self.credentials or self.nodes or self.workflows):
            raise InvalidConfiguration("No task sends mail.", hint="Give one with script: '|||send-mail'.")
        return Imported("xsoar", self.credentials, self.nodes, tuple(self.workflows), tuple(self.notes))

    def instance(self, part: Source) -> None:
        name, fields = self.name, part
        if instance.is_exported(part.data):
            name = title(part, "name", self.name, 200)
            fields = instance.fields_of(part)
            part.rest("belongs to XSOAR", known=("data", "brand"))
        if name in self.credentials:
            raise part.wrong("name", f"{name[:80]!a} is also that of another instance.", "Rename one.")
        self.credentials[name] = instance.read(fields, name)

    def node(self, part: Source, kind: str | None) -> None:
        """A task, a command, or arguments alone: what nobody recognises is taken for arguments, too."""
        if kind != "task":
            self.keep(part, self.name, config_of(mail.read(Arguments(part, (), self.untranslated))))
            return
        done = read_task(part, self.name, self.untranslated)
        self.keep(part, done.name, done.config)
        belongs(part, "XSOAR", "id", "taskid", "type")

    def keep(self, part: Source, name: str, config: Json) -> None:
        if name in self.nodes:
            raise part.wrong("name", f"{name[:80]!a} is also that of another task.", "Rename one.")
        self.nodes[name] = config


def _kind(data: Mapping[str, Any]) -> str | None:
    """What a part is."""
    tasks = data.get("tasks")
    if isinstance(tasks, Mapping):
        inner = objects_in(cast(object, tasks))
        playbook = any(("task" in one and "nexttasks" in one) or is_mail(one) for one in inner)
        return "playbook" if playbook else None
    if instance.is_exported(data) or instance.is_fields(data):
        return "instance"
    if is_mail(data):
        return "task"
    return "arguments" if set(data) & OWN and set(data) <= ARGUMENTS else None


def recognises(document: Any) -> bool:
    """Whether it is a playbook, a task, a command or arguments of ``send-mail``, or an instance."""
    listed = as_list(document)
    kinds = [_kind(one) for one in objects_in(listed)]
    return bool(kinds) and len(kinds) == len(listed) and None not in kinds


DIALECT = Dialect("xsoar", "Cortex XSOAR send-mail", recognises, read, write)
