"""How good a head is after so many labels, when pictures are labelled in our order, at random and by the margin alone.

``python -m benchmarks.labelling_order SOURCE ... --json OUT --cache FOLDER`` measures; ``--draw`` puts the table into
``docs/findings.md``. A part of each set is held out; the rest has no label at first, and somebody labels what comes
first, ten pictures at a time. Order and head are the product's (``backend.domain.labels.next_pictures``).
"""

import argparse
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from backend.domain.json import Json
from backend.domain.labels.next_pictures import Clusters, find_clusters, next_pictures, probabilities_of
from benchmarks import measuring
from benchmarks.kept_features import labelled_features
from benchmarks.processes import CantMeasure, machine
from benchmarks.sets import prepare
from benchmarks.suite_summary import Spread
from benchmarks.table import machine_sentence, redraw

BEGIN: Final = "<!-- figures: labelling order begin (drawn by python -m benchmarks.labelling_order) -->"
END: Final = "<!-- figures: labelling order end -->"
PAGE: Final = Path(__file__).resolve().parents[1] / "docs/findings.md"
LABELS: Final = (20, 50, 100, 200, 400)
AT_ONCE: Final = 10
HELD_OUT: Final = 0.3
_CANT: Final = 2

Places = NDArray[np.int64]
Shares = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Labelling:
    """Pictures of which some have a label by now.

    Attributes:
        values: (N, D) features of the pictures to label, and then of those held out.
        targets: (N,) index of the class of each.
        pool: the first so many are to be labelled.
        clusters: of these.
    """

    values: NDArray[np.float32]
    targets: NDArray[np.int64]
    pool: int
    clusters: Clusters
    seed: int

    def rest(self, known: Places) -> Places:
        """(C,) places of the pictures without a label."""
        return np.setdiff1d(np.arange(self.pool), known)

    def answers(self, known: Places) -> Shares | None:
        """(N, classes) of the head that learnt the known labels; classes are those that have one."""
        _, own = np.unique(self.targets[known], return_inverse=True)
        return probabilities_of(self.values, known, own, int(own.max(initial=-1)) + 1)

    def error(self, known: Places) -> float:
        """Share of the held-out pictures that the head has wrong."""
        names, own = np.unique(self.targets[known], return_inverse=True)
        answers = probabilities_of(self.values, known, own, len(names))
        chosen = names[:1] if answers is None else names[answers[self.pool :].argmax(axis=1)]
        return float((chosen != self.targets[self.pool :]).mean())


Order = Callable[[Labelling, Places], Places]
"""Which pictures to label next, given those that have a label; the first ones are taken."""


def ours(labelling: Labelling, known: Places) -> Places:
    """As the page asks for them."""
    classes = len(np.unique(labelling.targets[known]))
    answers = labelling.answers(known) if len(known) else None
    rest = labelling.rest(known)
    return next_pictures(labelling.clusters, rest, known, classes, answers, labelling.seed).order


def by_chance(labelling: Labelling, known: Places) -> Places:
    """In random order."""
    order = np.random.default_rng(labelling.seed).permutation(labelling.pool)
    return order[~np.isin(order, known)]


def by_margin(labelling: Labelling, known: Places) -> Places:
    """Twenty at random, then those whose two likeliest classes are closest."""
    answers = labelling.answers(known) if len(known) >= LABELS[0] else None
    if answers is None:
        return by_chance(labelling, known)
    rest = labelling.rest(known)
    top = np.sort(answers[rest], axis=1)[:, -2:]
    return rest[np.argsort(top[:, 1] - top[:, 0], kind="stable")]


ORDERS: Final[dict[str, Order]] = {"ours": ours, "random": by_chance, "margin alone": by_margin}


def errors_of(order: Order, labelling: Labelling, counts: Sequence[int]) -> list[float]:
    """The head's error on the held-out pictures after so many labels each."""
    known = np.empty(0, dtype=np.int64)
    found = []
    for count in range(AT_ONCE, max(counts) + 1, AT_ONCE):
        known = np.concatenate([known, order(labelling, known)[:AT_ONCE]])
        if count in counts:
            found.append(labelling.error(known))
    return found


