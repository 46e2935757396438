"""A log handler that appends lines to a file which several processes may share."""

from __future__ import annotations

import errno
import logging
import os
from collections.abc import Callable
from pathlib import Path


class LineFile(logging.Handler):
    """Appends a line for each record, in one write. The file is made for its owner alone (0600).

    A file that was moved or deleted, as logrotate does it, is begun anew. A failure is told to ``on_failure``
    once, until a line can be written again, and nothing is raised. Raises OSError if the file cannot be
    opened to begin with.
    """

    def __init__(self, path: Path, on_failure: Callable[[str], object]) -> None:
        super().__init__()
        self._path = path
        self._on_failure = on_failure
        self._failed = self._torn = False
        self._file = -1
        self._open()

    def emit(self, record: logging.LogRecord) -> None:
        """Writes one line."""
        try:
            line = self.format(record).encode("utf-8", "backslashreplace") + b"\n"
            self._follow()
            self._write(line)
        except Exception as error:
            if not self._failed:
                reason = error.strerror if isinstance(error, OSError) else type(error).__name__
                self._on_failure(f"{self._path} cannot be written: {reason}. The mails go out all the same.")
            self._failed = True
        else:
            self._failed = False

    def close(self) -> None:
        """Closes the file."""
        self.acquire()
        try:
            if self._file >= 0:
                os.close(self._file)
                self._file = -1
        finally:
            self.release()
        super().close()

    def _write(self, line: bytes) -> None:
        if self._torn:  # the disk was full in the middle of a line
            line = b"\n" + line
        written = os.write(self._file, line)
        self._torn = written < len(line)
        if self._torn:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def _open(self) -> None:
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | getattr(os, "O_CLOEXEC", 0)
        self._file = os.open(self._path, flags, 0o600)

    def _follow(self) -> None:
        """Goes on in the file that has the name now."""
        if self._file >= 0:
            try:
                there, here = os.stat(self._path), os.fstat(self._file)
                if (there.st_dev, there.st_ino) == (here.st_dev, here.st_ino):
                    return
            except FileNotFoundError:
                pass
            os.close(self._file)
            self._file, self._torn = -1, False
        self._open()
