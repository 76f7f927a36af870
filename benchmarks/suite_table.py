"""Draw the suite's file of results into ``docs/speed.md``: ``python -m benchmarks.suite_table OUT``."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from benchmarks.sides import GRID, OURS, GridPoint
from benchmarks.suite_run import SuiteRun
from benchmarks.suite_summary import Seconds, SideFigures, Spread, chosen_point, grid_errors, summarise_set
from benchmarks.table import Results, machine_sentence, redraw

BEGIN: Final = "<!-- figures: suite begin (drawn by python -m benchmarks.suite_table) -->"
END: Final = "<!-- figures: suite end -->"

_HEADER: Final = (
    "| | test error | difference | validation error | first result | chosen model | until fastai's best error "
    "| times faster | seeds |",
    "|---|---|---|---|---|---|---|---|---|",
)


def draw(results: Results) -> str:
    """The Markdown between the marks: a table of sides for each set, fastai's grid, and how it was measured."""
    runs = [SuiteRun.model_validate(run) for run in results["runs"]]
    if not runs:
        return "Nothing has been measured yet."
    by_set = {name: [run for run in runs if run.set == name] for name in results["sets"]}
    measured = {name: own for name, own in by_set.items() if own}
    cores = results["machine"]["cores"]
    figures = {name: summarise_set(own, cores) for name, own in measured.items()}
    rows = [
        line
        for name, sides in figures.items()
        for line in (
            _title(name, results["sets"][name], measured[name]),
            *(_row(side) for side in sides),
        )
    ]
    return "\n".join(
        [*_HEADER, *rows, "", *_verdict(figures), "", *_grid(measured), "", *_how(results["machine"], runs)]
    )


def _title(name: str, facts: dict[str, Any], runs: Sequence[SuiteRun]) -> str:  # Any: JSON values
    first = runs[0]
    return (
        f"| **{name}**, {facts['classes']} classes: {first.train_images} images for training, {first.valid_images} "
        f"for validation, {first.test_images} for the test | | | | | | | | |"
    )


def _row(side: SideFigures) -> str:
    cells = [
        "ours, `recommended`" if side.title == OURS else side.title,
        side.test_error.percent,
        _points(side.difference),
        side.valid_error.percent,
        _seconds(side.first, side),
        _seconds(side.whole, side),
        _until(side),
        "" if side.ratio is None else f"{side.ratio:.1f}",
        _seeds(side),
    ]
    return f"| {' | '.join(cells)} |"


def _until(side: SideFigures) -> str:
    if side.until is not None:
        return _seconds(side.until, side)
    return "not reached" if side.compared else ""


def _points(spread: Spread | None) -> str:
    if spread is None:
        return ""
    error = "" if spread.standard_error is None else f" (± {100 * spread.standard_error:.1f})"
    return f"{100 * spread.mean:+.1f}{error}"


def _seconds(seconds: Seconds, side: SideFigures) -> str:
    return f"{seconds.processor:.0f} s ({seconds.clock:.0f} s{'*' if side.is_busy else ''})"


def _seeds(side: SideFigures) -> str:
    total = len(side.seeds)
    return (
        str(total) if side.reached in (0, side.compared) else f"{total}, reached on {side.reached} of {side.compared}"
    )


def _verdict(figures: dict[str, list[SideFigures]]) -> list[str]:
    """On how many sets each of our sides reaches the aim."""
    compared = [
        (name, side)
        for name, sides in figures.items()
        for side in sides
        if side.is_ours and side.difference is not None
    ]
    lines = []
    for title in dict.fromkeys(side.title for _, side in compared):
        own = [(name, side) for name, side in compared if side.title == title]
        good = [name for name, side in own if side.is_good]
        fast = [name for name, side in own if side.ratio is not None and side.ratio >= 5]
        name = "`recommended`" if title == OURS else title.removeprefix(f"{OURS}: ")
        lines.append(
            f"- {name}: test error at most that of fastai's best side, within one standard error, on {len(good)} of "
            f"{len(own)} sets{_names(good, own)}; at least 5 times faster to its error on {len(fast)}"
            f"{_names(fast, own)}."
        )
    return lines


def _names(some: Sequence[str], of: Sequence[object]) -> str:
    return f" ({', '.join(some)})" if 0 < len(some) < len(of) else ""


def _grid(by_set: dict[str, list[SuiteRun]]) -> list[str]:
    """How the numbers of ``fine_tune`` were chosen: the validation errors of the grid, the chosen one in bold."""
    points = sorted(GRID, key=lambda point: (point.epochs, point.base_lr, point.fixed_norms))
    rows = [(name, grid_errors(runs), chosen_point(runs)) for name, runs in by_set.items()]
    rows = [row for row in rows if row[1]]
    if not rows:
        return []
    return [
        "Validation error of fastai's `fine_tune` on the first seed, by epochs and `base_lr` (fixed: batch norm in "
        "evaluation mode in the frozen epoch, `BnFreeze`); the chosen one is bold:",
        "",
        f"| | {' | '.join(point.words for point in points)} |",
        f"|---{'|---' * len(points)}|",
        *(
            f"| {name} | {' | '.join(_cell(point, errors, chosen) for point in points)} |"
            for name, errors, chosen in rows
        ),
    ]


def _cell(point: GridPoint, errors: dict[GridPoint, float], chosen: GridPoint | None) -> str:
    if point not in errors:
        return ""
    return f"**{errors[point]:.1%}**" if point == chosen else f"{errors[point]:.1%}"


def _how(machine: Results, runs: Sequence[SuiteRun]) -> list[str]:
    loads = [load for run in runs for load in (run.load_before, run.load_after)]
    return [
        machine_sentence(machine),
        "Errors are means over the seeds with their standard error, of the model that validation chooses; the "
        "difference is to the side of fastai's with the lower validation error, seed by seed, in points.",
        "Seconds are medians of processor time, of all cores together, from images and weights on the disk to the "
        "validated result; in brackets wall-clock time, with a star where other programs used the machine too. "
        "Times faster is the ratio of processor times until the validation error of fastai's best side.",
        f"Load average between {min(loads):.1f} and {max(loads):.1f}; "
        f"measured from {min(run.at for run in runs)[:10]} to {max(run.at for run in runs)[:10]}.",
    ]


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("Give the file of results: python -m benchmarks.suite_table OUT")
    redraw(Path(sys.argv[1]), draw, BEGIN, END)
