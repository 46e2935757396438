"""What servers really say, and what that comes to."""

from __future__ import annotations

import pytest

from nina_smtp import errors
from nina_smtp.delivery.verdict import Kind, kind_of, kind_of_reply
from nina_smtp.errors import NinaError
from nina_smtp.smtp.failures import in_clear_text, lost, not_offered, refusal, silent, tls_required, too_large
from nina_smtp.smtp.failures import uncertain as in_doubt
from nina_smtp.smtp.phase import Phase
from nina_smtp.smtp.replies import Reply, ReplyParser


def reply(text: str) -> Reply:
    """What a server says, a line break for each ``|``."""
    first, *more = text.split("|")
    code, lines = first[:3], [first[4:], *more]
    wire = "".join(f"{code}-{line}\r\n" for line in lines[:-1]) + f"{code} {lines[-1]}\r\n"
    [read] = ReplyParser().feed(wire.encode())
    return read


KINDS = {
    Phase.GREETING: errors.ServerRefused,
    Phase.EHLO: errors.ServerRefused,
    Phase.AUTH: errors.AuthFailed,
    Phase.MAIL: errors.SenderRefused,
    Phase.RCPT: errors.RecipientsRefused,
    Phase.DATA: errors.MessageRefused,
    Phase.DOT: errors.MessageRefused,
}

