"""What became of one attempt at a mail, as it is kept; and what several come to."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nina_smtp.delivery.verdict import kind_of
from nina_smtp.smtp.mail import Delivery, Refusal
from nina_smtp.smtp.replies import Reply


@dataclass(frozen=True, slots=True)
class Attempt:
    """``outcome`` is sent, partial, or the kind of its failure (:class:`~nina_smtp.delivery.verdict.Kind`).

    ``phase`` is how far it came, if anything was tried at all, ``at`` when it began in seconds since 1970;
    ``refused`` are recipients as a result has them.
    """

    number: int
    account: str
    at: float
    seconds: float
    outcome: str
    phase: str | None = None
    code: int | None = None
    enhanced_code: str | None = None
    message: str | None = None
    accepted: tuple[str, ...] = ()
    refused: tuple[Refusal, ...] = ()

    @classmethod
    def of(cls, delivery: Delivery, *, number: int, account: str, at: float, seconds: float) -> Attempt:
        """What ``delivery`` was."""
        error, reply = delivery.error, delivery.reply
        if error:
            outcome = str(kind_of(error))
            phase, reply = error.phase if delivery.attempts else None, error.reply
        else:
            outcome, phase = "partial" if delivery.refused else "sent", "done"
        return cls(
            number,
            account,
            at,
            seconds,
            outcome,
            phase,
            reply.code if reply else None,
            reply.enhanced_code if reply else None,
            error.message if error else str(reply) if reply else None,
            delivery.accepted,
            delivery.refused,
        )

    def as_dict(self) -> dict[str, Any]:
        """JSON, keys without a value left out."""
        shape: dict[str, Any] = {
            "attempt": self.number,
            "account": self.account,
            "at": round(self.at, 3),
            "seconds": round(self.seconds, 3),
            "outcome": self.outcome,
            "phase": self.phase,
            "code": self.code,
            "enhancedCode": self.enhanced_code,
            "message": self.message,
            "accepted": list(self.accepted) or None,
            "refused": [refusal_as_dict(refusal) for refusal in self.refused] or None,
        }
        return {key: value for key, value in shape.items() if value is not None}


def accepted_in(history: Iterable[Mapping[str, Any]]) -> tuple[str, ...]:
    """Whom some attempt has reached."""
    return tuple(dict.fromkeys(address for one in history for address in one.get("accepted", ())))


def refused_in(history: Iterable[Mapping[str, Any]]) -> tuple[Refusal, ...]:
    """Whom some attempt was refused for good."""
    found = {one["address"]: one for attempt in history for one in attempt.get("refused", ())}
    return tuple(refusal_from_dict(one) for one in found.values() if not one["temporary"])


def summed(history: Sequence[Mapping[str, Any]], last: Delivery) -> Delivery:
    """All attempts as one; ``last`` is the latest, which ``history`` has not."""
    accepted = tuple(dict.fromkeys((*accepted_in(history), *last.accepted)))
    refused = {one.address: one for one in (*refused_in(history), *last.refused)}
    for address in accepted:
        refused.pop(address, None)
    return Delivery(
        accepted, tuple(refused.values()), last.reply, last.error, last.attempts, last.server, last.in_doubt
    )


def refusal_as_dict(refusal: Refusal) -> dict[str, Any]:
    """One entry of ``rejected`` (contract, section 4)."""
    reply = refusal.reply
    return {
        "address": refusal.address,
        "code": reply.code,
        "enhancedCode": reply.enhanced_code,
        "message": str(reply),
        "temporary": reply.is_transient,
    }


def refusal_from_dict(shape: Mapping[str, Any]) -> Refusal:
    """What :func:`refusal_as_dict` wrote."""
    return Refusal(shape["address"], reply_from(int(shape["code"]), str(shape["message"])))


def reply_from(code: int, text: str) -> Reply:
    """The reply that was written as ``text``."""
    return Reply(code, (text.removeprefix(str(code)).removeprefix(" "),))
