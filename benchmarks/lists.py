"""How long pages of a million pictures take, on SQLite and PostgreSQL: ``python -m benchmarks.lists``.

Fills an empty, migrated database with one dataset, 40 classes, one version and one run with results, and calls what
pages and REST call (``PictureLists`` behind ``checked``). Every list is measured at random places in it, and in turn
with a bare query: the next 200 ids from an index. So the ratio says what lists add to the least that the database can
do, whatever else the machine does meanwhile.
"""

import argparse
import gc
import os
import random
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from sqlalchemy import insert, select, text

from backend import migrations
from backend.datasets.pictures.listing import ImageQuery, checked
from backend.datasets.pictures.repository import PictureLists
from backend.db.session import Database, ReadSession
from backend.domain.ids import new_id
from backend.tables.datasets import DatasetRow, ImagePathRow, ImageRow, VersionImageRow, VersionRow
from backend.tables.examination import ImageMeasuresRow, ImagePairRow
from backend.tables.interpretation import PredictionRow
from backend.tables.ledger import JobRow
from backend.tables.training import CheckpointRow, RunRow
from tests.fixtures.postgres import running_postgres

CLASSES: Final = [f"class {number:02}" for number in range(40)]
PAGE: Final = 200
ROUNDS: Final = 60
_AT_ONCE: Final = 20_000
_TRAITS: Final = {"mode": "RGB", "border": "#ffffff", "camera": "Camera of a usual name", "size": "1024x768"}


@dataclass(frozen=True, slots=True)
class Filled:
    """What the database has."""

    dataset_id: str
    version_id: str
    run_id: str
    images: int


@dataclass(frozen=True, slots=True)
class Timed:
    """(wall, processor) milliseconds of one kind of list, and of the bare query in the same turns.

    The processor's are of this thread and, of PostgreSQL, of the connection's process, without its parallel workers.
    """

    name: str
    lists: Sequence[tuple[float, float]]
    bare: Sequence[tuple[float, float]]

    @property
    def line(self) -> str:
        """As a row of the table."""
        wall, cpu = ([turn[place] for turn in self.lists] for place in (0, 1))
        ratio = statistics.median(wall) / statistics.median(turn[0] for turn in self.bare)
        figures = [statistics.median(wall), _p95(wall), statistics.median(cpu), _p95(cpu), ratio]
        return f"| {self.name} | {' | '.join(f'{figure:.1f}' for figure in figures)} |"


def _p95(values: Sequence[float]) -> float:
    return statistics.quantiles(values, n=20)[-1]


def image_id(number: int) -> str:
    """Ids in the order of arrival."""
    return f"{number:032x}"


