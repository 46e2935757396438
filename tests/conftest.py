"""Fixtures for all tests: the certificates, and real mail servers, each started when first asked for."""

import os
import random
import sys
from collections.abc import Iterator

import pytest
from bed import mailservers
from bed.certs import Certs, make_certs
from bed.mailservers import Mailboxes, MailHost
from bed.tokens import TokenServer
from hypothesis import settings

# A busy machine is no fault of the code: no example has a time limit.
settings.register_profile("nina", deadline=None)
settings.load_profile("nina")

SERVERS = {"dovecot", "postfix", "exim", "mail_host"}


# Tests of the test bed, and those that hold a budget of processor time, which tracing would use up; and those
# that try out very much, as all of Hypothesis do: what they run through others run through, too.
NOT_TRACED = {
    "test_bed.py",
    "test_bad_inputs.py",
    "test_template_bounds.py",
    "test_readable.py",
    "test_transcript.py",
}


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_setupnodes() -> None:
    """All workers have one seed for hashes, so that they find the same tests even where a set is in them."""
    os.environ.setdefault("PYTHONHASHSEED", str(random.SystemRandom().randrange(2**32)))


@pytest.hookimpl(tryfirst=True)
def pytest_sessionstart(session: pytest.Session) -> None:
    """With pytest-xdist the workers measure coverage, each for itself, from the end of this hook on.

    What pytest-cov began before would go on: in who hands out the tests, and in a worker whenever `no_cover`
    pauses what it began afterwards.
    """
    config = session.config
    if hasattr(config, "workerinput") or config.getoption("numprocesses", None):
        coverage = sys.modules.get("coverage")
        if coverage and (begun := coverage.Coverage.current()):
            begun.stop()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A test that uses a real server is marked `server` by that, and comes first.

    So one worker has them all, while the others take what is at the end, and each server is started once.
    """
    for item in items:
        fuzz = hasattr(getattr(item, "function", None), "hypothesis")
        if item.path.name in NOT_TRACED or fuzz:
            item.add_marker(pytest.mark.no_cover)
        if SERVERS & set(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.server)
    items.sort(key=lambda item: item.get_closest_marker("server") is None)


@pytest.fixture(scope="session")
def certs() -> Certs:
    return make_certs()


@pytest.fixture(scope="session")
def tokens() -> Iterator[TokenServer]:
    """OAuth: tok-alice-… is a good token for Postfix, through Dovecot."""
    with TokenServer() as server:
        yield server


@pytest.fixture(scope="session")
def relay_port() -> int:
    """Where Postfix takes mail in plain; Dovecot's submission server, which starts first, sends it there."""
    return mailservers.free_ports(1)[0]


@pytest.fixture(scope="session")
def dovecot(certs: Certs, tokens: TokenServer, relay_port: int) -> Iterator[Mailboxes]:
    with mailservers.dovecot(certs, f"{tokens.url}/introspect", relay_port) as mailboxes:
        yield mailboxes


@pytest.fixture(scope="session")
def postfix(certs: Certs, dovecot: Mailboxes, relay_port: int) -> Iterator[MailHost]:
    with mailservers.postfix(certs, dovecot, relay_port) as host:
        yield host


@pytest.fixture(scope="session")
def exim(certs: Certs, dovecot: Mailboxes) -> Iterator[MailHost]:
    with mailservers.exim(certs, dovecot) as host:
        yield host


@pytest.fixture(params=["postfix", "exim"])
def mail_host(request: pytest.FixtureRequest) -> MailHost:
    """Each real server in turn."""
    host: MailHost = request.getfixturevalue(request.param)
    return host
