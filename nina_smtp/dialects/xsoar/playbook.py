"""Playbooks of XSOAR: the tasks that send mail, wired as there where every task between is known."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, cast

from nina_smtp.dialects.imported import Fate, Json
from nina_smtp.dialects.logins import belongs, title
from nina_smtp.dialects.source import Source, as_list
from nina_smtp.dialects.untranslated import Untranslated, named
from nina_smtp.dialects.wiring import ERROR, Feeds, Kind, Step, Wiring, warn, workflow
from nina_smtp.dialects.xsoar import mail
from nina_smtp.dialects.xsoar.context import Arguments
from nina_smtp.parameters.paths import Step as PathStep
from nina_smtp.workflow.model import MAX_EDGES, MAX_NODES

COMMAND = "send-mail"
START = "Start"

_ID = re.compile(r"[A-Za-z0-9_.-]{1,50}")
_BRANDS = frozenset({"", "Mail Sender (New)"})


def command_of(data: Mapping[str, Any]) -> str | None:
    """The command that a task or an entry of the War Room runs."""
    inner = data.get("task")
    held = cast(Mapping[str, Any], inner) if isinstance(inner, Mapping) else data
    found = next(
        (held[key] for key in ("script", "scriptName", "command", "scriptId") if held.get(key)), None
    )
    return found if isinstance(found, str) else None


def is_mail(data: Mapping[str, Any]) -> bool:
    """Whether it runs ``send-mail``, of whatever brand."""
    command = command_of(data) or ""
    return command.lstrip("!").rpartition("|||")[2] == COMMAND


@dataclass(frozen=True, slots=True)
class Sending:
    """A task that sends mail, read."""

    name: str
    config: Json
    credential: str | None


def read_task(
    task: Source, default: str, untranslated: Untranslated, before: tuple[PathStep, ...] = ()
) -> Sending:
    """A node of a task, or of a command with its arguments. Raises InvalidConfiguration."""
    inner = task.inner("task")
    holder = inner or task
    command = command_of(task.data) or ""
    brand = command.lstrip("!").rpartition("|||")[0]
    key = next(key for key in ("script", "scriptName", "command", "scriptId") if holder.data.get(key))
    if brand in _BRANDS:
        holder.note(key, Fate.SAME, becomes="operation")
    else:
        holder.note(
            key,
            Fate.WARNING,
            f"is send-mail of {brand[:60]}; its arguments are read as those of Mail Sender (New)",
            "operation",
        )
    name = title(holder, "name", default)
    held = [one for one in ("scriptarguments", "arguments", "args") if task.has(one)]
    arguments = Arguments(
        task.inner(held[0]) or Source({}) if held else Source({}, task.place, task.notes),
        before,
        untranslated,
    )
    made = mail.read(arguments)
    goes_on = task.flag("continueonerror") is True
    if goes_on:
        task.note("continueonerror", Fate.SAME, becomes="options.onError")
    config = config_of(made, goes_on=goes_on)
    if inner:
        belongs(inner, "XSOAR", "id", "version", "type", "iscommand")
    return Sending(name, config, made.using)


def _called(task: Source, default: str) -> str:
    inner = task.data.get("task")
    held = cast(Mapping[str, Any], inner) if isinstance(inner, Mapping) else task.data
    return str(held.get("name") or default)[:100]


def config_of(made: mail.Mail, *, goes_on: bool = False) -> Json:
    """The configuration of a node."""
    options = {"sources": "node"} | ({"onError": "continue"} if goes_on else {})
    return {
        "resource": "email",
        "operation": made.operation,
        "parameters": made.parameters,
        "options": options,
    }


@dataclass(slots=True)
class Playbook:
    """A playbook, being read. ``credential`` is what one is called that no task names."""

    source: Source
    name: str
    credential: str
    untranslated: Untranslated
    wiring: Wiring = field(default_factory=Wiring)
    names: dict[str, str] = field(default_factory=dict[str, str])
    start: str = START
    silent: frozenset[str] = frozenset()
    ids: dict[str, str] = field(default_factory=dict[str, str])

    def read(self) -> Json | None:
        """The workflow, or None if no task sends mail. Raises InvalidConfiguration."""
        self.name = title(self.source, "name", self.name, 200)
        tasks = cast(Source, self.source.inner("tasks"))
        if len(tasks.data) > MAX_NODES:
            raise self.source.wrong("tasks", f"are more than {MAX_NODES}.", "Split the playbook.")
        found = {key: task for key in tasks.data if (task := tasks.inner(str(key)))}
        first = self.source.text("starttaskid", "manual_trigger")
        for key, task in found.items():
            self.sort(tasks, key, task, first)
        self.connect(found)
        mails = {key: task for key, task in found.items() if is_mail(task.data)}
        taken: set[str] = {self.start}
        sent = [self.step(key, task, number, taken) for number, (key, task) in enumerate(mails.items(), 1)]
        trigger: Json = {"id": "start", "type": "manual_trigger", "name": self.start, "config": {}}
        steps = [Step(name, node, self.feeds(key), task.place) for key, task, name, node in sent]
        made = workflow(self.name, trigger, steps, self.source.notes, self.names) if steps else None
        self.source.rest("belongs to XSOAR", known=("tasks",))
        return made

    def sort(self, tasks: Source, key: str, task: Source, first: str | None) -> None:
        kind = str(task.data.get("type", ""))[:40]
        self.names[key] = kind
        if is_mail(task.data):
            self.wiring.add(key, Kind.MAIL, task.place)
        elif kind == "start" or key == first:
            self.wiring.add(key, Kind.TRIGGER, task.place)
            tasks.note(key, Fate.SAME, becomes="manual_trigger")
        else:
            self.wiring.add(key, Kind.THROUGH if kind == "title" else Kind.OTHER, task.place)
            command = command_of(task.data) or kind or "task"
            tasks.note(key, Fate.LEFT_OUT, f"is a {command[:60]}, not a mail")

    def connect(self, tasks: Mapping[str, Source]) -> None:
        count = 0
        for key, task in tasks.items():
            following = task.data.get("nexttasks")
            for label, targets in (
                cast(Mapping[str, Any], following).items() if isinstance(following, Mapping) else ()
            ):
                for target in as_list(targets):
                    count += 1
                    if count > MAX_EDGES:
                        raise self.source.wrong("tasks", f"have more than {MAX_EDGES} wires.", "Split them.")
                    failed = label == "#error#" and self.wiring.kinds[key] is Kind.MAIL
                    self.wiring.wire(key, str(target), ERROR if failed else None)
        if count:
            self.silent = self.wiring.silence(self.start)

    def step(
        self, key: str, task: Source, number: int, taken: set[str]
    ) -> tuple[str, Source, str, dict[str, Any]]:
        feeds = self.wiring.feeds(key)
        self.wiring.before(key)
        before = ("nodes", self.start) if feeds.mails else ()
        with named(_called(task, f"Mail {number}"), task.notes, self.untranslated):
            done = read_task(task, f"Mail {number}", self.untranslated, before)
        name = next(
            n for n in (done.name, *(f"{done.name[:90]} {i}" for i in range(2, 1010))) if n not in taken
        )
        taken.add(name)
        node: dict[str, Any] = {
            "id": f"task-{key}" if _ID.fullmatch(key) else f"task.{number}",
            "type": "smtp",
            "credential": done.credential or self.credential,
            "config": done.config,
        }
        if key in self.silent:
            node["disabled"] = True
            warn(
                task.notes,
                task.place,
                f"({name}) is not behind the start, so XSOAR never runs it: it is disabled here",
            )
        self.ids[key] = name
        task.note("nexttasks", Fate.SAME, becomes="edges")
        known = ("id", "taskid", "type", "view", "separatecontext", "note", "timertriggers")
        belongs(task, "XSOAR", *known)
        return key, task, name, node

    def feeds(self, key: str) -> Feeds:
        """What comes before it, by the names that the nodes have here."""
        feeds = self.wiring.feeds(key)
        return Feeds(
            feeds.trigger, tuple((self.ids[one], output) for one, output in feeds.mails), feeds.others
        )
