import asyncio
import json
import logging
from pathlib import Path

import pytest

from nina_smtp.errors import ConnectFailed, ParameterError, WorkflowError
from nina_smtp.node import Task
from nina_smtp.workflow.blobs import FolderBlobStore
from nina_smtp.workflow.items import Item, Origin
from nina_smtp.workflow.run import NodeRun, Run, run
from nina_smtp.workflow.schedule import NodeStatus, Reason, RunStatus
from nina_smtp.workflow.validate import validate


@pytest.fixture
def play(catalog, workflow_of, tmp_path: Path):
    def start(
        nodes: str, edges: str = "", *, extra: dict | None = None, functions: dict | None = None, **more
    ):
        """Runs a workflow; a ``call`` node does what the function of its id does."""
        functions = functions or {}
        filled = {node: {"credential": node} for node in functions} | (extra or {})
        workflow = validate(workflow_of(nodes, edges, **filled), catalog)
        blobs = FolderBlobStore(tmp_path / "blobs")
        return run(workflow, catalog, credentials=functions, blobs=blobs, **more)

    return lambda *args, **more: asyncio.run(start(*args, **more))


@pytest.fixture
def start(play, catalog, workflow_of, tmp_path: Path):
    def coroutine(nodes: str, edges: str, functions: dict, **more):
        filled = {node: {"credential": node} for node in functions}
        workflow = validate(workflow_of(nodes, edges, **filled), catalog)
        return run(workflow, catalog, credentials=functions, blobs=FolderBlobStore(tmp_path), **more)

    return coroutine


def outcome(done: Run) -> dict[str, str]:
    return {name: node.status.value for name, node in done.nodes.items()}


def main(done: Run, node: str) -> list[dict]:
    return [dict(item.json) for item in done.nodes[node].outputs.get("main", ())]


async def refuse(task: Task):
    raise ConnectFailed("Nobody answers at mail.example:587.", hint="Check the port.")


async def stumble(task: Task):
    raise ZeroDivisionError("password=hunter2")


async def echo(task: Task):
    return {"main": task.items}


def test_an_error_of_ours_is_the_error_of_the_node(play):
    done = play("s:start a:call b:pass c:pass", "s>a a>b s>c", functions={"a": refuse})
    assert outcome(done) == {"s": "succeeded", "a": "failed", "b": "skipped", "c": "succeeded"}
    assert (
        done.nodes["a"].error
        == ConnectFailed("Nobody answers at mail.example:587.", hint="Check the port.").as_dict()
    )
    assert done.nodes["b"].reason is Reason.FAILED_BEFORE
    assert done.status is RunStatus.PARTIAL


def test_any_other_exception_is_named_by_its_class_and_tells_no_secret(play, caplog):
    with caplog.at_level(logging.DEBUG):
        done = play("s:start a:call", "s>a", functions={"a": stumble})
    error = done.nodes["a"].error
    assert error["type"] == "internalError"
    assert "ZeroDivisionError" in error["message"]
    assert done.status is RunStatus.FAILED
    assert "stumble" in caplog.text
    assert "hunter2" not in caplog.text + json.dumps(done.as_dict())


@pytest.mark.parametrize("outputs", [None, {"side": []}, {"main": [{"no": "item"}]}, {"main": 5}])
def test_outputs_that_are_none_fail_the_node(play, outputs):
    async def answer(task: Task):
        return outputs

    done = play("s:start a:call", "s>a", functions={"a": answer})
    assert done.nodes["a"].error["type"] == "internalError"


def test_something_cancelled_inside_a_node_fails_that_node_alone(play):
    async def cancelled(task: Task):
        raise asyncio.CancelledError

    done = play("s:start a:call b:pass", "s>a s>b", functions={"a": cancelled})
    assert outcome(done) == {"s": "succeeded", "a": "failed", "b": "succeeded"}


def test_a_credential_that_is_not_there_stops_the_run_before_it_starts(catalog, workflow_of, tmp_path):
    news: list[NodeRun] = []
    named = {"credential": "Inbox"}
    data = workflow_of("s:start a:call b:call", "s>a a>b", a=named, b=named)
    starting = run(
        validate(data, catalog),
        catalog,
        credentials={},
        blobs=FolderBlobStore(tmp_path),
        progress=news.append,
    )
    with pytest.raises(WorkflowError) as caught:
        asyncio.run(starting)
    assert [problem["place"] for problem in caught.value.problems] == [
        "nodes[1].credential",
        "nodes[2].credential",
    ]
    assert news == []


def test_cancelling_the_run_cancels_its_nodes(start):
    async def scenario():
        both, cancelled = asyncio.Barrier(3), []

        async def wait(task: Task):
            await both.wait()
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                cancelled.append(task.key)
                raise

        functions = {"a": wait, "b": wait}
        running = asyncio.create_task(start("s:start a:call b:call", "s>a s>b", functions, key="run"))
        await both.wait()
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        return sorted(cancelled)

    assert asyncio.run(scenario()) == ["run/a", "run/b"]


