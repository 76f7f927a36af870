"""Our training beside fastai's, on the same images, splits, weights and epochs.

``python -m benchmarks.training --data FOLDER --pattern PATTERN --json OUT``

Every measured training is a process of its own, and the sides take turns. After
each of them OUT is written again; a second call with the same OUT continues where
the first one ended. Nothing is downloaded.
"""

import argparse
import hashlib
import os
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from backend.domain.errors import AppError
from backend.domain.json import Json
from backend.domain.labels.rules import FolderRule, PatternRule, parse_rule
from backend.domain.manifest import Manifest, Split
from backend.domain.splitting import RandomSplit
from backend.domain.training import resolve
from benchmarks import measuring
from benchmarks.parts import FASTAI, FASTAI_BEST, OURS, OURS_AGAIN, PARTS, VALID, Part, in_turn
from benchmarks.processes import CantMeasure, answer_of, machine, require_fastai
from benchmarks.summary import Run, memory, summarise
from worker.engine.data.folder import FolderContent, read_folder

_CANT: Final = 2


@dataclass(frozen=True, slots=True)
class Wanted:
    """The command line's arguments."""

    data: Path
    pattern: str | None
    json: Path
    seeds: tuple[int, ...]
    parts: tuple[str, ...]
    fastai_python: str
    fastai_workers: int
    weights_folder: Path
    ours_only: bool
    afresh: bool
    again: tuple[str, ...]


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure all that is chosen and not yet in the file; returns the exit code."""
    wanted = _parse(arguments)
    try:
        _measure_all(wanted)
    except (CantMeasure, AppError) as error:
        print(error, file=sys.stderr)
        return _CANT
    return 0


def _parse(arguments: Sequence[str] | None) -> Wanted:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.training", description="Compare training with fastai.")
    parser.add_argument("--data", type=Path, required=True, help="folder of pictures")
    parser.add_argument("--pattern", help="regular expression (RE2) on '/' + path; group 1 is the label")
    parser.add_argument("--json", type=Path, required=True, help="file of results, added to if it is there")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3], help="of split, order, views and head")
    parser.add_argument("--parts", nargs="+", choices=list(PARTS), default=list(PARTS))
    parser.add_argument(
        "--fastai-python",
        default=os.environ.get("FASTAI_PYTHON", sys.executable),
        help="interpreter that has fastai; else FASTAI_PYTHON of the environment",
    )
    parser.add_argument("--fastai-workers", type=int, default=0, help="loader processes of fastai")
    parser.add_argument("--weights-folder", type=Path, default=Path("data/weights"), help="downloaded weights, if any")
    parser.add_argument("--ours-only", action="store_true", help="measure without fastai")
    parser.add_argument("--afresh", action="store_true", help="remove all earlier results from the file")
    parser.add_argument(
        "--again", nargs="+", choices=[OURS, FASTAI, FASTAI_BEST], default=[], help="sides to measure again"
    )
    given: dict[str, Any] = vars(parser.parse_args(arguments))  # Any: of several types
    given |= {name: tuple(given[name]) for name in ("seeds", "parts", "again")}
    # The measured processes run in another folder.
    given["weights_folder"] = given["weights_folder"].resolve()
    return Wanted(**given)


def _measure_all(wanted: Wanted) -> None:
    fastai_versions = {} if wanted.ours_only else require_fastai(wanted.fastai_python)
    results = Results.open(wanted.json, _settings(wanted), afresh=wanted.afresh)
    results.machine["versions"] = {**measuring.versions(), **fastai_versions}
    for contender in wanted.again:
        results.forget(contender)
    with tempfile.TemporaryDirectory(prefix="benchmark-") as work:
        folder = Path(work)
        weights = {name: _weights(PARTS[name], wanted, folder / name) for name in wanted.parts}
        for number, seed in enumerate(wanted.seeds):
            for name in wanted.parts:
                _measure_part(Side(PARTS[name], wanted, seed, weights[name], folder / name), number, results)


def _weights(part: Part, wanted: Wanted, folder: Path) -> dict[str, Json]:
    answer: dict[str, Any] = answer_of(
        [sys.executable, "-m", "benchmarks.weights", part.architecture, str(wanted.weights_folder)], folder
    )
    return answer


def _measure_part(side: "Side", round_number: int, results: "Results") -> None:
    for contender in in_turn(side.part.contenders, round_number):
        wanted = contender == OURS or not side.wanted.ours_only
        if not wanted or results.has(side.part, contender, side.seed):
            continue
        print(f"{side.part.name}, seed {side.seed}: {contender}", flush=True)
        for part, run in side.runs(contender):
            print(f"  {part.name}, {run.contender}: {run.seconds:.1f} s, error {run.error_rate:.1%}", flush=True)
            results.add(part, side.weights["kind"], run)


def _read(wanted: Wanted, seed: int) -> FolderContent:
    rule = parse_rule(PatternRule(pattern=wanted.pattern) if wanted.pattern else FolderRule())
    return read_folder(wanted.data, rule, RandomSplit(valid=VALID, seed=seed))


@dataclass(frozen=True, slots=True)
class Side:
    """The measured trainings of one part and seed."""

    part: Part
    wanted: Wanted
    seed: int
    weights: dict[str, Json]
    folder: Path

    @property
    def work(self) -> Path:
        """A folder for this seed."""
        return self.folder / str(self.seed)

    def runs(self, contender: str) -> list[tuple[Part, Run]]:
        """The parts and runs of a contender's training; several where one training contains another."""
        if contender == OURS:
            return [(self.part, run) for run in self.ours()]
        if contender == FASTAI and (whole := self.part.is_beginning_of) in self.wanted.parts:
            # The lesson begins with the frozen stage: one long training is measured after each of its stages.
            longer = Side(PARTS[whole], self.wanted, self.seed, self.weights, self.folder)
            run = longer.fastai(best=False)
            stages = len(self.part.fastai_stages)
            return [(self.part, run.first_stages(stages, self.part.settings(FASTAI))), (longer.part, run)]
        return [(self.part, self.fastai(best=contender == FASTAI_BEST))]

    def ours(self) -> list[Run]:
        """Twice: with an empty cache, and with what the first left there."""
        job = {
            **self._lists(),
            "config": resolve(self.part.our_request(self.seed)).model_dump(mode="json"),
            "weights": self.weights,
            "cache": str(self.work / "cache"),
        }
        command = [sys.executable, "-m", "benchmarks.ours"]
        return [
            self._measured(contender, command, {**job, "work": str(self.work / contender)})
            for contender in (OURS, OURS_AGAIN)
        ]

    def fastai(self, *, best: bool) -> Run:
        """As it comes, or at its best: batch norm of the frozen body in evaluation mode."""
        job = {
            **self.part.fastai_job(self.seed),
            **self._lists(),
            "weights": self.weights["safetensors"],
            "workers": self.wanted.fastai_workers,
            "best": best,
            "work": str(self.work / (FASTAI_BEST if best else FASTAI)),
        }
        command = [self.wanted.fastai_python, "-m", "benchmarks.fastai_side"]
        return self._measured(FASTAI_BEST if best else FASTAI, command, job)

    def _lists(self) -> dict[str, Json]:
        """Our split as explicit lists of (file, label)."""
        folder, manifest = self.wanted.data.resolve(), _read(self.wanted, self.seed).manifest

        def of(split: Split) -> list[list[str]]:
            return [[str(folder / image.path), image.label] for image in manifest.of(split)]

        return {"classes": list(manifest.classes), "train": of(Split.TRAIN), "valid": of(Split.VALID)}

    def _measured(self, contender: str, command: list[str], job: dict[str, Any]) -> Run:
        load = measuring.load_average()
        folder = Path(job["work"])
        folder.mkdir(parents=True, exist_ok=True)
        measuring.write(folder / "job.json", job)
        answer = answer_of([*command, str(folder / "job.json")], folder, with_folder=False)
        settings = self.part.settings(contender)
        return Run.model_validate(
            {"contender": contender, "seed": self.seed, "load": load, "settings": settings, **answer}
        )


