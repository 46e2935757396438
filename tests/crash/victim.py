"""A program that sends by way of a ledger, and dies where it is told to.

It is started once, forks a process for every job it reads from its standard input, and says what becomes of
each. So a victim costs a hundredth of a second, and has no thread, no connection and no file of another one.
:mod:`crash.cradle` talks to it.

A trap wraps functions of the victim's own process: nothing in the product knows of it.
"""

from __future__ import annotations

import asyncio
import json
import os
import select
import signal
import tempfile
import threading
import time
import traceback
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from nina_smtp import api
from nina_smtp.delivery import outbox as outbox_module
from nina_smtp.delivery import runner as runner_module
from nina_smtp.delivery.ledger import ledger as ledger_module
from nina_smtp.delivery.ledger import owners, review, statements
from nina_smtp.delivery.ledger.entry import Entry, content_of
from nina_smtp.delivery.ledger.ledger import Ledger
from nina_smtp.delivery.ledger.states import FINAL, OnUncertain, State
from nina_smtp.delivery.ledger.writer import Writer
from nina_smtp.delivery.letter import Letter
from nina_smtp.delivery.outbox import News, Outbox
from nina_smtp.delivery.schedule import Schedule
from nina_smtp.smtp.connection import Connection
from nina_smtp.smtp.mail import Delivery
from nina_smtp.smtp.phase import Phase
from nina_smtp.smtp.session import Session
from nina_smtp.smtp.transaction import Transaction

OPEN = tuple(state for state in State if state not in FINAL)
MOST = 1_000_000  # rows
AT_ONCE = Schedule(delays=(0.0,))

# -- the work -------------------------------------------------------------------------------------


async def send(job: dict[str, Any]) -> Any:
    """Every item, under the job's key."""
    async with Ledger(job["ledger"]) as ledger:
        results = await api.send_async(
            job["node"],
            job["credential"],
            job["items"],
            idempotency_key=job["key"],
            ledger=ledger,
            wait=job.get("wait", 0.0),
        )
    return results.as_dicts()


async def serve(job: dict[str, Any]) -> Any:
    """What is in the ledger, until nothing is open. Reports how many mails this process sent."""
    async with Ledger(job["ledger"]) as ledger, Outbox(ledger, schedule=AT_ONCE) as outbox:
        await outbox.serve(api.read_credential(job["credential"]))
        await until_over(ledger, outbox)
    return len(_sent)


_sent: list[str] = []


def _count_what_is_sent() -> None:
    inner = Letter.ended

    def ended(self: Letter, message: Any, delivery: Delivery) -> None:
        if delivery.error is None:
            _sent.append(self.entry.id)
        inner(self, message, delivery)

    Letter.ended = ended  # type: ignore[method-assign]


async def until_over(ledger: Ledger, outbox: Outbox) -> None:
    """Returns when every mail in the ledger is in a final state."""
    loop = asyncio.get_running_loop()
    entries: list[Entry] = await ledger.call(review.listed, review.Question(OPEN, most=MOST))
    waiting = [loop.create_future() for _ in entries]
    for entry, future in zip(entries, waiting, strict=True):

        def hear(news: News, future: asyncio.Future[None] = future) -> None:
            if news.state in FINAL and not future.done():
                future.set_result(None)

        outbox.listen(entry, hear)
    await asyncio.gather(*waiting)


async def enqueue(ledger: Ledger, node: Any, credential: Any, items: Iterable[Any], *, key: str = "") -> None:
    """Puts a mail for every item on record, and sends none."""
    account = api.read_credential(credential)
    now = ledger.clock()
    on_the_way: list[asyncio.Future[Entry]] = []
    for index, item in enumerate(items):
        entry = Entry(
            key=f"{key}/{index}" if key else f"queued/{os.urandom(8).hex()}",
            digest="",
            account=account.identity,
            route=(account.identity,),
            state=State.QUEUED,
            due=now,
            created=now,
            expires=now + 86_400,
            on_uncertain=OnUncertain(node["options"].get("onUncertain", "stop")),
            item=index,
            **content_of(api.build(node, credential, item).message),
        )
        future: asyncio.Future[Entry] = asyncio.get_running_loop().create_future()
        ledger.add(entry, _teller(future))
        on_the_way.append(future)
        if len(on_the_way) == 100:
            await asyncio.gather(*on_the_way)
            on_the_way.clear()
    await asyncio.gather(*on_the_way)


