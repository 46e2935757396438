"""Who is alive: each process that sends from a ledger holds a lock for as long as it lives.

The system lets go of a lock when a process dies, however it dies, so its mails can be taken over at once. On
SQLite it is a locked file beside the ledger, on PostgreSQL an advisory lock of a session. Where neither is to
be had, or a machine has gone without its connection being closed, an owner that has not been seen for some
time is taken for dead; if it was not, it cannot change its mails any more (:mod:`.states`, rule 3).
"""

from __future__ import annotations

import hashlib
import os
import threading
from abc import ABC, abstractmethod
from contextlib import suppress
from pathlib import Path

from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import SQLAlchemyError

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

UNSEEN = 120.0
"""Seconds after which an owner that has not been seen is dead."""
SEEN_EVERY = 20.0
"""Seconds."""


class Locks(ABC):
    """The locks of one ledger. ``owner`` is an id."""

    @abstractmethod
    def hold(self, owner: str) -> None:
        """Takes the lock, for as long as this process lives."""

    def keep(self, owner: str) -> None:  # noqa: B027 - a file stays locked
        """Takes it again if it was lost."""

    @abstractmethod
    def let_go(self) -> None:
        """Releases what is held."""

    @abstractmethod
    def is_alive(self, connection: Connection, owner: str, unseen: float) -> bool:
        """Whether its lock is held, or, where that cannot be told, whether it was seen not long ago."""

    def forget(self, owner: str) -> None:  # noqa: B027 - nothing is left of most
        """Removes what a dead owner left."""


class FileLocks(Locks):
    """Beside a SQLite file."""

    def __init__(self, ledger: Path) -> None:
        self._folder = ledger.with_name(f"{ledger.name}-owners")
        self._held: list[tuple[str, int]] = []

    def hold(self, owner: str) -> None:
        self._folder.mkdir(mode=0o700, exist_ok=True)
        file = os.open(self._folder / owner, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        if fcntl:
            fcntl.flock(file, fcntl.LOCK_EX)
        self._held.append((owner, file))

    def let_go(self) -> None:
        while self._held:
            owner, file = self._held.pop()
            self.forget(owner)
            os.close(file)
        with suppress(OSError):
            self._folder.rmdir()  # the last one out

    def is_alive(self, connection: Connection, owner: str, unseen: float) -> bool:
        if not fcntl:
            return unseen < UNSEEN
        try:
            file = os.open(self._folder / owner, os.O_RDWR | os.O_CLOEXEC)
        except OSError:
            return False
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return True
        finally:
            os.close(file)
        return False

    def forget(self, owner: str) -> None:
        with suppress(OSError):
            (self._folder / owner).unlink()


class AdvisoryLocks(Locks):
    """In PostgreSQL, held by a connection of their own."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._connection: Connection | None = None
        self._turn = threading.Lock()

    def hold(self, owner: str) -> None:
        with self._turn:
            self._hold(owner)

    def keep(self, owner: str) -> None:
        with self._turn:
            if self._connection is None:
                return
            try:
                self._connection.execute(text("SELECT 1"))
            except SQLAlchemyError:
                self._disconnect()
                self._hold(owner)

    def let_go(self) -> None:
        with self._turn:
            self._disconnect()

    def _hold(self, owner: str) -> None:
        self._connection = self._engine.connect().execution_options(isolation_level="AUTOCOMMIT")
        self._connection.execute(text("SELECT pg_advisory_lock(:key)"), {"key": _number(owner)})

    def _disconnect(self) -> None:
        if self._connection is not None:
            connection, self._connection = self._connection, None
            connection.invalidate()
            connection.close()

    def is_alive(self, connection: Connection, owner: str, unseen: float) -> bool:
        if unseen >= UNSEEN:
            return False
        free = connection.execute(
            text("SELECT pg_try_advisory_xact_lock(:key)"), {"key": _number(owner)}
        ).scalar_one()
        return not free


def _number(owner: str) -> int:
    return int.from_bytes(hashlib.sha256(owner.encode()).digest()[:8], "big", signed=True)