def fill(database: Database, images: int) -> Filled:
    """One dataset of so many pictures; a fifth of them is held out and was tested by a run."""
    filled = Filled(new_id(), new_id(), new_id(), images)
    job_id, checkpoint_id = new_id(), new_id()
    counts = {name: {"train": images // 50, "valid": images // 200, "test": 0} for name in CLASSES}
    with database.write() as session:
        session.execute(insert(DatasetRow), [{"id": filled.dataset_id, "name": "large", "images": images, "bytes": 0}])
        session.add(
            VersionRow(
                id=filled.version_id,
                dataset_id=filled.dataset_id,
                number=1,
                classes=CLASSES,
                counts=counts,
                rule={"kind": "folder", "level": 1},
                split={"kind": "random", "valid": 0.2, "test": 0.0, "seed": 42},
                overrides=[],
            )
        )
        session.add(JobRow(id=job_id, kind="train", subject_id=filled.run_id, state="succeeded"))
        session.flush()
        session.add(RunRow(id=filled.run_id, name="run", version_id=filled.version_id, job_id=job_id, config={}))
        session.flush()
        session.add(_checkpoint(filled.run_id, checkpoint_id))
    for start in range(0, images, _AT_ONCE):
        with database.write() as session:
            _fill_some(session, filled, checkpoint_id, range(start, min(images, start + _AT_ONCE)))
    if not database.is_sqlite:
        # What the server does by itself some minutes after an import.
        with database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(text("VACUUM (ANALYZE)"))
    return filled


def already_filled(database: Database) -> Filled | None:
    """What an earlier call has left in the database."""
    query = select(DatasetRow.id, VersionRow.id, RunRow.id, DatasetRow.images)
    query = query.join(VersionRow, VersionRow.dataset_id == DatasetRow.id).join(
        RunRow, RunRow.version_id == VersionRow.id
    )
    with database.read() as session:
        found = session.execute(query).first()
    return Filled(*found) if found else None


def _checkpoint(run_id: str, checkpoint_id: str) -> CheckpointRow:
    valid = {"images": 100, "errors": 10, "error_rate": 0.1, "loss": 0.4}
    return CheckpointRow(
        id=checkpoint_id,
        run_id=run_id,
        stage=0,
        epoch=0,
        architecture="resnet18",
        classes=CLASSES,
        preprocessing={},
        metrics={"valid": valid},
        parity={},
        folder=checkpoint_id,
        sha256="a" * 64,
        bytes=1,
    )


def _fill_some(session: Any, filled: Filled, checkpoint_id: str, numbers: range) -> None:  # Any: a writing session
    chance = random.Random(numbers.start)
    images, paths, labels, answers, measures, pairs = [], [], [], [], [], []
    for number in numbers:
        label, split = CLASSES[number % len(CLASSES)], "valid" if number % 5 == 0 else "train"
        path = f"{label}/{chance.choice('abcdefghijklmnopqrstuvwxyz')}{chance.randrange(10**6)}_{number}.jpg"
        side = 16 if number % 1000 == 0 else chance.randrange(100, 3000)
        identity, digest = image_id(number), f"{number:064x}"
        images.append(
            {"id": identity, "dataset_id": filled.dataset_id, "digest": digest, "path": path, "format": "JPEG"}
            | {"width": side, "height": 500, "bytes": 20_000}
        )
        paths.append({"id": identity, "dataset_id": filled.dataset_id, "image_id": identity, "path": path})
        labels.append({"version_id": filled.version_id, "image_id": identity, "label": label, "split": split})
        if split == "valid":
            said = label if number % 50 else CLASSES[(number + 1) % len(CLASSES)]
            answers.append(
                {"checkpoint_id": checkpoint_id, "image_id": identity, "split": "valid", "actual": label}
                | {"predicted": said, "loss": 0.1, "probability_actual": 0.5, "probability_predicted": 0.5}
            )
        measures.append(
            {"image_id": identity, "dataset_id": filled.dataset_id, "perceptual_hash": number, "pixels": digest}
            | {"dark": 0.1, "light": 0.2 if number % 1000 == 1 else 0.9, "brightness": 0.5, "entropy": 7.0}
            | {"sharpness": 0.5, "traits": _TRAITS, "method": 1}
        )
        if number % 100 == 99:
            pairs.append(
                {"id": identity, "dataset_id": filled.dataset_id, "first_id": image_id(number - 1)}
                | {"second_id": identity, "kind": "same-picture", "score": 0.9}
            )
    for row, values in (
        (ImageRow, images),
        (ImagePathRow, paths),
        (VersionImageRow, labels),
        (PredictionRow, answers),
        (ImageMeasuresRow, measures),
        (ImagePairRow, pairs),
    ):
        session.execute(insert(row), values)


def lists(filled: Filled) -> dict[str, ImageQuery]:
    """The lists that are measured."""
    return {
        "all, as they came": ImageQuery(),
        "all, by name": ImageQuery(order="name"),
        "by class": ImageQuery(order="class"),
        "one class": ImageQuery(label=CLASSES[7]),
        "one class, one set": ImageQuery(label=CLASSES[5], split="valid"),
        "one set": ImageQuery(split="valid"),
        "a version": ImageQuery(version=filled.version_id),
        "a run's mistakes": ImageQuery(run=filled.run_id, result="wrong"),
        "a flag of every 1,000th picture": ImageQuery(flag="tiny"),
        "dark: every 1,000th picture": ImageQuery(flag="dark"),
        "near copies: every 50th picture": ImageQuery(flag="near_duplicate"),
        "a part of a path that many have": ImageQuery(text="7_"),
        "a part of a path that none has": ImageQuery(text="nosuchname"),
        "a range of sizes": ImageQuery(side="100-150"),
    }


def measure(database: Database, filled: Filled, rounds: int = ROUNDS) -> Iterator[Timed]:
    """Each list at random places, in turn with the bare query."""
    for name, query in lists(filled).items():
        chance = random.Random(name)
        listed, bare = [], []
        for turn in range(rounds + 3):
            after = image_id(chance.randrange(filled.images)) if turn % 4 else None
            # Called at once, so that it doesn't matter that names are bound late.
            listed.append(_timed(database, lambda session: _page(session, filled, query, after)))  # noqa: B023
            bare.append(_timed(database, lambda session: _bare(session, filled, after or image_id(0))))  # noqa: B023
        yield Timed(name, listed[3:], bare[3:])  # the first fill caches
    for name, query in {"count of all": ImageQuery(), "count of a part of a path": ImageQuery(text="7_")}.items():
        yield Timed(
            name,
            [_timed(database, lambda session: _count(session, filled, query)) for _ in range(20)],  # noqa: B023
            [_timed(database, lambda session: _bare(session, filled, image_id(0))) for _ in range(20)],
        )
    yield Timed(
        f"from position {filled.images * 9 // 10:,} on",
        [_timed(database, lambda session: _offset(session, filled)) for _ in range(20)],
        [_timed(database, lambda session: _bare(session, filled, image_id(0))) for _ in range(20)],
    )


def _page(session: ReadSession, filled: Filled, query: ImageQuery, after: str | None) -> None:
    chosen = checked(session, filled.dataset_id, query).chosen
    PictureLists(session).page(filled.dataset_id, chosen, limit=PAGE, after=after)


def _count(session: ReadSession, filled: Filled, query: ImageQuery) -> None:
    PictureLists(session).count(filled.dataset_id, checked(session, filled.dataset_id, query).chosen)


def _offset(session: ReadSession, filled: Filled) -> None:
    chosen = checked(session, filled.dataset_id, ImageQuery()).chosen
    PictureLists(session).page(filled.dataset_id, chosen, limit=PAGE, offset=filled.images * 9 // 10)


def _bare(session: ReadSession, filled: Filled, after: str) -> None:
    query = select(ImageRow.id).where(ImageRow.dataset_id == filled.dataset_id, ~ImageRow.is_deleted)
    session.execute(query.where(ImageRow.id > after).order_by(ImageRow.id).limit(PAGE)).all()


def _timed(database: Database, work: Callable[[ReadSession], None]) -> tuple[float, float]:
    with database.read() as session:
        # The connection is there and its transaction open.
        server = session.scalar(text("SELECT 0" if database.is_sqlite else "SELECT pg_backend_pid()"))
        wall, cpu = time.perf_counter(), _processor_seconds(server)
        work(session)
        return 1000 * (time.perf_counter() - wall), 1000 * (_processor_seconds(server) - cpu)


def _processor_seconds(server: int) -> float:
    of_server = Path(f"/proc/{server}/schedstat")
    elsewhere = int(of_server.read_text().split()[0]) / 1e9 if of_server.exists() else 0.0
    return time.thread_time() + elsewhere


@contextmanager
def database_of(kind: str, folder: Path) -> Iterator[Database]:
    """An empty, migrated database."""
    if kind == "sqlite":
        url = f"sqlite:///{folder / 'lists.sqlite3'}"
        migrations.upgrade(url)
        database = Database(url)
        yield database
        database.dispose()
        return
    with running_postgres(folder) as url:
        migrations.upgrade(url)
        database = Database(url)
        yield database
        database.dispose()


def main() -> None:
    """Measure both databases and print a table of each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=1_000_000)
    parser.add_argument("--databases", nargs="+", default=["sqlite", "postgresql"])
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument(
        "--folder", type=Path, help="keep SQLite's file here and use it again; TEST_DATABASE_URL does it for PostgreSQL"
    )
    arguments = parser.parse_args()
    for kind in arguments.databases:
        with ExitStack() as stack:
            folder = arguments.folder or stack.enter_context(tempfile.TemporaryDirectory(prefix="tellapart-lists-"))
            found = stack.enter_context(database_of(kind, Path(folder)))
            start = time.perf_counter()
            filled = already_filled(found) or fill(found, arguments.images)
            print(f"{kind}: {filled.images:,} pictures, filled in {time.perf_counter() - start:.0f} s")
            print(f"load average {os.getloadavg()[0]:.1f}")
            print(
                "| list | median ms | p95 ms | processor: median ms | p95 ms | times the bare query |"
                "\n|---|---|---|---|---|---|"
            )
            gc.freeze()  # as the web server does
            for timed in measure(found, filled, arguments.rounds):
                print(timed.line, flush=True)


if __name__ == "__main__":
    main()
