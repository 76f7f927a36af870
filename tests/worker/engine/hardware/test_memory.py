"""Too little memory: smaller parts, the same batch."""

import copy
import gc
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from backend.domain.events import EpochFinished, MicroBatchHalved, Note, StageFinished, StepFinished
from backend.domain.training import StageRequest, TrainingRequest, resolve
from tests.fixtures.engine import Listener, build_tiny, frozen, order_in, tiny_config, unfrozen
from worker.engine.checkpoints import export as exporting
from worker.engine.checkpoints.metadata import Parity
from worker.engine.errors import MemoryHolder, OutOfMemory
from worker.engine.hardware import memory
from worker.engine.hardware.memory import (
    MemoryLimits,
    PartialUpdate,
    is_out_of_memory,
    others_hold,
    refused_from_the_start,
)
from worker.engine.loop.run import Batches, StageRun
from worker.engine.loop.step import gradients
from worker.engine.loop.train import train_one_epoch
from worker.engine.network.architectures import Classifier, build_head
from worker.engine.network.optim import build_optimizer, set_learning
from worker.engine.order import NeverStop
from worker.engine.recipe import train


class Small:
    """A network's forward pass on a device whose memory ends beyond so many images."""

    def __init__(self, forward: Callable[[Tensor], Tensor], images: int, times: int = 10**9) -> None:
        self.forward, self.images, self.times = forward, images, times
        self.sizes: list[int] = []

    def __call__(self, inputs: Tensor) -> Tensor:
        if len(inputs) > self.images and self.times:
            self.times -= 1
            raise torch.OutOfMemoryError("CUDA out of memory")
        self.sizes.append(len(inputs))
        return self.forward(inputs)


class Once:
    """Batches of one epoch, given."""

    def __init__(self, batches: list[tuple[Tensor, Tensor]]) -> None:
        self.batches = batches

    def of(self, epoch: int, first_step: int = 0) -> Iterator[tuple[Tensor, Tensor]]:
        return iter(self.batches[first_step:])


def without_batch_norm() -> Classifier:
    """A network of convolutions and a head whose answer to an image doesn't depend on the others."""
    torch.manual_seed(1)
    backbone = nn.Sequential(nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU()), nn.Sequential(nn.Conv2d(8, 8, 3)))
    model = Classifier(backbone, build_head(8, 3, last_layer_bias=True, seed=1))
    model.head = nn.Sequential(nn.Flatten(), nn.Linear(16, 3))
    return model


def with_batch_norm() -> Classifier:
    torch.manual_seed(1)
    return Classifier(build_tiny(None), build_head(8, 3, last_layer_bias=True, seed=1))


def run_of(model: Classifier, *sizes: int, images: int = 10**9, on_event: Listener | None = None) -> StageRun:
    """One epoch with batches of these sizes on a device with room for so many images."""
    config = resolve(TrainingRequest(stages=(StageRequest(freeze=False, epochs=1, max_lr=1e-2),)))
    stage = config.stages[0]
    set_learning(model, stage)
    generator = torch.Generator().manual_seed(5)
    batches = [(torch.randn(size, 3, 16, 16, generator=generator), torch.arange(size) % 3) for size in sizes]
    return StageRun(
        number=0,
        stage=stage,
        model=model,
        forward=Small(model, images),
        batches=Once(batches),
        optimizer=build_optimizer(model, stage, config),
        steps_per_epoch=len(sizes),
        device=torch.device("cpu"),
        autocast=None,
        scaler=torch.amp.GradScaler("cpu", enabled=False),
        limits=MemoryLimits(max(sizes), on_event=on_event or Listener()),
    )


def gradients_of(run: StageRun) -> list[Tensor]:
    ((inputs, targets),) = run.batches.of(0)
    gradients(run, inputs, targets)
    return [parameter.grad for parameter in run.model.parameters() if parameter.grad is not None]


@pytest.mark.parametrize("micro_batch", [8, 5, 1])
def test_the_gradients_of_parts_add_up_to_those_of_the_whole(micro_batch: int) -> None:
    whole, parts = run_of(without_batch_norm(), 64), run_of(without_batch_norm(), 64)
    parts.limits.micro_batch = micro_batch

    pairs = list(zip(gradients_of(whole), gradients_of(parts), strict=True))

    assert len(pairs) == 6
    assert max(float((one - other).abs().max()) for one, other in pairs) < 1e-5


