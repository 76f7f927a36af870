"""When a stage that stays far behind is given up."""

import pytest

from backend.domain.early_end import fewest_epochs, is_far_behind
from backend.domain.training import TrainingRequest, resolve


@pytest.mark.parametrize(
    ("done", "best", "is_behind"),
    [(0.3, 0.9, False), (0.34, 0.151, True), (0.34, 0.149, False), (0.5, 0.126, True), (0.5, 0.124, False)],
)
def test_a_stage_far_behind_the_model_before_it_is_known_by_its_best_epoch(
    done: float, best: float, is_behind: bool
) -> None:
    assert is_far_behind(done, best, 0.1) is is_behind


def test_such_a_stage_runs_at_least_a_third_of_its_epochs() -> None:
    head, all_layers = resolve(TrainingRequest()).stages

    assert (head.epochs, fewest_epochs(head)) == (10, 10)
    assert (all_layers.epochs, fewest_epochs(all_layers)) == (50, 17)