def _settings(wanted: Wanted) -> dict[str, Any]:  # Any: as above
    """What must be equal for two calls to share a file of results."""
    manifest = _read(wanted, wanted.seeds[0]).manifest
    return {
        "data": wanted.data.name,
        "images": len(manifest.images),
        "classes": len(manifest.classes),
        "fingerprint": _fingerprint(manifest),
        "pattern": wanted.pattern,
        "valid": VALID,
        "fastai_workers": wanted.fastai_workers,
    }


def _fingerprint(manifest: Manifest) -> str:
    lines = sorted(f"{image.digest} {image.label}" for image in manifest.images)
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16]


class Results:
    """The file of results: written after every run, read again by the next call."""

    def __init__(self, file: Path, content: dict[str, Json]) -> None:
        self._file, self._content = file, content
        self.machine: dict[str, Any] = content["machine"]

    @classmethod
    def open(cls, file: Path, settings: dict[str, Any], *, afresh: bool) -> "Results":  # Any: as above
        """What is there already, if it was measured under the same settings.

        Raises:
            CantMeasure: it was measured under others.
        """
        if file.exists() and not afresh:
            content = measuring.read(file)
            if content["settings"] != settings:
                raise CantMeasure(
                    f"{file} was measured with other pictures. Give another --json, or --afresh to start over."
                )
            return cls(file, content)
        return cls(file, {"memory": {}, "machine": machine(), "settings": settings})

    def has(self, part: Part, contender: str, seed: int) -> bool:
        """Whether that run need not be repeated; ours counts as run only together with its repetition."""
        wanted = {OURS, OURS_AGAIN} if contender == OURS else {contender}
        return wanted <= {run.contender for run in self._runs(part) if run.seed == seed}

    def forget(self, contender: str) -> None:
        """Leave out the runs of a contender, of all parts."""
        for name in PARTS:
            if name in self._content:
                runs = self._content[name]["runs"]
                self._content[name]["runs"] = [run for run in runs if run["contender"] != contender]

    def add(self, part: Part, weights: str, run: Run) -> None:
        """Take a run in, in place of an earlier one of its kind, and write the file."""
        others = [one for one in self._runs(part) if (one.contender, one.seed) != (run.contender, run.seed)]
        self._content[part.name] = summarise([*others, run], epochs=part.epochs, weights=weights)
        self._content["memory"] = memory({name: self._content[name] for name in PARTS if name in self._content})
        self.machine["load_after"] = measuring.load_average()
        measuring.write(self._file, self._content)

    def _runs(self, part: Part) -> list[Run]:
        """The part's runs so far that were measured under its present numbers."""
        runs = [Run.model_validate(run) for run in self._content.get(part.name, {}).get("runs", [])]
        return [run for run in runs if run.settings == part.settings(run.contender)]


if __name__ == "__main__":
    sys.exit(main())
