"""What a host can know of what happens: an audit line for every mail, logs, metrics, transcripts.

::

    text         text on one line, whatever is in it
    logs         log records with facts, and a formatter that makes JSON of them
    audit        the audit line
    metrics      counters for Prometheus
    endpoint     where Prometheus fetches them
    transcript   what was said for a mail
    linefile     a file to which several processes append lines

Nothing of it is on unless somebody asks for it, and a mail costs next to nothing more then. Nothing in here
raises: what is told about a mail must not be what stops it.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from nina_smtp.observe import audit, logs
from nina_smtp.observe.logs import CONNECTION, DELIVERY, log
from nina_smtp.observe.metrics import State
from nina_smtp.observe.text import shown

if TYPE_CHECKING:
    from nina_smtp.delivery.account import Account
    from nina_smtp.delivery.result import Result
    from nina_smtp.errors import NinaError
    from nina_smtp.smtp.connection import Connection
    from nina_smtp.smtp.mail import Delivery
    from nina_smtp.smtp.server import Server
    from nina_smtp.smtp.session import Session

_NOT_OVER = frozenset({"deferred", "dryRun"})


# Mails.


def mail_ended(result: Result, *, key: str | None = None, account: Account | None = None) -> None:
    """The fate of a mail is known. Told once for each Result, however often this is called.

    ``key`` is the mail's own, as a ledger has it: that of the execution and the item; ``account`` is the one
    it was at. One that is deferred is not over, one that was only built is no mail, and one that a ledger had
    was told of when it ended.
    """
    audited, logged = logs.AUDIT.isEnabledFor(logging.INFO), DELIVERY.isEnabledFor(logging.DEBUG)
    live = State.live
    if not (audited or logged or live) or result.told or result.recorded:
        return
    if result.status.value in _NOT_OVER:
        return
    result.told = True
    try:
        if live:
            live.mail_ended(result)
        if audited or logged:
            facts = audit.facts_of(result, key=key, account=account)
            if audited:
                audit.write(facts)
            if logged:
                log(DELIVERY, logging.DEBUG, "mail.settled", "mail %s %s", *_words(facts), **facts)
    except Exception as error:
        logs.ignored(error)


def attempt_ended(delivery: Delivery) -> None:
    """One attempt at a mail is over."""
    if State.live and delivery.attempts:
        State.live.attempt_ended(delivery)


def _words(facts: dict[str, object]) -> tuple[object, object]:
    return facts.get("messageId", f"of item {facts['item']}"), facts["status"]


# Connections.


def connected(connection: Connection) -> None:
    """A connection was made; it is told, too, when it is gone."""
    live = State.live
    if live:
        live.connections.inc()

    def gone(reason: str) -> None:
        if live:
            live.connections.dec()
        server, number = connection.server, connection.opening.number
        text = "connection %d to %s port %d closed: %s"
        parts = (number, server.host, server.port, reason)
        facts = {"connection": number, "host": server.host, "port": server.port, "reason": shown(reason)}
        log(CONNECTION, logging.INFO, "connection.closed", text, *parts, **facts)

    connection.when_closed(gone)


def session_opened(session: Session) -> None:
    """A session is ready for mail, logged in if it has to be."""
    mechanism = session.server.mechanism
    if mechanism and State.live:
        State.live.logins.labels("ok").inc()
    if not CONNECTION.isEnabledFor(logging.INFO):
        return
    number, host, port = session.connection.opening.number, session.server.host, session.server.port
    tls = session.connection.tls
    facts = {
        "connection": number,
        "host": host,
        "port": port,
        "address": str(session.connection.peer),
        "tls": tls.version if tls else None,
        "cipher": tls.cipher if tls else None,
    }
    text = "connection %d to %s port %d opened"
    log(CONNECTION, logging.INFO, "connection.opened", text, number, host, port, **facts)
    if mechanism:
        facts |= {"authMethod": mechanism.name, "username": mechanism.username}
        text = "logged in to %s port %d as %s"
        log(CONNECTION, logging.INFO, "login.ok", text, host, port, mechanism.username, **facts)


def session_failed(session: Session, error: NinaError) -> None:
    """A session could not be opened."""
    kind, phase = error.type, error.phase
    at_login = phase == "auth"
    if at_login and State.live:
        State.live.logins.labels("refused" if kind == "authFailed" else "failed").inc()
    if not CONNECTION.isEnabledFor(logging.WARNING):
        return
    server, number, mechanism = session.server, session.connection.opening.number, session.server.mechanism
    facts = {
        "connection": number,
        "host": server.host,
        "port": server.port,
        "error": kind,
        "phase": phase,
        "code": error.code,
        "enhancedCode": error.enhanced_code,
        "username": mechanism.username if at_login and mechanism else None,
    }
    event, text = "connection.failed", "connection %d to %s port %d failed: %s"
    if at_login:
        event, text = "login.failed", "login on connection %d to %s port %d failed: %s"
    parts = (number, server.host, server.port, error.message)
    log(CONNECTION, logging.WARNING, event, text, *parts, **facts)


# What others may call.


def throttled(server: Server, *, reply: object = None, seconds: float | None = None) -> None:
    """The provider wants less mail, or later; ``seconds`` is how long nothing is sent."""
    text, shown_reply = "%s port %d wants mail more slowly: %s", None if reply is None else str(reply)
    facts = {"host": server.host, "port": server.port, "reply": shown_reply, "seconds": seconds}
    parts = (server.host, server.port, shown_reply or "its limit is reached")
    log(DELIVERY, logging.WARNING, "throttled", text, *parts, **facts)


def breaker_opened(server: Server, error: NinaError, *, seconds: float) -> None:
    """A server failed so often that it is left alone for ``seconds``."""
    text = "%s port %d is left alone for %d seconds: %s"
    facts = {"host": server.host, "port": server.port, "seconds": seconds, "error": error.type}
    parts = (server.host, server.port, round(seconds), error.message)
    log(CONNECTION, logging.WARNING, "breaker.opened", text, *parts, **facts)
