"""The web application: the page, and the JSON API behind it."""

from __future__ import annotations

import asyncio
import json
import logging
import re
import secrets
from collections.abc import AsyncIterator, Collection
from importlib.resources import files
from typing import Any, NoReturn
from urllib.parse import quote

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import ASGIApp

from nina_smtp.inbox.frame import framed, remote_images
from nina_smtp.inbox.guard import Guard, problem
from nina_smtp.inbox.kinds import image_type
from nina_smtp.inbox.reader import Attachment, Reading
from nina_smtp.inbox.store import Message, Messages

MAX_LISTENERS = 32
_KEEP_ALIVE = 15.0
_MAX_LIMIT = 1000
_MAX_QUERY = 500

_PAGE = {
    "": ("index.html", "text/html"),
    "inbox.css": ("inbox.css", "text/css"),
    "tokens.css": ("tokens.css", "text/css"),
    "inbox.js": ("inbox.js", "text/javascript"),
    "message.js": ("message.js", "text/javascript"),
    "elements.js": ("elements.js", "text/javascript"),
    "theme.js": ("theme.js", "text/javascript"),
    "icon.svg": ("icon.svg", "image/svg+xml"),
}
# A new tab for a link is the only thing that leaves the frame, and it takes a click.
_FRAME_POLICY = (
    "default-src 'none'; img-src 'self' data:; style-src 'unsafe-inline'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'self'; sandbox allow-popups allow-popups-to-escape-sandbox"
)
_DOWNLOAD_POLICY = "default-src 'none'; frame-ancestors 'none'; sandbox"

_log = logging.getLogger(__name__)


def application(messages: Messages, *, hosts: Collection[str], smtp: tuple[str, int]) -> ASGIApp:
    """The inbox as an ASGI application; ``hosts`` are the Host headers it answers to, ports included."""
    return Guard(
        Starlette(
            routes=_Api(messages, smtp).routes(),
            exception_handlers={HTTPException: _refused, Exception: _failed},
        ),
        hosts,
    )


class _Api:
    def __init__(self, messages: Messages, smtp: tuple[str, int]) -> None:
        self._messages = messages
        self._smtp = smtp
        self._listeners = 0
        folder = files("nina_smtp.inbox") / "page"
        self._page = {name: ((folder / file).read_bytes(), kind) for name, (file, kind) in _PAGE.items()}

    def routes(self) -> list[Route]:
        one = "/api/messages/{id}"
        return [
            Route("/api/messages", self.list, methods=["GET"]),
            Route("/api/messages", self.clear, methods=["DELETE"]),
            Route(one, self.get, methods=["GET"]),
            Route(one, self.delete, methods=["DELETE"]),
            Route(f"{one}/raw", self.raw, methods=["GET"]),
            Route(f"{one}/html", self.html, methods=["GET"]),
            Route(f"{one}/attachments/{{index:int}}", self.attachment, methods=["GET"]),
            Route("/api/events", self.events, methods=["GET"]),
            Route("/healthz", self.health, methods=["GET"]),
            Route("/{name:path}", self.page, methods=["GET"]),
        ]

    async def page(self, request: Request) -> Response:
        content, kind = self._page.get(request.path_params["name"]) or _missing("There is no such page")
        return Response(content, media_type=kind)

    async def health(self, request: Request) -> Response:
        return JSONResponse({"status": "ok", "messages": len(self._messages)})

    async def list(self, request: Request) -> Response:
        query = request.query_params.get("query", "")
        limit = request.query_params.get("limit", "50")
        if not re.fullmatch("[0-9]{1,4}", limit) or not 1 <= int(limit) <= _MAX_LIMIT:
            raise HTTPException(400, f"limit is a number from 1 to {_MAX_LIMIT}")
        if len(query) > _MAX_QUERY:
            raise HTTPException(400, f"query has at most {_MAX_QUERY} characters")
        before = request.query_params.get("before")
        found, count = await self._messages.find(query, limit=int(limit), before=before)
        return JSONResponse(
            {
                "messages": [_summary(message, await self._messages.read(message)) for message in found],
                "count": count,
                "total": len(self._messages),
                "size": self._messages.size,
                "keep": self._messages.keep,
                "smtp": {"host": self._smtp[0], "port": self._smtp[1]},
            }
        )

    async def clear(self, request: Request) -> Response:
        return JSONResponse({"deleted": self._messages.clear()})

    async def get(self, request: Request) -> Response:
        message, reading = await self._found(request)
        return JSONResponse(
            _envelope(message) | reading.as_dict() | {"remoteImages": remote_images(reading.html or "")}
        )

    async def delete(self, request: Request) -> Response:
        if not self._messages.delete(request.path_params["id"]):
            _missing("There is no such message")
        return JSONResponse({"deleted": 1})

    async def raw(self, request: Request) -> Response:
        message, reading = await self._found(request)
        headers = _download(f"{reading.subject[:80].strip() or message.id}.eml")
        return Response(message.raw, media_type="message/rfc822", headers=headers)

    async def html(self, request: Request) -> Response:
        message, reading = await self._found(request)
        if reading.html is None:
            _missing("This message has no HTML")
        pictures = {
            attachment.content_id: f"/api/messages/{message.id}/attachments/{attachment.index}?inline=1"
            for attachment in reversed(reading.attachments)
            if attachment.content_id
        }
        page = framed(reading.html, pictures)
        return Response(page, media_type="text/html", headers={"Content-Security-Policy": _FRAME_POLICY})

    async def attachment(self, request: Request) -> Response:
        message, reading = await self._found(request)
        index: int = request.path_params["index"]
        if index >= len(reading.attachments):
            _missing("There is no such attachment")
        attachment = reading.attachments[index]
        content = await asyncio.to_thread(attachment.content, message.raw)
        if request.query_params.get("inline") == "1" and attachment.content_id:
            # The bytes decide, not the sender's word: nothing but a plain picture is ever shown in place.
            kind = image_type(content)
            if kind is not None:
                # The frame has no origin of its own: to it, its pictures come from another one.
                headers = {
                    "Content-Security-Policy": _DOWNLOAD_POLICY,
                    "Cross-Origin-Resource-Policy": "cross-origin",
                }
                return Response(content, media_type=kind, headers=headers)
        headers = _download(_file_name(attachment))
        return Response(content, media_type="application/octet-stream", headers=headers)

    async def events(self, request: Request) -> Response:
        if self._listeners >= MAX_LISTENERS:
            raise HTTPException(503, "Too many pages listen already")
        return StreamingResponse(
            self._changes(), media_type="text/event-stream", headers={"X-Accel-Buffering": "no"}
        )

    async def _changes(self) -> AsyncIterator[str]:
        """One event per change; changes that come faster than they are read become one."""
        self._listeners += 1
        try:
            version = self._messages.version
            yield _event(version, len(self._messages))
            while not self._messages.closed:
                try:
                    async with asyncio.timeout(_KEEP_ALIVE):
                        version = await self._messages.changed(version)
                except TimeoutError:
                    yield ": still here\n\n"
                else:
                    yield _event(version, len(self._messages))
        finally:
            self._listeners -= 1

    async def _found(self, request: Request) -> tuple[Message, Reading]:
        message = self._messages.get(request.path_params["id"]) or _missing("There is no such message")
        return message, await self._messages.read(message)


