"""Error and time of our training beside fastai's, on any sets of pictures.

``python -m benchmarks.suite SOURCE ... --json OUT``

A SOURCE is a folder, an archive (zip, tgz) or the word ``digits`` for scikit-learn's. Every measured training is a
process of its own, and the sides take turns. OUT is written after each of them; a second call with the same OUT
continues where the first one ended. Nothing is downloaded.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from backend.domain.errors import AppError
from backend.domain.json import Json
from backend.domain.manifest import Split
from backend.domain.training import TrainingRequest
from backend.training.forecast.speeds import Speed
from benchmarks import measuring
from benchmarks.planning import speed_of
from benchmarks.processes import ROOT, CantMeasure, answer_of, machine, require_fastai
from benchmarks.sets import PictureSet, prepare
from benchmarks.sides import ARCHITECTURE, Planned, Side, ours, planned
from benchmarks.suite_run import SuiteRun

_CANT: Final = 2
MACHINE: Final = "machine"


@dataclass(frozen=True, slots=True)
class Wanted:
    """The command line's arguments."""

    sources: tuple[str, ...]
    json: Path
    patterns: dict[str, str]
    sizes: dict[str, str]
    variants: dict[str, str]
    sets: tuple[str, ...]
    seeds: tuple[int, ...]
    again: tuple[str, ...]
    sides: tuple[str, ...]
    ours_only: bool
    fastai_only: bool
    fastai_python: str
    weights_folder: Path
    cache: Path


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure all that is chosen and not yet in the file; returns the exit code."""
    wanted = _parse(arguments)
    try:
        _measure_all(wanted)
    except (CantMeasure, AppError, OSError, shutil.ReadError) as error:
        print(error, file=sys.stderr)
        return _CANT
    return 0


def _parse(arguments: Sequence[str] | None) -> Wanted:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.suite", description="Compare errors and time.")
    parser.add_argument("sources", nargs="+", help="folders and archives of pictures; 'digits' is scikit-learn's")
    parser.add_argument("--json", type=Path, required=True, help="file of results, added to if it is there")
    for name, meaning in (
        ("pattern", "label pattern (RE2) of the set NAME; group 1 is the label"),
        ("size", "images of the set NAME for training and validation; the others are for the test"),
        ("variant", "JSON file of a TrainingRequest, measured as well"),
    ):
        parser.add_argument(
            f"--{name}", dest=f"{name}s", action="append", default=[], metavar="NAME=VALUE", help=meaning
        )
    parser.add_argument("--sets", nargs="+", default=[], help="measure only these, by name")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3], help="of test share, split and training")
    parser.add_argument(
        "--again",
        nargs="+",
        default=[],
        help="sides to measure again; 'ours' is all of ours, 'machine' the test that recommended is planned by",
    )
    parser.add_argument("--sides", nargs="+", default=[], help="measure only these, such as 'ours: NAME' of a variant")
    only = parser.add_mutually_exclusive_group()
    only.add_argument("--ours-only", action="store_true", help="measure without fastai")
    only.add_argument("--fastai-only", action="store_true", help="measure fastai alone")
    parser.add_argument(
        "--fastai-python",
        default=os.environ.get("FASTAI_PYTHON", sys.executable),
        help="interpreter that has fastai; else FASTAI_PYTHON of the environment",
    )
    parser.add_argument("--weights-folder", type=Path, default=Path("data/weights"), help="downloaded weights, if any")
    cache = Path(tempfile.gettempdir()) / "tellapart-suite"
    parser.add_argument("--cache", type=Path, default=cache, help="folder for extracted archives")
    given: dict[str, Any] = vars(parser.parse_args(arguments))  # Any: of several types
    for name in ("patterns", "sizes", "variants"):
        given[name] = dict(_pair(parser, text) for text in given[name])
    given |= {name: tuple(given[name]) for name in ("sources", "sets", "seeds", "again", "sides")}
    # The measured processes run in another folder.
    given |= {name: given[name].resolve() for name in ("weights_folder", "cache")}
    return Wanted(**given)


def _pair(parser: argparse.ArgumentParser, text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals:
        parser.error(f"Write NAME=VALUE instead of {text!r}.")
    return name, value


def _measure_all(wanted: Wanted) -> None:
    fastai_versions = {} if wanted.ours_only else require_fastai(wanted.fastai_python)
    variants = {name: _request(Path(file)) for name, file in wanted.variants.items()}
    sets = {one.name: one for one in _sets(wanted)}
    results = Results.open(wanted.json)
    results.note_sets([*sets.values()])
    results.note_versions({**measuring.versions(), **fastai_versions})
    for side in wanted.again:
        results.forget(side)
    with tempfile.TemporaryDirectory(prefix="suite-") as work:
        bench = _Bench(wanted, sets, Path(work))
        speeds = [] if wanted.fastai_only else results.speeds(bench.test_machine)
        for plan in planned([*sets], wanted.seeds, ours(variants), results.runs_of):
            plan = plan.for_pictures(sets[plan.set].counts(plan.seed), speeds)
            if is_wanted(plan.side, wanted) and not results.has(plan):
                results.add(results.equal_run(plan) or bench.run(plan))


def is_wanted(side: Side, wanted: Wanted) -> bool:
    """Whether the command line asks for a side."""
    is_left_out = wanted.fastai_only if side.is_ours else wanted.ours_only
    return not is_left_out and (not wanted.sides or any(_is_called(side.name, name) for name in wanted.sides))


def _is_called(side: str, name: str) -> bool:
    """Whether a side has that name, or one that begins with it and a colon or comma."""
    return side == name or side.startswith((f"{name}:", f"{name},"))


def _request(file: Path) -> TrainingRequest:
    return TrainingRequest.model_validate_json(file.read_text("utf-8"))


def _sets(wanted: Wanted) -> list[PictureSet]:
    wanted.cache.mkdir(parents=True, exist_ok=True)
    found = []
    for source in wanted.sources:
        name = Path(source).name.partition(".")[0]
        if wanted.sets and name not in wanted.sets:
            continue
        size = wanted.sizes.get(name)
        found.append(
            prepare(source, wanted.cache, pattern=wanted.patterns.get(name), size=None if size is None else int(size))
        )
    if not found:
        raise CantMeasure(f"None of the sources is called {', '.join(wanted.sets)}.")
    return found


class _Bench:
    """Measures trainings, each in a process of its own and in a folder that is removed afterwards."""

    def __init__(self, wanted: Wanted, sets: dict[str, PictureSet], folder: Path) -> None:
        self._wanted, self._sets, self._folder = wanted, sets, folder
        self._weights: dict[str, Json] = answer_of(
            [sys.executable, "-m", "benchmarks.weights", ARCHITECTURE, str(wanted.weights_folder)], folder / "weights"
        )

    def test_machine(self) -> list[dict[str, Json]]:
        """The product's short test of the machine, from which it plans ``recommended``. Raises CantMeasure."""
        print("Testing the machine", flush=True)
        work = self._folder / "test"
        work.mkdir(parents=True, exist_ok=True)
        measuring.write(work / "job.json", {})
        command = [sys.executable, "-m", "benchmarks.forecast_child", "test", str(work / "job.json")]
        return list(answer_of(command, work, with_folder=False)["speeds"])

    def run(self, plan: Planned) -> SuiteRun:
        """Measure one training. Raises CantMeasure."""
        print(f"{plan.set}, seed {plan.seed}: {plan.side.name}", flush=True)
        load = measuring.load_average()
        work = self._folder / "run"
        lists = self._sets[plan.set].lists(plan.seed)
        job = {**plan.side.job(plan.seed), **self._lists(plan, lists), "work": str(work)}
        if plan.side.is_ours:
            command = [sys.executable, "-m", "benchmarks.ours"]
            job |= {"weights": self._weights, "cache": str(work / "cache")}
        else:
            command = [self._wanted.fastai_python, "-m", "benchmarks.fastai_side"]
            job |= {"weights": self._weights["safetensors"]}
        work.mkdir(parents=True)
        try:
            measuring.write(work / "job.json", job)
            answer = answer_of([*command, str(work / "job.json")], work, with_folder=False)
        finally:
            shutil.rmtree(work)
        run = SuiteRun.model_validate(
            {
                "set": plan.set,
                "seed": plan.seed,
                "side": plan.side.name,
                "settings": plan.side.settings,
                "test_images": len(lists[Split.TEST]),
                "load_before": load,
                "load_after": measuring.load_average(),
                "at": datetime.now(UTC).isoformat(timespec="seconds"),
                "commit": _commit(),
                **answer,
            }
        )
        print(
            f"  {run.seconds:.1f} s, {run.processor_seconds:.1f} s of the processor, "
            f"validation error {run.error_rate:.1%}, test error {run.test_error_rate:.1%}",
            flush=True,
        )
        return run

    def _lists(self, plan: Planned, lists: dict[Split, list[tuple[str, str]]]) -> dict[str, Json]:
        return {"classes": list(self._sets[plan.set].classes), **{split.value: lists[split] for split in lists}}


