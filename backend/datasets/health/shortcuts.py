"""Whether something trivial gives a class away: a size, a format, a border, a camera.

A network learns the easiest thing that tells classes apart. Where one class was photographed with another camera or
saved in another format, it learns that, scores well here and fails elsewhere. Each trivial trait is tried as a shallow
tree that never sees what the pictures show.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

MOST_PICTURES: Final = 5_000
"""Pictures of the sample that is looked at."""
FEWEST_OF_CLASS: Final = 8
_FOLDS: Final = 3
_DEPTH: Final = 3
_TRIALS: Final = 39
"""Shuffles of the labels that must all score worse: with 39, chance gets so far once in forty times."""
_SEED: Final = 1

Columns = NDArray[np.float64]


class Trait(NamedTuple):
    """A trivial trait: its words in a sentence, its columns, and the balanced accuracy from which on it is reported.

    What belongs to the file must not follow from the class at all; brightness and colours may, since they are what is
    shown too: a banana is yellow.
    """

    words: str
    columns: tuple[str, ...]
    least: float


TRAITS: Final = (
    Trait("its size in pixels", ("width", "height"), 0.80),
    Trait("its shape", ("aspect",), 0.85),
    Trait("the file's format", ("format", "mode"), 0.75),
    Trait("how strongly it is compressed", ("bytes_a_pixel", "coarseness"), 0.85),
    Trait("whether it has colours", ("colour",), 0.90),
    Trait("the colour of its border", ("red", "green", "blue", "spread"), 0.93),
    Trait("the camera", ("camera", "orientation"), 0.75),
    Trait("its brightness", ("brightness", "dark", "light"), 0.93),
)


@dataclass(frozen=True, slots=True)
class Shortcut:
    """A trait that tells a class (or a side) from the rest without looking at what is shown.

    Attributes:
        accuracy: balanced accuracy of a tree of depth 3 on pictures that it wasn't fitted to; 0.5 is chance.
    """

    label: str
    trait: str
    accuracy: float


def shortcuts(
    columns: Mapping[str, Columns], labels: Sequence[str], groups: Sequence[int], *, most: int = 5
) -> list[Shortcut]:
    """The strongest shortcut of each class that has any, the strongest first.

    Args:
        columns: (N,) values of each trait by the names in ``TRAITS``.
        labels: N classes, or sides.
        groups: N numbers; pictures of one group, such as copies, are never on both sides of a test.
        most: how many are looked at closely and reported.
    """
    chosen = _sample(labels)
    truth, group = np.array(labels)[chosen], np.array(groups)[chosen]
    names, counts = np.unique(truth, return_counts=True)
    if len(names) < 2:
        return []
    suspects: list[tuple[float, str, Trait]] = []
    for trait in TRAITS:
        values = np.stack([columns[name][chosen] for name in trait.columns], axis=1)
        if np.ptp(values, axis=0).max() == 0:
            continue
        for name, count in zip(names, counts, strict=True):
            if min(count, len(truth) - count) >= FEWEST_OF_CLASS and _may_tell(values, truth == name, trait.least):
                accuracy = _accuracy(values, truth == name, group)
                if accuracy >= trait.least:
                    suspects.append((accuracy, str(name), trait))
    found: dict[str, Shortcut] = {}
    for accuracy, name, trait in sorted(suspects, key=lambda suspect: -suspect[0]):
        if name in found or len(found) == most:
            continue
        values = np.stack([columns[column][chosen] for column in trait.columns], axis=1)
        if _beats_chance(values, truth == name, group, accuracy):
            found[name] = Shortcut(name, trait.words, accuracy)
    # Of two classes, whatever tells one tells the other.
    return [*found.values()][:1] if len(names) == 2 else [*found.values()]


def _sample(labels: Sequence[str]) -> NDArray[np.int64]:
    if len(labels) <= MOST_PICTURES:
        return np.arange(len(labels))
    return np.sort(np.random.default_rng(_SEED).choice(len(labels), MOST_PICTURES, replace=False))


def _may_tell(values: Columns, is_class: NDArray[np.bool_], least: float) -> bool:
    """Whether a class differs at all: a tree of depth 3 can't find more than the best cuts of each column promise."""
    best = 0.5
    for column in values.T:
        order = np.argsort(column, kind="stable")
        mine = np.cumsum(is_class[order]) / is_class.sum()
        others = np.cumsum(~is_class[order]) / (~is_class).sum()
        gap = (mine - others)[np.append(np.diff(column[order]) > 0, True)]
        # Two cuts of one column take what lies between the lowest and the highest difference.
        best = max(best, 0.5 + (max(gap.max(), 0.0) - min(gap.min(), 0.0)) / 2)
    return best >= least - 0.15


def _accuracy(values: Columns, is_class: NDArray[np.bool_], groups: NDArray[np.int64]) -> float:
    """Balanced accuracy on held-out groups."""
    from sklearn.model_selection import StratifiedGroupKFold
    from sklearn.tree import DecisionTreeClassifier

    right = np.zeros(len(is_class), dtype=bool)
    tested = np.zeros(len(is_class), dtype=bool)
    folds = StratifiedGroupKFold(_FOLDS, shuffle=True, random_state=_SEED)
    for train, test in folds.split(values, is_class, groups):
        if len(np.unique(is_class[train])) < 2:
            continue
        tree = DecisionTreeClassifier(max_depth=_DEPTH, class_weight="balanced", min_samples_leaf=2, random_state=_SEED)
        right[test] = tree.fit(values[train], is_class[train]).predict(values[test]) == is_class[test]
        tested[test] = True
    of_class, of_rest = tested & is_class, tested & ~is_class
    if not of_class.any() or not of_rest.any():
        return 0.5
    return float((right[of_class].mean() + right[of_rest].mean()) / 2)


def _beats_chance(values: Columns, is_class: NDArray[np.bool_], groups: NDArray[np.int64], accuracy: float) -> bool:
    generator = np.random.default_rng(_SEED)
    return all(_accuracy(values, generator.permutation(is_class), groups) < accuracy for _ in range(_TRIALS))
