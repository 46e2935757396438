"""n8n's Send Email node: workflows, nodes, bare parameters and the credential ``smtp``.

Read from n8n's own sources: versions 1, 2 and 2.1 of the node. An expression that is a path becomes a
template; any other is JavaScript, and a document with one is refused, so that no mail goes out with it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from nina_smtp.dialects.dialect import Dialect
from nina_smtp.dialects.imported import Fate, Imported, Json, Note, credential
from nina_smtp.dialects.logins import SKIPS, title
from nina_smtp.dialects.n8n import account, flows, mail
from nina_smtp.dialects.n8n.expressions import Scope
from nina_smtp.dialects.n8n.writing import write
from nina_smtp.dialects.source import Source, as_list, objects_in, sources
from nina_smtp.dialects.untranslated import Untranslated
from nina_smtp.errors import InvalidConfiguration

_BARE = ("fromEmail", "toEmail")


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
        self.found: list[flows.Found] = []
        self.mails = 0
        self.untranslated = Untranslated()

    def read(self, document: Any) -> Imported:
        parts = sources(document)
        self.notes = parts[0].notes
        kinds = [(_kind(part.data) or _asked_for(part.data), part) for part in parts]
        for kind, part in kinds:
            if kind == "credential":
                self.credential(part, len(parts) == 1)
        default = next(iter(self.credentials)) if len(self.credentials) == 1 else self.name
        loose = [part for kind, part in kinds if kind == "node"]
        if len(loose) > 1:  # as the canvas has them: without wires
            whole = Source({"nodes": [part.data for part in loose]}, "", self.notes)
            self.workflow(whole, default)
        for part in loose if len(loose) == 1 else ():
            self.node(part, default)
        for kind, part in kinds:
            if kind == "workflow":
                self.workflow(part, default)
            elif kind == "parameters":
                self.bare(part, default)
            elif kind is None:
                raise InvalidConfiguration(
                    f"{part.place or 'The document'} is nothing of n8n's Send Email.",
                    parameter=part.place or None,
                    hint="Give a workflow, a node, its parameters, or the credential smtp.",
                )
        self.trust()
        if not self.credentials and not self.nodes and not self.workflows and not self.mails:
            raise flows.none_left()
        return Imported("n8n", self.credentials, self.nodes, tuple(self.workflows), tuple(self.notes))

    def credential(self, part: Source, alone: bool) -> None:
        """A credential as it is exported, or its fields."""
        if not part.has("data"):
            self.keep(part, self.name, account.read(part, self.name))
            return
        name = title(part, "name", self.name, 200)
        kind = part.text("type", "type")
        if kind not in (None, "smtp"):
            part.note("type", Fate.LEFT_OUT, f"is {kind[:80]}, not smtp")
            if alone:
                raise part.wrong(
                    "type", f"is {kind[:80]!a}, not smtp.", "Give a credential of the type smtp."
                )
            return
        if isinstance(part.data["data"], str):
            raise part.wrong("data", "is encrypted.", "Export it with: n8n export:credentials --decrypted.")
        self.keep(part, name, account.read(cast(Source, part.inner("data")), name))
        part.rest("belongs to n8n")

    def keep(self, part: Source, name: str, document: Json) -> None:
        if name in self.credentials:
            raise part.wrong("name", f"{name[:80]!a} is also that of another credential.", "Rename one.")
        self.credentials[name] = document

    def workflow(self, part: Source, default: str) -> None:
        flow = flows.Flow(part, self.name, default, self.untranslated)
        made = flow.read()
        self.workflows += [made] if made else []
        self.found += flow.found
        self.mails += sum(kind == flows.SEND for kind in flow.types.values())

    def node(self, part: Source, default: str) -> None:
        """One node without a workflow."""
        if part.text("type") != flows.SEND:
            raise flows.none_left()
        self.mails += 1
        parameters = part.inner("parameters") or Source({}, part.at("parameters"), self.notes)
        if mail.other_operation(parameters):
            return
        name = title(part, "name", self.name)
        found = flows.read_node(part, name, Scope(untranslated=self.untranslated), default)
        self.nodes[name] = found.config
        self.found.append(found)
        for key in ("position", "id", "notes"):
            part.note(key, Fate.LEFT_OUT, "is for a workflow") if key in part.data else None
        flows.finish(part)

    def bare(self, part: Source, default: str) -> None:
        """The parameters alone."""
        if mail.other_operation(part):
            self.mails += 1
            return
        if self.name in self.nodes:
            raise part.wrong("toEmail", "is of a second node without a name.", "Give one.")
        made = mail.read(part, None, Scope(untranslated=self.untranslated))
        config = {
            "resource": "email",
            "operation": "send",
            "parameters": made.parameters,
            "options": {"sources": "node"},
        }
        self.nodes[self.name] = config
        self.found.append(flows.Found(self.name, default, config, made.unverified, part.place))

    def trust(self) -> None:
        """Whether a certificate is verified is said by the node there, and by the credential here."""
        for found in self.found:
            if not found.skips:
                continue
            place = f"{found.place}.options.allowUnauthorizedCerts".removeprefix(".")
            document = self.credentials.get(found.credential)
            if document is None:
                self.notes.append(
                    Note(
                        place,
                        Fate.LEFT_OUT,
                        "is said by the credential here: give it caCertificate or "
                        f"certificateFingerprint, or tlsSkipVerify ({found.credential[:80]})",
                    )
                )
                continue
            self.credentials[found.credential] = credential(
                "smtp", {**document["data"], "tlsSkipVerify": True}
            )
            self.notes.append(
                Note(
                    place,
                    Fate.WARNING,
                    f"({found.name}) {SKIPS}, by everything that uses the credential",
                    "credential: tlsSkipVerify",
                )
            )


def _kind(data: Mapping[str, Any]) -> str | None:
    """What a part is."""
    if isinstance(data.get("nodes"), list):
        return "workflow" if any(map(_is_type, objects_in(data["nodes"]))) else None
    if _is_type(data) and "parameters" in data:
        return "node"
    if "data" in data and isinstance(data.get("type"), str) and not set(data) - account.EXPORTED:
        held = data["data"]
        fields = set(cast(Mapping[str, Any], held)) if isinstance(held, Mapping) else set[str]()
        ours = isinstance(held, str) or data["type"] != "smtp" or account.looks_like(fields)
        return "credential" if ours else None
    if account.looks_like(set(data)):
        return "credential"
    return "parameters" if all(key in data for key in _BARE) or _is_waiting(data) else None


def _asked_for(data: Mapping[str, Any]) -> str | None:
    """What a part is meant to be that nobody would take for n8n's."""
    if any(key in data for key in _BARE):
        return "parameters"
    return "credential" if "host" in data else None


def _is_type(node: Mapping[str, Any]) -> bool:
    kind = node.get("type")
    return isinstance(kind, str) and kind.startswith(("n8n-nodes-", "@n8n/"))


def _is_waiting(data: Mapping[str, Any]) -> bool:
    return data.get("operation") == "sendToInstanceUser" and "toEmail" in data


def recognises(document: Any) -> bool:
    """Whether it is a workflow, a node, the parameters of Send Email, or the credential."""
    listed = as_list(document)
    kinds = [_kind(one) for one in objects_in(listed)]
    return bool(kinds) and len(kinds) == len(listed) and None not in kinds


DIALECT = Dialect("n8n", "n8n Send Email", recognises, read, write)
