"""Every list is read along an index, in its order: proved by the plan of each query, on both databases."""

from collections.abc import Sequence

import pytest
from sqlalchemy import Select, text
from sqlalchemy.orm import Session

from backend.datasets.pictures.filter import ImageFilter, ListOrder
from backend.datasets.pictures.repository import _rows
from backend.datasets.pictures.walk import Walk
from backend.db.session import Database

VERSION, CHECKPOINT, DATASET, SOME = "a" * 32, "b" * 32, "c" * 32, "d" * 32
LISTS = {
    "all": (ImageFilter(), "ix_images_listed"),
    "newest": (ImageFilter(order=ListOrder.NEWEST), "ix_images_listed"),
    "by name": (ImageFilter(order=ListOrder.NAME), "ix_images_by_name"),
    "by class": (ImageFilter(VERSION, order=ListOrder.CLASS), "ix_version_images_version_id_label_image_id"),
    "a class": (ImageFilter(VERSION, label="cat"), "ix_version_images_version_id_label_image_id"),
    "a set": (ImageFilter(VERSION, split="valid"), "ix_version_images_split"),
    # Either of the two indexes, as the database thinks fit.
    "a class and set": (ImageFilter(VERSION, label="cat", split="test"), "ix_version_images_"),
    "a version": (ImageFilter(VERSION, only_version=True), "version_images"),
    "a class, class by class": (
        ImageFilter(VERSION, label="cat", order=ListOrder.CLASS),
        "ix_version_images_version_id_label_image_id",
    ),
    "a run": (ImageFilter(VERSION, checkpoint_id=CHECKPOINT), "predictions"),
    "a run's mistakes": (ImageFilter(VERSION, checkpoint_id=CHECKPOINT, is_right=False), "ix_predictions_wrong"),
    "a run by name": (ImageFilter(VERSION, checkpoint_id=CHECKPOINT, order=ListOrder.NAME), "ix_images_by_name"),
    "a part of a path": (ImageFilter(text="cat"), "ix_images_listed"),
    "a flag": (ImageFilter(flag="tiny"), "ix_images_listed"),
    "a flag by measures, by name": (ImageFilter(flag="dark", order=ListOrder.NAME), "ix_images_by_name"),
    "a flag by pairs": (ImageFilter(flag="near_duplicate"), "ix_images_listed"),
    "a class by name": (ImageFilter(VERSION, label="cat", order=ListOrder.NAME), "ix_images_by_name"),
}


def plan_of(session: Session, query: Select[tuple[object, ...]]) -> str:
    bind = session.get_bind()
    sql = str(query.compile(bind, compile_kwargs={"literal_binds": True}))
    if bind.dialect.name == "sqlite":
        return "\n".join(row.detail for row in session.execute(text(f"EXPLAIN QUERY PLAN {sql}".replace(":", r"\:"))))
    # On a handful of rows PostgreSQL would rather read and sort the whole table; what it can do without is what counts.
    for setting in ("enable_seqscan", "enable_bitmapscan", "enable_sort", "enable_hashjoin", "enable_mergejoin"):
        session.execute(text(f"SET LOCAL {setting} = off"))
    return "\n".join(row[0] for row in session.execute(text(f"EXPLAIN {sql}".replace(":", r"\:"))))


def keys(walk: Walk) -> Sequence[str]:
    return (SOME,) if len(walk.key) == 1 else ("cat", SOME)


@pytest.mark.parametrize("name", LISTS)
def test_a_page_is_read_along_its_index(database: Database, name: str) -> None:
    chosen, index = LISTS[name]
    walk = Walk.of(DATASET, chosen)

    with database.read() as session:
        page = plan_of(session, walk.ids(keys(walk), None).limit(200))
        end = plan_of(session, walk.keys(keys(walk)).offset(49_999).limit(1))

    for plan in (page, end):
        assert index in plan
        assert "TEMP B-TREE" not in plan
        assert "Sort" not in plan
        assert "SCAN" not in plan
        assert "Seq Scan" not in plan
        # Of a join, PostgreSQL may read the other table from its beginning, however far in the list a page is.
        assert "Join" not in plan
        assert "hashed SubPlan" not in plan
    if database.is_sqlite:
        assert page.startswith("SEARCH")
        # SQLite doesn't call the index of the mistakes covering, but never goes on to the row: it has the whole key.
        assert "COVERING INDEX" in end or "sqlite_autoindex" in end or "ix_predictions_wrong" in end


def test_of_a_flag_by_measures_the_measures_are_read_along_their_index(database: Database) -> None:
    walk = Walk.of(DATASET, ImageFilter(flag="dark"))

    with database.read() as session:
        plan = plan_of(session, walk.ids((SOME,), ("e" * 32,)).limit(200))

    assert ("sqlite_autoindex_image_measures_1" if database.is_sqlite else "pk_image_measures") in plan
    for word in ("TEMP B-TREE", "Sort", "SCAN", "Seq Scan", "Join"):
        assert word not in plan


def test_what_is_shown_of_a_page_is_looked_up_by_the_ids_on_it(database: Database) -> None:
    ids = [f"{number:032x}" for number in range(200)]

    with database.read() as session:
        plan = plan_of(session, _rows(ImageFilter(VERSION, checkpoint_id=CHECKPOINT), ids))

    assert "SCAN" not in plan
    assert "Seq Scan" not in plan
    assert "hashed SubPlan" not in plan
