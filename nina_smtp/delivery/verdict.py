"""What kind of failure an error is: who must act, and whether waiting helps. Pure.

The rules, the first that fits:

1. Nobody can tell whether it was delivered: UNKNOWN.
2. The author of the workflow must act: INPUT.
3. The owner of the credential must act: LOGIN. A refused login is never tried again by itself, since that
   locks accounts; neither is a certificate, nor a server that turns this machine away for good.
4. The provider's words about its quota or its rate: QUOTA, THROTTLED. Words decide before codes do: providers
   use the same codes for unlike things, and SES says both with one.
5. Anything else before MAIL is about the server, not about the mail: OPENING.
6. A recipient that is to be tried again in a few minutes: GREYLISTED.
7. What is left: TEMPORARY if it may work later, else PERMANENT.

The codes are those of Gmail, Exchange Online, Amazon SES, SendGrid, Postfix and Exim.
"""

from __future__ import annotations

import re
from enum import StrEnum

from nina_smtp.errors import (
    AuthFailed,
    AuthUnavailable,
    CertificateRejected,
    CredentialError,
    InvalidCredential,
    LimitReached,
    NinaError,
    ParameterError,
    SomeRecipientsRefused,
    TlsRequired,
    WorkflowError,
)
from nina_smtp.smtp.phase import Phase
from nina_smtp.smtp.replies import Reply


class Kind(StrEnum):
    """The kinds of failure. Of all but UNKNOWN it is certain that nothing was delivered."""

    INPUT = "input"
    UNKNOWN = "unknown"
    LOGIN = "login"
    THROTTLED = "throttled"
    QUOTA = "quota"
    GREYLISTED = "greylisted"
    OPENING = "opening"
    TEMPORARY = "temporary"
    PERMANENT = "permanent"


_BEFORE_MAIL = frozenset(
    {Phase.RESOLVE, Phase.CONNECT, Phase.GREETING, Phase.EHLO, Phase.TLS, Phase.AUTH, Phase.NOOP}
)
_OWNERS = (InvalidCredential, AuthUnavailable, CertificateRejected)

# The limit is of the sender. A full mailbox says "quota", too, but then the code is x.2.2.
_QUOTA = re.compile(
    r"daily\b.{0,60}\b(?:limit|quota)"
    r"|submission ?quota"
    r"|\b(?:sending|messaging|relay) (?:limits?|quota)\b.{0,40}\bexceeded"
    r"|\bexceeded\b.{0,40}\b(?:sending|messaging|relay) (?:limits?|quota)"
    r"|credits exceeded"
    r"|\b(?:e?mails|messages) per (?:hour|day)\b",
    re.IGNORECASE,
)
_QUOTA_CODES = frozenset({(550, "5.4.5"), (550, "5.1.90"), (550, "5.7.232"), (550, "5.7.233")})
_NO_QUOTA = re.compile(r"denied|not allowed|permission|corrupt|invalid", re.IGNORECASE)

_THROTTLED = re.compile(
    r"throttl"
    r"|\brate[ -]?limit|\b(?:sending|message|submission|unusual) rate\b|\brate\b.{0,30}\bexceed"
    r"|\btoo (?:quickly|fast|much mail|busy)"
    r"|\btoo many (?:\w+ ){0,2}(?:connections|sessions|messages|e?mails|requests|login|auth|recipients from)"
    r"|\bconnections?\b.{0,40}\blimit|\bthread limit"
    r"|\bserver busy",
    re.IGNORECASE,
)
_THROTTLED_CODES = frozenset({(450, "4.2.1"), (432, "4.3.2"), (454, "4.7.0"), (452, "4.5.3")})

_GREYLISTED = re.compile(r"gr[ae]y-?list|not yet authori[sz]ed to deliver", re.IGNORECASE)
_GREYLISTED_CODES = frozenset({"4.2.0", "4.7.1"})


def kind_of(error: NinaError) -> Kind:
    """What kind of failure ``error`` is."""
    if error.uncertain:
        return Kind.UNKNOWN
    if isinstance(error, (ParameterError, WorkflowError)):
        return Kind.INPUT
    if isinstance(error, _OWNERS):
        return Kind.LOGIN
    if isinstance(error, LimitReached):
        return Kind.QUOTA
    if isinstance(error, SomeRecipientsRefused):  # the others would get it twice
        return Kind.PERMANENT
    if isinstance(error, CredentialError) or error.phase in _BEFORE_MAIL:
        return _opening(error)
    if error.reply:
        return kind_of_reply(error.reply, error.phase)
    return Kind.TEMPORARY if error.retry else Kind.PERMANENT


def kind_of_reply(reply: Reply, phase: str | None = Phase.RCPT) -> Kind:
    """What kind of failure a refusing reply is; without ``phase``, that of one recipient."""
    if _is_quota(reply):
        return Kind.QUOTA
    if not reply.is_transient:
        return Kind.PERMANENT
    text, enhanced = reply.text, reply.enhanced_code or ""
    if _THROTTLED.search(text):
        return Kind.THROTTLED
    if _GREYLISTED.search(text):
        return Kind.GREYLISTED
    if phase == Phase.RCPT and reply.code in (450, 451) and enhanced in _GREYLISTED_CODES:
        return Kind.GREYLISTED
    if (reply.code, enhanced) == (454, "4.7.0") and phase in _BEFORE_MAIL:
        return Kind.TEMPORARY  # TLS or the login cannot be had at the moment (RFC 3207, RFC 4954)
    if (reply.code, enhanced) in _THROTTLED_CODES:
        return Kind.THROTTLED
    if reply.code in (421, 451) and enhanced.startswith("4.7."):
        return Kind.THROTTLED
    return Kind.TEMPORARY


def _is_quota(reply: Reply) -> bool:
    text, enhanced = reply.text, reply.enhanced_code or ""
    if enhanced.endswith(".2.2"):
        return False  # the recipient's mailbox is full
    if _QUOTA.search(text) or (reply.code, enhanced) in _QUOTA_CODES:
        return True
    return (reply.code, enhanced) == (554, "5.2.0") and not _NO_QUOTA.search(text)


def _opening(error: NinaError) -> Kind:
    """Of a failure before MAIL."""
    reply = error.reply
    if isinstance(error, (AuthFailed, TlsRequired)) and not (reply and reply.is_transient):
        return Kind.LOGIN
    if reply and 400 <= reply.code < 600:
        kind = kind_of_reply(reply, error.phase)
        if kind in (Kind.QUOTA, Kind.THROTTLED):
            return kind
        return Kind.OPENING if reply.is_transient else Kind.LOGIN
    return Kind.OPENING
