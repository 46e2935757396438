from itertools import count
from zlib import crc32

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nina_smtp.workflow.graph import Ports
from nina_smtp.workflow.items import Item, Origin, read_items
from nina_smtp.workflow.model import Workflow
from nina_smtp.workflow.schedule import Finished, NodeStatus, Reason, RunStatus, Schedule

PORTS = {
    "start": Ports(inputs=()),
    "pass": Ports(),
    "split": Ports(outputs=("yes", "no")),
    "pair": Ports(inputs=("left", "right")),
    "end": Ports(outputs=()),
}
ERROR = {"type": "error", "message": "It broke."}


@pytest.fixture
def begin(workflow_of):
    def start(nodes: str, edges: str = "", trigger: str | None = None, **extra) -> Schedule:
        return Schedule(Workflow.model_validate(workflow_of(nodes, edges, **extra)), PORTS, trigger=trigger)

    return start


def items(*values: dict) -> tuple[Item, ...]:
    return read_items(values)


def ready(state: Schedule) -> list[str]:
    return [node.node_id for node in state.ready()]


def jsons(found) -> list[dict]:
    return [dict(item.json) for item in found]


def statuses(state: Schedule) -> dict[str, str]:
    return {node: outcome.status.value for node, outcome in state.result().nodes.items()}


def test_a_failed_node_stops_its_branch_and_the_others_go_on(begin):
    state = begin("s:start a:pass b:pass c:pass d:pass", "s>a a>b b>c s>d").finished("s", {"main": items({})})
    state = state.failed("a", ERROR)
    assert ready(state) == ["d"]
    state = state.finished("d", {"main": items({})})
    assert statuses(state) == {
        "s": "succeeded",
        "a": "failed",
        "b": "skipped",
        "c": "skipped",
        "d": "succeeded",
    }
    result = state.result()
    assert result.nodes["c"].reason is Reason.FAILED_BEFORE
    assert result.nodes["a"].error == ERROR
    assert result.status is RunStatus.PARTIAL


def test_a_node_behind_a_failed_one_is_skipped_even_if_another_wire_has_items(begin):
    state = begin("s:start a:pass b:pass m:pass", "s>a s>b a>m b>m").finished("s", {"main": items({})})
    state = state.finished("a", {"main": items({})}).failed("b", ERROR)
    assert state.done
    assert statuses(state)["m"] == "skipped"
    assert state.result().status is RunStatus.FAILED


def test_a_run_whose_only_branch_broke_failed(begin):
    state = begin("s:start a:pass b:pass", "s>a a>b").finished("s", {"main": items({})})
    state = state.finished("a", {"main": items({})}).failed("b", ERROR)
    assert state.result().status is RunStatus.FAILED


def test_a_node_without_items_is_skipped_and_so_is_what_follows(begin):
    state = begin("s:start a:split y:pass n:pass z:pass", "s>a a.yes>y a.no>n n>z")
    state = state.finished("s", {"main": items({})}).finished("a", {"yes": items({})})
    assert ready(state) == ["y"]
    state = state.finished("y", {})
    assert state.result().nodes["z"].reason is Reason.NO_ITEMS
    assert state.result().status is RunStatus.SUCCEEDED


def test_branches_that_meet_again_use_the_one_that_has_items(begin):
    state = begin("s:start a:split y:pass n:pass m:pass", "s>a a.yes>y a.no>n y>m n>m")
    state = state.finished("s", {"main": items({})}).finished("a", {"yes": items({})})
    state = state.finished("y", {"main": items({"from": "y"})})
    assert jsons(state.ready()[0].items) == [{"from": "y"}]


def test_different_numbers_of_items_fail_the_node_and_say_what_to_do(begin):
    state = begin("s:start a:pass b:pass m:pass z:pass", "s>a s>b a>m b>m m>z").finished(
        "s", {"main": items({})}
    )
    state = state.finished("a", {"main": items({}, {})}).finished("b", {"main": items({}, {}, {})})
    assert state.done
    error = state.result().nodes["m"].error
    assert (
        error["message"] == '"M" gets 3 items from "B" and 2 from "A": they cannot be laid over each other.'
    )
    assert '{{ nodes["A"] }}' in error["hint"]
    assert statuses(state)["z"] == "skipped"


