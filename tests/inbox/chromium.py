"""Chromium over its own DevTools protocol: what a page shows, what it runs, what it complains about."""

from __future__ import annotations

import base64
import itertools
import json
import os
import re
import shutil
import subprocess
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import websocket

FLAGS = (
    "--headless",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--remote-debugging-port=0",
    "--window-size=1280,800",
)


def find() -> str | None:
    """The program, or None on a machine without it."""
    return next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


class Page:
    """One page in a browser of its own, with a fresh profile in ``profile``.

    ``problems`` collects every exception, console error and blocked request, in frames too.
    """

    def __init__(self, program: str, profile: Path) -> None:
        sandbox = ("--no-sandbox",) if os.geteuid() == 0 else ()
        self._process = subprocess.Popen(
            [program, *FLAGS, *sandbox, f"--user-data-dir={profile}", "about:blank"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        self._numbers = itertools.count(1)
        self._answers: dict[int, Any] = {}
        self.problems: list[str] = []
        self._frame: str | None = None

    def __enter__(self) -> Self:
        assert self._process.stderr is not None
        for line in self._process.stderr:
            if found := re.search(r"DevTools listening on (ws://\S+)", line):
                break
        else:
            raise AssertionError("Chromium ended before it listened")
        self._socket = websocket.create_connection(found[1], timeout=30, suppress_origin=True)
        targets = self._call("Target.getTargets", session="")["targetInfos"]
        target = next(t["targetId"] for t in targets if t["type"] == "page")
        attached = self._call("Target.attachToTarget", {"targetId": target, "flatten": True}, session="")
        self._session: str = attached["sessionId"]
        self._watch(self._session)
        return self

    def _watch(self, session: str) -> None:
        """Listens to a page, or to a frame in a process of its own, which may be gone before it answers."""
        for domain in ("Page", "Runtime", "Log", "Network"):
            self._send(f"{domain}.enable", session=session)
        attach = {"autoAttach": True, "waitForDebuggerOnStart": False, "flatten": True}
        self._send("Target.setAutoAttach", attach, session=session)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self._call("Browser.close", session="")
            self._socket.close()
            self._process.wait(10)
        finally:
            self._process.kill()
            self._process.wait()
            assert self._process.stderr is not None
            self._process.stderr.close()

    def open(self, url: str, *, width: int = 1280, height: int = 800, dark: bool = False) -> None:
        """Goes to a page."""
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        self._call("Emulation.setDeviceMetricsOverride", size)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self._call("Emulation.setEmulatedMedia", {"features": [scheme]})
        self._call("Page.navigate", {"url": url})

    def evaluate(self, expression: str) -> Any:
        """The value of an expression in the page, promises awaited."""
        answer = self._call(
            "Runtime.evaluate", {"expression": expression, "awaitPromise": True, "returnByValue": True}
        )
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def until(self, expression: str, seconds: float = 15) -> None:
        """Waits until an expression is true; the page is asked once per frame it draws."""
        attempt = f"(() => {{ try {{ return !!({expression}) }} catch {{ return false }} }})()"
        end = time.monotonic() + seconds
        while not self.evaluate(f"new Promise(done => requestAnimationFrame(() => done({attempt})))"):
            assert time.monotonic() < end, f"never true: {expression}; problems: {self.problems}"

    def press(self, key: str, text: str = "") -> None:
        """Presses and releases a key."""
        for kind in ("keyDown", "keyUp"):
            event = {"type": kind, "key": key, "code": key}
            self._call("Input.dispatchKeyEvent", event | ({"text": text} if kind == "keyDown" else {}))

    def in_frame(self, expression: str) -> Any:
        """The value of an expression in the newest frame that has a process of its own."""
        assert self._frame, "there is no such frame"
        parameters = {"expression": expression, "returnByValue": True}
        return self._call("Runtime.evaluate", parameters, self._frame)["result"].get("value")

    def until_in_frame(self, expression: str, seconds: float = 15) -> None:
        """Waits until an expression is true in that frame, and until there is one."""
        end = time.monotonic() + seconds
        while True:
            # Each call to the page also takes in what the browser tells about its frames.
            self.evaluate("new Promise(done => requestAnimationFrame(done))")
            if self._frame and self.in_frame(expression):
                return
            assert time.monotonic() < end, f"never true: {expression}; problems: {self.problems}"

    def screenshot(self, file: Path) -> None:
        """Writes what the page shows."""
        file.write_bytes(base64.b64decode(self._call("Page.captureScreenshot")["data"]))

    def _send(self, method: str, parameters: dict[str, Any] | None = None, session: str | None = None) -> int:
        number = next(self._numbers)
        request: dict[str, Any] = {"id": number, "method": method, "params": parameters or {}}
        if session != "":
            request["sessionId"] = session or self._session
        self._socket.send(json.dumps(request))
        return number

    def _call(self, method: str, parameters: dict[str, Any] | None = None, session: str | None = None) -> Any:
        number = self._send(method, parameters, session)
        while number not in self._answers:
            received = json.loads(self._socket.recv())
            if "id" in received:
                self._answers[received["id"]] = received
            else:
                self._note(received["method"], received["params"])
        answer = self._answers.pop(number)
        assert "error" not in answer, (method, answer["error"])
        return answer["result"]

    def _note(self, method: str, event: dict[str, Any]) -> None:
        if method == "Runtime.exceptionThrown":
            self.problems.append(f"exception: {event['exceptionDetails']}")
        elif method == "Runtime.consoleAPICalled" and event["type"] in {"error", "warning", "assert"}:
            self.problems.append(f"console: {event['args']}")
        elif method == "Log.entryAdded" and event["entry"]["level"] in {"error", "warning"}:
            self.problems.append(f"log: {event['entry']['text']} {event['entry'].get('url', '')}")
        elif method == "Network.loadingFailed" and event.get("blockedReason"):
            self.problems.append(f"blocked: {event['blockedReason']}")
        elif method == "Target.attachedToTarget":
            self._watch(event["sessionId"])
            if event["targetInfo"]["type"] == "iframe":
                self._frame = event["sessionId"]
        elif method == "Page.javascriptDialogOpening":
            self.problems.append(f"dialog: {event['message']}")
            self._send("Page.handleJavaScriptDialog", {"accept": False})