SAID = [
    # Gmail
    (Phase.GREETING, "421 4.7.0 Try again later, closing connection. (EHLO) gsmtp", Kind.THROTTLED),
    (Phase.MAIL, "421-4.7.28 Gmail has detected an unusual rate of unsolicited mail", Kind.THROTTLED),
    (Phase.DOT, "421 4.7.0 Temporary System Problem. Try again later (WS). gsmtp", Kind.THROTTLED),
    (Phase.DOT, "421 4.3.0 Temporary System Problem. Try again later (1). gsmtp", Kind.TEMPORARY),
    (Phase.MAIL, "421 4.4.5 Server busy, try again later. gsmtp", Kind.THROTTLED),
    (
        Phase.RCPT,
        "450 4.2.1 The user you are trying to contact is receiving mail too quickly.",
        Kind.THROTTLED,
    ),
    (Phase.RCPT, "452 4.5.3 Your message has too many recipients. gsmtp", Kind.THROTTLED),
    (Phase.RCPT, "452 4.2.2 The email account that you tried to reach is over quota.", Kind.TEMPORARY),
    (Phase.RCPT, "552 5.2.2 The email account that you tried to reach is over quota.", Kind.PERMANENT),
    (Phase.AUTH, "454 4.7.0 Too many login attempts, please try again later. gsmtp", Kind.THROTTLED),
    (Phase.AUTH, "454 4.7.0 Cannot authenticate due to a temporary system problem.", Kind.OPENING),
    (Phase.AUTH, "535 5.7.8 Username and Password not accepted. gsmtp", Kind.LOGIN),
    (Phase.AUTH, "534 5.7.9 Application-specific password required.", Kind.LOGIN),
    (Phase.DOT, "550 5.4.5 Daily user sending limit exceeded. gsmtp", Kind.QUOTA),
    (Phase.DOT, "550-5.4.5 Daily user sending quota exceeded.|5.4.5 See the help. gsmtp", Kind.QUOTA),
    (Phase.RCPT, "550-5.7.1 Daily SMTP relay limit exceeded for customer.", Kind.QUOTA),
    (Phase.RCPT, "550 5.1.1 The email account that you tried to reach does not exist.", Kind.PERMANENT),
    (Phase.DOT, "552 5.3.4 Your message exceeded Google's message size limits.", Kind.PERMANENT),
    (
        Phase.DOT,
        "550 5.7.26 This mail has been blocked because the sender is unauthenticated.",
        Kind.PERMANENT,
    ),
    # Exchange Online
    (Phase.DOT, "432 4.3.2 STOREDRV.ClientSubmit; sender thread limit exceeded", Kind.THROTTLED),
    (Phase.AUTH, "432 4.3.2 Concurrent connections limit exceeded.", Kind.THROTTLED),
    (
        Phase.GREETING,
        "421 4.3.2 The maximum number of concurrent connections has exceeded a limit",
        Kind.THROTTLED,
    ),
    (
        Phase.MAIL,
        "451 4.7.500 Server busy. Please try again later from [192.0.2.1]. (S77714)",
        Kind.THROTTLED,
    ),
    (Phase.RCPT, "451 4.7.650 The mail server [192.0.2.1] has been temporarily rate limited", Kind.THROTTLED),
    (Phase.MAIL, "452 4.3.1 Insufficient system resources", Kind.TEMPORARY),
    (Phase.GREETING, "421 4.3.2 Service not active", Kind.OPENING),
    (
        Phase.DOT,
        "554 5.2.0 STOREDRV.Submission.Exception:SubmissionQuotaExceededException; Failed to process message",
        Kind.QUOTA,
    ),
    (
        Phase.DOT,
        "554 5.2.0 STOREDRV.Submission.Exception:SendAsDeniedException.MapiExceptionSendAsDenied",
        Kind.PERMANENT,
    ),
    (Phase.DOT, "554 5.2.252 SendAsDenied; alice@mail.test not allowed to send as bob", Kind.PERMANENT),
    (Phase.DOT, "550 5.1.90 Your message can't be sent because you've reached your daily limit", Kind.QUOTA),
    (Phase.RCPT, "554 5.2.2 mailbox full", Kind.PERMANENT),
    (Phase.AUTH, "535 5.7.139 Authentication unsuccessful, SmtpClientAuthentication is disabled", Kind.LOGIN),
    (Phase.RCPT, "550 5.7.501 Access denied, spam abuse detected", Kind.PERMANENT),
    # Amazon SES, SendGrid
    (Phase.DOT, "454 Throttling failure: Maximum sending rate exceeded.", Kind.THROTTLED),
    (Phase.DOT, "454 Throttling failure: Daily message quota exceeded.", Kind.QUOTA),
    (Phase.AUTH, "454 Temporary authentication failure", Kind.OPENING),
    (Phase.DOT, "554 Message rejected: Email address is not verified.", Kind.PERMANENT),
    (Phase.AUTH, "451 Authentication failed: Maximum credits exceeded", Kind.QUOTA),
    (Phase.MAIL, "451 You have exceeded your messaging limits", Kind.QUOTA),
    # Postfix and its policy servers
    (
        Phase.RCPT,
        "450 4.2.0 <b@mail.test>: Recipient address rejected: Greylisted, see http://postgrey.schweikert.ch/",
        Kind.GREYLISTED,
    ),
    (Phase.RCPT, "450 4.2.0 <b@mail.test>: Recipient address rejected: try again later", Kind.GREYLISTED),
    (Phase.RCPT, "451 4.7.1 <b@mail.test>: Recipient address rejected: not now", Kind.GREYLISTED),
    (Phase.DOT, "451 4.7.1 Greylisting in action, please come back later", Kind.GREYLISTED),
    (Phase.GREETING, "421 4.7.0 mail.test Error: too many connections from 192.0.2.1", Kind.THROTTLED),
    (Phase.RCPT, "450 4.7.1 Error: too many recipients from 192.0.2.1", Kind.THROTTLED),
    (Phase.MAIL, "450 4.7.1 Error: too much mail from 192.0.2.1", Kind.THROTTLED),
    (Phase.MAIL, "421 4.4.2 mail.test Error: timeout exceeded", Kind.TEMPORARY),
    (Phase.DOT, "451 4.3.0 Error: queue file write error", Kind.TEMPORARY),
    (Phase.MAIL, "452 4.3.1 Insufficient system storage", Kind.TEMPORARY),
    (Phase.MAIL, "454 4.7.1 <b@mail.test>: Relay access denied", Kind.TEMPORARY),
    (Phase.RCPT, "554 5.7.1 <b@mail.test>: Relay access denied", Kind.PERMANENT),
    (Phase.GREETING, "554 5.7.1 mail.test No SMTP service here", Kind.LOGIN),
    (Phase.AUTH, "535 5.7.8 Error: authentication failed: UGFzc3dvcmQ6", Kind.LOGIN),
    # Exim
    (
        Phase.GREETING,
        "421 mail.test: Too many concurrent SMTP connections; please try again later.",
        Kind.THROTTLED,
    ),
    (Phase.GREETING, "421 mail.test lost input connection", Kind.OPENING),
    (Phase.RCPT, "451 Temporary local problem - please try later", Kind.TEMPORARY),
    (Phase.RCPT, "451 192.0.2.1 is not yet authorized to deliver mail from <a@x.test>", Kind.GREYLISTED),
    (Phase.AUTH, "435 Unable to authenticate at present", Kind.OPENING),
    (Phase.DOT, "550 Domain x.test has exceeded the max emails per hour (5/5 (100%)) allowed.", Kind.QUOTA),
    (Phase.RCPT, "550 Unrouteable address", Kind.PERMANENT),
]


