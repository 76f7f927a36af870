"""The schema: the same from migrations and from tables, up and down, on both databases, one at a time."""

import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from alembic.script import ScriptDirectory
from sqlalchemy import text

from backend import migrations
from backend.db.session import Database
from backend.tables.metadata import metadata
from tests.fixtures.databases import differences


def _tables(url: str) -> set[str]:
    question = (
        "SELECT name FROM sqlite_master WHERE type = 'table'"
        if url.startswith("sqlite")
        else "SELECT tablename FROM pg_tables WHERE schemaname = 'public'"
    )
    database = Database(url)
    with database.read() as session:
        found = set(session.scalars(text(question)))
    database.dispose()
    return found - {"alembic_version"}


def test_there_is_one_newest_migration() -> None:
    assert ScriptDirectory(str(migrations.SCRIPTS)).get_heads() == [migrations.newest()]


def test_migrations_make_the_tables_of_the_code(empty_url: str) -> None:
    migrations.upgrade(empty_url)

    assert differences(empty_url) == []
    assert _tables(empty_url) == set(metadata.tables)


def test_they_run_up_down_and_up_again(empty_url: str) -> None:
    migrations.upgrade(empty_url)
    migrations.downgrade(empty_url, "base")
    after_down = _tables(empty_url)
    migrations.upgrade(empty_url)

    assert after_down == set()
    assert migrations.current(empty_url) == migrations.newest()
    assert differences(empty_url) == []


def test_a_second_upgrade_changes_nothing(database: Database) -> None:
    with database.write() as session:
        session.execute(
            text(
                "INSERT INTO datasets (id, name, images, bytes, rejected, created_at) "
                "VALUES ('d1', 'Pets', 0, 0, 0, '2026-01-01 00:00:00+00:00')"
            )
        )

    migrations.upgrade(database.url)

    with database.read() as session:
        assert session.scalar(text("SELECT name FROM datasets")) == "Pets"


def test_a_database_of_a_newer_version_is_refused_by_name(database: Database) -> None:
    with database.write() as session:
        session.execute(text("UPDATE alembic_version SET version_num = '9999'"))

    try:
        with pytest.raises(migrations.NewerSchema) as refusal:
            migrations.upgrade(database.url)
    finally:
        with database.write() as session:
            session.execute(text("UPDATE alembic_version SET version_num = :now"), {"now": migrations.newest()})

    assert "schema 9999" in refusal.value.message
    assert f"up to {migrations.newest()}" in refusal.value.message


def test_servers_that_start_together_take_turns(empty_url: str) -> None:
    command = [sys.executable, "-c", f"from backend import migrations; migrations.upgrade({empty_url!r})"]

    starting = [subprocess.Popen(command, stderr=subprocess.PIPE, text=True) for _ in range(3)]
    endings = [(process.communicate(timeout=60)[1], process.returncode) for process in starting]

    assert endings == [("", 0)] * 3
    assert differences(empty_url) == []


def test_a_filled_sqlite_file_is_copied_before_it_changes(tmp_path: Path) -> None:
    file = tmp_path / "tellapart.sqlite3"
    migrations.upgrade(f"sqlite:///{file}", "0001")
    with closing(sqlite3.connect(file)) as database, database:
        database.execute("INSERT INTO workers VALUES ('w', 'h', 'train', NULL, NULL, '1', '2026', '2026')")

    migrations.upgrade(f"sqlite:///{file}")

    with closing(sqlite3.connect(tmp_path / f"tellapart.sqlite3.before-{migrations.newest()}")) as copy:
        assert copy.execute("SELECT id FROM workers").fetchall() == [("w",)]


def test_no_copy_is_made_where_nothing_changes(tmp_path: Path) -> None:
    file = tmp_path / "tellapart.sqlite3"

    migrations.upgrade(f"sqlite:///{file}")
    migrations.upgrade(f"sqlite:///{file}")

    assert list(tmp_path.glob("*.before-*")) == []


def test_without_a_sound_copy_nothing_is_changed(tmp_path: Path) -> None:
    file = tmp_path / "tellapart.sqlite3"
    migrations.upgrade(f"sqlite:///{file}", "0001")
    (tmp_path / f"tellapart.sqlite3.before-{migrations.newest()}.unfinished").mkdir()

    with pytest.raises(migrations.BackupFailed, match="was not changed"):
        migrations.upgrade(f"sqlite:///{file}")


def test_rows_that_would_point_to_nothing_stop_the_change(tmp_path: Path) -> None:
    file = tmp_path / "tellapart.sqlite3"
    migrations.upgrade(f"sqlite:///{file}")
    with closing(sqlite3.connect(file)) as database, database:
        database.execute("INSERT INTO sessions VALUES ('s', 'no-such-token', '2026', '2026', '2026')")

    with pytest.raises(migrations.BrokenReferences, match="sessions"):
        migrations.upgrade(f"sqlite:///{file}")


def test_it_can_be_killed_in_the_middle(empty_url: str) -> None:
    script = f"""
import os, signal
from sqlalchemy import event
from backend import migrations

def kill_at_the_tenth(connection, cursor, statement, *others, count=[0]):
    count[0] += statement.lstrip().startswith("CREATE TABLE")
    if count[0] == 10:
        os.kill(os.getpid(), signal.SIGKILL)

make = migrations._engine

def watched(url):
    engine = make(url)
    event.listen(engine, "after_cursor_execute", kill_at_the_tenth)
    return engine

migrations._engine = watched
migrations.upgrade({empty_url!r})
"""
    killed = subprocess.run([sys.executable, "-c", script], check=False, timeout=60)
    half = _tables(empty_url)

    migrations.upgrade(empty_url)

    assert killed.returncode == -9
    assert half == set()
    assert differences(empty_url) == []


def test_a_worker_waits_for_the_schema_it_needs(empty_url: str) -> None:
    with pytest.raises(migrations.OlderSchema, match="no tables yet"):
        migrations.check(empty_url)

    migrations.upgrade(empty_url)
    migrations.check(empty_url)
