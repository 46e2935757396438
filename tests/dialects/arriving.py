"""What arrives when something that was imported is sent, and what holds for every import."""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bed.mail import Mail
from bed.readers import readers
from bed.recorder import Recorder
from hypothesis import strategies as st

import nina_smtp
from nina_smtp.catalog import default_catalog
from nina_smtp.dialects.dialect import Dialect
from nina_smtp.dialects.imported import Fate, Imported, plain
from nina_smtp.errors import InvalidConfiguration
from nina_smtp.smtp.server import is_this_machine
from nina_smtp.workflow.blobs import FolderBlobStore
from nina_smtp.workflow.run import Run, run
from nina_smtp.workflow.validate import validate

PDF = b"%PDF-1.4\n"
HOSTILE = {
    **dict.fromkeys(("to", "cc", "bcc", "replyTo", "from", "envelopeFrom"), "evil@evil.example"),
    **dict.fromkeys(("messageId", "inReplyTo", "references"), "<evil@evil.example>"),
    "subject": "evil",
    "body": "evil",
    "contentType": "html",
    "importance": "high",
    "headers": {"X-Evil": "evil"},
    "attachments": [{"filename": "evil", "content": "aGk="}],
}
"""An item that would set every parameter."""


def credential(server: Recorder) -> dict[str, Any]:
    return {
        "host": server.host,
        "port": server.port,
        "encryption": "none",
        "authMethod": "none",
        "fromAddress": "credential@corp.example",
    }


def only_node(imported: Imported) -> dict[str, Any]:
    ((_, node),) = imported.nodes.items()
    return plain(node)


def sent(imported: Imported, item: dict[str, Any] | None = None, blobs: Any = None) -> tuple[Any, Mail]:
    """The only node's mail: as the server took it, and as a reader sees it."""
    with Recorder() as server:
        nina_smtp.send(only_node(imported), credential(server), item or {}, blobs=blobs).raise_for_status()
        (message,) = server.messages
    return message, readers()["python"](message.content)


def ran(imported: Imported, items: Any, folder: Path) -> tuple[Run, list[Any]]:
    """The only workflow's run, and the messages that the server took."""
    catalog = default_catalog()
    (document,) = imported.workflows
    workflow = validate(plain(document), catalog)
    with Recorder() as server:
        account = catalog.credential("smtp").read(credential(server))
        names = {name: account for node in workflow.nodes for name in node.route if isinstance(name, str)}
        done = asyncio.run(
            run(workflow, catalog, credentials=names, trigger_items=items, blobs=FolderBlobStore(folder))
        )
        return done, list(server.messages)


def header(message: Any, name: str) -> str | None:
    from email import message_from_bytes, policy  # noqa: TID251 - a reader that is not ours

    return message_from_bytes(message.content, policy=policy.default)[name]


def same(one: Imported, other: Imported) -> bool:
    return all(
        plain(getattr(one, part)) == plain(getattr(other, part))
        for part in ("credentials", "nodes", "workflows")
    )


def round_trip(dialect: Dialect, imported: Imported) -> Imported:
    written = json.loads(json.dumps(dialect.write(imported)))
    assert dialect.recognises(written)
    again = dialect.read(written, "imported")
    assert same(imported, again)
    return again


def check(imported: Imported) -> None:
    """What came of it can run, warns of what is unsafe, and sends no expression unexpanded."""
    catalog = default_catalog()
    for document in imported.workflows:
        validate(plain(document), catalog)
    for node in imported.nodes.values():
        catalog.node("smtp").check(plain(node))
        assert node["options"]["sources"] == "node"
    warnings = [note.message for note in imported.told(Fate.WARNING)]
    for one in imported.credentials.values():
        data = one["data"]
        here = is_this_machine(data["host"])
        if data.get("encryption") == "none" and data.get("authMethod") != "none" and not here:
            assert any("clear text" in text for text in warnings)
        if data.get("tlsSkipVerify"):
            assert any("not verified" in text for text in warnings)


def unnoted(document: Any, imported: Imported) -> set[str]:
    """The keys of a document that no note speaks of, nor of what they are in or what is in them."""
    places = {note.place for note in imported.notes}
    related = [
        (leaf, any(_inside(leaf, place) or _inside(place, leaf) for place in places))
        for leaf in _leaves(document, "")
    ]
    return {leaf for leaf, noted in related if not noted}


def _inside(inner: str, outer: str) -> bool:
    return inner == outer or inner.startswith((f"{outer}.", f"{outer}["))


def _leaves(value: Any, place: str) -> Iterator[str]:
    if isinstance(value, dict) and value:
        for key, inner in value.items():
            yield from _leaves(inner, f"{place}.{key}" if place else key)
    elif isinstance(value, list) and any(isinstance(one, dict) for one in value):
        for index, inner in enumerate(value):
            yield from _leaves(inner, f"{place}[{index}]")
    else:
        yield place


def never_anything_but_ours(dialect: Dialect, document: Any) -> None:
    """Reading says what is wrong in our words, and so does writing what was read."""
    dialect.recognises(document)
    try:
        imported = dialect.read(document, "imported")
    except InvalidConfiguration:
        return
    check(imported)
    try:
        dialect.write(imported)
    except InvalidConfiguration:
        return
    round_trip(dialect, imported)


SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-10, 70000),
    st.floats(allow_nan=False, width=32),
    st.text(max_size=20),
    st.sampled_from(
        ["a@b.example", "Jane <j@b.example>, c@d.example", "true", "587", "h.example", "", "x{{", "{%", "a,b"]
    ),
)


def anything(keys: list[str], words: list[Any]) -> st.SearchStrategy[Any]:
    """JSON that uses a dialect's own keys and words where it can."""
    scalars = st.one_of(SCALARS, st.sampled_from(words))
    names = st.one_of(st.sampled_from(keys), st.text(max_size=5))
    return st.recursive(
        scalars,
        lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(names, inner, max_size=6)),
        max_leaves=20,
    )


def changed(documents: list[Any], keys: list[str], words: list[Any]) -> st.SearchStrategy[Any]:
    """Good documents with one to three values put elsewhere, taken away, or replaced."""
    values = anything(keys, words)

    @st.composite
    def build(draw: Any) -> Any:
        document = json.loads(json.dumps(draw(st.sampled_from(documents))))
        for _ in range(draw(st.integers(0, 3))):
            holders = list(_holders(document))
            if not holders:
                break
            holder = draw(st.sampled_from(holders))
            if isinstance(holder, list):
                if holder:
                    holder[draw(st.integers(0, len(holder) - 1))] = draw(values)
            else:
                key = draw(st.sampled_from(sorted(set(holder) | set(keys))))
                if draw(st.booleans()):
                    holder.pop(key, None)
                else:
                    holder[key] = draw(values)
        return document

    return build()


def _holders(value: Any) -> Iterator[Any]:
    if isinstance(value, dict | list):
        yield value
        for inner in value.values() if isinstance(value, dict) else value:
            yield from _holders(inner)
