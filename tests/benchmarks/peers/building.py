"""What the Python programs that build messages have in common."""

import base64
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from loop import serve, timed


def serve_building(build: Callable[[dict[str, Any]], bytes]) -> None:
    """``build`` makes one alert a message."""
    alerts: list[dict[str, Any]] = []

    def load(path: str) -> None:
        alerts[:] = json.loads(Path(path).read_text())

    def show(index: int) -> str:
        return base64.b64encode(build(alerts[index])).decode()

    def run(count: int) -> dict[str, float]:
        def work() -> None:
            for index in range(count):
                build(alerts[index % len(alerts)])

        return timed(work)

    serve(load=load, show=show, run=run)