def test_the_batch_is_halved_until_it_fits_and_stays_so() -> None:
    listener = Listener()
    run = run_of(without_batch_norm(), 64, 64, 10, images=16, on_event=listener)

    train_one_epoch(run, on_event=Listener(), stop=NeverStop())

    assert [(event.micro_batch, event.batch_size) for event in listener.of(MicroBatchHalved)] == [(32, 64), (16, 64)]
    assert [event.text for event in listener.of(Note)] == [
        "Memory ran out with 64 images at once; now 32 at a time. The effective batch size stays 64.",
        "Memory ran out with 32 images at once; now 16 at a time. The effective batch size stays 64.",
    ]
    assert run.forward.sizes == [16] * 4 + [16] * 4 + [10]  # type: ignore[attr-defined] # a Small


@pytest.mark.parametrize("failing", [0, 3, 6])
def test_at_whichever_step_it_happens_the_same_images_are_learnt_from(failing: int) -> None:
    """First, in the middle, and the last short batch."""
    run = run_of(without_batch_norm(), 8, 8, 8, 8, 8, 8, 6)
    small = Small(run.model, 4, times=0)
    steps = iter(range(7))
    real = run.batches.of

    class Until(Once):
        def of(self, epoch: int, first_step: int = 0) -> Iterator[tuple[Tensor, Tensor]]:
            for batch in real(epoch, first_step):
                small.times = 10**9 if next(steps) == failing else 0
                yield batch

    broken = _replaced(run, small, Until([]))
    train_one_epoch(broken, on_event=(reported := Listener()), stop=NeverStop())

    assert sum(small.sizes) == 54
    assert small.sizes[:failing] == [8] * failing
    assert max(small.sizes[failing:]) <= 4
    assert sum(len(event.losses) for event in reported.of(StepFinished)) == 7


def _replaced(run: StageRun, forward: Callable[[Tensor], Tensor], batches: Batches) -> StageRun:
    from dataclasses import replace

    return replace(run, forward=forward, batches=batches)


def test_a_step_that_was_tried_twice_draws_the_same_dropout_and_counts_once_for_batch_norm() -> None:
    """The memory ends once, after the whole forward pass; the second try is forced to be whole again."""
    calm, shaken = run_of(with_batch_norm(), 8), run_of(with_batch_norm(), 8)
    failures = iter([True])

    def forward(inputs: Tensor) -> Tensor:
        answers: Tensor = shaken.model(inputs)
        if next(failures, False):
            raise MemoryError
        shaken.limits.micro_batch = 8
        return answers

    class Same(MemoryLimits):
        def parts(self, images: int, fewest: int) -> int:
            return 1

    again = _replaced(shaken, forward, shaken.batches)
    again.limits = Same(8)
    for run in (calm, again):
        run.model.train()
        torch.manual_seed(3)
        gradients_of(run)

    for one, other in zip(calm.model.parameters(), shaken.model.parameters(), strict=True):
        assert one.grad is not None
        assert other.grad is not None
        assert torch.equal(one.grad, other.grad)
    for kept, other_kept in zip(calm.model.buffers(), shaken.model.buffers(), strict=True):
        assert torch.equal(kept, other_kept)


def test_at_a_single_image_it_gives_up_with_what_is_free_and_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "memory_of", lambda device: (400_000_000, 7_800_000_000, 0))
    run = run_of(without_batch_norm(), 4, images=0)

    with pytest.raises(OutOfMemory) as refusal:
        train_one_epoch(run, on_event=Listener(), stop=NeverStop())

    assert refusal.value.message == "The memory is too small for a single image: 0.4 of 7.8 GB are free on cpu."
    assert refusal.value.advice == "Start again with smaller images or a smaller architecture."


