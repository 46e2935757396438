"""The graph of a workflow: its wires, its order, what comes before what."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from nina_smtp.workflow.model import Edge, Node, Workflow

Neighbours = Mapping[str, Sequence[str]]


@dataclass(frozen=True, slots=True)
class Ports:
    """The inputs and outputs of a node type, the default one first."""

    inputs: tuple[str, ...] = ("main",)
    outputs: tuple[str, ...] = ("main",)


@dataclass(frozen=True, slots=True)
class Wire:
    """An edge with both its ports known."""

    source: str
    output: str
    target: str
    input: str


@dataclass(frozen=True, slots=True)
class Graph:
    """A workflow that has no cycle, ready to be walked.

    ``into`` has the wires that enter a node: by the order of its ports, then by the order of the edges.
    ``rank`` is the number of wires on the longest way from a trigger.
    """

    nodes: Mapping[str, Node]
    ports: Mapping[str, Ports]
    into: Mapping[str, tuple[Wire, ...]]
    successors: Neighbours
    rank: Mapping[str, int]

    @classmethod
    def of(cls, workflow: Workflow, ports: Mapping[str, Ports]) -> Graph:
        """The graph of a workflow; ``ports`` is by node type. Raises ValueError if it has a cycle."""
        nodes = {node.id: node for node in workflow.nodes}
        known = {node.id: ports[node.type] for node in workflow.nodes}
        into: dict[str, list[Wire]] = {node: [] for node in nodes}
        successors: dict[str, list[str]] = {node: [] for node in nodes}
        for edge in workflow.edges:
            into[edge.target].append(_wire(edge, known))
            successors[edge.source].append(edge.target)
        ordered = {
            node: tuple(sorted(wires, key=lambda wire: known[wire.target].inputs.index(wire.input)))
            for node, wires in into.items()
        }
        once = {node: tuple(dict.fromkeys(targets)) for node, targets in successors.items()}
        return cls(nodes, known, ordered, once, ranks(once))

    def in_order(self, ids: Iterable[str]) -> list[str]:
        """Sorted by rank, then id: the order in which everything is done."""
        return sorted(ids, key=lambda node: (self.rank[node], node))

    def ancestors(self, *nodes: str) -> list[str]:
        """Every node that has a way to one of ``nodes``, in order."""
        found: set[str] = set()
        remaining = list(nodes)
        while remaining:
            sources = {wire.source for wire in self.into[remaining.pop()]} - found
            found |= sources
            remaining.extend(sources)
        return self.in_order(found)


def _wire(edge: Edge, ports: Mapping[str, Ports]) -> Wire:
    source, target = ports[edge.source], ports[edge.target]
    return Wire(edge.source, edge.output or source.outputs[0], edge.target, edge.input or target.inputs[0])


def ranks(successors: Neighbours) -> dict[str, int]:
    """The length of the longest way to each node from a first one. Raises ValueError on a cycle."""
    entering = Counter(target for targets in successors.values() for target in targets)
    rank = {node: 0 for node in successors if not entering[node]}
    remaining = list(rank)
    settled = 0
    while remaining:
        node = remaining.pop()
        settled += 1
        for target in successors[node]:
            rank[target] = max(rank.get(target, 0), rank[node] + 1)
            entering[target] -= 1
            if not entering[target]:
                remaining.append(target)
    if settled < len(successors):
        raise ValueError("The workflow has a cycle: validate it first.")
    return rank


def cycles(successors: Neighbours) -> Iterator[list[str]]:
    """Cycles that share no node, at least one for every knot of nodes that reach each other.

    A depth-first walk without recursion: a step back onto its own path closes a cycle.
    """
    finished: set[str] = set()
    reported: set[str] = set()
    for root in successors:
        path: dict[str, Iterator[str]] = {} if root in finished else {root: iter(successors[root])}
        while path:
            node = next(reversed(path))
            target = next(path[node], None)
            if target is None:
                finished.add(node)
                del path[node]
            elif target in path:
                walked = list(path)
                cycle = walked[walked.index(target) :]
                if reported.isdisjoint(cycle):
                    reported.update(cycle)
                    yield cycle
            elif target not in finished:
                path[target] = iter(successors[target])
