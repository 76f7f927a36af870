"""Filled databases of every earlier revision reach the newest one, on both engines, without losing a row."""

from collections.abc import Mapping
from typing import Final

import pytest
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine, text

from backend import migrations
from tests.fixtures.databases import differences
from tests.fixtures.filled import Row, fill, rows

# What 0001 and 0002 did not make before they were edited; see docs/decisions/0007-committed-migrations-stay.md.
_LACKING: Final[Mapping[str, tuple[str, list[str]]]] = {
    "0001 without is_owner": ("0001", ["ALTER TABLE tokens DROP COLUMN is_owner"]),
    "0002 without speeds": ("0002", ["DROP TABLE speeds", "ALTER TABLE runs DROP COLUMN forecast"]),
}
_RENAMED: Final = {"last_ring_at": "last_notified_at", "unfit_until": "quarantined_until"}
"""Columns that have another name by now."""
_REVISIONS: Final = sorted(script.revision for script in ScriptDirectory(str(migrations.SCRIPTS)).walk_revisions())


def _make(url: str, kind: str) -> None:
    revision, statements = _LACKING.get(kind, (kind, []))
    migrations.upgrade(url, revision)
    engine = create_engine(url)
    with engine.begin() as connection:
        for statement in statements:
            connection.execute(text(statement))
    engine.dispose()


@pytest.mark.parametrize("kind", [*_REVISIONS, *_LACKING])
def test_every_row_of_an_earlier_revision_is_kept(empty_url: str, kind: str) -> None:
    _make(empty_url, kind)
    fill(empty_url)
    before = rows(empty_url)

    migrations.upgrade(empty_url)

    after = rows(empty_url)
    assert {table: len(found) for table, found in before.items()} == dict.fromkeys(before, 3)
    for table, earlier in before.items():
        kept = [{name: row[_name_now(name, row)] for name in earlier[0]} for row in after[table]]
        assert kept == (_one_epoch_later(earlier) if (table, kind[:4]) == ("state_points", "0001") else earlier)
    assert differences(empty_url) == []


def _name_now(name: str, row: Row) -> str:
    return name if name in row else _RENAMED[name]


def _one_epoch_later(points: list[Row]) -> list[Row]:
    assert [point["epoch"] for point in points] == [0, 1, 2]
    return [point | {"epoch": epoch} for point, epoch in zip(points, (1, 2, 3), strict=True)]


def test_neighbouring_points_go_back_as_well(empty_url: str) -> None:
    migrations.upgrade(empty_url, "0001")
    fill(empty_url)
    before = rows(empty_url)["state_points"]

    migrations.upgrade(empty_url)
    migrations.downgrade(empty_url, "0001")

    assert rows(empty_url)["state_points"] == before


@pytest.mark.parametrize("kind", _LACKING)
def test_databases_from_before_the_edits_end_up_as_all_others(empty_url: str, kind: str) -> None:
    _make(empty_url, kind)

    migrations.upgrade(empty_url)

    assert differences(empty_url) == []


def test_tokens_from_before_scopes_may_do_what_they_could(empty_url: str) -> None:
    migrations.upgrade(empty_url, "0006")
    fill(empty_url)

    migrations.upgrade(empty_url)

    assert [(token["id"], token["scope"], token["made_by"]) for token in rows(empty_url)["tokens"]] == [
        ("tokens-0", "owner", None),
        ("tokens-1", "owner", None),
        ("tokens-2", "owner", None),
    ]
