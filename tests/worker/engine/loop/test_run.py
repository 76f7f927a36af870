"""How the one-cycle of a stage goes on after its number of epochs was changed."""

import pytest

from worker.engine.loop.run import Pace


def test_as_planned_it_goes_evenly() -> None:
    assert [Pace().at(step, 40) for step in (0, 10, 40)] == [0, 0.25, 1]


def test_with_fewer_steps_it_goes_on_from_where_it_is_and_is_done_at_the_end() -> None:
    pace = Pace(10, 0.25)

    assert [pace.at(step, 20) for step in (10, 12, 20)] == pytest.approx([0.25, 0.4, 1])


def test_with_more_steps_again_it_slows_down() -> None:
    pace = Pace(12, 0.4)

    assert [pace.at(step, 24) for step in (12, 18, 24)] == pytest.approx([0.4, 0.7, 1])
