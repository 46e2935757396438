"""Fixtures for all tests: the certificates, and real mail servers, each started when first asked for."""

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


# Tests of the test bed, and those that hold a budget of processor time, which tracing would use up.
NOT_TRACED = {"test_bed.py", "test_bad_inputs.py"}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A test that uses a real server is marked `server` by that."""
    for item in items:
        if item.path.name in NOT_TRACED:
            item.add_marker(pytest.mark.no_cover)
        if SERVERS & set(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.server)


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
