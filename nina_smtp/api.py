"""The library's front door: dicts in, results out (contract, section 8)."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, cast

from nina_smtp.catalog import Catalog, default_catalog
from nina_smtp.delivery.mailnode import Built, MailNode
from nina_smtp.delivery.result import Result, Results, Status
from nina_smtp.errors import InvalidCredential, NinaError
from nina_smtp.node import Task
from nina_smtp.workflow.blobs import BlobStore, NoBlobs
from nina_smtp.workflow.items import read_items

Json = Mapping[str, Any]
Items = Json | str | Sequence[Json | str]


def send(
    node: Json,
    credential: Json,
    items: Items = (),
    *,
    idempotency_key: str | None = None,
    dry_run: bool = False,
    blobs: BlobStore | None = None,
) -> Results:
    """Merges, builds and sends one mail for each item, over one connection. See :func:`send_async`."""
    return asyncio.run(
        send_async(node, credential, items, idempotency_key=idempotency_key, dry_run=dry_run, blobs=blobs)
    )


async def send_async(
    node: Json,
    credential: Json,
    items: Items = (),
    *,
    idempotency_key: str | None = None,
    dry_run: bool = False,
    blobs: BlobStore | None = None,
) -> Results:
    """One result for each item, whatever became of it; nothing is raised for a mail that does not go out.

    ``node`` is ``{"resource": "email", "operation": "send", "parameters": {…}, "extract": {…}, "options": {…}}``,
    ``credential`` is ``{"type": "smtp", "data": {…}}`` or the data alone, ``items`` one item or a list; without
    any, one mail is sent from the node alone. With ``idempotency_key`` the Message-IDs are the same every time.
    What is wrong with the node or the credential is the error of every result, and nothing is connected to.
    """
    listed = _listed(items)
    try:
        task = _task(node, credential, listed, idempotency_key, blobs)
        return await _mail_node().deliver(task, dry_run=dry_run)
    except NinaError as error:
        return Results(Result(Status.FAILED, index, error=error) for index in range(len(listed)))


def build(node: Json, credential: Json, item: Json | str | None = None, *, blobs: BlobStore | None = None) -> Built:
    """Merges and builds the mail for one item, and sends nothing: ``.bytes``, ``.envelope``, ``.sources``,
    ``.warnings``. Raises ParameterError or InvalidCredential.
    """
    return _mail_node().build(_task(node, credential, [{} if item is None else item], None, blobs))


def read_credential(credential: Json, catalog: Catalog | None = None) -> Any:
    """A credential, ``{"type", "data"}`` or the data alone (of type smtp), ready for a node.

    Raises InvalidCredential.
    """
    if not isinstance(credential, Mapping):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise InvalidCredential("A credential is an object.", hint='{"type": "smtp", "data": {…}}')
    name, data = credential.get("type", "smtp"), credential.get("data", credential)
    if "data" not in credential and "type" in credential:
        data = {key: value for key, value in credential.items() if key != "type"}
    if not isinstance(name, str) or not isinstance(data, Mapping):
        raise InvalidCredential("A credential has a type and an object of data.", hint='{"type": "smtp", "data": {…}}')
    return (catalog or default_catalog()).credential(name).read(cast(Json, data))


def _listed(items: Items) -> Sequence[Json | str]:
    """A list of items; one mail without any data for an empty one."""
    if isinstance(items, (str, Mapping)):
        return [cast("Json | str", items)]
    return list(items) or [{}]


def _task(
    node: Json,
    credential: Json,
    items: Sequence[Json | str],
    key: str | None,
    blobs: BlobStore | None,
) -> Task:
    return Task(
        config=node,
        items=read_items(items, parameter="input", source="input"),
        blobs=blobs or NoBlobs(),
        credential=read_credential(credential),
        key=key,
    )


def _mail_node() -> MailNode:
    return cast(MailNode, default_catalog().node("smtp"))