def _teller(future: asyncio.Future[Any]) -> Callable[[Any], None]:
    def tell(answer: Any) -> None:
        if isinstance(answer, Exception):
            future.set_exception(answer)
        else:
            future.set_result(answer)

    return tell


# -- where it dies --------------------------------------------------------------------------------


class Trap:
    """Sends this process ``signal`` when something has happened ``count`` times."""

    def __init__(self, count: int, number: int) -> None:
        self.left = count
        self._number = number

    def passes(self, count: int = 1) -> None:
        if self.would_spring(count):
            self.spring()

    def would_spring(self, count: int) -> bool:
        was, self.left = self.left, self.left - count
        return was > 0 >= self.left

    def spring(self) -> None:
        if threading.current_thread() is threading.main_thread():
            _all_is_written()
        os.kill(os.getpid(), self._number)


def _all_is_written() -> None:
    """Returns when what came before is on record: with pipelining, the result of one mail and the envelope of
    the next are news at the same moment, and only one mail is meant to be caught half way.
    """
    written = threading.Event()
    inner = Writer._write

    def fence(_: Any, values: Sequence[Any]) -> Sequence[Any]:
        return values

    def write(self: Writer, batch: Any) -> Any:
        answers = inner(self, batch)
        if any(work.kind is fence for work in batch):
            written.set()
        return answers

    Writer._write = write  # type: ignore[method-assign]
    for writer in _writers:
        writer.submit(fence, None, lambda _: None)
        writer._wake()  # it would be called when this turn of the loop is over
        written.wait()


_writers: list[Writer] = []


def _remember_writers() -> None:
    inner = Writer.__init__

    def init(self: Writer, *arguments: Any) -> None:
        _writers.append(self)
        inner(self, *arguments)

    Writer.__init__ = init  # type: ignore[method-assign]


def _after_writing(kind: Any, count: Callable[[Any], int]) -> Callable[[Trap], None]:
    """When the transaction with so many of ``kind`` is committed; ``count`` is of an answer."""

    def set_trap(trap: Trap) -> None:
        inner = Writer._write

        def write(self: Writer, batch: Any) -> Any:
            answers = inner(self, batch)
            done = zip(batch, answers, strict=True)
            trap.passes(sum(count(answer) for work, answer in done if work.kind is kind))
            return answers

        Writer._write = write  # type: ignore[method-assign]

    return set_trap


def _before_the_result_is_written(trap: Trap) -> None:
    inner = Writer._write

    def write(self: Writer, batch: Any) -> Any:
        endings = [work.value for work in batch if work.kind is statements.end]
        trap.passes(sum(one.state in (State.SENT, State.PARTIAL) for one in endings))
        return inner(self, batch)

    Writer._write = write  # type: ignore[method-assign]


def _after(owner: Any, name: str) -> Callable[[Trap], None]:
    """When a method has returned."""

    def set_trap(trap: Trap) -> None:
        inner = getattr(owner, name)
        if asyncio.iscoroutinefunction(inner):

            async def waiting(*arguments: Any) -> Any:
                answer = await inner(*arguments)
                trap.passes()
                return answer

            setattr(owner, name, waiting)
        else:

            def calling(*arguments: Any) -> Any:
                answer = inner(*arguments)
                trap.passes()
                return answer

            setattr(owner, name, calling)

    return set_trap


def _when_half_is_out(trap: Trap) -> None:
    inner = Letter.progress
    seen: set[str] = set()

    def progress(self: Letter, written: int, size: int) -> None:
        inner(self, written, size)
        if size / 2 <= written < size and self.entry.id not in seen:
            seen.add(self.entry.id)
            trap.passes()

    Letter.progress = progress  # type: ignore[method-assign]


