"""Learning curves of made-up classes."""

import numpy as np
import pytest

from backend.domain.learning_curves import Gain, Labelled, errors_of, gain_of_all, gains_of_classes

CENTRES = np.eye(4, 24)


def drawn(each: int, noise: float, seed: int) -> Labelled:
    """So many pictures of each of four classes around their centres."""
    rng = np.random.default_rng(seed)
    targets = np.repeat(np.arange(4), each)
    values = CENTRES[targets] + rng.normal(0, noise, (len(targets), 24))
    values /= np.linalg.norm(values, axis=1, keepdims=True)
    return Labelled(values.astype(np.float32), targets.astype(np.int64))


def test_where_a_gain_is_promised_twice_as_many_pictures_mend_mistakes() -> None:
    judged = drawn(300, 0.45, 100)
    for seed in range(5):
        everything = drawn(24, 0.45, seed)
        first = np.arange(96) % 24 < 12
        few = Labelled(everything.values[first], everything.targets[first])

        gain = gain_of_all(few, judged, 4)

        mended = errors_of(few, judged, 4) - errors_of(everything, judged, 4)
        assert gain.is_clear
        assert mended > gain.low


def test_a_model_that_is_always_right_has_nothing_to_mend() -> None:
    learnt, judged = drawn(40, 0.05, 0), drawn(40, 0.05, 1)

    assert errors_of(learnt, judged, 4) == 0
    assert gain_of_all(learnt, judged, 4) == Gain(0, 0)
    assert [one.gain for one in gains_of_classes(learnt, judged, [0] * 4, 1.0)] == [Gain(0, 0)] * 4


def test_a_class_of_which_more_pictures_are_missed_gains_more() -> None:
    learnt, judged = drawn(12, 0.45, 0), drawn(300, 0.45, 100)

    gains = gains_of_classes(learnt, judged, [90, 0, 10, 20], 1.0)

    assert [one.more for one in gains] == [10, 10, 10, 10]
    assert [one.target for one in sorted(gains, key=lambda one: -one.gain.high)] == [0, 3, 2, 1]
    assert not gains[1].gain.is_clear


def test_a_run_with_fewer_mistakes_gains_fewer() -> None:
    learnt, judged = drawn(12, 0.45, 0), drawn(300, 0.45, 100)

    [whole, half] = [gains_of_classes(learnt, judged, [9, 9, 9, 9], share)[0].gain for share in (1.0, 0.5)]

    assert half == pytest.approx(whole.times(0.5))


def test_a_class_with_too_few_pictures_is_not_judged() -> None:
    learnt = drawn(9, 0.1, 0)
    without = Labelled(learnt.values[2:], learnt.targets[2:])

    assert [one.target for one in gains_of_classes(without, learnt, [1] * 4, 1.0)] == [1, 2, 3]
    assert gains_of_classes(Labelled(learnt.values[::9], learnt.targets[::9]), learnt, [1] * 4, 1.0) == []
