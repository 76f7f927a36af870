"""From the suite's runs to the figures that are quoted."""

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from benchmarks.sides import FINE_TUNE, GRID, LESSON, OURS, GridPoint, best_point, fine_tune
from benchmarks.suite_run import SuiteRun
from benchmarks.summary import standard_error


@dataclass(frozen=True, slots=True)
class Spread:
    """A mean over the seeds and its standard error; None of a single seed."""

    mean: float
    standard_error: float | None

    @classmethod
    def of(cls, values: Sequence[float]) -> "Spread":
        """Of at least one value."""
        return cls(statistics.fmean(values), standard_error(values))

    @property
    def percent(self) -> str:
        """``12.5% (± 1.3)``."""
        error = "" if self.standard_error is None else f" (± {100 * self.standard_error:.1f})"
        return f"{self.mean:.1%}{error}"


@dataclass(frozen=True, slots=True)
class Seconds:
    """Medians over the seeds of wall-clock and processor seconds."""

    clock: float
    processor: float


@dataclass(frozen=True, slots=True)
class SideFigures:
    """What is quoted of one side on one set.

    Attributes:
        title: the side's name, with the chosen numbers of ``fine_tune``.
        seeds: on which it was measured.
        test_error, valid_error: shares in [0, 1].
        difference: of the test error to that of fastai's best side, seed by seed; None of that side itself.
        first, whole: until the first stage's result, and until the chosen model.
        compared: number of seeds on which fastai's best side was measured too.
        reached: seeds of these on which its validation error came down to that of fastai's best side.
        until: how long that took, on those seeds.
        ratio: the processor time of fastai's best side until then, through this side's; the median of the seeds.
        is_busy: whether other processes used the machine, so that wall-clock seconds mean little.
    """

    title: str
    is_ours: bool
    seeds: tuple[int, ...]
    test_error: Spread
    valid_error: Spread
    difference: Spread | None
    first: Seconds
    whole: Seconds
    compared: int
    reached: int
    until: Seconds | None
    ratio: float | None
    is_busy: bool

    @property
    def is_good(self) -> bool:
        """Whether the test error is at most that of fastai's best side, within one standard error."""
        if self.difference is None:
            return True
        return self.difference.mean <= (self.difference.standard_error or 0.0)


def summarise_set(runs: Sequence[SuiteRun], cores: int) -> list[SideFigures]:
    """The figures of a set's sides: ours, then fastai's lesson and its ``fine_tune`` at its best grid point."""
    sides = _sides(runs)
    best = _best_of_fastai(sides)
    target = {run.seed: run for run in sides[best]} if best else {}
    return [_figures(title, own, target, is_best=title == best, cores=cores) for title, own in sides.items()]


def _sides(runs: Sequence[SuiteRun]) -> dict[str, list[SuiteRun]]:
    """The runs of each side that is quoted, by title, in the order of the seeds."""
    ordered = sorted(runs, key=lambda run: run.seed)
    ours = list(dict.fromkeys(run.side for run in ordered if run.side.startswith(OURS)))
    names = [*sorted(ours), *([LESSON] if any(run.side == LESSON for run in ordered) else [])]
    point = chosen_point(ordered)
    if point is not None:
        names.append(fine_tune(point).name)
    return {name: [run for run in ordered if run.side == name] for name in names}


def chosen_point(runs: Sequence[SuiteRun]) -> GridPoint | None:
    """The best grid point of a set by the seed on which the grid was measured: the lowest."""
    seeds = [run.seed for run in runs if run.side.startswith(FINE_TUNE)]
    return best_point([run for run in runs if run.seed == min(seeds)]) if seeds else None


def _best_of_fastai(sides: dict[str, list[SuiteRun]]) -> str | None:
    """The side of fastai's with the lowest mean validation error."""
    errors = {
        title: statistics.fmean(run.error_rate for run in own)
        for title, own in sides.items()
        if not title.startswith(OURS)
    }
    return min(errors, key=lambda title: errors[title]) if errors else None


def _figures(
    title: str, runs: Sequence[SuiteRun], target: dict[int, SuiteRun], *, is_best: bool, cores: int
) -> SideFigures:
    both = [(run, target[run.seed]) for run in runs if run.seed in target]
    differences = [run.test_error_rate - theirs.test_error_rate for run, theirs in both]
    reached = [
        (own, their_own)
        for run, theirs in both
        if (own := run.until(theirs.error_rate)) and (their_own := theirs.until(theirs.error_rate))
    ]
    return SideFigures(
        title=title,
        is_ours=title.startswith(OURS),
        seeds=tuple(run.seed for run in runs),
        test_error=Spread.of([run.test_error_rate for run in runs]),
        valid_error=Spread.of([run.error_rate for run in runs]),
        difference=Spread.of(differences) if differences and not is_best else None,
        first=_medians((run.first_result.seconds, run.first_result.processor_seconds) for run in runs),
        whole=_medians((run.seconds, run.processor_seconds) for run in runs),
        compared=len(both),
        reached=len(reached),
        until=_medians((own.seconds, own.processor_seconds) for own, _ in reached) if reached else None,
        ratio=statistics.median(theirs.processor_seconds / own.processor_seconds for own, theirs in reached)
        if reached
        else None,
        # A run before leaves a load of as many processes as there are cores.
        is_busy=any(run.load_before > cores + 0.5 for run in runs),
    )


def _medians(seconds: Iterable[tuple[float, float]]) -> Seconds:
    clock, processor = zip(*seconds, strict=True)
    return Seconds(statistics.median(clock), statistics.median(processor))


def grid_errors(runs: Sequence[SuiteRun]) -> dict[GridPoint, float]:
    """Validation error of each measured grid point, on the lowest seed that has any."""
    seeds = [run.seed for run in runs if run.side.startswith(FINE_TUNE)]
    errors = {run.side: run.error_rate for run in runs if seeds and run.seed == min(seeds)}
    return {point: errors[name] for point in GRID if (name := fine_tune(point).name) in errors}
