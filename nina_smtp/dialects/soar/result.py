"""The action result, as a playbook reads it: the connector's data paths, and its words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from nina_smtp.delivery.result import Result, Status
from nina_smtp.errors import NinaError, ServerError

SENT = "Email sent"

Json = Mapping[str, Any]


def action_result(parameters: Json, result: Result, unknown: Sequence[str] = ()) -> dict[str, Any]:
    """What became of one action. ``unknown`` are the vault ids that nothing is known of."""
    good = result.status in (Status.SENT, Status.PARTIAL)
    return shaped(parameters, good, message_of(result, unknown)) | {"delivery": result.as_dict()}


def failed_result(parameters: Json, error: NinaError) -> dict[str, Any]:
    """The result of an action that came to nothing before there was a mail."""
    return action_result(parameters, Result(Status.FAILED, error=error))


def shaped(parameters: Json, good: bool, message: str) -> dict[str, Any]:
    """The connector's data paths."""
    return {
        "action_result": {
            "status": "success" if good else "failed",
            "parameter": dict(parameters),
            "data": [],
            "summary": {},
            "message": message,
        },
        "summary": {"total_objects": 1, "total_objects_successful": int(good)},
    }


def message_of(result: Result, unknown: Sequence[str] = ()) -> str:
    """What became of the mail, in the connector's words where it has some."""
    if result.status is Status.DEFERRED:
        return "Email not sent yet. It is in the ledger, and is sent again later"
    if result.status not in (Status.SENT, Status.PARTIAL):
        return failure(result.error) if result.error else "Email send failed"
    message = SENT
    if unknown:
        message += f". The following attachments are invalid and were not sent: {', '.join(unknown)}"
    if result.rejected:
        refused = ", ".join(f"{one.address} ({one.reply})" for one in result.rejected)
        message += f". The following recipients were refused by the server: {refused}"
    return message


def failure(error: NinaError) -> str:
    """What went wrong: what a server said as the connector tells it, else our words and what to do."""
    if isinstance(error, ServerError) and error.reply:
        return f"Email send failed. Error Code: {error.reply.code}. Error Message: {error.reply.text}"
    return f"{error.message} {error.hint}" if error.hint else error.message
