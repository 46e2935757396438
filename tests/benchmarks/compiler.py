"""The servers written in C, compiled on first use into the user's cache folder."""

from __future__ import annotations

import hashlib
import os
import platform
import shutil
import subprocess
from pathlib import Path

from harness import HERE, cache_folder

NATIVE = HERE / "native"
FLAGS = ("-O2",)
TLS = ("-DWITH_TLS", "-lssl", "-lcrypto")


class NotCompiled(Exception):
    """Why a server written in C cannot run here."""


def compiled(name: str, *, tls: bool = False) -> Path:
    """The executable of ``native/<name>.c``. Raises NotCompiled."""
    compiler = shutil.which(os.environ.get("CC", "cc"))
    if not compiler:
        raise NotCompiled(f"{name}.c: there is no C compiler.")
    source, *headers = (NATIVE / f"{name}.c", *sorted(NATIVE.glob("*.h")))
    libraries = TLS if tls else ()
    digest = hashlib.sha256(repr((compiler, platform.machine(), FLAGS, libraries)).encode())
    for file in (source, *headers):
        digest.update(file.read_bytes())
    finished = cache_folder() / f"{name}-{digest.hexdigest()[:16]}"
    if not finished.exists():
        finished.parent.mkdir(parents=True, exist_ok=True)
        unfinished = finished.with_suffix(f".{os.getpid()}")
        command = [compiler, *FLAGS, "-o", unfinished, source, *libraries]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            said = [line for line in done.stderr.splitlines() if "error" in line] or done.stderr.splitlines()
            raise NotCompiled(f"{name}.c{' with TLS' * tls}: {said[0] if said else 'not compiled'}.")
        unfinished.replace(finished)
    return finished
