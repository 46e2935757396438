"""Which nodes are ready: a pure function of the graph and of what has finished.

No clock, no randomness, no I/O, and nothing depends on the order in which nodes finish, so a driver that
replays a run after a crash gets the same answers. The rules:

- A node is ready when every wire into it is settled: its source succeeded, failed, was skipped or disabled.
- A node whose wires all carry no items is skipped, and so carries none itself.
- A node that fails as a whole stops its branch: every node behind it is skipped, even if another wire into it
  carries items, because half the data would make a wrong mail. Other branches go on.
- A disabled node passes its input items on through its first output.
- Wires into one node are joined (:mod:`nina_smtp.workflow.join`); what cannot be joined fails the node.
- ``upstream`` holds ancestors only, so it cannot depend on timing either.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from nina_smtp.errors import WorkflowError
from nina_smtp.workflow.graph import Graph, Ports
from nina_smtp.workflow.items import Item
from nina_smtp.workflow.join import Feed, join, with_lineage
from nina_smtp.workflow.model import Workflow


class NodeStatus(StrEnum):
    """What became of a node."""

    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    SKIPPED = "skipped"
    DISABLED = "disabled"


class RunStatus(StrEnum):
    """What became of a run; ``partial`` is: a node failed, and some other branch was done to its end."""

    RUNNING = "running"
    SUCCEEDED = "succeeded"
    PARTIAL = "partial"
    FAILED = "failed"


class Reason(StrEnum):
    """Why a node was skipped."""

    NO_ITEMS = "noItems"
    FAILED_BEFORE = "failedBefore"
    NOT_TRIGGERED = "notTriggered"


@dataclass(frozen=True, slots=True)
class Ready:
    """A node that can run now, with everything it gets. It stays ready until it is finished."""

    node_id: str
    items: tuple[Item, ...]
    upstream: Mapping[str, tuple[Item, ...]]


@dataclass(frozen=True, slots=True)
class Finished:
    """What a node came to: its outputs by port, or the error object of the contract, section 5."""

    node_id: str
    outputs: Mapping[str, Sequence[Item]] = field(default_factory=dict[str, Sequence[Item]])
    error: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """A settled node. ``items_in`` counts what it got; ``outputs`` leaves out ports without items."""

    status: NodeStatus
    items_in: int = 0
    outputs: Mapping[str, tuple[Item, ...]] = field(default_factory=dict[str, tuple[Item, ...]])
    error: Mapping[str, Any] | None = None
    reason: Reason | None = None

    @property
    def blocks(self) -> bool:
        """Whether nothing behind this node may run."""
        return self.status is NodeStatus.FAILED or self.reason is Reason.FAILED_BEFORE


@dataclass(frozen=True, slots=True)
class Result:
    """The run so far: the outcome of every settled node by id, in the order of the workflow."""

    status: RunStatus
    nodes: Mapping[str, Outcome]


class Schedule:
    """The state of a run: a value. ``finished``, ``failed`` and ``after`` give the next and change nothing.

    ``ports`` is by node type. With ``trigger``, the id of the node that starts this run, the other nodes
    without inputs are skipped.
    """

    def __init__(self, workflow: Workflow, ports: Mapping[str, Ports], *, trigger: str | None = None) -> None:
        self._graph = Graph.of(workflow, ports)
        self._trigger = trigger
        self._settled: dict[str, Outcome] = {}
        self._ready: dict[str, Ready] = {}
        self._settle(node for node, wires in self._graph.into.items() if not wires)

    def ready(self) -> tuple[Ready, ...]:
        """Every node that can run and is not finished, by rank, then id. A driver starts those it has not."""
        return tuple(self._ready[node] for node in self._graph.in_order(self._ready))

    def finished(self, node_id: str, outputs: Mapping[str, Sequence[Item]]) -> Schedule:
        """The state after a node succeeded. Raises ValueError if it was not ready or has no such output."""
        got = self._expect(node_id)
        if unknown := set(outputs) - set(self._graph.ports[node_id].outputs):
            raise ValueError(f"Node {node_id} has no output {min(unknown)!r}.")
        made = with_lineage(outputs, got.items)
        return self._with(node_id, Outcome(NodeStatus.SUCCEEDED, len(got.items), made))

    def failed(
        self, node_id: str, error: Mapping[str, Any], outputs: Mapping[str, Sequence[Item]] | None = None
    ) -> Schedule:
        """The state after a node failed as a whole; ``outputs`` are shown, and go nowhere.

        Raises ValueError if it was not ready.
        """
        got = self._expect(node_id)
        made = with_lineage(outputs or {}, got.items)
        return self._with(node_id, Outcome(NodeStatus.FAILED, len(got.items), made, error))

    def after(self, results: Iterable[Finished]) -> Schedule:
        """The state after all of ``results``, in whatever order. Raises ValueError if one could not run."""
        remaining = {result.node_id: result for result in results}
        state = self
        while now := [remaining.pop(node.node_id) for node in state.ready() if node.node_id in remaining]:
            for result in now:
                if result.error is not None:
                    state = state.failed(result.node_id, result.error, result.outputs)
                else:
                    state = state.finished(result.node_id, result.outputs)
        if remaining:
            raise ValueError(f"Node {min(remaining)} is not ready.")
        return state

    @property
    def done(self) -> bool:
        """Whether nothing is left to run."""
        return not self._ready

    def result(self) -> Result:
        """The outcome of every settled node, and of the run."""
        settled = {node: self._settled[node] for node in self._graph.nodes if node in self._settled}
        return Result(self._status() if self.done else RunStatus.RUNNING, settled)

    def _status(self) -> RunStatus:
        blocked = [node for node, outcome in self._settled.items() if outcome.blocks]
        if not blocked:
            return RunStatus.SUCCEEDED
        stopped = set(self._graph.ancestors(*blocked))
        done = (
            node
            for node, outcome in self._settled.items()
            if outcome.status is NodeStatus.SUCCEEDED and self._graph.into[node] and node not in stopped
        )
        return RunStatus.FAILED if next(done, None) is None else RunStatus.PARTIAL

    def _expect(self, node_id: str) -> Ready:
        if node_id not in self._ready:
            raise ValueError(f"Node {node_id} is not ready.")
        return self._ready[node_id]

    def _with(self, node_id: str, outcome: Outcome) -> Schedule:
        following = copy(self)
        following._settled = self._settled | {node_id: outcome}
        following._ready = {node: ready for node, ready in self._ready.items() if node != node_id}
        following._settle(self._graph.successors[node_id])
        return following

    def _settle(self, candidates: Iterable[str]) -> None:
        remaining = list(candidates)
        while remaining:
            node = remaining.pop()
            decided_before = node in self._settled or node in self._ready
            if decided_before or any(wire.source not in self._settled for wire in self._graph.into[node]):
                continue
            decided = self._decide(node)
            if isinstance(decided, Ready):
                self._ready[node] = decided
            else:
                self._settled[node] = decided
                remaining.extend(self._graph.successors[node])

    def _decide(self, node_id: str) -> Ready | Outcome:
        node, ports = self._graph.nodes[node_id], self._graph.ports[node_id]
        if not ports.inputs:
            return self._decide_trigger(node_id)
        wires = self._graph.into[node_id]
        if any(self._settled[wire.source].blocks for wire in wires):
            return Outcome(NodeStatus.SKIPPED, reason=Reason.FAILED_BEFORE)
        feeds = [
            Feed(
                wire.source,
                self._graph.nodes[wire.source].name,
                wire.output,
                self._settled[wire.source].outputs.get(wire.output, ()),
            )
            for wire in wires
        ]
        try:
            items = join(feeds, node.name)
        except WorkflowError as error:
            return Outcome(NodeStatus.FAILED, sum(len(feed.items) for feed in feeds), error=error.as_dict())
        if not items:
            return Outcome(NodeStatus.SKIPPED, reason=Reason.NO_ITEMS)
        if node.disabled:
            passed = {ports.outputs[0]: items} if ports.outputs else {}
            return Outcome(NodeStatus.DISABLED, len(items), passed)
        return Ready(node_id, items, self._upstream(node_id))

    def _decide_trigger(self, node_id: str) -> Ready | Outcome:
        if self._trigger is not None and node_id != self._trigger:
            return Outcome(NodeStatus.SKIPPED, reason=Reason.NOT_TRIGGERED)
        if self._graph.nodes[node_id].disabled:
            return Outcome(NodeStatus.DISABLED)
        return Ready(node_id, (), {})

    def _upstream(self, node_id: str) -> dict[str, tuple[Item, ...]]:
        return {
            self._graph.nodes[before].name: tuple(
                item
                for port in self._graph.ports[before].outputs
                for item in self._settled[before].outputs.get(port, ())
            )
            for before in self._graph.ancestors(node_id)
        }
