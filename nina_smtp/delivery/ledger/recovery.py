"""Puts right what dead owners left behind."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, delete, select, text, update

from nina_smtp.delivery.attempt import Attempt, accepted_in, refusal_as_dict, refused_in
from nina_smtp.delivery.ledger.database import insert_new
from nina_smtp.delivery.ledger.owners import Locks
from nina_smtp.delivery.ledger.states import OnUncertain, State, left_behind
from nina_smtp.delivery.ledger.tables import contents, mails, owners
from nina_smtp.delivery.verdict import Kind
from nina_smtp.smtp.failures import uncertain

_WHY = "the program ended while it waited for it."


@dataclass(frozen=True, slots=True)
class See:
    """An owner that is alive now, and how it tells who else is."""

    owner: str
    now: float
    locks: Locks


def see(connection: Connection, owners_seen: Sequence[See]) -> list[None]:
    """Puts on record that they are alive."""
    for one in owners_seen:
        now = _now(connection, one)
        insert_new(connection, owners, [{"id": one.owner, "seen": now}])
        connection.execute(update(owners).where(owners.c.id == one.owner).values(seen=now))
    return [None] * len(owners_seen)


def _now(connection: Connection, one: See) -> float:
    """By the clock of the database, if it is on a machine of its own: those of its clients may differ."""
    if connection.dialect.name != "postgresql":
        return one.now
    now: float = connection.execute(text("SELECT extract(epoch FROM clock_timestamp())::float8")).scalar_one()
    return now


def recover(connection: Connection, by: Sequence[See]) -> list[dict[str, State]]:
    """What became of each mail whose owner is dead."""
    return [_recover(connection, one) for one in by]


def _recover(connection: Connection, by: See) -> dict[str, State]:
    found: dict[str, State] = {}
    now = _now(connection, by)
    known: dict[str, float] = {row.id: row.seen for row in connection.execute(select(owners))}
    having = select(mails.c.owner).where(mails.c.owner.is_not(None)).distinct()
    for owner in connection.execute(having).scalars():
        known.setdefault(owner, now)  # it was taken for dead before, and was not
    for owner, seen in known.items():
        if owner == by.owner or by.locks.is_alive(connection, owner, now - seen):
            continue
        rows = connection.execute(
            select(mails).where(mails.c.owner == owner).with_for_update(skip_locked=True)
        ).mappings()
        for row in rows.all():
            found[row["id"]] = _put_right(connection, dict(row), by.now)
        left = select(mails.c.id).where(mails.c.owner == owner).exists()  # what it is still writing
        connection.execute(delete(owners).where(owners.c.id == owner, ~left))
        by.locks.forget(owner)
    return found


def _put_right(connection: Connection, row: dict[str, Any], now: float) -> State:
    state = left_behind(State(row["state"]), OnUncertain(row["on_uncertain"]))
    values: dict[str, Any] = {"state": state, "owner": None, "due": now}
    if row["state"] == State.COMMITTING:
        error = uncertain(_WHY, None)
        history = json.loads(row["history"])
        attempt = Attempt(
            len(history) + 1, row["account"], now, 0.0, Kind.UNKNOWN, error.phase, message=error.message
        ).as_dict()
        values["history"] = json.dumps([*history, attempt])
        if state is not State.QUEUED:
            values["result"] = json.dumps(_result(row, state, [*history, attempt], error.as_dict()))
    connection.execute(update(mails).where(mails.c.id == row["id"]).values(**values))
    if state is State.SENT:
        connection.execute(delete(contents).where(contents.c.mail == row["id"]))
    return state


def _result(
    row: dict[str, Any], state: State, history: list[dict[str, Any]], error: dict[str, Any]
) -> dict[str, Any]:
    """As the contract, section 4, has it: what is known now."""
    recipients = json.loads(row["recipients"])
    reached = [*accepted_in(history), *(recipients if state is State.SENT else ())]
    refused = refused_in(history)
    everybody = dict.fromkeys([*reached, *(one.address for one in refused), *recipients])
    result: dict[str, Any] = {
        "status": state.value,
        "messageId": row["message_id"],
        "accepted": reached,
        "rejected": [refusal_as_dict(one) for one in refused],
        "envelope": {"from": row["sender"], "to": list(everybody)},
        "size": row["size"],
        "attempts": sum("phase" in one for one in history),
        "durationMs": 0,
        "sources": json.loads(row["sources"]),
        "warnings": json.loads(row["warnings"]),
        "item": row["item"],
        "history": history,
    }
    if state is State.UNKNOWN:
        return result | {"uncertain": recipients, "error": error}
    return result | {"warnings": [*result["warnings"], "No clear answer came; it counts as sent."]}
