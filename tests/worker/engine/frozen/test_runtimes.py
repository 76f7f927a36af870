import ctypes
import errno
import gc
import sys
from collections.abc import Iterator
from functools import partial
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from backend.domain.events import Note, NoteTopic
from backend.imaging.preprocessing import Pixels, Preprocessing
from tests.fixtures.engine import Listener, build_tiny
from worker.engine.checkpoints import durable
from worker.engine.data.source import to_input
from worker.engine.frozen import runtimes
from worker.engine.frozen.runtimes import Answer, FrozenLayers, FrozenNetwork
from worker.engine.hardware.memory import MemoryLimits
from worker.engine.network.architectures import ConcatPool
from worker.engine.network.identity import identity_of

PREPROCESSING = Preprocessing(size=32, resize_to=36, mean=(0.5, 0.4, 0.6), std=(0.25, 0.2, 0.3))
CPU = torch.device("cpu")
MANY = 1_000
"""So many images that preparing a runtime pays."""


def layers(scale: float = 1.0) -> nn.Sequential:
    torch.manual_seed(5)
    backbone = build_tiny(None)
    next(backbone.parameters()).data *= scale
    return nn.Sequential(backbone, ConcatPool())


def still(folder: Path | None = None, *, images: int = MANY, listener: Listener | None = None) -> FrozenLayers:
    network = FrozenNetwork(layers(), PREPROCESSING, folder)
    return FrozenLayers(network, MemoryLimits(8), images=images, on_event=listener or Listener())


def rough(exact: FrozenLayers, *, images: int = MANY) -> FrozenLayers:
    """The same network in bfloat16."""
    precision = torch.bfloat16
    return FrozenLayers(exact.network, MemoryLimits(8), images=images, on_event=Listener(), precision=precision)


def pictures(count: int) -> list[Pixels]:
    return list(np.random.default_rng(1).integers(0, 256, (count, 32, 32, 3), dtype=np.uint8))


def as_torch_says(pixels: list[Pixels]) -> Answer:
    with torch.no_grad():
        found: Answer = layers().eval()(to_input(torch.from_numpy(np.stack(pixels)), PREPROCESSING, CPU)).numpy()
    return found


@pytest.fixture(params=["openvino", "onnxruntime", "torch"])
def runtime_name(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """The name of the runtime that a machine without the quicker ones takes."""
    missing = {"openvino": [], "onnxruntime": ["openvino"], "torch": ["openvino", "onnxruntime"]}[request.param]
    present = find_spec
    monkeypatch.setattr(
        "worker.engine.frozen.runtimes.find_spec", lambda name: None if name in missing else present(name)
    )
    return str(request.param)


def test_each_runtime_answers_as_torch_does_and_in_equal_bits_in_any_company(runtime_name: str) -> None:
    if runtime_name == "openvino" and find_spec("openvino") is None:
        pytest.skip("this machine has no OpenVINO")
    shown = still()
    pixels = pictures(12)

    found = np.stack(list(shown.answers(pixels)))

    assert shown.runtime_name.split()[0] == runtime_name
    assert found == pytest.approx(as_torch_says(pixels), rel=1e-4, abs=1e-5)
    backwards = np.stack(list(still().answers(pixels[::-1])))[::-1]
    assert np.array_equal(backwards, found)
    assert np.array_equal(np.stack(list(shown.answers(pixels[7:9]))), found[7:9])


@pytest.mark.skipif(find_spec("openvino") is None, reason="this machine has no OpenVINO")
def test_answers_to_learn_from_may_be_rough_where_the_processor_is_quicker_so() -> None:
    shown = still()
    rougher = rough(shown)
    pixels = pictures(6)

    found = np.stack(list(rougher.answers(pixels)))

    # OpenVINO itself keeps to float32 on a processor without such units.
    assert rougher.runtime_name.endswith(" bfloat16")
    assert found == pytest.approx(as_torch_says(pixels), rel=0.05, abs=0.02)
    assert np.array_equal(np.stack(list(rougher.answers(pixels[::-1])))[::-1], found)
    assert np.stack(list(shown.answers(pixels))) == pytest.approx(as_torch_says(pixels), rel=1e-4, abs=1e-5)
    assert (shown.identity, rougher.identity) == (identity_of(layers()), identity_of(layers()))


def test_rough_answers_of_torch_are_those_of_autocast_and_have_a_name_of_their_own() -> None:
    rougher = rough(still(images=10), images=10)
    pixels = pictures(2)

    found = np.stack(list(rougher.answers(pixels)))

    assert rougher.runtime_name == f"torch {torch.__version__} cpu bfloat16"
    assert found.dtype == np.float32
    assert found == pytest.approx(as_torch_says(pixels), rel=0.05, abs=0.02)
    assert not np.array_equal(found, as_torch_says(pixels))


class Rough:
    name = "rough 1"

    def __init__(self, layers: object, share: float = 0.05) -> None:
        self.share = share

    def answers(self, pixels: Iterator[Pixels]) -> Iterator[Answer]:
        for one in pixels:
            yield as_torch_says([one])[0] * np.float32(1 + self.share)


def test_what_is_a_little_off_may_be_learnt_from_but_judges_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runtimes, "_makers", lambda device, images, number_format: [("rough 1", Rough)])
    judging = still()
    learnt_from = rough(judging)

    list(judging.answers(pictures(2)))
    list(learnt_from.answers(pictures(2)))

    assert judging.runtime_name == f"torch {torch.__version__} cpu"
    assert learnt_from.runtime_name == "rough 1"


