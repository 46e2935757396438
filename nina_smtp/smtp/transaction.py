"""One mail transaction (RFC 5321 3.3), without I/O: which commands may go out, and what the replies mean.

1. With PIPELINING, MAIL, every RCPT and DATA are one group (RFC 2920); without, one command after another,
   and none that is pointless: no RCPT after a refused MAIL, no DATA when nobody is accepted.
2. A recipient is accepted by any 2yz. Every reply is kept, recipient by recipient.
3. DATA is agreed to by 354 only. If it comes although nobody was accepted, which pipelining makes possible,
   the content is a lone dot, and the mail is not sent whatever the server says then (RFC 2920 3.1).
4. The mail is the server's when the reply to the final dot is 2yz, and is not when that is 4yz or 5yz. Until
   one of these has been read, nobody can tell.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum, auto

from nina_smtp.envelope import Envelope
from nina_smtp.errors import (
    DeliveryUncertain,
    MessageRefused,
    MessageTooLarge,
    NinaError,
    ProtocolViolation,
    RecipientsRefused,
    SenderRefused,
)
from nina_smtp.smtp.capabilities import Capabilities
from nina_smtp.smtp.failures import refusal, uncertain
from nina_smtp.smtp.phase import Phase
from nina_smtp.smtp.protocol import Answer, Command
from nina_smtp.smtp.replies import Reply


class Stage(Enum):
    """What a transaction waits for."""

    ENVELOPE = auto()
    CONTENT = auto()
    EMPTY_CONTENT = auto()
    VERDICT = auto()
    OVER = auto()


@dataclass(frozen=True, slots=True)
class Refusal:
    """A recipient that was refused, and how."""

    address: str
    reply: Reply


class Transaction:
    """The envelope of one message, on its way."""

    def __init__(
        self,
        envelope: Envelope,
        capabilities: Capabilities,
        *,
        size: int,
        eight_bit: bool = False,
        smtputf8: bool = False,
    ) -> None:
        self.envelope = envelope
        self.stage = Stage.ENVELOPE
        self.accepted: list[str] = []
        self.refused: list[Refusal] = []
        self.error: NinaError | None = None
        self.reply: Reply | None = None
        self._pipelined = "PIPELINING" in capabilities
        self._mail = _mail(envelope.sender, capabilities, size, eight_bit, smtputf8)
        self._replies = 0
        self._written = 0
        self._mail_refused = False

    @property
    def ends_session(self) -> bool:
        """Whether the server said what ends the session: that it closes, or what makes no sense."""
        error = self.error
        return isinstance(error, (ProtocolViolation, DeliveryUncertain)) or (
            error is not None and error.code == 421
        )

    @property
    def _commands(self) -> int:
        return len(self.envelope.recipients) + 2

    def next_group(self) -> Sequence[Command]:
        """The commands that may be written now; none while replies are outstanding, or after the last."""
        if self.stage is not Stage.ENVELOPE or self._replies < self._written:
            return ()
        end = self._commands if self._pipelined else self._written + 1
        group = [self._command(index) for index in range(self._written, end)]
        self._written = end
        return group

    def receive(self, answer: Answer) -> None:
        """Takes the reply to the oldest command that has none; ``error`` says that nothing will be sent."""
        reply = answer.reply
        index = self._replies
        self._replies += 1
        if answer.phase is Phase.DOT:
            self._verdict(reply)
        elif index == 0:
            self._mail_reply(reply)
        elif index < self._commands - 1:
            self._rcpt_reply(index - 1, reply)
        else:
            self._data_reply(reply)

    def content_written(self) -> None:
        """The final dot is on its way."""
        self.stage = Stage.VERDICT

    def _command(self, index: int) -> Command:
        if index == 0:
            return self._mail
        if index == self._commands - 1:
            return Command(b"DATA", Phase.DATA, ends_group=True)
        return Command(b"RCPT TO:<" + self.envelope.recipients[index - 1].encode() + b">", Phase.RCPT)

    def _mail_reply(self, reply: Reply) -> None:
        if not reply.is_positive:
            self._mail_refused = True
            if (
                reply.code == 552
            ):  # the answer to SIZE=, which has nothing to do with the sender (RFC 1870 6.1)
                self._fail(refusal(MessageTooLarge, "The server refused the size", Phase.MAIL, reply))
            else:
                self._fail(refusal(SenderRefused, "The server refused the sender", Phase.MAIL, reply))
            self._end_early()

    def _rcpt_reply(self, index: int, reply: Reply) -> None:
        address = self.envelope.recipients[index]
        if self._mail_refused:
            return  # the reply only says that there is no sender
        if reply.is_positive:
            self.accepted.append(address)
        else:
            self.refused.append(Refusal(address, reply))
        if index == len(self.envelope.recipients) - 1 and not self.accepted:
            self._fail(self._nobody())
            self._end_early()

    def _nobody(self) -> NinaError:
        first = self.refused[0].reply
        worst = next(
            (r.reply for r in self.refused if r.reply.is_transient), first
        )  # one that may work decides
        count = "the recipient" if len(self.refused) == 1 else f"all {len(self.refused)} recipients"
        return refusal(RecipientsRefused, f"The server refused {count}", Phase.RCPT, worst)

    def _data_reply(self, reply: Reply) -> None:
        if reply.code == 354:
            self.stage = Stage.EMPTY_CONTENT if self.error else Stage.CONTENT
            return
        self.stage = Stage.OVER
        if self.error:
            return
        if 400 <= reply.code < 600:
            self._fail(refusal(MessageRefused, "The server refused to take the message", Phase.DATA, reply))
        else:
            self._fail(
                ProtocolViolation(
                    "The server answered DATA with neither 354 nor a refusal.", phase="data", reply=reply
                )
            )

    def _verdict(self, reply: Reply) -> None:
        self.stage = Stage.OVER
        if self.error:
            return
        self.reply = reply
        if 400 <= reply.code < 600:
            self._fail(refusal(MessageRefused, "The server refused the message", Phase.DOT, reply))
        elif not reply.is_positive:
            self._fail(uncertain(f"the server said {reply}", reply))

    def _end_early(self) -> None:
        """Without pipelining, nothing else has been written: the transaction ends here, before DATA."""
        if self._written < self._commands:
            self.stage = Stage.OVER

    def _fail(self, error: NinaError) -> None:
        self.error = self.error or error


def _mail(sender: str, capabilities: Capabilities, size: int, eight_bit: bool, smtputf8: bool) -> Command:
    line = b"MAIL FROM:<" + sender.encode() + b">"
    if "SIZE" in capabilities:
        line += b" SIZE=%d" % size
    if eight_bit:
        line += b" BODY=8BITMIME"
    if smtputf8:
        line += b" SMTPUTF8"
    return Command(line, Phase.MAIL)
