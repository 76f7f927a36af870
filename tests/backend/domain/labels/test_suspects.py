"""Labels that are probably wrong, on drawn features: classes are clusters on a sphere."""

from dataclasses import replace
from typing import TypeVar

import numpy as np
import pytest
from numpy.typing import NDArray

from backend.domain.labels.suspects import Labelled, signals_of

Number = TypeVar("Number", np.int64, np.float64)


def clusters(counts: list[int], spread: float = 0.1, seed: int = 0) -> Labelled:
    """So many pictures of each class, all labels right."""
    targets = np.repeat(np.arange(len(counts)), counts)
    values = np.random.default_rng(seed).normal(0, spread, (len(targets), 8)) + np.eye(8)[targets]
    return Labelled(
        (values / np.linalg.norm(values, axis=1, keepdims=True)).astype(np.float32),
        targets,
        np.arange(len(targets)),
        np.full(len(targets), np.nan),
        np.full(len(targets), -1),
        np.zeros(len(targets)),
        np.full(len(targets), -1),
    )


def with_label(known: Labelled, labels: dict[int, int]) -> Labelled:
    targets = known.targets.copy()
    targets[[*labels]] = [*labels.values()]
    return replace(known, targets=targets)


def set_at(values: NDArray[Number], at: int, value: float) -> NDArray[Number]:
    found = values.copy()
    found[at] = value
    return found


def test_swapped_labels_are_found_and_the_right_class_is_proposed() -> None:
    known = with_label(clusters([30, 30, 30]), {3: 1, 40: 2, 70: 0})

    found = signals_of(known, 3)

    assert sorted(found.suspects.tolist()) == [3, 40, 70]
    assert found.choices[[3, 40, 70], 0].tolist() == [0, 1, 2]
    assert (found.margins[[3, 40, 70]] < 0).all()
    assert found.against[[3, 40, 70]].tolist() == [1.0, 1.0, 1.0]


def test_right_labels_are_no_suspects() -> None:
    assert signals_of(clusters([30, 30, 30]), 3).suspects.tolist() == []


def test_copies_with_one_wrong_label_do_not_vouch_for_each_other() -> None:
    known = clusters([30, 30])
    values = known.values.copy()
    values[1:12] = values[0]
    wrong = with_label(replace(known, values=values), dict.fromkeys(range(12), 1))
    together = replace(wrong, groups=np.where(np.arange(60) < 12, 0, known.groups))

    copies = {*range(12)}
    assert copies & {*signals_of(wrong, 2).suspects.tolist()} == set()
    assert copies & {*signals_of(together, 2).suspects.tolist()} == copies


def test_copies_count_as_one_picture_for_those_around_them() -> None:
    known = clusters([30, 30])
    values = known.values.copy()
    values[1:12] = values[0]
    wrong = with_label(replace(known, values=values), dict.fromkeys(range(12), 1))
    together = replace(wrong, groups=np.where(np.arange(60) < 12, 0, known.groups))

    around = {*range(12, 30)}
    assert around & {*signals_of(wrong, 2).suspects.tolist()} != set()
    assert around & {*signals_of(together, 2).suspects.tolist()} == set()


def test_a_class_of_few_pictures_keeps_them() -> None:
    # Four pictures are called 2; by their features they belong to 0.
    few = with_label(clusters([34, 30, 0]), dict.fromkeys(range(4), 2))
    enough = with_label(clusters([35, 30, 0]), dict.fromkeys(range(5), 2))

    assert signals_of(few, 3).suspects.tolist() == []
    assert signals_of(enough, 3).suspects.tolist() != []


def test_another_label_of_the_same_picture_makes_a_suspect_and_is_proposed() -> None:
    known = clusters([30, 30, 30])
    contradicted = replace(known, contradictions=set_at(known.contradictions, 5, 2))

    found = signals_of(contradicted, 3)

    assert found.suspects.tolist() == [5]
    assert found.choices[5, 0] == 2
    assert found.scores[5] >= 0.5


def test_a_training_alone_counts_only_where_it_is_sure_and_nothing_else_is_known() -> None:
    known = clusters([30, 30])
    blind = replace(known, values=np.zeros_like(known.values), predicted=set_at(known.predicted, 4, 1))
    sure = replace(blind, confidence=set_at(known.confidence, 4, 0.95), losses=set_at(known.losses, 4, 3.0))
    unsure = replace(blind, confidence=set_at(known.confidence, 4, 0.6), losses=set_at(known.losses, 4, 0.9))

    assert signals_of(sure, 2).suspects.tolist() == [4]
    assert signals_of(unsure, 2).suspects.tolist() == []
    # With features that speak for the label, a training alone is no reason.
    assert signals_of(replace(sure, values=known.values), 2).suspects.tolist() == []


def test_a_larger_loss_makes_more_suspect() -> None:
    known = with_label(clusters([30, 30]), {2: 1, 3: 1})
    losses = np.where(np.arange(60) < 20, 0.1, np.nan)
    losses[2], losses[3] = 1.0, 4.0
    scores = signals_of(replace(known, losses=losses), 2).scores
    plain = signals_of(known, 2).scores

    assert scores[3] - plain[3] > scores[2] - plain[2]


@pytest.mark.parametrize("counts", [[1, 1], [2, 1, 1], [7, 1]])
def test_a_handful_of_pictures_is_no_reason_to_fail(counts: list[int]) -> None:
    assert signals_of(clusters(counts), len(counts)).suspects.tolist() == []
