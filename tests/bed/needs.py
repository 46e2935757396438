"""What a test needs of the machine: skip with the reason, or fail where the machine should have it."""

import os
from pathlib import Path
from typing import NoReturn

import pytest

INSTALL = "tests/bed/install-servers.sh installs it on Debian, as root"


def cache() -> Path:
    """Where install-servers.sh unpacks what cannot be installed: outside the repository."""
    root = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(os.environ.get("NINA_TEST_CACHE") or Path(root) / "nina-smtp")


def missing(what: str, remedy: str = INSTALL) -> NoReturn:
    """Skip the test; with NINA_REQUIRE_SERVERS=1, as in CI, fail it."""
    reason = f"{what}; {remedy}"
    if os.environ.get("NINA_REQUIRE_SERVERS") == "1":
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)
