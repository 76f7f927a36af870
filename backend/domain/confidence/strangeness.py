"""How unlike all training pictures a picture is: none of the model's classes.

With enough training pictures: relative Mahalanobis distance (Ren et al., arXiv:2106.09022) on features of length 1, of
which the 128 main directions are kept, with covariances shrunk after Ledoit and Wolf (J. Multivariate Anal. 88, 2004).
With few, or two classes: cosine distance to the k-th nearest training picture (Sun et al., arXiv:2204.06507).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray

DIMENSIONS: Final = 128
NEIGHBOURS: Final = 5
FEW_OF_A_CLASS: Final = 10
"""With fewer training pictures a class, on average, a covariance within classes says little."""
MOST_NEIGHBOURS: Final = 1000
"""Training pictures that are kept to be compared with; of more, every n-th."""

Values = NDArray[np.float32]


class Method(StrEnum):
    """How strangeness is measured."""

    DISTANCE_TO_CLASSES = "relative-mahalanobis"
    NEAREST_PICTURES = "nearest-pictures"


@dataclass(frozen=True, slots=True)
class ClassDistances:
    """Relative Mahalanobis distance.

    Attributes:
        centre: (F,) mean of the features of length 1.
        directions: (F, D) main directions.
        within: (D, D) turns differences into multiples of the deviation within classes.
        means: (K, D) of the classes, turned so.
        overall: (D, D) the same for the deviation of all pictures, whose mean is 0.
    """

    centre: Values
    directions: Values
    within: Values
    means: Values
    overall: Values

    def of(self, features: Values) -> Values:
        """(N,) squared distance to the nearest class, less that to all pictures; per dimension."""
        reduced = (unit_rows(features) - self.centre) @ self.directions
        turned = reduced @ self.within
        squares = (turned**2).sum(axis=1, keepdims=True) - 2 * turned @ self.means.T + (self.means**2).sum(axis=1)
        found: Values = (squares.min(axis=1) - ((reduced @ self.overall) ** 2).sum(axis=1)) / self.directions.shape[1]
        return found


@dataclass(frozen=True, slots=True)
class NearestPictures:
    """Distance to the nearest training pictures: (M, F) ``known`` features of length 1."""

    known: Values

    def of(self, features: Values) -> Values:
        """(N,) 1 - cosine of the k-th nearest."""
        cosines = unit_rows(features) @ self.known.T
        k = min(NEIGHBOURS, len(self.known))
        found: Values = 1 - np.partition(cosines, -k, axis=1)[:, -k]
        return found


Measure = ClassDistances | NearestPictures


@dataclass(frozen=True, slots=True)
class Familiarity:
    """What a model was shown, and how strange test pictures are to it.

    Attributes:
        familiar: (V,) strangeness of the test pictures.
        left_out: (W,) strangeness of those whose class was left out of what was shown: stand-ins for unknown ones.
        learnt_from: training pictures that it is measured by.
    """

    measure: Measure
    familiar: Values
    left_out: Values
    learnt_from: int

    @property
    def method(self) -> Method:
        """How strangeness is measured."""
        is_by_class = isinstance(self.measure, ClassDistances)
        return Method.DISTANCE_TO_CLASSES if is_by_class else Method.NEAREST_PICTURES

    def limit(self, refused: float) -> float:
        """The strangeness above which the share ``refused`` of the test pictures lies."""
        return float(np.quantile(self.familiar, 1 - refused))

    @property
    def auroc(self) -> float:
        """How often a picture of a class left out is stranger than one of the known classes; 0.5 is chance."""
        return auroc(self.familiar, self.left_out)

    def to_tensors(self) -> dict[str, NDArray[Any]]:  # Any: float32 and int64
        """As it is stored."""
        match self.measure:
            case ClassDistances() as by_class:
                parts = {name: getattr(by_class, name) for name in ClassDistances.__slots__}
            case NearestPictures() as nearest:
                parts = {"known": nearest.known}
        counts = {"learnt_from": np.array([self.learnt_from], dtype=np.int64)}
        return {**parts, "familiar": self.familiar, "left_out": self.left_out, **counts}

    @classmethod
    def of_tensors(cls, tensors: Mapping[str, NDArray[Any]]) -> Self:  # Any: as above
        """From what ``to_tensors`` gave.

        Raises:
            KeyError: one is missing.
        """
        measure: Measure
        if "known" in tensors:
            measure = NearestPictures(tensors["known"])
        else:
            measure = ClassDistances(**{name: tensors[name] for name in ClassDistances.__slots__})
        return cls(measure, tensors["familiar"], tensors["left_out"], int(tensors["learnt_from"][0]))


@dataclass(frozen=True, slots=True)
class LabelledFeatures:
    """(N, F) features with (N,) class numbers."""

    values: Values
    labels: NDArray[np.int64]

    def without(self, label: int) -> "LabelledFeatures":
        """All but one class."""
        return LabelledFeatures(self.values[self.labels != label], self.labels[self.labels != label])


def familiarity_of(shown: LabelledFeatures, tested: LabelledFeatures) -> Familiarity:
    """From the features of training pictures and of test pictures; at least one of each.

    For ``left_out`` each class in turn counts as unknown: its test pictures are measured by the other classes.
    """
    unit = LabelledFeatures(unit_rows(shown.values), shown.labels)
    classes = np.unique(unit.labels)
    # Of the left-out classes the same directions are used: they are found without labels.
    space = _Space.of(unit.values) if _is_enough(unit, classes) else None
    left_out = [
        _measure(unit.without(label), space).of(tested.values[tested.labels == label])
        for label in classes.tolist()
        if len(classes) > 1 and (tested.labels == label).any()
    ]
    measure = _measure(unit, space)
    familiar = measure.of(tested.values)
    return Familiarity(measure, familiar, np.concatenate(left_out) if left_out else familiar[:0], len(shown.labels))


@dataclass(frozen=True, slots=True)
class Detection:
    """What happens at a limit, if a share of all pictures shows something else.

    Attributes:
        refused_familiar, refused_strange: of pictures of its classes, and of others, the share that is refused.
        precision: of the refused ones, the share that really shows something else; None where none is refused.
    """

    share: float
    refused_familiar: float
    refused_strange: float

    @property
    def precision(self) -> float | None:
        """Bayes' rule."""
        rightly, wrongly = self.share * self.refused_strange, (1 - self.share) * self.refused_familiar
        return rightly / (rightly + wrongly) if rightly + wrongly else None


