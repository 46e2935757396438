"""Many mails over few connections, for who has finished messages."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Hashable, Iterable, Mapping
from contextlib import AsyncExitStack, suppress
from time import monotonic
from types import TracebackType
from typing import Any, Self

from nina_smtp import observe
from nina_smtp.delivery.account import Account
from nina_smtp.delivery.mailnode import Built
from nina_smtp.delivery.outgoing import Outgoing
from nina_smtp.delivery.result import Result, result_of
from nina_smtp.delivery.shared import shared_pool
from nina_smtp.errors import ParameterError
from nina_smtp.message import Email, Message, compose
from nina_smtp.smtp.mail import Delivery, Shipment, withdrawn
from nina_smtp.smtp.pool import ConnectionPool
from nina_smtp.smtp.turns import Source

MAX_WAITING = 1000
"""Mails of one caller that wait in line. ``send`` of one more waits to get in line."""

Progress = Callable[[int, int], object]
OnResult = Callable[[Result], object]


class Pool:
    """Sends messages over the few connections of one credential.

    ::

        async with nina_smtp.Pool(credential) as pool:
            result = await pool.send(message)

    ``credential`` is as for :func:`nina_smtp.send`. The connections are those that everything in the process
    shares for this credential, ``limits.connections`` of them at most. On leaving, whatever was given to it
    is finished, and the connections are closed unless somebody else uses them. Left by an exception, it sends
    nothing more, and waits ``timeouts.quit`` at most for the verdicts that are out. Raises InvalidCredential.
    """

    def __init__(self, credential: Mapping[str, Any] | Account) -> None:
        if not isinstance(credential, Account):
            from nina_smtp.api import read_credential

            credential = read_credential(credential)
        assert isinstance(credential, Account)
        self.account = credential
        self._exit = AsyncExitStack()
        self._pool: ConnectionPool | None = None
        self._lines: dict[Hashable, _Line] = {}

    async def __aenter__(self) -> Self:
        self._pool = await self._exit.enter_async_context(shared_pool(self.account, keep_warm=False))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        lines = tuple(self._lines.values())
        self._pool = None
        if error is None:
            async with self._exit:  # interrupted, it leaves the connections open
                await _all_finished(lines)
            return
        for line in lines:
            line.withdraw_all()
        with suppress(TimeoutError):  # whoever fails does not want to wait for a slow verdict
            async with asyncio.timeout(self.account.server.timeouts.quit):
                await _all_finished(lines)
        await self._exit.__aexit__(kind, error, trace)  # so the connections stay open

    async def send(
        self,
        message: Email | Message | Built,
        *,
        caller: Hashable = None,
        on_progress: Progress | None = None,
        on_result: OnResult | None = None,
        transcript: bool = False,
    ) -> Result:
        """Sends one message and returns what the server said: ``sent``, or ``partial``.

        An Email is built when its turn comes. ``caller`` is on whose behalf it is: callers take turns, and
        each may have some thousand mails waiting before ``send`` itself waits. ``on_progress`` gets the
        octets written and those there are; with ``transcript`` the Result has what was said. Raises
        ParameterError, CredentialError or ServerError if nobody got it, and DeliveryUncertain if that cannot
        be told.

        Cancelled before the last octet of the message went out, it leaves nothing behind. Cancelled later,
        ``on_result``, which is called in any case, still tells what became of it.
        """
        if self._pool is None:
            raise RuntimeError("use the pool within async with")
        if self._pool.loop is not asyncio.get_running_loop():
            raise RuntimeError("a pool belongs to the event loop it was entered in: enter another one here")
        if not isinstance(message, (Email, Message, Built)):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise ParameterError(
                f"A {type(message).__name__} is not a message.",
                hint="Give an Email, what compose makes of one, or what nina_smtp.build returned.",
                parameter="message",
            )
        line = self._lines.get(caller)
        if line is None:
            line = self._lines[caller] = _Line(self._pool, lambda: self._lines.pop(caller, None))
        order = _Order(line, message, self.account, on_progress, on_result)
        order.transcript_wanted = transcript
        try:
            while line.is_full:
                await line.place()
            line.add(order)
            return await order.outcome
        except asyncio.CancelledError:
            order.outcome.cancel()
            line.withdraw(order)
            raise


async def _all_finished(lines: Iterable[_Line]) -> None:
    for line in lines:
        await line.finished()


class _Order(Outgoing):
    """One message given to a pool, and who waits for it."""

    def __init__(
        self,
        line: _Line,
        message: Email | Message | Built,
        account: Account,
        on_progress: Progress | None,
        on_result: OnResult | None,
    ) -> None:
        self._line = line
        self._given = message
        self._account = account
        self._on_progress = on_progress
        self._on_result = on_result
        self._fault: Exception | None = None
        self._began = monotonic()
        self.outcome: asyncio.Future[Result] = asyncio.get_running_loop().create_future()

    def build(self) -> Message:
        given = self._given
        if isinstance(given, Email):
            given = compose(given)
        elif isinstance(given, Built):
            given = given.message
        return self._account.policy.enforced(given)

    def progress(self, written: int, size: int) -> None:
        if self._on_progress and not self._fault:
            try:
                self._on_progress(written, size)
            except Exception as fault:  # told to who sends this, not to the session others are on
                self._fault = fault
                self.withdrawn = True

    def ended(self, message: Message | None, delivery: Delivery) -> None:
        seconds = monotonic() - self._began
        result = result_of(delivery, message, warnings=self._account.warnings, seconds=seconds)
        observe.mail_ended(result, account=self._account)
        self._line.forget(self)
        try:
            if self._on_result:
                self._on_result(result)
        except Exception as fault:
            self._fault = self._fault or fault
        if self.outcome.done():
            return  # whoever waited was cancelled
        if error := self._fault or delivery.error:
            self.outcome.set_exception(error)
        else:
            self.outcome.set_result(result)


class _Line:
    """One caller's mails, waiting for their turn."""

    def __init__(self, pool: ConnectionPool, over: Callable[[], object]) -> None:
        self._pool = pool
        self._over = over
        self._closed = False
        self._waiting: deque[_Order] = deque()
        self._unfinished: set[_Order] = set()
        self._source = Source(self._next, backlog=self._waiting.__len__)
        self._outside: deque[asyncio.Future[None]] = deque()
        self._finished: asyncio.Future[None] | None = None

    @property
    def is_full(self) -> bool:
        """Whether nobody else may get in line."""
        return len(self._waiting) >= MAX_WAITING and not self._closed

    async def place(self) -> None:
        """Returns when there may be a place."""
        gate = asyncio.get_running_loop().create_future()
        self._outside.append(gate)
        try:
            await gate
        except asyncio.CancelledError:
            self._let_in()  # the place may have been this one's
            raise

    def add(self, order: _Order) -> None:
        """``order`` is the last in line; or withdrawn, if nothing is sent any more."""
        if self._closed:
            self.withdraw(order)
            return
        self._unfinished.add(order)
        self._waiting.append(order)
        self._pool.add(self._source)

    def forget(self, order: _Order) -> None:
        """The fate of ``order`` is known."""
        self._unfinished.discard(order)
        if not self._unfinished and not self._outside:
            self._over()
            if self._finished and not self._finished.done():
                self._finished.set_result(None)

    def withdraw(self, order: _Order) -> None:
        """``order`` is not sent, unless it is on its way."""
        order.withdrawn = True
        if order in self._waiting:
            self._waiting.remove(order)
            self._let_in()
        elif order in self._unfinished:
            self._pool.wake(order)
            return
        order.settled(Delivery(error=withdrawn(), attempts=0))

    def withdraw_all(self) -> None:
        """Nothing more is sent of what is not on its way."""
        self._closed = True
        while self._outside:
            self._let_in()
        for order in tuple(self._unfinished):
            self.withdraw(order)

    async def finished(self) -> None:
        """Returns when the fate of every mail is known."""
        if self._unfinished:
            self._finished = asyncio.get_running_loop().create_future()
            await self._finished

    def _next(self) -> Shipment | None:
        if not self._waiting:
            return None
        order = self._waiting.popleft()
        if self._outside:
            self._let_in()
        return order

    def _let_in(self) -> None:
        while self._outside:
            gate = self._outside.popleft()
            if not gate.done():
                gate.set_result(None)
                break
