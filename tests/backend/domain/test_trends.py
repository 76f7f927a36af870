"""What an epoch table says, in one sentence."""

import pytest

from backend.domain.trends import Change, EpochFigures, Flips, Trend, remark, stage_verdict


def test_it_says_nothing_before_the_second_epoch() -> None:
    assert remark([EpochFigures(1.4, 0.3, 0.1)], valid_images=100) is None


def test_it_sees_that_both_losses_fall_and_counts_the_mended_pictures() -> None:
    found = remark([EpochFigures(1.4, 0.34, 0.112), EpochFigures(0.57, 0.26, 0.091)], valid_images=1000)

    assert found is not None
    assert found.trend is Trend.IMPROVING
    assert found.text == (
        "Both losses still fall, so more of this helps. The last epoch mended 21 of 1,000 test pictures."
    )


def test_it_does_not_claim_mended_pictures_where_there_are_none() -> None:
    found = remark([EpochFigures(1.4, 0.34, 0.1), EpochFigures(0.57, 0.26, 0.1)], valid_images=1000)

    assert found is not None
    assert found.text == "Both losses still fall, so more of this helps."


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


def test_it_calls_a_wobble_a_wobble() -> None:
    found = remark([EpochFigures(0.30, 0.30, 0.1), EpochFigures(0.31, 0.31, 0.1)], valid_images=100)

    assert found is not None
    assert found.trend is Trend.UNSTEADY


def test_a_stage_that_mended_far_more_than_it_spoiled_helped() -> None:
    verdict = stage_verdict(Flips(1000, wrong_before=100, wrong_after=50, mended=62, spoiled=12), freeze=False)

    assert verdict.change is Change.BETTER
    assert verdict.text == (
        "Unfreezing helped: error went from 10.0 % to 5.0 % (62 mended, 12 spoiled), more than luck."
    )


def test_a_stage_that_spoiled_a_little_more_than_it_mended_is_noise() -> None:
    verdict = stage_verdict(Flips(1000, wrong_before=62, wrong_after=70, mended=9, spoiled=17), freeze=False)

    # Exact binomial, two-sided: 26 flips, 9 or fewer of one kind.
    assert verdict.chance == pytest.approx(0.16864, abs=1e-5)
    assert verdict.change is Change.NOISE
    assert verdict.text == (
        "Unfreezing didn't help: error went from 6.2 % to 7.0 % (9 mended, 17 spoiled), within what chance does."
    )


def test_a_stage_that_mended_a_little_more_than_it_spoiled_is_noise_too() -> None:
    verdict = stage_verdict(Flips(1000, wrong_before=62, wrong_after=57, mended=5, spoiled=0), freeze=False)

    assert verdict.change is Change.NOISE
    assert verdict.text.startswith("Unfreezing made no difference that counts: error went from 6.2 % to 5.7 %")


def test_a_stage_that_spoiled_far_more_than_it_mended_did_not_help() -> None:
    verdict = stage_verdict(Flips(1000, wrong_before=62, wrong_after=90, mended=9, spoiled=37), freeze=True)

    assert verdict.change is Change.WORSE
    assert verdict.text == (
        "This stage didn't help: error went from 6.2 % to 9.0 % (9 mended, 37 spoiled), more than luck."
    )


def test_a_stage_without_a_changed_answer_changed_nothing() -> None:
    verdict = stage_verdict(Flips(300, wrong_before=30, wrong_after=30, mended=0, spoiled=0), freeze=False)

    assert verdict.change is Change.NOISE
    assert verdict.text == "Unfreezing changed nothing: not one answer is another than before."
