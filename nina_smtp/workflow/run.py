"""Runs a workflow in this process. The schedule decides; this starts nodes, waits, and keeps the clock."""

from __future__ import annotations

import asyncio
import logging
import traceback
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from time import monotonic
from typing import TYPE_CHECKING, Any

from nina_smtp.catalog import Catalog
from nina_smtp.errors import InternalError, NinaError
from nina_smtp.node import NodeFailed, NodeType, Outputs, Task
from nina_smtp.workflow.blobs import BlobStore
from nina_smtp.workflow.graph import Ports
from nina_smtp.workflow.items import Item, read_items
from nina_smtp.workflow.model import InlineCredential, Node, Workflow
from nina_smtp.workflow.problems import Problems
from nina_smtp.workflow.schedule import Finished, NodeStatus, Outcome, Ready, Reason, RunStatus, Schedule

if TYPE_CHECKING:
    from nina_smtp.delivery.outbox import Outbox

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class NodeRun:
    """What became of one node; ``reason`` says why it was skipped, ``error`` is the contract's, section 5."""

    node_id: str
    name: str
    status: NodeStatus
    items_in: int = 0
    outputs: Mapping[str, tuple[Item, ...]] = field(default_factory=dict[str, tuple[Item, ...]])
    error: Mapping[str, Any] | None = None
    reason: Reason | None = None
    duration_ms: int = 0

    def as_dict(self, *, brief: bool = False) -> dict[str, Any]:
        """JSON, keys without a value left out; ``brief`` has the number of items, not the items."""
        outputs = self.outputs.items()
        return {
            "node": self.node_id,
            "name": self.name,
            "status": self.status.value,
            "itemsIn": self.items_in,
            "outputs": {
                p: len(items) if brief else [item.as_dict() for item in items] for p, items in outputs
            },
            "durationMs": self.duration_ms,
            **({"error": dict(self.error)} if self.error else {}),
            **({"reason": self.reason.value} if self.reason else {}),
        }


@dataclass(frozen=True, slots=True)
class Run:
    """What became of a run: every node by id, in the order of the workflow."""

    status: RunStatus
    nodes: Mapping[str, NodeRun]
    duration_ms: int

    def as_dict(self, *, brief: bool = False) -> dict[str, Any]:
        """JSON: ``{"status", "durationMs", "nodes": […]}``."""
        nodes = [node.as_dict(brief=brief) for node in self.nodes.values()]
        return {"status": self.status.value, "durationMs": self.duration_ms, "nodes": nodes}


Progress = Callable[[NodeRun], None]
"""Called when a node starts (running) and when it is settled."""


async def run(
    workflow: Workflow,
    catalog: Catalog,
    *,
    trigger_items: object = None,
    credentials: Mapping[str, Any],
    blobs: BlobStore,
    key: str | None = None,
    progress: Progress | None = None,
    trigger: str | None = None,
    outbox: Outbox | None = None,
    patience: float | None = None,
) -> Run:
    """Runs a validated workflow to its end, each node as soon as it is ready.

    ``trigger_items`` (an object, text, a list of them, or items) replace what the triggers would start with;
    ``credentials`` are already read, by the name the nodes refer to; ``key`` names the run, so that a
    repeated one repeats its message ids; ``trigger`` is the id of the only trigger that fires; ``outbox`` and
    ``patience`` are the nodes' (:class:`~nina_smtp.node.Task`).

    Whatever a node does is in the Run. Raises WorkflowError if a credential is missing or unreadable, before
    any node has started. Cancelling it cancels the nodes.
    """
    read = _resolve(workflow, catalog, credentials)
    driver = _Driver(workflow, catalog, read, blobs, key, progress, outbox, patience)
    start = None if trigger_items is None else read_items(trigger_items, parameter="input", source="input")
    return await driver.run(Schedule(workflow, ports_of(workflow, catalog), trigger=trigger), start)


def ports_of(workflow: Workflow, catalog: Catalog) -> dict[str, Ports]:
    """The ports of every node type of the workflow, for its Schedule."""
    types = {name: catalog.node(name) for name in sorted({node.type for node in workflow.nodes})}
    return {name: Ports(tuple(found.inputs), tuple(found.outputs)) for name, found in types.items()}


async def perform(node_id: str, node_type: NodeType, task: Task) -> Finished:
    """One execution of one node, for every driver: what it raises becomes an error object.

    Only cancellation goes through. Of an exception that is none of ours only the class is told: its text may
    hold a secret.
    """
    try:
        outputs = await node_type.execute(task)
        return Finished(node_id, _checked(outputs, node_type))
    except NodeFailed as failure:
        return Finished(node_id, _checked(failure.outputs, node_type), error=failure.as_dict())
    except NinaError as error:
        return Finished(node_id, error=error.as_dict())
    except Exception as error:
        return Finished(node_id, error=_internal(node_type, error))
    except asyncio.CancelledError as error:
        current = asyncio.current_task()
        if current and current.cancelling():
            raise
        return Finished(
            node_id, error=_internal(node_type, error)
        )  # something inside it was cancelled, not it


