"""How many epochs fit into the time that a training has."""

import pytest

from tests.fixtures.engine import tiny_config, unfrozen
from worker.engine.loop.time_limit import TimeLimit


class Clock:
    """Stands at a number of seconds."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        """The seconds."""
        return self.now


def limit(used_s: float, finish_s: float = 0.0, limit_s: float | None = 600.0) -> TimeLimit:
    """A limit of ten minutes of which so many seconds are used."""
    clock = Clock()
    time = TimeLimit(limit_s, monotonic=clock)
    clock.now += used_s / 2
    time.add(used_s / 2, finish_s)
    return time


def test_work_of_all_attempts_counts() -> None:
    assert limit(120).used_s == 120


@pytest.mark.parametrize(
    ("used_s", "done", "current", "epoch_s", "fitting"),
    [
        # 480 s are left: 24 more epochs of 20 s.
        (120, 3, 40, 20.0, 27),
        (120, 3, 27, 20.0, 27),
        # As planned at first, though there is room for more.
        (120, 3, 20, 10.0, 20),
        # Room again, after it was cut to 20.
        (120, 3, 20, 15.0, 35),
        # Two epochs more of 24 aren't worth a change.
        (120, 3, 25, 20.0, 25),
        # The last epoch is always left.
        (599, 10, 40, 20.0, 11),
        (700, 10, 40, 20.0, 11),
        (700, 40, 40, 20.0, 40),
    ],
)
def test_so_many_epochs_fit(used_s: float, done: int, current: int, epoch_s: float, fitting: int) -> None:
    planned = 20 if epoch_s == 10 else 40

    assert limit(used_s).epochs_that_fit(done, current, planned, [epoch_s, epoch_s]) == fitting


def test_time_for_checkpoint_and_export_is_left() -> None:
    assert limit(100, finish_s=100).epochs_that_fit(3, 40, 40, [20.0, 20.0]) == 23


def test_one_slow_epoch_changes_nothing() -> None:
    assert limit(100).epochs_that_fit(1, 40, 40, [60.0]) == 40
    assert limit(100).epochs_that_fit(4, 20, 20, [20.0, 20.0, 90.0]) == 20


def test_without_a_limit_all_planned_epochs_fit() -> None:
    assert limit(9999, limit_s=None).epochs_that_fit(3, 40, 40, [20.0, 20.0]) == 40


@pytest.mark.usefixtures("tiny")
def test_the_minutes_of_the_config_are_the_limit() -> None:
    config = tiny_config(unfrozen(1))

    assert TimeLimit.of(config).limit_s is None
    assert TimeLimit.of(config.model_copy(update={"minutes": 2.5})).limit_s == 150
