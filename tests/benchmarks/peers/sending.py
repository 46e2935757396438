"""What the Python programs that send an attachment have in common."""

import asyncio
import ctypes
import gc
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from loop import serve, timed

Server = dict[str, Any]  # host, port, tls, and the certificate of the authority to trust
Send = Callable[[dict[str, Any], Server], Awaitable[None]]


def serve_sending(send: Send, prepare: Callable[[dict[str, Any]], dict[str, Any]] = dict) -> None:
    """``send`` takes one message, given as its fields in JSON, to the server over a connection of its own.

    ``prepare`` is applied to what was read, once, before anything is measured.
    """
    fields: dict[str, Any] = {}

    def load(path: str) -> None:
        fields.clear()
        fields.update(prepare(json.loads(Path(path).read_bytes())))

    def settle() -> None:
        """Gives freed memory back, so that none of it hides what sending takes."""
        gc.collect()
        if trim := getattr(ctypes.CDLL(None), "malloc_trim", None):  # glibc's
            trim(0)

    with asyncio.Runner() as runner:

        def run(count: int, server: Server) -> dict[str, float]:
            async def messages() -> None:
                for _ in range(count):
                    await send(fields, server)

            return timed(lambda: runner.run(messages()))

        serve(load=load, settle=settle, run=run)
