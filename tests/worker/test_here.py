import subprocess
import sys
from pathlib import Path

import pytest

from backend.ledger.job import JobKind
from backend.ledger.timers import Timers
from backend.settings import Settings, load
from worker.here import new_post
from worker.post import Post


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return load(_env_file=None, data=tmp_path, device="cpu")


def test_two_workers_on_one_processor_have_places_of_their_own(settings: Settings) -> None:
    first, second = new_post(settings), new_post(settings)

    assert first.device.startswith("cpu:")
    assert first.device != second.device


def test_two_workers_on_one_card_share_its_place(tmp_path: Path) -> None:
    settings = load(_env_file=None, data=tmp_path, device="cuda:1")

    assert (new_post(settings).device, new_post(settings).device) == ("cuda:1", "cuda:1")


def test_only_a_training_needs_the_device_for_itself(settings: Settings) -> None:
    post = new_post(settings)

    assert post.worker(JobKind.TRAIN).device == post.device
    assert post.worker(JobKind.IMPORT).device is None


def test_a_child_gets_the_same_place(settings: Settings) -> None:
    post = new_post(settings, Timers(lease=3.0))

    assert Post.from_json(post.to_json()) == post


@pytest.mark.parametrize("module", ["worker.__main__", "worker.listener", "worker.celery_app", "worker.supervisor"])
def test_it_does_its_work_without_torch(module: str) -> None:
    check = f"import {module}, sys; sys.exit('torch' in sys.modules)"

    assert subprocess.run([sys.executable, "-c", check], check=False).returncode == 0
