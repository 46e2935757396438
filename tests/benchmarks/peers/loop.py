"""What every program here does: it takes orders on stdin, one JSON object a line, and answers each on stdout.

It ends with its stdin, so it never outlives the script that started it.
"""

import json
import resource
import sys
import time
import traceback
from collections.abc import Callable
from typing import Any


def serve(**actions: Callable[..., Any]) -> None:
    """Answers ``{"do": name, …}`` with what ``actions[name](…)`` returns, or ``{"error": traceback}``."""
    answers, sys.stdout = sys.stdout, sys.stderr  # whatever a library prints is not an answer
    for line in sys.stdin:
        order = json.loads(line)
        try:
            answer = actions[order.pop("do")](**order)
        except Exception:
            answer = {"error": traceback.format_exc()}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


def timed(work: Callable[[], object]) -> dict[str, float]:
    """Runs ``work``: wall seconds, and CPU seconds (user and system, all threads) of this process."""
    cpu, wall = cpu_seconds(), time.perf_counter()
    work()
    return {"wall": time.perf_counter() - wall, "cpu": cpu_seconds() - cpu}


def cpu_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime
