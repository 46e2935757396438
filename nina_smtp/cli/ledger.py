"""``nina-smtp ledger``: what is in a ledger, and what a person decides about it."""

from __future__ import annotations

import argparse
import asyncio
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from nina_smtp.api import read_credential
from nina_smtp.cli import files
from nina_smtp.cli.login import with_token_file
from nina_smtp.cli.output import FAILED, OK, TRY_LATER, print_json, say
from nina_smtp.delivery.account import Account
from nina_smtp.delivery.ledger import review
from nina_smtp.delivery.ledger.entry import Entry
from nina_smtp.delivery.ledger.ledger import Ledger
from nina_smtp.delivery.ledger.states import FINAL, State
from nina_smtp.delivery.outbox import Outbox
from nina_smtp.errors import NinaError, ParameterError

DAY = 86_400.0
_OPEN = tuple(state for state in State if state not in FINAL)


def run_ledger(options: argparse.Namespace) -> int:
    """Does what ``options.action`` says. Raises NinaError."""
    place = options.ledger
    if "://" not in place and place and not Path(place).exists():
        raise ParameterError(
            f"There is no ledger {place}.",
            hint="nina-smtp send … --ledger makes one. Check the path.",
            parameter="ledger",
        )
    return asyncio.run(_ACTIONS[options.action](options))


async def _status(options: argparse.Namespace) -> int:
    async with Ledger(options.ledger) as ledger:
        print_json(await ledger.call(review.counts))
    return OK


async def _list(options: argparse.Namespace) -> int:
    states = tuple(State(state) for state in options.state)
    before = None
    async with Ledger(options.ledger) as ledger:
        while entries := await ledger.call(review.listed, review.Question(states, before)):
            for entry in entries:
                print_json(_shown(entry), indent=None)
            before = entries[-1].id
    return OK


async def _send(options: argparse.Namespace) -> int:
    accounts = [_account(path) for path in options.credential]
    async with Ledger(options.ledger) as ledger, Outbox(ledger) as outbox:
        names = [account.identity for account in accounts]
        before: review.Counts = await ledger.call(review.counts)
        for account in accounts:
            await outbox.serve(account)
        counts = await _until_sent(ledger, outbox, names, options.wait)
        waiting = sum(counts.get(name, {}).get(state, 0) for name in names for state in _OPEN)
    print_json({name: counts.get(name, {}) for name in names})
    others = {name: sum(states.get(one, 0) for one in _OPEN) for name, states in counts.items()}
    for name, count in others.items():
        if count and name not in names:
            say(f"{count} wait for {name}, which no credential given here is")
    bad = {
        state: _more(before, counts, names, state) for state in (State.FAILED, State.UNKNOWN, State.PARTIAL)
    }
    for state, count in bad.items():
        if count:
            say(f"{count} {state}: nina-smtp ledger list {options.ledger} --state {state}")
    say(f"{waiting} wait: see ledger list --state deferred" if waiting else "nothing waits")
    if bad[State.FAILED] or bad[State.UNKNOWN]:
        return FAILED
    return TRY_LATER if waiting else OK


def _more(before: review.Counts, after: review.Counts, names: Sequence[str], state: State) -> int:
    """How many more mails of these accounts are in ``state`` than were before."""
    return sum(after.get(name, {}).get(state, 0) - before.get(name, {}).get(state, 0) for name in names)


async def _until_sent(ledger: Ledger, outbox: Outbox, names: Sequence[str], wait: float) -> review.Counts:
    """Until nothing waits for these accounts any more, or only what is due after ``wait`` seconds."""
    until = ledger.clock() + wait
    while True:
        counts: review.Counts = await ledger.call(review.counts)
        open_mails = sum(counts.get(name, {}).get(state, 0) for name in names for state in _OPEN)
        due = [moment for name in names if (moment := await ledger.next_due(name)) is not None]
        under_way = outbox.is_busy or any(moment <= ledger.clock() for moment in due)
        over = not open_mails or (not under_way and (not due or min(due) > until))
        if over and counts == await ledger.call(review.counts):  # nothing has changed meanwhile
            return counts
        if ledger.clock() >= until and outbox.is_held_up:
            return counts
        await asyncio.sleep(0.1)


async def _decide(options: argparse.Namespace) -> int:
    state = State.SENT if options.action == "count-as-sent" else State.QUEUED
    status = OK
    async with Ledger(options.ledger) as ledger:
        ids = list(options.id)
        if not ids and not getattr(options, "all", None):
            raise ParameterError("No mail is named.", hint="Give its ID, or --all failed.", parameter="id")
        if getattr(options, "all", None):
            ids += [entry.id async for entry in _all(ledger, State(options.all))]
        for mail in ids:
            answer = await ledger.call(review.settle, review.Word(mail, state, ledger.clock()))
            if isinstance(answer, NinaError):
                print_json({"id": mail} | {"error": answer.as_dict()}, indent=None)
                say(f"nina-smtp: {answer.message}")
                status = FAILED
            else:
                print_json({"id": mail, "state": answer}, indent=None)
    return status


async def _all(ledger: Ledger, state: State) -> AsyncIterator[Entry]:
    before = None
    while True:
        entries: list[Entry] = await ledger.call(review.listed, review.Question((state,), before))
        if not entries:
            break
        for entry in entries:
            yield entry
        before = entries[-1].id


async def _prune(options: argparse.Namespace) -> int:
    if options.days < 0:
        raise ParameterError("There are no days before today.", parameter="days")
    async with Ledger(options.ledger) as ledger:
        count = await ledger.call(review.prune, ledger.clock() - options.days * DAY)
    print_json({"forgotten": count})
    return OK


def _account(path: str) -> Account:
    account = with_token_file(read_credential(files.read_credential_file(path)), path)
    assert isinstance(account, Account)
    return account


def _shown(entry: Entry) -> Mapping[str, Any]:
    shape: dict[str, Any] = {
        "id": entry.id,
        "state": entry.state,
        "key": entry.key,
        "account": entry.account,
        "messageId": entry.message_id,
        "from": entry.sender,
        "to": list(entry.recipients),
        "size": entry.size,
        "attempts": entry.attempts,
        "created": _moment(entry.created),
    }
    if entry.state not in FINAL:
        shape["due"] = _moment(entry.due)
    if entry.history:
        shape["history"] = list(entry.history)
    if entry.result and entry.state in FINAL:
        shape["result"] = dict(entry.result)
    return shape


def _moment(seconds: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


_ACTIONS = {
    "status": _status,
    "list": _list,
    "send": _send,
    "resend": _decide,
    "count-as-sent": _decide,
    "prune": _prune,
}
