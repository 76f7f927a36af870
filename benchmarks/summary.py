"""From measured runs to the figures that are quoted."""

import math
import statistics
from collections.abc import Iterable, Sequence
from typing import Any

from pydantic import BaseModel, ConfigDict

from backend.domain.json import Json
from benchmarks.parts import FASTAI, FASTAI_BEST, OURS, OURS_AGAIN

CONTENDERS = (OURS, OURS_AGAIN, FASTAI, FASTAI_BEST)


class Run(BaseModel):
    """One measured training.

    Attributes:
        seconds: from images and weights on the disk to the validated result.
        seconds_total: the same with checkpoint and export, where there are any.
        error_rate: share of the validation images that the kept model gets wrong: the best stage's last epoch.
        errors: the same after every epoch of every stage.
        peak_memory: bytes.
        load: load average just before it began.
        settings: of ``Part.settings``.
        after_stages: seconds and peak memory at the end of each stage, if reported.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    contender: str
    seed: int
    seconds: float
    seconds_total: float | None = None
    error_rate: float
    errors: tuple[tuple[float, ...], ...]
    peak_memory: int
    train_images: int
    valid_images: int
    versions: dict[str, str] = {}
    load: float = 0.0
    settings: str = ""
    after_stages: tuple[tuple[float, int], ...] = ()

    def first_stages(self, count: int, settings: str) -> "Run":
        """The same training cut off after its first stages."""
        seconds, peak_memory = self.after_stages[count - 1]
        errors = self.errors[:count]
        return self.model_copy(
            update={
                "seconds": seconds,
                "peak_memory": peak_memory,
                "errors": errors,
                "error_rate": min(stage[-1] for stage in errors),
                "after_stages": self.after_stages[:count],
                "settings": settings,
            }
        )


def summarise(runs: Sequence[Run], *, epochs: int, weights: str) -> dict[str, Json]:
    """The figures of one part: medians of seconds and memory, means of errors, ratios of the medians.

    With drawn weights errors mean nothing and are left out.
    """
    by = {contender: [run for run in runs if run.contender == contender] for contender in CONTENDERS}
    seconds = {contender: _median(run.seconds for run in own) for contender, own in by.items()}
    figures: dict[str, Any] = {
        "weights": weights,
        "ratio": _ratio(seconds[FASTAI], seconds[OURS]),
        "ratio_best": _ratio(seconds[FASTAI_BEST], seconds[OURS]),
    }
    for contender, own in by.items():
        if not own:
            continue
        figures |= _of_contender(own, contender, epochs)
        if weights != "random":
            figures |= _errors(own, contender)
    return {**figures, "epochs": epochs, "runs": [run.model_dump(mode="json") for run in runs]}


def _of_contender(runs: Sequence[Run], contender: str, epochs: int) -> dict[str, Any]:  # Any: as above
    figures: dict[str, Any] = {
        f"seconds_{contender}": _median(run.seconds for run in runs),
        f"seconds_each_{contender}": [run.seconds for run in runs],
        f"images_per_s_{contender}": _median(run.train_images * epochs / run.seconds for run in runs),
        f"memory_{contender}": _median(run.peak_memory for run in runs),
    }
    totals = [run.seconds_total for run in runs if run.seconds_total is not None]
    if totals:
        figures[f"seconds_total_{contender}"] = _median(totals)
    return figures


def _errors(runs: Sequence[Run], contender: str) -> dict[str, Any]:  # Any: as above
    kept = [run.error_rate for run in runs]
    last = [run.errors[-1][-1] for run in runs]
    return {
        f"error_{contender}": statistics.fmean(kept),
        f"error_standard_error_{contender}": standard_error(kept),
        f"errors_{contender}": kept,
        f"error_last_{contender}": statistics.fmean(last),
        f"errors_last_{contender}": last,
    }


def standard_error(values: Sequence[float]) -> float | None:
    """Of the mean; None of a single value."""
    return statistics.stdev(values) / math.sqrt(len(values)) if len(values) > 1 else None


def _median(values: Iterable[float]) -> float | None:
    known = list(values)
    return statistics.median(known) if known else None


def _ratio(theirs: float | None, ours: float | None) -> float | None:
    return theirs / ours if theirs and ours else None


def memory(parts: dict[str, dict[str, Any]]) -> dict[str, Any]:  # Any: as above
    """The peak memory of each side over all parts, in bytes."""
    most: dict[str, Any] = {}
    for contender in CONTENDERS:
        held = [part[f"memory_{contender}"] for part in parts.values() if f"memory_{contender}" in part]
        if held:
            most[contender] = max(held)
    return most
