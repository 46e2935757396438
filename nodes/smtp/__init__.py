"""The SMTP node: sends one mail for each item, or one for all of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from nina_smtp.delivery.mailnode import Built, Callbacks, Depth, OnMessage, OnProgress, OnResult
from nina_smtp.delivery.result import Results, Status
from nina_smtp.delivery.schema import RESULT_SCHEMA
from nina_smtp.errors import NinaError, ParameterError
from nina_smtp.forms import fill_in
from nina_smtp.node import NodeFailed, NodeType, Outputs, Task
from nina_smtp.workflow.items import Item

from .courier import Courier
from .forms import NodeFields, SendFields, SendRawFields
from .rehearsal import Rehearsal
from .work import Work, plan_of


class SmtpNode(NodeType):
    """Sends mail."""

    type = "smtp"
    title = "SMTP"
    description = "Sends mail through an SMTP server."
    aliases = ("mail", "email", "e-mail", "send", "notify", "alert", "message")
    config = NodeFields
    operations: ClassVar = {"send": SendFields, "sendRaw": SendRawFields}
    output_schema = RESULT_SCHEMA
    credentials = ("smtp", "smtpOAuth2")
    outputs = ("success", "error")

    def check(self, config: Mapping[str, Any]) -> None:
        """Raises ParameterError for unknown keys, and for templates and paths that cannot be read."""
        plan_of(config)

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
            good = result.succeeded(results.on_partial) or result.status is Status.DEFERRED
            lineage = items[result.item].lineage if fields.options.mode == "each" else ()
            outputs["success" if good else "error"].append(Item(result.as_dict(), lineage))
            failure = failure or (None if good else result.error)
        if failure and fields.options.on_error == "fail" and "error" not in task.wired:
            raise NodeFailed(failure, outputs)
        return outputs

    def build(self, task: Task, index: int = 0) -> Built:
        """The mail for input item ``index``. Raises ParameterError."""
        work = Work.of(task)
        merged = work.merge(index)
        return Built(work.build(merged, index), work.sources(merged))

    async def deliver(
        self,
        task: Task,
        *,
        dry_run: Depth | None = None,
        on_message: OnMessage | None = None,
        on_result: OnResult | None = None,
        on_progress: OnProgress | None = None,
    ) -> Results:
        """One result for each mail, in the order of the items; nothing is raised for what becomes of them.

        Raises ParameterError for a node that is wrong whatever the items are, and for too many items.
        """
        work = Work.of(task)
        callbacks = Callbacks(on_message, on_result, on_progress)
        if dry_run:
            rehearsal = Rehearsal(work, callbacks)
            await rehearsal.perform(dry_run)
            return rehearsal.results
        if task.outbox:
            from .recorded import RecordedCourier  # it needs the extra "ledger"

            recorded = RecordedCourier(work, task.outbox, callbacks)
            await recorded.send()
            return recorded.results
        courier = Courier(work, callbacks)
        await courier.send()
        return courier.results


NODE = SmtpNode()