def _missing(what: str) -> NoReturn:
    raise HTTPException(404, what)


def _event(version: int, count: int) -> str:
    return f"event: change\ndata: {json.dumps({'version': version, 'count': count})}\n\n"


def _envelope(message: Message) -> dict[str, Any]:
    login = message.login
    return {
        "id": message.id,
        "received": message.received.isoformat(timespec="milliseconds"),
        "envelope": {
            "from": message.sender,
            "to": list(message.recipients),
            "helo": message.helo,
            "peer": message.peer,
            "tls": message.tls,
            "smtputf8": message.smtputf8,
            "auth": None if login is None else {"mechanism": login.mechanism, "user": login.user},
        },
    }


def _summary(message: Message, reading: Reading) -> dict[str, Any]:
    whole = reading.as_dict()
    kept = ("subject", "from", "to", "cc", "date", "messageId", "size")
    return (
        _envelope(message)
        | {key: whole[key] for key in kept}
        | {"attachments": sum(not a.embedded for a in reading.attachments), "warnings": len(reading.warnings)}
    )


def _file_name(attachment: Attachment) -> str:
    extension = {"message/rfc822": "eml", "text/plain": "txt", "text/html": "html", "text/calendar": "ics"}
    return (
        attachment.filename or f"part-{attachment.index + 1}.{extension.get(attachment.content_type, 'bin')}"
    )


def _download(filename: str) -> dict[str, str]:
    """The headers of a download (RFC 6266): the name in ASCII, and as it is in UTF-8, never as a path."""
    # Controls and marks that turn the direction of text would let a name look like another one.
    name = re.sub(r"[\x00-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069/\\]", "_", filename)
    stem, dot, extension = name.strip(" .").rpartition(".")
    name = f"{stem[:120]}{dot}{extension[:20]}" if dot else name.strip(" .")[:120]
    name = name or "file"
    plain = re.sub(r"[^A-Za-z0-9 !#$&+,.@^_`{}~()\[\]=-]", "_", name)
    return {
        "Content-Disposition": f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}",
        "Content-Security-Policy": _DOWNLOAD_POLICY,
    }


async def _refused(request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 500
    detail = error.detail if isinstance(error, HTTPException) else ""
    kind = {404: "notFound", 405: "methodNotAllowed", 503: "busy"}.get(status, "invalidRequest")
    response = problem(status, kind, detail)
    response.headers.update(getattr(error, "headers", None) or {})
    return response


async def _failed(request: Request, error: Exception) -> Response:
    number = secrets.token_hex(4)
    _log.error("request %s failed", number)
    return problem(500, "internal", f"Something went wrong; the log has it as {number}")
