"""What an attempt at a mail of a ledger comes to: what is decided, what is put on record, what is told."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nina_smtp.delivery.attempt import Attempt, accepted_in, refused_in, summed
from nina_smtp.delivery.ledger.entry import Entry
from nina_smtp.delivery.ledger.statements import Ending
from nina_smtp.delivery.ledger.states import FINAL, State
from nina_smtp.delivery.letter import Letter
from nina_smtp.delivery.result import Result, Status, result_from_dict, result_of, source_from_dict
from nina_smtp.delivery.retry import Case, Decision, decide, fell_back, outcomes_of_round
from nina_smtp.delivery.schedule import Dice, Schedule
from nina_smtp.delivery.verdict import Kind
from nina_smtp.envelope import Envelope
from nina_smtp.errors import NotAttempted
from nina_smtp.message import Message
from nina_smtp.smtp.mail import Delivery

History = Sequence[Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Outcome:
    """Of the mail ``entry``, at the moment ``now``."""

    entry: Entry
    decision: Decision
    result: Result
    now: float

    @property
    def state(self) -> State:
        """What the mail is in now."""
        return self.decision.state

    def ending(self, owner: str) -> Ending:
        """For the ledger."""
        decision, result = self.decision, self.result
        return Ending(
            id=self.entry.id,
            owner=owner,
            state=decision.state,
            attempts=decision.attempts,
            account=decision.account,
            due=decision.due or self.now,
            recipients=decision.recipients,
            history=result.history,
            result=result.as_dict() if decision.state in FINAL | {State.DEFERRED} else None,
        )


def outcome_of(
    letter: Letter,
    message: Message | None,
    delivery: Delivery,
    *,
    now: float,
    schedule: Schedule,
    dice: Dice,
) -> Outcome:
    """What became of ``letter``: ``delivery``, unless it was dropped in time."""
    entry = letter.entry
    if letter.dropped and delivery.error and not delivery.error.uncertain:
        dropped = Delivery(error=letter.dropped, attempts=0)
        decision = Decision(State.FAILED, dropped, entry.attempts, entry.account, recipients=entry.recipients)
    else:
        decision = decide(_case(entry), delivery, now=now, schedule=schedule, dice=dice)
    history: History = entry.history
    moves_on = decision.state is State.QUEUED and decision.account != entry.account
    if letter.dropped is None and (delivery.attempts or moves_on):
        attempt = Attempt.of(
            delivery,
            number=len(history) + 1,
            account=entry.account,
            at=letter.began,
            seconds=now - letter.began,
        )
        history = (*history, attempt.as_dict())
    return Outcome(entry, decision, _result(letter, decision, history, message, now), now)


def _case(entry: Entry) -> Case:
    in_doubt = any(one.get("outcome") == Kind.UNKNOWN for one in entry.history)
    route = (entry.account,) if in_doubt else entry.route  # never to another server
    return Case(
        entry.recipients,
        entry.attempts,
        entry.expires,
        route,
        entry.account,
        entry.on_uncertain,
        outcomes_of_round(entry.history, entry.account, route),
        reached=bool(accepted_in(entry.history)),
        refused_before=bool(refused_in(entry.history)),
        in_doubt=in_doubt,
    )


def _result(
    letter: Letter, decision: Decision, history: History, message: Message | None, now: float
) -> Result:
    entry = letter.entry
    delivery = summed(entry.history, decision.delivery)
    delivery.attempts = sum(1 for one in history if "phase" in one)
    everybody = (*delivery.accepted, *(one.address for one in delivery.refused), *entry.recipients)
    result = result_of(
        delivery,
        message or entry.message,
        item=entry.item,
        warnings=letter.account.warnings,
        sources={name: source_from_dict(one) for name, one in entry.sources.items()},
        seconds=now - entry.created,
        status=_status_of(decision),
    )
    result.transcript = decision.delivery.transcript
    result.envelope = Envelope(entry.sender, tuple(dict.fromkeys(everybody)))
    result.history = tuple(history)
    if result.status is Status.DEFERRED:
        result.due = decision.due
    if decision.warning:
        result.warnings = (*result.warnings, decision.warning)
    if decision.state in FINAL and entry.account != entry.route[0]:
        result.warnings = (*result.warnings, fell_back(entry.route[0], entry.account))
    return result


def _status_of(decision: Decision) -> Status:
    if decision.state not in FINAL:
        return Status.DEFERRED
    if isinstance(decision.delivery.error, NotAttempted):
        return Status.NOT_ATTEMPTED
    return Status(decision.state.value)


def recorded_result(entry: Entry) -> Result:
    """What the ledger says of a mail."""
    if entry.result:
        result = result_from_dict(entry.result, item=entry.item)
        result.due = None if entry.state in FINAL else entry.due
        return result
    return Result(
        Status.DEFERRED,
        entry.item,
        message_id=entry.message_id,
        envelope=Envelope(entry.sender, entry.recipients),
        accepted=accepted_in(entry.history),
        rejected=refused_in(entry.history),
        size=entry.size,
        attempts=entry.attempts,
        due=entry.due,
        history=entry.history,
        recorded=True,
    )
