"""``nina-smtp`` in this process, for tests that call it often."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from nina_smtp.cli import main
from nina_smtp.smtp.tls import client_context


@dataclass(frozen=True)
class Ran:
    """What a command printed, and its exit status."""

    status: int
    stdout: str
    stderr: str

    @property
    def json(self) -> Any:
        """Standard output as the one JSON value it has to be."""
        return json.loads(self.stdout)

    @property
    def error(self) -> Any:
        """The error that ended the command."""
        return self.json["error"]


class Command:
    """Runs in ``folder``, which is where its files are."""

    def __init__(self, folder: Path, captured: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder, self._captured, self._monkeypatch = folder, captured, monkeypatch
        monkeypatch.chdir(folder)
        client_context.cache_clear()  # what another test had the system trust

    def put(self, name: str, content: Any) -> str:
        """A file with a text, octets, or JSON; its name."""
        if not isinstance(content, bytes):
            content = (content if isinstance(content, str) else json.dumps(content)).encode()
        (self.folder / name).parent.mkdir(parents=True, exist_ok=True)
        (self.folder / name).write_bytes(content)
        return name

    def __call__(self, *arguments: str, stdin: bytes = b"", **environment: str) -> Ran:
        for name, value in environment.items():
            self._monkeypatch.setenv(name, value)
        self._monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(stdin)))
        try:
            status = main(arguments)
        except SystemExit as ended:
            status = int(ended.code or 0)
        out, err = self._captured.readouterr()
        return Ran(status, out.decode(), err.decode())


@contextmanager
def trusting(ca_pem: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An authority that the system trusts, as far as this process can see."""
    monkeypatch.setenv("SSL_CERT_FILE", str(ca_pem))
    client_context.cache_clear()
    yield
    client_context.cache_clear()
