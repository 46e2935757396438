"""One mail: which commands go out, and what the replies mean."""

from __future__ import annotations

import pytest

from nina_smtp.envelope import Envelope
from nina_smtp.smtp.capabilities import Capabilities
from nina_smtp.smtp.phase import Phase
from nina_smtp.smtp.protocol import Protocol
from nina_smtp.smtp.transaction import Stage, Transaction

PIPELINED = Capabilities({"PIPELINING": "", "SIZE": "1000"})
ONE_BY_ONE = Capabilities()
CHUNKS = Capabilities({"PIPELINING": "", "CHUNKING": ""})
CHUNKS_ONE_BY_ONE = Capabilities({"CHUNKING": ""})
BOTH = pytest.mark.parametrize("capabilities", [PIPELINED, ONE_BY_ONE], ids=["pipelined", "one by one"])


def run(
    replies: list[bytes],
    capabilities: Capabilities = PIPELINED,
    recipients: tuple[str, ...] = ("b@x.test", "c@x.test"),
    *,
    reset: bool = False,
    together: bool = False,
) -> tuple[Transaction, list[bytes]]:
    """A transaction after ``replies``, and the lines it had written; content is written when asked for."""
    protocol = Protocol()
    protocol.receive(b"220 mail.test\r\n")
    protocol.capabilities = capabilities
    transaction = Transaction(
        Envelope("a@x.test", recipients), capabilities, size=5, reset=reset, together=together
    )
    lines: list[bytes] = []
    queue = list(replies)
    while True:
        if group := transaction.next_group():
            lines += protocol.send(*group).splitlines()
            asked = together
        else:
            asked = transaction.stage in (Stage.CONTENT, Stage.EMPTY_CONTENT)
        if asked:
            lines.append(b"." if transaction.stage is Stage.EMPTY_CONTENT else b"content")
            protocol.content_written(chunked=transaction.chunked)
            transaction.content_written()
        if protocol.phase is None or not queue:
            return transaction, lines
        for answer in protocol.receive(queue.pop(0) + b"\r\n"):
            transaction.receive(answer)


def error_of(transaction: Transaction) -> str | None:
    return transaction.error.type if transaction.error else None


# -- refused -----------------------------------------------------------------------------------------


def test_no_recipient_is_named_after_a_refused_sender() -> None:
    transaction, lines = run([b"550 5.7.1 Not you"], ONE_BY_ONE)
    assert lines == [b"MAIL FROM:<a@x.test>"]
    assert error_of(transaction) == "senderRefused"
    assert transaction.stage is Stage.OVER
    assert transaction.refused == []  # nobody asked about them


def test_a_refused_sender_is_the_error_though_the_recipients_are_refused_for_it_too() -> None:
    transaction, _ = run([b"550 5.7.1 Not you", b"503 MAIL first", b"503 MAIL first", b"503 MAIL first"])
    assert error_of(transaction) == "senderRefused"
    assert transaction.refused == []
    assert transaction.stage is Stage.OVER


def test_a_354_after_a_refused_sender_gets_a_lone_dot_and_is_no_success() -> None:
    transaction, lines = run([b"550 No", b"250 Ok", b"250 Ok", b"354 Go", b"250 Taken"])
    assert lines[-1] == b"."
    assert error_of(transaction) == "senderRefused"
    assert transaction.accepted == []
    assert transaction.reply is None


@pytest.mark.parametrize("verdict", [b"250 Taken", b"554 No valid recipients"])
def test_a_354_though_nobody_was_accepted_gets_a_lone_dot_and_is_no_success(verdict: bytes) -> None:
    transaction, lines = run([b"250 Ok", b"550 5.1.1 No", b"550 5.1.1 No", b"354 Go", verdict])
    assert lines[-1] == b"."
    assert error_of(transaction) == "recipientsRefused"
    assert [refusal.address for refusal in transaction.refused] == ["b@x.test", "c@x.test"]


def test_data_is_not_asked_for_when_nobody_is_accepted() -> None:
    transaction, lines = run([b"250 Ok", b"550 5.1.1 No", b"451 4.7.1 Later"], ONE_BY_ONE)
    assert b"DATA" not in lines
    assert error_of(transaction) == "recipientsRefused"