def _when_the_dot_is_out(trap: Trap) -> None:
    """When the kernel has the last octet; what the server says to it is not read before."""
    progress, write = Letter.progress, Connection.write
    ends = 0  # mails whose last octets are in the next write

    def make_progress(self: Letter, written: int, size: int) -> None:
        nonlocal ends
        progress(self, written, size)
        ends += written == size

    def write_out(self: Connection, octets: bytes) -> None:
        nonlocal ends
        write(self, octets)
        if ends and self.protocol.phase is Phase.DOT:
            count, ends = ends, 0
            if trap.would_spring(count):
                wire = self._wire
                assert wire
                assert wire.transport
                wire.transport.pause_reading()
                _when_empty(wire.transport, trap.spring)

    Letter.progress = make_progress  # type: ignore[method-assign]
    Connection.write = write_out  # type: ignore[method-assign]


def _when_empty(transport: Any, then: Callable[[], None]) -> None:
    below = transport
    if secured := getattr(transport, "_ssl_protocol", None):
        below = secured._transport
    if transport.get_write_buffer_size() or below.get_write_buffer_size():
        asyncio.get_running_loop().call_soon(_when_empty, transport, then)
    else:
        then()


def _one(_: Any) -> int:
    return 1


POINTS: dict[str, Callable[[Trap], None]] = {
    "enqueue": _after_writing(statements.add, _one),
    "lease": _after_writing(statements.lease, len),
    "connect": _after(Connection, "connect"),
    "starttls": _after(Connection, "start_tls"),
    "auth": _after(Session, "login"),
    "mail": _after(Transaction, "_mail_reply"),
    "rcpt": _after(Transaction, "_rcpt_reply"),
    "354": _after(Transaction, "_data_reply"),
    "half": _when_half_is_out,
    "committing": _after_writing(statements.commit, _one),
    "dot": _when_the_dot_is_out,
    "250": _before_the_result_is_written,
}
ONCE = ("connect", "starttls", "auth")
"""Those that are there once for a connection."""
CERTAIN = ("enqueue", "lease", *ONCE, "mail", "rcpt", "354", "half")
"""Those before which, and at which, nobody can have the mail."""


def _prepare(job: dict[str, Any]) -> None:
    outbox_module.LOOK_EVERY = job.get("lookEvery", 0.05)
    runner_module.LOOK_EVERY = job.get("runnerLooksEvery", runner_module.LOOK_EVERY)
    ledger_module.SEEN_EVERY = job.get("seenEvery", ledger_module.SEEN_EVERY)
    _count_what_is_sent()
    if job.get("byAge"):  # as on a system without such locks
        owners.fcntl = None  # type: ignore[assignment]
    if trap := job.get("trap"):
        _remember_writers()
        POINTS[trap["point"]](Trap(trap.get("count", 1), trap.get("signal", signal.SIGKILL)))


