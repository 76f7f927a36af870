"""States after epochs are saved as often as a tenth of the time allows."""

import pytest

from worker.engine.loop.saving import SavingTime


class Clock:
    """A clock that is set."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        """Seconds."""
        return self.now


def save(saving: SavingTime, clock: Clock, took_s: float) -> None:
    with saving.measured():
        clock.now += took_s


@pytest.mark.parametrize(("worked_s", "is_due"), [(0.9, False), (1.1, True)])
def test_the_first_state_is_due_after_a_second(worked_s: float, is_due: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("worker.engine.loop.saving.SHARE", 0.1)
    clock = Clock()
    saving = SavingTime(clock)

    clock.now += worked_s

    assert saving.is_due() is is_due


@pytest.mark.parametrize(("worked_s", "is_due"), [(0.5, False), (1.9, False), (2.1, True)])
def test_the_next_is_due_once_saving_has_taken_no_more_than_a_tenth_of_the_time(
    worked_s: float, is_due: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("worker.engine.loop.saving.SHARE", 0.1)
    clock = Clock()
    saving = SavingTime(clock)

    save(saving, clock, 0.2)
    clock.now += worked_s

    assert saving.is_due() is is_due
