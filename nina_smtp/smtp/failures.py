"""The errors of a session, each with what happened and what to do."""

from __future__ import annotations

from nina_smtp.errors import (
    AuthFailed,
    AuthUnavailable,
    ConnectionLost,
    DeliveryUncertain,
    MessageTooLarge,
    NinaError,
    ReplyTimeout,
    ServerRefused,
    TlsRequired,
)
from nina_smtp.smtp.advice import advice, token_advice
from nina_smtp.smtp.phase import Phase
from nina_smtp.smtp.replies import Reply


def refusal(kind: type[NinaError], what: str, phase: Phase, reply: Reply) -> NinaError:
    """The error for a refusing reply. A 421 is about the session, whatever it answered."""
    if reply.code == 421:
        kind, what = ServerRefused, "The server closes the connection"
    return kind(f"{what}: {reply}", hint=advice(reply, phase), phase=phase.value, reply=reply)


def uncertain(why: str, reply: Reply | None) -> DeliveryUncertain:
    """The error for a mail whose final dot was written and that got no clear answer."""
    return DeliveryUncertain(
        f"The whole message was sent, but no clear answer came: {why}",
        hint="It may have been delivered. Look into the mailbox before sending it again.",
        phase=Phase.DOT.value,
        reply=reply,
    )


def silent(phase: Phase, seconds: float, *, encrypted: bool) -> ReplyTimeout:
    """The error for a reply that did not come in time."""
    hint = "Send again later; if it stays so, ask the server's operator."
    if phase is Phase.GREETING and not encrypted:
        hint = "A port that expects TLS from the start is silent like this: try encryption tls, port 465."
    return ReplyTimeout(
        f"The server did not answer within {seconds:g} seconds.", hint=hint, phase=phase.value
    )


def lost(why: str, phase: Phase) -> ConnectionLost:
    """The error for a connection that broke before the final dot."""
    hint = "Nothing was delivered; it is safe to send again."
    if phase is Phase.TLS:
        hint = "Nothing was sent. If it stays so, check that port and encryption belong together."
    return ConnectionLost(f"The connection broke: {why}.", hint=hint, phase=phase.value)


def tls_required(what: str, reply: Reply | None = None) -> TlsRequired:
    """The error for STARTTLS that cannot be had."""
    return TlsRequired(
        f"{what}{f': {reply}' if reply else ''}. Nothing secret was sent.",
        hint="If the server does TLS from the start, use encryption tls (port 465). If it should offer "
        "STARTTLS, somebody between may be stripping it.",
        phase=Phase.TLS.value,
        reply=reply,
    )


def token_refused(reply: Reply, *, renewed: bool) -> NinaError:
    """The error for an access token that the server does not take."""
    what = "The server refused the access token"
    error = refusal(AuthFailed, f"{what}, and a new one too" if renewed else what, Phase.AUTH, reply)
    if isinstance(error, AuthFailed) and not reply.is_transient:
        error.hint = token_advice(reply)
    return error


def in_clear_text(what: str = "password") -> TlsRequired:
    """The error for a login that somebody between could read."""
    return TlsRequired(
        f"The {what} would travel in clear text to another machine.",
        hint="Use encryption starttls or tls. If the way is safe otherwise, set allowCleartextLogin.",
        phase=Phase.AUTH.value,
        parameter="encryption",
    )


def not_offered(mechanism: str, offered: str) -> AuthUnavailable:
    """The error for a mechanism that the server does not have."""
    if mechanism == "XOAUTH2":
        return AuthUnavailable(
            f"The server does not take access tokens (XOAUTH2); it offers: {offered}.",
            hint="Use the host, port and encryption on which it does; or a credential of type smtp.",
            phase=Phase.AUTH.value,
            parameter="host",
        )
    return AuthUnavailable(
        f"The server does not offer {mechanism}; it offers: {offered}.",
        hint="Set authMethod none, or use the port and the encryption on which the server lets people log in."
        if offered == "none"
        else "Set authMethod to one that is offered.",
        phase=Phase.AUTH.value,
        parameter="authMethod",
    )


def too_large(size: int, limit: int) -> MessageTooLarge:
    """The error for a message beyond the server's SIZE."""
    return MessageTooLarge(
        f"The message has {size:,} octets; the server takes {limit:,}.",
        hint="Send a link instead, or fewer attachments. Base64 makes a file a third larger.",
        phase=Phase.MAIL.value,
    )
