import asyncio
import json
from pathlib import Path

import pytest

from nina_smtp.catalog import default_catalog
from nina_smtp.errors import ParameterError
from nina_smtp.node import Task
from nina_smtp.workflow.blobs import FolderBlobStore, NoBlobs
from nina_smtp.workflow.items import Item
from nina_smtp.workflow.run import run
from nina_smtp.workflow.validate import validate


@pytest.fixture
def trigger():
    return default_catalog().node("manual_trigger")


def start(trigger, config: dict, *given: Item) -> list[dict]:
    outputs = asyncio.run(trigger.execute(Task(config=config, items=given, blobs=NoBlobs())))
    return [dict(item.json) for item in outputs["main"]]


@pytest.mark.parametrize(
    ("config", "field"),
    [
        ({"items": 5}, "items"),
        ({"items": [{}, 5]}, "items"),
        ({"items": None}, "items"),
        ({"itms": []}, "itms"),
    ],
)
def test_sample_data_that_is_none_is_refused_by_its_field(trigger, config, field):
    with pytest.raises(ParameterError) as caught:
        trigger.check(config)
    assert caught.value.parameter == field
    assert caught.value.hint


def test_the_element_that_is_no_item_is_named(trigger):
    with pytest.raises(ParameterError, match=r"items\[1\]"):
        trigger.check({"items": [{}, 5]})


def test_without_sample_data_it_starts_with_one_empty_item(trigger):
    assert start(trigger, {}) == [{}]


def test_an_object_is_one_item_and_text_is_a_body(trigger):
    assert start(trigger, {"items": {"a": 1}}) == [{"a": 1}]
    assert start(trigger, {"items": "hello"}) == [{"body": "hello"}]
    assert start(trigger, {"items": [{"a": 1}, "hello"]}) == [{"a": 1}, {"body": "hello"}]


def test_data_given_to_the_run_replaces_the_sample(trigger):
    assert start(trigger, {"items": [{"sample": 1}]}, Item({"given": 1})) == [{"given": 1}]


def test_an_alert_becomes_a_file_in_a_run_of_the_real_catalog(tmp_path: Path):
    catalog = default_catalog()
    example = json.loads((catalog.folder("nodes", "manual_trigger") / "example.json").read_text())
    data = {
        "name": "Alert to file",
        "nodes": [
            {"id": "start", "type": "manual_trigger", "name": "Start", "config": example},
            {"id": "file", "type": "table_to_file", "name": "File", "config": {"rows": "alert.findings"}},
        ],
        "edges": [{"from": "start", "to": "file"}],
    }
    blobs = FolderBlobStore(tmp_path)
    done = asyncio.run(run(validate(data, catalog), catalog, credentials={}, blobs=blobs))
    [item] = done.nodes["file"].outputs["main"]
    with blobs.open(item.json["file"]["blob"]) as file:
        assert file.read().startswith(b"indicator,kind,score\r\nlogin.example.net,domain,92\r\n")
