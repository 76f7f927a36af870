"""Plants faults into a set, brings it through the product and the other tools, and scores what they say."""

import argparse
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Final

import numpy as np

from backend import migrations
from backend.datasets.examine.compare import compare
from backend.datasets.examine.copies import PairKind
from backend.datasets.examine.embeddings import Embeddings
from backend.datasets.health.service import health
from backend.datasets.ingest import IncomingFile, ingest
from backend.datasets.labels.freeze import freeze
from backend.datasets.repository import DatasetRepository
from backend.db.session import Database
from backend.domain.json import Json
from backend.domain.labels.rules import FolderRule
from backend.domain.splitting import FolderSplit
from backend.imaging.pool import DecodingPool
from backend.ledger.unit_of_work import NoNotifier, UnitOfWork, unit_of_work
from backend.storage.local import LocalStorage
from benchmarks import measuring
from benchmarks.in_process import InProcess
from benchmarks.kept_features import kept_features
from benchmarks.planted_scores import Answer, score
from benchmarks.planted_shortcuts import measure_shortcuts
from benchmarks.planted_table import BEGIN, END, PAGE, draw
from benchmarks.planting import MOST, Planted, plant
from benchmarks.processes import CantMeasure, machine
from benchmarks.sets import PictureSet, prepare
from benchmarks.table import redraw
from benchmarks.yardsticks import yardsticks

_CANT: Final = 2


def measure(one: PictureSet, seed: int, weights: Path, python: Path | None, pictures: int) -> list[dict[str, Json]]:
    """A row for each tool and kind of fault."""
    planted = plant(one, seed, pictures)
    with tempfile.TemporaryDirectory(prefix="tellapart-planted-") as name:
        folder = Path(name)
        answers = {"tellapart": _ours(planted, folder, weights)}
        if python is not None:
            answers |= yardsticks(python, planted, folder / "files")
    rows: list[dict[str, Json]] = []
    for tool, answer in answers.items():
        rows += [{"set": one.name, "seed": seed, "tool": tool, **row} for row in score(planted, answer)]
        print(f"{one.name}, seed {seed}: {tool}", flush=True)
    return rows


def _ours(planted: Planted, folder: Path, weights: Path) -> Answer:
    """What the product says after an import, an examination and the freezing of a version."""
    url = f"sqlite:///{folder / 'planted.sqlite3'}"
    migrations.upgrade(url)
    database, storage, decoders = Database(url), LocalStorage(folder / "storage"), InProcess()
    try:
        return _checked(planted, database, storage, decoders, weights)
    finally:
        decoders.close()
        database.dispose()


def _checked(
    planted: Planted, database: Database, storage: LocalStorage, decoders: DecodingPool, weights: Path
) -> Answer:
    def open_unit() -> AbstractContextManager[UnitOfWork]:
        return unit_of_work(database, NoNotifier())

    times = [time.perf_counter()]
    with open_unit() as unit:
        dataset_id = DatasetRepository(unit.session).add("Planted").id
    files = (IncomingFile(path, content) for path, content in planted.files.items())
    report = ingest(open_unit, storage, decoders, dataset_id, files)
    times.append(time.perf_counter())
    embeddings = _embeddings(database, storage, dataset_id, weights)
    times.append(time.perf_counter())
    go_on: dict[str, Any] = {"fence": lambda _session: None, "should_stop": lambda: False, "decoders": decoders}
    compare(open_unit, storage, dataset_id, embeddings, **go_on)
    times.append(time.perf_counter())
    freeze(database, storage, dataset_id, FolderRule(level=1), FolderSplit())
    with database.read() as session:
        checked = health(session, storage, dataset_id)
    findings, material = checked.findings, checked.material
    paths_of = {picture.id: picture.paths for picture in material.pictures}
    # Exact copies are one picture with several names.
    groups = [list(paths) for paths in paths_of.values() if len(paths) > 1]
    copies = [pair for pair in material.pairs if pair.kind is not PairKind.SAME_MOMENT]
    moments = [pair for pair in material.pairs if pair.kind is PairKind.SAME_MOMENT]
    reported: dict[str, set[str]] = {}
    for finding in findings:
        if finding.severity != "note" or finding.kind == "leak":
            paths = {path for image_id in finding.image_ids for path in paths_of[image_id]}
            reported.setdefault(finding.kind, set()).update(paths)
    reported["cut file"] = {rejection.path for rejection in report.rejected}
    return Answer(
        groups=groups + [[*paths_of[pair.first], *paths_of[pair.second]] for pair in copies],
        moments=[[*paths_of[pair.first], *paths_of[pair.second]] for pair in moments],
        reported=reported,
        seconds=dict(zip(("import", "features", "compare"), np.diff(times).tolist(), strict=True)),
    )


def _embeddings(database: Database, storage: LocalStorage, dataset_id: str, weights: Path) -> Embeddings:
    with database.read() as session:
        images = DatasetRepository(session).image_names(dataset_id)
    files = [storage.root / "blobs" / image.digest[:2] / image.digest[2:4] / image.digest for image in images]
    return Embeddings(tuple(image.id for image in images), kept_features(files, weights))


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, or draw what was measured; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.planted", description="Planted faults, and who finds them."
    )
    parser.add_argument("sources", nargs="*", help="folders and archives of pictures")
    parser.add_argument("--json", type=Path, required=True, help="file of results; what is in it is not measured again")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--pictures", type=int, default=MOST, help="clean pictures of each set, at most")
    parser.add_argument("--cache", type=Path, required=True, help="folder for extracted archives")
    parser.add_argument("--weights-folder", type=Path, default=Path("data/weights"), help="downloaded weights, if any")
    parser.add_argument("--yardsticks-python", type=Path, help="interpreter that has cleanvision and imagededup")
    parser.add_argument("--draw", action="store_true", help="put the tables into docs/findings.md")
    given = parser.parse_args(arguments)
    empty: dict[str, Json] = {"machine": machine() | {"versions": measuring.versions()}, "rows": [], "shortcuts": []}
    results = measuring.read(given.json) if given.json.exists() else empty
    given.cache.mkdir(parents=True, exist_ok=True)
    try:
        for source in given.sources:
            one = prepare(source, given.cache)
            for seed in given.seeds:
                if (one.name, seed) not in {(row["set"], row["seed"]) for row in results["rows"]}:
                    results["rows"] += measure(one, seed, given.weights_folder, given.yardsticks_python, given.pictures)
                    results["shortcuts"] += measure_shortcuts(one, seed)
                    measuring.write(given.json, results)
    except (CantMeasure, OSError) as error:
        print(error, file=sys.stderr)
        return _CANT
    if given.draw:
        redraw(given.json, draw, BEGIN, END, PAGE)
    else:
        print(draw(results))
    return 0