@BOTH
def test_a_recipient_that_may_be_taken_later_makes_the_refusal_of_all_temporary(
    capabilities: Capabilities,
) -> None:
    transaction, _ = run([b"250 Ok", b"550 5.1.1 No", b"451 4.7.1 Later", b"503 No recipients"], capabilities)
    assert transaction.error
    assert transaction.error.retry
    assert transaction.error.code == 451


@BOTH
def test_421_is_about_the_session_whatever_it_answers(capabilities: Capabilities) -> None:
    transaction, _ = run([b"421 4.3.2 Shutting down"], capabilities)
    assert error_of(transaction) == "serverRefused"
    assert transaction.error
    assert transaction.error.retry
    assert transaction.ends_session


@BOTH
def test_421_to_one_recipient_refuses_that_one(capabilities: Capabilities) -> None:
    transaction, _ = run([b"250 Ok", b"250 Ok", b"421 4.3.2 Shutting down"], capabilities)
    assert transaction.accepted == ["b@x.test"]
    assert [refusal.reply.code for refusal in transaction.refused] == [421]


def test_421_instead_of_a_verdict_is_a_refusal_and_not_in_doubt() -> None:
    transaction, _ = run([b"250 Ok", b"250 Ok", b"250 Ok", b"354 Go", b"421 4.3.2 Shutting down"])
    assert error_of(transaction) == "serverRefused"
    assert transaction.error
    assert not transaction.error.uncertain


@BOTH
def test_552_to_mail_is_about_the_size(capabilities: Capabilities) -> None:
    transaction, _ = run([b"552 5.3.4 Message size exceeds fixed limit"], capabilities)
    assert error_of(transaction) == "messageTooLarge"


@BOTH
@pytest.mark.parametrize("reply", [b"250 Ok", b"220 Ok", b"334 Go", b"300 Hm"])
def test_data_that_is_answered_with_neither_354_nor_a_refusal_sends_nothing(
    capabilities: Capabilities, reply: bytes
) -> None:
    transaction, lines = run([b"250 Ok", b"250 Ok", b"250 Ok", reply], capabilities)
    assert lines[-1] == b"DATA"
    assert error_of(transaction) == "protocolViolation"
    assert transaction.ends_session


@BOTH
def test_a_refused_data_is_a_refused_message(capabilities: Capabilities) -> None:
    transaction, _ = run([b"250 Ok", b"250 Ok", b"250 Ok", b"451 4.3.0 Later"], capabilities)
    assert error_of(transaction) == "messageRefused"
    assert not transaction.ends_session


@pytest.mark.parametrize("verdict", [b"354 Go", b"334 Go"])
def test_a_verdict_that_is_none_leaves_the_mail_in_doubt_and_ends_the_session(verdict: bytes) -> None:
    transaction, _ = run([b"250 Ok", b"250 Ok", b"250 Ok", b"354 Go", verdict])
    assert error_of(transaction) == "deliveryUncertain"
    assert transaction.ends_session


# -- sent --------------------------------------------------------------------------------------------


@BOTH
@pytest.mark.parametrize("accepted", [b"250 Ok", b"251 Will forward", b"252 Cannot verify"])
def test_any_2yz_accepts_a_recipient(capabilities: Capabilities, accepted: bytes) -> None:
    transaction, lines = run([b"250 Ok", accepted, accepted, b"354 Go", b"250 Taken"], capabilities)
    assert transaction.error is None
    assert transaction.accepted == ["b@x.test", "c@x.test"]
    assert transaction.reply
    assert lines[-1] == b"content"


@BOTH
def test_some_recipients_are_refused_and_the_others_get_the_mail(capabilities: Capabilities) -> None:
    transaction, _ = run([b"250 Ok", b"452 4.2.2 Full", b"250 Ok", b"354 Go", b"250 Taken"], capabilities)
    assert transaction.error is None
    assert transaction.accepted == ["c@x.test"]
    assert [(refusal.address, refusal.reply.enhanced_code) for refusal in transaction.refused] == [
        ("b@x.test", "4.2.2")
    ]


def test_with_pipelining_the_envelope_is_one_group() -> None:
    transaction = Transaction(Envelope("a@x.test", ("b@x.test",)), PIPELINED, size=5)
    group = transaction.next_group()
    assert [command.line for command in group] == [
        b"MAIL FROM:<a@x.test> SIZE=5",
        b"RCPT TO:<b@x.test>",
        b"DATA",
    ]
    assert [command.phase for command in group] == [Phase.MAIL, Phase.RCPT, Phase.DATA]
    assert transaction.next_group() == ()


