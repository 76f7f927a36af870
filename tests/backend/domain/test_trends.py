"""What an epoch table says, in one sentence."""

import numpy as np
import pytest

from backend.domain.results import Evaluation
from backend.domain.trends import (
    Change,
    EpochFigures,
    Flips,
    Trend,
    flips_of,
    is_clearly_better,
    remark,
    run_verdict,
    stage_verdict,
)


def test_it_shows_nothing_before_the_second_epoch() -> None:
    assert remark([EpochFigures(1.4, 0.3, 0.1)], valid_images=100) is None


def test_it_sees_that_both_losses_fall_and_counts_what_is_right_now() -> None:
    found = remark([EpochFigures(1.4, 0.34, 0.112), EpochFigures(0.57, 0.26, 0.091)], valid_images=1000)

    assert found is not None
    assert found.trend is Trend.IMPROVING
    assert found.text == (
        "Both losses are still falling, so more epochs should help. The last epoch got 21 more right."
    )


def test_it_claims_no_more_right_where_there_are_none() -> None:
    found = remark([EpochFigures(1.4, 0.34, 0.1), EpochFigures(0.57, 0.26, 0.1)], valid_images=1000)

    assert found is not None
    assert found.text == "Both losses are still falling, so more epochs should help."


def test_it_sees_that_it_begins_to_memorise() -> None:
    found = remark(
        [EpochFigures(0.9, 0.300, 0.1), EpochFigures(0.5, 0.250, 0.08), EpochFigures(0.2, 0.280, 0.08)],
        valid_images=100,
    )

    assert found is not None
    assert found.trend is Trend.MEMORISING
    assert "from 0.250 to 0.280" in found.text


def test_it_sees_a_jump() -> None:
    found = remark([EpochFigures(0.9, 0.3, 0.1), EpochFigures(2.5, 1.9, 0.6)], valid_images=100)

    assert found is not None
    assert found.trend is Trend.JUMPED
    assert "from 0.300 to 1.900" in found.text


def test_it_sees_that_nothing_changes_any_more() -> None:
    found = remark([EpochFigures(0.31, 0.3001, 0.1), EpochFigures(0.30, 0.3002, 0.1)], valid_images=100)

    assert found is not None
    assert found.trend is Trend.LEVEL


def test_it_sees_that_a_loss_goes_up_and_down() -> None:
    found = remark(
        [EpochFigures(0.32, 0.32, 0.1), EpochFigures(0.30, 0.30, 0.1), EpochFigures(0.31, 0.31, 0.1)], valid_images=100
    )

    assert found is not None
    assert found.trend is Trend.UNSTEADY


@pytest.mark.parametrize(
    "epochs",
    [
        # 45 pictures, all right: to advise more epochs would contradict the result.
        [EpochFigures(0.9, 0.3, 0.1), EpochFigures(0.4, 0.1, 0.0)],
        # "valid_loss has risen from 0.000 to 0.000"
        [EpochFigures(0.003, 0.00004, 0.0), EpochFigures(0.002, 0.00006, 0.0)],
        [EpochFigures(0.003, 0.00004, 0.01), EpochFigures(0.002, 0.00006, 0.01)],
        [EpochFigures(0.3, 0.0010, 0.01), EpochFigures(0.2, 0.0022, 0.02)],
        # One epoch that is a little worse than the one before goes neither up nor down.
        [EpochFigures(0.30, 0.30, 0.1), EpochFigures(0.31, 0.31, 0.1)],
        # The loss rises, but fewer pictures are wrong than ever.
        [EpochFigures(0.5, 0.250, 0.08), EpochFigures(0.2, 0.280, 0.05)],
        # An epoch got every picture right; what followed is no cause for advice.
        [EpochFigures(0.2, 0.05, 0.05), EpochFigures(0.1, 0.005, 0.0), EpochFigures(0.08, 0.012, 0.006)],
    ],
    ids=[
        "all right",
        "both are 0.000",
        "below what is shown",
        "a jump below what is shown",
        "two epochs",
        "fewest wrong",
        "an epoch was all right",
    ],
)
def test_it_shows_nothing_where_nothing_is_wrong(epochs: list[EpochFigures]) -> None:
    assert remark(epochs, valid_images=100) is None


def test_a_jump_is_asked_from_the_lowest_loss_not_from_the_last() -> None:
    found = remark(
        [EpochFigures(0.9, 0.3, 0.1), EpochFigures(2.5, 1.9, 0.6), EpochFigures(2.4, 1.8, 0.6)], valid_images=100
    )

    assert found is not None
    assert found.text == "valid_loss jumped from 0.300 to 1.800. The learning rate was probably too high."


@pytest.mark.parametrize(
    ("flips", "freeze", "change", "text"),
    [
        (
            Flips(1000, wrong_before=100, wrong_after=50, mended=62, spoiled=12),
            False,
            Change.BETTER,
            "Unfreezing helped: error went from 10.0 % to 5.0 % (62 now right, 12 now wrong), "
            "more than chance would explain.",
        ),
        (
            Flips(1000, wrong_before=62, wrong_after=90, mended=9, spoiled=37),
            True,
            Change.WORSE,
            "This stage made the model worse: error went from 6.2 % to 9.0 % (9 now right, 37 now wrong), "
            "more than chance would explain.",
        ),
        (
            Flips(1000, wrong_before=62, wrong_after=70, mended=9, spoiled=17),
            False,
            Change.NOISE,
            "Unfreezing made no measurable change: error went from 6.2 % to 7.0 % (9 now right, 17 now wrong), "
            "which chance would explain.",
        ),
        (
            Flips(45, wrong_before=2, wrong_after=2, mended=1, spoiled=1),
            False,
            Change.NOISE,
            "Unfreezing made no measurable change: error stayed at 4.4 % (1 now right, 1 now wrong), "
            "which chance would explain.",
        ),
        (
            Flips(300, wrong_before=30, wrong_after=30, mended=0, spoiled=0),
            False,
            Change.NOISE,
            "Unfreezing changed none of the answers.",
        ),
    ],
)
def test_a_stage_is_judged_by_the_answers_that_changed(flips: Flips, freeze: bool, change: Change, text: str) -> None:
    verdict = stage_verdict(flips, (0.21, 0.2), freeze=freeze)

    assert (verdict.change, verdict.text) == (change, text)


