"""Metrics for Prometheus, once :func:`enable` was called; needs the extra ``metrics``.

No label has an address, a host or anything else that a server or an input could choose.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from nina_smtp.errors import ParameterError

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

    from nina_smtp.delivery.result import Result
    from nina_smtp.smtp.mail import Delivery

_STATUSES = ("sent", "partial", "failed", "unknown", "notAttempted")
_VERDICTS = ("accepted", "rejected", "uncertain")
_RESULTS = ("ok", "refused", "failed")
_SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 600, 1800)


class Metrics:
    """The metrics, in one registry."""

    def __init__(self, registry: CollectorRegistry) -> None:
        from prometheus_client import Counter, Gauge, Histogram

        self.registry = registry
        self.mails = Counter(
            "nina_mails_total", "Mails whose fate is known, by status.", ["status"], registry=registry
        )
        self.attempts = Counter(
            "nina_attempts_total",
            "Attempts at a mail, by the phase they came to and by how they ended.",
            ["phase", "outcome"],
            registry=registry,
        )
        self.recipients = Counter(
            "nina_recipients_total",
            "Recipients of these mails: accepted, rejected or uncertain.",
            ["verdict"],
            registry=registry,
        )
        self.seconds = Histogram(
            "nina_mail_seconds",
            "Seconds from the moment a mail's turn came until its fate was known.",
            buckets=_SECONDS,
            registry=registry,
        )
        self.connections = Gauge("nina_connections", "Connections that are open.", registry=registry)
        self.logins = Counter(
            "nina_logins_total",
            "Logins: ok, refused by the server, or failed before it could say.",
            ["result"],
            registry=registry,
        )
        self.octets = Counter(
            "nina_octets_total", "Octets of the messages that servers took.", registry=registry
        )
        for counter, labels in (
            (self.mails, _STATUSES),
            (self.recipients, _VERDICTS),
            (self.logins, _RESULTS),
        ):
            for label in labels:  # from nothing to one is no increase to Prometheus
                counter.labels(label)

    def mail_ended(self, result: Result) -> None:
        """Counts a mail."""
        status = result.status.value
        self.mails.labels(status).inc()
        counts = map(len, (result.accepted, result.rejected, result.uncertain))
        for verdict, count in zip(_VERDICTS, counts, strict=True):
            if count:
                self.recipients.labels(verdict).inc(count)
        if result.attempts:
            self.seconds.observe(result.duration_ms / 1000)
        if result.accepted and result.size:
            self.octets.inc(result.size)

    def attempt_ended(self, delivery: Delivery) -> None:
        """Counts an attempt."""
        from nina_smtp.delivery.verdict import kind_of

        error = delivery.error
        if error:
            self.attempts.labels(error.phase or "none", kind_of(error).value).inc()
        else:
            self.attempts.labels("done", "partial" if delivery.refused else "sent").inc()


class State:
    """Whether there are metrics."""

    live: Metrics | None = None


def enable(registry: CollectorRegistry | None = None) -> Metrics:
    """From now on, in this process, what happens is counted; in ``registry``, or where prometheus_client has
    its own. Raises ParameterError without prometheus_client.
    """
    try:
        from prometheus_client import REGISTRY
    except ImportError:
        raise ParameterError(
            "Metrics need the package prometheus-client, which is not installed.",
            hint='pip install "nina-smtp[metrics]"',
        ) from None
    chosen = registry or REGISTRY
    if State.live is None or State.live.registry is not chosen:
        State.live = Metrics(chosen)
    return State.live


def disable() -> None:
    """Nothing is counted any more; what was counted stays in the registry."""
    State.live = None
