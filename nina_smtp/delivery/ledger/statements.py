"""What is written to the ledger and read from it: each for several mails, in somebody's transaction."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, and_, bindparam, delete, func, insert, or_, select, update

from nina_smtp.delivery.ledger.database import insert_new
from nina_smtp.delivery.ledger.entry import Entry
from nina_smtp.delivery.ledger.states import WAITING, State
from nina_smtp.delivery.ledger.tables import contents, mails

_IN_ONE_LIST = 500  # values of an IN: SQLite takes no more than some thousands
MAX_LEASED_OCTETS = 32 * 1024 * 1024
"""What is read into memory with one lease, but for a single mail that is larger."""


@dataclass(frozen=True, slots=True)
class Mine:
    """A mail, and who says that it is theirs."""

    id: str
    owner: str
    attempts: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """How an attempt ended, and what is to become of the mail."""

    id: str
    owner: str
    state: State
    attempts: int
    account: str
    due: float
    recipients: tuple[str, ...]
    history: tuple[Mapping[str, Any], ...]
    result: Mapping[str, Any] | None = field(default=None)


@dataclass(frozen=True, slots=True)
class Wish:
    """So many of an account's mails, of those that are due."""

    account: str
    owner: str
    now: float
    most: int


def add(connection: Connection, entries: Sequence[Entry]) -> list[Entry]:
    """Each as it is in the ledger afterwards: itself, or the one that has its key.

    One that failed before, so that nobody has it, is replaced.
    """
    found = _by_key(connection, [entry.key for entry in entries])
    failed = [entry.id for entry in found.values() if entry.state is State.FAILED]
    if failed:
        connection.execute(delete(mails).where(mails.c.id.in_(failed), mails.c.state == State.FAILED))
        gone = contents.c.mail.in_(failed) & contents.c.mail.not_in(select(mails.c.id))
        connection.execute(delete(contents).where(gone))
    waiting = {entry.key: entry for entry in reversed(entries) if _is_free(found.get(entry.key))}
    if waiting:
        _insert(
            connection, sorted(waiting.values(), key=lambda entry: entry.key)
        )  # or two wait for each other
    if connection.dialect.name != "sqlite":  # others may write at the same time
        found = _by_key(connection, [entry.key for entry in entries])
        waiting = {key: entry for key, entry in waiting.items() if found[key].id == entry.id}
    if waiting:
        _insert_contents(connection, waiting.values())
    there = found | waiting
    return [entry if there[entry.key].id == entry.id else there[entry.key] for entry in entries]


def _is_free(there: Entry | None) -> bool:
    return there is None or there.state is State.FAILED


def _insert(connection: Connection, entries: list[Entry]) -> None:
    insert_new(connection, mails, [entry.as_row() for entry in entries])


_NEW_CONTENT = insert(contents)


def _insert_contents(connection: Connection, entries: Iterable[Entry]) -> None:
    rows = [{"mail": entry.id, "octets": entry.octets, "ascii": entry.ascii} for entry in entries]
    connection.execute(_NEW_CONTENT, rows)


_OF_KEYS = select(mails).where(mails.c.key.in_(bindparam("b_keys", expanding=True)))


def _by_key(connection: Connection, keys: Sequence[str]) -> dict[str, Entry]:
    found: dict[str, Entry] = {}
    for some in _parts(keys):
        for row in connection.execute(_OF_KEYS, {"b_keys": some}).mappings():
            found[row["key"]] = Entry.of_row(dict(row))
    return found


def named(connection: Connection, keys: Sequence[str]) -> list[list[Entry]]:
    """The entry of each key, if there is one, without its content."""
    found = _by_key(connection, keys)
    return [[found[key]] if key in found else [] for key in keys]


def lease(connection: Connection, wishes: Sequence[Wish]) -> list[list[Entry]]:
    """The entries for each wish, oldest first, with their content; they are the owner's now."""
    return [_lease(connection, wish) for wish in wishes]


def _lease(connection: Connection, wish: Wish) -> list[Entry]:
    due = (
        select(mails.c.id, mails.c.size)
        .where(
            mails.c.account == wish.account,
            or_(  # one that is queued is due, whatever the clock says by now
                mails.c.state == State.QUEUED,
                and_(mails.c.state == State.DEFERRED, mails.c.due <= wish.now),
            ),
        )
        .order_by(mails.c.due, mails.c.id)
        .limit(wish.most)
        .with_for_update(skip_locked=True)
    )
    chosen: list[str] = []
    octets = 0
    for row in connection.execute(due):
        octets += row.size
        if chosen and octets > MAX_LEASED_OCTETS:
            break
        chosen.append(row.id)
    if not chosen:
        return []
    connection.execute(
        update(mails).where(mails.c.id.in_(chosen)).values(state=State.LEASED, owner=wish.owner)
    )
    rows = connection.execute(
        select(mails, contents.c.octets, contents.c.ascii)
        .join(contents, contents.c.mail == mails.c.id)
        .where(mails.c.id.in_(chosen))
    ).mappings()
    entries = {row["id"]: Entry.of_row(dict(row)) for row in rows}
    return [entries[mail] for mail in chosen if mail in entries]