def _commit() -> str:
    """The commit of our code; empty outside a checkout."""
    done = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    return done.stdout.strip()


class Results:
    """The file of results: written after every run, read again by the next call."""

    def __init__(self, file: Path, content: dict[str, Json]) -> None:
        self._file, self._content = file, content
        self.runs = [SuiteRun.model_validate(run) for run in content["runs"]]

    @classmethod
    def open(cls, file: Path) -> "Results":
        """The file's content, empty where there is no file."""
        empty: dict[str, Json] = {"machine": machine(), "sets": {}, "runs": []}
        return cls(file, measuring.read(file) if file.exists() else empty)

    def note_sets(self, sets: Sequence[PictureSet]) -> None:
        """Record the sets.

        Raises:
            CantMeasure: one was measured with other pictures.
        """
        for one in sets:
            known = self._content["sets"].get(one.name)
            facts = {"fingerprint": one.fingerprint, "images": len(one.images), "classes": len(one.classes)}
            if known is not None and known != facts:
                raise CantMeasure(f"{self._file} has runs of {one.name} with other pictures. Give another --json.")
            self._content["sets"][one.name] = facts

    def note_versions(self, versions: dict[str, str]) -> None:
        """Record package versions; fastai's stay where only ours is measured."""
        self._content["machine"]["versions"] = {**self._content["machine"].get("versions", {}), **versions}

    def speeds(self, test: Callable[[], list[dict[str, Json]]]) -> list[Speed]:
        """Speeds of the machine, tested once for the file; ``--again machine`` repeats the test."""
        machine = self._content["machine"]
        if "speeds" not in machine:
            machine |= {"load_at_test": measuring.load_average(), "speeds": test()}
            self._write()
        return [speed_of(one) for one in machine["speeds"]]

    def runs_of(self, name: str, seed: int) -> list[SuiteRun]:
        """The runs of a set and seed."""
        return [run for run in self.runs if (run.set, run.seed) == (name, seed)]

    def has(self, plan: Planned) -> bool:
        """Whether that training was measured with its present settings."""
        wanted = (plan.side.name, plan.side.settings)
        return wanted in {(run.side, run.settings) for run in self.runs_of(plan.set, plan.seed)}

    def equal_run(self, plan: Planned) -> SuiteRun | None:
        """A run of another side with the same settings, such as a variant that equals ``recommended``."""
        settings = plan.side.settings
        equal = (run for run in self.runs_of(plan.set, plan.seed) if run.settings == settings)
        return next((run.model_copy(update={"side": plan.side.name}) for run in equal), None)

    def forget(self, side: str) -> None:
        """Remove the runs of a side, or of those whose names begin with it and a colon or comma; or the speeds."""
        if side == MACHINE:
            self._content["machine"].pop("speeds", None)
        self.runs = [run for run in self.runs if not _is_called(run.side, side)]

    def add(self, run: SuiteRun) -> None:
        """Add a run, replacing an earlier one of the same set, seed and side, and write the file."""
        kind = (run.set, run.seed, run.side)
        self.runs = [one for one in self.runs if (one.set, one.seed, one.side) != kind] + [run]
        self._content["machine"]["load_after"] = measuring.load_average()
        self._write()

    def _write(self) -> None:
        """A line for each run, so that the file stays small and its changes readable."""
        head = json.dumps({**self._content, "runs": []}, indent=1).removesuffix("[]\n}")
        lines = ",\n".join(one.model_dump_json() for one in self.runs)
        measuring.write_text(self._file, f"{head}[\n{lines}\n]\n}}\n")


if __name__ == "__main__":
    sys.exit(main())
