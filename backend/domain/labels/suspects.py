"""Which labels are probably wrong, by signals that fail in different ways, combined by the log odds of their ranks.

These are the margin and the loss of a linear model that has not learnt from the picture (confident learning, Northcutt
et al., arXiv 1911.00068: out-of-fold, with a threshold for each class), the labels of the nearest pictures, and the
loss of a training that held the picture out. Pictures that show the same have no part in each other's signals: two
copies with the same wrong label would confirm each other. In the signals of others they count as one picture together.
"""

from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from backend.domain.labels.out_of_fold import FOLDS, LinearModel, folds_of, softmax
from backend.domain.sampling import evenly_spread

NEIGHBOURS: Final = 10
PROTECTED_BELOW: Final = 5
"""Classes of fewer pictures keep them: nobody can tell so few from chance."""
CHOICES: Final = 3
_REFERENCES: Final = 20_000
"""Pictures that neighbours are searched among, at most; spread over all of them."""
_ROWS: Final = 512
_CLEARLY: Final = 0.5
"""Share of a class's usual probability that another label must reach to be preferred clearly.

Measured on 37 breeds with 5 % wrong labels: the whole of it lists 73 % of these, half 92 %, and more right ones after
them; of the first thirty listed, 72 and 80 % are wrong.
"""
_SURE: Final = 0.8
"""The confidence from which on a training counts alone, where no other signal is known."""


@dataclass(frozen=True)
class Labelled:
    """What is known of N labelled pictures.

    Attributes:
        values: (N, D) features, rows of length 1; rows of zeros where there are none.
        targets: (N,) index of the class that the label names.
        groups: (N,) a number that pictures which show the same, or one moment, share.
        losses: (N,) nats, of a training that didn't learn from the picture; NaN where it hasn't answered.
        predicted: (N,) class that it predicted, or -1.
        confidence: (N,) the probability that it gave that class, in 0 to 1.
        contradictions: (N,) class that the same picture also has as its label, or -1.
    """

    values: NDArray[np.float32]
    targets: NDArray[np.int64]
    groups: NDArray[np.int64]
    losses: NDArray[np.float64]
    predicted: NDArray[np.int64]
    confidence: NDArray[np.float64]
    contradictions: NDArray[np.int64]


@dataclass(frozen=True)
class Signals:
    """What speaks for and against each of N labels.

    Attributes:
        choices: (N, C) the classes other than its label that fit best, the best first; -1 where there are none.
        margins: (N,) out-of-fold logit of the label minus that of the first choice; NaN where there is none.
        against: (N,) share of the nearest pictures that have another label; NaN as above.
        agreeing: (N,) of the nearest pictures, how many have the first choice as their label.
        nearest: (N,) how many nearest pictures there were.
        disagrees: (N,) whether the linear model clearly prefers the first choice.
        scores: (N,) how suspect the label is, in 0 to 1.
        suspects: (S,) indices of labels that are probably wrong, the most suspect first.
    """

    choices: NDArray[np.int64]
    margins: NDArray[np.float64]
    against: NDArray[np.float64]
    agreeing: NDArray[np.int64]
    nearest: NDArray[np.int64]
    disagrees: NDArray[np.bool_]
    scores: NDArray[np.float64]
    suspects: NDArray[np.int64]


def signals_of(known: Labelled, classes: int) -> Signals:
    """The signals of each label.

    Args:
        known: the pictures.
        classes: K, how many classes there are; at least two.
    """
    has_values = known.values.any(axis=1)
    folds = folds_of(known.targets, known.groups)
    references = evenly_spread(np.flatnonzero(has_values), _REFERENCES)
    rows: list[NDArray[np.int64]] = []
    parts: list[_Columns] = []
    for fold in range(FOLDS):
        rows_learnt = np.flatnonzero(has_values & (folds != fold))
        model = LinearModel(known.values[rows_learnt], known.targets[rows_learnt], known.groups[rows_learnt], classes)
        mine = np.flatnonzero(folds == fold)
        for start in range(0, len(mine), _ROWS):
            rows.append(mine[start : start + _ROWS])
            parts.append(_columns_of(known, rows[-1], model, references, classes))
    order = np.argsort(np.concatenate(rows))
    columns = _Columns(*(np.concatenate(column)[order] for column in zip(*parts, strict=True)))
    first = columns.choices[:, 0]
    usual = _usual(columns.of_label, known.targets, classes)
    disagrees = (first >= 0) & (columns.margins < 0) & (columns.of_choice >= _CLEARLY * usual[first])
    scores = _scores(known, columns)
    is_suspect = _is_suspect(known, columns, disagrees)
    found = np.flatnonzero(is_suspect)
    suspects = found[np.argsort(-scores[found], kind="stable")]
    return Signals(
        columns.choices,
        columns.margins,
        columns.against,
        columns.agreeing,
        columns.nearest,
        disagrees,
        scores,
        suspects,
    )


class _Columns(NamedTuple):
    """Columns as in ``Signals``, and:

    Attributes:
        of_label, of_choice: probabilities that the linear model gives the label and the first choice.
        vote_margins: by how much the votes of the nearest pictures for the first choice exceed those for the label.
    """

    choices: NDArray[np.int64]
    margins: NDArray[np.float64]
    of_label: NDArray[np.float64]
    of_choice: NDArray[np.float64]
    against: NDArray[np.float64]
    vote_margins: NDArray[np.float64]
    agreeing: NDArray[np.int64]
    nearest: NDArray[np.int64]


