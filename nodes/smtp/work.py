"""One execution of the SMTP node: what there is to do, and doing it mail by mail."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from time import monotonic
from typing import Any

from nina_smtp.delivery.account import Account
from nina_smtp.delivery.result import Result, Status
from nina_smtp.errors import (
    InternalError,
    Interrupted,
    InvalidCredential,
    NinaError,
    NotAttempted,
    ParameterError,
    SomeRecipientsRefused,
)
from nina_smtp.forms import fill_in
from nina_smtp.message import Message
from nina_smtp.node import Task
from nina_smtp.parameters.merge import AutoExtract, Merged, Merger, Source
from nina_smtp.smtp.failures import uncertain
from nina_smtp.smtp.session import Delivery

from .courier import Courier
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
        if not isinstance(task.credential, Account):
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

    def merge(self, index: int) -> Merged:
        return self.plan.merger.merge(self.inputs[index], self._upstream(index))

    def build(self, merged: Merged, index: int) -> Message:
        naming = Naming(self.task.key, self.task.installation_key)
        return build(merged, self.account, self.task.blobs, naming, index)

    def sources(self, merged: Merged) -> dict[str, Source]:
        """Where each value came from, the sender's too if the credential gave it."""
        found = dict(merged.sources)
        if "from" not in found and self.plan.fields.operation == "send":
            found["from"] = Source("credential")
        return found

    async def send(
        self,
        index: int,
        courier: Courier | None,
        on_message: Callable[[int, Message], Any] | None,
        on_result: Callable[[Result], Any],
    ) -> Result:
        """Merges, builds and sends the mail for one input; without a courier it stops before sending.

        Cancelled, it still says what became of the mail.
        """
        begin = monotonic()
        sources: dict[str, Source] = {}
        try:
            merged = self.merge(index)
            sources = self.sources(merged)
            message = self.build(merged, index)
            if on_message:
                on_message(index, message)
        except Exception as error:
            fault = _fault(error)
            return Result(Status.FAILED, index, sources=sources, duration_ms=_since(begin), error=fault)
        if courier is None:
            return self._result(Status.DRY_RUN, index, message, sources, begin)
        try:
            delivery, attempts = await courier.deliver(message)
        except asyncio.CancelledError:
            status = Status.UNKNOWN if courier.in_doubt else Status.FAILED
            on_result(
                self._result(status, index, message, sources, begin, attempts=1, error=_interrupted(courier))
            )
            raise
        except Exception as error:  # a stored file that cannot be read, say: the final dot was not sent
            return self._result(
                Status.FAILED, index, message, sources, begin, attempts=1, error=_fault(error)
            )
        return self._result(
            _status(delivery),
            index,
            message,
            sources,
            begin,
            accepted=() if delivery.error and delivery.error.uncertain else delivery.accepted,
            rejected=delivery.refused,
            response=str(delivery.reply) if delivery.reply else None,
            attempts=attempts,
            server=courier.facts,
            error=delivery.error or _some_refused(delivery),
        )

    def _result(
        self,
        status: Status,
        index: int,
        message: Message,
        sources: Mapping[str, Source],
        begin: float,
        **facts: Any,
    ) -> Result:
        return Result(
            status,
            index,
            message_id=message.message_id,
            envelope=message.envelope,
            size=message.size,
            sources=sources,
            warnings=(*self.account.warnings, *message.warnings),
            duration_ms=_since(begin),
            **facts,
        )

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


def _digest(inputs: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
    """The one input of mode ``once``: the first item's keys, and all items as ``items``."""
    return {**inputs[0], "items": list(inputs)}


def _status(delivery: Delivery) -> Status:
    if delivery.error:
        return Status.UNKNOWN if delivery.error.uncertain else Status.FAILED
    return Status.PARTIAL if delivery.refused else Status.SENT


def _fault(error: Exception) -> NinaError:
    """The error itself if it is ours; of any other only its kind: its text may hold a secret."""
    if isinstance(error, NinaError):
        return error
    return InternalError(
        f"The mail stopped on an unexpected {type(error).__name__}.",
        hint="If it has stored files, see whether they can be read; else this is a fault of the node.",
    )


def _some_refused(delivery: Delivery) -> NinaError | None:
    if not delivery.refused:
        return None
    first, total = delivery.refused[0], len(delivery.refused) + len(delivery.accepted)
    return SomeRecipientsRefused(
        f"{len(delivery.refused)} of {total} recipients were refused, {first.address} first.",
        hint="The others have the mail: correct these addresses, and send it to them alone.",
        phase="rcpt",
        reply=first.reply,
    )


def not_attempted(why: str) -> NinaError:
    """The error of a mail that was left alone."""
    return NotAttempted(
        why, hint="Put right what stopped it; with onError: continue a failure stops nothing."
    )


def _interrupted(courier: Courier) -> NinaError:
    if courier.in_doubt:
        return uncertain("it was interrupted while it waited for it.", None)
    return Interrupted(
        "It was interrupted before the mail was out.", hint="Nothing was delivered: send it again."
    )


def _since(begin: float) -> int:
    return round((monotonic() - begin) * 1000)
