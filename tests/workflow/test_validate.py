import json
from itertools import pairwise
from time import process_time

import pytest

from nina_smtp.catalog import Catalog
from nina_smtp.errors import WorkflowError
from nina_smtp.workflow.model import Workflow, schema
from nina_smtp.workflow.validate import load, validate


@pytest.fixture
def problems(catalog: Catalog):
    def collect(data, **more) -> list[tuple[str, str]]:
        with pytest.raises(WorkflowError) as caught:
            validate(data, catalog, **more)
        return [(found["place"], found["message"]) for found in caught.value.problems]

    return collect


@pytest.fixture
def hint(catalog: Catalog):
    def first(data, **more) -> str:
        with pytest.raises(WorkflowError) as caught:
            validate(data, catalog, **more)
        return caught.value.problems[0]["hint"]

    return first


def test_everything_wrong_is_told_at_once(problems):
    found = problems(
        {
            "name": 7,
            "colour": "red",
            "nodes": [
                {"id": "a", "type": "strat", "name": "A"},
                {"id": "b", "type": "pass", "name": "B", "config": {"to": "nobody"}, "credential": "x"},
                {"id": "b", "type": "call", "name": "B"},
                {"id": "bad id", "type": "pass"},
                "not a node",
                {"id": "lone", "type": "pass", "name": "Lone", "position": {"x": 1, "z": float("nan")}},
            ],
            "edges": [
                {"from": "a", "to": "nowhere"},
                {"from": "b", "to": "b", "output": "side"},
                {"to": "b"},
            ],
        }
    )
    assert {place for place, _ in found} == {
        "name",
        "colour",
        "nodes[0].type",
        "nodes[1].config.to",
        "nodes[1].credential",
        "nodes[2].id",
        "nodes[2].name",
        "nodes[2].credential",
        "nodes[3].id",
        "nodes[3].name",
        "nodes[4]",
        "nodes[5].position.y",
        "nodes[5].position.z",
        "edges[0].to",
        "edges[1]",
        "edges[1].output",
        "edges[2].from",
    }


@pytest.mark.parametrize("data", [None, [], "text", 3, {}, {"name": "x", "nodes": []}, {"nodes": {}}])
def test_what_is_no_workflow_is_refused(problems, data):
    assert problems(data)


def test_an_unknown_type_suggests_the_one_meant(hint, workflow_of):
    assert hint(workflow_of("a:strat")) == "Did you mean start?"


def test_a_broken_type_is_a_problem_of_its_node(problems, workflow_of):
    [(place, message)] = problems(workflow_of("a:broken"))
    assert place == "nodes[0].type"
    assert "no such library" in message


def test_a_check_with_a_fault_is_a_problem_and_not_a_crash(problems, workflow_of):
    [(place, message)] = problems(workflow_of("a:start", a={"config": {"to": "bug"}}))
    assert place == "nodes[0].config"
    assert "KeyError" in message
    assert "secret" not in message


def test_a_wire_to_a_name_says_its_id(hint, workflow_of):
    assert hint(workflow_of("a:start b:pass", "a>B a>b")) == "That is a name; its id is b."


def test_an_unknown_port_lists_those_there_are(problems, hint, workflow_of):
    data = workflow_of("a:start b:split c:pass", "a>b b.maybe>c")
    assert problems(data) == [("edges[1].output", "\"B\" has no output 'maybe'.")]
    assert hint(data) == "There are: yes, no."


def test_a_fault_of_a_node_or_a_wire_is_not_told_twice(problems, workflow_of):
    data = workflow_of("a:start b:pass c:pass", "a>b b>c", b={"name": ""})
    data["edges"][1]["from"] = 7
    assert [place for place, _ in problems(data)] == ["nodes[1].name", "edges[1].from"]


def test_a_trigger_takes_no_wire(problems, workflow_of):
    assert problems(workflow_of("a:start b:start", "a>b")) == [("edges[0].to", '"B" has no inputs.')]


def test_the_same_wire_twice_is_refused_even_if_one_leaves_the_port_to_the_default(problems, workflow_of):
    found = problems(workflow_of("a:start b:pass", "a>b a.main>b.main"))
    assert found == [("edges[1]", "The same wire is already there as edges[0].")]


def test_a_cycle_is_named_by_its_nodes_and_every_knot_is_told(problems, workflow_of):
    data = workflow_of("s:start a:pass b:pass c:pass d:pass e:pass", "s>a a>b b>c c>a s>d d>e e>d")
    assert [message for _, message in problems(data)] == [
        "The wires go round in a circle: A → B → C → A.",
        "The wires go round in a circle: D → E → D.",
    ]


def test_a_node_that_nothing_is_wired_into_is_refused_unless_disabled(problems, catalog, workflow_of):
    [(place, message)] = problems(workflow_of("a:start b:pass"))
    assert place == "nodes[1]"
    assert '"B"' in message
    assert validate(workflow_of("a:start b:pass", b={"disabled": True}), catalog)