def test_without_it_each_command_waits() -> None:
    transaction = Transaction(Envelope("", ("b@x.test",)), ONE_BY_ONE, size=5, eight_bit=True, smtputf8=True)
    assert [command.line for command in transaction.next_group()] == [b"MAIL FROM:<> BODY=8BITMIME SMTPUTF8"]
    assert transaction.next_group() == ()


# -- in chunks ---------------------------------------------------------------------------------------

IN_CHUNKS = pytest.mark.parametrize(
    "capabilities", [CHUNKS, CHUNKS_ONE_BY_ONE], ids=["pipelined", "one by one"]
)


@IN_CHUNKS
def test_a_chunk_is_not_written_when_nobody_is_accepted(capabilities: Capabilities) -> None:
    transaction, lines = run([b"250 Ok", b"550 5.1.1 No", b"550 5.1.1 No"], capabilities)
    assert b"content" not in lines
    assert error_of(transaction) == "recipientsRefused"
    assert transaction.stage is Stage.OVER


@IN_CHUNKS
def test_a_chunk_needs_no_data_and_follows_when_somebody_is_accepted(capabilities: Capabilities) -> None:
    transaction, lines = run([b"250 Ok", b"550 5.1.1 No", b"250 Ok", b"250 Taken"], capabilities)
    assert lines == [b"MAIL FROM:<a@x.test>", b"RCPT TO:<b@x.test>", b"RCPT TO:<c@x.test>", b"content"]
    assert transaction.error is None
    assert transaction.accepted == ["c@x.test"]
    assert transaction.taken


@IN_CHUNKS
def test_a_refused_chunk_is_a_refused_message(capabilities: Capabilities) -> None:
    transaction, _ = run([b"250 Ok", b"250 Ok", b"250 Ok", b"554 5.6.0 No"], capabilities)
    assert error_of(transaction) == "messageRefused"
    assert not transaction.taken


# -- envelope and content together -------------------------------------------------------------------


@pytest.mark.parametrize("verdict", [b"503 5.5.1 No valid recipients", b"250 Taken"])
@pytest.mark.parametrize(
    ("replies", "error"),
    [
        ([b"250 Ok", b"550 5.1.1 No", b"550 5.1.1 No"], "recipientsRefused"),
        ([b"550 5.7.1 No", b"503 MAIL first", b"503 MAIL first"], "senderRefused"),
        ([b"550 5.7.1 No", b"250 Ok", b"250 Ok"], "senderRefused"),
    ],
)
def test_content_that_went_out_together_is_nobodys_when_nobody_was_accepted(
    replies: list[bytes], error: str, verdict: bytes
) -> None:
    transaction, _ = run([*replies, verdict], CHUNKS, together=True)
    assert error_of(transaction) == error
    assert transaction.stage is Stage.OVER
    assert transaction.accepted == []
    assert transaction.reply is None
    assert not transaction.ends_session


@pytest.mark.parametrize("count", [1, 2, 3])
def test_what_went_out_together_is_over_only_when_all_of_it_is_answered(count: int) -> None:
    transaction, _ = run([b"550 5.7.1 No"] * count, CHUNKS, together=True)
    assert transaction.stage is not Stage.OVER


def test_what_went_out_together_is_in_doubt_until_its_verdict_or_until_everybody_was_refused() -> None:
    def in_doubt(*replies: bytes) -> bool:
        return run(list(replies), CHUNKS, together=True)[0].in_doubt

    assert in_doubt()
    assert in_doubt(b"250 Ok")
    assert in_doubt(b"250 Ok", b"550 5.1.1 No")
    assert in_doubt(b"250 Ok", b"550 5.1.1 No", b"250 Ok")
    assert not in_doubt(b"250 Ok", b"550 5.1.1 No", b"250 Ok", b"250 Taken")
    assert not in_doubt(b"250 Ok", b"550 5.1.1 No", b"250 Ok", b"451 4.3.0 Later")
    assert not in_doubt(b"250 Ok", b"550 5.1.1 No", b"550 5.1.1 No")
    assert not in_doubt(b"550 5.7.1 No")


