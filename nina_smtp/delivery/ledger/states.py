"""The states of a mail in the ledger, and what a restart makes of each.

::

    queued ──▶ leased ──▶ sending ──▶ committing ──▶ sent
      ▲          │           │            │     ├──▶ partial
      │          └───────────┴── crash ──▶ queued     ├──▶ failed
      │                                   │     ├──▶ unknown
      └────────────── deferred ◀──────────┴─────┘
            (when it is due)

1. ``committing`` is durable before the last octet of the content is written. So of a mail in any state before
   it, it is certain that it was not delivered: after a crash it is sent again.
2. A mail that is found in ``committing`` may have been delivered. What is made of it is for the workflow's
   author to say (:class:`OnUncertain`).
3. Only the owner of a mail changes it: each change names the owner, and does nothing if there is another one.
   An owner that was taken for dead, and was not, finds out before it could write that last octet.
"""

from __future__ import annotations

from enum import StrEnum


class State(StrEnum):
    """Where a mail is."""

    QUEUED = "queued"
    LEASED = "leased"
    SENDING = "sending"
    COMMITTING = "committing"
    DEFERRED = "deferred"
    SENT = "sent"
    PARTIAL = "partial"
    FAILED = "failed"
    UNKNOWN = "unknown"


class OnUncertain(StrEnum):
    """What to do with a mail that may have been delivered, or not."""

    STOP = "stop"
    """Leave it, and have a person decide: at most one copy."""
    RESEND = "resend"
    """Send it again, the same octets with the same Message-ID: at least one copy."""
    ASSUME_SENT = "assumeSent"
    """Count it as sent: at most one copy."""


WAITING = frozenset({State.QUEUED, State.DEFERRED})
"""Nobody's; they are sent when they are due."""
OWNED = frozenset({State.LEASED, State.SENDING, State.COMMITTING})
"""A process has them."""
FINAL = frozenset({State.SENT, State.PARTIAL, State.FAILED, State.UNKNOWN})
"""Over, unless a person says otherwise."""


def left_behind(state: State, on_uncertain: OnUncertain) -> State:
    """What becomes of a mail whose owner died in ``state``."""
    if state is not State.COMMITTING:
        return State.QUEUED
    return {
        OnUncertain.STOP: State.UNKNOWN,
        OnUncertain.RESEND: State.QUEUED,
        OnUncertain.ASSUME_SENT: State.SENT,
    }[on_uncertain]