class Leaps:
    """A clock that can be set."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def __call__(self) -> float:
        return time.time() + self.ahead


def backlog(job: dict[str, Any]) -> Any:
    """Puts many mails on record while the server is down and serves in vain for some time; when it is woken,
    since the server is back, it sends them. Reports how much more memory it took than for a few, each time.
    """
    clock = Leaps()
    identity = api.read_credential(job["credential"]).identity

    async def put(count: int) -> None:
        async with Ledger(job["ledger"], clock=clock) as ledger:
            items = ({"to": f"r{n}@mail.test", "name": "m", "text": "t" * 2000} for n in range(count))
            await enqueue(ledger, job["node"], job["credential"], items)

    async def serve_in_vain(minutes: int) -> None:
        async with Ledger(job["ledger"], clock=clock) as ledger, Outbox(ledger) as outbox:
            await outbox.serve(api.read_credential(job["credential"]))
            for _ in range(minutes):
                async with asyncio.timeout(30):
                    while outbox.is_busy or not outbox.is_held_up:
                        await asyncio.sleep(0.002)
                clock.ahead += 60
                outbox.hurry(identity)

    async def drain() -> None:
        async with Ledger(job["ledger"], clock=clock) as ledger, Outbox(ledger) as outbox:
            await outbox.serve(api.read_credential(job["credential"]))
            async with asyncio.timeout(job["within"]):
                while await ledger.next_due(identity) or outbox.is_busy:
                    await asyncio.sleep(0.05)

    asyncio.run(put(100))
    asyncio.run(serve_in_vain(2))
    few, grown = _memory(), list[int]()
    for work in (put(job["count"] - 100), serve_in_vain(20)):
        asyncio.run(work)
        grown.append(_memory() - few)
    os.kill(os.getpid(), signal.SIGSTOP)
    clock.ahead += 3600
    asyncio.run(drain())
    return [*grown, _memory() - few]


def _memory() -> int:
    """The most that this process had since it asked last, in octets."""
    status = Path("/proc/self/status").read_text()
    Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
    (line,) = [line for line in status.splitlines() if line.startswith("VmHWM")]
    return int(line.split()[1]) * 1024


WORK = {"send": send, "serve": serve, "backlog": backlog}


def _be(job: dict[str, Any]) -> int:
    """The forked process."""
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, 0)
    os.dup2(null, 1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.set_wakeup_fd(-1)
    try:
        _prepare(job)
        answer = WORK[job["work"]](job)
        if asyncio.iscoroutine(answer):
            answer = asyncio.run(answer)
        report = Path(job["report"])
        unfinished = report.with_suffix(".part")
        unfinished.write_text(json.dumps(answer))
        unfinished.rename(report)
    except BaseException:
        traceback.print_exc()
        return 1
    return 0


# -- the program ----------------------------------------------------------------------------------


def _learn() -> None:
    """Imports what is imported only when it is needed, so that not every victim has to."""
    import nina_smtp.smtp.tls  # noqa: F401

    nothing = {"host": "127.0.0.1", "port": 1, "encryption": "none", "authMethod": "none"}
    with tempfile.TemporaryDirectory() as folder:
        api.send({"parameters": {"to": ["a@b.test"]}}, nothing, ledger=Path(folder) / "none.db")


class Mother:
    """Forks, and tells of what she hears."""

    def __init__(self) -> None:
        _learn()
        self.jobs: dict[int, int] = {}  # of each process id
        self._heard, told = os.pipe()
        for end in (self._heard, told):
            os.set_blocking(end, False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(told)

    def run(self) -> None:
        rest = b""
        while True:
            ready, _, _ = select.select([0, self._heard], [], [])
            if self._heard in ready:
                os.read(self._heard, 4096)
                self._reap()
            if 0 in ready:
                octets = os.read(0, 1 << 20)
                if not octets:
                    break
                *lines, rest = (rest + octets).split(b"\n")
                for line in lines:
                    self._fork(json.loads(line))
        for process in self.jobs:
            os.kill(process, signal.SIGKILL)

    def _fork(self, job: dict[str, Any]) -> None:
        process = os.fork()
        if not process:
            os._exit(_be(job))
        self.jobs[process] = job["number"]
        self._tell(job["number"], "started", process)

    def _reap(self) -> None:
        while self.jobs:
            process, status = os.waitpid(-1, os.WNOHANG | os.WUNTRACED)
            if not process:
                break
            if os.WIFSTOPPED(status):
                self._tell(self.jobs[process], "stopped", os.WSTOPSIG(status))
            elif os.WIFSIGNALED(status):
                self._tell(self.jobs.pop(process), "killed", os.WTERMSIG(status))
            else:
                self._tell(self.jobs.pop(process), "exited", os.WEXITSTATUS(status))

    @staticmethod
    def _tell(number: int, event: str, value: int) -> None:
        os.write(1, json.dumps([number, event, value]).encode() + b"\n")


if __name__ == "__main__":
    Mother().run()
