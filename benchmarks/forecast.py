"""Forecasts beside what trainings then took: ``python -m benchmarks.forecast --data FOLDER --pattern PATTERN``.

Each training is a process of its own. Before it starts its time and its peak memory are
forecast, first from the short test of the machine alone, then from the trainings before it;
after it both are compared with what was measured. The bar is a third either way for the
time and a quarter for the memory. With ``--busy`` so many other processes compute all the time,
which the forecast has to notice. Nothing is downloaded: networks whose weights aren't in the folder
have random ones.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Final

from backend.domain.json import Json
from backend.domain.memory import memory_needed
from backend.domain.training import Recipe, StageRequest, TrainingRequest
from backend.training.forecast.forecast import Timetable
from backend.training.forecast.load import Load
from backend.training.forecast.speeds import Rates, Speed
from backend.training.forecast.work import Counts, work_items
from benchmarks import measuring
from benchmarks.planning import planned_config, speed_of
from worker.processors import THREAD_SETTINGS, processors

ROOT: Final = Path(__file__).resolve().parents[1]
WITHIN: Final = 1 / 3
_MB: Final = 1e6
_LOAD_MEASURED_S: Final = 5.0
_BUSY: Final = "while True: pass"

_HEAD: Final = StageRequest(freeze=True, epochs=10, train_batch_norm=False)
_NORMS: Final = StageRequest(freeze=True, epochs=1, train_batch_norm=True)
_ALL: Final = StageRequest(freeze=False, epochs=1, max_lr=(1e-6, 1e-4), train_batch_norm=False)
TRAININGS: Final[dict[str, TrainingRequest]] = {
    "lite0 head": TrainingRequest(architecture="efficientnet-lite0", stages=(_HEAD,)),
    "lite0 head, again": TrainingRequest(architecture="efficientnet-lite0", stages=(_HEAD,)),
    "lite0 head, other seed": TrainingRequest(architecture="efficientnet-lite0", stages=(_HEAD,), seed=7),
    "lite0 all, 160 px": TrainingRequest(architecture="efficientnet-lite0", stages=(_ALL,), image_size=160),
    "resnet18 all, 8 of 128 px": TrainingRequest(architecture="resnet18", stages=(_ALL,), batch_size=8, image_size=128),
    "resnet18 all, 32 of 224 px": TrainingRequest(architecture="resnet18", stages=(_ALL,), batch_size=32),
    "resnet18 norms": TrainingRequest(architecture="resnet18", stages=(_NORMS,)),
    "recommended, 4 minutes": TrainingRequest(recipe=Recipe.RECOMMENDED, minutes=4),
    "resnet34 head": TrainingRequest(architecture="resnet34", stages=(_HEAD,)),
}


@dataclass(frozen=True, slots=True)
class Compared:
    """A forecast and what came; seconds and bytes.

    Attributes:
        slowdown: how many times longer than on a quiet machine it was forecast to take.
        tested: forecast from the test of the machine alone.
        forecast: if no stage ends early.
        low, high: the range that people are shown.
    """

    name: str
    slowdown: float
    tested: float
    forecast: float
    low: float
    high: float
    seconds: float
    memory: int
    peak: int


def main(arguments: Sequence[str] | None = None) -> int:
    """Forecast and measure all chosen trainings; prints a table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.forecast", description="Compare forecasts with runs.")
    parser.add_argument("--data", type=Path, required=True, help="folder of pictures")
    parser.add_argument("--pattern", help="regular expression (RE2) on '/' + path; group 1 is the label")
    parser.add_argument("--weights-folder", type=Path, default=Path("data/weights"), help="downloaded weights, if any")
    parser.add_argument("--only", nargs="+", choices=list(TRAININGS), default=list(TRAININGS))
    parser.add_argument("--busy", type=int, default=0, help="so many other processes compute meanwhile")
    parser.add_argument("--json", type=Path, help="file of results")
    wanted = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder, _busy(wanted.busy):
        found = _Bench(wanted, Path(folder)).compare_all()
    if wanted.json:
        rows = [{name: getattr(one, name) for name in Compared.__slots__} for one in found]
        measuring.write(wanted.json, {"versions": measuring.versions(), "trainings": rows})
    return 0


@contextmanager
def _busy(count: int) -> Iterator[None]:
    """Other processes compute while the block lasts."""
    others = [subprocess.Popen([sys.executable, "-c", _BUSY]) for _ in range(count)]
    try:
        yield
    finally:
        for other in others:
            other.kill()
            other.wait()


