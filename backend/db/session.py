"""Engines and sessions.

SQLite's defaults lose data or fail under load, so every connection is set up:
WAL, full sync, foreign keys, a long busy time-out, and write transactions that
take the write lock at once (a read that turns into a write can't wait for it).
"""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import ExceptionContext, make_url
from sqlalchemy.exc import InterfaceError, OperationalError, ProgrammingError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.orm import Session, sessionmaker

DATABASE_AWAY: Final = (OperationalError, InterfaceError, PoolTimeout)
"""What the driver and the pool raise while the database can't be reached or is too busy; worth another try later.

Integrity, data and programming errors are faults of ours, which no waiting heals: they aren't among these.
"""


class ReadSession(Session):
    """A session for looking; nothing done through it is ever committed."""


class WriteSession(Session):
    """A session that may change rows; ``Database.write`` commits it."""


class Database:
    """One engine, and the two kinds of session on it."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.engine = _make_engine(url)
        self._read = sessionmaker(self.engine, class_=ReadSession, autoflush=False)
        self._write = sessionmaker(
            self.engine.execution_options(begin_immediate=True), class_=WriteSession, expire_on_commit=False
        )

    @property
    def is_sqlite(self) -> bool:
        """Whether this is the embedded database."""
        return self.engine.dialect.name == "sqlite"

    @contextmanager
    def read(self) -> Iterator[ReadSession]:
        """A session whose transaction is rolled back at the end."""
        with self._read() as session:
            yield session

    @contextmanager
    def write(self) -> Iterator[WriteSession]:
        """A session that commits when the block ends well and rolls back when it doesn't."""
        with self._write() as session, session.begin():
            yield session

    def dispose(self) -> None:
        """Close all connections."""
        self.engine.dispose()


def _make_engine(url: str) -> Engine:
    if make_url(url).get_backend_name() == "sqlite":
        engine = create_engine(url, connect_args={"timeout": 10}, hide_parameters=True)
        event.listen(engine, "connect", _set_up_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
        event.listen(engine, "handle_error", _tell_faults_from_absence)
        return engine
    engine = create_engine(
        url,
        hide_parameters=True,  # values of people's rows have no business in an error's text
        pool_pre_ping=True,
        pool_size=10,
        max_overflow=10,
        pool_timeout=10,
        pool_recycle=1800,
    )
    event.listen(engine, "connect", _set_up_postgresql)
    return engine


def _set_up_sqlite(connection: Any, _record: object) -> None:  # Any: a DB-API connection
    # BEGIN is sent by ``_begin_sqlite``; the driver's own, deferred one would come too late.
    connection.isolation_level = None
    for pragma in (
        "journal_mode=WAL",
        "synchronous=FULL",
        "busy_timeout=10000",
        "foreign_keys=ON",
        "journal_size_limit=67108864",
    ):
        connection.execute(f"PRAGMA {pragma}")


def _tell_faults_from_absence(context: ExceptionContext) -> None:
    """Make SQLite's "no such column" a programming error; its driver calls it operational, as it calls a busy file.

    Raises:
        ProgrammingError: the statement itself is wrong, so that no repetition helps.
    """
    error = context.original_exception
    if isinstance(error, sqlite3.OperationalError) and error.sqlite_errorcode == sqlite3.SQLITE_ERROR:
        raise ProgrammingError(context.statement, context.parameters, error) from error


def _begin_sqlite(connection: Connection) -> None:
    immediate = connection.get_execution_options().get("begin_immediate", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if immediate else "BEGIN")


def _set_up_postgresql(connection: Any, _record: object) -> None:  # Any: a DB-API connection
    with connection.cursor() as cursor:
        cursor.execute("SET lock_timeout = '5s'")
        cursor.execute("SET idle_in_transaction_session_timeout = '60s'")
        cursor.execute("SET statement_timeout = '30s'")
        cursor.execute("SET timezone = 'UTC'")
    connection.commit()
