from pathlib import Path

import pytest

from tests.fixtures.engine import TINY, tiny_registered
from worker import speed_test as trial
from worker.speed_test import measured


@pytest.mark.parametrize("views_made_by_device", [False, True])
def test_a_machine_is_measured_by_reading_answering_learning_and_showing_to_frozen_layers(
    views_made_by_device: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trial, "makes_views", lambda device: views_made_by_device)

    with tiny_registered(tmp_path):
        speeds = measured("cpu", size=48, small=32, tried=[TINY])

    assert [(speed.work, speed.architecture, speed.size, speed.amount, speed.run_id) for speed in speeds] == [
        ("read", None, 48, 24, None),
        ("answer", TINY, 48, 16, None),
        ("move", TINY, 48, 16, None),
        ("prepare", TINY, 48, 1, None),
        ("features", TINY, 48, 24, None),
        ("answer", TINY, 32, 16, None),
        ("move", TINY, 32, 16, None),
    ]
    assert all(speed.seconds > 0 for speed in speeds)
