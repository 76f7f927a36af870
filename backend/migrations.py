"""Bring a database to the present schema: one at a time, with a backup first, never backwards by accident."""

import fcntl
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Final

from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, NullPool, create_engine, event, text
from sqlalchemy.engine import make_url

from alembic import command
from backend.domain.errors import Conflict, Unavailable
from backend.storage.permissions import make_private_file

SCRIPTS: Final = Path(__file__).resolve().parent.parent / "alembic"
# Any number that no other program on the same PostgreSQL uses as its lock.
_ADVISORY_LOCK: Final = 7_355_608_001


class NewerSchema(Conflict):
    """The database was last used by a newer version of the product."""

    code = "database-newer"

    def __init__(self, found: str, known: str) -> None:
        super().__init__(
            f"This database has schema {found}, made by a newer Tellapart; this one knows schemas up to {known}.",
            advice="Start the newer version again, or put back the backup that it made beside the database before it "
            "changed it.",
            details={"found": found, "known": known},
        )


class OlderSchema(Unavailable):
    """The database hasn't been brought to this version yet."""

    code = "database-older"

    def __init__(self, found: str | None, needed: str) -> None:
        super().__init__(
            f"This database has {f'schema {found}' if found else 'no tables yet'}; this version needs {needed}.",
            advice="Start the web server of this version, or run `tellapart migrate`.",
            details={"found": found, "needed": needed},
        )


class BackupFailed(Unavailable):
    """The copy that is made before a change of schema can't be read back."""

    code = "backup-failed"

    def __init__(self, file: Path, reason: str) -> None:
        super().__init__(
            f"The database was not changed, because its backup {file} could not be made: {reason}.",
            advice="Make room on the disk, check the folder's permissions, and start again.",
        )


class BrokenReferences(Conflict):
    """After a change of schema some rows would point to rows that are gone."""

    code = "migration-broke-references"

    def __init__(self, tables: list[str]) -> None:
        super().__init__(
            f"The database was not changed: rows of {', '.join(tables)} would point to nothing.",
            advice="Please report this, with the version that you came from; the former version still works.",
        )


def upgrade(url: str, revision: str = "head") -> None:
    """Bring the database at ``url`` to ``revision``; two servers that start together take turns.

    Raises:
        NewerSchema: the database is ahead of this code.
        BackupFailed: on SQLite, the copy made beforehand is not sound.
    """
    with _migrating(url) as (connection, config):
        command.upgrade(config, revision)
        _check_references(connection)


def downgrade(url: str, revision: str) -> None:
    """Take the database back to ``revision``; ``base`` is before the first one."""
    with _migrating(url) as (connection, config):
        command.downgrade(config, revision)
        _check_references(connection)


def current(url: str) -> str | None:
    """The schema that the database has, or None where it has none yet."""
    engine = _engine(url)
    with engine.connect() as connection:
        return _revision(connection)


def check(url: str) -> None:
    """See whether the database has the schema that this code needs, and change nothing.

    Raises:
        NewerSchema: the database is ahead.
        OlderSchema: it is behind.
    """
    if (file := sqlite_file(url)) is not None and not file.exists():
        raise OlderSchema(None, newest())  # to look must not make one
    engine = _engine(url)
    _refuse_newer(engine)
    if (found := current(url)) != newest():
        raise OlderSchema(found, newest())


def draft(message: str) -> None:
    """Write the next migration from what the tables have and the migrations haven't; to be put right by hand."""
    with tempfile.TemporaryDirectory() as folder:
        url = f"sqlite:///{folder}/draft.sqlite3"
        upgrade(url)
        with _engine(url).begin() as connection:
            revision = f"{int(newest()) + 1:04d}"
            command.revision(config_for(connection), message, autogenerate=True, rev_id=revision)


def newest() -> str:
    """The schema that this code needs."""
    head = ScriptDirectory.from_config(config_for(None)).get_current_head()
    assert head is not None, "there is one newest migration"
    return head


def config_for(connection: Connection | None) -> Config:
    """Alembic's configuration; there is no ``alembic.ini``, so that nothing is said twice."""
    config = Config()
    config.set_main_option("script_location", str(SCRIPTS))
    config.attributes["connection"] = connection
    return config


@contextmanager
def _migrating(url: str) -> Iterator[tuple[Connection, Config]]:
    """One transaction around all that is to be done, with nobody else at it."""
    engine = _engine(url)
    with _turn(engine):
        _refuse_newer(engine)
        _back_up(engine)
        with engine.begin() as connection:
            if connection.dialect.name == "postgresql":
                # Freed by the end of the transaction, however that comes.
                connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _ADVISORY_LOCK})
            yield connection, config_for(connection)


def _engine(url: str) -> Engine:
    """Connections without the time limits of everyday use, and, on SQLite, without foreign keys.

    A table that Alembic copies is dropped for a moment; with foreign keys on, the rows that
    point to it would go with it. The setting can't be changed inside a transaction.
    """
    if make_url(url).get_backend_name() != "sqlite":
        return create_engine(url, poolclass=NullPool)
    if (file := sqlite_file(url)) is not None:
        file.parent.mkdir(parents=True, exist_ok=True)
        make_private_file(file)  # its WAL gets the same rights
    engine = create_engine(url, poolclass=NullPool)

    @event.listens_for(engine, "connect")
    def _set_up(connection: Any, _record: object) -> None:  # Any: a DB-API connection
        connection.isolation_level = None
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "busy_timeout=60000", "foreign_keys=OFF"):
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    return engine


def sqlite_file(url: str) -> Path | None:
    """The file of an SQLite database; None for a server or one in memory."""
    parts = make_url(url)
    return Path(parts.database) if parts.get_backend_name() == "sqlite" and parts.database else None


@contextmanager
def _turn(engine: Engine) -> Iterator[None]:
    """Wait until no other process migrates this SQLite file; its backup can't be part of a transaction."""
    file = sqlite_file(str(engine.url))
    if file is None:
        yield
        return
    with file.with_name(f"{file.name}.migrating").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _revision(connection: Connection) -> str | None:
    return MigrationContext.configure(connection).get_current_revision()


def _refuse_newer(engine: Engine) -> None:
    with engine.connect() as connection:
        found = _revision(connection)
    scripts = ScriptDirectory.from_config(config_for(None))
    known = [script.revision for script in scripts.walk_revisions()]
    if found is not None and found not in known:
        raise NewerSchema(found, known[0])


def _back_up(engine: Engine) -> None:
    """Copy an SQLite database that is about to change, and read the copy back."""
    file = sqlite_file(str(engine.url))
    if file is None:
        return
    with engine.connect() as connection:
        found = _revision(connection)
    if found is None or found == newest():
        return
    copy = file.with_name(f"{file.name}.before-{newest()}")
    unfinished = file.with_name(f"{copy.name}.unfinished")
    try:
        unfinished.unlink(missing_ok=True)
        make_private_file(unfinished)
        with closing(sqlite3.connect(file)) as database:
            database.execute("VACUUM INTO ?", (str(unfinished),))
        with closing(sqlite3.connect(unfinished)) as database:
            (verdict,) = database.execute("PRAGMA integrity_check").fetchone()
    except (sqlite3.Error, OSError) as error:
        raise BackupFailed(copy, str(error)) from error
    if verdict != "ok":
        raise BackupFailed(copy, verdict)
    unfinished.replace(copy)


def _check_references(connection: Connection) -> None:
    if connection.dialect.name != "sqlite":
        return
    broken = sorted({row[0] for row in connection.exec_driver_sql("PRAGMA foreign_key_check")})
    if broken:
        raise BrokenReferences(broken)
