"""What ``import nina_smtp`` loads, in a fresh interpreter, and what that costs.

Target: neither libmagic's binding nor jsonpath_ng, email_validator, cryptography or liquid. pydantic is only
reported.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from statistics import median

from harness import Turn, arguments, cpu_each, in_turns, middle, paired, wall_each
from report import Report

LAZY = ("magic", "pylibmagic", "jsonpath_ng", "email_validator", "dns", "cryptography", "liquid", "httpx")
REPORTED = ("pydantic", "asyncio", "ssl", "email", "idna")
EMPTY, OURS, EAGER = "empty interpreter", "import nina_smtp", "everything it may need later"
CODE = {
    EMPTY: "pass",
    OURS: "import nina_smtp",
    EAGER: "import nina_smtp, asyncio, pydantic, magic, jsonpath_ng, email_validator, liquid, cryptography",
}


def main() -> int:
    options = arguments(__doc__, rounds=15)
    report = Report("import nina_smtp", ("program", "wall ms", "CPU ms", "of all"), ["nina-smtp", "pydantic"])
    for code in CODE.values():  # so that every module is compiled
        fresh(code)
    turns = in_turns({name: process_of(code) for name, code in CODE.items()}, options.rounds)
    for name, taken in turns.items():
        over = median(paired(taken, turns[EAGER], cpu_each))
        wall, cpu = (1e3 * middle(taken, figure) for figure in (wall_each, cpu_each))
        report.rows.append((name, f"{wall:.1f}", f"{cpu:.1f}", f"{over:.2f}"))
    loaded = set(fresh(f"{CODE[OURS]}, sys; print(*sys.modules)").split())
    for module in LAZY:
        report.at_most(f"{module} loaded by import nina_smtp", 0, [float(module in loaded)], "")
    report.facts["modules"] = str(len(loaded))
    report.facts["loaded with it"] = ", ".join(name for name in REPORTED if name in loaded) or "nothing large"
    return report.finish(options.json)


def fresh(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout


def process_of(code: str) -> Callable[[], Turn]:
    """A whole process, from its start to its end."""

    def take() -> Turn:
        started = time.perf_counter()
        process = subprocess.Popen([sys.executable, "-c", code])
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.perf_counter() - started
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            raise SystemExit(f"python -c {code!r} ended with status {process.returncode}.")
        return Turn(1, wall, usage.ru_utime + usage.ru_stime)

    return take


if __name__ == "__main__":
    sys.exit(main())
