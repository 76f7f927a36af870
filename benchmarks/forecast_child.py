"""One measured process of ``benchmarks.forecast``: ``python -m benchmarks.forecast_child test|train JOB RESULT``."""

import resource
import sys
import time
from dataclasses import asdict
from itertools import chain
from pathlib import Path

from backend.domain.json import Json

_BEGUN = time.perf_counter()


def main(what: str, job: dict[str, Json]) -> dict[str, Json]:
    """Test the machine, or run the training that the job describes."""
    if what == "test":
        from worker.speed_test import measured

        return {"speeds": [asdict(speed) for speed in measured("cpu")]}
    return _train(job)


def _train(job: dict[str, Json]) -> dict[str, Json]:
    from backend.domain.labels.rules import FolderRule, PatternRule, parse_rule
    from backend.domain.manifest import Split
    from backend.domain.splitting import RandomSplit
    from backend.domain.training import TrainingRequest, resolve
    from backend.training.forecast.cursor import WorkCursor
    from backend.training.forecast.speeds import speeds_of
    from backend.training.forecast.work import Counts, pieces
    from benchmarks.ours import NOWHERE, use_weights
    from worker.engine.data.folder import read_folder
    from worker.engine.order import TrainingOrder
    from worker.engine.recipe import train

    use_weights(job["weights"])
    rule = parse_rule(PatternRule(pattern=job["pattern"]) if job["pattern"] else FolderRule())
    content = read_folder(Path(job["data"]), rule, RandomSplit(valid=job["valid"], seed=job["seed"]))
    counts = Counts(*(len(content.manifest.of(side)) for side in (Split.TRAIN, Split.VALID, Split.TEST)))
    config = resolve(TrainingRequest.model_validate(job["request"]))
    # From the start of the process, as importing torch is a part of every training.
    readings = chain([_BEGUN], iter(time.perf_counter, None))
    cursor = WorkCursor(pieces(config, counts), monotonic=lambda: next(readings))
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
        "counts": asdict(counts),
        "speeds": [asdict(speed) for speed in speeds_of(cursor.measurements, config, None)],
    }


if __name__ == "__main__":
    from benchmarks import measuring

    measuring.write(Path(sys.argv[3]), main(sys.argv[1], measuring.read(Path(sys.argv[2]))))
