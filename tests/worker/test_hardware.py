import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from backend.domain.ids import JobId
from backend.ledger.job import Claim, JobKind, Memory
from backend.ledger.timers import Timers
from backend.settings import Settings, load
from worker import hardware as here
from worker.hardware import Gpu, cards_in, device_name, memory_in, memory_of, new_identity, visible
from worker.identity import WorkerIdentity


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return load(_env_file=None, data=tmp_path, device="cpu")


def test_two_workers_on_one_processor_have_places_of_their_own(settings: Settings) -> None:
    first, second = new_identity(settings), new_identity(settings)

    assert first.device.startswith("cpu:")
    assert first.device != second.device


def test_two_workers_on_one_card_share_its_place(tmp_path: Path) -> None:
    settings = load(_env_file=None, data=tmp_path, device="cuda:1")

    assert (new_identity(settings).device, new_identity(settings).device) == ("cuda:1", "cuda:1")


def test_only_a_training_needs_the_device_for_itself(settings: Settings) -> None:
    identity = new_identity(settings)

    assert identity.worker(JobKind.TRAIN).device == identity.device
    assert identity.worker(JobKind.IMPORT).device is None


def test_a_child_gets_the_same_place(settings: Settings) -> None:
    identity = new_identity(settings, Timers(lease=3.0))

    assert WorkerIdentity.from_json(identity.to_json()) == identity


@pytest.mark.parametrize("module", ["worker.__main__", "worker.listener", "worker.celery_app", "worker.supervisor"])
def test_it_does_its_work_without_torch(module: str) -> None:
    check = f"import {module}, sys; sys.exit('torch' in sys.modules)"

    assert subprocess.run([sys.executable, "-c", check], check=False).returncode == 0


@pytest.fixture
def two_cards(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A machine with two cards, whose places are free again afterwards."""
    monkeypatch.setattr(here, "_all_cards", lambda: [here.Gpu("NVIDIA A10"), here.Gpu("NVIDIA T4")])
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    yield
    while here._locks:
        here._locks.pop().close()


@pytest.mark.usefixtures("two_cards")
def test_j14_each_worker_takes_the_first_card_that_is_free_and_the_third_shares_the_first(tmp_path: Path) -> None:
    settings = load(_env_file=None, data=tmp_path, device="auto")

    assert [new_identity(settings).device for _worker in range(3)] == ["cuda:0", "cuda:1", "cuda:0"]


@pytest.mark.usefixtures("two_cards")
def test_the_card_of_a_worker_that_has_gone_is_free(tmp_path: Path) -> None:
    settings = load(_env_file=None, data=tmp_path, device="auto")
    new_identity(settings)
    new_identity(settings)
    here._locks.pop(0).close()

    assert new_identity(settings).device == "cuda:0"


@pytest.mark.usefixtures("two_cards")
def test_a_card_has_the_name_that_its_maker_gave_it() -> None:
    assert (device_name("cuda:1"), device_name("cuda:2"), device_name("cpu:worker-1")) == ("NVIDIA T4", None, None)


def test_it_reads_what_the_driver_shows_of_its_cards() -> None:
    answer = "NVIDIA A10, 23028, 22500\nNVIDIA GB10, [N/A], [N/A]\n"

    assert cards_in(answer) == [
        Gpu("NVIDIA A10", Memory(total=23028 * 2**20, free=22500 * 2**20)),
        Gpu("NVIDIA GB10", None),
    ]


@pytest.mark.parametrize(
    ("only", "names"),
    [(None, "abc"), ("2,0", "ca"), ("", ""), ("7", ""), ("GPU-9f2,GPU-1c0", "ab")],
)
def test_it_counts_the_cards_that_programs_may_see(only: str | None, names: str) -> None:
    assert "".join(card.name for card in visible([Gpu("a"), Gpu("b"), Gpu("c")], only)) == names


def test_a_processor_has_the_memory_of_its_machine() -> None:
    assert memory_in("MemTotal:  8000 kB\nMemFree:  100 kB\nMemAvailable:  3000 kB\nHugePages_Total:  0\n") == Memory(
        total=8_192_000, free=3_072_000
    )


def test_this_machine_knows_its_memory() -> None:
    memory = memory_of("cpu:worker-1")

    assert memory is not None
    assert 0 < memory.free < memory.total


@pytest.mark.parametrize(
    ("device", "asked", "given"),
    [
        ("cuda:1", "auto", "cuda:1"),
        ("cuda:1", "cpu", "cpu"),
        ("cpu:worker-1", "cpu", "cpu"),
        ("cpu:worker-1", "auto", None),
    ],
)
def test_a_training_may_use_the_device_that_was_taken_for_it(
    device: str, asked: str, given: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TELLAPART_DEVICE", raising=False)
    identity = WorkerIdentity("worker-1", "host-1", device, "drain")

    environment = identity.environment(Claim(JobId("job"), JobKind.TRAIN, "run", 1, asked))

    assert environment.get("TELLAPART_DEVICE") == given