def _checked(outputs: Outputs, node_type: NodeType) -> Outputs:
    for port, items in outputs.items():
        if port not in node_type.outputs:
            raise LookupError(port)
        if not all(isinstance(item, Item) for item in items):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise TypeError(port)
    return outputs


def _internal(node_type: NodeType, error: BaseException) -> dict[str, Any]:
    name = type(error).__name__
    frames = traceback.extract_tb(error.__traceback__)
    way = " > ".join(f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames)
    _log.error("node type %s raised %s: %s", node_type.type, name, way)  # its text may hold a secret
    told = InternalError(
        f"The node stopped on an unexpected {name}.",
        hint=f"This is a fault of the node type {node_type.type!r}; the log says where.",
    )
    return told.as_dict()


def _resolve(workflow: Workflow, catalog: Catalog, credentials: Mapping[str, Any]) -> dict[str, list[Any]]:
    problems = Problems()
    resolved: dict[str, list[Any]] = {}
    for index, node in enumerate(workflow.nodes):
        if node.disabled:
            continue
        resolved[node.id] = []
        for number, given in enumerate(node.route):
            place = f"nodes[{index}].credential{f'[{number}]' if isinstance(node.credential, list) else ''}"
            if isinstance(given, InlineCredential):
                try:
                    resolved[node.id].append(catalog.credential(given.type).read(given.data))
                except NinaError as error:
                    problems.add_error(f"{place}.data", error)
            elif given in credentials:
                resolved[node.id].append(credentials[given])
            else:
                names = ", ".join(sorted(credentials)) or "none"
                problems.add(place, f"There is no credential {given!r}.", f"There are: {names}.")
    problems.raise_if_any()
    return resolved


@dataclass
class _Driver:
    workflow: Workflow
    catalog: Catalog
    credentials: Mapping[str, list[Any]]
    blobs: BlobStore
    key: str | None
    progress: Progress | None
    outbox: Outbox | None
    patience: float | None
    running: dict[asyncio.Task[Finished], str] = field(default_factory=dict[asyncio.Task[Finished], str])
    started: dict[str, float] = field(default_factory=dict[str, float])
    settled: dict[str, NodeRun] = field(default_factory=dict[str, NodeRun])

    async def run(self, state: Schedule, trigger_items: tuple[Item, ...] | None) -> Run:
        begun = monotonic()
        nodes = {node.id: node for node in self.workflow.nodes}
        try:
            while True:
                self.note(state.result().nodes, nodes)
                for ready in state.ready():
                    if ready.node_id not in self.started:
                        self.start(nodes[ready.node_id], ready, trigger_items)
                if not self.running:
                    break
                finished, _ = await asyncio.wait(self.running, return_when=asyncio.FIRST_COMPLETED)
                state = state.after([task.result() for task in finished])
                for task in finished:
                    del self.running[task]
        finally:
            await _cancel(self.running)
        ordered = {node: self.settled[node] for node in state.result().nodes}
        return Run(state.result().status, ordered, _since(begun))

    def start(self, node: Node, ready: Ready, trigger_items: tuple[Item, ...] | None) -> None:
        node_type = self.catalog.node(node.type)
        self.started[node.id] = monotonic()
        self.tell(NodeRun(node.id, node.name, NodeStatus.RUNNING, len(ready.items)))
        if node_type.inputs or trigger_items is None:
            work = perform(node.id, node_type, self.task(node, ready, ready.items))
        elif trigger_items:
            work = perform(node.id, node_type, self.task(node, ready, trigger_items))
        else:
            work = _nothing(node.id)  # an empty task means: the node's own sample data
        self.running[asyncio.create_task(work)] = node.id

    def task(self, node: Node, ready: Ready, items: tuple[Item, ...]) -> Task:
        credential, *fallbacks = self.credentials.get(node.id) or [None]
        return Task(
            config=node.config,
            items=items,
            blobs=self.blobs,
            upstream=ready.upstream,
            credential=credential,
            fallbacks=fallbacks,
            outbox=self.outbox,
            patience=self.patience,
            key=None if self.key is None else f"{self.key}/{node.id}",
            wired=frozenset(edge.output or "" for edge in self.workflow.edges if edge.source == node.id),
        )

    def note(self, outcomes: Mapping[str, Outcome], nodes: Mapping[str, Node]) -> None:
        for node_id, outcome in outcomes.items():
            if node_id not in self.settled:
                self.settled[node_id] = NodeRun(
                    node_id,
                    nodes[node_id].name,
                    outcome.status,
                    outcome.items_in,
                    outcome.outputs,
                    outcome.error,
                    outcome.reason,
                    _since(self.started[node_id]) if node_id in self.started else 0,
                )
                self.tell(self.settled[node_id])

    def tell(self, news: NodeRun) -> None:
        if self.progress:
            self.progress(news)


async def _nothing(node_id: str) -> Finished:
    return Finished(node_id)


async def _cancel(tasks: Iterable[asyncio.Task[Finished]]) -> None:
    waiting = list(tasks)
    for task in waiting:
        task.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)


def _since(start: float) -> int:
    return round((monotonic() - start) * 1000)