def test_the_chance_is_mcnemars_exact_test() -> None:
    verdict = stage_verdict(
        Flips(1000, wrong_before=62, wrong_after=70, mended=9, spoiled=17), (0.21, 0.2), freeze=False
    )

    # Exact binomial, two-sided: 26 flips, 9 or fewer of one kind.
    assert verdict.chance == pytest.approx(0.16864, abs=1e-5)


def test_a_stage_that_halves_the_loss_helped_where_hardly_any_mistakes_are_left() -> None:
    verdict = stage_verdict(
        Flips(100, wrong_before=2, wrong_after=0, mended=2, spoiled=0), (0.045, 0.0003), freeze=False
    )

    assert (verdict.change, verdict.text) == (
        Change.BETTER,
        "Unfreezing helped: valid_loss fell from 0.045 to 0.000; error went from 2.0 % to 0.0 % "
        "(2 now right, 0 now wrong).",
    )


@pytest.mark.parametrize(
    ("flips", "losses", "is_better"),
    [
        # Measured: hand signs, 500 of MNIST, and two splits of clothes, where the test images said it was no better.
        (Flips(130, wrong_before=12, wrong_after=1, mended=11, spoiled=0), (0.337, 0.052), True),
        (Flips(100, wrong_before=2, wrong_after=0, mended=2, spoiled=0), (0.045, 0.0003), True),
        (Flips(100, wrong_before=24, wrong_after=17, mended=15, spoiled=8), (0.847, 0.759), False),
        (Flips(100, wrong_before=25, wrong_after=21, mended=12, spoiled=8), (0.646, 1.016), False),
        # Many answers mended at a loss that hardly falls; and a halved loss with more mistakes.
        (Flips(500, wrong_before=60, wrong_after=30, mended=40, spoiled=10), (0.4, 0.39), True),
        (Flips(100, wrong_before=3, wrong_after=4, mended=1, spoiled=2), (0.2, 0.05), False),
    ],
)
def test_a_model_counts_as_better_only_beyond_chance(
    flips: Flips, losses: tuple[float, float], is_better: bool
) -> None:
    assert is_clearly_better(flips, losses) is is_better


def test_answers_are_compared_image_by_image() -> None:
    classes, targets = ("cat", "dog"), np.array([0, 0, 1, 1])
    cat, dog = [0.9, 0.1], [0.1, 0.9]
    before = Evaluation(classes, ("a", "b", "c", "d"), np.array([cat, dog, dog, cat], np.float32), targets)
    after = Evaluation(classes, ("b", "a", "d", "c"), np.array([cat, cat, cat, cat], np.float32), targets)

    assert flips_of(before, after) == Flips(4, wrong_before=2, wrong_after=2, mended=1, spoiled=1)


@pytest.mark.parametrize(
    ("flips", "change", "text"),
    [
        (
            Flips(1478, wrong_before=86, wrong_after=75, mended=17, spoiled=6),
            Change.BETTER,
            "11 fewer mistakes, more than chance would explain (p = 0.035).",
        ),
        (
            Flips(1478, wrong_before=75, wrong_after=86, mended=6, spoiled=17),
            Change.WORSE,
            "11 more mistakes, more than chance would explain (p = 0.035).",
        ),
        (
            Flips(1478, wrong_before=86, wrong_after=83, mended=17, spoiled=14),
            Change.NOISE,
            "3 fewer mistakes, which chance would explain (p = 0.72).",
        ),
        (
            Flips(500, wrong_before=40, wrong_after=0, mended=40, spoiled=0),
            Change.BETTER,
            "40 fewer mistakes, more than chance would explain (p < 0.001).",
        ),
        (
            Flips(100, wrong_before=9, wrong_after=9, mended=4, spoiled=4),
            Change.NOISE,
            "As many mistakes as before, which chance would explain (p = 1).",
        ),
        (
            Flips(100, wrong_before=9, wrong_after=4, mended=5, spoiled=0),
            Change.NOISE,
            "5 fewer mistakes, but only 5 pictures changed between right and wrong; "
            "fewer than 6 can never show more than chance.",
        ),
        (
            Flips(100, wrong_before=9, wrong_after=10, mended=0, spoiled=1),
            Change.NOISE,
            "1 more mistake, but only 1 picture changed between right and wrong; "
            "fewer than 6 can never show more than chance.",
        ),
        (
            Flips(100, wrong_before=9, wrong_after=9, mended=0, spoiled=0),
            Change.NOISE,
            "Both models get the same pictures right.",
        ),
    ],
)
def test_two_runs_are_judged_by_the_answers_that_changed(flips: Flips, change: Change, text: str) -> None:
    verdict = run_verdict(flips)

    assert (verdict.change, verdict.text) == (change, text)


def test_six_answers_that_changed_in_one_direction_are_the_fewest_that_prove_anything() -> None:
    five, six = (Flips(100, wrong_before=9, wrong_after=9 - n, mended=n, spoiled=0) for n in (5, 6))

    assert run_verdict(five).chance == pytest.approx(0.0625)
    assert run_verdict(six).chance == pytest.approx(0.03125)
    assert run_verdict(six).change is Change.BETTER
