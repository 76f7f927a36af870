"""Whether a model's confidence can be believed: calibration curve, ECE, and one temperature that mends it.

Source: Guo et al., "On Calibration of Modern Neural Networks", arXiv:1706.04599. Unlike there the temperature's
effect is measured by cross-fitting, on pictures that it wasn't chosen on, and it may also be below 1: fine-tuned
networks are often too cautious (arXiv:2506.09593).
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from backend.domain.results import wilson_interval

BINS: Final = 10
FEWEST_PICTURES: Final = 100
"""With fewer pictures a temperature follows chance."""
LOWEST, HIGHEST = 0.2, 5.0
"""Temperatures beyond these say that there is next to nothing to choose by."""
_FOLDS: Final = 5
_ROUNDS: Final = 60
_MOST_ROWS, _MOST_VALUES = 20_000, 1_000_000
_DRAWS: Final = 200

Probabilities = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Bin:
    """Pictures whose confidence lies in ``low`` to ``high``.

    Attributes:
        confidence: their mean confidence; None where there are none.
        interval: 95 % interval of the share that is right.
    """

    low: float
    high: float
    images: int
    right: int
    confidence: float | None
    interval: tuple[float, float]

    @property
    def accuracy(self) -> float | None:
        """Share that is right; None where there are no pictures."""
        return self.right / self.images if self.images else None


@dataclass(frozen=True, slots=True)
class Calibration:
    """How confidence and truth go together on N pictures.

    Attributes:
        ece: expected calibration error, in [0, 1]: how far confidence and share of right answers are apart, on average.
        ece_by_chance: an ECE that a perfectly calibrated model stays below in 95 of 100 draws of as many pictures.
        nll: mean negative log-likelihood in nats.
    """

    bins: tuple[Bin, ...]
    ece: float
    ece_by_chance: float
    nll: float
    confidence: float
    accuracy: float


@dataclass(frozen=True, slots=True)
class Temperature:
    """One temperature and what it does, measured on pictures that it wasn't chosen on.

    Attributes:
        value: chosen on all pictures; above 1 makes answers less confident, below 1 more.
        low, high: the lowest and highest of the folds' temperatures.
        before, after: without it, and cross-fitted with it.
    """

    value: float
    low: float
    high: float
    before: Calibration
    after: Calibration

    @property
    def helps(self) -> bool:
        """Whether the cross-fitted likelihood is better with it."""
        return self.after.nll < self.before.nll


def calibration(probabilities: Probabilities, targets: NDArray[np.int64]) -> Calibration:
    """Calibration of (N, K) probabilities against (N,) targets; N is at least 1."""
    confidence = probabilities.max(axis=1)
    right = probabilities.argmax(axis=1) == targets
    place = _places(confidence)
    bins = tuple(_bin(index, confidence[place == index], right[place == index]) for index in range(BINS))
    return Calibration(
        bins,
        _ece(place, confidence, right),
        _ece_by_chance(place, confidence),
        float(-np.log(_of_target(probabilities, targets)).mean()),
        float(confidence.mean()),
        float(right.mean()),
    )


def with_temperature(probabilities: NDArray[np.floating], temperature: float) -> Probabilities:
    """(N, K) probabilities as a softmax of the same logits divided by the temperature would give them."""
    scaled = np.asarray(probabilities, dtype=np.float64) ** (1 / temperature)
    found: Probabilities = scaled / scaled.sum(axis=1, keepdims=True)
    return found


def fit_temperature(probabilities: NDArray[np.floating], targets: NDArray[np.int64]) -> Temperature | None:
    """The temperature with the best likelihood; None with too few pictures, or where no answer is wrong.

    Without a mistake the likelihood grows with every confidence, so that there is nothing to choose by.
    """
    plain = np.asarray(probabilities, dtype=np.float64)
    if len(plain) > (most := min(_MOST_ROWS, max(FEWEST_PICTURES, _MOST_VALUES // plain.shape[1]))):
        # Of very many answers a random part says the same, within a second.
        rows = np.random.default_rng(0).permutation(len(plain))[:most]
        plain, targets = plain[rows], targets[rows]
    if len(targets) < FEWEST_PICTURES or (plain.argmax(axis=1) == targets).all():
        return None
    # Always the same folds, and near equal in their shares of each class.
    fold = np.empty(len(targets), dtype=np.int64)
    fold[np.lexsort((np.random.default_rng(0).permutation(len(targets)), targets))] = np.arange(len(targets)) % _FOLDS
    answered = np.empty_like(plain)
    values = []
    for number in range(_FOLDS):
        held_out = fold == number
        values.append(_best(plain[~held_out], targets[~held_out]))
        answered[held_out] = with_temperature(plain[held_out], values[-1])
    return Temperature(
        _best(plain, targets), min(values), max(values), calibration(plain, targets), calibration(answered, targets)
    )


def _best(probabilities: Probabilities, targets: NDArray[np.int64]) -> float:
    """The temperature with the lowest mean NLL, which is convex in its inverse: the root of its slope, by halving."""
    logits = np.log(np.maximum(probabilities, np.finfo(np.float32).tiny))
    # Against rounding, and to leave out what is far from mattering.
    logits -= logits.max(axis=1, keepdims=True)
    of_target = logits[np.arange(len(targets)), targets].mean()
    low, high = 1 / HIGHEST, 1 / LOWEST
    for _ in range(_ROUNDS):
        middle = float(np.sqrt(low * high))
        weights = np.exp(middle * logits)
        slope = float(((weights * logits).sum(axis=1) / weights.sum(axis=1)).mean() - of_target)
        low, high = (low, middle) if slope > 0 else (middle, high)
        if high / low < 1 + 1e-5:
            break
    return float(1 / np.sqrt(low * high))


def _places(confidence: NDArray[np.float64]) -> NDArray[np.int64]:
    return np.minimum((confidence * BINS).astype(np.int64), BINS - 1)


def _bin(index: int, confidence: NDArray[np.float64], right: NDArray[np.bool_]) -> Bin:
    images, count = len(right), int(right.sum())
    mean = float(confidence.mean()) if images else None
    # An interval of an error rate is one of any share.
    return Bin(index / BINS, (index + 1) / BINS, images, count, mean, wilson_interval(count, images))


def _ece(place: NDArray[np.int64], confidence: NDArray[np.float64], right: NDArray[np.bool_]) -> float:
    gaps = np.bincount(place, weights=confidence - right, minlength=BINS)
    return float(np.abs(gaps).sum() / len(right))


def _ece_by_chance(place: NDArray[np.int64], confidence: NDArray[np.float64]) -> float:
    random = np.random.default_rng(0)
    found = [_ece(place, confidence, random.random(len(confidence)) < confidence) for _ in range(_DRAWS)]
    return float(np.quantile(found, 0.95))


def _of_target(probabilities: Probabilities, targets: NDArray[np.int64]) -> NDArray[np.float64]:
    # A float32 softmax underflows to exactly 0; the floor keeps the mean finite.
    given = probabilities[np.arange(len(targets)), targets]
    return np.maximum(given, float(np.finfo(np.float32).tiny))
