"""An action of the connector, run as a person would, against a server that keeps what it got."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from bed.mail import Mail
from bed.oauth import CLIENT_ID, CLIENT_SECRET, OAuthServer
from bed.parts import headers_of
from bed.readers import readers
from bed.recorder import Recorder
from bed.xoauth2 import TokenRecorder

from nina_smtp.cli import main

SENDER, RECEIVER = "sender@testdomain.com", "receiver@testdomain.com"


@dataclass(frozen=True)
class Done:
    """The exit status, what was printed as JSON, and the words on standard error."""

    status: int
    printed: Any
    words: str

    @property
    def result(self) -> Any:
        return self.printed["action_result"]

    @property
    def message(self) -> str:
        text: str = self.result["message"]
        return text


class Soar:
    """``soar("send email", {…})`` runs the action; ``asset`` changes variables, None takes one away."""

    def __init__(self, folder: Path, recorder: Recorder, capture: Any) -> None:
        self.folder = folder
        self.recorder = recorder
        self._capture = capture

    def configuration(self, **variables: Any) -> dict[str, Any]:
        usual = {"server": "127.0.0.1", "port": self.recorder.port, "ssl_config": "None"}
        merged = usual | {"sender_address": SENDER} | variables
        return {key: value for key, value in merged.items() if value is not None}

    def file(self, name: str, value: Any) -> str:
        path = self.folder / name
        path.write_text(value if isinstance(value, str) else json.dumps(value), encoding="utf-8")
        return str(path)

    def __call__(
        self, action: str, parameters: Any = None, *options: str, asset: Any = None, vault: Any = None
    ) -> Done:
        arguments = ["soar", self.file("asset.json", self.configuration(**(asset or {}))), action]
        if parameters is not None:
            arguments.append(self.file("parameters.json", parameters))
        if vault is not None:
            arguments += ["--vault", vault if isinstance(vault, str) else self.file("vault.json", vault)]
        return self.run(*arguments, *options)

    def run(self, *arguments: str) -> Done:
        self._capture.readouterr()
        status = main(list(arguments))
        out, err = self._capture.readouterr()
        return Done(status, json.loads(out), err.decode())

    @property
    def mail(self) -> Mail:
        """The only mail that the server got."""
        (message,) = self.recorder.messages
        return readers()["python"](message.content)

    @property
    def headers(self) -> dict[str, str]:
        (message,) = self.recorder.messages
        return {name.lower(): value.strip() for name, value in headers_of(message.content)}

    @property
    def recipients(self) -> list[str]:
        (message,) = self.recorder.messages
        return [one.decode() for one in message.recipients]


@dataclass(frozen=True)
class Connected:
    """An account that a person, whom the test plays, has connected by ``test connectivity``.

    ``folder`` has asset.json and its tokens.
    """

    done: Done
    folder: Path
    provider: OAuthServer
    recorder: TokenRecorder

    def asked(self, path: str) -> dict[str, str]:
        """What the provider was asked there first."""
        return next(form for where, form in self.provider.requests if where == path)

    @property
    def mechanism(self) -> bytes:
        return self.recorder.sessions[0].exchanges[0].mechanism


def oauth_asset(provider: OAuthServer, recorder: Recorder, **more: Any) -> dict[str, Any]:
    return {
        "server": "localhost",
        "port": recorder.port,
        "ssl_config": "None",
        "username": "alice@mail.test",
        "client_id": CLIENT_ID,
        "client_secret": "${CLIENT_SECRET}",
        "auth_url": provider.auth_url,
        "token_url": provider.token_url,
        "scopes": "https://mail.test/ offline_access",
    } | more


def connect(folder: Path, *arguments: str) -> Done:
    """Runs test connectivity on asset.json, and agrees at the URL that it shows."""
    command = [sys.executable, "-m", "nina_smtp", "soar", "asset.json", "test connectivity", "--no-browser"]
    process = subprocess.Popen(
        [*command, *arguments],
        cwd=folder,
        env=os.environ | {"CLIENT_SECRET": CLIENT_SECRET},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    guard = threading.Timer(60, process.kill)
    guard.start()
    with process:
        assert process.stdout
        assert process.stderr
        heard = ""
        for line in process.stderr:
            heard += line
            if line.startswith("http"):
                answer = httpx.get(line.strip(), follow_redirects=True, trust_env=False, timeout=20)
                answer.raise_for_status()
        printed = process.stdout.read()
    guard.cancel()
    return Done(process.returncode, json.loads(printed), heard)
