"""Where victims are started, and what is looked at when they are dead."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import re
import signal
import sqlite3
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bed.certs import Certs
from bed.recorder import EVERYTHING, Recorder
from bed.recording import Message

USER, PASSWORD = "alice", "s3cr3t-Pässword"
GUARD = 60.0  # seconds after which a test that hangs is ended
LARGE = "0123456789abcdef" * 40_000  # more than is written at once, several times
_VICTIM = Path(__file__).with_name("victim.py")


class Victim:
    """A process. ``report`` is what it came to, if it lived to say it."""

    def __init__(self, report: Path) -> None:
        self.process = 0
        self._report = report
        self._news: queue.Queue[tuple[str, int]] = queue.Queue()

    def tell(self, event: str, value: int) -> None:
        if event == "started":
            self.process = value
        self._news.put((event, value))

    def wait(self, seconds: float = GUARD) -> tuple[str, int]:
        """How it ended, or that it was stopped."""
        while (news := self._news.get(timeout=seconds))[0] == "started":
            pass
        return news

    def started(self) -> Victim:
        """Itself, once it has a process."""
        while not self.process:
            assert self._news.get(timeout=GUARD)[0] == "started"
        return self

    def signal(self, number: int) -> None:
        os.kill(self.process, number)

    def kill(self) -> None:
        """Ends it, wherever it is."""
        with contextlib.suppress(ProcessLookupError):
            self.signal(signal.SIGKILL)

    @property
    def is_over(self) -> bool:
        """Whether it has ended, as far as was told."""
        return any(event in ("killed", "exited") for event, _ in tuple(self._news.queue))

    @property
    def report(self) -> Any:
        return json.loads(self._report.read_text())


class Cradle:
    """Starts victims: ``cradle.start(work="send", ledger=…)``; see :mod:`crash.victim` for the rest."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._victims: list[Victim] = []
        self.log = folder / "victims.log"
        with self.log.open("wb") as log:
            self._mother = subprocess.Popen(
                [sys.executable, str(_VICTIM)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log
            )
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()

    def start(self, **job: Any) -> Victim:
        number = len(self._victims)
        report = self._folder / f"{number}.json"
        victim = Victim(report)
        self._victims.append(victim)
        line = json.dumps(job | {"number": number, "report": str(report), "ledger": str(job["ledger"])})
        assert self._mother.stdin
        self._mother.stdin.write(line.encode() + b"\n")
        self._mother.stdin.flush()
        return victim.started()

    def killed(self, **job: Any) -> None:
        """Runs a victim that has to die in its trap."""
        end = self.start(**job).wait()
        assert end == ("killed", signal.SIGKILL), (end, self.log.read_text())

    def finished(self, **job: Any) -> Any:
        """What a victim reports that has to live."""
        victim = self.start(**job)
        assert victim.wait() == ("exited", 0), self.log.read_text()
        return victim.report

    def close(self) -> None:
        assert self._mother.stdin
        assert self._mother.stdout
        self._mother.stdin.close()
        self._mother.wait(GUARD)
        self._listener.join(GUARD)
        self._mother.stdout.close()

    def _listen(self) -> None:
        assert self._mother.stdout
        for line in self._mother.stdout:
            number, event, value = json.loads(line)
            self._victims[number].tell(event, value)


# -- what is sent ---------------------------------------------------------------------------------


def node(**options: Any) -> dict[str, Any]:
    return {"parameters": {"subject": "{{ name }}", "body": "{{ text }}"}, "options": options}


def mails(count: int, *, text: str = ".dots\r\n..and lines\r\n") -> list[dict[str, Any]]:
    return [{"to": f"r{n}@mail.test", "name": f"m{n}", "text": f"{text} {n}"} for n in range(count)]


def credential(port: int, certs: Certs | None = None, **more: Any) -> dict[str, Any]:
    data: dict[str, Any] = {"host": "localhost", "port": port, "fromAddress": "alice@mail.test", **more}
    if certs:
        ca = certs.ca_pem.read_text()
        return data | {"encryption": "starttls", "username": USER, "password": PASSWORD, "caCertificate": ca}
    return data | {"encryption": "none", "authMethod": "none"}


@contextlib.contextmanager
def secured(certs: Certs, keywords: Iterable[str] = EVERYTHING) -> Iterator[Recorder]:
    """A server with STARTTLS and a login: every point of a session is there."""
    with Recorder(keywords, tls="starttls", certs=certs, users={USER: PASSWORD}) as server:
        yield server


# -- what came of it ------------------------------------------------------------------------------


@dataclass(frozen=True)
class Row:
    """A mail of the ledger, read past the product."""

    key: str
    state: str
    owner: str | None
    message_id: str
    sha256: str
    attempts: int
    history: list[dict[str, Any]]
    result: dict[str, Any] | None
    has_content: bool

    @property
    def was_in_doubt(self) -> bool:
        return any(one["outcome"] == "unknown" for one in self.history)


def rows(ledger: Path) -> list[Row]:
    with contextlib.closing(sqlite3.connect(f"file:{ledger}?mode=ro", uri=True)) as database:
        found = database.execute(
            "SELECT key, state, owner, message_id, sha256, attempts, history, result, "
            "EXISTS (SELECT 1 FROM nina_mail_content WHERE mail = id) FROM nina_mail ORDER BY id"
        ).fetchall()
        assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    return [
        Row(*one[:6], json.loads(one[6]), json.loads(one[7]) if one[7] else None, bool(one[8]))
        for one in found
    ]


def message_id_of(content: bytes) -> str:
    found = re.search(rb"^message-id:\s*(<[^>]*>)", content, re.IGNORECASE | re.MULTILINE)
    assert found
    return found[1].decode()


def copies(taken: Sequence[Message]) -> Counter[str]:
    """How often each Message-ID is there. The copies of a mail have to be the same, to the octet."""
    contents: dict[str, bytes] = {}
    counted: Counter[str] = Counter()
    for message in taken:
        name = message_id_of(message.content)
        assert contents.setdefault(name, message.content) == message.content
        counted[name] += 1
    return counted
