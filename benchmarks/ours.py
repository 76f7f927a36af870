"""One measured training of ours, in a process of its own: ``python -m benchmarks.ours JOB RESULT``."""

import dataclasses
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from backend.domain.architectures import ARCHITECTURES, PretrainedWeights, WeightSource
from backend.domain.events import EpochFinished, Event
from backend.domain.json import Json
from backend.domain.labels.rules import FolderRule, PatternRule, parse_rule
from backend.domain.manifest import Split
from backend.domain.splitting import RandomSplit
from backend.domain.training import TrainingRequest, resolve
from benchmarks import measuring
from worker.engine.data.folder import read_folder
from worker.engine.order import TrainingOrder
from worker.engine.recipe import train

NOWHERE = "http://127.0.0.1:9"
"""Weights that aren't at hand would be asked for here, where nobody answers: a benchmark fetches nothing."""


@dataclass
class _Watch:
    """Notes when each epoch's validated result stood there."""

    begun: float
    errors: list[list[float]] = field(default_factory=list)
    validated_after: float = 0.0

    def __call__(self, event: Event) -> None:
        if isinstance(event, EpochFinished):
            self.validated_after = time.perf_counter() - self.begun
            while len(self.errors) <= event.stage:
                self.errors.append([])
            self.errors[event.stage].append(event.error_rate)


def measure(job: dict[str, Json]) -> dict[str, Json]:
    """Train as the job says, from the files of the folder on."""
    use_weights(job["weights"])
    begun = time.perf_counter()
    watch = _Watch(begun)
    rule = parse_rule(PatternRule(pattern=job["pattern"]) if job["pattern"] else FolderRule())
    content = read_folder(Path(job["data"]), rule, RandomSplit(valid=job["valid"], seed=job["seed"]))
    work = Path(job["work"])
    order = TrainingOrder(
        manifest=content.manifest,
        config=resolve(TrainingRequest.model_validate(job["request"])),
        open_bytes=content.open_bytes,
        output_folder=work / "output",
        state_folder=work / "states",
        weights_folder=Path(job["weights"]["folder"]),
        weights_url_base=NOWHERE,
        device="cpu",
        features_folder=Path(job["cache"]),
    )
    result = train(order, on_event=watch)
    return {
        "seconds": watch.validated_after,
        "seconds_total": time.perf_counter() - begun,
        "error_rate": result.best.error_rate,
        "errors": watch.errors,
        "peak_memory": measuring.peak_memory(),
        "train_images": len(content.manifest.of(Split.TRAIN)),
        "valid_images": len(content.manifest.of(Split.VALID)),
        "versions": measuring.versions(),
    }


def use_weights(weights: dict[str, Any]) -> None:
    """Let the catalogue name the drawn weights instead of ImageNet's, where those aren't at hand."""
    if weights["kind"] != "random":
        return
    entry = ARCHITECTURES[weights["architecture"]]
    drawn = PretrainedWeights(
        "drawn", WeightSource.DOWNLOAD, file_name=weights["file_name"], sha256_prefix=weights["sha256"]
    )
    ARCHITECTURES[entry.name] = dataclasses.replace(entry, weights=(drawn,))


if __name__ == "__main__":
    measuring.write(Path(sys.argv[2]), measure(measuring.read(Path(sys.argv[1]))))