def test_a_disabled_node_may_be_half_filled_in(catalog, workflow_of):
    half = {"disabled": True, "config": {"to": "nobody"}}
    assert validate(workflow_of("a:start b:call", "a>b", b=half), catalog)


def test_an_inline_credential_is_read_and_its_field_named(problems, workflow_of):
    def using(credential):
        return workflow_of("a:start b:call", "a>b", b={"credential": credential})

    assert problems(using({"type": "function", "data": {}})) == [
        ("nodes[1].credential.data.host", "host is required.")
    ]
    assert problems(using({"type": "smtp", "data": {}}))[0][0] == "nodes[1].credential.type"
    assert problems(using({"type": "function"}))[0] == ("nodes[1].credential.data", "data is required.")
    assert problems(using({"type": "function", "data": {}, "x": 1}))[0][0] == "nodes[1].credential.x"
    assert problems(using(5))[0][0] == "nodes[1].credential"


def test_stored_credentials_are_looked_up_if_the_host_names_them(problems, hint, catalog, workflow_of):
    data = workflow_of("a:start b:call", "a>b", b={"credential": "Inbx"})
    assert validate(data, catalog)
    assert problems(data, credentials={}) == [("nodes[1].credential", "There is no credential 'Inbx'.")]
    assert hint(data, credentials={"Inbox": "function"}) == "Did you mean Inbox?"
    assert "of type 'smtp'" in problems(data, credentials={"Inbx": "smtp"})[0][1]
    assert validate(data, catalog, credentials={"Inbx": "function"})


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (float("nan"), "NaN"),
        (float("inf"), "NaN"),
        ("\ud800", "surrogate"),
        ({"__proto__": {}}, "__proto__"),
        ({1: 2}, "key"),
        (b"bytes", "bytes is not JSON"),
    ],
)
def test_what_is_not_json_is_refused_with_its_place(problems, workflow_of, value, said):
    [(place, message)] = problems(workflow_of("a:start", a={"config": {"x": [value]}}))
    assert place == "nodes[0].config.x[0]"
    assert said in message


def test_a_document_deeper_than_64_levels_is_refused(problems, workflow_of):
    deep: list = []
    for _ in range(100):
        deep = [deep]
    assert "deeper than 64" in problems(workflow_of("a:start", a={"config": {"x": deep}}))[0][1]


def test_a_million_nodes_are_answered_within_a_second(problems, workflow_of):
    data = workflow_of("a:start")
    data["nodes"] *= 1_000_000
    begun = process_time()
    assert problems(data) == [("nodes", "There are 1000000 nodes; at most 1000 are allowed.")]
    assert process_time() - begun < 1


def test_ten_thousand_wrong_wires_are_answered_soon(problems, workflow_of):
    data = workflow_of(" ".join(f"node{n}:pass" for n in range(1000)))
    data["edges"] = [{"from": f"nade{n}", "to": f"nope{n}"} for n in range(10_000)]
    begun = process_time()
    found = problems(data)
    assert process_time() - begun < 5
    assert len(found) == 1001
    assert "more problems" in found[-1][1]


def test_the_largest_chain_is_valid(catalog, workflow_of):
    ids = [f"n{number}" for number in range(999)]
    data = workflow_of("s:start " + " ".join(f"{node}:pass" for node in ids), "s>n0")
    data["edges"] += [{"from": before, "to": after} for before, after in pairwise(ids)]
    assert len(validate(data, catalog).nodes) == 1000


def test_a_valid_workflow_comes_back_with_its_ports_and_reads_back_from_json(catalog, workflow_of):
    workflow = validate(workflow_of("a:start b:split c:pass", "a>b b>c b.no>c"), catalog)
    assert [(edge.output, edge.input) for edge in workflow.edges] == [
        ("main", "main"),
        ("yes", "main"),
        ("no", "main"),
    ]
    assert validate(load(json.dumps(workflow.as_dict())), catalog) == workflow


def test_the_published_schema_says_what_every_field_is():
    published = schema()
    assert published["$schema"].endswith("2020-12/schema")
    assert published["title"] == "NINA workflow"
    models = [published, *published["$defs"].values()]
    for name, field in [pair for model in models for pair in model["properties"].items()]:
        assert field["title"], name
        assert field["description"], name
        assert field["examples"], name
    assert {"from", "output", "to", "input"} == set(published["$defs"]["Edge"]["properties"])


def test_a_workflow_cannot_be_changed(catalog, workflow_of):
    workflow: Workflow = validate(workflow_of("a:start"), catalog)
    with pytest.raises(ValueError, match="frozen"):
        workflow.name = "Other"  # type: ignore[misc]
