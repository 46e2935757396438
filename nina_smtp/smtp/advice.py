"""What to do about a refusal: known replies and the next step, in plain words.

Enhanced status codes are of RFC 3463 and its registry; the rest is what large providers really say.
"""

from __future__ import annotations

import re

from nina_smtp.smtp.phase import Phase
from nina_smtp.smtp.replies import Reply

_BY_TEXT: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern, re.IGNORECASE), hint)
    for pattern, hint in (
        (
            r"5\.7\.139|5\.7\.30|basic authentication",
            "Microsoft 365 has switched off passwords for SMTP here: use a credential of type "
            "smtpOAuth2, or have the tenant allow SMTP AUTH for this mailbox.",
        ),
        (
            r"5\.7\.9|application-specific password|app password",
            "The provider wants an app password: create one in the account's security settings and use it "
            "here.",
        ),
        (
            r"sendasdenied|send as|not owned by user|sender address rejected",
            "This login may not send from that address: use the login's own address as from, "
            "or have the server allow it (Send As).",
        ),
        (
            r"relay",
            "The server does not relay for you: log in, or use the server that is responsible for the "
            "recipient.",
        ),
        (r"daily .*(?:limit|quota)", "The account has used up its daily quota: wait, or use another."),
        (r"greylist", "The server asks to come back later; wait at least five minutes."),
    )
)

_BY_ENHANCED_CODE = {
    "1.1": "There is no such mailbox: check the address.",
    "1.2": "There is no such domain: check the address.",
    "1.3": "The address is malformed for this server.",
    "1.8": "The server does not know the sender's domain: use an address of a real one.",
    "2.1": "The mailbox is switched off.",
    "2.2": "The mailbox is full: tell its owner.",
    "2.3": "The message is too large for that mailbox: send a link instead.",
    "3.4": "The message is too large for the server: send a link, or fewer attachments.",
    "4.5": "The server is too busy: send later.",
    "5.3": "Too many recipients in one mail: split the list.",
    "7.0": "The server refuses by its policy: ask its operator.",
    "7.1": "The server refuses by its policy: check that this login may send from this address and to that "
    "one.",
    "7.3": "The server wants the login's own address as the sender.",
    "7.8": "User name or password is wrong. Check both; with multi-factor login use an app password; for "
    "Amazon SES use its SMTP credentials, not IAM keys; or try the other authMethod.",
    "7.26": "The message fails the recipient's SPF, DKIM or DMARC check: set them up for the sender's "
    "domain.",
}

_BY_PHASE = {
    Phase.GREETING: "The server takes nothing from this machine: check host and port, or ask its operator.",
    Phase.AUTH: _BY_ENHANCED_CODE["7.8"],
    Phase.MAIL: "Many servers send only from the address that is logged in: check from.",
}

_BY_CODE = {
    421: "The server is busy or limits you: send later, and with fewer connections.",
    452: "The server is short of space: send later.",
    552: "The message is too large, or the mailbox is full.",
}


def token_advice(reply: Reply) -> str:
    """The next step when an access token is refused (XOAUTH2)."""
    if "5.7.139" in str(reply):
        return "Have the tenant allow SMTP AUTH for this mailbox."
    return (
        "Check that username is the mailbox that the token was made for, and that the scopes are those for "
        "SMTP; then connect the account again: nina-smtp login CRED.json"
    )


def advice(reply: Reply, phase: Phase) -> str | None:
    """The next step for this reply, or None if it speaks for itself."""
    text = str(reply)
    for pattern, hint in _BY_TEXT:
        if pattern.search(text):
            return hint
    if reply.code == 421:
        return _BY_CODE[421]
    if reply.is_transient and phase is Phase.AUTH:
        return "The server cannot check the login right now: try again later."
    if reply.enhanced_code:
        known = _BY_ENHANCED_CODE.get(reply.enhanced_code.partition(".")[2])
        if known:
            return known
    return (
        _BY_PHASE.get(phase)
        or _BY_CODE.get(reply.code)
        or ("The server may accept it later." if reply.is_transient else None)
    )
