"""PostgreSQL for the tests of the ledger: one server a session, a schema of its own for each test.

    with postgres() as server, server.schema() as url:
        ...                             # Ledger(url)

It listens on a socket in its own folder, not on a port, and is ended by its process id. `ledger_places` is a
fixture's parameters, `place_of` its body: a new SQLite file, or a new schema.
"""

import os
import shutil
import signal
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from bed.needs import missing

ledger_places = (
    pytest.param("sqlite", id="sqlite"),
    pytest.param("postgresql", id="postgresql", marks=pytest.mark.server),
)
READY = "database system is ready to accept connections"
USER = "nina"
_numbers = count()


@dataclass(frozen=True)
class Postgres:
    """A server that runs. Its data is gone with it, so it need not wait for the disk."""

    folder: Path

    @property
    def url(self) -> str:
        return f"postgresql://{USER}@/postgres?host={quote(str(self.folder), safe='')}"

    def query(self, statement: str, *values: Any) -> list[Any]:
        """The rows of one statement, over a connection of its own."""
        import psycopg

        with psycopg.connect(self.url, autocommit=True) as connection:
            found = connection.execute(statement, values)  # type: ignore[arg-type]
            return found.fetchall() if found.description else []

    @contextmanager
    def schema(self) -> Iterator[str]:
        """The URL of an empty schema, whose name is that of the connections too."""
        name = f"test_{os.getpid()}_{next(_numbers)}"
        self.query(f"CREATE SCHEMA {name}")
        try:
            yield f"{self.url}&options=-csearch_path%3D{name}&application_name={name}"
        finally:
            self.query(f"DROP SCHEMA {name} CASCADE")

    def kill_connections(self, url: str) -> int:
        """Ends all connections to the schema of `url`, as an administrator or a firewall does."""
        name = url.rpartition("=")[2]
        which = "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE application_name = %s"
        return len(self.query(which, name))


@contextmanager
def postgres(*, durable: bool = False) -> Iterator[Postgres]:
    """A server; with `durable` one that waits for the disk, as they do."""
    programs = _programs()
    folder = Path(tempfile.mkdtemp(prefix="nina-pg-"))  # short: it is part of a socket's name
    try:
        as_whom: dict[str, Any] = {}
        if os.geteuid() == 0:  # it refuses to run as root
            as_whom = {"user": "nobody", "group": _group_of("nobody"), "extra_groups": ()}
            shutil.chown(folder, "nobody")
        data = folder / "data"
        done = subprocess.run(
            [
                programs / "initdb", "--no-sync", "--auth=trust", "--no-locale", "--encoding=UTF8",
                f"--username={USER}", f"--pgdata={data}",
            ],
            cwd=folder, capture_output=True, check=False, **as_whom,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr.decode(errors="replace")
        settings = {"listen_addresses": "", "unix_socket_directories": folder, "max_connections": 60}
        if not durable:
            settings |= {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
        options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        with ExitStack() as stack:
            server = subprocess.Popen(
                [programs / "postgres", "-D", data, *options],
                cwd=folder, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                **as_whom,
            )  # fmt: skip
            assert server.stderr
            stack.enter_context(server.stderr)
            reader = threading.Thread(target=server.stderr.read, daemon=True)  # or the pipe fills up
            stack.callback(lambda: reader.ident and reader.join())
            stack.callback(_stop, server)
            said = [""]
            for line in server.stderr:
                said.append(line.decode(errors="replace"))
                if READY in said[-1]:
                    break
            assert READY in said[-1], "".join(said) or "PostgreSQL said nothing"
            reader.start()
            yield Postgres(folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def place_of(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """Where a ledger can be: the parameter says in what."""
    if request.param == "sqlite":
        yield str(tmp_path / "mail.db")
    else:
        server: Postgres = request.getfixturevalue("postgresql")
        with server.schema() as url:
            yield url


def _stop(server: "subprocess.Popen[bytes]") -> None:
    server.send_signal(signal.SIGINT)  # it hangs up on everybody and ends
    try:
        server.wait(20)
    except subprocess.TimeoutExpired:
        server.send_signal(signal.SIGQUIT)  # at once
        server.wait(20)


def _programs() -> Path:
    """The folder of initdb and postgres, of the newest version there is. Debian has it off the path."""
    if os.name != "posix":
        missing("the tests start PostgreSQL on Unix only", "see tests/bed/postgres.py")
    if found := shutil.which("postgres"):
        folder = Path(found).resolve().parent
        if (folder / "initdb").exists():
            return folder
    versions = [path.parent for path in Path("/usr/lib/postgresql").glob("*/bin/postgres")]
    if not versions:
        missing("PostgreSQL is not installed")
    return max(versions, key=lambda path: float(path.parent.name))


def _group_of(user: str) -> int:
    import pwd

    return pwd.getpwnam(user).pw_gid
