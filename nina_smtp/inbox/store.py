"""The messages the inbox keeps: in memory, bounded in number and in bytes, the oldest leave first."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from secrets import token_hex

from nina_smtp.inbox.reader import Reading, read

KEEP = 500
MAX_BYTES = 512 * 2**20

# Reading this much takes about a millisecond; more is read in a thread.
_READ_AT_ONCE = 128 * 2**10


@dataclass(frozen=True, slots=True)
class Login:
    """That a client logged in, and as whom; the password is not kept."""

    mechanism: str
    user: str


@dataclass(frozen=True, slots=True, eq=False)
class Message:
    """A message as it came in: the envelope, the facts of the session, and the bytes, unchanged.

    ``recipients`` are those of the envelope, in order, blind copies included. ``id`` sorts by arrival and
    cannot be guessed.
    """

    id: str
    received: datetime
    sender: str
    recipients: tuple[str, ...]
    raw: bytes
    helo: str = ""
    peer: str = ""
    login: Login | None = None
    tls: bool = False
    smtputf8: bool = False
    read: list[Reading] = field(default_factory=list[Reading], repr=False)


class Messages:
    """The newest ``keep`` messages, up to ``max_bytes`` altogether; the newest one is always kept.

    Iterating goes from the oldest to the newest. To be used from one event loop.
    """

    def __init__(self, keep: int = KEEP, max_bytes: int = MAX_BYTES) -> None:
        if keep < 1:
            raise ValueError("keep is at least 1")
        self.keep = keep
        self.max_bytes = max_bytes
        self.size = 0
        self.version = 0
        self.closed = False
        self._kept: dict[str, Message] = {}
        self._arrived = 0
        self._change = asyncio.Event()
        self._one_reader = asyncio.Lock()

    def __len__(self) -> int:
        return len(self._kept)

    def __iter__(self) -> Iterator[Message]:
        return iter(tuple(self._kept.values()))

    def __reversed__(self) -> Iterator[Message]:
        return iter(tuple(reversed(self._kept.values())))

    def add(
        self,
        raw: bytes,
        *,
        sender: str,
        recipients: tuple[str, ...],
        helo: str = "",
        peer: str = "",
        login: Login | None = None,
        tls: bool = False,
        smtputf8: bool = False,
    ) -> Message:
        """Keeps a message, and lets the oldest go when there is no room."""
        self._arrived += 1
        message = Message(
            id=f"{self._arrived:08x}-{token_hex(8)}",
            received=datetime.now(UTC),
            sender=sender,
            recipients=recipients,
            raw=raw,
            helo=helo,
            peer=peer,
            login=login,
            tls=tls,
            smtputf8=smtputf8,
        )
        self._kept[message.id] = message
        self.size += len(raw)
        while len(self._kept) > self.keep or (self.size > self.max_bytes and len(self._kept) > 1):
            self.size -= len(self._kept.pop(next(iter(self._kept))).raw)
        self._changed()
        return message

    def get(self, message_id: str) -> Message | None:
        """The message with this id, if it is still kept."""
        return self._kept.get(message_id)

    def delete(self, message_id: str) -> bool:
        """Lets one message go; false when it was not there."""
        message = self._kept.pop(message_id, None)
        if message is None:
            return False
        self.size -= len(message.raw)
        self._changed()
        return True

    def clear(self) -> int:
        """Lets every message go, and says how many there were."""
        count = len(self._kept)
        self._kept.clear()
        self.size = 0
        self._changed()
        return count

    async def read(self, message: Message) -> Reading:
        """The reading of a message: made once, when first asked for; in a thread of its own if large."""
        if not message.read:
            async with self._one_reader:
                if not message.read:
                    small = len(message.raw) <= _READ_AT_ONCE
                    reading = read(message.raw) if small else await asyncio.to_thread(read, message.raw)
                    message.read.append(reading)
        return message.read[0]

    async def find(self, query: str, *, limit: int, before: str | None = None) -> tuple[list[Message], int]:
        """The newest messages that hold every word of the query, and how many there are in all.

        ``before`` is the id of a message; only older ones are returned, but all are counted.
        """
        words = query.casefold().split()
        found = [message for message in reversed(self) if not words or await self._holds(message, words)]
        page = found if before is None else [message for message in found if message.id < before]
        return page[:limit], len(found)

    async def _holds(self, message: Message, words: list[str]) -> bool:
        await asyncio.sleep(0)  # a search through many messages lets others have a turn
        reading = await self.read(message)
        people = (f"{a.name} {a.address}" for a in (*reading.sender, *reading.to, *reading.cc))
        names = (attachment.filename or "" for attachment in reading.attachments)
        body = (reading.text or reading.html or "")[: 256 * 2**10]
        hay = "\n".join(
            (reading.subject, message.sender, *message.recipients, *people, *names, body)
        ).casefold()
        return all(word in hay for word in words)

    async def changed(self, since: int) -> int:
        """The version of the store as soon as it is another than ``since``, or the store is closed."""
        while self.version == since and not self.closed:
            await self._change.wait()
        return self.version

    async def wait_for(self, count: int, timeout: float) -> tuple[Message, ...]:
        """The messages, oldest first, as soon as there are ``count``; TimeoutError when there never are."""
        try:
            async with asyncio.timeout(timeout):
                while len(self) < count and not self.closed:
                    await self.changed(self.version)
        except TimeoutError:
            raise TimeoutError(f"{len(self)} of {count} messages arrived in {timeout:g} s") from None
        return tuple(self)

    def close(self) -> None:
        """Wakes everybody who waits for a change: there will be none."""
        self.closed = True
        self._changed()

    def _changed(self) -> None:
        self.version += 1
        self._change.set()
        self._change = asyncio.Event()
