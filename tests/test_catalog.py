"""Packs: found by folder and by entry point, loaded by path, and never the death of a host."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from nina_smtp import catalog as module
from nina_smtp.catalog import Broken, Catalog, default_catalog, own_pack
from nina_smtp.describe import description
from nina_smtp.errors import NinaError

NODE = """
from pydantic import BaseModel
from nina_smtp.node import NodeType
from . import part
class Form(BaseModel): pass
class Thing(NodeType):
    type = {name!r}
    title = description = part.WORD
    config = Form
    def check(self, config): pass
    async def execute(self, task): return {{}}
NODE = Thing()
"""


def put(pack: Path, name: str, source: str = NODE, word: str = "Word", kind: str = "nodes") -> None:
    folder = pack / kind / name
    folder.mkdir(parents=True)
    (folder / "__init__.py").write_text(source.format(name=name) if source is NODE else source)
    (folder / "part.py").write_text(f"WORD = {word!r}")


@pytest.fixture(autouse=True)
def loaded() -> Iterator[None]:
    """Forgets what a test has loaded."""
    before = set(sys.modules)
    yield
    for name in set(sys.modules) - before:
        if name.startswith("nina_smtp.pack."):
            del sys.modules[name]


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("import no_such_library", "ModuleNotFoundError: No module named 'no_such_library'"),
        ("def broken(", "SyntaxError"),
        ("x = 1", "has no attribute 'NODE'"),
        ("NODE = 5", "NODE is not a NodeType"),
        ("raise RuntimeError('at import')", "RuntimeError: at import"),
        ("1 / 0", "ZeroDivisionError"),
    ],
)
def test_a_type_that_does_not_load_is_a_broken_entry_and_the_others_live(
    tmp_path: Path, source: str, words: str
):
    put(tmp_path, "bad", source)
    put(tmp_path, "good")
    found = Catalog((tmp_path,))
    bad, good = found.nodes()
    assert isinstance(bad, Broken)
    assert bad.type == "bad"
    assert words in bad.error
    assert not isinstance(good, Broken)
    assert good.type == "good"
    with pytest.raises(NinaError, match="'bad' is broken"):
        found.node("bad")
    assert "nina_smtp.pack.nodes.bad" not in sys.modules or source in ("x = 1", "NODE = 5")
    assert [node for node in description(found)["nodes"] if node["type"] == "bad"] == [
        {"type": "bad", "error": bad.error}
    ]


def test_an_unknown_type_names_the_nearest(tmp_path: Path):
    put(tmp_path, "good")
    with pytest.raises(NinaError, match="There is no node type 'god'") as caught:
        Catalog((tmp_path,)).node("god")
    assert caught.value.hint == "Did you mean good?"
    with pytest.raises(NinaError) as caught:
        Catalog((tmp_path,)).node("zzz")
    assert caught.value.hint == "There are: good."


def test_the_first_pack_that_has_a_type_wins(tmp_path: Path):
    put(tmp_path / "a", "same", word="first")
    put(tmp_path / "b", "same", word="second")
    assert Catalog((tmp_path / "a", tmp_path / "b")).node("same").title == "first"


def test_types_of_the_same_name_in_two_catalogs_do_not_share_parts(tmp_path: Path):
    put(tmp_path / "a", "same", word="first")
    put(tmp_path / "b", "same", word="second")
    a, b = Catalog((tmp_path / "a",)), Catalog((tmp_path / "b",))
    assert [a.node("same").title, b.node("same").title, a.node("same").title] == ["first", "second", "first"]


def test_a_type_is_loaded_once(tmp_path: Path):
    put(tmp_path, "good")
    found = Catalog((tmp_path,))
    assert found.node("good") is found.node("good")


def test_nothing_is_loaded_before_it_is_asked_for(tmp_path: Path):
    put(tmp_path, "bad", "raise SystemError")
    put(tmp_path, "good")
    Catalog((tmp_path,)).node("good")
    assert "nina_smtp.pack.nodes.bad" not in sys.modules


def test_a_pack_that_is_not_there_is_empty(tmp_path: Path):
    assert list(Catalog((tmp_path / "nowhere",)).nodes()) == []


def test_other_packages_bring_theirs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    put(tmp_path, "theirs")
    entries = [SimpleNamespace(name="theirs", load=lambda: tmp_path)]
    monkeypatch.setattr(
        module.importlib.metadata, "entry_points", lambda group: entries if group == "nina.packs" else []
    )
    default_catalog.cache_clear()
    try:
        assert default_catalog().node("theirs").type == "theirs"
        assert default_catalog().node("smtp").type == "smtp"
    finally:
        default_catalog.cache_clear()


def test_a_package_whose_pack_does_not_load_takes_nothing_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def fail() -> Any:
        raise ImportError("half installed")

    put(tmp_path, "theirs")
    entries = [
        SimpleNamespace(name="bad", load=fail),
        SimpleNamespace(name="odd", load=lambda: 5),
        SimpleNamespace(name="good", load=lambda: str(tmp_path)),
    ]
    monkeypatch.setattr(module.importlib.metadata, "entry_points", lambda group: entries)
    default_catalog.cache_clear()
    try:
        assert default_catalog().node("smtp").type == "smtp"
        assert default_catalog().node("theirs").type == "theirs"
        told = [found for found in default_catalog().nodes() if isinstance(found, Broken)]
        assert [(found.type, found.error.partition(":")[0]) for found in told] == [
            ("bad", "ImportError"),
            ("odd", "TypeError"),
        ]
    finally:
        default_catalog.cache_clear()


def test_ours_is_at_the_top_of_the_repository():
    assert (own_pack() / "nodes" / "smtp" / "icon.svg").is_file()
    assert {found.type for found in default_catalog().nodes()} >= {"smtp", "manual_trigger", "table_to_file"}
    assert {found.type for found in default_catalog().credentials()} >= {"smtp"}
    assert default_catalog().folder("credentials", "smtp") == own_pack() / "credentials" / "smtp"


def test_threads_that_ask_for_a_type_first_and_at_once_all_get_it() -> None:
    program = """
import threading
from nina_smtp.catalog import default_catalog
found, start = [], threading.Barrier(8)
def ask():
    start.wait()
    found.append(type(default_catalog().credential("smtp")).__name__)
threads = [threading.Thread(target=ask) for _ in range(8)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
print(found)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("Credential") == 8, done.stdout + done.stderr