_SENDING = (
    update(mails)
    .where(mails.c.id == bindparam("b_id"), mails.c.owner == bindparam("b_owner"))
    .where(mails.c.state == State.LEASED)
    .values(state=State.SENDING)
)
_COMMITTING = (
    update(mails)
    .where(mails.c.id == bindparam("b_id"), mails.c.owner == bindparam("b_owner"))
    .values(state=State.COMMITTING, attempts=bindparam("b_attempts"))
)
_ENDED = (
    update(mails)
    .where(mails.c.id == bindparam("b_id"), mails.c.owner == bindparam("b_owner"))
    .values(
        owner=None,
        **{
            name: bindparam(f"b_{name}")
            for name in ("state", "attempts", "account", "due", "recipients", "history", "result")
        },
    )
)


def begin(connection: Connection, mine: Sequence[Mine]) -> list[None]:
    """They are on a connection now."""
    connection.execute(_SENDING, [{"b_id": one.id, "b_owner": one.owner} for one in mine])
    return [None] * len(mine)


def commit(connection: Connection, mine: Sequence[Mine]) -> list[bool]:
    """Whether the last octet of each may be written: it may not if it is somebody else's by now."""
    rows = [{"b_id": one.id, "b_owner": one.owner, "b_attempts": one.attempts} for one in mine]
    changed = connection.execute(_COMMITTING, rows).rowcount
    if changed == len(mine):
        return [True] * len(mine)
    committing = _owned(connection, mine, State.COMMITTING)
    return [(one.id, one.owner) in committing for one in mine]


def end(connection: Connection, endings: Sequence[Ending]) -> list[bool]:
    """Whether each was still the owner's to end. What nobody will need again is deleted."""
    changed = connection.execute(_ENDED, [_ending_row(ending) for ending in endings]).rowcount
    ended = {ending.id for ending in endings}
    if changed != len(endings):
        ended = _ended(connection, endings)
    over = (State.SENT, State.PARTIAL)
    delivered = [{"b_mail": one.id} for one in endings if one.state in over and one.id in ended]
    if delivered:
        connection.execute(_FORGET, delivered)
    return [one.id in ended for one in endings]


_FORGET = delete(contents).where(contents.c.mail == bindparam("b_mail"))


def _ended(connection: Connection, endings: Sequence[Ending]) -> set[str]:
    """Those that are as they should be: nobody's, and in their state."""
    states = {ending.id: ending.state for ending in endings}
    found: set[str] = set()
    for some in _parts(list(states)):
        query = select(mails.c.id, mails.c.state).where(mails.c.id.in_(some), mails.c.owner.is_(None))
        found.update(row.id for row in connection.execute(query) if row.state == states[row.id])
    return found


def _ending_row(ending: Ending) -> dict[str, Any]:
    return {
        "b_id": ending.id,
        "b_owner": ending.owner,
        "b_state": ending.state,
        "b_attempts": ending.attempts,
        "b_account": ending.account,
        "b_due": ending.due,
        "b_recipients": json.dumps(ending.recipients),
        "b_history": json.dumps(ending.history),
        "b_result": None if ending.result is None else json.dumps(ending.result),
    }


def _owned(connection: Connection, mine: Sequence[Mine], state: State | None = None) -> set[tuple[str, str]]:
    owned: set[tuple[str, str]] = set()
    for some in _parts([one.id for one in mine]):
        query = select(mails.c.id, mails.c.owner).where(mails.c.id.in_(some))
        if state:
            query = query.where(mails.c.state == state)
        owned.update((row.id, row.owner) for row in connection.execute(query))
    return owned


def find(connection: Connection, ids: Sequence[str]) -> list[Entry | None]:
    """The entry of each id, without its content."""
    found: dict[str, Entry] = {}
    for some in _parts(ids):
        for row in connection.execute(select(mails).where(mails.c.id.in_(some))).mappings():
            found[row["id"]] = Entry.of_row(dict(row))
    return [found.get(mail) for mail in ids]


def next_due(connection: Connection, accounts: Sequence[str]) -> list[float | None]:
    """When the first of each account's waiting mails is due."""
    return [
        connection.execute(
            select(func.min(mails.c.due)).where(
                mails.c.account == account, mails.c.state.in_([str(state) for state in WAITING])
            )
        ).scalar()
        for account in accounts
    ]


def _parts(values: Sequence[str]) -> Iterator[Sequence[str]]:
    for start in range(0, len(values), _IN_ONE_LIST):
        yield values[start : start + _IN_ONE_LIST]
