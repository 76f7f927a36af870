"""How well pictures of unknown classes are noticed by their features, and by the confidence of a linear head.

``python -m benchmarks.none_of_these SET --others SOURCE ... --cache FOLDER`` prints a table. A fifth of the set's
classes are unknown in turn (near: the same kind of picture); pictures of other sets are far. Features are those of the
pretrained EfficientNet-Lite0.
"""

import argparse
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from backend.domain.confidence.strangeness import (
    LabelledFeatures,
    Method,
    NearestPictures,
    auroc,
    familiarity_of,
    unit_rows,
)
from benchmarks.linear_heads import Features, FrozenNetwork, LinearHead, View
from benchmarks.processes import CantMeasure
from benchmarks.sets import PictureSet, prepare
from benchmarks.suite_summary import Spread

PARTS: Final = 5
TEST: Final = 0.2
MOST_FAR: Final = 300
_CANT: Final = 2


@dataclass(frozen=True, slots=True)
class Parts:
    """(N, F) features: learnt from with class numbers, tested pictures of the same classes, unknown ones."""

    shown: LabelledFeatures
    known: LabelledFeatures
    near: Features


def parts_of(features: Features, labels: NDArray[np.int64], part: int) -> Parts:
    """Every fifth class is unknown, beginning with ``part``; of the others a fifth is tested."""
    is_near = labels % PARTS == part
    order = np.random.default_rng(part).permutation(len(labels))
    # Within each class the first ones of a random order are tested.
    place = np.empty(len(labels), dtype=np.int64)
    for label in np.unique(labels):
        mine = order[labels[order] == label]
        place[mine] = np.arange(len(mine))
    is_tested = place < np.ceil(TEST * np.bincount(labels)[labels])
    shown, known = ~is_near & ~is_tested, ~is_near & is_tested
    return Parts(
        LabelledFeatures(features[shown], labels[shown]),
        LabelledFeatures(features[known], labels[known]),
        features[is_near],
    )


def figures(parts: Parts, far: Features) -> dict[str, tuple[float, float]]:
    """AUROC against near and far pictures by way of measuring."""
    found = familiarity_of(parts.shown, parts.known)
    if found.method is not Method.DISTANCE_TO_CLASSES:
        raise CantMeasure("The set has too few pictures of a class for the relative Mahalanobis distance.")
    nearest = NearestPictures(unit_rows(parts.shown.values))
    head = LinearHead(parts.shown.values, parts.shown.labels.astype(str))

    def unconfident(values: Features) -> Features:
        return np.asarray(-head.probabilities(values).max(axis=1), dtype=np.float32)

    measures: dict[str, Callable[[Features], Features]] = {
        "relative Mahalanobis": found.measure.of,
        "nearest pictures": nearest.of,
        "confidence of a linear head": unconfident,
    }
    scores = {
        name: (auroc(of(parts.known.values), of(parts.near)), auroc(of(parts.known.values), of(far)))
        for name, of in measures.items()
    }
    # What the page would show: stand-ins, made without any unknown picture.
    return scores | {"stand-ins, as on the page": (found.auroc, found.auroc)}


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.none_of_these", description="Unknown pictures noticed.")
    parser.add_argument("source", help="folder or archive with the known and the near classes")
    parser.add_argument("--others", nargs="+", required=True, help="folders and archives of pictures of other kinds")
    parser.add_argument("--cache", type=Path, required=True, help="folder for extracted archives")
    parser.add_argument("--weights-folder", type=Path, default=Path("data/weights"), help="downloaded weights, if any")
    given = parser.parse_args(arguments)
    given.cache.mkdir(parents=True, exist_ok=True)
    try:
        network = FrozenNetwork(View("efficientnet-lite0", 224), given.weights_folder)
        one = prepare(given.source, given.cache)
        features, labels = _features(network, one)
        far = np.concatenate([_features(network, prepare(other, given.cache))[0] for other in given.others])[:MOST_FAR]
        rows = [figures(parts_of(features, labels, part), far) for part in range(PARTS)]
    except (CantMeasure, OSError) as error:
        print(error, file=sys.stderr)
        return _CANT
    print(f"{one.name}: {len(labels)} pictures, {len(one.classes)} classes; far: {len(far)} pictures")
    print("| | near | far |\n|---|---|---|")
    for name in rows[0]:
        near, distant = (Spread.of([row[name][place] for row in rows]).percent for place in (0, 1))
        print(f"| {name} | {near} | {distant} |")
    return 0


def _features(network: FrozenNetwork, one: PictureSet) -> tuple[Features, NDArray[np.int64]]:
    files = [one.folder / image.paths[0] for image in one.images]
    number = {name: index for index, name in enumerate(one.classes)}
    labels = np.array([number[image.label] for image in one.images], dtype=np.int64)
    return network.features(files, is_mirrored=False), labels


if __name__ == "__main__":
    sys.exit(main())