def detection(found: Familiarity, limit: float, share: float) -> Detection:
    """What to expect of a limit where ``share`` of the pictures, in [0, 1], shows something else."""
    strange = float((found.left_out > limit).mean()) if len(found.left_out) else 0.0
    return Detection(share, float((found.familiar > limit).mean()), strange)


def auroc(low: Values, high: Values) -> float:
    """The share of pairs in which one of ``high`` is larger than one of ``low``; ties count half."""
    ranked = np.sort(low)
    below, up_to = (np.searchsorted(ranked, high, side=side).sum() for side in ("left", "right"))
    pairs = len(low) * len(high)
    return float((below + up_to) / 2 / pairs) if pairs else 0.5


def unit_rows(values: NDArray[Any]) -> Values:  # Any: float16 or float32
    """(N, F) rows made one long; rows of zeros stay so."""
    whole = np.asarray(values, dtype=np.float32)
    lengths = np.linalg.norm(whole, axis=1, keepdims=True)
    found: Values = np.divide(whole, lengths, out=np.zeros_like(whole), where=lengths > 0)
    return found


def _is_enough(shown: LabelledFeatures, classes: NDArray[np.int64]) -> bool:
    # With one of two classes left out, the nearest class is all pictures, and the relative distance always 0.
    return len(classes) > 2 and len(shown.labels) >= FEW_OF_A_CLASS * len(classes)


@dataclass(frozen=True, slots=True)
class _Space:
    centre: Values
    directions: Values

    @classmethod
    def of(cls, values: Values) -> Self:
        """The main directions of (N, F) rows, by a random projection (Halko et al., arXiv:0909.4061)."""
        centre = values.mean(axis=0)
        centred = values - centre
        count = min(DIMENSIONS, len(values) - 1, values.shape[1])
        start = np.random.default_rng(0).standard_normal((values.shape[1], min(count + 16, *values.shape)))
        basis, _ = np.linalg.qr(centred @ start.astype(np.float32))
        for _ in range(3):
            basis, _ = np.linalg.qr(centred @ (centred.T @ basis))
        _, _, directions = np.linalg.svd(basis.T @ centred, full_matrices=False)
        return cls(centre, np.ascontiguousarray(directions[:count].T))


def _measure(shown: LabelledFeatures, space: _Space | None) -> Measure:
    if space is None:
        return NearestPictures(shown.values[:: 1 + (len(shown.values) - 1) // MOST_NEIGHBOURS])
    reduced = (shown.values - space.centre) @ space.directions
    classes, places = np.unique(shown.labels, return_inverse=True)
    means: Values = np.stack([reduced[places == place].mean(axis=0) for place in range(len(classes))])
    within = _whitening(reduced - means[places])
    return ClassDistances(space.centre, space.directions, within, means @ within, _whitening(reduced))


def _whitening(values: NDArray[Any]) -> Values:  # Any: float32 or float64
    """(D, D): turns (N, D) values into ones whose shrunk covariance is the identity."""
    sizes, turns = np.linalg.eigh(_shrunk_covariance(values.astype(np.float64)))
    scale = 1 / np.sqrt(np.maximum(sizes, sizes.max() * 1e-9 + np.finfo(np.float64).tiny))
    return np.asarray(turns * scale, dtype=np.float32)


def _shrunk_covariance(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """The covariance of (N, D) values with mean 0, drawn towards a multiple of the identity (Ledoit and Wolf)."""
    count, dimensions = values.shape
    covariance = values.T @ values / count
    level = float(np.trace(covariance)) / dimensions
    spread = float(((covariance - level * np.eye(dimensions)) ** 2).sum())
    # Of the squares of each picture's outer product from the covariance, without making one of them.
    noise = float(((values**2).sum(axis=1) ** 2).mean() - (covariance**2).sum()) / count
    share = min(1.0, max(0.0, noise / spread)) if spread > 0 else 1.0
    shrunk: NDArray[np.float64] = (1 - share) * covariance + share * level * np.eye(dimensions)
    return shrunk
