"""One mail transaction (RFC 5321 3.3), without I/O: which commands may go out, and what the replies mean.

1. With PIPELINING, MAIL, every RCPT and DATA are one group (RFC 2920); without, one command after another,
   and none that is pointless: no RCPT after a refused MAIL, no DATA when nobody is accepted.
2. A recipient is accepted by any 2yz. Every reply is kept, recipient by recipient.
3. DATA is agreed to by 354 only. If it comes although nobody was accepted, which pipelining makes possible,
   the content is a lone dot, and the mail is not sent whatever the server says then (RFC 2920 3.1).
4. With CHUNKING (RFC 3030) nothing has to be agreed to: the content follows when somebody is accepted, as one
   chunk that is the last. ``together``, with PIPELINING, it goes out with the envelope, and is nobody's if
   the replies say that nobody was accepted.
5. The mail is the server's when the reply to its last octet is 2yz, and is not when that is 4yz or 5yz. Until
   one of these has been read, nobody can tell, unless everybody was refused before, or the server said that
   it closes the session.
6. A server keeps a transaction open that ended before its content, and some do behind a refused chunk: the
   next one then begins with RSET (``reset``).
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum, auto
from functools import lru_cache
from typing import TYPE_CHECKING

from nina_smtp.envelope import Envelope
from nina_smtp.errors import (
    DeliveryUncertain,
    MessageRefused,
    MessageTooLarge,
    NinaError,
    ProtocolViolation,
    RecipientsRefused,
    SenderRefused,
    ServerRefused,
)
from nina_smtp.smtp.capabilities import Capabilities
from nina_smtp.smtp.failures import refusal, uncertain
from nina_smtp.smtp.mail import Refusal
from nina_smtp.smtp.phase import Phase
from nina_smtp.smtp.protocol import Answer, Command
from nina_smtp.smtp.replies import Reply

if TYPE_CHECKING:
    from nina_smtp.observe.transcript import Script


class Stage(Enum):
    """What a transaction waits for."""

    ENVELOPE = auto()
    CONTENT = auto()
    EMPTY_CONTENT = auto()
    VERDICT = auto()
    OVER = auto()


_CLOSING = frozenset({421, 521})  # RFC 5321 3.8, RFC 7504 3
_RSET = Command(b"RSET", Phase.RSET)
_DATA = Command(b"DATA", Phase.DATA, ends_group=True)


class Transaction:
    """The envelope of one message, on its way."""

    script: Script | None = None
    """Takes down what is said, if anybody wants to know."""

    def __init__(
        self,
        envelope: Envelope,
        capabilities: Capabilities,
        *,
        size: int,
        eight_bit: bool = False,
        smtputf8: bool = False,
        reset: bool = False,
        together: bool = False,
    ) -> None:
        self.envelope = envelope
        self.stage = Stage.ENVELOPE
        self.accepted: list[str] = []
        self.refused: list[Refusal] = []
        self.error: NinaError | None = None
        self.reply: Reply | None = None
        self.chunked = "CHUNKING" in capabilities.keywords
        self.together = together
        self.content_out = False
        """Whether the last octet of the content was written."""
        self.taken = False
        """Whether the server said that it has the content."""
        self.closing: Reply | None = None
        """What the server said at a recipient that ends the session: it will not read the content."""
        self._pipelined = "PIPELINING" in capabilities.keywords
        self._commands = [_RSET] if reset else []
        self._commands.append(_mail(envelope.sender, capabilities, size, eight_bit, smtputf8))
        self._commands += [_rcpt(recipient) for recipient in envelope.recipients]
        if not self.chunked:
            self._commands.append(_DATA)
        self._size = size
        self._written = self._replies = self._named = 0
        self._mail_refused = False
        self._rset_refused: NinaError | None = None

    @property
    def ends_session(self) -> bool:
        """Whether the server said what ends the session: that it closes, or what makes no sense."""
        return isinstance(self.error, (ProtocolViolation, DeliveryUncertain, ServerRefused))

    @property
    def turned_away(self) -> bool:
        """Whether the server closes the session rather than begin the transaction."""
        error = self.error
        return isinstance(error, ServerRefused) and error.phase in ("mail", "rset") and error.code == 421

    @property
    def leaves_open(self) -> bool:
        """Whether the server may still have the transaction open, once it is over."""
        return not self.taken and (self.chunked or not self.content_out)

    @property
    def in_doubt(self) -> bool:
        """Whether the mail may be delivered or not, as far as it has been told."""
        return not (self.closing or self.error) and self.content_out and self.stage is not Stage.OVER

    def next_group(self) -> Sequence[Command]:
        """The commands that may be written now; none while replies are outstanding, or after the last."""
        if self.stage is not Stage.ENVELOPE or self._replies < self._written:
            return ()
        end = len(self._commands) if self._pipelined else self._written + 1
        group = self._commands[self._written : end]
        self._written = end
        if self.script:
            self.script.said(group)
        return group

    def content_written(self) -> None:
        """The last octet of the content is on its way."""
        self.content_out = True
        if self.script:
            self.script.content(0 if self.stage is Stage.EMPTY_CONTENT else self._size, chunked=self.chunked)
        if not self.together:
            self.stage = Stage.VERDICT

    def receive(self, answer: Answer) -> None:
        """Takes the reply to the oldest command that has none; ``error`` says that nothing will be sent."""
        self._replies += 1
        if self.script:
            self.script.heard(answer)
        phase, reply = answer
        if phase is Phase.RCPT:
            self._rcpt_reply(reply)
        elif phase is Phase.DOT:
            self._verdict(reply)
        elif phase is Phase.MAIL:
            self._mail_reply(reply)
        elif phase is Phase.DATA:
            self._data_reply(reply)
        else:
            self._rset_reply(reply)

    def _rset_reply(self, reply: Reply) -> None:
        """A refusal matters only if MAIL is refused for it."""
        if not reply.is_positive:
            self._rset_refused = refusal(ServerRefused, "The server refused RSET", Phase.RSET, reply)
        if reply.code == 421:
            self._fail(refusal(ServerRefused, "The server refused RSET", Phase.RSET, reply))
            self._end_early()

    def _mail_reply(self, reply: Reply) -> None:
        if not reply.is_positive:
            self._mail_refused = True
            if self._rset_refused:
                self._fail(self._rset_refused)
            elif reply.code == 552:  # about SIZE=, which has nothing to do with the sender (RFC 1870 6.1)
                self._fail(refusal(MessageTooLarge, "The server refused the size", Phase.MAIL, reply))
            else:
                self._fail(refusal(SenderRefused, "The server refused the sender", Phase.MAIL, reply))
            self._end_early()

    def _rcpt_reply(self, reply: Reply) -> None:
        address = self.envelope.recipients[self._named]
        self._named += 1
        if self._mail_refused:
            pass  # the reply only says that there is no sender
        elif reply.is_positive:
            self.accepted.append(address)
            self.closing = None  # it goes on, after all
        else:
            self.refused.append(Refusal(address, reply))
            if reply.code in _CLOSING:
                self.closing = reply
        if self._named == len(self.envelope.recipients):
            self._everybody_named()

    def _everybody_named(self) -> None:
        if not self.accepted and not self._mail_refused:
            self._fail(self._nobody())
        if self.error:
            self._end_early()
        elif self.chunked and not self.together:
            self.stage = Stage.CONTENT

    def _nobody(self) -> NinaError:
        first = self.refused[0].reply
        worst = next((r.reply for r in self.refused if r.reply.is_transient), first)  # may work: decides
        count = "the recipient" if len(self.refused) == 1 else f"all {len(self.refused)} recipients"
        return refusal(RecipientsRefused, f"The server refused {count}", Phase.RCPT, worst)

    def _data_reply(self, reply: Reply) -> None:
        if reply.code == 354:
            self.closing = None
            self.stage = Stage.EMPTY_CONTENT if self.error else Stage.CONTENT
            return
        self.stage = Stage.OVER
        if 400 <= reply.code < 600:
            self._fail(refusal(MessageRefused, "The server refused to take the message", Phase.DATA, reply))
        else:
            what = "The server answered DATA with neither 354 nor a refusal."
            self._fail(ProtocolViolation(what, phase=Phase.DATA.value, reply=reply))

    def _verdict(self, reply: Reply) -> None:
        self.stage = Stage.OVER
        self.taken = reply.is_positive
        if self.error:
            return
        self.reply = reply
        if 400 <= reply.code < 600:
            self._fail(refusal(MessageRefused, "The server refused the message", Phase.DOT, reply))
        elif not reply.is_positive:
            self._fail(uncertain(f"the server said {reply}", reply))

    def _end_early(self) -> None:
        """Over, unless more was written that will be answered: the rest of a group, or the content."""
        if not self.content_out and self._replies == self._written:
            self.stage = Stage.OVER

    def _fail(self, error: NinaError) -> None:
        self.error = self.error or error


@lru_cache(maxsize=4096)
def _rcpt(recipient: str) -> Command:
    return Command(b"RCPT TO:<" + recipient.encode() + b">", Phase.RCPT)


def _mail(sender: str, capabilities: Capabilities, size: int, eight_bit: bool, smtputf8: bool) -> Command:
    line = b"MAIL FROM:<" + sender.encode() + b">"
    if "SIZE" in capabilities.keywords:
        line += b" SIZE=%d" % size
    if eight_bit:
        line += b" BODY=8BITMIME"
    if smtputf8:
        line += b" SMTPUTF8"
    return Command(line, Phase.MAIL)
