"""The rules at the top of the module, one by one, and two transactions on one line."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nina_smtp.envelope import Envelope
from nina_smtp.errors import ProtocolViolation, ServerRefused, TlsRequired
from nina_smtp.smtp.capabilities import Capabilities
from nina_smtp.smtp.phase import Phase
from nina_smtp.smtp.protocol import MAX_AUTH_LINE, MAX_COMMAND, Command, Protocol, State
from nina_smtp.smtp.transaction import Stage, Transaction
from nina_smtp.smtp.wire import DotStuffer

NOOP = Command(b"NOOP", Phase.RSET, ends_group=True)
MAIL = Command(b"MAIL FROM:<a@x.test>", Phase.MAIL)
RCPT = Command(b"RCPT TO:<b@x.test>", Phase.RCPT)
RSET = Command(b"RSET", Phase.RSET)
PIPELINING = Capabilities({"PIPELINING": ""})


def greeted(capabilities: Capabilities = PIPELINING) -> Protocol:
    protocol = Protocol()
    protocol.receive(b"220 mail.test\r\n")
    protocol.capabilities = capabilities
    return protocol


# Rule 1: every command gets one reply, in order.


def test_nothing_may_be_written_before_the_greeting() -> None:
    with pytest.raises(ValueError):
        Protocol().send(NOOP)


def test_replies_answer_commands_in_order() -> None:
    protocol = greeted()
    protocol.send(
        MAIL, Command(b"RCPT TO:<b@x.test>", Phase.RCPT), Command(b"DATA", Phase.DATA, ends_group=True)
    )
    assert protocol.phase is Phase.MAIL
    answers = protocol.receive(b"250 a\r\n550 b\r\n")
    assert [(answer.phase, answer.reply.code) for answer in answers] == [(Phase.MAIL, 250), (Phase.RCPT, 550)]
    assert protocol.phase is Phase.DATA
    assert protocol.state is State.WAITING
    assert [answer.phase for answer in protocol.receive(b"354 c\r\n")] == [Phase.DATA]
    assert protocol.state is State.IDLE


# Rule 2: a reply that nothing asked for ends the session.


@pytest.mark.parametrize(
    ("reply", "kind"), [(b"250 Ok\r\n", ProtocolViolation), (b"421 Bye\r\n", ServerRefused)]
)
def test_a_reply_that_nothing_asked_for_ends_the_session(reply: bytes, kind: type[Exception]) -> None:
    protocol = greeted()
    assert protocol.receive(reply) == []
    assert isinstance(protocol.violation, kind)
    assert protocol.state is State.OVER
    with pytest.raises(ValueError):
        protocol.send(NOOP)
    with pytest.raises(ValueError):
        protocol.content_written()
    assert protocol.receive(b"250 Ok\r\n") == []


def test_an_answer_before_the_breach_counts() -> None:
    protocol = greeted()
    protocol.send(NOOP)
    assert [answer.reply.code for answer in protocol.receive(b"250 Ok\r\n250 And more\r\n")] == [250]
    assert protocol.violation


@given(st.binary(max_size=200), st.integers(min_value=1, max_value=50))
def test_nothing_that_a_server_sends_raises(octets: bytes, size: int) -> None:
    protocol = greeted()
    protocol.send(MAIL, NOOP)
    for start in range(0, len(octets), size):
        protocol.receive(octets[start : start + size])


# Rule 3: pipelining only where it is offered, and never behind what ends a group.


def test_without_pipelining_each_command_waits_for_its_reply() -> None:
    protocol = greeted(Capabilities())
    protocol.send(MAIL)
    with pytest.raises(ValueError):
        protocol.send(NOOP)


def test_without_pipelining_a_group_is_not_written_at_all() -> None:
    protocol = greeted(Capabilities())
    with pytest.raises(ValueError):
        protocol.send(MAIL, RCPT)
    assert protocol.state is State.IDLE
    assert protocol.receive(b"250 Ok\r\n") == []
    assert protocol.violation


def test_of_a_group_that_may_not_go_out_no_reply_is_waited_for() -> None:
    protocol = greeted()
    with pytest.raises(ValueError):
        protocol.send(MAIL, Command(b"RCPT TO:<b@x.test>\r\nDATA", Phase.RCPT))
    assert protocol.state is State.IDLE


@pytest.mark.parametrize("verb", [b"EHLO me", b"STARTTLS", b"AUTH LOGIN", b"DATA", b"NOOP", b"QUIT"])
def test_nothing_is_written_behind_what_ends_a_group(verb: bytes) -> None:
    with pytest.raises(ValueError):
        greeted().send(Command(verb, Phase.EHLO, ends_group=True), MAIL)


# Rule 4: a command is one line, and not too long.


@pytest.mark.parametrize("line", [b"NOOP\r\nQUIT", b"NOOP\n", b"NO\rOP", b"NOOP\0", b"x" * (MAX_COMMAND + 1)])
def test_what_is_not_one_line_is_not_written(line: bytes) -> None:
    protocol = greeted()
    with pytest.raises(ValueError):
        protocol.send(Command(line, Phase.RCPT))
    assert protocol.state is State.IDLE


def test_a_login_may_be_longer() -> None:
    greeted().send(Command(b"x" * MAX_AUTH_LINE, Phase.AUTH, ends_group=True))
    with pytest.raises(ValueError):
        greeted().send(Command(b"x" * (MAX_AUTH_LINE + 1), Phase.AUTH, ends_group=True))


# Rule 5: nothing of the clear text is left when TLS begins.


@pytest.mark.parametrize("extra", [b"2", b"250-", b"250-x\r\n", b"250 x\r\n", b"nonsense\r\n"])
def test_clear_text_behind_the_answer_to_starttls_is_found(extra: bytes) -> None:
    protocol = greeted()
    protocol.send(Command(b"STARTTLS", Phase.TLS, ends_group=True))
    protocol.receive(b"220 Go\r\n" + extra)
    with pytest.raises(TlsRequired):
        protocol.start_tls()
    assert protocol.state is State.OVER


def test_tls_forgets_what_was_offered_before() -> None:
    protocol = greeted()
    protocol.send(Command(b"STARTTLS", Phase.TLS, ends_group=True))
    protocol.receive(b"220 Go\r\n")
    protocol.start_tls()
    assert protocol.capabilities == Capabilities()


# Rule 6: content is no command, and it is the first of a group.


def test_content_waits_for_all_replies() -> None:
    protocol = greeted()
    protocol.send(MAIL)
    with pytest.raises(ValueError):
        protocol.content_written()


def test_the_reply_to_content_is_that_of_the_final_dot() -> None:
    protocol = greeted()
    protocol.content_written()
    (answer,) = protocol.receive(b"250 Ok\r\n")
    assert answer.phase is Phase.DOT


def test_without_pipelining_nothing_is_written_behind_the_final_dot() -> None:
    protocol = greeted(Capabilities())
    protocol.content_written()
    with pytest.raises(ValueError):
        protocol.send(MAIL)


def test_as_a_chunk_it_may_be_written_while_its_envelope_waits() -> None:
    protocol = greeted()
    protocol.send(MAIL, RCPT)
    protocol.content_written(chunked=True)
    protocol.send(RSET, MAIL, RCPT)
    protocol.content_written(chunked=True)
    answers = protocol.receive(b"250 a\r\n550 b\r\n503 c\r\n250 d\r\n250 e\r\n250 f\r\n250 g\r\n")
    assert [(answer.phase, answer.reply.text) for answer in answers] == [
        (Phase.MAIL, "a"), (Phase.RCPT, "b"), (Phase.DOT, "c"),
        (Phase.RSET, "d"), (Phase.MAIL, "e"), (Phase.RCPT, "f"), (Phase.DOT, "g"),
    ]  # fmt: skip
    assert protocol.state is State.IDLE


def test_without_pipelining_a_chunk_waits_too() -> None:
    protocol = greeted(Capabilities({"CHUNKING": ""}))
    protocol.send(MAIL)
    with pytest.raises(ValueError):
        protocol.content_written(chunked=True)
    protocol.receive(b"250 Ok\r\n")
    protocol.content_written(chunked=True)
    assert protocol.phase is Phase.DOT


@pytest.mark.parametrize("last", [Command(b"DATA", Phase.DATA, ends_group=True), NOOP])
def test_a_chunk_too_never_follows_what_ends_a_group(last: Command) -> None:
    protocol = greeted()
    protocol.send(MAIL, last)
    with pytest.raises(ValueError):
        protocol.content_written(chunked=True)


def test_content_that_is_no_chunk_waits_for_a_chunk_before_it() -> None:
    protocol = greeted()
    protocol.content_written(chunked=True)
    with pytest.raises(ValueError):
        protocol.content_written()


class Line:
    """Two transactions on one protocol, driven by hand as a pipelining session would."""

    def __init__(self) -> None:
        self.protocol = greeted()
        self.first, self.second = (
            Transaction(Envelope("a@x.test", (recipient,)), self.protocol.capabilities, size=9)
            for recipient in ("b@x.test", "c@x.test")
        )

    def begin(self) -> None:
        """The first is agreed to; its end and the envelope of the second go out in one write."""
        self.protocol.send(*self.first.next_group())
        for answer in self.protocol.receive(b"250 Ok\r\n250 Ok\r\n354 Go\r\n"):
            self.first.receive(answer)
        assert self.first.stage is Stage.CONTENT
        stuffer = DotStuffer()
        written = stuffer.feed(b"X: 1\r\n\r\nhi\r\n") + stuffer.end()
        self.protocol.content_written()
        self.first.content_written()
        written += self.protocol.send(*self.second.next_group())
        assert written == (b"X: 1\r\n\r\nhi\r\n.\r\nMAIL FROM:<a@x.test>\r\nRCPT TO:<c@x.test>\r\nDATA\r\n")

    def hear(self, octets: bytes) -> None:
        """Each answer goes to the transaction that it is for."""
        for answer in self.protocol.receive(octets):
            (self.first if answer.phase is Phase.DOT else self.second).receive(answer)


def test_the_next_envelope_may_go_out_behind_the_final_dot() -> None:
    line = Line()
    line.begin()
    line.hear(b"250 2.0.0 queued\r\n250 Ok\r\n250 Ok\r\n354 Go\r\n")
    assert line.first.error is None
    assert line.first.reply
    assert line.second.stage is Stage.CONTENT
    line.protocol.content_written()  # every reply was read, so the second can go on


def test_what_becomes_of_the_first_says_nothing_about_the_second() -> None:
    line = Line()
    line.begin()
    line.hear(b"554 5.6.0 refused\r\n250 Ok\r\n250 Ok\r\n354 Go\r\n")
    assert line.first.error
    assert line.first.error.type == "messageRefused"
    assert line.second.error is None
    assert line.second.stage is Stage.CONTENT


def test_when_the_line_breaks_behind_the_final_dot_only_the_first_is_in_doubt() -> None:
    line = Line()
    line.begin()
    line.hear(b"nonsense\r\n")
    assert line.protocol.violation
    assert line.protocol.violation.phase == Phase.DOT
    assert line.first.stage is Stage.VERDICT
    assert line.second.stage is Stage.ENVELOPE


def test_a_break_after_the_first_verdict_leaves_nothing_in_doubt() -> None:
    line = Line()
    line.begin()
    line.hear(b"250 Ok\r\nnonsense\r\n")
    assert line.first.stage is Stage.OVER
    assert line.first.error is None
    assert line.protocol.phase is Phase.MAIL
