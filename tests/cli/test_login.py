"""``nina-smtp login``: a person connects an account, whom the test plays, and mail goes out with it."""

from __future__ import annotations

import json
import re
import stat
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from bed.invariants import check_no_secret
from bed.oauth import CLIENT_ID, CLIENT_SECRET, OAuthServer
from bed.xoauth2 import TokenRecorder

from nina_smtp.cli import main

NODE = {"parameters": {"to": "b@x.test", "subject": "s", "body": "B"}}


@pytest.fixture
def provider() -> Iterator[OAuthServer]:
    with OAuthServer(secret=CLIENT_SECRET, rotating=True) as running:
        yield running


@pytest.fixture
def mail(provider: OAuthServer) -> Iterator[TokenRecorder]:
    with TokenRecorder() as running:
        running.good = provider.issued
        yield running


@pytest.fixture
def credential(provider: OAuthServer, mail: TokenRecorder, write: Any) -> Callable[..., str]:
    """``credential(grant="deviceCode")`` writes cred.json."""

    def put(**fields: Any) -> str:
        data = {
            "host": "localhost",
            "port": mail.port,
            "encryption": "none",
            "username": "alice@mail.test",
            "clientId": CLIENT_ID,
            "clientSecret": "${CLIENT_SECRET}",
            "authUrl": provider.auth_url,
            "tokenUrl": provider.token_url,
            "deviceUrl": provider.device_url,
            "scopes": "https://mail.test/",
            "grant": "authorizationCode",
        }
        write("node.json", NODE)
        written: str = write("cred.json", {"type": "smtpOAuth2", "data": data | fields})
        return written

    return put


def visit(url: str) -> None:
    """What a browser does with somebody who agrees."""
    httpx.get(url, follow_redirects=True, trust_env=False, timeout=20).raise_for_status()


def log_in(folder: Path, *arguments: str) -> tuple[int, str, str]:
    """Runs the command, and agrees at the URL that it shows."""
    import os

    process = subprocess.Popen(
        [sys.executable, "-m", "nina_smtp", "login", "cred.json", "--no-browser", *arguments],
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
                visit(line.strip())
        printed = process.stdout.read()
    guard.cancel()
    return process.returncode, printed, heard


# -- failing -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "parameter"),
    [({"grant": "clientCredentials"}, "grant"), ({"grant": "refreshToken", "refreshToken": "rt"}, "grant")],
)
def test_where_nobody_has_to_log_in_it_says_so(
    cli: Any, credential: Any, provider: OAuthServer, fields: dict[str, Any], parameter: str
) -> None:
    ran = cli("login", credential(**fields), CLIENT_SECRET=CLIENT_SECRET)
    assert ran.status == 2
    assert ran.json["error"]["parameter"] == parameter
    assert provider.requests == []


def test_a_credential_with_a_password_has_nobody_to_log_in(cli: Any, write: Any) -> None:
    ran = cli("login", write("cred.json", {"host": "h.test", "authMethod": "none"}))
    assert (ran.status, ran.json["error"]["parameter"]) == (2, "type")


def test_a_credential_from_standard_input_has_no_place_for_tokens(cli: Any) -> None:
    assert cli("login", "-", stdin="{}").status == 2


def test_a_person_who_says_no(credential: Any, provider: OAuthServer, tmp_path: Path) -> None:
    provider.says_no = True
    credential()
    status, printed, _ = log_in(tmp_path)
    assert (status, json.loads(printed)["error"]["type"]) == (3, "authFailed")
    assert not (tmp_path / "cred.tokens.json").exists()


def test_nobody_who_comes(cli: Any, credential: Any) -> None:
    ran = cli("login", credential(), "--no-browser", "--timeout", "0.05", CLIENT_SECRET=CLIENT_SECRET)
    assert ran.status == 3
    assert "Nobody came back" in ran.stderr


def test_before_anybody_has_logged_in_a_mail_says_how(cli: Any, credential: Any, mail: TokenRecorder) -> None:
    ran = cli("send", "node.json", "--credential", credential(), CLIENT_SECRET=CLIENT_SECRET)
    assert ran.status == 3
    assert "nina-smtp login" in ran.json["error"]["hint"]
    assert mail.exchanges == []