def labelling_of(values: NDArray[np.float32], targets: NDArray[np.int64], seed: int) -> Labelling:
    """Nobody has labelled anything yet; another part is held out for each seed."""
    order = np.random.default_rng(1000 + seed).permutation(len(targets))
    pool = len(targets) - round(HELD_OUT * len(targets))
    return Labelling(values[order], targets[order], pool, find_clusters(values[order[:pool]], seed), seed)


def measure(
    name: str, values: NDArray[np.float32], targets: NDArray[np.int64], seeds: Sequence[int]
) -> list[dict[str, Json]]:
    """A row for each seed and order."""
    rows: list[dict[str, Json]] = []
    for seed in seeds:
        labelling = labelling_of(values, targets, seed)
        counts = [count for count in LABELS if count <= labelling.pool]
        for words, order in ORDERS.items():
            errors = errors_of(order, labelling, counts)
            about = {"set": name, "seed": seed, "order": words, "pictures": len(targets)}
            classes = int(targets.max()) + 1
            rows.append(about | {"classes": classes, "errors": dict(zip(map(str, counts), errors, strict=True))})
        print(f"{name}, seed {seed}: " + ", ".join(f"{row['order']} {row['errors']}" for row in rows[-3:]), flush=True)
    return rows


def draw(results: dict[str, Json]) -> str:
    """The Markdown table: a row for each set and order, and how ours differs from random on the same pictures."""
    rows = results["rows"]
    lines = [
        f"| set | order | {' | '.join(f'{count} labels' for count in LABELS)} |",
        "|---|---|" + "---|" * len(LABELS),
    ]
    for name in dict.fromkeys(row["set"] for row in rows):
        part = [row for row in rows if row["set"] == name]
        about = f"{name}, {part[0]['pictures']} of {part[0]['classes']} classes"
        errors = {order: [row["errors"] for row in part if row["order"] == order] for order in ORDERS}
        for order, found in errors.items():
            lines.append(
                f"| {about} | {order} | {' | '.join(_cell([one.get(str(n)) for one in found]) for n in LABELS)} |"
            )
        cells = []
        for count in map(str, LABELS):
            pairs = list(zip(errors["ours"], errors["random"], strict=True))
            cells.append(_cell([mine[count] - other[count] for mine, other in pairs if count in mine], is_signed=True))
        lines.append(f"| {about} | **ours less random** | {' | '.join(cells)} |")
    seeds = ", ".join(str(seed) for seed in sorted({row["seed"] for row in rows}))
    how = (
        f"Error of the head on {HELD_OUT:.0%} of the pictures, which are held out: means over seeds {seeds} with their "
        "standard errors. Each seed holds out other pictures; the differences are those on the same ones."
    )
    return "\n".join([*lines, "", how, machine_sentence(results["machine"])])


def _cell(values: Sequence[float | None], *, is_signed: bool = False) -> str:
    known = [value for value in values if value is not None]
    if not known:
        return ""
    words = Spread.of(known).percent
    return f"+{words}" if is_signed and not words.startswith("-") else words


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, or draw what was measured; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.labelling_order", description="Orders of labelling.")
    parser.add_argument("sources", nargs="*", help="folders and archives of pictures")
    parser.add_argument("--json", type=Path, required=True, help="file of results; sets in it are not measured again")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3, 4, 5])
    parser.add_argument("--cache", type=Path, required=True, help="folder for extracted archives and features")
    parser.add_argument("--weights-folder", type=Path, default=Path("data/weights"), help="downloaded weights, if any")
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
                results["rows"] += measure(one.name, values, targets, given.seeds)
                measuring.write(given.json, results)
    except (CantMeasure, OSError) as error:
        print(error, file=sys.stderr)
        return _CANT
    if given.draw:
        redraw(given.json, draw, BEGIN, END, PAGE)
    else:
        print(draw(results))
    return 0


if __name__ == "__main__":
    sys.exit(main())
