import threading
import time
from datetime import UTC, datetime

import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import DBAPIError, IntegrityError

from backend.db.session import DATABASE_AWAY, Database, WriteSession, is_locked
from backend.domain.ids import new_id
from backend.tables.datasets import DatasetRow, ImageRow


def test_it_gives_times_back_with_their_zone(database: Database) -> None:
    moment = datetime(2026, 11, 24, 6, 33, 13, tzinfo=UTC)
    with database.write() as session:
        session.add(DatasetRow(id=new_id(), name="Pets", created_at=moment))

    with database.read() as session:
        assert session.scalars(select(DatasetRow.created_at)).one() == moment


def test_it_refuses_a_child_without_its_parent(database: Database) -> None:
    orphan = ImageRow(
        id=new_id(), dataset_id="nowhere", digest="0" * 64, path="a.png", format="PNG", width=1, height=1, bytes=1
    )

    with pytest.raises(IntegrityError), database.write() as session:
        session.add(orphan)


def test_it_never_commits_what_a_read_session_did(database: Database) -> None:
    with database.read() as session:
        session.add(DatasetRow(id=new_id(), name="Pets"))
        session.flush()

    with database.read() as session:
        assert session.scalars(select(DatasetRow)).all() == []


def test_g9_writers_of_one_process_take_turns_however_many_wait(
    sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # By SQLite's waiting alone, with sleeps that grow, most of these would come too late.
    monkeypatch.setattr("backend.db.session._BUSY_S", 3.0)
    database = Database(sqlite_url)
    failures: list[BaseException] = []

    def write() -> None:
        try:
            for _ in range(3):
                with database.write() as session:
                    session.add(DatasetRow(id=new_id(), name="Pets"))
                    session.flush()
                    time.sleep(0.01)
        except DBAPIError as error:
            failures.append(error)

    threads = [threading.Thread(target=write) for _ in range(40)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    with database.read() as session:
        written = len(session.scalars(select(DatasetRow.id)).all())
    database.dispose()
    assert (failures, written) == ([], 120)


def test_a_writer_that_fails_gives_its_turn_back(sqlite_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("backend.db.session._BUSY_S", 1.0)
    database = Database(sqlite_url)

    for _ in range(3):
        with pytest.raises(IntegrityError), database.write() as session:
            session.add(
                ImageRow(
                    id=new_id(), dataset_id="x", digest="0" * 64, path="a", format="PNG", width=1, height=1, bytes=1
                )
            )
    with database.write() as session:
        session.add(DatasetRow(id=new_id(), name="Pets"))
        session.flush()
        holds = session.connection().info.get("tellapart-has-turn")

    database.dispose()
    assert holds is True


def test_it_lets_many_writers_wait_for_each_other(database: Database) -> None:
    with database.write() as session:
        session.add(DatasetRow(id="counted", name="Pets"))
    failures: list[Exception] = []

    def count_to_twenty() -> None:
        try:
            for _ in range(20):
                with database.write() as session:
                    seen = session.get_one(DatasetRow, "counted", with_for_update=True)
                    seen.images += 1
        except Exception as error:  # whatever it is, the test shows it
            failures.append(error)

    writers = [threading.Thread(target=count_to_twenty) for _ in range(6)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()

    assert failures == []
    with database.read() as reading:
        assert reading.get_one(DatasetRow, "counted").images == 120


def test_it_sets_up_every_sqlite_connection(sqlite_url: str) -> None:
    database = Database(sqlite_url)

    with database.read() as session:
        found = {
            name: session.scalar(text(f"PRAGMA {name}")) for name in ("journal_mode", "synchronous", "foreign_keys")
        }

    assert found == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1}
    database.dispose()


def test_it_sets_up_every_postgresql_connection(postgres_url: str) -> None:
    database = Database(postgres_url)

    with database.read() as session:
        found = {name: session.scalar(text(f"SHOW {name}")) for name in ("lock_timeout", "timezone", "jit")}

    assert found == {"lock_timeout": "5s", "timezone": "UTC", "jit": "off"}
    database.dispose()


def test_a_fault_in_a_statement_does_not_look_like_a_database_that_is_away(database: Database) -> None:
    with pytest.raises(DBAPIError) as raised, database.read() as session:
        session.execute(text("SELECT no_such_column FROM datasets"))

    assert not isinstance(raised.value, DATABASE_AWAY)


def test_a_broken_rule_of_a_table_does_not_look_like_a_database_that_is_away(database: Database) -> None:
    with pytest.raises(IntegrityError) as raised, database.write() as session:
        session.execute(text("INSERT INTO datasets (id) VALUES (NULL)"))

    assert not isinstance(raised.value, DATABASE_AWAY)


def test_a_database_that_can_not_be_reached_is_away() -> None:
    unreachable = Database("postgresql+psycopg://nobody@127.0.0.1:1/none?connect_timeout=1")

    with pytest.raises(DATABASE_AWAY), unreachable.read() as session:
        session.execute(text("SELECT 1"))


def test_it_tells_a_lock_that_another_holds_from_a_database_that_is_away(
    sqlite_url: str, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("backend.db.session._BUSY_S", 0.1)
    unreachable = Database("postgresql+psycopg://nobody@127.0.0.1:1/none?connect_timeout=1")

    found = [_is_locked_beside_a_writer(url) for url in (sqlite_url, postgres_url)]

    with pytest.raises(DATABASE_AWAY) as away, unreachable.read() as session:
        session.execute(text("SELECT 1"))
    assert (found, is_locked(away.value)) == ([True, True], False)


def _is_locked_beside_a_writer(url: str) -> bool:
    holder, other = Database(url), Database(url)
    with holder.write() as session:
        session.add(DatasetRow(id=new_id(), name="Pets"))
    with holder.write() as holding:
        _rename(holding)
        with pytest.raises(DATABASE_AWAY) as raised:
            _rename_in_one(other)
    holder.dispose()
    other.dispose()
    return is_locked(raised.value)


def _rename_in_one(database: Database) -> None:
    with database.write() as session:
        if session.get_bind().dialect.name == "postgresql":
            session.execute(text("SET LOCAL lock_timeout = '100ms'"))
        _rename(session)


def _rename(session: WriteSession) -> None:
    session.execute(text("UPDATE datasets SET name = 'x'"))
