"""One execution of the SMTP node: what there is to do."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

from nina_smtp.delivery.account import Account
from nina_smtp.delivery.result import is_result
from nina_smtp.errors import InvalidCredential, NinaError, NotAttempted, ParameterError
from nina_smtp.forms import fill_in
from nina_smtp.message import Message
from nina_smtp.node import Task
from nina_smtp.parameters.merge import AutoExtract, Merged, Merger, Source

from .forms import NodeFields
from .mail import Naming, build
from .tables import insertion_mode, table


@dataclass(frozen=True, slots=True)
class Plan:
    """A node's configuration, checked and made ready."""

    fields: NodeFields
    merger: Merger


def plan_of(config: Mapping[str, Any]) -> Plan:
    fields = fill_in(NodeFields, config, ParameterError, source="node")
    merger = Merger(
        table(fields.operation),
        fields.parameters,
        fields.extract,
        auto_extract=AutoExtract(fields.options.auto_extract),
        only_node=fields.options.sources == "node",
        tells_of_a_mail=is_result,
        mode=insertion_mode,
    )
    return Plan(fields, merger)


@dataclass(frozen=True, slots=True)
class Work:
    """One execution: the plan, and what there is to do."""

    plan: Plan
    task: Task
    account: Account
    inputs: Sequence[Mapping[str, Any]]

    @classmethod
    def of(cls, task: Task) -> Work:
        plan = plan_of(task.config)
        if not all(isinstance(one, Account) for one in (task.credential, *task.fallbacks)):
            raise InvalidCredential(
                "The node has no credential.", hint="Pick one of type smtp.", parameter="credential"
            )
        options = plan.fields.options
        if options.max_items is not None and len(task.items) > options.max_items:
            raise ParameterError(
                f"There are {len(task.items)} input items; the node allows {options.max_items}.",
                hint="Raise maxItems, or filter the items. Nothing was sent.",
                parameter="options.maxItems",
                source="node",
            )
        inputs = [item.json for item in task.items]
        return cls(
            plan, task, task.credential, [_digest(inputs)] if options.mode == "once" and inputs else inputs
        )

    @property
    def route(self) -> tuple[Account, ...]:
        """The accounts, in the order in which they are used."""
        return (self.account, *self.task.fallbacks)

    def key_of(self, index: int) -> str | None:
        """What an item's mail is called: the execution's key, and the item's name or number."""
        task = self.task
        return f"{task.key}/{task.names[index] if task.names else index}" if task.key else None

    def merge(self, index: int) -> Merged:
        return self.plan.merger.merge(self.inputs[index], self._upstream(index))

    def build(self, merged: Merged, index: int) -> Message:
        key = self.task.installation_key
        if not key and self.task.outbox:
            key = self.task.outbox.ledger.installation_key
        naming = Naming(self.task.key, key, self.task.names)
        return build(merged, self.account, self.task.blobs, naming, index)

    def sources(self, merged: Merged) -> dict[str, Source]:
        """Where each value came from, the sender's too if the credential gave it."""
        found = dict(merged.sources)
        if "from" not in found and self.plan.fields.operation == "send":
            found["from"] = Source("credential")
        return found

    def digest(self, merged: Merged) -> str:
        """Of what was asked for, so that a key is not used for two mails."""
        text = json.dumps(merged.values, sort_keys=True, default=_plain)
        return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()

    def _upstream(self, index: int) -> Mapping[str, Any] | None:
        """What ``{{ nodes["Name"] }}`` is: that node's item for this one, its only one, or all."""
        if not self.task.upstream:
            return None
        nodes: dict[str, Any] = {}
        for name, items in self.task.upstream.items():
            if len(items) == 1 or len(items) == len(self.inputs):
                nodes[name] = items[0 if len(items) == 1 else index].json
            else:
                nodes[name] = [item.json for item in items]
        return {"nodes": nodes}


def _plain(value: Any) -> Any:
    return value.model_dump() if isinstance(value, BaseModel) else str(value)


def _digest(inputs: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
    """The one input of mode ``once``: the first item's keys, and all items as ``items``."""
    return {**inputs[0], "items": list(inputs)}


def not_attempted(why: str) -> NinaError:
    """The error of a mail that was left alone."""
    return NotAttempted(
        why, hint="Put right what stopped it; with onError: continue a failure stops nothing."
    )
