"""Workflows of n8n: its Send Email nodes, wired as there where everything between them is known."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, cast

from nina_smtp.dialects.imported import Fate, Json
from nina_smtp.dialects.logins import belongs, title
from nina_smtp.dialects.n8n import mail
from nina_smtp.dialects.n8n.expressions import Scope
from nina_smtp.dialects.source import Source, as_list
from nina_smtp.dialects.untranslated import Untranslated, named
from nina_smtp.dialects.wiring import ERROR, Feeds, Kind, Step, Wiring, warn, workflow
from nina_smtp.errors import InvalidConfiguration
from nina_smtp.workflow.model import MAX_EDGES, MAX_NODES

SEND = "n8n-nodes-base.emailSend"
TRIGGER = "n8n-nodes-base.manualTrigger"
THROUGH = frozenset({"n8n-nodes-base.noOp"})
NOTE = "n8n-nodes-base.stickyNote"
START = "Start"

_TRIGGERS = frozenset(
    {f"n8n-nodes-base.{name}" for name in ("webhook", "start", "cron", "interval", "emailReadImap")}
)
_ID = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_ON_ERROR = {"stopWorkflow": False, "continueRegularOutput": True, "continueErrorOutput": True}
_OWN = (
    "active",
    "settings",
    "id",
    "versionId",
    "meta",
    "tags",
    "staticData",
    "createdAt",
    "updatedAt",
    "shared",
)


@dataclass(slots=True)
class Found:
    """A node of ours; ``skips``: in n8n it trusts any certificate. ``place`` is that of its parameters."""

    name: str
    credential: str
    config: Json
    skips: bool
    place: str


@dataclass(slots=True)
class Flow:
    """A document with nodes, being read."""

    source: Source
    name: str
    credential: str
    untranslated: Untranslated = field(default_factory=Untranslated)
    wiring: Wiring = field(default_factory=Wiring)
    types: dict[str, str] = field(default_factory=dict[str, str])
    mails: dict[str, Source] = field(default_factory=dict[str, Source])
    trigger: Source | None = None
    start_name: str = ""
    found: list[Found] = field(default_factory=list[Found])
    silent: frozenset[str] = frozenset()

    def read(self) -> Json | None:
        """The workflow, or None if no mail is left. Raises InvalidConfiguration."""
        self.name = title(self.source, "name", self.name, 200)
        nodes = self.source.objects("nodes")
        if len(nodes) > MAX_NODES:
            raise self.source.wrong("nodes", f"are more than {MAX_NODES}.", "Split the workflow.")
        for index, node in enumerate(nodes):
            self.sort(node, index)
        if self.trigger is None:
            free = (START, *(f"{START} {n}" for n in range(2, MAX_NODES + 3)))
            self.start_name = next(name for name in free if name not in self.wiring.kinds)
            self.wiring.add(self.start_name, Kind.TRIGGER, self.source.at("nodes"))
        self.connect()
        steps = [self.step(name, node) for name, node in self.mails.items()]
        made = workflow(self.name, self.start(), steps, self.source.notes, self.types) if steps else None
        for key in _OWN:
            if key in self.source.data:
                self.source.note(key, Fate.LEFT_OUT, "belongs to n8n")
        self.source.rest("belongs to n8n", known=("nodes", "connections"))
        return made

    def sort(self, node: Source, index: int) -> None:
        """Takes a node for what it is here."""
        kind = node.text("type") or ""
        name = title(node, "name", f"Send Email {index + 1}" if kind == SEND else f"node {index}", 100)
        if kind == NOTE:
            self.source.note(f"nodes[{index}]", Fate.LEFT_OUT, "is a note on the canvas")
            return
        self.types[name] = kind
        through = kind in THROUGH or node.flag("disabled") is True
        if kind == SEND and not self.left_out(name, node):
            self.wiring.add(name, Kind.THROUGH if through else Kind.MAIL, node.place)
            self.mails[name] = node
        elif kind.endswith("Trigger") or kind in _TRIGGERS:
            self.wiring.add(name, Kind.TRIGGER if self.trigger is None else Kind.OTHER, node.place)
            self.start_with(node, name, index, kind)
        else:
            self.wiring.add(name, Kind.THROUGH if through else Kind.OTHER, node.place)
            why = "hands on what it gets, so it is not needed" if through else f"is a {kind[:80]}, not a mail"
            self.source.note(f"nodes[{index}]", Fate.LEFT_OUT, why)

    def left_out(self, name: str, node: Source) -> bool:
        with named(name, node.notes, self.untranslated):
            return mail.other_operation(
                node.inner("parameters") or Source({}, node.at("parameters"), node.notes)
            )

    def start_with(self, node: Source, name: str, index: int, kind: str) -> None:
        place = f"nodes[{index}]"
        if self.trigger is not None:
            self.source.note(place, Fate.LEFT_OUT, "is a second trigger; here a workflow has one")
            return
        self.trigger, self.start_name = node, name
        same = kind == TRIGGER
        why = (
            ""
            if same
            else "here the workflow is started by hand, or by the host: its items are given to the run"
        )
        self.source.note(place, Fate.SAME if same else Fate.BETTER, why, "manual_trigger")

    def connect(self) -> None:
        connections = self.source.inner("connections")
        count = 0
        for origin, outputs in _items(connections.data if connections else None):
            for kind, ports in _items(outputs):
                for port, targets in enumerate(_list(ports)):
                    for target in _list(targets):
                        count += 1
                        self.check(count)
                        self.wire(origin, port if kind == "main" else -1, target)
        if count or self.trigger:
            self.silent = self.wiring.silence(self.start_name)
        if connections:
            self.source.note("connections", Fate.SAME, becomes="edges")

    def check(self, count: int) -> None:
        if count > MAX_EDGES:
            raise self.source.wrong("connections", f"has more than {MAX_EDGES} wires.", "Split the workflow.")

    def wire(self, origin: str, port: int, target: object) -> None:
        name = cast(Mapping[str, Any], target).get("node") if isinstance(target, Mapping) else None
        if isinstance(name, str) and port >= 0:
            failed = port == 1 and self.types.get(origin) == SEND
            self.wiring.wire(origin, name, ERROR if failed else None)

    def step(self, name: str, node: Source) -> Step:
        feeds = self.wiring.feeds(name)
        before = self.wiring.before(name)
        item = "data" if not feeds.mails else "mixed" if feeds.trigger or feeds.others else "result"
        if any(output for _, output in feeds.mails):
            item = "mixed"
        scope = Scope(item, {self.start_name: False, **dict.fromkeys(before, True)}, self.untranslated)
        with named(name, node.notes, self.untranslated):
            return self.made(name, node, scope, feeds)

    def made(self, name: str, node: Source, scope: Scope, feeds: Feeds) -> Step:
        done = read_node(node, name, scope, self.credential)
        self.found.append(done)
        made: dict[str, Any] = {
            "id": self.node_id(node, f"mail-{len(self.found)}"),
            "type": "smtp",
            "position": self.position(node, 240.0 * len(self.found)),
            "credential": done.credential,
            "config": done.config,
        }
        disabled = node.flag("disabled") is True
        if name in self.silent:
            disabled = True
            why = "is not behind a trigger, so n8n never runs it: it is disabled here"
            warn(node.notes, node.place, why)
        if disabled:
            made["disabled"] = True
        if text := node.text("notes", "notes"):
            made["notes"] = text
        finish(node)
        return Step(name, made, feeds, node.place)

    def start(self) -> dict[str, Any]:
        """The trigger, with the data pinned to it as its sample."""
        node, name = self.trigger, self.start_name
        pinned = self.source.value("pinData")
        items = _list(cast(Mapping[str, Any], pinned).get(name)) if isinstance(pinned, Mapping) else []
        samples: list[Any] = [dict(_items(one)).get("json") for one in items]
        known: list[Json] = [one for one in samples if isinstance(one, Mapping)]
        if pinned:
            why = "" if known else "no data is pinned to the trigger"
            self.source.note("pinData", Fate.SAME if known else Fate.LEFT_OUT, why, "manual_trigger: items")
        return {
            "id": self.node_id(node, "start") if node else "start",
            "type": "manual_trigger",
            "name": name,
            "position": self.position(node, 0.0),
            "config": {"items": known} if known else {},
        }

    def node_id(self, node: Source, default: str) -> str:
        given = node.value("id")
        ids = [
            one.data.get("id") for one in (*self.mails.values(), *([self.trigger] if self.trigger else []))
        ]
        usable = isinstance(given, str) and _ID.fullmatch(given) and ids.count(given) == 1
        free = next(one for one in (default, *(f"{default}.{n}" for n in range(1001))) if one not in ids)
        node.note("id", Fate.SAME, becomes="id")
        return given if usable else free

    def position(self, node: Source | None, default: float) -> dict[str, float]:
        given = _list(node.value("position", "position")) if node else []
        fits = len(given) == 2 and all(type(one) in (int, float) and abs(one) < 1e9 for one in given)
        x, y = given if fits else (default, 0.0)
        return {"x": float(x), "y": float(y)}


def read_node(node: Source, name: str, scope: Scope, credential: str) -> Found:
    """One Send Email node. ``credential`` is what its credential is called if it does not say."""
    version = node.text("typeVersion", "the parameters")
    if version is not None and not re.fullmatch(r"[12](\.[0-9])?", version):
        raise node.wrong("typeVersion", "is not known.", "There are: 1, 2, 2.1.")
    parameters = node.inner("parameters") or Source({}, node.at("parameters"), node.notes)
    made = mail.read(parameters, float(version) if version else None, scope)
    options: dict[str, Any] = {"sources": "node"}
    if node.flag("executeOnce"):
        options["mode"] = "once"
        node.note("executeOnce", Fate.SAME, becomes="options.mode")
    goes_on = node.choice("onError", _ON_ERROR)
    key = "onError" if goes_on is not None else "continueOnFail"
    if goes_on or node.flag("continueOnFail"):
        options["onError"] = "continue"
        node.note(
            key,
            Fate.BETTER,
            "the other mails are sent; failed ones leave by the output error",
            "options.onError",
        )
    elif node.has(key):
        node.note(key, Fate.SAME, becomes="options.onError")
    config = {"resource": "email", "operation": "send", "parameters": made.parameters, "options": options}
    return Found(name, _credential(node, credential), config, made.unverified, parameters.place)


def _credential(node: Source, default: str) -> str:
    inner = node.inner("credentials")
    smtp = inner.inner("smtp") if inner else None
    if inner is None or smtp is None:
        return default
    name = smtp.text("name", "credential")
    if name and len(name) > 200:
        raise smtp.wrong("name", "is longer than 200 characters.", "Give it a shorter one.")
    smtp.note("id", Fate.LEFT_OUT, "belongs to n8n; the name tells which it is")
    smtp.rest("belongs to n8n")
    inner.rest("is not a credential for mail")
    return name or default


def finish(node: Source) -> None:
    """Tells of what is left of a node."""
    for key in ("type", "name"):
        node.note(key, Fate.SAME, becomes=key)
    if node.has("disabled"):
        node.note("disabled", Fate.SAME, becomes="disabled")
    for key in ("retryOnFail", "maxTries", "waitBetweenTries"):
        if key in node.data:
            node.note(
                key,
                Fate.BETTER,
                "nothing is sent twice by chance: with a ledger, a mail that the server "
                "puts off is tried again",
            )
    belongs(node, "n8n", "alwaysOutputData", "webhookId")


def _list(value: object) -> list[Any]:
    return as_list(cast(object, value)) if isinstance(value, list) else []


def _items(value: object) -> list[tuple[str, Any]]:
    return list(cast(Mapping[str, Any], value).items()) if isinstance(value, Mapping) else []


def none_left() -> InvalidConfiguration:
    """The error for a document in which no mail is sent."""
    return InvalidConfiguration(
        "There is no Send Email node.",
        hint=f"Give a workflow with nodes of the type {SEND}.",
        parameter="nodes",
    )