def test_batch_norm_that_learns_wants_two_images_at_once() -> None:
    listener = Listener()
    run = run_of(with_batch_norm(), 8, images=2, on_event=listener)
    run.model.train()

    train_one_epoch(run, on_event=Listener(), stop=NeverStop())

    assert run.min_micro_batch == 2
    assert run.forward.sizes == [2, 2, 2, 2]  # type: ignore[attr-defined] # a Small
    # Not 2, 2, 2, 2 and 1: an odd batch has one part with an image more.
    assert run.limits.parts(9, 2) == 4
    assert "Batch norm now sees only 2 images at a time" in listener.of(Note)[-1].text


def test_fifty_failures_in_a_row_keep_no_memory() -> None:
    model = without_batch_norm()
    kept: list[int] = []

    def forward(inputs: Tensor) -> Tensor:
        answers = model(inputs)
        kept.append(sum(type(thing) is Tensor for thing in gc.get_objects()))
        raise torch.OutOfMemoryError("CUDA out of memory") if len(kept) <= 50 else Enough(answers)

    class Enough(Exception):
        pass

    class Endless(MemoryLimits):
        def halve(self, images: int, fewest: int) -> None:
            self._free(images, 0)

    run = _replaced(run_of(model, 4), forward, Once([]))
    run.limits = Endless(4)
    # What is there from other tests can't be garbage of this one, and takes long to look through.
    gc.freeze()
    try:
        with pytest.raises(Enough):
            gradients(run, torch.zeros(4, 3, 16, 16), torch.zeros(4, dtype=torch.int64))
    finally:
        gc.unfreeze()

    assert len(kept) == 51
    assert kept[1] == kept[50]


def test_a_step_torn_by_too_little_memory_is_asked_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    run = run_of(without_batch_norm(), 4)

    def step(*_: object) -> None:
        raise MemoryError

    monkeypatch.setattr(run.optimizer, "step", step)

    with pytest.raises(PartialUpdate):
        train_one_epoch(run, on_event=Listener(), stop=NeverStop())


