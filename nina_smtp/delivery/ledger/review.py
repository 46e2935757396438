"""What a person, or a host, asks of a ledger: how it stands, what is in doubt; and what they decide."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, delete, func, select, update

from nina_smtp.delivery.ledger.entry import Entry
from nina_smtp.delivery.ledger.states import FINAL, State
from nina_smtp.delivery.ledger.tables import contents, mails
from nina_smtp.errors import ParameterError

Counts = Mapping[str, Mapping[str, int]]
BY_HAND = "A person counts it as sent."


@dataclass(frozen=True, slots=True)
class Question:
    """Mails in one of ``states``, or in any; older than the one with the id ``before``, the latest first."""

    states: tuple[State, ...] = ()
    before: str | None = None
    most: int = 100


@dataclass(frozen=True, slots=True)
class Word:
    """What a person says of a mail: it is to be sent (``QUEUED``), or counts as sent (``SENT``)."""

    id: str
    state: State
    now: float


def counts(connection: Connection, asked: Sequence[None]) -> list[Counts]:
    """How many mails of each account are in each state."""
    found: dict[str, dict[str, int]] = {}
    rows = connection.execute(
        select(mails.c.account, mails.c.state, func.count().label("count")).group_by(
            mails.c.account, mails.c.state
        )
    )
    for row in rows.mappings():
        found.setdefault(row["account"], {})[row["state"]] = row["count"]
    return [found] * len(asked)


def listed(connection: Connection, questions: Sequence[Question]) -> list[list[Entry]]:
    """The entries asked for, without their content."""
    return [_listed(connection, question) for question in questions]


def _listed(connection: Connection, question: Question) -> list[Entry]:
    query = select(mails).order_by(mails.c.id.desc()).limit(question.most)
    if question.states:
        query = query.where(mails.c.state.in_([str(state) for state in question.states]))
    if question.before:
        query = query.where(mails.c.id < question.before)
    return [Entry.of_row(dict(row)) for row in connection.execute(query).mappings()]


def sent_since(connection: Connection, asked: Sequence[tuple[str, float]]) -> list[list[float]]:
    """When the mails of an account were sent, since a moment: for its limit a day."""
    over = [str(state) for state in (State.SENT, State.PARTIAL, State.UNKNOWN)]
    return [
        list(
            connection.execute(
                select(mails.c.due)
                .where(mails.c.account == account, mails.c.state.in_(over), mails.c.due >= since)
                .order_by(mails.c.due)
            ).scalars()
        )
        for account, since in asked
    ]


def settle(connection: Connection, words: Sequence[Word]) -> list[State | ParameterError]:
    """The state each mail is in now, or why it cannot be."""
    return [_settle(connection, word) for word in words]


def _settle(connection: Connection, word: Word) -> State | ParameterError:
    row = connection.execute(select(mails).where(mails.c.id == word.id).with_for_update()).mappings().first()
    if row is None:
        return ParameterError(f"There is no mail {word.id[:40]!a} in the ledger.", parameter="id")
    entry = Entry.of_row(dict(row))
    allowed = (State.UNKNOWN,) if word.state is State.SENT else (State.UNKNOWN, State.FAILED, State.DEFERRED)
    if entry.state not in allowed:
        return ParameterError(
            f"The mail {word.id} is {entry.state}, so there is nothing to decide.",
            hint=f"Only of one that is {' or '.join(allowed)} there is.",
            parameter="id",
        )
    values: dict[str, Any] = {"state": word.state, "due": word.now}
    if word.state is State.SENT:
        result = dict(entry.result or {})
        reached = dict.fromkeys([*result.get("accepted", ()), *entry.recipients])
        result |= {"status": "sent", "accepted": list(reached)}
        result["warnings"] = [*result.get("warnings", []), BY_HAND]
        result.pop("error", None)
        result.pop("uncertain", None)
        values["result"] = json.dumps(result)
    else:
        age = entry.expires - entry.created
        values |= {"expires": max(entry.expires, word.now + age), "result": None, "account": entry.route[0]}
    connection.execute(update(mails).where(mails.c.id == word.id).values(**values))
    if word.state is State.SENT:
        connection.execute(delete(contents).where(contents.c.mail == word.id))
    return word.state


def prune(connection: Connection, moments: Sequence[float]) -> list[int]:
    """How many mails were forgotten that were over before each moment. Their keys are free then."""
    return [_prune(connection, before) for before in moments]


def _prune(connection: Connection, before: float) -> int:
    over = [str(state) for state in FINAL - {State.UNKNOWN}]
    old = select(mails.c.id).where(mails.c.state.in_(over), mails.c.due < before)
    connection.execute(delete(contents).where(contents.c.mail.in_(old)))
    return connection.execute(delete(mails).where(mails.c.state.in_(over), mails.c.due < before)).rowcount
