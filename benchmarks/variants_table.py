"""Test errors of our variants side by side, into ``docs/speed.md``: ``python -m benchmarks.variants_table OUT``.

OUT is a file of results of ``python -m benchmarks.suite``.
"""

import statistics
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from benchmarks.sides import OURS
from benchmarks.suite_run import SuiteRun
from benchmarks.suite_summary import Spread
from benchmarks.table import Results, machine_sentence, redraw

BEGIN: Final = "<!-- figures: variants begin (drawn by python -m benchmarks.variants_table) -->"
END: Final = "<!-- figures: variants end -->"


def draw(results: Results) -> str:
    """The Markdown: a row for each variant, a column for each set; mean test error of the seeds that all have."""
    runs = [SuiteRun.model_validate(run) for run in results["runs"]]
    runs = [run for run in runs if run.side.startswith(f"{OURS}: ")]
    if not runs:
        return "Nothing has been measured yet."
    sides = sorted({run.side for run in runs})
    sets = list(dict.fromkeys(run.set for run in runs))
    seeds = {name: _common_seeds([run for run in runs if run.set == name], sides) for name in sets}
    sets = [name for name in sets if seeds[name]]
    rows = [
        f"| {side.removeprefix(f'{OURS}: ')} | "
        + " | ".join(_error(runs, side, name, seeds[name]) for name in sets)
        + f" | {_seconds(runs, side):.0f} |"
        for side in sides
    ]
    counted = ", ".join(f"{name} {len(seeds[name])}" for name in sets)
    return "\n".join(
        [
            f"| | {' | '.join(sets)} | seconds |",
            f"|---{'|---' * len(sets)}|---|",
            *rows,
            "",
            f"Mean test error with its standard error; number of seeds: {counted}. "
            "Seconds are of the processor, the median of all runs.",
            machine_sentence(results["machine"]),
        ]
    )


def _common_seeds(runs: Sequence[SuiteRun], sides: Sequence[str]) -> list[int]:
    """Seeds on which every variant was measured: means over other seeds could not be compared."""
    by_side = [{run.seed for run in runs if run.side == side} for side in sides]
    return sorted(set.intersection(*by_side))


def _error(runs: Sequence[SuiteRun], side: str, name: str, seeds: Sequence[int]) -> str:
    errors = [run.test_error_rate for run in runs if (run.side, run.set) == (side, name) and run.seed in seeds]
    return Spread.of(errors).percent


def _seconds(runs: Sequence[SuiteRun], side: str) -> float:
    return statistics.median(run.processor_seconds for run in runs if run.side == side)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("Give the file of results: python -m benchmarks.variants_table OUT")
    redraw(Path(sys.argv[1]), draw, BEGIN, END)
