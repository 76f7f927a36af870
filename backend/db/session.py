"""Engines and sessions.

SQLite's defaults lose data or fail under load, so every connection is set up:
WAL, full sync, foreign keys, a long busy time-out, and write transactions that
take the write lock at once (a read that turns into a write can't wait for it).
Writers of one process take turns before they ask SQLite for its lock: SQLite's own
waiting is by sleeping and trying again, so that under load some would never get it.
"""

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from psycopg.errors import LockNotAvailable
from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import ExceptionContext, make_url
from sqlalchemy.exc import InterfaceError, OperationalError, ProgrammingError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.orm import Session, sessionmaker
from sqlalchemy.pool import ConnectionPoolEntry

DATABASE_AWAY: Final = (OperationalError, InterfaceError, PoolTimeout)
"""What the driver and the pool raise while the database can't be reached or is too busy; worth another try later.

Integrity, data and programming errors are faults of ours, which no waiting heals: they aren't among these.
"""


_BUSY_S: Final = 30.0
"""Seconds that a writer waits for others, of this process and then of other processes."""
_HAS_TURN: Final = "tellapart-has-turn"


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
        # As many connections as there are threads that may wait for their turn to write: readers need some as well.
        engine = create_engine(
            url, connect_args={"timeout": _BUSY_S}, hide_parameters=True, pool_size=10, max_overflow=90
        )
        turns = _Turns()
        event.listen(engine, "connect", _set_up_sqlite)
        event.listen(engine, "begin", turns.begin)
        event.listen(engine, "checkin", turns.give_back)
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
        f"busy_timeout={round(1000 * _BUSY_S)}",
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


def is_locked(error: Exception) -> bool:
    """Whether another connection keeps locked what a statement needed, for longer than a statement waits."""
    cause = getattr(error, "orig", None)
    return getattr(cause, "sqlite_errorcode", None) == sqlite3.SQLITE_BUSY or isinstance(cause, LockNotAvailable)


class _Turns:
    """Lets the writers of this process begin one after the other, those of other processes wait as SQLite has them.

    A turn lasts until the connection is back in the pool. It only orders: who gets none in time asks SQLite anyway.
    """

    def __init__(self) -> None:
        self._turn = threading.Lock()

    def begin(self, connection: Connection) -> None:
        """Begin a transaction; one that writes takes SQLite's write lock at once."""
        if not connection.get_execution_options().get("begin_immediate", False):
            connection.exec_driver_sql("BEGIN")
            return
        if not connection.info.get(_HAS_TURN):
            connection.info[_HAS_TURN] = self._turn.acquire(timeout=_BUSY_S)
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    def give_back(self, _connection: object, record: ConnectionPoolEntry) -> None:
        """The next one may begin."""
        if record.info.pop(_HAS_TURN, False):
            self._turn.release()


def _set_up_postgresql(connection: Any, _record: object) -> None:  # Any: a DB-API connection
    with connection.cursor() as cursor:
        cursor.execute("SET lock_timeout = '5s'")
        cursor.execute("SET idle_in_transaction_session_timeout = '60s'")
        cursor.execute("SET statement_timeout = '30s'")
        cursor.execute("SET timezone = 'UTC'")
        # It compiles a statement that it takes to be long; ours are short, and that took longer than the statement.
        cursor.execute("SET jit = off")
    connection.commit()