@pytest.mark.parametrize(("phase", "text", "kind"), SAID, ids=[text[:40] for _, text, _ in SAID])
def test_what_servers_say(phase: Phase, text: str, kind: Kind) -> None:
    said = reply(text)
    assert kind_of(refusal(KINDS[phase], "The server refused", phase, said)) is kind
    if phase is Phase.RCPT:
        assert kind_of_reply(said) is kind


OURS: list[tuple[NinaError, Kind]] = [
    (errors.InvalidAddress("no mailbox"), Kind.INPUT),
    (errors.LoopSuspected("a loop"), Kind.INPUT),
    (errors.WorkflowError("no graph"), Kind.INPUT),
    (in_doubt("the server closed it.", None), Kind.UNKNOWN),
    (in_doubt("the server said 454 Throttling", reply("354 go on")), Kind.UNKNOWN),
    (errors.InvalidCredential("no host"), Kind.LOGIN),
    (errors.CertificateRejected("expired", phase="tls"), Kind.LOGIN),
    (not_offered("PLAIN", "none"), Kind.LOGIN),
    (in_clear_text(), Kind.LOGIN),
    (errors.AuthFailed("It goes on asking.", phase="auth"), Kind.LOGIN),
    (tls_required("STARTTLS is not offered"), Kind.LOGIN),
    (tls_required("STARTTLS was refused", reply("502 5.5.1 no")), Kind.LOGIN),
    (tls_required("STARTTLS was refused", reply("454 4.7.0 TLS not available")), Kind.OPENING),
    (errors.TlsFailed("BAD_RECORD_MAC", phase="tls"), Kind.OPENING),
    (errors.ConnectFailed("refused", phase="connect"), Kind.OPENING),
    (errors.ConnectFailed("no address", phase="resolve"), Kind.OPENING),
    (silent(Phase.GREETING, 60, encrypted=False), Kind.OPENING),
    (silent(Phase.AUTH, 60, encrypted=True), Kind.OPENING),
    (lost("reset", Phase.TLS), Kind.OPENING),
    (errors.ProtocolViolation("junk", phase="greeting"), Kind.OPENING),
    (errors.ProtocolViolation("250 for a greeting", phase="greeting", reply=reply("250 hi")), Kind.OPENING),
    (errors.CircuitOpen("left alone", until_seconds=30), Kind.OPENING),
    (errors.LimitReached("enough for today", until_seconds=60), Kind.QUOTA),
    (silent(Phase.MAIL, 60, encrypted=True), Kind.TEMPORARY),
    (lost("reset", Phase.RCPT), Kind.TEMPORARY),
    (errors.ProtocolViolation("250 for DATA", phase="data", reply=reply("250 ok")), Kind.PERMANENT),
    (errors.Interrupted("stopped"), Kind.TEMPORARY),
    (errors.LedgerFailed("disk full"), Kind.TEMPORARY),
    (errors.InternalError("a fault"), Kind.PERMANENT),
    (errors.NotAttempted("an earlier one failed"), Kind.PERMANENT),
    (errors.FeatureUnavailable("no SMTPUTF8", phase="mail"), Kind.PERMANENT),
    (too_large(2, 1), Kind.PERMANENT),
    (
        errors.SomeRecipientsRefused("one of two", phase="rcpt", reply=reply("450 4.2.0 Greylisted")),
        Kind.PERMANENT,
    ),
]


@pytest.mark.parametrize(("error", "kind"), OURS, ids=[f"{e.type} {e.message[:20]}" for e, _ in OURS])
def test_what_we_say(error: NinaError, kind: Kind) -> None:
    assert kind_of(error) is kind


def test_every_kind_of_error_has_a_kind_of_failure() -> None:
    waiting: list[type[NinaError]] = [errors.ParameterError, errors.CredentialError, errors.ServerError]
    while waiting:
        sort = waiting.pop()
        waiting.extend(sort.__subclasses__())
        for phase in (None, *Phase):
            for said in (None, *(reply(f"{code} hm") for code in (250, 354, 421, 450, 550))):
                kind = kind_of(sort("?", phase=phase, reply=said))
                assert (kind is Kind.UNKNOWN) is sort.uncertain
