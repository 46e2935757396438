"""A pack of small node types, written to a folder and loaded by path as a real one is."""

import textwrap
from pathlib import Path

import pytest

from nina_smtp.catalog import Catalog

HEADER = """
from typing import Any
from pydantic import BaseModel, ConfigDict
from nina_smtp.credential import CredentialType, Report
from nina_smtp.errors import InvalidCredential, NinaError, ParameterError
from nina_smtp.node import NodeType
from nina_smtp.workflow.items import Item, read_items

class Free(BaseModel):
    model_config = ConfigDict(extra="allow")

class Plain(NodeType):
    title = description = "For tests"
    config = Free
    def check(self, config):
        if config.get("to") == "nobody":
            raise ParameterError("to is nobody.", hint="Name somebody.", parameter="to")
        if config.get("to") == "bug":
            raise KeyError("secret")
"""

NODES = {
    "start": """
        class Start(Plain):
            type = "start"
            inputs = ()
            async def execute(self, task):
                return {"main": task.items or read_items(task.config.get("items", [{}]))}
        NODE = Start()
    """,
    "pass": """
        class Pass(Plain):
            type = "pass"
            async def execute(self, task):
                return {"main": [Item({**item.json, **task.config}, item.lineage) for item in task.items]}
        NODE = Pass()
    """,
    "split": """
        class Split(Plain):
            type = "split"
            outputs = ("yes", "no")
            async def execute(self, task):
                chosen = {True: [], False: []}
                for item in task.items:
                    chosen[bool(item.json.get("yes"))].append(item)
                return {"yes": chosen[True], "no": chosen[False]}
        NODE = Split()
    """,
    "pair": """
        class Pair(Plain):
            type = "pair"
            inputs = ("left", "right")
            async def execute(self, task):
                return {"main": task.items}
        NODE = Pair()
    """,
    "call": '''
        class Call(Plain):
            """Its credential is an async function of the task: a test decides what it does."""
            type = "call"
            credentials = ("function",)
            async def execute(self, task):
                return await task.credential(task)
        NODE = Call()
    ''',
    "broken": "raise ImportError('no such library')",
}

CREDENTIAL = """
class Function(CredentialType):
    type = "function"
    title = description = "For tests"
    fields = Free
    def read(self, data):
        if "host" not in data:
            raise InvalidCredential("host is required.", hint="Give host a value.", parameter="host")
        async def echo(task):
            return {"main": [Item({"host": data["host"]})]}
        return echo
    async def test(self, credential, *, send_to=None, progress=None):
        return Report(())
CREDENTIAL = Function()
"""


@pytest.fixture(scope="session")
def catalog(tmp_path_factory: pytest.TempPathFactory) -> Catalog:
    pack: Path = tmp_path_factory.mktemp("pack")
    for name, source in NODES.items():
        folder = pack / "nodes" / name
        folder.mkdir(parents=True)
        (folder / "__init__.py").write_text(HEADER + textwrap.dedent(source))
    folder = pack / "credentials" / "function"
    folder.mkdir(parents=True)
    (folder / "__init__.py").write_text(HEADER + CREDENTIAL)
    return Catalog((pack,))


@pytest.fixture
def workflow_of():
    """``workflow_of("a:start b:pass", "a>b")``: nodes as id:type, wires as from.output>to.input."""

    def build(nodes: str, edges: str = "", **extra):
        return {
            "name": "Test",
            "nodes": [
                {"id": node, "type": kind, "name": node.upper(), "config": {}, **extra.get(node, {})}
                for node, kind in (entry.split(":") for entry in nodes.split())
            ],
            "edges": [_edge(*wire.split(">")) for wire in edges.split()],
        }

    return build


def _edge(left: str, right: str) -> dict[str, str]:
    source, _, output = left.partition(".")
    target, _, port = right.partition(".")
    edge = {"from": source, "to": target}
    return edge | ({"output": output} if output else {}) | ({"input": port} if port else {})