def _columns_of(
    known: Labelled, rows: NDArray[np.int64], model: LinearModel, references: NDArray[np.int64], classes: int
) -> _Columns:
    each = np.arange(len(rows))
    label, values = known.targets[rows], known.values[rows]
    logits = model.logits(values)
    is_judged: NDArray[np.bool_] = np.logical_and(values.any(axis=1), model.is_trained)
    probabilities = softmax(logits)
    votes, counts = _votes(known, _neighbours(known, rows, references), classes)
    nearest = counts.sum(axis=1)
    has_voted = nearest > 0

    evidence = votes + np.where(is_judged[:, None], probabilities, 0)
    answered, other = known.predicted[rows], known.contradictions[rows]
    evidence[each[answered >= 0], answered[answered >= 0]] += known.confidence[rows][answered >= 0]
    evidence[each[other >= 0], other[other >= 0]] = np.inf
    evidence[each, label] = -np.inf
    chosen = np.argsort(-evidence, axis=1, kind="stable")[:, :CHOICES]
    first = chosen[:, 0]

    def where(is_there: NDArray[np.bool_], column: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.where(is_there, column, np.nan)

    return _Columns(
        np.where(np.take_along_axis(evidence, chosen, axis=1) > 0, chosen, -1),
        where(is_judged, logits[each, label] - logits[each, first]),
        where(is_judged, probabilities[each, label]),
        where(is_judged, probabilities[each, first]),
        where(has_voted, 1 - counts[each, label] / np.maximum(nearest, 1)),
        where(has_voted, votes[each, first] - votes[each, label]),
        counts[each, first],
        nearest,
    )


def _is_suspect(known: Labelled, columns: _Columns, disagrees: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Labels that two signals reject for the same class, or that the same picture contradicts."""
    first = columns.choices[:, 0]
    training = (known.predicted == first) & (first >= 0)
    neighbours = columns.vote_margins > 0
    two_agree = (disagrees & neighbours) | (training & (disagrees | neighbours))
    alone = training & ~np.isfinite(columns.margins) & (known.confidence >= _SURE)
    is_few = np.bincount(known.targets) < PROTECTED_BELOW
    found: NDArray[np.bool_] = (two_agree | alone | (known.contradictions >= 0)) & ~is_few[known.targets]
    return found


def _scores(known: Labelled, columns: _Columns) -> NDArray[np.float64]:
    signals = (-columns.margins, -columns.of_label, columns.vote_margins, known.losses)
    ranks = np.stack([_ranks(signal) for signal in signals])
    is_there = np.isfinite(ranks)
    # Log odds, because the mean of plain ranks hardly tells the most suspect of a hundred from the tenth.
    odds = np.log(np.where(is_there, ranks / (1 - ranks), 1))
    mean = odds.sum(axis=0) / np.maximum(is_there.sum(axis=0), 1)
    scores: NDArray[np.float64] = np.where(is_there.any(axis=0), 1 / (1 + np.exp(-mean)), 0)
    # One of two labels of a picture is wrong for certain.
    return np.where(known.contradictions >= 0, (1 + scores) / 2, scores)


def _ranks(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Share of the values that are smaller, equal ones (each itself) by half: never 0 or 1; NaN stays NaN."""
    found = np.full(len(values), np.nan)
    is_there = np.isfinite(values)
    _, inverse, counts = np.unique(values[is_there], return_inverse=True, return_counts=True)
    below = np.cumsum(counts) - counts
    found[is_there] = ((below + counts / 2) / max(1, is_there.sum()))[inverse]
    return found


def _usual(of_label: NDArray[np.float64], targets: NDArray[np.int64], classes: int) -> NDArray[np.float64]:
    """(K,) the mean probability that pictures of a class get for it; what is as likely may well belong to it."""
    is_there = np.isfinite(of_label)
    counts = np.bincount(targets[is_there], minlength=classes)
    sums = np.bincount(targets[is_there], weights=of_label[is_there], minlength=classes)
    return np.where(counts > 0, sums / np.maximum(counts, 1), 1.0)


_Neighbours = tuple[NDArray[np.int64], NDArray[np.float32]]
"""(M, n) indices of the nearest pictures, and their cosines; 0 where there is none."""


def _neighbours(known: Labelled, rows: NDArray[np.int64], references: NDArray[np.int64]) -> _Neighbours:
    cosines = known.values[rows] @ known.values[references].T
    cosines[known.groups[rows][:, None] == known.groups[references][None, :]] = 0
    kept = min(NEIGHBOURS, len(references))
    nearest = np.argpartition(-cosines, kept - 1, axis=1)[:, :kept] if kept else np.empty((len(rows), 0), np.int64)
    return references[nearest], np.maximum(np.take_along_axis(cosines, nearest, axis=1), 0)


def _shares_by_row(groups: NDArray[np.int64]) -> NDArray[np.float32]:
    """(M, n) how much each of a picture's neighbours counts: those of them that show the same are one together."""
    same = groups[:, :, None] == groups[:, None, :]
    shares: NDArray[np.float32] = (1 / np.maximum(same.sum(axis=2), 1)).astype(np.float32)
    return shares


def _votes(known: Labelled, neighbours: _Neighbours, classes: int) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """(M, K) shares of the nearest pictures' cosines, and how many pictures these are, by label."""
    nearest, cosines = neighbours
    cosines = cosines * _shares_by_row(known.groups[nearest])
    row = np.repeat(np.arange(len(nearest)), nearest.shape[1])
    flat, weight = row * classes + known.targets[nearest].ravel(), cosines.ravel().astype(np.float64)
    shape = (len(nearest), classes)
    weights = np.bincount(flat, weights=weight, minlength=len(nearest) * classes).reshape(shape)
    counts = np.bincount(flat[weight > 0], minlength=len(nearest) * classes).reshape(shape)
    return weights / np.maximum(weights.sum(axis=1, keepdims=True), 1e-12), counts
