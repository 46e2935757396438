"""Mails for a ledger, and what it says of them."""

import asyncio
from collections.abc import Callable
from itertools import count
from typing import Any

from nina_smtp.delivery.ledger.entry import Entry, content_of
from nina_smtp.delivery.ledger.ledger import Ledger
from nina_smtp.delivery.ledger.statements import Ending
from nina_smtp.delivery.ledger.states import State
from nina_smtp.errors import LedgerFailed
from nina_smtp.message import Email, Message, compose

NOW = 1_800_000_000.0
DAY = 86_400.0
_numbers = count()


def message(**values: Any) -> Message:
    given: dict[str, Any] = {"sender": "a@mail.test", "to": "b@mail.test", "subject": "s", "text": "Body\n"}
    return compose(Email(**given | values))


def entry(owner: str | None = None, **more: Any) -> Entry:
    """A mail that waits, or that is `owner`'s."""
    given: dict[str, Any] = {
        "key": f"key/{next(_numbers)}",
        "digest": "d",
        "account": "acct",
        "route": ("acct",),
        "state": State.LEASED if owner else State.QUEUED,
        "owner": owner,
        "due": NOW,
        "created": NOW,
        "expires": NOW + DAY,
    }
    return Entry(**given | content_of(more.pop("message", None) or message()) | more)


async def told(ask: Callable[[Callable[[Any], object]], object]) -> Any:
    """What `ask(done)` has `done` called with."""
    future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
    ask(future.set_result)
    return await future


async def add(ledger: Ledger, *entries: Entry) -> list[Any]:
    """What the ledger has for each now. They go into one transaction."""
    return await asyncio.gather(*(told(lambda done, one=one: ledger.add(one, done)) for one in entries))


async def commit(ledger: Ledger, *entries: Entry) -> list[Any]:
    return await asyncio.gather(
        *(told(lambda done, one=one: ledger.commit(one.id, one.attempts + 1, done)) for one in entries)
    )


async def end(ledger: Ledger, one: Entry, state: State, **more: Any) -> Any:
    return await told(lambda done: ledger.end(ending(ledger.owner, one, state, **more), done))


def ending(owner: str, one: Entry, state: State, **more: Any) -> Ending:
    given: dict[str, Any] = {
        "id": one.id,
        "owner": owner,
        "state": state,
        "attempts": one.attempts + 1,
        "account": one.account,
        "due": NOW,
        "recipients": one.recipients,
        "history": one.history,
        "result": None,
    }
    return Ending(**given | more)


async def found(ledger: Ledger, one: Entry | str) -> Entry:
    [there] = await ledger.find(one if isinstance(one, str) else one.id)
    assert there
    return there


def failed(answer: Any) -> LedgerFailed:
    assert isinstance(answer, LedgerFailed), answer
    return answer
