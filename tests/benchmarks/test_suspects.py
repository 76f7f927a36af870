import numpy as np

from benchmarks.suspects import Found, draw_of, figures, our_answer

TARGETS = np.arange(200) % 4


def test_the_share_of_labels_is_made_wrong_and_never_by_the_right_class() -> None:
    draw = draw_of(TARGETS, None, 0.1, "any class", 1)

    assert draw.is_wrong.sum() == 20
    assert (draw.targets[~draw.is_wrong] == TARGETS[~draw.is_wrong]).all()
    assert set(draw.targets.tolist()) == {0, 1, 2, 3}


def test_a_wrong_label_can_be_the_class_that_is_confused_most() -> None:
    draw = draw_of(TARGETS, np.array([1, 0, 3, 2]), 0.1, "most confused class", 1)

    assert (draw.targets[draw.is_wrong] == (TARGETS ^ 1)[draw.is_wrong]).all()


def test_an_order_and_a_list_are_scored_by_what_was_made_wrong() -> None:
    draw = draw_of(TARGETS, None, 0.1, "any class", 1)
    listed = draw.is_wrong.copy()
    listed[np.flatnonzero(~draw.is_wrong)[:5]] = True

    scored = figures(draw, Found(draw.is_wrong.astype(np.float64), listed, 0.5))

    assert scored == {"auroc": 1.0, "first": 20 / 30, "recall": 1.0, "precision": 0.8, "seconds": 0.5}


def test_the_product_finds_wrong_labels_of_clear_classes() -> None:
    random = np.random.default_rng(0)
    values = np.eye(8, dtype=np.float32)[TARGETS] + 0.1 * random.normal(size=(200, 8)).astype(np.float32)
    values /= np.linalg.norm(values, axis=1, keepdims=True)
    draw = draw_of(TARGETS, None, 0.1, "any class", 1)

    found = our_answer(values, draw, 4)

    assert figures(draw, found)["auroc"] > 0.99
    assert (found.listed == draw.is_wrong).all()
