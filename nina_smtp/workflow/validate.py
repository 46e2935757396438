"""Everything wrong with a workflow, at once, each problem with its place and its remedy."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar, cast

from pydantic import BaseModel, ValidationError

from nina_smtp.catalog import Catalog
from nina_smtp.errors import NinaError
from nina_smtp.node import NodeType
from nina_smtp.workflow.document import inspect, load
from nina_smtp.workflow.graph import cycles
from nina_smtp.workflow.model import Edge, InlineCredential, Node, Position, Workflow
from nina_smtp.workflow.problems import Problems, below, place_of

__all__ = ["load", "validate"]

M = TypeVar("M", bound=BaseModel)

_NESTED: Mapping[int | str, type[BaseModel]] = {"position": Position, "credential": InlineCredential}


def validate(data: object, catalog: Catalog, *, credentials: Mapping[str, str] | None = None) -> Workflow:
    """The workflow, with the ports of every wire filled in.

    ``credentials`` are the stored credentials, name to type; without them a name is taken on trust. The
    configuration and the credential of a disabled node are not looked at: it does not run. Raises
    WorkflowError whose ``problems`` are everything that is wrong.
    """
    problems = Problems()
    inspect(data, problems)
    if not isinstance(data, Mapping):
        problems.stop("", "A workflow is a JSON object.", 'Write {"name": …, "nodes": […], "edges": […]}.')
    document = cast(Mapping[str, Any], data)
    heading = {key: value for key, value in document.items() if key not in ("nodes", "edges")}
    _shape(Workflow, heading, "", problems, ignore=("nodes", "edges"))
    nodes = _each(Node, document, "nodes", problems)
    if "nodes" not in document or document["nodes"] == []:
        problems.add("nodes", "A workflow needs at least one node.", "Add a trigger.")
    edges = _each(Edge, document, "edges", problems)
    written = (_written(document, "nodes", "id"), _written(document, "edges", "to"))
    check = _Check(catalog, credentials, nodes, edges, *written, problems)
    check.all()
    problems.raise_if_any()
    wires = [check.filled_in(edge) for edge in edges.values()]
    return Workflow.model_validate({"name": document["name"], "nodes": list(nodes.values()), "edges": wires})


def _written(document: Mapping[str, Any], key: str, field: str) -> frozenset[str]:
    """What stands in a field, well-formed or not: a fault of one node is no reason to fault its wires too."""
    listed: Any = document.get(key)
    entries = cast(list[object], listed) if isinstance(listed, list) else []
    found = [cast(Mapping[str, Any], entry).get(field) for entry in entries if isinstance(entry, Mapping)]
    return frozenset(value for value in found if isinstance(value, str))


def _each(form: type[M], document: Mapping[str, Any], key: str, problems: Problems) -> dict[int, M]:
    listed = document.get(key, [])
    if not isinstance(listed, list | tuple):
        problems.add(key, f"{key} is a list.", "Write […].")
        return {}
    found = enumerate(cast(Sequence[object], listed))
    shaped = {index: _shape(form, value, f"{key}[{index}]", problems) for index, value in found}
    return {index: value for index, value in shaped.items() if value is not None}


def _shape(
    form: type[M], data: object, place: str, problems: Problems, ignore: tuple[str, ...] = ()
) -> M | None:
    try:
        return form.model_validate(data)
    except ValidationError as failure:
        for problem in failure.errors(include_url=False, include_input=False):
            if not problem["loc"] or problem["loc"][0] not in ignore:
                _add_in_our_words(form, problem, data, place, problems)
    return None


def _add_in_our_words(
    form: type[BaseModel], problem: Any, data: object, place: str, problems: Problems
) -> None:
    steps = problem["loc"]
    where, last = below(place, place_of(steps, data)), steps[-1] if steps else ""
    if problem["type"] == "extra_forbidden":
        fields = _NESTED.get(steps[0], form).model_fields if len(steps) > 1 else form.model_fields
        known = [field.alias or name for name, field in fields.items()]
        problems.add_unknown(where, f"{last} is not a known field.", str(last), known)
    elif problem["type"] == "missing":
        problems.add(where, f"{last} is required.", f"Give {last} a value.")
    else:
        problems.add(where, f"{problem['msg']}.")


@dataclass
class _Check:
    """The checks that look at more than one value. Keys of ``nodes`` and ``edges`` are their places."""

    catalog: Catalog
    credentials: Mapping[str, str] | None
    nodes: Mapping[int, Node]
    edges: Mapping[int, Edge]
    written_ids: frozenset[str]
    written_targets: frozenset[str]
    problems: Problems
    by_id: dict[str, tuple[Node, NodeType | None]] = field(
        default_factory=dict[str, tuple[Node, NodeType | None]]
    )
    by_name: dict[str, str] = field(default_factory=dict[str, str])

    def all(self) -> None:
        self.by_name = {node.name: node.id for node in self.nodes.values()}
        for index, node in self.nodes.items():
            self.by_id.setdefault(node.id, (node, self.node(index, node)))
        self.unique("id", lambda node: node.id)
        self.unique("name", lambda node: node.name)
        first: dict[Edge, int] = {}
        for index, edge in self.edges.items():
            self.edge(f"edges[{index}]", edge, first.setdefault(self.filled_in(edge), index), index)
        self.cycles()
        self.fed()

    def unique(self, what: str, value: Callable[[Node], str]) -> None:
        first: dict[str, int] = {}
        for index, node in self.nodes.items():
            if (before := first.setdefault(value(node), index)) != index:
                self.problems.add(
                    f"nodes[{index}].{what}",
                    f"{value(node)!r} is also the {what} of nodes[{before}].",
                    f"Give each node a {what} of its own.",
                )

    def node(self, index: int, node: Node) -> NodeType | None:
        place = f"nodes[{index}]"
        try:
            found = self.catalog.node(node.type)
        except NinaError as error:
            self.problems.add(f"{place}.type", error.message, error.hint)
            return None
        if not node.disabled:
            self.attempt(f"{place}.config", lambda: found.check(node.config))
            self.credentials_of(f"{place}.credential", node, found)
        return found

    def credentials_of(self, place: str, node: Node, node_type: NodeType) -> None:
        route, accepted = node.route, node_type.credentials
        if not route:
            if accepted:
                self.problems.add(
                    place,
                    f'"{node.name}" needs a credential.',
                    f"Choose or create one of type {' or '.join(accepted)}.",
                )
        elif not accepted:
            self.problems.add(place, f"The node type {node.type!r} takes no credential.", "Remove it.")
        else:
            for index, given in enumerate(route):
                inner = f"{place}[{index}]" if isinstance(node.credential, list) else place
                self.credential(inner, given, node, accepted)

    def credential(
        self, place: str, given: str | InlineCredential, node: Node, accepted: Sequence[str]
    ) -> None:
        if isinstance(given, InlineCredential):
            if given.type not in accepted:
                self.refuse_type(f"{place}.type", given.type, node, accepted)
            else:
                self.attempt(f"{place}.data", lambda: self.catalog.credential(given.type).read(given.data))
        elif self.credentials is not None:
            if given not in self.credentials:
                message = f"There is no credential {given!r}."
                self.problems.add_unknown(place, message, given, sorted(self.credentials))
            elif self.credentials[given] not in accepted:
                self.refuse_type(place, self.credentials[given], node, accepted)

    def refuse_type(self, place: str, given: str, node: Node, accepted: Sequence[str]) -> None:
        message = f'"{node.name}" takes no credential of type {given!r}.'
        self.problems.add(place, message, f"It takes {' or '.join(accepted)}.")

    def attempt(self, place: str, work: Callable[[], object]) -> None:
        try:
            work()
        except NinaError as error:
            self.problems.add_error(place, error)
        except Exception as error:  # a third party's check: a problem of this node, not of the host
            self.problems.add(place, f"The check stopped on an unexpected {type(error).__name__}.")

    def edge(self, place: str, edge: Edge, first: int, index: int) -> None:
        if first != index:
            self.problems.add(place, f"The same wire is already there as edges[{first}].", "Remove one.")
        if edge.source == edge.target:
            self.problems.add(place, f"{edge.source!r} is wired to itself.", "Remove the wire.")
        self.end(place, "from", edge.source, "output", edge.output)
        self.end(place, "to", edge.target, "input", edge.input)

    def end(self, place: str, side: str, node_id: str, kind: str, port: str | None) -> None:
        if node_id not in self.by_id:
            message = f"There is no node with the id {node_id!r}."
            if node_id in self.written_ids:
                return
            if meant := self.by_name.get(node_id):
                self.problems.add(f"{place}.{side}", message, f"That is a name; its id is {meant}.")
            else:
                self.problems.add_unknown(f"{place}.{side}", message, node_id, tuple(self.by_id))
            return
        node, node_type = self.by_id[node_id]
        if node_type is None:
            return
        ports = node_type.outputs if kind == "output" else node_type.inputs
        if not ports:
            self.problems.add(f"{place}.{side}", f'"{node.name}" has no {kind}s.', "Remove the wire.")
        elif port is not None and port not in ports:
            message = f'"{node.name}" has no {kind} {port!r}.'
            self.problems.add_unknown(f"{place}.{kind}", message, port, ports)

    def cycles(self) -> None:
        successors: dict[str, list[str]] = {node: [] for node in self.by_id}
        for edge in self.edges.values():
            if edge.source in successors and edge.target in successors and edge.source != edge.target:
                successors[edge.source].append(edge.target)
        for cycle in cycles(successors):
            names = " → ".join(self.by_id[node][0].name for node in [*cycle, cycle[0]])
            self.problems.add(
                "edges", f"The wires go round in a circle: {names}.", "Remove one of these wires."
            )

    def fed(self) -> None:
        for index, node in self.nodes.items():
            node_type = self.by_id[node.id][1]
            fed = node.id in self.written_targets or node.disabled
            if not fed and node_type and node_type.inputs:
                self.problems.add(
                    f"nodes[{index}]",
                    f'Nothing is wired into "{node.name}", so it would never run.',
                    "Wire a trigger or another node to it, or disable it.",
                )

    def filled_in(self, edge: Edge) -> Edge:
        outputs, inputs = self.ports(edge.source, "outputs"), self.ports(edge.target, "inputs")
        ports = {"output": edge.output or outputs, "input": edge.input or inputs}
        return edge.model_copy(update=ports)

    def ports(self, node_id: str, side: str) -> str | None:
        node_type = self.by_id[node_id][1] if node_id in self.by_id else None
        return next(iter(getattr(node_type, side)), None) if node_type else None