def test_tokens_that_others_may_read_are_not_used(cli: Any, credential: Any, tmp_path: Path) -> None:
    credential()
    (tmp_path / "cred.tokens.json").write_text("{}")
    (tmp_path / "cred.tokens.json").chmod(0o644)
    ran = cli("send", "node.json", "--credential", "cred.json", CLIENT_SECRET=CLIENT_SECRET)
    assert ran.status == 3
    assert "chmod 600" in ran.stderr


# -- connected ---------------------------------------------------------------------------------------


def test_a_person_agrees_in_a_browser_and_mail_goes_out_from_then_on(
    cli: Any, credential: Any, provider: OAuthServer, mail: TokenRecorder, tmp_path: Path
) -> None:
    path = credential()
    provider.lifetime = 0.001  # so that each command renews, and has to keep what it got
    status, printed, heard = log_in(tmp_path)
    assert status == 0, heard
    told = json.loads(printed)
    kept = tmp_path / "cred.tokens.json"
    assert (told["username"], told["tokens"]) == ("alice@mail.test", str(kept))
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    ran = [cli("send", "node.json", "--credential", path, CLIENT_SECRET=CLIENT_SECRET) for _ in range(2)]
    ran.append(cli("test", path, CLIENT_SECRET=CLIENT_SECRET))
    assert [one.status for one in ran] == [0, 0, 0], ran
    assert re.search(r"^ok +token ", ran[-1].stderr, re.MULTILINE)
    assert len(mail.messages) == 2
    assert provider.asked_for_tokens >= 3
    assert len({form["refresh_token"] for _, form in provider.requests if "refresh_token" in form}) >= 2
    texts = [printed, heard, *(one.stdout + one.stderr for one in ran)]
    secrets = [CLIENT_SECRET, *provider.issued, *provider.refresh_tokens]
    check_no_secret(texts, secrets, "alice@mail.test")


def test_a_person_enters_a_code_elsewhere(
    cli: Any, credential: Any, mail: TokenRecorder, provider: OAuthServer
) -> None:
    honest = provider.device
    provider.device = lambda form: (200, honest(form)[1] | {"interval": 1})  # type: ignore[method-assign]
    ran = cli("login", credential(grant="deviceCode"), CLIENT_SECRET=CLIENT_SECRET)
    assert ran.status == 0, ran.stderr
    assert "ABCD-EFGH" in ran.stderr
    assert f"{provider.url}/activate" in ran.stderr
    assert cli("send", "node.json", "--credential", "cred.json", CLIENT_SECRET=CLIENT_SECRET).status == 0
    check_no_secret([ran.stdout, ran.stderr], ["device-c0de/+=", *provider.issued])


def test_an_application_needs_no_login_and_leaves_no_file(
    cli: Any, credential: Any, mail: TokenRecorder, tmp_path: Path
) -> None:
    path = credential(grant="clientCredentials")
    assert cli("send", "node.json", "--credential", path, CLIENT_SECRET=CLIENT_SECRET).status == 0
    assert not (tmp_path / "cred.tokens.json").exists()


def test_a_refresh_token_that_rotates_is_kept_beside_the_credential(
    cli: Any, credential: Any, provider: OAuthServer, mail: TokenRecorder, tmp_path: Path
) -> None:
    provider.refresh_tokens.add("rt-mine")
    provider.lifetime = 0.001
    path = credential(grant="refreshToken", refreshToken="rt-mine")
    for _ in range(2):
        assert cli("send", "node.json", "--credential", path, CLIENT_SECRET=CLIENT_SECRET).status == 0
    assert (tmp_path / "cred.tokens.json").exists()
    assert len(mail.messages) == 2


def test_the_browser_is_opened_unless_it_is_not_wanted(
    credential: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    credential()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CLIENT_SECRET", CLIENT_SECRET)
    monkeypatch.setattr("webbrowser.open", visit)
    assert main(["login", "cred.json", "--redirect", "http://localhost/back"]) == 0
    assert json.loads(capsys.readouterr().out)["scopes"] == ["https://mail.test/"]
