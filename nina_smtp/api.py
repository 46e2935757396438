"""The library's front door: dicts in, results out (contract, section 8)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from nina_smtp.catalog import Catalog, default_catalog
from nina_smtp.delivery.mailnode import Built, Depth, MailNode
from nina_smtp.delivery.result import Result, Results, Status
from nina_smtp.errors import InvalidCredential, NinaError, ParameterError
from nina_smtp.node import Task
from nina_smtp.secret import Hidden
from nina_smtp.workflow.blobs import BlobStore, NoBlobs
from nina_smtp.workflow.items import read_items

if TYPE_CHECKING:
    from nina_smtp.delivery.ledger.ledger import Ledger
    from nina_smtp.delivery.outbox import Outbox

MAX_KEY = 300
"""Characters of an idempotency key."""

Json = Mapping[str, Any]
Items = Json | str | Sequence[Json | str]
Credentials = Json | Sequence[Json]
"""A credential, or several, in the order in which they are used."""


def send(
    node: Json,
    credential: Credentials,
    items: Items | None = None,
    *,
    idempotency_key: str | None = None,
    dry_run: bool | str = False,
    blobs: BlobStore | None = None,
    ledger: Ledger | str | Path | None = None,
    wait: float | None = 0.0,
    transcript: bool = False,
) -> Results:
    """Merges, builds and sends one mail for each item. See :func:`send_async`."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        pass
    else:
        raise RuntimeError("an event loop is running here: use await nina_smtp.send_async(…)")
    return asyncio.run(
        send_async(
            node,
            credential,
            items,
            idempotency_key=idempotency_key,
            dry_run=dry_run,
            blobs=blobs,
            ledger=ledger,
            wait=wait,
            transcript=transcript,
        )
    )


async def send_async(
    node: Json,
    credential: Credentials,
    items: Items | None = None,
    *,
    idempotency_key: str | None = None,
    dry_run: bool | str = False,
    blobs: BlobStore | None = None,
    ledger: Ledger | str | Path | None = None,
    wait: float | None = 0.0,
    transcript: bool = False,
) -> Results:
    """One result for each item, whatever became of it; nothing is raised for a mail that does not go out.

    ``node`` is ``{"resource": "email", "operation": "send", "parameters": {…}, "extract": {…}, "options":
    {…}}``, ``credential`` is ``{"type": "smtp", "data": {…}}`` or the data alone, or a list of them: those
    after the first are used, in order, where it is certain that nothing was sent by the one before.
    ``items`` is one item or a list. Without ``items`` one mail is sent from the node alone; an empty list
    sends none. With ``idempotency_key`` the Message-IDs are the same every time. What is wrong with the node
    or the credential is the error of every result, and nothing is connected to.

    With a ``ledger``, a file or a database's URL, every mail is on record before it is sent, none is sent
    twice under the same ``idempotency_key``, and those that failed for now are sent again later, by whoever
    has the ledger open: ``wait`` seconds are waited for that here, or for None until every mail is over.
    ``dry_run`` is True, ``"build"``, ``"login"`` or ``"recipients"``
    (:class:`~nina_smtp.delivery.mailnode.Depth`). With ``transcript`` each result has what was said.
    """
    credential = _hidden(credential)
    try:
        depth = depth_of(dry_run)
        task = mail_task(node, credential, items, key=idempotency_key, blobs=blobs)
        task = replace(task, transcript=transcript)
        if ledger is None or depth:
            return await mail_node().deliver(task, dry_run=depth)
        async with outbox_of(ledger) as outbox:
            return await mail_node().deliver(replace(task, outbox=outbox, patience=wait))
    except NinaError as error:
        count = len(items) if isinstance(items, (list, tuple)) else 1
        return Results(Result(Status.FAILED, index, error=error) for index in range(count))


def build(
    node: Json, credential: Credentials, item: Json | str | None = None, *, blobs: BlobStore | None = None
) -> Built:
    """Merges and builds the mail for one item, and sends nothing: ``.bytes``, ``.envelope``, ``.sources``,
    ``.warnings``. Raises ParameterError or InvalidCredential.
    """
    credential = _hidden(credential)
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
    credential: Credentials,
    items: Items | None = None,
    *,
    key: str | None = None,
    blobs: BlobStore | None = None,
) -> Task:
    """The work that ``node`` has with ``items``. Raises ParameterError, InvalidCredential."""
    if key is not None:
        check_key(key)
    listed = list(credential) if isinstance(credential, (list, tuple)) else [cast(Json, credential)]
    if not listed:
        raise InvalidCredential("The list of credentials is empty.", hint="Give one at least.")
    first, *others = [read_credential(one) for one in listed]
    return Task(
        config=node,
        items=read_items({} if items is None else items, parameter="input", source="input"),
        blobs=blobs or NoBlobs(),
        credential=first,
        fallbacks=others,
        key=key,
    )


def check_key(key: str) -> None:
    """Raises ParameterError for an idempotency key that could not be kept."""
    if not key or len(key) > MAX_KEY or not key.isprintable():
        raise ParameterError(
            f"An idempotency key has 1 to {MAX_KEY} printable characters.",
            hint="Use the name of the run, or leave it away.",
            parameter="idempotencyKey",
        )


def mail_node() -> MailNode:
    """The node that sends mail."""
    return cast(MailNode, default_catalog().node("smtp"))


@asynccontextmanager
async def outbox_of(ledger: Ledger | str | Path) -> AsyncGenerator[Outbox]:
    """The outbox of a ledger, which is opened unless it is."""
    try:
        from nina_smtp.delivery.ledger.ledger import Ledger
        from nina_smtp.delivery.outbox import Outbox
    except ModuleNotFoundError as error:
        raise without_library(error) from None

    async with AsyncExitStack() as stack:
        opened = ledger if isinstance(ledger, Ledger) else await stack.enter_async_context(Ledger(ledger))
        yield await stack.enter_async_context(Outbox(opened))


def without_library(error: ModuleNotFoundError) -> ParameterError:
    """The error for a ledger whose library is not installed; another module that is missing is raised."""
    if (error.name or "").partition(".")[0] != "sqlalchemy":
        raise error
    return ParameterError(
        "A ledger needs SQLAlchemy, which is not installed.",
        hint='pip install "nina-smtp[ledger]", or [postgres] for a database.',
        parameter="ledger",
    )


def depth_of(dry_run: bool | str) -> Depth | None:
    """How far a dry run goes; None sends. Raises ParameterError."""
    if isinstance(dry_run, bool):
        return Depth.BUILD if dry_run else None
    try:
        return Depth(dry_run)
    except ValueError:
        raise ParameterError(
            f"There is no dry run {str(dry_run)[:40]!a}.",
            hint=f"There are: {', '.join(Depth)}.",
            parameter="dryRun",
        ) from None


def _hidden(credential: Credentials) -> Credentials:
    """Not shown in the frames of a traceback."""
    if isinstance(credential, Mapping):
        return Hidden(credential)
    if isinstance(credential, (list, tuple)):
        return [Hidden(one) if isinstance(one, Mapping) else one for one in credential]  # pyright: ignore
    return credential
