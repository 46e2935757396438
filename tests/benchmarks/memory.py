"""Resident memory of another process, as Linux counts it."""

from __future__ import annotations

import threading
from pathlib import Path

MIB = 1 << 20


def resident(pid: int) -> int:
    return _status(pid, "VmRSS")


class Peak:
    """The most that ``pid`` has resident while the block runs, in ``bytes``.

    The kernel keeps that mark itself, and resets it on request; where it may not be asked, a thread looks at
    what is resident as often as it can, and can miss a short peak.
    """

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.bytes = 0
        self.exact = True
        self._done = threading.Event()

    def __enter__(self) -> Peak:
        try:
            Path(f"/proc/{self.pid}/clear_refs").write_text("5")
        except OSError:
            self.exact = False
            self._watch = threading.Thread(target=self._sample)
            self._watch.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self.exact:
            self.bytes = _status(self.pid, "VmHWM")
        else:
            self._done.set()
            self._watch.join()

    def _sample(self) -> None:
        while True:
            self.bytes = max(self.bytes, resident(self.pid))
            if self._done.wait(0.001):
                return


def _status(pid: int, name: str) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) * 1024
    raise ProcessLookupError(f"{pid} has no {name}")
