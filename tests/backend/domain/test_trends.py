"""What an epoch table says, in one sentence."""

from backend.domain.trends import EpochFigures, Trend, remark, stage_verdict


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


def test_a_stage_that_helped_beyond_luck_says_so() -> None:
    verdict = stage_verdict(before=0.10, after=0.05, valid_images=1000)

    assert verdict.helped
    assert verdict.is_more_than_luck
    assert verdict.text == "This stage helped: error went from 10.0 % to 5.0 %, more than luck."


def test_a_stage_that_made_it_worse_within_luck_says_so() -> None:
    verdict = stage_verdict(before=0.062, after=0.070, valid_images=300)

    assert not verdict.helped
    assert not verdict.is_more_than_luck
    assert verdict.text == "This stage didn't help: error went from 6.2 % to 7.0 %, which may be luck."


def test_an_unchanged_error_is_no_help() -> None:
    assert not stage_verdict(before=0.1, after=0.1, valid_images=300).helped