@pytest.mark.usefixtures("tiny")
@pytest.mark.parametrize("stage", [frozen(2), unfrozen(2)], ids=["frozen", "unfrozen"])
def test_a_torn_step_goes_back_and_trains_on_with_less(
    stage: StageRequest, tmp_path: Path, weights_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, calls = torch.optim.AdamW.step, iter(range(100))

    def step(self: torch.optim.AdamW, *given: object) -> object:
        answer = real(self, *given)
        if next(calls) == 4:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return answer

    monkeypatch.setattr(torch.optim.AdamW, "step", step)
    listener = Listener()

    train(order_in(tmp_path, weights_folder, tiny_config(stage)), on_event=listener)

    assert [event.epoch for event in listener.of(EpochFinished)] == [0, 1]
    assert [event.micro_batch for event in listener.of(MicroBatchHalved)] == [4]


@pytest.mark.usefixtures("tiny")
def test_validation_asks_fewer_images_at_once(
    tmp_path: Path, weights_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Classifier.forward

    def forward(self: Classifier, images: Tensor) -> Tensor:
        if not self.training and not torch.onnx.is_in_onnx_export() and len(images) > 3:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return real(self, images)

    config = tiny_config(unfrozen(1))
    calm, tight = (order_in(tmp_path / name, weights_folder, config) for name in ("calm", "tight"))
    listeners = Listener(), Listener()
    train(calm, on_event=listeners[0])
    monkeypatch.setattr(Classifier, "forward", forward)

    train(tight, on_event=listeners[1])

    (one,), (other,) = (listener.of(EpochFinished) for listener in listeners)
    assert other.valid_loss == pytest.approx(one.valid_loss, abs=1e-6)
    assert "Memory ran out while evaluating 6 images at once; now 3 at a time." in [
        event.text for event in listeners[1].of(Note)
    ]


@pytest.mark.usefixtures("tiny")
def test_the_export_compares_on_fewer_images(
    tmp_path: Path, weights_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = exporting._compare

    def compare(content: bytes, model: Classifier, preprocessing: object, pixels: Tensor) -> Parity:
        if len(pixels) > 3:
            raise MemoryError
        return real(content, copy.deepcopy(model), preprocessing, pixels)  # type: ignore[arg-type]

    monkeypatch.setattr(exporting, "_compare", compare)
    listener = Listener()

    train(order_in(tmp_path, weights_folder, tiny_config(frozen(1))), on_event=listener)

    assert [event.parity_images for event in listener.of(StageFinished)] == [3]


@pytest.mark.parametrize(
    ("error", "is_memory"),
    [
        (torch.OutOfMemoryError("CUDA out of memory"), True),
        (RuntimeError("CUDA error: out of memory"), True),
        (MemoryError(), True),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory"), True),
        (RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED"), True),
        (RuntimeError("CUDA error: device-side assert triggered"), False),
        (ValueError("can't allocate memory"), False),
    ],
)
def test_it_knows_errors_of_memory(error: Exception, is_memory: bool) -> None:
    assert is_out_of_memory(error) is is_memory


@pytest.mark.parametrize(
    ("free", "own", "others"),
    [(200, 100, True), (200, 7_000, False), (7_000, 500, False), (200, 0, False)],
)
def test_a_gpu_that_others_fill_is_not_blamed_on_the_batch(free: int, own: int, others: bool) -> None:
    assert others_hold(free, 7_800, own) is others


def test_it_gives_up_at_once_where_others_hold_the_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "memory_of", lambda device: (100_000_000, 8_000_000_000, 200_000_000))
    run = run_of(without_batch_norm(), 64, images=0)

    with pytest.raises(OutOfMemory) as refusal:
        train_one_epoch(run, on_event=Listener(), stop=NeverStop())

    assert refusal.value.message == "The memory is too small for 64 images at a time: 0.1 of 8.0 GB are free on cpu."
    assert run.limits.micro_batch == 64


OLLAMA = MemoryHolder(77, 7_300, "ollama")


@pytest.fixture
def full_card(monkeypatch: pytest.MonkeyPatch) -> torch.device:
    """A GPU of 8 GB of which another program has taken nearly all before we hold anything."""
    monkeypatch.setattr(memory, "memory_of", lambda device: (100_000_000, 8_000_000_000, 0))
    monkeypatch.setattr(memory, "holders_of", lambda device: (OLLAMA,))
    return torch.device("cuda:0")


def test_g03_a_gpu_that_is_full_from_the_start_is_said_to_be_so_and_by_whom(full_card: torch.device) -> None:
    refusal = refused_from_the_start(64, full_card)

    assert refusal.message == (
        "The memory is too small for 64 images at a time: 0.1 of 8.0 GB are free on cuda:0. "
        "Of the rest, ollama (process 77) holds 7,300 MiB."
    )
    assert refusal.advice == (
        "End other programs that use this graphics card, or train on another device, then start again."
    )
    assert refusal.details["holders"] == [{"pid": 77, "mebibytes": 7300, "name": "ollama"}]


def test_g03_where_not_even_the_driver_finds_room_others_are_named_all_the_same(
    full_card: torch.device, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_room(device: torch.device) -> tuple[int, int, int]:
        raise RuntimeError("CUDA error: out of memory")

    monkeypatch.setattr(memory, "memory_of", no_room)

    refusal = refused_from_the_start(64, full_card)

    assert refusal.message == (
        "The memory is too small for 64 images at a time. Of the rest, ollama (process 77) holds 7,300 MiB."
    )
    assert refusal.is_others


@pytest.mark.parametrize(
    ("free", "own", "named", "blamed"),
    [
        (100, 7_800, False, False),  # all of it is ours
        (100, 6_900, True, False),  # a desktop beside us
        (100, 3_900, True, True),  # somebody else's training
    ],
)
def test_others_are_named_where_they_matter_and_blamed_where_they_hold_half(
    full_card: torch.device, monkeypatch: pytest.MonkeyPatch, free: int, own: int, named: bool, blamed: bool
) -> None:
    monkeypatch.setattr(memory, "memory_of", lambda device: (free, 8_000, own))

    refusal = refused_from_the_start(64, full_card)

    assert (refusal.holders != (), refusal.is_others) == (named, blamed)
    assert ("batch size 32" in refusal.advice) is not blamed


def test_on_a_processor_nobody_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "holders_of", None)

    assert refused_from_the_start(64, torch.device("cpu")).message == "The memory is too small for 64 images at a time."
