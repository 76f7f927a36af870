import numpy as np
import pytest

from backend.domain.labels.next_pictures import Policy, find_clusters, next_pictures, probabilities_of

GENERATOR = np.random.default_rng(3)
CENTRES = np.eye(4, 16) * 6
KINDS = np.repeat(np.arange(4), [200, 60, 30, 10])
VALUES = (CENTRES[KINDS] + GENERATOR.normal(size=(300, 16))).astype(np.float32)
VALUES /= np.linalg.norm(VALUES, axis=1, keepdims=True)
NONE = np.array([], dtype=np.int64)


def test_the_first_ones_show_every_kind() -> None:
    found = next_pictures(find_clusters(VALUES), np.arange(300), NONE, 0, None)

    assert found.policy is Policy.CENTRES
    assert sorted(found.order.tolist()) == list(range(300))
    # Among the first dozen that chance alone would show, the rarest kind of ten in 300 would mostly be missing.
    assert set(KINDS[found.order[:48]].tolist()) == {0, 1, 2, 3}


def test_once_there_are_five_a_class_the_doubtful_ones_come_first() -> None:
    known = np.concatenate([np.flatnonzero(kind == KINDS)[:6] for kind in range(4)])
    candidates = np.setdiff1d(np.arange(300), known)
    probabilities = np.zeros((300, 4), dtype=np.float32)
    probabilities[:, 0] = 1.0
    doubtful = candidates[::29]
    probabilities[doubtful, :2] = [0.52, 0.48]
    clusters = find_clusters(VALUES)

    found = next_pictures(clusters, candidates, known, 4, probabilities)

    assert found.policy is Policy.MARGIN
    # The first picture of each cluster that has a doubtful one is doubtful.
    first: dict[int, int] = {}
    for at, place in enumerate(found.order.tolist()):
        if at % 5 != 4:
            first.setdefault(int(clusters.of[place]), place)
    rest = set(found.order[4::5].tolist())
    with_doubt = {int(clusters.of[place]) for place in doubtful.tolist() if place not in rest}
    assert with_doubt
    assert all(first[cluster] in doubtful for cluster in with_doubt)


def test_of_many_classes_doubtful_ones_come_after_two_of_each_cluster() -> None:
    clusters = find_clusters(VALUES)
    two_of_each = 2 * (int(clusters.of.max()) + 1)
    probabilities = np.full((300, 60), 1 / 60, dtype=np.float32)

    policies = [
        next_pictures(clusters, np.arange(count, 300), np.arange(count), 60, probabilities).policy
        for count in (two_of_each - 1, two_of_each)
    ]

    assert two_of_each < 5 * 60
    assert policies == [Policy.CENTRES, Policy.MARGIN]


def test_every_fifth_is_a_random_one() -> None:
    clusters = find_clusters(VALUES)

    orders = [next_pictures(clusters, np.arange(300), NONE, 0, None, seed).order for seed in (1, 2)]

    assert orders[0][4::5].tolist() != orders[1][4::5].tolist()


def test_a_head_on_few_labels_knows_the_rest() -> None:
    known = np.concatenate([np.flatnonzero(kind == KINDS)[:5] for kind in range(4)])

    found = probabilities_of(VALUES, known, KINDS[known], 4)

    assert found is not None
    assert found.sum(axis=1) == pytest.approx(np.ones(300), abs=1e-4)
    assert (found.argmax(axis=1) == KINDS).mean() > 0.95


def test_one_class_alone_proposes_nothing() -> None:
    assert probabilities_of(VALUES, np.array([1, 2]), np.array([0, 0]), 1) is None


@pytest.mark.parametrize("count", [0, 1, 2, 5])
def test_few_pictures_are_ordered_too(count: int) -> None:
    found = next_pictures(find_clusters(VALUES[:count]), np.arange(count), NONE, 0, None)

    assert sorted(found.order.tolist()) == list(range(count))