def test_a_progress_callback_that_fails_leaves_no_node_running(start):
    async def scenario():
        def progress(news: NodeRun):
            if news.node_id == "b":
                raise RuntimeError("the screen is gone")

        async def wait(task: Task):
            await asyncio.Event().wait()

        with pytest.raises(RuntimeError, match="screen"):
            await start("s:start a:call b:pass", "s>a s>b", {"a": wait}, progress=progress)
        return len(asyncio.all_tasks())

    assert asyncio.run(scenario()) == 1


def test_nodes_that_are_ready_run_at_the_same_time(start):
    async def scenario():
        together = asyncio.Barrier(2)

        async def meet(task: Task):
            await together.wait()
            return {"main": task.items}

        functions = {"a": meet, "b": meet}
        return await asyncio.wait_for(start("s:start a:call b:call", "s>a s>b", functions), 30)

    assert asyncio.run(scenario()).status is RunStatus.SUCCEEDED


def test_a_slow_branch_does_not_hold_up_the_other(start):
    async def scenario():
        end_of_b = asyncio.Event()

        async def slow(task: Task):
            await end_of_b.wait()
            return {"main": task.items}

        async def last(task: Task):
            end_of_b.set()
            return {}

        functions = {"a": slow, "c": last}
        return await asyncio.wait_for(start("s:start a:call b:pass c:call", "s>a s>b b>c", functions), 30)

    assert asyncio.run(scenario()).status is RunStatus.SUCCEEDED


def test_data_flows_and_every_item_says_what_it_was_made_from(play):
    extra = {
        "s": {"config": {"items": [{"yes": 1}, {"yes": 0}, {"yes": 2}]}},
        "p": {"config": {"seen": True}},
    }
    done = play("s:start f:split p:pass q:pass", "s>f f.yes>p f.no>q", extra=extra)
    assert main(done, "p") == [{"yes": 1, "seen": True}, {"yes": 2, "seen": True}]
    assert [item.lineage for item in done.nodes["f"].outputs["yes"]] == [
        (Origin("s", "main", 0),),
        (Origin("s", "main", 2),),
    ]
    assert done.nodes["p"].outputs["main"][1].lineage == (Origin("f", "yes", 1),)
    assert done.nodes["p"].items_in == 2


def test_given_items_replace_those_of_the_trigger(play):
    config = {"s": {"config": {"items": [{"sample": True}]}}}

    def given(value):
        return main(play("s:start", extra=config, trigger_items=value), "s")

    assert given(None) == [{"sample": True}]
    assert given({"a": 1}) == [{"a": 1}]
    assert given([{"a": 1}, "text"]) == [{"a": 1}, {"body": "text"}]
    assert given([]) == []


def test_input_that_is_no_item_is_refused_before_anything_runs(play):
    with pytest.raises(ParameterError, match=r"input\[1\]"):
        play("s:start", trigger_items=[{}, 5])


def test_a_node_gets_its_upstream_its_key_and_its_credential(play):
    seen: list[Task] = []

    async def keep(task: Task):
        seen.append(task)
        return {}

    play("s:start p:pass a:call", "s>p p>a", functions={"a": keep}, key="run7")
    [task] = seen
    assert task.key == "run7/a"
    assert set(task.upstream) == {"S", "P"}
    play("s:start a:call", "s>a", functions={"a": keep})
    assert seen[1].key is None


def test_an_inline_credential_is_read_by_its_type(play):
    inline = {"credential": {"type": "function", "data": {"host": "mail.example"}}}
    assert main(play("s:start a:call", "s>a", extra={"a": inline}), "a") == [{"host": "mail.example"}]


def test_progress_tells_of_every_start_and_every_end(play):
    news: list[NodeRun] = []
    play("s:start f:split y:pass", "s>f f.yes>y", progress=news.append)
    assert [(said.node_id, said.status) for said in news] == [
        ("s", NodeStatus.RUNNING),
        ("s", NodeStatus.SUCCEEDED),
        ("f", NodeStatus.RUNNING),
        ("f", NodeStatus.SUCCEEDED),
        ("y", NodeStatus.SKIPPED),
    ]


def test_a_run_is_json(play):
    done = play("s:start a:call b:pass", "s>a a>b", functions={"a": refuse})
    answer = json.loads(json.dumps(done.as_dict()))
    assert answer["status"] == "failed"
    assert answer["nodes"][0]["outputs"] == {"main": [{"json": {}, "lineage": []}]}
    assert answer["nodes"][1]["error"]["type"] == "connectFailed"
    assert answer["nodes"][2]["reason"] == "failedBefore"


def test_only_the_named_trigger_fires(play):
    done = play("s:start t:start", trigger="t")
    assert outcome(done) == {"s": "skipped", "t": "succeeded"}


def test_items_made_by_a_node_may_be_any_sequence(play):
    async def make(task: Task):
        return {"main": [Item({"n": 1})]}

    assert main(play("s:start a:call", "s>a", functions={"a": make}), "a") == [{"n": 1}]
