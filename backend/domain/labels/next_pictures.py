"""Which pictures to label next, so that a model learns most from them.

At first the centres of clusters, so that every kind of picture is seen early; once there are about five labels a
class, the pictures that a head trained on the labels so far is least sure of (the smallest margin between its two
likeliest classes), taken from all clusters in turn so that they differ. Every fifth is a random one: on sets of rare
classes the margin alone is worse than chance. Features are those of a frozen network; the head is a logistic
regression on them.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import numpy as np
from numpy.typing import NDArray

MOST: Final = 10_000
"""Pictures that clusters are found of; the others join the nearest one."""
LABELS_A_CLASS: Final = 5
RANDOM_EVERY: Final = 5
_CLUSTERS: Final = 48
_HEAD_PICTURES: Final = 4_000
"""Labelled pictures that the head learns from; more change its order little."""


class Policy(StrEnum):
    """How the next pictures are chosen."""

    PATH = "path"
    RANDOM = "random"
    CENTRES = "centres"
    MARGIN = "margin"


@dataclass(frozen=True, slots=True)
class Clusters:
    """A dataset's pictures by likeness.

    Attributes:
        of: (N,) index of each picture's cluster.
        distance: (N,) squared distance to the centre of its cluster.
    """

    of: NDArray[np.int64]
    distance: NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class NextPictures:
    """Places of pictures in the order in which to label them, and how that was chosen."""

    order: NDArray[np.int64]
    policy: Policy


def find_clusters(values: NDArray[np.float32], seed: int = 0) -> Clusters:
    """Clusters of pictures by k-means.

    Args:
        values: (N, D) features; rows have length 1.
        seed: decides which pictures are looked at where there are more than ``MOST``.
    """
    from sklearn.cluster import MiniBatchKMeans  # takes a second to import, and most pages never need it

    count = max(1, min(_CLUSTERS, len(values) // 4))
    if len(values) <= 1:
        return Clusters(np.zeros(len(values), dtype=np.int64), np.zeros(len(values), dtype=np.float32))
    chosen = np.random.default_rng(seed).permutation(len(values))[:MOST]
    model = MiniBatchKMeans(count, random_state=seed, n_init=1, max_iter=30, batch_size=1024).fit(values[chosen])
    centres = np.asarray(model.cluster_centers_, dtype=np.float32)
    distances = np.maximum(
        (values**2).sum(axis=1)[:, None] - 2 * values @ centres.T + (centres**2).sum(axis=1)[None, :], 0
    )  # (N, K)
    of = distances.argmin(axis=1)
    return Clusters(of.astype(np.int64), distances[np.arange(len(values)), of])


def probabilities_of(
    values: NDArray[np.float32], known: NDArray[np.int64], targets: NDArray[np.int64], classes: int, seed: int = 0
) -> NDArray[np.float32] | None:
    """What a head that is trained on the labels so far says of every picture.

    Args:
        values: (N, D) features of all pictures.
        known: (M,) places of the labelled ones.
        targets: (M,) index of the class of each of them.
        classes: how many classes there are.

    Returns:
        (N, classes), rows sum to 1; None where fewer than two classes have a label.
    """
    if len(np.unique(targets)) < 2:
        return None
    from sklearn.linear_model import LogisticRegression

    chosen = _balanced(targets, seed)
    model = LogisticRegression(C=10.0, max_iter=200, class_weight="balanced")
    model.fit(values[known[chosen]], targets[chosen])
    found = np.zeros((len(values), classes), dtype=np.float32)
    found[:, model.classes_] = model.predict_proba(values)
    return found


def _balanced(targets: NDArray[np.int64], seed: int) -> NDArray[np.int64]:
    """Places of at most ``_HEAD_PICTURES`` of them: all of a rare class, some of a frequent one."""
    mixed = np.random.default_rng(seed).permutation(len(targets))
    if len(targets) <= _HEAD_PICTURES:
        return mixed
    rank = np.zeros(len(targets), dtype=np.int64)
    for target in np.unique(targets):
        mine = mixed[targets[mixed] == target]
        rank[mine] = np.arange(len(mine))
    return mixed[np.argsort(rank[mixed], kind="stable")][:_HEAD_PICTURES]


def next_pictures(
    clusters: Clusters,
    candidates: NDArray[np.int64],
    known: NDArray[np.int64],
    classes: int,
    probabilities: NDArray[np.float32] | None,
    seed: int = 0,
) -> NextPictures:
    """The pictures without a label in the order in which to label them.

    Args:
        clusters: of all N pictures.
        candidates: (C,) places of the pictures without a label.
        known: (M,) places of those that have one.
        classes: how many classes there are so far.
        probabilities: (N, classes) of ``probabilities_of``.
        seed: decides which ones the random ones are.
    """
    # Before anybody has named two classes, two are assumed.
    # Of many classes, more pictures of each cluster teach less than doubtful ones (docs/findings.md).
    two_of_each_cluster = 2 * (int(clusters.of.max(initial=0)) + 1)
    has_few = len(known) < min(LABELS_A_CLASS * max(2, classes), two_of_each_cluster)
    if has_few or probabilities is None:
        seen = np.bincount(clusters.of[known], minlength=int(clusters.of.max(initial=0)) + 1)
        sorted_ = _in_turn(candidates, clusters.of[candidates], clusters.distance[candidates], seen)
        return NextPictures(_with_random(sorted_, seed), Policy.CENTRES)
    top = np.sort(probabilities[candidates], axis=1)[:, -2:]
    margins = top[:, 1] - top[:, 0]
    none_seen = np.zeros(int(clusters.of.max(initial=0)) + 1, dtype=np.int64)
    sorted_ = _in_turn(candidates, clusters.of[candidates], margins, none_seen)
    return NextPictures(_with_random(sorted_, seed), Policy.MARGIN)


def _in_turn(
    places: NDArray[np.int64], groups: NDArray[np.int64], keys: NDArray[np.float32], seen: NDArray[np.int64]
) -> NDArray[np.int64]:
    """``places`` from each group in turn, those with the smallest key first; groups of which more was seen wait."""
    if not len(places):
        return places
    by_key = np.lexsort((keys, groups))
    ordered_groups = groups[by_key]
    starts = np.flatnonzero(np.r_[True, ordered_groups[1:] != ordered_groups[:-1]])
    sizes = np.diff(np.r_[starts, len(by_key)])
    rounds = np.arange(len(by_key)) - np.repeat(starts, sizes) + seen[ordered_groups]
    # Within a round the largest group is first: most can be learnt about it.
    weight = np.repeat(sizes, sizes)
    return places[by_key[np.lexsort((keys[by_key], -weight, rounds))]]


def _with_random(places: NDArray[np.int64], seed: int) -> NDArray[np.int64]:
    """The same places with a random one, taken from the rest, in every fifth position."""
    drawn = places[np.random.default_rng(seed).permutation(len(places))[: len(places) // RANDOM_EVERY]]
    chosen = {int(place) for place in drawn}
    rest = (int(place) for place in places if int(place) not in chosen)
    random = iter(drawn)
    order = [int(next(random)) if at % RANDOM_EVERY == RANDOM_EVERY - 1 else next(rest) for at in range(len(places))]
    return np.array(order, dtype=np.int64)
