"""Actions of Tracecat that send mail, alone and in workflows."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, cast

from nina_smtp.dialects.documents import parse
from nina_smtp.dialects.imported import Fate, Json
from nina_smtp.dialects.logins import belongs, title
from nina_smtp.dialects.source import Source, as_list
from nina_smtp.dialects.tracecat import account, mail
from nina_smtp.dialects.tracecat.expressions import Scope
from nina_smtp.dialects.untranslated import Untranslated, named
from nina_smtp.dialects.wiring import ERROR, Kind, Step, Wiring, workflow
from nina_smtp.errors import InvalidConfiguration
from nina_smtp.workflow.model import MAX_EDGES, MAX_NODES

SEND = "core.send_email_smtp"
START = "Start"

_REF = re.compile(r"[a-z0-9_]{1,64}")
_LEFT = {
    "retry_policy": "nothing is sent twice by chance: with a ledger, what the server puts off is tried again",
    "start_delay": "nothing waits here",
    "wait_until": "nothing waits here",
    "join_strategy": "a node runs when everything before it is settled",
    "interaction": "nothing waits for an answer here",
    "environment": "belongs to Tracecat",
    "mask_output": "belongs to Tracecat",
}
_UNCONDITIONAL = {
    "run_if": "is not known here: in a workflow the mail is disabled, else it is always sent; decide before",
    "for_each": "here there is one mail for each item: start the workflow with a list of them",
}


def is_mail(data: Mapping[str, Any]) -> bool:
    """Whether an action sends mail."""
    return SEND in (data.get("action"), data.get("type"))


def is_action(data: Mapping[str, Any]) -> bool:
    """Whether it is an action, of whatever kind."""
    kind = data.get("action", data.get("type"))
    return isinstance(kind, str) and "." in kind and bool({"args", "inputs", "ref"} & set(data))


def arguments(action: Source) -> Source:
    """The arguments of an action, also as a text of YAML."""
    key = "args" if action.has("args") or not action.has("inputs") else "inputs"
    value = action.value(key)
    if isinstance(value, str):
        value = parse(value.encode(errors="replace"))
    return Source({} if value is None else value, action.at(key), action.notes)


def read(args: Source, scope: Scope) -> Json:
    """The configuration of a node."""
    found = mail.read(args, scope)
    args.rest(f"is not an argument of {SEND}", known=account.FLAGS)
    return {"resource": "email", "operation": "send", "parameters": found, "options": {"sources": "node"}}


def finish(action: Source) -> None:
    """Tells of what is left of an action."""
    action.note("action" if "action" in action.data else "type", Fate.SAME, becomes="operation")
    for key, why in _UNCONDITIONAL.items():
        if action.has(key):
            action.note(key, Fate.WARNING, why)
    for key, why in _LEFT.items():
        if action.has(key):
            action.note(key, Fate.LEFT_OUT, why)
    if action.has("depends_on"):
        action.note("depends_on", Fate.SAME, becomes="edges")
    belongs(action, "Tracecat", "depends_on", "title", "id")


@dataclass(slots=True)
class Flow:
    """A workflow definition, being read. ``credential`` makes the credential of an action."""

    source: Source
    name: str
    credential: Callable[[Source], str]
    untranslated: Untranslated
    wiring: Wiring = field(default_factory=Wiring)

    def read(self) -> Json | None:
        """The workflow, or None if no action sends mail. Raises InvalidConfiguration."""
        self.name = title(self.source, "title", self.name, 200)
        found = self.source.objects("actions")
        if len(found) > MAX_NODES:
            raise self.source.wrong("actions", f"are more than {MAX_NODES}.", "Split the workflow.")
        self.wiring.add(START, Kind.TRIGGER, self.source.at("entrypoint"))
        actions: dict[str, Source] = {}
        for index, action in enumerate(found):
            ref = action.text("ref", "id") or f"action_{index + 1}"
            if not _REF.fullmatch(ref):
                raise action.wrong("ref", f"cannot be {ref[:40]!a}.", "Lower-case letters, digits and _.")
            self.wiring.add(ref, Kind.MAIL if is_mail(action.data) else Kind.OTHER, action.at("ref"))
            actions[ref] = action
        self.connect(actions)
        mails = {ref: action for ref, action in actions.items() if is_mail(action.data)}
        for index, action in enumerate(found):
            if not is_mail(action.data):
                kind = str(action.data.get("action", action.data.get("type")))[:80]
                self.source.note(f"actions[{index}]", Fate.LEFT_OUT, f"is {kind}, not a mail")
        steps = [self.step(ref, action) for ref, action in mails.items()]
        kinds = {ref: str(one.data.get("action", one.data.get("type"))) for ref, one in actions.items()}
        trigger: Json = {"id": "start", "type": "manual_trigger", "name": START, "config": {}}
        made = workflow(self.name, trigger, steps, self.source.notes, kinds) if steps else None
        self.source.rest("belongs to Tracecat", known=("actions",))
        return made

    def connect(self, actions: Mapping[str, Source]) -> None:
        count = 0
        for ref, action in actions.items():
            before = action.value("depends_on", "edges")
            if not before:
                self.wiring.wire(START, ref)
            for one in as_list(before) if before else ():
                count += 1
                if count > MAX_EDGES:
                    raise self.source.wrong("actions", f"have more than {MAX_EDGES} wires.", "Split them.")
                name, _, edge = str(one).partition(".")
                if name not in actions or edge not in ("", "success", "error"):
                    raise action.wrong(
                        "depends_on", f"has {str(one)[:60]!a}, which is not there.", "Name a ref."
                    )
                failed = edge == "error" and is_mail(actions[name].data)
                self.wiring.wire(name, ref, ERROR if failed else None)

    def step(self, ref: str, action: Source) -> Step:
        feeds = self.wiring.feeds(ref)
        self.wiring.before(ref)
        with named(ref, action.notes, self.untranslated):
            args = arguments(action)
            credential = self.credential(args)
            config = read(args, Scope(("nodes", START) if feeds.mails else (), self.untranslated))
        node: dict[str, Any] = {
            "id": ref if ref != "start" else "start_1",
            "type": "smtp",
            "credential": credential,
            "config": config,
        }
        if text := action.text("description", "notes"):
            node["notes"] = text
        with named(ref, action.notes, self.untranslated):
            finish(action)
        return Step(ref, node, feeds, action.place, conditional=action.has("run_if"))


def definition(part: Source) -> Source:
    """The definition in a file of one, or the part itself."""
    if "actions" in part.data or not isinstance(part.data.get("definition"), Mapping):
        return part
    part.rest("belongs to Tracecat", known=("definition",))
    return cast(Source, part.inner("definition"))


def nothing() -> InvalidConfiguration:
    """The error for a document in which no mail is sent."""
    return InvalidConfiguration(
        "There is nothing that sends mail.",
        hint=f"Give an action {SEND}, or the secret smtp.",
        parameter="actions",
    )
