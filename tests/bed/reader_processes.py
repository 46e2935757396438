"""Readers of MIME in other languages, each a process that is started once and answers many messages."""

import atexit
import json
import shutil
import subprocess
import threading
from pathlib import Path
from typing import Any

from bed.mail import Attachment, Mail, mail
from bed.needs import cache

HERE = Path(__file__).parent


class ReaderProcess:
    """In: a length, a newline, the message. Out: one line of JSON, in which texts and contents are given as
    lengths, and then those octets, texts in UTF-8: text, html, attachments."""

    def __init__(self, command: list[str]) -> None:
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.lock = threading.Lock()
        atexit.register(self.close)

    def read(self, raw: bytes) -> Mail:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        out = self.process.stdout
        with self.lock:
            self.process.stdin.write(b"%d\n" % len(raw) + raw)
            self.process.stdin.flush()
            line = out.readline()
            assert line, f"the reader {self.process.args!r} ended"
            found: dict[str, Any] = json.loads(line)
            assert "error" not in found, f"{self.process.args!r}: {found}"
            text, html = (
                None if found[key] is None else out.read(found[key]).decode() for key in ("text", "html")
            )
            attachments = [
                Attachment(name, kind.lower(), out.read(length), identifier)
                for name, kind, length, identifier in found["attachments"]
            ]
        return mail(
            subject=found["subject"],
            boxes=[[(name, address) for name, address in found[key]] for key in ("from", "to", "cc")],
            header_names=found["header_names"],
            text=text,
            html=html,
            attachments=attachments,
        )

    def close(self) -> None:
        for pipe in (self.process.stdin, self.process.stdout):
            assert pipe is not None
            pipe.close()
        self.process.wait(10)


def perl() -> ReaderProcess | None:
    """Email::MIME, of Debian's libemail-mime-perl."""
    program = shutil.which("perl")
    modules = ["-MEmail::MIME", "-MEmail::Address::XS", "-e1"]
    if program is None or subprocess.run([program, *modules], capture_output=True, check=False).returncode:
        return None
    return ReaderProcess([program, str(HERE / "readers.pl")])


def node() -> ReaderProcess | None:
    """postal-mime, of npm, from the cache folder."""
    program = shutil.which("node")
    if program is None or not (cache() / "node_modules" / "postal-mime").is_dir():
        return None
    return ReaderProcess([program, str(HERE / "readers.mjs"), str(cache())])
