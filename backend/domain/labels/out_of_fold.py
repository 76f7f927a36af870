"""What a linear model says of pictures that it has not learnt from: it is fitted once for each fold, without it."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from backend.domain.sampling import evenly_spread

FOLDS: Final = 5
_LEARNT_FROM: Final = 20_000
"""Pictures that a model learns from, at most; spread over all of them."""
_C: Final = 10.0
_NEVER: Final = -50.0


def folds_of(targets: NDArray[np.int64], groups: NDArray[np.int64], seed: int = 0) -> NDArray[np.int64]:
    """(N,) the fold of each picture: those that show the same are in one, and each class is in all.

    Args:
        targets: (N,) index of each picture's class.
        groups: (N,) a number that pictures which show the same share.
        seed: another one gives other folds.
    """
    _, first, group = np.unique(groups, return_index=True, return_inverse=True)
    of_group = targets[first]
    order = np.random.default_rng(seed).permutation(len(first))
    order = order[np.argsort(of_group[order], kind="stable")]
    fold_of = np.empty(len(first), dtype=np.int64)
    starts = np.searchsorted(of_group[order], np.arange(int(targets.max(initial=-1)) + 1))
    # Small classes begin in different folds.
    fold_of[order] = (np.arange(len(order)) - starts[of_group[order]] + of_group[order]) % FOLDS
    return fold_of[group]


class LinearModel:
    """A linear model on pictures; untrained where these are of one class.

    Args:
        values: (M, D) features.
        targets: (M,) index of each picture's class.
        groups: (M,) a number that pictures which show the same share: they count as one together.
        classes: how many classes there are.
    """

    def __init__(
        self, values: NDArray[np.float32], targets: NDArray[np.int64], groups: NDArray[np.int64], classes: int
    ) -> None:
        rows = evenly_spread(np.arange(len(targets)), _LEARNT_FROM)
        self._classes = classes
        self._present = np.unique(targets[rows])
        self.is_trained = len(self._present) > 1
        if self.is_trained:
            from sklearn.linear_model import LogisticRegression  # a second of loading, and only for who asks

            self._model = LogisticRegression(C=_C, max_iter=500, tol=1e-3)
            self._model.fit(values[rows], targets[rows], sample_weight=_shares(groups[rows]))

    def logits(self, values: NDArray[np.float32]) -> NDArray[np.float64]:
        """(M, K), very low for classes that it has not learnt; zeros where it is untrained."""
        if not self.is_trained:
            return np.zeros((len(values), self._classes))
        found = np.full((len(values), self._classes), _NEVER)
        answers = self._model.decision_function(values)
        found[:, self._present] = answers if answers.ndim == 2 else np.stack([-answers / 2, answers / 2], axis=1)
        return found


def out_of_fold_logits(
    values: NDArray[np.float32], targets: NDArray[np.int64], groups: NDArray[np.int64], classes: int
) -> NDArray[np.float64]:
    """(N, K) of each picture by the model that has not learnt from it; arguments as of ``LinearModel``."""
    folds = folds_of(targets, groups)
    found = np.zeros((len(targets), classes))
    for fold in range(FOLDS):
        rest = folds != fold
        found[~rest] = LinearModel(values[rest], targets[rest], groups[rest], classes).logits(values[~rest])
    return found


def softmax(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    """(N, K) probabilities: rows sum to 1."""
    found: NDArray[np.float64] = np.exp(logits - logits.max(axis=1, keepdims=True))
    found /= found.sum(axis=1, keepdims=True)
    return found


def _shares(groups: NDArray[np.int64]) -> NDArray[np.float64]:
    """(N,) how much each picture counts: those that show the same are one together."""
    _, group, counts = np.unique(groups, return_inverse=True, return_counts=True)
    shares: NDArray[np.float64] = 1 / counts[group]
    return shares
