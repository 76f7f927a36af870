from backend.datasets.sources.pace import Pace


def test_the_time_left_follows_the_last_twenty_seconds() -> None:
    now = 0.0
    pace = Pace(lambda: now)
    known: list[int | None] = []
    for second in range(0, 61, 5):
        now = float(second)
        # Ten a second for half a minute, then one.
        pace.note(min(second, 30) * 10 + max(0, second - 30))
        known.append(pace.seconds_left(100))

    assert (known[0], known[1], known[-1]) == (None, 10, 100)


def test_without_any_advance_no_time_is_known() -> None:
    moments = iter((0.0, 10.0))
    pace = Pace(lambda: next(moments))
    assert pace.seconds_left(10) is None
    pace.note(5)
    pace.note(5)

    assert pace.seconds_left(10) is None
