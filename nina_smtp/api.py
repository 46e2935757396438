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
from nina_smtp.secret import Hidden
from nina_smtp.workflow.blobs import BlobStore, NoBlobs
from nina_smtp.workflow.items import read_items

Json = Mapping[str, Any]
Items = Json | str | Sequence[Json | str]


def send(
    node: Json,
    credential: Json,
    items: Items | None = None,
    *,
    idempotency_key: str | None = None,
    dry_run: bool = False,
    blobs: BlobStore | None = None,
) -> Results:
    """Merges, builds and sends one mail for each item. See :func:`send_async`."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        pass
    else:
        raise RuntimeError("an event loop is running here: use await nina_smtp.send_async(…)")
    return asyncio.run(
        send_async(node, credential, items, idempotency_key=idempotency_key, dry_run=dry_run, blobs=blobs)
    )


async def send_async(
    node: Json,
    credential: Json,
    items: Items | None = None,
    *,
    idempotency_key: str | None = None,
    dry_run: bool = False,
    blobs: BlobStore | None = None,
) -> Results:
    """One result for each item, whatever became of it; nothing is raised for a mail that does not go out.

    ``node`` is ``{"resource": "email", "operation": "send", "parameters": {…}, "extract": {…}, "options":
    {…}}``, ``credential`` is ``{"type": "smtp", "data": {…}}`` or the data alone, ``items`` one item or a
    list. Without ``items`` one mail is sent from the node alone; an empty list sends none. With
    ``idempotency_key`` the Message-IDs are the same every time. What is wrong with the node or the
    credential is the error of every result, and nothing is connected to.
    """
    credential = Hidden(credential) if isinstance(credential, Mapping) else credential  # pyright: ignore[reportUnnecessaryIsInstance]
    try:
        task = mail_task(node, credential, items, key=idempotency_key, blobs=blobs)
        return await mail_node().deliver(task, dry_run=dry_run)
    except NinaError as error:
        count = len(items) if isinstance(items, (list, tuple)) else 1
        return Results(Result(Status.FAILED, index, error=error) for index in range(count))


def build(
    node: Json, credential: Json, item: Json | str | None = None, *, blobs: BlobStore | None = None
) -> Built:
    """Merges and builds the mail for one item, and sends nothing: ``.bytes``, ``.envelope``, ``.sources``,
    ``.warnings``. Raises ParameterError or InvalidCredential.
    """
    credential = Hidden(credential) if isinstance(credential, Mapping) else credential  # pyright: ignore[reportUnnecessaryIsInstance]
    return mail_node().build(mail_task(node, credential, item, blobs=blobs))


def read_credential(credential: Json, catalog: Catalog | None = None) -> Any:
    """A credential, ``{"type", "data"}`` or the data alone (of type smtp), ready for a node.

    Raises InvalidCredential.
    """
    if not isinstance(credential, Mapping):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise InvalidCredential("A credential is an object.", hint='{"type": "smtp", "data": {…}}')
    credential = Hidden(credential)
    name = credential.get("type", "smtp")
    if not isinstance(name, str) or not isinstance(credential.get("data", credential), Mapping):
        raise InvalidCredential(
            "A credential has a type and an object of data.", hint='{"type": "smtp", "data": {…}}'
        )
    try:
        kind = (catalog or default_catalog()).credential(name)
    except NinaError as error:
        raise InvalidCredential(error.message, hint=error.hint, parameter="type") from None
    if "data" in credential:
        return kind.read(Hidden(credential["data"]))
    return kind.read(Hidden({key: value for key, value in credential.items() if key != "type"}))


def mail_task(
    node: Json,
    credential: Json,
    items: Items | None = None,
    *,
    key: str | None = None,
    blobs: BlobStore | None = None,
) -> Task:
    """The work that ``node`` has with ``items``. Raises ParameterError, InvalidCredential."""
    return Task(
        config=node,
        items=read_items({} if items is None else items, parameter="input", source="input"),
        blobs=blobs or NoBlobs(),
        credential=read_credential(credential),
        key=key,
    )


def mail_node() -> MailNode:
    """The node that sends mail."""
    return cast(MailNode, default_catalog().node("smtp"))
