"""The SMTP node: sends one mail for each item, or one for all of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from time import monotonic
from typing import Any, ClassVar

from nina_smtp.delivery.account import Account
from nina_smtp.delivery.mailnode import Built
from nina_smtp.delivery.result import OnPartial, Result, Results, Status
from nina_smtp.errors import (
    InternalError,
    InvalidCredential,
    NinaError,
    NotAttempted,
    ParameterError,
    SomeRecipientsRefused,
)
from nina_smtp.forms import fill_in
from nina_smtp.message import Message
from nina_smtp.node import NodeFailed, NodeType, Outputs, Task
from nina_smtp.parameters.merge import AutoExtract, Merged, Merger, Source
from nina_smtp.smtp.session import Delivery
from nina_smtp.workflow.items import Item

from .courier import Courier
from .forms import NodeFields, SendFields, SendRawFields
from .mail import Naming, build
from .schema import OUTPUT_SCHEMA
from .tables import insertion_mode, table


class SmtpNode(NodeType):
    """Sends mail."""

    type = "smtp"
    title = "SMTP"
    description = "Sends mail through an SMTP server."
    aliases = ("mail", "email", "e-mail", "send", "notify", "alert", "message")
    config = NodeFields
    operations: ClassVar = {"send": SendFields, "sendRaw": SendRawFields}
    output_schema = OUTPUT_SCHEMA
    credentials = ("smtp",)
    outputs = ("success", "error")

    def check(self, config: Mapping[str, Any]) -> None:
        """Raises ParameterError for unknown keys, and for templates and paths that cannot be read."""
        _plan(config)

    async def execute(self, task: Task) -> Outputs:
        """Mails that went out leave by ``success``, the others by ``error``.

        With ``onError: fail`` and no wire at ``error`` the node fails with the first mail that does.
        """
        results = await self.deliver(task)
        fields = fill_in(NodeFields, task.config, ParameterError)
        items = task.items
        outputs: dict[str, list[Item]] = {"success": [], "error": []}
        failure: NinaError | None = None
        for result in results:
            good = result.succeeded(results.on_partial)
            lineage = items[result.item].lineage if fields.options.mode == "each" else ()
            outputs["success" if good else "error"].append(Item(result.as_dict(), lineage))
            failure = failure or (None if good else result.error)
        if failure and fields.options.on_error == "fail" and "error" not in task.wired:
            raise NodeFailed(failure, outputs)
        return outputs

    def build(self, task: Task, index: int = 0) -> Built:
        """The mail for input item ``index``. Raises ParameterError."""
        work = _Work.of(task)
        merged = work.merge(index)
        return Built(work.build(merged, index), work.sources(merged))

    async def deliver(
        self, task: Task, *, dry_run: bool = False, on_message: Callable[[int, Message], Any] | None = None
    ) -> Results:
        """One result for each mail, in the order of the items; nothing is raised for what becomes of them.

        Raises ParameterError for a node that is wrong whatever the items are, and for too many items.
        """
        work = _Work.of(task)
        courier = Courier(work.account)
        results = Results(on_partial=OnPartial(work.plan.fields.options.on_partial))
        stopped = False
        try:
            for index in range(len(work.inputs)):
                if stopped:
                    results.append(Result(Status.NOT_ATTEMPTED, index, error=_not_attempted()))
                    continue
                result = await work.send(index, None if dry_run else courier, on_message)
                results.append(result)
                stopped = work.plan.fields.options.on_error == "fail" and not result.succeeded(
                    results.on_partial
                )
        finally:
            await courier.close()
        return results


@dataclass(frozen=True, slots=True)
class _Plan:
    """A node's configuration, checked and made ready."""

    fields: NodeFields
    merger: Merger


def _plan(config: Mapping[str, Any]) -> _Plan:
    fields = fill_in(NodeFields, config, ParameterError, source="node")
    merger = Merger(
        table(fields.operation),
        fields.parameters,
        fields.extract,
        auto_extract=AutoExtract(fields.options.auto_extract),
        mode=insertion_mode,
    )
    return _Plan(fields, merger)


@dataclass(frozen=True, slots=True)
class _Work:
    """One execution: the plan, and what there is to do."""

    plan: _Plan
    task: Task
    account: Account
    inputs: Sequence[Mapping[str, Any]]

    @classmethod
    def of(cls, task: Task) -> _Work:
        plan = _plan(task.config)
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
        self, index: int, courier: Courier | None, on_message: Callable[[int, Message], Any] | None
    ) -> Result:
        """Merges, builds and sends the mail for one input; without a courier it stops before sending."""
        begin = monotonic()
        sources: dict[str, Source] = {}
        try:
            merged = self.merge(index)
            sources = self.sources(merged)
            message = self.build(merged, index)
        except Exception as error:
            fault = _fault(error)
            return Result(Status.FAILED, index, sources=sources, duration_ms=_since(begin), error=fault)
        if on_message:
            on_message(index, message)
        if courier is None:
            return self._result(Status.DRY_RUN, index, message, sources, begin)
        try:
            delivery, attempts = await courier.deliver(message)
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
            accepted=delivery.accepted,
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


def _not_attempted() -> NinaError:
    return NotAttempted(
        "An earlier mail failed, so this one was not attempted.",
        hint="Put the first one right; with onError: continue the others go out all the same.",
    )


def _since(begin: float) -> int:
    return round((monotonic() - begin) * 1000)


NODE = SmtpNode()
