"""Positions in the charts of “How sure”."""

import numpy as np
import pytest

from backend.domain.confidence.calibration import calibration
from backend.domain.confidence.strangeness import Familiarity, NearestPictures
from backend.prediction.confidence.view import calibration_words, points_of, precision_line, strangeness_chart


def found() -> Familiarity:
    """Test pictures at 0 to 99, stand-ins at 50 to 149."""
    return Familiarity(
        NearestPictures(np.ones((1, 2), np.float32)),
        np.arange(100, dtype=np.float32),
        np.arange(50, 150, dtype=np.float32),
        10,
    )


def answers(confidence: float, right: int, wrong: int) -> tuple[np.ndarray, np.ndarray]:
    probabilities = np.tile([confidence, 1 - confidence], (right + wrong, 1))
    return probabilities, np.array([0] * right + [1] * wrong)


def test_a_point_lies_at_confidence_and_share_of_right_answers_upwards() -> None:
    (point,) = points_of(calibration(*answers(0.85, 6, 4)))

    assert (point.x, point.y) == pytest.approx((85, 40))
    # Wilson's interval of 6 of 10, from above.
    assert (point.low, point.high) == pytest.approx((68.73, 16.82), abs=0.01)


@pytest.mark.parametrize(
    ("confidence", "words"),
    [(0.99, "it is more confident than it should be"), (0.55, "it is less confident"), (0.8, "No more than chance")],
)
def test_the_calibration_error_is_put_into_words(confidence: float, words: str) -> None:
    assert words in calibration_words(calibration(*answers(confidence, 160, 40)))


def test_the_limit_lies_among_the_bars() -> None:
    chart = strangeness_chart(found(), 75.0)

    assert len(chart.bars) == 24
    assert chart.limit == pytest.approx(50, abs=0.5)
    assert chart.bars[0].left_out == 0
    assert chart.bars[-1].familiar == 0
    assert strangeness_chart(found(), None).limit is None


def test_each_row_says_what_a_limit_refuses() -> None:
    row = strangeness_chart(found(), None).rows[2]

    assert row.refused == 0.05
    assert (row.familiar.share, row.strange.share) == ("5 %", "55 %")


def test_the_line_of_precision_begins_at_nothing_and_rises() -> None:
    points = [point.split(",") for point in precision_line(found(), 94.05).split(" ")]

    assert points[0] == ["0", "100.0"]
    # At 10 %: 0.1 * 0.55 of 0.1 * 0.55 + 0.9 * 0.05 are right, which is 55 %.
    assert points[10] == ["20", "45.0"]
    assert len(points) == 51
