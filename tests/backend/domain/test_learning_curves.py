"""Learning curves of made-up classes."""

import numpy as np

from backend.domain.learning_curves import Labelled, class_gains, errors_of

CENTRES = np.eye(3, 24)


def drawn(counts: tuple[int, int, int], noise: tuple[float, float, float], seed: int) -> Labelled:
    """So many pictures of three classes around their centres, some classes more scattered than others."""
    rng = np.random.default_rng(seed)
    targets = np.repeat(np.arange(3), counts)
    spread = np.array(noise)[targets][:, None]
    values = CENTRES[targets] + rng.normal(0, 1, (len(targets), 24)) * spread
    values /= np.linalg.norm(values, axis=1, keepdims=True)
    return Labelled(values.astype(np.float32), targets.astype(np.int64))


def test_more_pictures_of_a_class_that_has_few_and_varies_mend_mistakes() -> None:
    noise = (0.1, 0.1, 0.45)
    learnt, judged = drawn((150, 150, 16), noise, 0), drawn((100, 100, 150), noise, 1)

    [few, many] = class_gains(learnt, judged, 3, [2, 0])

    assert (few.target, few.more) == (2, 10)
    assert few.is_clear
    assert few.low < few.high
    assert not many.is_clear


def test_what_they_mend_lies_in_the_range() -> None:
    noise = (0.1, 0.1, 0.45)
    judged = drawn((100, 100, 150), noise, 1)
    everything = drawn((150, 150, 60), noise, 0)
    # 30 of the third class at first, then 30 more.
    few = Labelled(everything.values[:-30], everything.targets[:-30])

    [gain] = class_gains(few, judged, 3, [2])

    mended = errors_of(few, judged, 3) - errors_of(everything, judged, 3)
    assert gain.more == 30
    assert gain.low - 3 <= mended <= gain.high + 3


def test_a_class_that_is_always_right_has_nothing_to_mend() -> None:
    noise = (0.05, 0.05, 0.05)
    learnt, judged = drawn((60, 60, 60), noise, 0), drawn((40, 40, 40), noise, 1)

    gains = class_gains(learnt, judged, 3, [0, 1, 2])

    assert errors_of(learnt, judged, 3) == 0
    assert [(gain.low, gain.high, gain.is_clear) for gain in gains] == [(0, 0, False)] * 3


def test_a_class_with_too_few_pictures_is_not_judged() -> None:
    learnt = drawn((60, 60, 7), (0.1, 0.1, 0.1), 0)

    assert [gain.target for gain in class_gains(learnt, learnt, 3, [2, 1])] == [1]
