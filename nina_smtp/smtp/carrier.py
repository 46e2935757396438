"""Carries mail after mail over one session, with as few round trips as the protocol allows.

The rules (:mod:`nina_smtp.smtp.transaction` has those of a single mail):

1. Mails are in flight in the order they were begun (:mod:`nina_smtp.smtp.flight` says what becomes of them).
2. Without PIPELINING one mail is in flight, and one command.
3. With it, the next mail's envelope goes out in the same write as the end of the content before it, so a mail
   takes one round trip. Its own content waits for that verdict: one mail at most is ever in doubt.
4. With CHUNKING too, a small mail that is the first of the session goes out at once, envelope and content,
   and with a ``window`` above one so many do. Each of them is in doubt until it is answered. An ordered
   source has no window.
5. Any other mail goes out envelope first, and so does the first one after a pause: its replies show that the
   server is still there, before anything could be in doubt.
6. Behind a chunk whose answer is outstanding a transaction begins with RSET: servers differ in whether a
   refused chunk ends it.
7. A mail that is withdrawn is not sent unless its last octet is out. A server that waits for its content
   would take an empty mail for it, so then the session ends.
8. A mail that has to be cleared first, since what follows is to be on record before it can happen, goes out
   envelope first, and its last octet waits. Large contents go out up to there.

The driver::

    answers come in → mails are settled → what may go out now goes out, in one write → wait

It runs where answers are read; its task is woken for contents that are too large for one write, for
deadlines, and for the end.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable
from typing import TYPE_CHECKING

from nina_smtp.errors import LedgerFailed, NinaError, ServerRefused, internal
from nina_smtp.observe.transcript import script_of
from nina_smtp.smtp.boarding import Boarding
from nina_smtp.smtp.burst import Burst
from nina_smtp.smtp.failures import lost, silent
from nina_smtp.smtp.flight import SMALL, Flight, InFlight, PutBack
from nina_smtp.smtp.mail import Delivery, Mail, Shipment, withdrawn
from nina_smtp.smtp.outlet import WRITE, Outlet, check_size, octets_of, whole_content
from nina_smtp.smtp.phase import Phase
from nina_smtp.smtp.protocol import Answer
from nina_smtp.smtp.transaction import Stage, Transaction
from nina_smtp.smtp.wire import DotStuffer

if TYPE_CHECKING:
    from nina_smtp.smtp.governor import Governor
    from nina_smtp.smtp.session import Session

_MINIMUM_RATE = 500  # octets a second: what a server has to take of the content, as Postfix has it
_PAUSE = 1.0  # seconds after which the session is not taken for granted

Take = Callable[[], Shipment | None]


class Carrier:
    """The driver of one session. ``put_back`` takes mails that go to another one; ``burst``, if it returns
    one, takes the writes; ``governor`` admits each mail, and is told what became of it.
    """

    def __init__(
        self,
        session: Session,
        *,
        window: int = 1,
        put_back: PutBack | None = None,
        burst: Callable[[], Burst | None] = lambda: None,
        governor: Governor | None = None,
    ) -> None:
        self._session = session
        self._connection = session.connection
        self._protocol = session.connection.protocol
        self._capabilities = session.capabilities
        self._pipelining = "PIPELINING" in session.capabilities
        self._timeouts = timeouts = session.server.timeouts
        self._seconds: defaultdict[Phase, float] = defaultdict(lambda: timeouts.command)
        self._seconds |= {Phase.DATA: timeouts.data, Phase.DOT: timeouts.final}
        self._window = window
        self._burst = burst
        self._boarding = Boarding(session, window=window, governor=governor)
        self._flight = Flight(session.facts, put_back, governor)
        self._out = Outlet(session.connection)
        self._time = asyncio.get_running_loop().time
        self._since = self._time()  # since when the oldest answer is waited for; or when the last one came
        self._fault: Exception | None = None
        self._take: Take = lambda: None

    @property
    def has_room(self) -> bool:
        """Whether another mail could be begun now."""
        if self._flight.is_doomed:
            return False
        if not self._flight:
            return self._session.usable
        last = self._flight.last.transaction
        return (
            last.content_out
            and self._pipelining
            and len(self._flight) < max(2, self._window)
            and self._out.size < WRITE
            and not self._connection.is_broken
        )

    @property
    def is_busy(self) -> bool:
        """Whether any mail is in flight."""
        return bool(self._flight)

    def carries(self, shipment: Shipment) -> bool:
        """Whether ``shipment`` is in flight here."""
        return self._flight.carries(shipment)

    async def run(self, take: Take) -> None:
        """Carries what ``take`` hands out, until it has nothing and the fate of all is known.

        Nothing is raised for what the server does: every mail is settled, or put back. The session may have
        ended then.
        """
        self._take = take
        self._connection.listen(self._hear)
        try:
            while True:
                self._proceed()
                if not self._flight:
                    if self._flight.again or self._flight.is_doomed:
                        raise lost("the server closed it", Phase.MAIL)
                    break
                if self._has_large_content:
                    await self._stream(self._flight.head)
                else:
                    await self._wait()
        except NinaError as error:
            self._break(error)
        except Exception as error:
            self._break(internal(error))
        except BaseException:  # cancelled
            self._break(withdrawn(), final=True)
            raise
        finally:
            self._connection.listen(None)

    @property
    def _has_large_content(self) -> bool:
        """Whether there is something that only the task can write, piece by piece."""
        head = self._flight.head
        return head.transaction.stage is Stage.CONTENT and head.mail.size > SMALL

    def _proceed(self) -> None:
        """Writes all that may be written without waiting: envelopes, and contents that are small."""
        if self._flight and self._connection.is_broken:
            agreed = self._flight.head.transaction.stage is Stage.CONTENT
            self._connection.check(Phase.BODY if agreed else self._phase)
        while True:
            self._begin_more()
            if not self._flight:
                break
            item = self._flight.head
            transaction = item.transaction
            if item.shipment.withdrawn and not transaction.content_out:
                raise withdrawn()
            if transaction.stage is Stage.CONTENT:
                if item.mail.size > SMALL:
                    return
                if not self._is_cleared(item):
                    break
                self._connection.check(Phase.BODY)
                item.shipment.begun = True
                self._last_octets(item, octets_of(item.mail, chunked=transaction.chunked))
            elif transaction.stage is Stage.EMPTY_CONTENT:
                self._last_octets(item, b".\r\n")
            elif group := transaction.next_group():
                self._out.put(self._protocol.send(*group))
            else:
                break
        if self._out.size:
            burst = self._burst()
            if burst:
                burst.add(self._flush_in_burst)
            else:
                self._out.flush()

    def _flush_in_burst(self) -> None:
        try:
            self._out.flush()
        except NinaError as error:
            self._fault = error
            self._connection.wake()

    def _hear(self, answers: list[Answer]) -> None:
        """Takes answers as they come; the task is woken only for what has to wait, or is over."""
        try:
            self._since = self._time()
            for answer in answers:
                if transaction := self._flight.receive(answer):
                    self._over(transaction)
        except Exception as error:
            self._fault = error
        self._resume()

    def _resume(self) -> None:
        """Goes on with what has become possible."""
        try:
            if not self._fault:
                self._proceed()
                if self._flight and not self._has_large_content:
                    self._expect()
                    return
        except Exception as error:
            self._fault = error
        self._connection.wake()

    async def _wait(self) -> None:
        """Until ``_hear`` has something for the task, or another mail is there."""
        self._expect()
        try:
            await self._connection.wait()
        except TimeoutError:
            phase = self._phase
            if self._flight.head.awaits_clearance:
                raise _not_cleared() from None
            raise silent(phase, self._seconds[phase], encrypted=bool(self._connection.tls)) from None
        if self._fault:
            raise self._fault
        if self._flight:
            self._connection.check(self._phase)

    def _expect(self) -> None:
        head = self._flight.head
        if head.awaits_clearance:
            seconds = self._timeouts.data
        else:
            seconds = self._timeouts.quit if self._flight.is_doomed else self._seconds[self._phase]
        self._connection.expect(min(head.until, self._since + seconds))

    # Clearance (rule 8).

    def _is_cleared(self, item: InFlight) -> bool:
        """Whether its last octet may go out; if not, work goes on when it may."""
        if not item.shipment.cleared and not item.awaits_clearance:
            item.awaits_clearance = True
            self._since = self._time()
            item.shipment.clear(self._resume)
        if item.shipment.cleared:
            item.awaits_clearance = False
        return item.shipment.cleared

    async def _clearance(self, item: InFlight) -> None:
        while not self._is_cleared(item):
            if item.shipment.withdrawn:
                raise withdrawn()
            await self._wait()

    @property
    def _phase(self) -> Phase:
        return self._protocol.phase or Phase.DOT

    # Beginning a mail.

    def _begin_more(self) -> None:
        while self.has_room:
            if self._flight.again:
                self._begin(self._flight.again.popleft())
            elif shipment := self._take():
                shipment.attempts += 1
                self._begin(shipment)
            else:
                break

    def _begin(self, shipment: Shipment) -> None:
        script = script_of(shipment, self._connection.opening) if shipment.transcript_wanted else None
        together, content = False, b""
        try:
            mail = self._boarding.prepared(shipment)
            if isinstance(mail, Mail) and self._goes_together(shipment, mail):
                together, content = True, whole_content(mail)
        except NinaError as error:
            mail = Delivery(error=error)
        except Exception as error:
            mail = Delivery(error=internal(error))
        if isinstance(mail, Delivery):
            self._flight.tell(shipment, mail)
            return
        last = self._flight.last.transaction if self._flight else None
        transaction = self._boarding.transaction(mail, together, last)
        transaction.script = script
        item = InFlight(shipment, mail, transaction)
        if not self._flight:
            self._since = self._time()
            item.until = self._since + self._timeouts.total
        self._session.transaction_open = True
        self._session.is_fresh = False
        self._flight.add(item)
        self._out.put(self._protocol.send(*transaction.next_group()))
        if together:
            shipment.begun = True
            self._out.put(b"BDAT %d LAST\r\n" % mail.size)
            self._last_octets(item, content)

    def _goes_together(self, shipment: Shipment, mail: Mail) -> bool:
        """Rules 4 and 5."""
        if self._time() - self._since >= _PAUSE:
            return False
        return self._boarding.goes_together(shipment, mail, len(self._flight))

    # Writing.

    async def _stream(self, item: InFlight) -> None:
        """Writes a large content; its last octets wait for what may follow them in the same write."""
        self._connection.check(Phase.BODY)
        stuffer = None if item.transaction.chunked else DotStuffer()
        deadline = min(item.until, self._time() + self._timeouts.data + item.mail.size / _MINIMUM_RATE)
        if stuffer is None:
            self._out.put(b"BDAT %d LAST\r\n" % item.mail.size)
        item.shipment.begun = True
        written, held_back = 0, b""
        for chunk in item.mail.chunks():
            if self._out.size >= WRITE:
                self._out.flush()
                await self._connection.taken(deadline, lambda: item.shipment.withdrawn)
                if item.shipment.withdrawn:
                    raise withdrawn()
                item.shipment.progress(written, item.mail.size)
            written += len(chunk)
            if written > item.mail.size:
                break
            self._out.put(stuffer.feed(chunk) if stuffer else held_back)
            held_back = chunk
        check_size(item.mail, written)
        await self._clearance(item)
        self._last_octets(item, stuffer.end() if stuffer else held_back)

    def _last_octets(self, item: InFlight, octets: bytes) -> None:
        """From here on the mail may be delivered."""
        if item is self._flight.head:
            self._since = self._time()
        self._protocol.content_written(chunked=item.transaction.chunked)
        item.transaction.content_written()
        item.shipment.content_out = item.transaction.error is None
        self._out.put(octets)
        self._out.ends.append(item)
        item.shipment.progress(item.mail.size, item.mail.size)

    # What became of it.

    def _over(self, transaction: Transaction) -> None:
        self._session.transaction_open = bool(self._flight) or transaction.leaves_open
        if self._flight:
            self._flight.head.until = self._since + self._timeouts.total
        error = transaction.error
        if error is None or not transaction.ends_session:
            return
        if error.code == 421 and self._flight.may_be_answered():
            return  # what is out already
        raise error if isinstance(error, ServerRefused) else lost("the server made no sense", self._phase)

    def _break(self, error: NinaError, *, final: bool = False) -> None:
        self._connection.abort()
        self._flight.end(error, self._out.ends, final=final)
        self._out.clear()


def _not_cleared() -> LedgerFailed:
    return LedgerFailed(
        "It could not be put on record in time that the mail goes out, so it was not sent.",
        hint="See whether the ledger can be written to.",
        phase=Phase.BODY.value,
    )
