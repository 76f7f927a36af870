"""Answers that trainings change which differ by their seed alone."""

import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.linear_model import SGDClassifier

from backend.domain.chance import FlipsByChance, disagreements, flips_by_chance, head_alone, is_trained_so
from backend.domain.results import Evaluation
from backend.domain.training import Recipe, StageRequest, TrainingConfig, TrainingRequest, resolve

CLASSES = tuple("0123456789")


def head_of_digits(seed: int) -> Evaluation:
    """The answers of a linear model, trained with a seed on every other digit, to the rest."""
    pictures, labels = load_digits(return_X_y=True)
    model = SGDClassifier(loss="log_loss", max_iter=5, tol=None, random_state=seed).fit(pictures[::2] / 16, labels[::2])
    ids = tuple(f"{number:03}" for number in range(len(labels[1::2])))
    shares = model.predict_proba(pictures[1::2] / 16).astype(np.float32)
    return Evaluation(CLASSES, ids, shares, labels[1::2].astype(np.int64))


def test_three_trainings_on_digits_disagree_about_a_few_of_them() -> None:
    trained = [head_of_digits(seed) for seed in (1, 2, 3)]
    labels = {id: CLASSES[label] for id, label in zip(trained[0].image_ids, trained[0].targets.tolist(), strict=True)}

    found = flips_by_chance(disagreements(trained), labels, 3)

    assert [one.errors for one in trained] == [61, 53, 59]
    assert found == FlipsByChance(898, (42, 42, 46))


def answers(*said: str) -> Evaluation:
    """What a model says of the pictures a, b, c …, all of which are cats."""
    classes = ("cat", "dog", "owl")
    shares = np.array([[0.8 if name == one else 0.1 for name in classes] for one in said], dtype=np.float32)
    return Evaluation(classes, tuple("abcdef"[: len(said)]), shares, np.zeros(len(said), dtype=np.int64))


def test_only_pictures_about_which_they_disagree_are_kept() -> None:
    found = disagreements([answers("cat", "dog", "owl"), answers("cat", "dog", "cat"), answers("cat", "dog", "dog")])

    assert found == {"c": ["owl", "cat", "dog"]}


def test_a_picture_that_one_of_them_could_not_read_does_not_count() -> None:
    assert disagreements([answers("cat", "cat"), answers("dog")]) == {"a": ["cat", "dog"]}


def test_each_pair_is_counted_and_another_wrong_answer_is_no_flip() -> None:
    said = {"a": ["cat", "dog", "dog"], "b": ["dog", "cat", "owl"], "c": ["dog", "owl", "owl"]}

    found = flips_by_chance(said, dict.fromkeys("abcd", "cat"), 3)

    assert found == FlipsByChance(4, (2, 1, 1))
    assert (found.lowest, found.middle, found.highest) == (1, 1.0, 2)


def test_pictures_that_are_not_compared_do_not_count_and_labels_are_those_of_today() -> None:
    said = {"a": ["cat", "dog"], "b": ["cat", "dog"], "c": ["cat", "owl"]}

    assert flips_by_chance(said, {"a": "cat", "c": "dog"}, 2) == FlipsByChance(2, (1,))


def test_a_class_that_has_another_name_today_still_counts() -> None:
    found = flips_by_chance({"a": ["cat", "dog"]}, {"a": "kitten"}, 2, {"cat": "kitten"})

    assert found.counts == (1,)


@pytest.mark.parametrize(
    ("counts", "changed", "expected"),
    [
        (
            (5, 9, 7),
            14,
            "Chance alone changes 5 to 9 answers of 169 here; 14 changed. More changed than by chance",
        ),
        ((5, 9, 7), 9, "5 to 9 answers of 169 here; 9 changed. That is no more than chance alone changes."),
        ((5, 9, 7), 4, "5 to 9 answers of 169 here; 4 changed. Less changed than by chance alone."),
        ((1, 1, 1), 1, "Chance alone changes 1 answer of 169 here; 1 changed."),
        ((0, 0, 0), 2, "Chance alone changes 0 answers of 169 here; 2 changed. More changed"),
    ],
)
def test_it_is_said_in_plain_words(counts: tuple[int, ...], changed: int, expected: str) -> None:
    assert expected in FlipsByChance(169, counts).sentences(changed)


def config(*stages: StageRequest, **given: object) -> TrainingConfig:
    return resolve(TrainingRequest.model_validate({"stages": stages or None, **given}))


def test_the_head_is_trained_as_in_the_run_but_for_the_seed() -> None:
    own = config(StageRequest(freeze=True, epochs=3, max_lr=0.01), seed=5, batch_size=16)

    alone = head_alone(own, 6)

    assert (alone.seed, alone.batch_size) == (6, 16)
    assert alone.stages == own.stages


def test_of_a_run_that_trains_all_layers_the_usual_head_is_trained() -> None:
    alone = head_alone(config(StageRequest(freeze=False, epochs=30, image_size=64)), 1)

    assert [(one.freeze, one.epochs, one.max_lr, one.views) for one in alone.stages] == [(True, 10, 2e-3, 0)]
    assert alone.image_size == 224


def test_a_head_stage_that_needs_random_views_or_a_search_needs_neither_here() -> None:
    stage = StageRequest(freeze=True, epochs=4, max_lr="find", views=2, train_batch_norm=True, keep_best=True)

    (alone,) = head_alone(config(stage, StageRequest(freeze=False)), 1).stages

    assert (alone.epochs, alone.max_lr, alone.keep_best) == (4, 2e-3, True)
    assert (alone.views, alone.train_batch_norm) == (0, False)
    assert alone.features_are_constant


def test_only_a_model_whose_head_alone_was_trained_on_stored_features_is_measured_exactly() -> None:
    recommended = config()

    assert is_trained_so(recommended, 0) is True
    assert is_trained_so(recommended, 1) is False
    assert is_trained_so(config(recipe=Recipe.LESSON_1), 0) is False
