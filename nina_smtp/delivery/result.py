"""What became of one mail, as the contract (section 4) has it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from nina_smtp.delivery.attempt import refusal_as_dict, refusal_from_dict, reply_from
from nina_smtp.envelope import Envelope
from nina_smtp.errors import NinaError, SomeRecipientsRefused, error_from_dict
from nina_smtp.message import Message
from nina_smtp.parameters.merge import Source
from nina_smtp.smtp.mail import Delivery, Refusal


class Status(StrEnum):
    """How a mail ended."""

    SENT = "sent"
    PARTIAL = "partial"
    FAILED = "failed"
    UNKNOWN = "unknown"
    DEFERRED = "deferred"
    DRY_RUN = "dryRun"
    NOT_ATTEMPTED = "notAttempted"


class OnPartial(StrEnum):
    """What a refused recipient means for a mail that others got."""

    WARN = "warn"
    FAIL = "fail"


@dataclass(slots=True)
class Result:
    """One mail, for the input item ``item``."""

    status: Status
    item: int = 0
    message_id: str | None = None
    envelope: Envelope | None = None
    accepted: tuple[str, ...] = ()
    rejected: tuple[Refusal, ...] = ()
    response: str | None = None
    size: int | None = None
    attempts: int = 0
    duration_ms: int = 0
    server: Mapping[str, Any] | None = None
    sources: Mapping[str, Source] = field(default_factory=dict[str, Source])
    warnings: tuple[str, ...] = ()
    error: NinaError | None = None
    uncertain: tuple[str, ...] = ()
    """Who may have it, of a mail of which nobody knows."""
    due: float | None = None
    """When a deferred mail is tried again, in seconds since 1970."""
    history: tuple[Mapping[str, Any], ...] = ()
    """The attempts, if a ledger has them (:class:`nina_smtp.delivery.attempt.Attempt`)."""
    recorded: bool = False
    """Whether it is what the ledger had for the key, and nothing was sent this time."""
    transcript: tuple[str, ...] = field(default=(), repr=False)
    """What was said, line by line, if that was asked for (:mod:`nina_smtp.observe.transcript`)."""
    told: bool = field(default=False, repr=False, compare=False)
    """Whether :func:`nina_smtp.observe.mail_ended` was told of it."""

    def __post_init__(self) -> None:
        if self.error:  # the frames it came through hold whole messages, and bytes of the login
            self.error.__traceback__ = self.error.__cause__ = self.error.__context__ = None

    def succeeded(self, on_partial: OnPartial = OnPartial.WARN) -> bool:
        """Whether the work may go on as if all was well."""
        if self.status is Status.PARTIAL:
            return on_partial is OnPartial.WARN
        return self.status in (Status.SENT, Status.DRY_RUN)

    def as_dict(self) -> dict[str, Any]:
        """The JSON of the contract, section 4; keys that say nothing are left out."""
        shape: dict[str, Any] = {"status": self.status.value}
        if self.message_id:
            shape["messageId"] = self.message_id
        shape["accepted"] = list(self.accepted)
        shape["rejected"] = [refusal_as_dict(refusal) for refusal in self.rejected]
        if self.uncertain:
            shape["uncertain"] = list(self.uncertain)
        if self.envelope:
            shape["envelope"] = {"from": self.envelope.sender, "to": list(self.envelope.recipients)}
        if self.response:
            shape["response"] = self.response
        if self.size is not None:
            shape["size"] = self.size
        shape["attempts"] = self.attempts
        shape["durationMs"] = self.duration_ms
        if self.server:
            shape["server"] = dict(self.server)
        shape["sources"] = {name: source.as_dict() for name, source in self.sources.items()}
        shape["warnings"] = list(self.warnings)
        shape["item"] = self.item
        if self.due is not None:
            shape["nextAttemptAt"] = datetime.fromtimestamp(self.due, UTC).isoformat(timespec="seconds")
        if self.history:
            shape["history"] = list(self.history)
        if self.recorded:
            shape["recorded"] = True
        if self.error:
            shape["error"] = self.error.as_dict()
        return shape


def status_of(delivery: Delivery) -> Status:
    """How the mail ended, of which ``delivery`` is what became."""
    if delivery.error:
        return Status.UNKNOWN if delivery.error.uncertain else Status.FAILED
    return Status.PARTIAL if delivery.refused else Status.SENT


def error_of(delivery: Delivery) -> NinaError | None:
    """The error of a result: that of the delivery, or that some recipients were refused."""
    if delivery.error or not delivery.refused:
        return delivery.error
    first, total = delivery.refused[0], len(delivery.refused) + len(delivery.accepted)
    return SomeRecipientsRefused(
        f"{len(delivery.refused)} of {total} recipients were refused, {first.address} first.",
        hint="The others have the mail: correct these addresses, and send it to them alone.",
        phase="rcpt",
        reply=first.reply,
    )


def result_of(
    delivery: Delivery,
    message: Message | None,
    *,
    item: int = 0,
    warnings: tuple[str, ...] = (),
    sources: Mapping[str, Source] | None = None,
    seconds: float,
    status: Status | None = None,
) -> Result:
    """The result of a mail: what became of it, and of ``message`` what a result says, if it was built."""
    return Result(
        status or status_of(delivery),
        item,
        message_id=message.message_id if message else None,
        envelope=message.envelope if message else None,
        accepted=delivery.accepted,
        rejected=delivery.refused,
        response=str(delivery.reply) if delivery.reply else None,
        size=message.size if message else None,
        attempts=delivery.attempts,
        duration_ms=round(seconds * 1000),
        server=delivery.server,
        sources=sources or {},
        warnings=(*warnings, *message.warnings) if message else (),
        error=error_of(delivery),
        uncertain=delivery.in_doubt,
        transcript=delivery.transcript,
    )


def is_result(item: Mapping[str, Any]) -> bool:
    """Whether an item is what became of a mail, as a node that sends mail hands it on."""
    return "accepted" in item and "attempts" in item and "sources" in item


def result_from_dict(shape: Mapping[str, Any], *, item: int) -> Result:
    """What ``as_dict`` wrote, as the result for ``item``: nothing was sent for it this time."""
    envelope = shape.get("envelope")
    sources: Mapping[str, Any] = shape.get("sources", {})
    return Result(
        Status(shape["status"]),
        item,
        message_id=shape.get("messageId"),
        envelope=Envelope(envelope["from"], tuple(envelope["to"])) if envelope else None,
        accepted=tuple(shape["accepted"]),
        rejected=tuple(refusal_from_dict(one) for one in shape["rejected"]),
        response=shape.get("response"),
        size=shape.get("size"),
        attempts=shape["attempts"],
        duration_ms=shape["durationMs"],
        server=shape.get("server"),
        sources={name: source_from_dict(one) for name, one in sources.items()},
        warnings=tuple(shape["warnings"]),
        error=_error_from_dict(shape["error"]) if "error" in shape else None,
        uncertain=tuple(shape.get("uncertain", ())),
        history=tuple(shape.get("history", ())),
        recorded=True,
    )


def _error_from_dict(shape: Mapping[str, Any]) -> NinaError:
    error = error_from_dict(shape)
    if "reply" in shape and "code" in shape:
        error.reply = reply_from(shape["code"], shape["reply"])
    return error


def source_from_dict(shape: Mapping[str, Any]) -> Source:
    """What ``Source.as_dict`` wrote."""
    return Source(shape["source"], shape.get("path"), tuple(shape.get("overrode", ())))


class Results(list[Result]):
    """One result for every input item, in order."""

    def __init__(self, results: Iterable[Result] = (), on_partial: OnPartial = OnPartial.WARN) -> None:
        super().__init__(results)
        self.on_partial = on_partial

    def __repr__(self) -> str:
        """In short: asyncio writes out what a task has returned when it ends."""
        return f"<Results of {len(self)} mails>"

    @property
    def succeeded(self) -> bool:
        """Whether every mail went out."""
        return all(result.succeeded(self.on_partial) for result in self)

    def raise_for_status(self) -> None:
        """Raises the error of the first mail that did not go out."""
        for result in self:
            if not result.succeeded(self.on_partial):
                raise result.error or NinaError(
                    f"The mail for item {result.item} ended as {result.status.value}."
                )

    def as_dicts(self) -> list[dict[str, Any]]:
        """JSON."""
        return [result.as_dict() for result in self]