def test_a_node_that_is_not_ready_cannot_finish(begin):
    state = begin("s:start a:pass", "s>a")
    with pytest.raises(ValueError, match="Node a is not ready"):
        state.finished("a", {})
    with pytest.raises(ValueError, match="Node a is not ready"):
        state.after([Finished("a")])
    done = state.finished("s", {})
    with pytest.raises(ValueError, match="Node s is not ready"):
        done.failed("s", ERROR)
    with pytest.raises(ValueError, match="no output 'side'"):
        state.finished("s", {"side": items({})})


def test_a_graph_with_a_cycle_is_refused(begin):
    with pytest.raises(ValueError, match="cycle"):
        begin("a:pass b:pass", "a>b b>a")


def test_finishing_changes_nothing_but_gives_the_next_state(begin):
    state = begin("s:start a:pass", "s>a")
    after = state.finished("s", {"main": items({})})
    assert ready(state) == ["s"]
    assert ready(after) == ["a"]
    assert not statuses(state)


def test_the_objects_of_several_wires_are_overlaid_and_the_last_wire_wins(begin):
    state = begin("s:start a:pass b:pass m:pass", "s>a s>b b>m a>m").finished("s", {"main": items({})})
    state = state.finished("a", {"main": items({"x": "a", "deep": {"a": 1}})})
    state = state.finished("b", {"main": items({"x": "b", "y": "b", "deep": {"b": 1}})})
    assert jsons(state.ready()[0].items) == [{"x": "a", "y": "b", "deep": {"a": 1}}]


def test_a_single_item_is_used_for_every_index_and_both_origins_are_kept(begin):
    state = begin("s:start a:pass b:pass m:pass", "s>a s>b a>m b>m").finished("s", {"main": items({})})
    state = state.finished("a", {"main": items({"n": 1}, {"n": 2})}).finished("b", {"main": items({"b": 0})})
    joined = state.ready()[0].items
    assert jsons(joined) == [{"n": 1, "b": 0}, {"n": 2, "b": 0}]
    assert joined[1].lineage == (Origin("a", "main", 1), Origin("b", "main", 0))


def test_wires_into_several_ports_are_joined_in_the_order_of_the_ports(begin):
    state = begin("s:start a:pass b:pass m:pair", "s>a s>b a>m.right b>m.left").finished(
        "s", {"main": items({})}
    )
    state = state.finished("a", {"main": items({"x": "right"})}).finished(
        "b", {"main": items({"x": "left", "b": 1})}
    )
    assert jsons(state.ready()[0].items) == [{"x": "right", "b": 1}]


def test_lineage_is_kept_when_a_node_passes_it_on_and_assumed_when_it_says_nothing(begin):
    def outputs_of(inputs: int, made: tuple[Item, ...]):
        state = begin("s:start a:pass", "s>a").finished("s", {"main": items(*[{}] * inputs)})
        return [
            item.lineage for item in state.finished("a", {"main": made}).result().nodes["a"].outputs["main"]
        ]

    def from_s(*indices: int):
        return tuple(Origin("s", "main", index) for index in indices)

    assert outputs_of(3, (Item({}, from_s(2)),)) == [from_s(2)]
    assert outputs_of(2, items({}, {})) == [from_s(0), from_s(1)]
    assert outputs_of(1, items({}, {})) == [from_s(0), from_s(0)]
    assert outputs_of(3, items({})) == [from_s(0, 1, 2)]
    assert outputs_of(3, items({}, {})) == [(), ()]


def test_a_disabled_node_passes_its_items_through_its_first_output(begin):
    state = begin("s:start a:split y:pass n:pass", "s>a a.yes>y a.no>n", a={"disabled": True})
    state = state.finished("s", {"main": items({"x": 1})})
    assert ready(state) == ["y"]
    assert jsons(state.ready()[0].items) == [{"x": 1}]
    assert state.result().nodes["a"].status is NodeStatus.DISABLED


def test_a_disabled_trigger_starts_nothing(begin):
    state = begin("s:start a:pass", "s>a", s={"disabled": True})
    assert state.done
    assert statuses(state) == {"s": "disabled", "a": "skipped"}


def test_a_disabled_node_without_outputs_ends_quietly(begin):
    state = begin("s:start e:end", "s>e", e={"disabled": True}).finished("s", {"main": items({})})
    assert statuses(state)["e"] == "disabled"


def test_only_the_trigger_that_fired_starts(begin):
    state = begin("hook:start cron:start a:pass", "hook>a cron>a", trigger="cron")
    assert ready(state) == ["cron"]
    assert state.result().nodes["hook"].reason is Reason.NOT_TRIGGERED
    assert ready(state.finished("cron", {"main": items({})})) == ["a"]


