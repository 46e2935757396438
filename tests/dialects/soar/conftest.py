"""A server that keeps what it got, and the command that sends to it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from bed.oauth import CLIENT_SECRET, OAuthServer
from bed.recorder import Recorder
from bed.xoauth2 import TokenRecorder
from dialects.soar.running import Connected, Soar, connect, oauth_asset


@pytest.fixture
def recorder() -> Iterator[Recorder]:
    with Recorder() as running:
        yield running


@pytest.fixture
def soar(tmp_path: Path, recorder: Recorder, capsysbinary: Any) -> Soar:
    return Soar(tmp_path, recorder, capsysbinary)


@pytest.fixture(scope="session")
def connected(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Connected]:
    """An account that was connected; every test may look at it, and send by it."""
    folder = tmp_path_factory.mktemp("connected")
    with OAuthServer(secret=CLIENT_SECRET) as provider, TokenRecorder() as recorder:
        recorder.good = provider.issued
        (folder / "asset.json").write_text(json.dumps(oauth_asset(provider, recorder)), encoding="utf-8")
        yield Connected(connect(folder), folder, provider, recorder)
