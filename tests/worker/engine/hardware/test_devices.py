import pytest
import torch

from backend.domain.training import Precision
from worker.engine.errors import DeviceUnavailable
from worker.engine.hardware import devices
from worker.engine.order import NeverStop


def test_the_processor_is_always_there() -> None:
    assert devices.choose("cpu") == torch.device("cpu")
    assert devices.known_devices()[-1] == "cpu"


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here")
def test_without_a_gpu_auto_is_the_processor_and_a_gpu_is_refused() -> None:
    assert devices.choose("auto") == torch.device("cpu")
    with pytest.raises(DeviceUnavailable) as refusal:
        devices.choose("cuda")
    assert refusal.value.known == ("cpu",)


@pytest.mark.parametrize(
    ("precision", "units", "expected"),
    [
        (Precision.AUTO, "avx512_bf16", torch.bfloat16),
        (Precision.AUTO, "amx_bf16", torch.bfloat16),
        (Precision.BFLOAT16, "avx512_bf16", torch.bfloat16),
        (Precision.FLOAT32, "avx512_bf16", None),
        (Precision.FLOAT16, "avx512_bf16", None),
        (Precision.AUTO, "avx512_fp16", None),
        (Precision.BFLOAT16, "avx512_fp16", None),
    ],
)
def test_a_processor_learns_in_bfloat16_where_it_has_units_for_it(
    precision: Precision, units: str, expected: torch.dtype | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {units: True})

    assert devices.autocast_type(precision, torch.device("cpu")) == expected


@pytest.mark.parametrize(
    ("precision", "capability", "expected"),
    [
        (Precision.AUTO, (8, 0), torch.bfloat16),
        (Precision.AUTO, (7, 5), torch.float16),
        (Precision.FLOAT32, (8, 0), None),
        (Precision.FLOAT16, (8, 0), torch.float16),
        (Precision.BFLOAT16, (8, 0), torch.bfloat16),
    ],
)
def test_a_gpu_computes_in_what_it_can(
    precision: Precision, capability: tuple[int, int], expected: torch.dtype | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: capability)

    assert devices.autocast_type(precision, torch.device("cuda:0")) == expected


def test_small_trainings_start_no_loader_processes() -> None:
    assert devices.loader_processes(100, 10) == 0
    assert devices.loader_processes(10_000, 1) >= 1


def test_never_stop_never_stops() -> None:
    assert not NeverStop().requested()


@pytest.mark.parametrize(
    ("device", "are_steps_small", "threads"), [("cpu", True, 2), ("cpu", False, 4), ("cuda", True, 4)]
)
def test_small_steps_use_half_of_the_processors(device: str, are_steps_small: bool, threads: int) -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(4)
    try:
        with devices.fewer_threads(torch.device(device), are_steps_small=are_steps_small):
            assert torch.get_num_threads() == threads
        assert torch.get_num_threads() == 4
    finally:
        torch.set_num_threads(before)


def test_small_steps_use_at_least_one_processor() -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with devices.fewer_threads(torch.device("cpu"), are_steps_small=True):
            assert torch.get_num_threads() == 1
    finally:
        torch.set_num_threads(before)
