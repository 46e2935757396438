"""Opens the ledger's database: a file (SQLite), or a URL of PostgreSQL. The same statements run on both."""

from __future__ import annotations

import os
import re
import secrets
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url, select
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.exc import ArgumentError, NoSuchModuleError

from nina_smtp.delivery.ledger.tables import facts, metadata
from nina_smtp.errors import LedgerFailed, ParameterError

if TYPE_CHECKING:
    from sqlalchemy import Executable, Table

SCHEMA = "1"
_BUSY = 30_000  # milliseconds that one process waits for another's transaction
_PASSWORD = re.compile(r"(?<=//)\S*(?=@)")  # and the user before it


def engine_for(place: str | Path) -> Engine:
    """The engine for a file or a URL. Raises ParameterError, LedgerFailed."""
    text = str(place)
    if not text:
        raise ParameterError("The ledger has no name.", hint="Name a file.", parameter="ledger")
    if "://" in text and text.count("@") > 1:
        raise ParameterError(
            "The ledger's URL has more than one @.",
            hint="Write an @ in a user name or a password as %40, and a / as %2F.",
            parameter="ledger",
        )
    try:
        if "://" in text:
            url = make_url(re.sub(r"^postgres(ql)?://", "postgresql+psycopg://", text))
        else:
            url = URL.create("sqlite", database=text)  # a name may have a ? in it
        if url.get_backend_name() not in ("sqlite", "postgresql"):
            raise ParameterError(
                f"A ledger cannot be in {url.get_backend_name()}.",
                hint="Name a file for SQLite, or a postgresql:// URL.",
                parameter="ledger",
            )
        if url.get_backend_name() == "sqlite":
            url = url.set(database=str(_private_file(url.database)))
        engine = create_engine(url, pool_pre_ping=False, max_identifier_length=60)
    except ParameterError:
        raise
    except (ArgumentError, NoSuchModuleError, ValueError):  # a port that is no number, say
        raise ParameterError(
            f"{_PASSWORD.sub('***', text.partition('?')[0])[:200]} is neither a file nor a database URL.",
            hint="Name a file for SQLite, or a postgresql:// URL.",
            parameter="ledger",
        ) from None
    except ImportError:
        raise LedgerFailed(
            "A ledger in PostgreSQL needs psycopg.",
            hint="Install it with: pip install 'nina-smtp[postgres]'",
        ) from None
    if url.get_backend_name() == "sqlite":
        _make_durable(engine)
    return engine


def prepare(engine: Engine) -> bytes:
    """Makes the tables unless they are there; returns the key of this installation's Message-IDs.

    Raises LedgerFailed for a ledger of another version.
    """
    with engine.begin() as connection:
        if engine.dialect.name == "postgresql":  # two processes may start at once
            connection.exec_driver_sql("SELECT pg_advisory_xact_lock(7829001)")
        metadata.create_all(connection)
        insert_new(connection, facts, [{"name": "schema", "value": SCHEMA}])
        insert_new(connection, facts, [{"name": "installation", "value": secrets.token_hex(32)}])
        found: dict[str, str] = {row.name: row.value for row in connection.execute(select(facts))}
    if found["schema"] != SCHEMA:
        raise LedgerFailed(
            f"The ledger has format {found['schema']}; this version reads format {SCHEMA}.",
            hint="Use the version of nina-smtp that wrote it, or another ledger.",
        )
    return bytes.fromhex(found["installation"])


def insert_new(connection: Connection, table: Table, rows: list[dict[str, Any]]) -> None:
    """Inserts the rows whose key is not there."""
    connection.execute(_new(connection.dialect.name, table), rows)


@lru_cache
def _new(dialect: str, table: Table) -> Executable:
    insert = postgresql_insert if dialect == "postgresql" else sqlite_insert
    return insert(table).on_conflict_do_nothing()


def failed(error: Exception, place: str = "") -> LedgerFailed:
    """What went wrong, at ``place`` if it is given, without statements, values, users and passwords."""
    cause = getattr(error, "orig", None) or error
    why = " ".join(str(cause).split())[:300] or type(cause).__name__
    shown = f" {_PASSWORD.sub('***', place.partition('?')[0])[:200]}" if place else ""
    return LedgerFailed(
        f"The ledger{shown} cannot be used: {_PASSWORD.sub('***', why)}",
        hint="Nothing is sent that cannot be put on record. Check the disk, or the database, and its rights.",
    )


def _private_file(name: str | None) -> Path:
    """The file, there and, if it is new, its owner's alone: it holds what is in the mails."""
    if not name or name.startswith((":memory:", "file:")):
        raise ParameterError("A ledger has to be in a file.", hint="Name one.", parameter="ledger")
    path = Path(name).absolute()
    if path.is_dir():
        raise ParameterError(f"{name} is a folder.", hint="Name a file.", parameter="ledger")
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
    except OSError as error:
        raise ParameterError(
            f"{path} cannot be opened: {error.strerror}.",
            hint="Name a file that can be written to.",
            parameter="ledger",
        ) from None
    return path


def _make_durable(engine: Engine) -> None:
    @event.listens_for(engine, "connect")
    def _connected(connection: Any, _: Any) -> None:  # pyright: ignore[reportUnusedFunction]
        connection.isolation_level = None  # else the driver begins transactions when it likes
        for pragma in (f"busy_timeout={_BUSY}", "journal_mode=WAL", "synchronous=FULL"):
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def _begun(connection: Connection) -> None:  # pyright: ignore[reportUnusedFunction]
        connection.exec_driver_sql("BEGIN IMMEDIATE")
