"""What a refusal comes with: the next step."""

from __future__ import annotations

import pytest

from nina_smtp.smtp.advice import advice
from nina_smtp.smtp.phase import Phase
from nina_smtp.smtp.replies import Reply


@pytest.mark.parametrize(
    ("phase", "code", "text", "said"),
    [
        (
            Phase.AUTH,
            535,
            "5.7.139 Authentication unsuccessful, basic authentication is disabled",
            "smtpOAuth2",
        ),
        (Phase.AUTH, 534, "5.7.9 Application-specific password required", "app password"),
        (Phase.AUTH, 535, "5.7.8 Username and Password not accepted", "app password"),
        (Phase.AUTH, 535, "Authentication Credentials Invalid", "IAM"),
        (Phase.AUTH, 454, "4.7.0 Temporary authentication failure", "right now"),
        (Phase.MAIL, 553, "5.7.1 <x@y>: Sender address rejected: not owned by user z", "own address"),
        (Phase.DOT, 554, "5.2.252 SendAsDenied; x not allowed to send as y", "Send As"),
        (Phase.RCPT, 554, "5.7.1 Relay access denied", "relay"),
        (Phase.RCPT, 450, "4.2.0 Greylisted, see http://x.test", "five minutes"),
        (Phase.RCPT, 550, "5.1.1 No such user", "mailbox"),
        (Phase.RCPT, 552, "5.2.2 Mailbox full", "full"),
        (Phase.DOT, 552, "5.3.4 Message too big", "large"),
        (Phase.DOT, 550, "5.4.5 Daily user sending limit exceeded", "quota"),
        (Phase.GREETING, 554, "5.3.2 Not today", "operator"),
        (Phase.MAIL, 421, "Too many connections", "fewer"),
        (Phase.RCPT, 451, "Hm", "later"),
    ],
)
def test_a_refusal_comes_with_the_next_step(phase: Phase, code: int, text: str, said: str) -> None:
    hint = advice(Reply(code, (text,)), phase)
    assert hint
    assert said.lower() in hint.lower()


def test_where_there_is_nothing_to_add_nothing_is() -> None:
    assert advice(Reply(554, ("No",)), Phase.DATA) is None
