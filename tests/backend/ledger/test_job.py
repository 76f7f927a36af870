import pytest

from backend.ledger.job import JobState
from backend.ledger.timers import Timers


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("queued", "starting"),
        ("starting", "running"),
        ("running", "succeeded"),
        ("running", "stopping"),
        ("stopping", "cancelled"),
        ("stopping", "paused"),
        ("stopping", "running"),
        ("stopping", "succeeded"),
        ("running", "queued"),
        ("paused", "queued"),
        ("queued", "cancelled"),
    ],
)
def test_it_may_go_on(before: str, after: str) -> None:
    assert JobState(before).may_become(JobState(after))


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("succeeded", "queued"),
        ("cancelled", "running"),
        ("failed", "queued"),
        ("queued", "running"),
        ("queued", "succeeded"),
        ("paused", "running"),
    ],
)
def test_it_may_not_jump(before: str, after: str) -> None:
    assert not JobState(before).may_become(JobState(after))


def test_it_knows_which_states_are_final_and_which_are_held() -> None:
    assert {state for state in JobState if state.is_final} == {"succeeded", "failed", "cancelled"}
    assert {state for state in JobState if state.is_claimed} == {"starting", "running", "stopping"}


def test_it_waits_longer_after_each_try() -> None:
    timers = Timers()

    assert [timers.wait_after(tries) for tries in (1, 2, 3, 9)] == [0, 30, 120, 120]


def test_it_hands_its_timers_to_a_child() -> None:
    timers = Timers(heartbeat=0.5, backoff=(0.0, 1.0))

    assert Timers.from_json(timers.to_json()) == timers
