"""The worker contract (contract, section 8): JSON-RPC 2.0, one object a line, on standard input and output.

Requests run side by side and are answered as they end, so answers may come in another order. End of input
ends the worker after what is in flight. A line is a request by itself; there are no batches.
"""

from __future__ import annotations

import asyncio
import json
import sys
from base64 import b64encode
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import replace
from typing import TYPE_CHECKING, Any, BinaryIO, cast

from nina_smtp.api import build, depth_of, mail_node, mail_task, outbox_of, read_credential
from nina_smtp.catalog import default_catalog
from nina_smtp.describe import description
from nina_smtp.errors import NinaError, ParameterError

if TYPE_CHECKING:
    from nina_smtp.delivery.outbox import Outbox

MAX_IN_FLIGHT = 64

PARSE_ERROR, INVALID_REQUEST, NO_SUCH_METHOD, INVALID_PARAMS, INTERNAL, FAILED = (
    -32700,
    -32600,
    -32601,
    -32602,
    -32603,
    -32000,
)

_RUN_OPTIONS = frozenset({"idempotencyKey", "dryRun", "wait"})

Params = Mapping[str, Any]
Method = Callable[[Params], Awaitable[Any]]


async def serve_stdio(
    source: BinaryIO | None = None, sink: BinaryIO | None = None, *, ledger: str | None = None
) -> int:
    """Serves until the end of ``source``. Returns the exit status, 0.

    With a ``ledger`` every mail is on record before it is sent.
    """
    if sys.stdin is None or sys.stdout is None:  # pyright: ignore[reportUnnecessaryComparison]  # closed by the shell
        raise ParameterError("The worker needs standard input and output, and one of them is closed.")
    async with AsyncExitStack() as stack:
        outbox = await stack.enter_async_context(outbox_of(ledger)) if ledger is not None else None
        worker = _Worker(sink or sys.stdout.buffer, outbox)
        return await _serve(worker, source or sys.stdin.buffer)


async def _serve(worker: _Worker, lines: BinaryIO) -> int:
    loop = asyncio.get_running_loop()
    status = 0
    try:
        async with asyncio.TaskGroup() as group:
            while line := await loop.run_in_executor(None, lines.readline):
                if line.strip():
                    await worker.places.acquire()
                    group.create_task(worker.answer(line))
    except* BrokenPipeError:  # whoever asked has gone, and nobody wants the answers any more
        status = 141
    return status


class _Worker:
    def __init__(self, sink: BinaryIO, outbox: Outbox | None = None) -> None:
        self._sink = sink
        self._outbox = outbox
        self.places = asyncio.Semaphore(MAX_IN_FLIGHT)
        self._methods: dict[str, tuple[Method, frozenset[str], frozenset[str]]] = {
            "describe": (_describe, frozenset(), frozenset()),
            "test": (_test, frozenset({"credential"}), frozenset({"sendTo"})),
            "build": (_build, frozenset({"node", "credential"}), frozenset({"item"})),
            "run": (self._run, frozenset({"node", "credential", "items"}), _RUN_OPTIONS),
        }

    async def answer(self, line: bytes) -> None:
        """Runs one request and writes its answer; a notification, a request without id, gets none."""
        try:
            reply = await self._reply(line)
            if reply is not None:
                self._write(reply)
        finally:
            self.places.release()

    async def _reply(self, line: bytes) -> dict[str, Any] | None:
        try:
            request: Any = json.loads(line)
        except (ValueError, RecursionError):
            return _error(None, PARSE_ERROR, "The line is not JSON.")
        asked = cast(dict[str, Any], request) if isinstance(request, dict) else {}
        if asked.get("jsonrpc") != "2.0" or not isinstance(asked.get("method"), str):
            usage = 'A request is {"jsonrpc": "2.0", "id": …, "method": …, "params": {…}}.'
            identity = asked.get("id")
            return _error(identity if isinstance(identity, (str, int)) else None, INVALID_REQUEST, usage)
        reply = await self._result(asked.get("id"), asked["method"], asked.get("params", {}))
        return reply if "id" in asked else None

    async def _result(self, identity: Any, name: str, params: Any) -> dict[str, Any]:
        if name not in self._methods:
            return _error(
                identity,
                NO_SUCH_METHOD,
                f"There is no method {name[:80]!a}; there are {', '.join(self._methods)}.",
            )
        method, required, optional = self._methods[name]
        problem = _misfit(params, required, optional)
        if problem:
            return _error(identity, INVALID_PARAMS, problem)
        try:
            return {"jsonrpc": "2.0", "id": identity, "result": await method(params)}
        except NinaError as error:
            return _error(identity, FAILED, error.message, error.as_dict())
        except Exception as error:  # one request must not end the others
            return _error(identity, INTERNAL, f"The worker stopped on an unexpected {type(error).__name__}.")

    async def _run(self, params: Params) -> Any:
        task = mail_task(
            _object(params, "node"), _credentials(params), params["items"], key=params.get("idempotencyKey")
        )
        wait = params.get("wait", 0.0)
        if wait is not None and (
            isinstance(wait, bool) or not isinstance(wait, (int, float)) or not wait >= 0
        ):
            raise ParameterError("wait is a number of seconds from 0 on, or null.", parameter="wait")
        depth = depth_of(params.get("dryRun", False))
        task = replace(task, outbox=None if depth else self._outbox, patience=wait)
        return {"results": (await mail_node().deliver(task, dry_run=depth)).as_dicts()}

    def _write(self, reply: Mapping[str, Any]) -> None:
        self._sink.write(json.dumps(reply, ensure_ascii=False).encode("utf-8", "backslashreplace") + b"\n")
        self._sink.flush()


def _misfit(params: Any, required: frozenset[str], optional: frozenset[str]) -> str | None:
    if not isinstance(params, Mapping):
        return "params is an object."
    keys = set(cast(Mapping[str, Any], params))
    if missing := required - keys:
        return f"params needs {', '.join(sorted(missing))}."
    if unknown := keys - required - optional:
        return f"params has no {', '.join(sorted(map(str, unknown)))[:80]}."
    return None


def _error(identity: Any, code: int, message: str, data: Any = None) -> dict[str, Any]:
    error: dict[str, Any] = {"code": code, "message": message}
    if data is not None:
        error["data"] = data
    return {"jsonrpc": "2.0", "id": identity, "error": error}


async def _describe(params: Params) -> Any:
    return description()


async def _test(params: Params) -> Any:
    document = _object(params, "credential")
    kind = default_catalog().credential(str(document.get("type", "smtp")))
    return (await kind.test(read_credential(document), send_to=params.get("sendTo"))).as_dict()


async def _build(params: Params) -> Any:
    built = build(_object(params, "node"), _credentials(params), params.get("item"))
    return {
        "message": b64encode(built.bytes).decode(),
        "messageId": built.message.message_id,
        "envelope": {"from": built.envelope.sender, "to": list(built.envelope.recipients)},
        "sources": {name: source.as_dict() for name, source in built.sources.items()},
        "warnings": list(built.warnings),
    }


def _credentials(params: Params) -> Any:
    given = params["credential"]
    return given if isinstance(given, list) else _object(params, "credential")  # pyright: ignore[reportUnknownVariableType]


def _object(params: Params, name: str) -> Mapping[str, Any]:
    value = params[name]
    if not isinstance(value, Mapping):
        raise ParameterError(f"{name} is an object.", parameter=name)
    return cast(Mapping[str, Any], value)
