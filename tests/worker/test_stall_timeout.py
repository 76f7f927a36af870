from backend.domain.events import PhaseProgress, StepFinished
from worker.stall_timeout import StallTimeout


class Clock:
    """A clock that is moved by hand."""

    now = 0.0

    def __call__(self) -> float:
        """The time that was set."""
        return self.now


def steps(number: int) -> StepFinished:
    """So many steps at once."""
    return StepFinished(0, 0, 1, 10, (0.5,) * number, 0.001, 0.9, 10.0)


def test_it_waits_twenty_times_the_usual_step() -> None:
    clock = Clock()
    patience = StallTimeout(monotonic=clock)

    for seconds in (30.0, 60.0, 90.0):
        clock.now += seconds
        patience.see(steps(1))

    assert patience.stall_after_s == 1200


def test_several_steps_in_one_event_share_its_time() -> None:
    clock = Clock()
    patience = StallTimeout(monotonic=clock)

    for _event in range(3):
        clock.now += 2.0
        patience.see(steps(4))

    assert patience.stall_after_s == 10


def test_it_knows_nothing_before_there_were_steps() -> None:
    clock = Clock()
    patience = StallTimeout(monotonic=clock)

    clock.now += 500
    patience.see(PhaseProgress("weights", 1, 2))
    patience.see(steps(1))

    assert patience.stall_after_s is None


def test_what_happens_between_two_steps_is_not_part_of_the_second() -> None:
    clock = Clock()
    patience = StallTimeout(monotonic=clock)

    for _epoch in range(3):
        clock.now += 100
        patience.see(PhaseProgress("evaluation", 1, 2))
        clock.now += 1
        patience.see(steps(1))

    assert patience.stall_after_s == 20
