"""One process of ``benchmarks.forecast``: ``python -m benchmarks.forecast_child test|load|count|train JOB RESULT``."""

import resource
import sys
import time
from dataclasses import asdict
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

from backend.domain.json import Json

if TYPE_CHECKING:
    from backend.training.forecast.work import Counts
    from worker.engine.data.folder import FolderContent

_BEGUN = time.perf_counter()


def main(what: str, job: dict[str, Json]) -> dict[str, Json]:
    """Test the machine, measure its load, count the pictures, or run the training that the job describes."""
    if what == "load":
        from worker.processors import LoadMeter

        meter = LoadMeter()
        time.sleep(job["seconds"])
        return {"other_threads": meter.other_threads()}
    if what == "test":
        from worker.speed_test import measured

        return {"speeds": [asdict(speed) for speed in measured("cpu")]}
    return _train(job) if what == "train" else {"counts": asdict(_counts(_read(job)))}


def _read(job: dict[str, Json]) -> "FolderContent":
    from backend.domain.labels.rules import FolderRule, PatternRule, parse_rule
    from backend.domain.splitting import RandomSplit
    from worker.engine.data.folder import read_folder

    rule = parse_rule(PatternRule(pattern=job["pattern"]) if job["pattern"] else FolderRule())
    return read_folder(Path(job["data"]), rule, RandomSplit(valid=job["valid"], seed=job["seed"]))


def _counts(content: "FolderContent") -> "Counts":
    from backend.domain.manifest import Split
    from backend.training.forecast.work import Counts

    return Counts(*(len(content.manifest.of(side)) for side in (Split.TRAIN, Split.VALID, Split.TEST)))


def _train(job: dict[str, Json]) -> dict[str, Json]:
    from backend.domain.catalogue import architecture_named
    from backend.domain.training import TrainingConfig
    from backend.training.forecast.cursor import WorkCursor
    from backend.training.forecast.speeds import speeds_of
    from backend.training.forecast.work import work_items
    from benchmarks.ours import NOWHERE, use_weights
    from worker.engine.order import TrainingOrder
    from worker.engine.recipe import train
    from worker.processors import QuietClock

    use_weights(job["weights"])
    content = _read(job)
    config = TrainingConfig.model_validate(job["config"])
    # The catalogue may name drawn weights now.
    config = config.model_copy(update={"weights": architecture_named(config.architecture).weights[0].name})
    # From the start of the process, as importing torch is a part of every training.
    readings = chain([_BEGUN], iter(time.perf_counter, None))
    quiet = chain([0.0], iter(QuietClock(monotonic=time.perf_counter, begun_at=_BEGUN), None))
    items = work_items(config, _counts(content))
    cursor = WorkCursor(items, monotonic=lambda: next(readings), quiet=lambda: next(quiet))
    work = Path(job["work"])
    train(
        TrainingOrder(
            manifest=content.manifest,
            config=config,
            open_bytes=content.open_bytes,
            output_folder=work / "output",
            state_folder=work / "states",
            weights_folder=Path(job["weights"]["folder"]),
            weights_url_base=NOWHERE,
            device="cpu",
            features_folder=Path(job["cache"]),
        ),
        on_event=cursor.see,
    )
    return {
        "seconds": time.perf_counter() - _BEGUN,
        "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024),
        "speeds": [asdict(speed) for speed in speeds_of(cursor.measurements, config, None)],
    }


if __name__ == "__main__":
    from benchmarks import measuring

    measuring.write(Path(sys.argv[3]), main(sys.argv[1], measuring.read(Path(sys.argv[2]))))