@BOTH
def test_what_waits_for_its_content_is_not_in_doubt_and_what_waits_for_its_verdict_is(
    capabilities: Capabilities,
) -> None:
    envelope = [b"250 Ok", b"250 Ok", b"250 Ok"]
    assert not run(envelope, capabilities)[0].in_doubt
    assert run([*envelope, b"354 Go"], capabilities)[0].in_doubt
    assert not run([*envelope, b"354 Go", b"250 Taken"], capabilities)[0].in_doubt


# -- a server that closes ----------------------------------------------------------------------------


@pytest.mark.parametrize("code", [b"421 4.3.2 Bye", b"521 5.3.2 No mail here"])
def test_a_server_that_closes_at_a_recipient_will_not_read_the_content_that_went_out_together(
    code: bytes,
) -> None:
    transaction, _ = run([b"250 Ok", b"250 Ok", code], CHUNKS, together=True)
    assert transaction.closing
    assert transaction.closing.code == int(code[:3])
    assert not transaction.in_doubt
    assert [refusal.reply.code for refusal in transaction.refused] == [int(code[:3])]


@pytest.mark.parametrize("code", [b"450 4.2.1 Later", b"550 5.1.1 No", b"554 5.7.1 No"])
def test_any_other_refusal_of_a_recipient_does_not_mean_that(code: bytes) -> None:
    transaction, _ = run([b"250 Ok", b"250 Ok", code], CHUNKS, together=True)
    assert transaction.closing is None
    assert transaction.in_doubt


def test_a_server_that_goes_on_did_not_close() -> None:
    """It says 354, and gets the content: from then on it may have the mail."""
    transaction, lines = run([b"250 Ok", b"250 Ok", b"421 4.7.0 Not now", b"354 Go"])
    assert lines[-1] == b"content"
    assert transaction.in_doubt


# -- what a server keeps open ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("replies", "capabilities", "open_"),
    [
        ([b"550 No", b"503 No", b"503 No", b"503 No"], PIPELINED, True),
        ([b"250 Ok", b"550 No", b"550 No", b"503 No"], PIPELINED, True),
        ([b"250 Ok", b"250 Ok", b"250 Ok", b"451 Later"], PIPELINED, True),
        ([b"250 Ok", b"550 No", b"550 No", b"354 Go", b"554 Nobody"], PIPELINED, False),
        ([b"250 Ok", b"250 Ok", b"250 Ok", b"354 Go", b"554 No"], PIPELINED, False),
        ([b"250 Ok", b"250 Ok", b"250 Ok", b"354 Go", b"250 Taken"], PIPELINED, False),
        ([b"250 Ok", b"550 No", b"550 No"], CHUNKS, True),
        ([b"250 Ok", b"250 Ok", b"250 Ok", b"554 No"], CHUNKS, True),
        ([b"250 Ok", b"250 Ok", b"250 Ok", b"250 Taken"], CHUNKS, False),
    ],
)
def test_a_transaction_stays_open_unless_its_content_was_taken_or_a_dot_was_written(
    replies: list[bytes], capabilities: Capabilities, open_: bool
) -> None:
    transaction, _ = run(replies, capabilities)
    assert transaction.stage is Stage.OVER
    assert transaction.leaves_open is open_


@pytest.mark.parametrize("capabilities", [PIPELINED, ONE_BY_ONE, CHUNKS, CHUNKS_ONE_BY_ONE])
def test_a_transaction_behind_one_that_is_open_begins_with_rset_whose_reply_is_its_own(
    capabilities: Capabilities,
) -> None:
    transaction, lines = run(
        [b"250 Forgotten", b"250 Ok", b"550 5.1.1 No", b"250 Ok"], capabilities, reset=True
    )
    assert [line.partition(b" ")[0] for line in lines[:2]] == [b"RSET", b"MAIL"]
    assert [refusal.address for refusal in transaction.refused] == ["b@x.test"]
    assert transaction.accepted == ["c@x.test"]


@pytest.mark.parametrize("capabilities", [PIPELINED, ONE_BY_ONE, CHUNKS, CHUNKS_ONE_BY_ONE])
def test_421_to_rset_is_about_the_session(capabilities: Capabilities) -> None:
    transaction, lines = run([b"421 4.3.2 Bye"], capabilities, reset=True)
    assert error_of(transaction) == "serverRefused"
    assert transaction.ends_session
    assert b"content" not in lines
    assert not transaction.in_doubt
