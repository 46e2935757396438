"""What is to become of a mail after an attempt at it. Pure.

The rules, the first that fits:

1. Whoever has the mail is done with; so is whoever was refused for good.
2. Some are refused for now: the mail is deferred, for them alone.
3. It may have been delivered: what the workflow's author said (:class:`OnUncertain`). Never another server.
4. It certainly was not delivered, and that is the server's fault, not the mail's: the next account of the
   route, if there is one.
5. Waiting may help: it is deferred, and begins with the first account again. Only an attempt that came as
   far as MAIL counts for the schedule: a server that cannot be reached cannot be by any mail.
6. It has failed: the author of the workflow, or the owner of the credential, has to act, or it is too old.
   If others have it from an attempt before, it is partial: it must not be sent to all of them again. If it
   may have been delivered before, nobody can tell.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from random import uniform
from typing import Any

from nina_smtp.delivery.ledger.states import OnUncertain, State
from nina_smtp.delivery.schedule import HOUR, Dice, Schedule
from nina_smtp.delivery.verdict import Kind, kind_of, kind_of_reply
from nina_smtp.errors import Interrupted, LedgerFailed, LimitReached, NinaError, SomeRecipientsRefused
from nina_smtp.smtp.failures import uncertain
from nina_smtp.smtp.mail import Delivery, Refusal
from nina_smtp.smtp.phase import Phase

LIMITED = 25 * HOUR
"""Seconds that a mail may be older which a limit of its credential holds up."""
ASSUMED = "No clear answer came; it counts as sent, as onUncertain has it."
_WAITING_HELPS = frozenset({Kind.OPENING, Kind.THROTTLED, Kind.QUOTA, Kind.TEMPORARY, Kind.GREYLISTED})
_OF_THE_SERVER = frozenset({Kind.OPENING, Kind.THROTTLED, Kind.QUOTA, Kind.LOGIN})
_BEFORE_MAIL = frozenset(tuple(Phase)[: tuple(Phase).index(Phase.MAIL)])


@dataclass(frozen=True, slots=True)
class Case:
    """A mail before the attempt was made. ``rounds`` has the outcomes of this round's attempts, one for each
    account of the route that was tried before this one; ``reached`` says that others have it already,
    ``in_doubt`` that it may have been delivered before.
    """

    recipients: tuple[str, ...]
    attempts: int
    expires: float
    route: tuple[str, ...]
    account: str
    on_uncertain: OnUncertain = OnUncertain.STOP
    rounds: tuple[str, ...] = ()
    reached: bool = False
    refused_before: bool = False
    """Whether somebody was refused for good in an attempt before."""
    in_doubt: bool = False

    @property
    def following(self) -> str | None:
        """The account after this one."""
        place = self.route.index(self.account) + 1 if self.account in self.route else len(self.route)
        return self.route[place] if place < len(self.route) else None


@dataclass(frozen=True, slots=True)
class Decision:
    """``state`` is what the mail is in now; ``recipients`` those who are still to get it, when it is due, or
    when a person has it sent again.

    ``attempts`` counts this one if it counts; ``delivery`` is what the attempt came to.
    """

    state: State
    delivery: Delivery
    attempts: int
    account: str
    due: float = 0.0
    recipients: tuple[str, ...] = ()
    warning: str | None = None


def decide(
    case: Case, delivery: Delivery, *, now: float, schedule: Schedule, dice: Dice = uniform
) -> Decision:
    """What becomes of the mail of ``case``."""
    error = delivery.error
    counted = case.attempts + 1
    if error is None:
        return _taken(case, delivery, counted, now, schedule, dice)
    if error.uncertain:
        return _uncertain(case, delivery, counted, now, schedule, dice)
    if isinstance(error, (Interrupted, LedgerFailed)):
        return Decision(State.QUEUED, delivery, case.attempts, case.account, now, case.recipients)
    kind = kind_of(error)
    if kind is Kind.INPUT and case.account != _first(case):
        kind = Kind.OPENING  # the account that stood in does not take it; that is not the author's fault
    if kind in _OF_THE_SERVER and (following := case.following):
        return Decision(State.QUEUED, delivery, case.attempts, following, now, case.recipients)
    if kind in _WAITING_HELPS or (kind is Kind.LOGIN and _WAITING_HELPS.intersection(case.rounds)):
        return _deferred(case, delivery, kind, now, schedule, dice)
    return _failed(case, delivery, counted)


def _taken(
    case: Case, delivery: Delivery, counted: int, now: float, schedule: Schedule, dice: Dice
) -> Decision:
    waiting = _refused_for_now(delivery.refused)
    greylisted = any(kind_of_reply(one.reply) is Kind.GREYLISTED for one in waiting)
    due = now + schedule.delay(counted, greylisted=greylisted, dice=dice)
    if waiting and due < case.expires:
        recipients = tuple(one.address for one in waiting)
        return Decision(State.DEFERRED, delivery, counted, _first(case), due, recipients)
    return Decision(_state_when_taken(case, delivery), delivery, counted, case.account)


def _state_when_taken(case: Case, delivery: Delivery) -> State:
    return State.PARTIAL if delivery.refused or case.refused_before else State.SENT


def _uncertain(
    case: Case, delivery: Delivery, counted: int, now: float, schedule: Schedule, dice: Dice
) -> Decision:
    due = now + schedule.delay(counted, dice=dice)
    if case.on_uncertain is OnUncertain.ASSUME_SENT:
        accepted = (*delivery.accepted, *delivery.in_doubt)
        assumed = replace(delivery, accepted=accepted, error=None, in_doubt=())
        state = _state_when_taken(case, delivery)
        return Decision(state, assumed, counted, case.account, warning=ASSUMED)
    again = (*delivery.in_doubt, *(one.address for one in _refused_for_now(delivery.refused)))
    again = again or case.recipients
    if case.on_uncertain is OnUncertain.RESEND and due < case.expires:
        return Decision(State.DEFERRED, delivery, counted, case.account, due, again)
    return Decision(State.UNKNOWN, delivery, counted, case.account, recipients=again)


def _deferred(
    case: Case, delivery: Delivery, kind: Kind, now: float, schedule: Schedule, dice: Dice
) -> Decision:
    error = delivery.error
    assert error
    began = not (kind is Kind.OPENING or error.phase in _BEFORE_MAIL or hasattr(error, "until_seconds"))
    counted = case.attempts + 1 if began else case.attempts
    delay = schedule.delay(counted, greylisted=kind is Kind.GREYLISTED, dice=dice)
    until: float | None = getattr(error, "until_seconds", None)
    if until is not None:
        delay = max(1.0, until + dice(0, 1))
    elif kind is Kind.QUOTA:
        delay += HOUR
    refused_for_good = {one.address for one in delivery.refused if not one.reply.is_transient}
    recipients = tuple(address for address in case.recipients if address not in refused_for_good)
    expires = case.expires
    if isinstance(error, LimitReached):  # it is our own limit that makes it late, and that ends in a day
        expires += LIMITED
    if now + delay >= expires or not recipients:
        return _failed(case, replace(delivery, error=_given_up(error)), counted)
    return Decision(State.DEFERRED, delivery, counted, _first(case), now + delay, recipients)


def _failed(case: Case, delivery: Delivery, counted: int) -> Decision:
    if case.in_doubt:
        delivery = still_in_doubt(delivery, case.recipients)
        return Decision(State.UNKNOWN, delivery, counted, case.account, recipients=case.recipients)
    if not case.reached:
        return Decision(State.FAILED, delivery, counted, case.account, recipients=case.recipients)
    delivery = replace(delivery, error=None if delivery.refused else _not_reached(delivery.error))
    return Decision(State.PARTIAL, delivery, counted, case.account)


def still_in_doubt(delivery: Delivery, recipients: tuple[str, ...]) -> Delivery:
    """A failure to send again what may have been delivered before."""
    assert delivery.error
    error = uncertain(f"it was sent again, and {delivery.error.message}", None)
    return replace(delivery, error=error, in_doubt=recipients)


def _not_reached(error: NinaError | None) -> NinaError:
    """Of a mail that others have: what stands in the way of the rest."""
    assert error
    return SomeRecipientsRefused(
        f"Some recipients have the mail, and others could not be reached: {error.message}",
        hint="Send it to those alone who do not have it.",
        phase=error.phase,
        reply=error.reply,
    )


def fell_back(first: str, last: str) -> str:
    """The warning about a mail that ended at another account than the first."""
    return f"{first} could not be used for it, so it went to {last}."


def _refused_for_now(refused: Sequence[Refusal]) -> tuple[Refusal, ...]:
    return tuple(one for one in refused if one.reply.is_transient)


def _first(case: Case) -> str:
    return case.route[0] if case.route else case.account


def _given_up(error: NinaError) -> NinaError:
    error = copy.copy(error)  # it may be that of other mails too
    error.hint = f"It was tried until it was too old. {error.hint or ''}".rstrip()
    return error


def outcomes_of_round(
    history: Sequence[Mapping[str, Any]], account: str, route: Sequence[str]
) -> tuple[str, ...]:
    """The outcomes of the last attempts with each of the accounts before this one."""
    before = route[: route.index(account)] if account in route else ()
    last = {one.get("account"): str(one.get("outcome")) for one in history}
    return tuple(last[name] for name in before if name in last)
