"""Tracecat's ``core.send_email_smtp``: arguments, actions, workflow definitions, and the secret ``smtp``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from nina_smtp.dialects.dialect import Dialect
from nina_smtp.dialects.imported import Imported, Json, Note
from nina_smtp.dialects.logins import title
from nina_smtp.dialects.source import Source, as_list, objects_in, sources
from nina_smtp.dialects.tracecat import account, actions
from nina_smtp.dialects.tracecat.expressions import Scope
from nina_smtp.dialects.tracecat.writing import write
from nina_smtp.dialects.untranslated import Untranslated

REQUIRED = frozenset({"sender", "recipients", "subject", "body"})


def read(document: Any, name: str) -> Imported:
    """Credentials, nodes and workflows. Raises InvalidConfiguration."""
    reader = _Reader(name)
    with reader.untranslated.together():
        return reader.read(document)


class _Reader:
    def __init__(self, name: str) -> None:
        self.name = name
        self.notes: list[Note] = []
        self.keys: Source | None = None
        self.credentials: dict[str, Json] = {}
        self.nodes: dict[str, Json] = {}
        self.workflows: list[Json] = []
        self.untranslated = Untranslated()

    def read(self, document: Any) -> Imported:
        parts = sources(document)
        self.notes = parts[0].notes
        kinds = [(_kind(part.data), part) for part in parts]
        for kind, part in kinds:
            if kind == "secret":
                self.secret(part)
        loose = [part for kind, part in kinds if kind == "action"]
        if len(loose) > 1:
            self.flow(Source({"actions": [part.data for part in loose]}, "", self.notes))
        for kind, part in kinds:
            if kind == "definition":
                self.flow(actions.definition(part))
            elif kind == "action" and len(loose) == 1:
                self.action(part)
            elif kind in ("arguments", None):
                self.keep(part, self.name, part)
        if self.keys is not None and not self.credentials:
            self.credentials[account.NAME] = account.alone(self.keys)
        if not (self.credentials or self.nodes or self.workflows):
            raise actions.nothing()
        return Imported("tracecat", self.credentials, self.nodes, tuple(self.workflows), tuple(self.notes))

    def secret(self, part: Source) -> None:
        if self.keys is not None:
            raise part.wrong(
                "name", "is a second secret for SMTP.", "Give the one of the environment in use."
            )
        self.keys = account.secret(part)

    def credential(self, args: Source) -> str:
        """The name of the credential that an action uses: the same for all that connect in the same way."""
        made = account.read(args, self.keys)
        for name, document in self.credentials.items():
            if dict(document["data"]) == dict(made["data"]):
                return name
        name = account.NAME if not self.credentials else f"{account.NAME} {len(self.credentials) + 1}"
        self.credentials[name] = made
        return name

    def flow(self, part: Source) -> None:
        made = actions.Flow(part, self.name, self.credential, self.untranslated).read()
        self.workflows += [made] if made else []

    def action(self, part: Source) -> None:
        """An action without a workflow."""
        if not actions.is_mail(part.data):
            raise actions.nothing()
        args = actions.arguments(part)
        self.keep(args, title(part, "title" if part.has("title") else "ref", self.name), part)
        part.text("description")
        actions.finish(part)

    def keep(self, args: Source, name: str, part: Source) -> None:
        if name in self.nodes:
            raise part.wrong("ref", f"{name[:80]!a} is also that of another action.", "Give each its own.")
        self.credential(args)
        self.nodes[name] = actions.read(args, Scope(untranslated=self.untranslated))


def _kind(data: Mapping[str, Any]) -> str | None:
    """What a part is."""
    inner = data.get("definition")
    whole = cast(Mapping[str, Any], inner) if isinstance(inner, Mapping) else data
    if isinstance(whole.get("actions"), list):
        listed = [
            cast(Mapping[str, Any], one) for one in as_list(whole["actions"]) if isinstance(one, Mapping)
        ]
        return "definition" if any(actions.is_action(one) for one in listed) else None
    if account.keys_of(data):
        return "secret"
    if actions.is_action(data):
        return "action"
    return "arguments" if set(data) >= REQUIRED - {"body"} else None


def recognises(document: Any) -> bool:
    """Whether it is a workflow definition, an action, arguments of the mail action, or the secret."""
    listed = as_list(document)
    kinds = [_kind(one) for one in objects_in(listed)]
    return bool(kinds) and len(kinds) == len(listed) and None not in kinds


DIALECT = Dialect("tracecat", "Tracecat core.send_email_smtp", recognises, read, write)