def test_a_node_sees_its_ancestors_by_name_and_nobody_else(begin):
    state = begin("s:start a:split b:pass side:pass", "s>a a>b s>side").finished(
        "s", {"main": items({"s": 1})}
    )
    state = state.finished("side", {"main": items({})})
    state = state.finished("a", {"no": items({"n": 2}), "yes": items({"n": 1})})
    upstream = next(node for node in state.ready() if node.node_id == "b").upstream
    assert {name: jsons(found) for name, found in upstream.items()} == {
        "S": [{"s": 1}],
        "A": [{"n": 1}, {"n": 2}],
    }


def test_ready_nodes_come_by_rank_then_id(begin):
    state = begin("z:start b:start y:pass a:pass", "b>a b>y").finished("b", {"main": items({})})
    assert ready(state) == ["z", "a", "y"]


def test_a_thousand_diamonds_are_settled_once_each(begin):
    nodes, edges = ["n0:start"], []
    for index in range(300):
        nodes += [f"l{index}:pass", f"r{index}:pass", f"n{index + 1}:pass"]
        edges += [
            f"n{index}>l{index}",
            f"n{index}>r{index}",
            f"l{index}>n{index + 1}",
            f"r{index}>n{index + 1}",
        ]
    state = begin(" ".join(nodes), " ".join(edges)).finished("n0", {})
    assert state.done
    assert len(state.result().nodes) == 901


@st.composite
def graphs(draw: st.DrawFn) -> dict:
    """A random acyclic workflow, some of it disabled, with several ports and several triggers."""
    size = draw(st.integers(1, 9))
    types = [draw(st.sampled_from(["start", "pass", "split", "pair"])) for _ in range(size)]
    nodes = [
        {"id": f"n{at}", "type": kind, "name": f"N{at}", "disabled": draw(st.integers(0, 9)) == 0}
        for at, kind in enumerate(types)
    ]
    edges = [
        {"from": f"n{left}", "output": output, "to": f"n{right}", "input": entry}
        for right in range(size)
        for left in range(right)
        for output in PORTS[types[left]].outputs
        for entry in PORTS[types[right]].inputs
        if draw(st.integers(0, 3)) == 0
    ]
    order = draw(st.permutations(nodes))
    return {"name": "Random", "nodes": list(order), "edges": edges}


def behaviour(seed: int, node: str, got: tuple[Item, ...]) -> Finished:
    """What a node does: anything at all, but always the same for the same input."""
    number = crc32(repr((seed, node, jsons(got))).encode())
    if number % 7 == 0:
        return Finished(node, error={"message": f"{node} broke"})
    names = count(number % 5)
    made = {
        port: items(*[{node: next(names)}] * ((number >> shift) % 3))
        for shift, port in ((3, "yes"), (5, "no"))
    }
    return Finished(node, made)


@settings(max_examples=300, deadline=None)
@given(graphs(), st.integers(0, 10_000), st.data())
def test_every_run_ends_and_its_result_does_not_depend_on_who_finishes_first(graph, seed, data):
    workflow = Workflow.model_validate(graph)
    kinds = {node.id: PORTS[node.type] for node in workflow.nodes}

    def finish(choose) -> tuple[Schedule, list[Finished]]:
        state, results = Schedule(workflow, PORTS), []
        while not state.done:
            node = choose(state.ready())
            result = behaviour(seed, node.node_id, node.items)
            outputs = kinds[node.node_id].outputs
            result = Finished(
                result.node_id,
                dict(zip(outputs, result.outputs.values(), strict=False)),
                result.error,
            )
            results.append(result)
            state = state.after([result])
            assert Schedule(workflow, PORTS).after(reversed(results)).ready() == state.ready()
        return state, results

    first, results = finish(lambda nodes: nodes[0])
    other, _ = finish(lambda nodes: data.draw(st.sampled_from(nodes)))
    assert first.result() == other.result()
    assert set(first.result().nodes) == {node.id for node in workflow.nodes}
    shuffled = data.draw(st.permutations(results))
    assert Schedule(workflow, PORTS).after(shuffled).result() == first.result()
    for outcome in first.result().nodes.values():
        for item in (item for found in outcome.outputs.values() for item in found):
            assert all(origin.node in kinds for origin in item.lineage)
