"""How many wrong labels are found, by our order and list of suspects and by cleanlab's, on the same probabilities.

``python -m benchmarks.suspects SOURCE ... --json OUT --cache FOLDER`` measures; ``--draw`` puts the table into
``docs/findings.md``. Of each set's labels, some are made wrong: by any other class, or by the class that the linear
model confuses most with the right one. No training takes part, so that both sides know the same: kept features, and
what a linear model that has not learnt from a picture says of it.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from backend.domain.confidence.strangeness import auroc
from backend.domain.json import Json
from backend.domain.labels.out_of_fold import out_of_fold_logits, softmax
from backend.domain.labels.suspects import Labelled, signals_of
from benchmarks import measuring
from benchmarks.kept_features import labelled_features
from benchmarks.processes import CantMeasure, machine
from benchmarks.sets import prepare
from benchmarks.suite_summary import Spread
from benchmarks.table import machine_sentence, redraw

BEGIN: Final = "<!-- figures: suspects begin (drawn by python -m benchmarks.suspects) -->"
END: Final = "<!-- figures: suspects end -->"
PAGE: Final = Path(__file__).resolve().parents[1] / "docs/findings.md"
SHARES: Final = (0.05, 0.1)
KINDS: Final = ("any class", "most confused class")
FIRST: Final = 30
OURS: Final = "tellapart"
TOOLS: Final = (OURS, "cleanlab, self-confidence", "cleanlab, normalized margin")
_CANT: Final = 2

Features = NDArray[np.float32]
Targets = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Draw:
    """Labels of N pictures, some of them wrong.

    Attributes:
        targets: (N,) index of the class that each label names.
        is_wrong: (N,) whether it was made wrong.
    """

    share: float
    kind: str
    seed: int
    targets: Targets
    is_wrong: NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Found:
    """(N,) how suspect each label is, (N,) whether it is listed, and the seconds that it took."""

    scores: NDArray[np.float64]
    listed: NDArray[np.bool_]
    seconds: float


def draws_of(values: Features, targets: Targets, classes: int, seeds: Sequence[int]) -> list[Draw]:
    """Labels with every share and kind of wrong ones."""
    right = softmax(out_of_fold_logits(values, targets, np.arange(len(targets)), classes))
    confused = np.stack([right[targets == target].sum(axis=0) for target in range(classes)])
    np.fill_diagonal(confused, -1)
    return [
        draw_of(targets, confused.argmax(axis=1) if kind == KINDS[1] else None, share, kind, seed)
        for share in SHARES
        for kind in KINDS
        for seed in seeds
    ]


def draw_of(targets: Targets, others: Targets | None, share: float, kind: str, seed: int) -> Draw:
    """A share of the labels is made wrong: class ``others`` of each class, or any other one where that is None."""
    random = np.random.default_rng(seed)
    classes = int(targets.max()) + 1
    chosen = random.permutation(len(targets))[: round(share * len(targets))]
    wrong = targets.copy()
    if others is None:
        wrong[chosen] = (targets[chosen] + 1 + random.integers(classes - 1, size=len(chosen))) % classes
    else:
        wrong[chosen] = others[targets[chosen]]
    return Draw(share, kind, seed, wrong, wrong != targets)


def our_answer(values: Features, draw: Draw, classes: int) -> Found:
    """What the product says, without any training."""
    count = len(draw.targets)
    nobody = np.full(count, -1, dtype=np.int64)
    unknown = np.full(count, np.nan)
    known = Labelled(values, draw.targets, np.arange(count), unknown, nobody, np.zeros(count), nobody)
    begun = time.perf_counter()
    signals = signals_of(known, classes)
    seconds = time.perf_counter() - begun
    listed = np.zeros(count, dtype=np.bool_)
    listed[signals.suspects] = True
    return Found(signals.scores, listed, seconds)


def cleanlab_answers(python: Path, values: Features, draws: Sequence[Draw], classes: int) -> list[dict[str, Found]]:
    """What cleanlab says of each draw, by tool; its seconds are those of the fit and of ``find_label_issues``.

    Raises:
        CantMeasure: it can't be run.
    """
    fits: list[float] = []
    with tempfile.TemporaryDirectory(prefix="tellapart-suspects-") as name:
        folder = Path(name)
        for place, draw in enumerate(draws):
            begun = time.perf_counter()
            logits = out_of_fold_logits(values, draw.targets, np.arange(len(draw.targets)), classes)
            fits.append(time.perf_counter() - begun)
            np.savez(folder / f"{place:03}.npz", targets=draw.targets, probabilities=softmax(logits))
        script = Path(__file__).with_name("cleanlab_child.py")
        done = subprocess.run([python, script, folder], capture_output=True, text=True, check=False)
        if done.returncode:
            raise CantMeasure(f"cleanlab can't be run by {python}: {done.stderr[-2000:]}")
        answers = [np.load(folder / f"{place:03}.answer.npz") for place in range(len(draws))]
        return [
            {
                TOOLS[1]: _of(answer, "self_confidence", fit),
                TOOLS[2]: _of(answer, "normalized_margin", fit),
            }
            for answer, fit in zip(answers, fits, strict=True)
        ]


def _of(answer: Mapping[str, NDArray[np.float64]], method: str, fit: float) -> Found:
    return Found(-answer[method], answer["listed"].astype(np.bool_), fit + float(answer["seconds"]))


def figures(draw: Draw, found: Found) -> dict[str, Json]:
    """AUROC of the order; the share of wrong ones among the first; recall and precision of the list."""
    scores, wrong = found.scores.astype(np.float32), draw.is_wrong
    first = np.argsort(-scores, kind="stable")[:FIRST]
    listed = int(found.listed.sum())
    hits = int((found.listed & wrong).sum())
    return {
        "auroc": auroc(scores[~wrong], scores[wrong]),
        "first": float(wrong[first].mean()),
        "recall": hits / int(wrong.sum()),
        "precision": hits / listed if listed else 1.0,
        "seconds": found.seconds,
    }


def measure(name: str, values: Features, targets: Targets, python: Path | None, seeds: Sequence[int]) -> list[Json]:
    """A row for each draw and tool."""
    classes = int(targets.max()) + 1
    draws = draws_of(values, targets, classes, seeds)
    others = [{} for _ in draws] if python is None else cleanlab_answers(python, values, draws, classes)
    rows: list[Json] = []
    for draw, other in zip(draws, others, strict=True):
        for tool, found in ({OURS: our_answer(values, draw, classes)} | other).items():
            about = {"set": name, "share": draw.share, "kind": draw.kind, "seed": draw.seed, "tool": tool}
            rows.append(about | {"pictures": len(targets), "classes": classes} | figures(draw, found))
    return rows


def draw_table(results: dict[str, Json]) -> str:
    """The Markdown table: a row for each set, kind of wrong labels and tool."""
    rows = results["rows"]
    lines = [
        f"| set | planted | by | order (AUROC) | wrong of the first {FIRST} | listed, of the wrong "
        "| wrong, of the listed | seconds |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name in dict.fromkeys(row["set"] for row in rows):
        for share, kind in dict.fromkeys((row["share"], row["kind"]) for row in rows):
            for tool in TOOLS:
                part = [
                    row
                    for row in rows
                    if (row["set"], row["share"], row["kind"], row["tool"]) == (name, share, kind, tool)
                ]
                if part:
                    order = Spread.of([row["auroc"] for row in part])
                    error = "" if order.standard_error is None else f" (± {order.standard_error:.3f})"
                    cells = [Spread.of([row[key] for row in part]).percent for key in ("first", "recall", "precision")]
                    seconds = Spread.of([row["seconds"] for row in part]).mean
                    about = (
                        f"{name}, {part[0]['pictures']} of {part[0]['classes']} classes | {share:.0%}, {kind} | {tool}"
                    )
                    lines.append(f"| {about} | {order.mean:.3f}{error} | {' | '.join(cells)} | {seconds:.2f} |")
    seeds = ", ".join(str(seed) for seed in sorted({row["seed"] for row in rows}))
    how = (
        f"Means over seeds {seeds} with their standard errors. Both of cleanlab's orders have the same list, "
        "`find_label_issues` with its defaults; its seconds hold the linear model's fit, as ours do."
    )
    return "\n".join([*lines, "", how, machine_sentence(results["machine"])])


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, or draw what was measured; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.suspects", description="Wrong labels, and who finds them."
    )
    parser.add_argument("sources", nargs="*", help="folders and archives of pictures")
    parser.add_argument("--json", type=Path, required=True, help="file of results; sets in it are not measured again")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--cache", type=Path, required=True, help="folder for extracted archives and features")
    parser.add_argument("--weights-folder", type=Path, default=Path("data/weights"), help="downloaded weights, if any")
    parser.add_argument("--yardsticks-python", type=Path, help="interpreter that has cleanlab")
    parser.add_argument("--draw", action="store_true", help="put the table into docs/findings.md")
    given = parser.parse_args(arguments)
    empty: dict[str, Json] = {"machine": machine() | {"versions": measuring.versions()}, "rows": []}
    results = measuring.read(given.json) if given.json.exists() else empty
    given.cache.mkdir(parents=True, exist_ok=True)
    try:
        for source in given.sources:
            one = prepare(source, given.cache)
            if one.name not in {row["set"] for row in results["rows"]}:
                values, targets = labelled_features(one, given.weights_folder, given.cache)
                results["rows"] += measure(one.name, values, targets, given.yardsticks_python, given.seeds)
                measuring.write(given.json, results)
    except (CantMeasure, OSError) as error:
        print(error, file=sys.stderr)
        return _CANT
    if given.draw:
        redraw(given.json, draw_table, BEGIN, END, PAGE)
    else:
        print(draw_table(results))
    return 0


if __name__ == "__main__":
    sys.exit(main())