class _Bench:
    def __init__(self, wanted: argparse.Namespace, folder: Path) -> None:
        self._wanted, self._folder = wanted, folder
        self._weights: dict[str, Json] = {}
        self._seen: set[str] = set()

    def compare_all(self) -> list[Compared]:
        print(f"other programs make it {self._load().slowdown():.2f} times as long")
        test = [speed_of(one) for one in self._child("test", {})["speeds"]]
        print(f"load {os.getloadavg()[0]:.1f}; tested: " + ", ".join(_words(speed) for speed in test))
        titles = (
            ("from test", 10),
            ("forecast", 10),
            ("range", 11),
            ("took", 8),
            ("ratio", 6),
            ("memory", 9),
            ("peak", 9),
            ("ratio", 6),
        )
        print(f"{'training':28} " + " ".join(f"{title:>{width}}" for title, width in titles))
        history: list[Speed] = []
        found = []
        for name in self._wanted.only:
            one, speeds = self._compare(name, test, history)
            history = [*reversed(speeds), *history]
            found.append(one)
            print(_line(one), flush=True)
        return found

    def _compare(self, name: str, test: list[Speed], history: list[Speed]) -> tuple[Compared, list[Speed]]:
        request, load = TRAININGS[name], self._load()
        # As the product plans it, within its minutes, from what is known before.
        config = planned_config(request, self._counts, [*history, *test], load)
        measured = self._child("train", {**self._job(config.architecture), "config": config.model_dump(mode="json")})
        # What the features depend on was the same before; as the app knows it of earlier runs on a version.
        asked = json.dumps([config.architecture, config.image_size, config.seed, config.crop_share])
        is_frozen = config.stages[0].features_are_constant
        kept = frozenset({0} if is_frozen and asked in self._seen else ())
        if is_frozen:
            self._seen.add(asked)
        expected = work_items(config, self._counts, kept_stages=kept)
        tables = []
        for rates in (Rates(test), Rates([*history, *test])):
            estimates = [rates.estimate(item, config.architecture) for item in expected]
            known = (
                replace(one, seconds=one.seconds * load.slowdown(one.item.work)) for one in estimates if one is not None
            )
            tables.append(Timetable(tuple(known), config.stages))
        speeds = [speed_of(one, name) for one in measured["speeds"]]
        by_test, by_runs = tables
        low, high = by_runs.range()
        return Compared(
            name=name,
            slowdown=load.slowdown(),
            tested=by_test.seconds,
            forecast=by_runs.seconds,
            low=low,
            high=high,
            seconds=measured["seconds"],
            memory=memory_needed(config, "cpu"),
            peak=measured["peak"],
        ), speeds

    def _load(self) -> Load:
        """As a worker reports it before a training: measured by a process that has not started the others."""
        found = self._child("load", {"seconds": _LOAD_MEASURED_S})
        return Load(found["other_threads"], processors())

    @cached_property
    def _counts(self) -> Counts:
        return Counts(**self._child("count", self._pictures())["counts"])

    def _pictures(self) -> dict[str, Json]:
        return {"data": str(self._wanted.data), "pattern": self._wanted.pattern, "valid": 0.2, "seed": 1}

    def _job(self, architecture: str) -> dict[str, Json]:
        if architecture not in self._weights:
            self._weights[architecture] = self._prepared_weights(architecture)
        return {
            **self._pictures(),
            "weights": self._weights[architecture],
            "cache": str(self._folder / "features"),
        }

    def _prepared_weights(self, architecture: str) -> Json:
        result = self._folder / f"weights-{architecture}.json"
        folder = self._folder / f"weights-{architecture}"
        given = (architecture, str(self._wanted.weights_folder), str(folder), str(result))
        subprocess.run([sys.executable, "-m", "benchmarks.weights", *given], cwd=ROOT, check=True)
        return measuring.read(result)

    def _child(self, what: str, job: dict[str, Json]) -> dict[str, Json]:
        with tempfile.TemporaryDirectory(dir=self._folder) as work:
            order, result = Path(work) / "job.json", Path(work) / "result.json"
            measuring.write(order, {**job, "work": work})
            subprocess.run(
                [sys.executable, "-m", "benchmarks.forecast_child", what, str(order), str(result)],
                cwd=ROOT,
                # As a worker sets it for its trainings.
                env={**THREAD_SETTINGS, **os.environ},
                check=True,
            )
            return dict(measuring.read(result))


def _words(speed: Speed) -> str:
    return f"{speed.work.value} {speed.architecture or ''} {1 / speed.of_one:.1f}/s".replace("  ", " ")


def _line(one: Compared) -> str:
    ratio, room = one.forecast / one.seconds, one.memory / one.peak
    shown = f"{one.low:.0f}-{one.high:.0f} s"
    return (
        f"{one.name:28} {one.tested:8.1f} s {one.forecast:8.1f} s {shown:>11} {one.seconds:6.1f} s {ratio:6.2f}"
        f" {one.memory / _MB:6.0f} MB {one.peak / _MB:6.0f} MB {room:6.2f}"
        f"{'' if 1 - WITHIN <= ratio <= 1 + WITHIN else '  not within a third'}"
    )


if __name__ == "__main__":
    sys.exit(main())