def test_what_is_far_off_is_not_even_learnt_from(monkeypatch: pytest.MonkeyPatch) -> None:
    far_off = partial(Rough, share=0.2)
    monkeypatch.setattr(runtimes, "_makers", lambda device, images, number_format: [("rough 1", far_off)])
    learnt_from = rough(still())

    list(learnt_from.answers(pictures(2)))

    assert learnt_from.runtime_name == f"torch {torch.__version__} cpu bfloat16"


def test_for_a_few_images_torch_answers_since_no_other_needs_to_be_prepared() -> None:
    assert still(images=10).runtime_name == f"torch {torch.__version__} cpu"


class Wrong:
    name = "wrong 1"

    def __init__(self, layers: object) -> None:
        pass

    def answers(self, pixels: Iterator[Pixels]) -> Iterator[Answer]:
        for _ in pixels:
            yield np.full(16, np.nan, np.float32)


def test_a_runtime_that_answers_differently_is_given_up_and_it_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runtimes, "_makers", lambda device, images, number_format: [("wrong 1", Wrong)])
    listener = Listener()
    shown = still(listener=listener)

    found = np.stack(list(shown.answers(pictures(3))))

    assert found == pytest.approx(as_torch_says(pictures(3)), rel=1e-5, abs=1e-6)
    assert listener.events == [Note(NoteTopic.RUNTIME, "wrong 1 is not used: its answers differ from torch's")]
    assert shown.runtime_name == f"torch {torch.__version__} cpu"


def test_a_runtime_that_fails_to_load_is_given_up_and_it_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(layers: object) -> Wrong:
        raise OSError("no such library")

    monkeypatch.setattr(runtimes, "_makers", lambda device, images, number_format: [("broken 2", broken)])
    listener = Listener()

    list(still(listener=listener).answers(pictures(1)))

    assert listener.events == [
        Note(NoteTopic.RUNTIME, "broken 2 is not used: it can't run these layers (no such library)")
    ]


def test_layers_are_exported_once_and_a_damaged_file_is_made_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    exports: list[int] = []
    export = runtimes._exported

    def counted(layers: nn.Module, preprocessing: Preprocessing) -> bytes:
        exports.append(1)
        return export(layers, preprocessing)

    monkeypatch.setattr(runtimes, "_exported", counted)
    still(tmp_path).prepare()
    still(tmp_path).prepare()
    both = still()
    both.prepare()
    rough(both).prepare()
    assert len(exports) == 2

    (file,) = tmp_path.glob("layers-*.onnx")
    content = bytearray(file.read_bytes())
    content[100] ^= 1
    file.write_bytes(bytes(content))
    again = still(tmp_path)
    again.prepare()

    assert len(exports) == 3
    assert np.stack(list(again.answers(pictures(2)))) == pytest.approx(as_torch_says(pictures(2)), rel=1e-4, abs=1e-5)


def test_a_full_disk_keeps_no_file_and_the_quickest_runtime_answers_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path, *parts: bytes) -> None:
        raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr(durable, "replace_file", full)
    listener = Listener()
    shown = still(tmp_path, listener=listener)
    expected = shown.runtime_name

    shown.prepare()

    assert listener.events == []
    assert shown.runtime_name == expected


def test_preparing_leaves_the_modes_of_the_layers_as_they_were() -> None:
    shown = layers()
    next(iter(shown.children())).eval()
    before = [module.training for module in shown.modules()]

    list(
        FrozenLayers(
            FrozenNetwork(shown, PREPROCESSING, None), MemoryLimits(8), images=MANY, on_event=Listener()
        ).answers(pictures(3))
    )

    assert [module.training for module in shown.modules()] == before


def test_other_numbers_make_other_layers() -> None:
    assert identity_of(layers()) == identity_of(layers())
    assert identity_of(layers()) != identity_of(layers(scale=1.001))


@pytest.mark.skipif(find_spec("openvino") is None, reason="this machine has no OpenVINO")
def test_openvino_never_loads_what_would_tell_of_its_use() -> None:
    still().prepare()

    assert sys.modules.get("openvino_telemetry") is None


class AlternateStack(ctypes.Structure):
    """``stack_t`` of Linux: where a thread's signal handlers run."""

    _fields_ = (("start", ctypes.c_void_p), ("flags", ctypes.c_int), ("size", ctypes.c_size_t))


def alternate_stack() -> range:
    """The memory in which this thread's signal handlers run."""
    found = AlternateStack()
    assert ctypes.CDLL(None).sigaltstack(None, ctypes.byref(found)) == 0
    start = found.start or 0
    return range(start, start + found.size)


def mapped() -> list[range]:
    """All memory that this process may touch."""
    lines = Path("/proc/self/maps").read_text().splitlines()
    ends = [line.split()[0].split("-") for line in lines]
    return [range(int(first, 16), int(after, 16)) for first, after in ends]


@pytest.mark.skipif(sys.platform != "linux", reason="reads what only Linux tells")
def test_signals_are_survived_after_layers_went_in_the_order_in_which_they_came() -> None:
    first, second = still(), still()
    for one in (first, second):
        one.prepare()
        rough(one).prepare()

    del first, one
    gc.collect()
    del second
    gc.collect()

    handlers_run_in = alternate_stack()
    assert not handlers_run_in or any(handlers_run_in.start in memory for memory in mapped())
