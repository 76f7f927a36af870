"""How unlike all training pictures a picture is."""

import numpy as np
import pytest

from backend.domain.confidence.strangeness import (
    ClassDistances,
    Familiarity,
    LabelledFeatures,
    Method,
    NearestPictures,
    auroc,
    detection,
    familiarity_of,
)


def clusters(each: int, classes: int = 4, seed: int = 1) -> LabelledFeatures:
    """Pictures around one direction a class, of 40 dimensions."""
    random = np.random.default_rng(seed)
    labels = np.repeat(np.arange(classes), each)
    centres = 6 * np.eye(40)[:classes] + 2
    values = centres[labels] + random.standard_normal((len(labels), 40))
    return LabelledFeatures(values.astype(np.float32), labels)


def strangers(count: int, seed: int = 9) -> np.ndarray:
    random = np.random.default_rng(seed)
    return np.asarray(6 * np.eye(40)[20] + 2 + random.standard_normal((count, 40)), dtype=np.float32)


def test_with_many_pictures_it_measures_by_class_and_notices_strangers() -> None:
    found = familiarity_of(clusters(50), clusters(25, seed=2))

    assert found.method is Method.DISTANCE_TO_CLASSES
    assert isinstance(found.measure, ClassDistances)
    assert found.measure.directions.shape == (40, 40)
    assert found.learnt_from == 200
    assert (len(found.familiar), len(found.left_out)) == (100, 100)
    assert found.auroc > 0.98
    assert auroc(found.familiar, found.measure.of(strangers(50))) > 0.9


def test_with_few_pictures_of_a_class_it_measures_by_the_nearest_ones() -> None:
    found = familiarity_of(clusters(9), clusters(10, seed=2))

    assert found.method is Method.NEAREST_PICTURES
    assert isinstance(found.measure, NearestPictures)
    assert auroc(found.familiar, found.measure.of(strangers(50))) > 0.95


def test_with_two_classes_it_measures_by_the_nearest_pictures() -> None:
    assert familiarity_of(clusters(50, classes=2), clusters(5, classes=2)).method is Method.NEAREST_PICTURES


def test_the_nearest_pictures_are_counted_by_angle_up_to_the_fifth() -> None:
    known = np.array([[1, 0], [1, 0], [0.8, 0.6], [0.6, 0.8], [0, 1], [-1, 0]], dtype=np.float32)

    assert NearestPictures(known).of(np.array([[3, 0]], dtype=np.float32)) == pytest.approx([1.0])
    assert NearestPictures(known[:3]).of(np.array([[3, 0]], dtype=np.float32)) == pytest.approx([0.2])


def test_the_length_of_features_does_not_matter() -> None:
    found, values = familiarity_of(clusters(50), clusters(5)), strangers(3)

    assert found.measure.of(7 * values) == pytest.approx(found.measure.of(values), rel=1e-3)


def test_a_limit_refuses_the_share_of_familiar_pictures_that_was_asked_for() -> None:
    found = Familiarity(
        NearestPictures(np.ones((1, 2), np.float32)),
        familiar=np.arange(100, dtype=np.float32),
        left_out=np.array([50, 96, 97, 98], dtype=np.float32),
        learnt_from=1,
    )

    assert found.limit(0.05) == pytest.approx(94.05)
    expected = detection(found, found.limit(0.05), 0.1)
    assert (expected.refused_familiar, expected.refused_strange) == (0.05, 0.75)
    # 0.1 * 0.75 of 0.1 * 0.75 + 0.9 * 0.05
    assert expected.precision == pytest.approx(0.625)


def test_where_nothing_is_refused_there_is_no_precision() -> None:
    found = Familiarity(
        NearestPictures(np.ones((1, 2), np.float32)), np.zeros(3, np.float32), np.zeros(0, np.float32), 1
    )

    assert detection(found, 1.0, 0.1).precision is None
    assert found.auroc == 0.5


def test_auroc_counts_pairs_and_ties_as_half() -> None:
    assert auroc(np.array([1, 2, 3], np.float32), np.array([2, 4], np.float32)) == pytest.approx(4.5 / 6)


@pytest.mark.parametrize("each", [50, 3])
def test_what_is_stored_measures_the_same(each: int) -> None:
    found = familiarity_of(clusters(each), clusters(4, seed=2))

    back = Familiarity.of_tensors(found.to_tensors())

    assert back.measure.of(strangers(5)).tolist() == found.measure.of(strangers(5)).tolist()
    assert (back.learnt_from, back.familiar.tolist()) == (found.learnt_from, found.familiar.tolist())


def test_one_class_alone_has_nothing_to_leave_out() -> None:
    found = familiarity_of(clusters(20, classes=1), clusters(5, classes=1))

    assert len(found.left_out) == 0
