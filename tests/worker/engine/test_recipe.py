from dataclasses import replace
from pathlib import Path

import pytest
import safetensors.torch
import torch

from backend.domain.architectures import Architecture
from backend.domain.errors import AppError
from backend.domain.events import (
    EpochFinished,
    Event,
    ImageSkipped,
    PhaseStarted,
    StageStarted,
    StateSaved,
    StepFinished,
    ValidationProgress,
)
from backend.domain.ids import ImageId
from backend.domain.manifest import Manifest, ManifestImage, Split
from backend.domain.trainable import NoValidationImages, OneClassOnly
from backend.domain.training import StageRequest
from tests.fixtures.engine import (
    Listener,
    StopNow,
    digest_of,
    frozen,
    order_in,
    plain_config,
    shapes,
    tiny_config,
    tiny_registered,
    unfrozen,
)
from worker.engine.checkpoints import checkpoint
from worker.engine.checkpoints.checkpoint import read_predictions
from worker.engine.errors import (
    CheckpointUnusable,
    Diverged,
    OutOfMemory,
    TooFewImages,
    TooManyUnreadable,
)
from worker.engine.order import Stopped
from worker.engine.recipe import require_trainable, train


@pytest.mark.usefixtures("tiny")
def test_it_tells_of_the_epoch_and_its_state_side_by_side(tmp_path: Path, weights_folder: Path) -> None:
    listener = Listener()

    train(order_in(tmp_path, weights_folder, tiny_config(frozen(3))), on_event=listener)

    epochs = [place for place, event in enumerate(listener.events) if isinstance(event, EpochFinished)]
    assert len(epochs) == 3
    assert all(isinstance(listener.events[place + 1], StateSaved) for place in epochs)


@pytest.mark.usefixtures("tiny")
def test_every_step_has_its_loss_in_an_event(tmp_path: Path, weights_folder: Path) -> None:
    listener = Listener()

    train(order_in(tmp_path, weights_folder, tiny_config(frozen(2))), on_event=listener)

    # 18 images in batches of 8: 8, 8, 2.
    assert [event.steps_per_epoch for event in listener.of(StageStarted)] == [3]
    assert sum(len(event.losses) for event in listener.of(StepFinished)) == 6
    assert listener.of(StepFinished)[-1].step == 6
    assert listener.of(ValidationProgress)[-1].done == 6


@pytest.mark.usefixtures("tiny")
def test_it_learns_to_tell_shapes_apart(tmp_path: Path, weights_folder: Path) -> None:
    config = plain_config(unfrozen(20, max_lr=1e-2, train_batch_norm=True), precision="float32")
    listener = Listener()

    train(order_in(tmp_path, weights_folder, config, shapes(train=20, valid=6)), on_event=listener)

    epochs = listener.of(EpochFinished)
    assert epochs[-1].train_loss < 0.5 * epochs[0].train_loss
    assert epochs[-1].error_rate < 0.4
    assert epochs[-1].accuracy == 1 - epochs[-1].error_rate


@pytest.mark.usefixtures("tiny")
def test_the_result_names_the_best_stage(tmp_path: Path, weights_folder: Path) -> None:
    order = order_in(tmp_path, weights_folder, tiny_config(frozen(1), unfrozen(1)))

    result = train(order, on_event=Listener())

    assert [stage.folder.name for stage in result.stages] == ["stage-0", "stage-1"]
    assert result.best.error_rate == min(stage.error_rate for stage in result.stages)


@pytest.mark.usefixtures("tiny")
def test_test_images_are_answered_too(tmp_path: Path, weights_folder: Path) -> None:
    order = order_in(tmp_path, weights_folder, tiny_config(frozen(1)), shapes(test=3))

    result = train(order, on_event=Listener())

    assert read_predictions(result.best.folder, "test").probabilities.shape == (9, 3)
    assert read_predictions(result.best.folder).probabilities.shape == (6, 3)


@pytest.mark.usefixtures("tiny")
def test_six_images_with_the_usual_batch_size_are_enough(tmp_path: Path, weights_folder: Path) -> None:
    order = order_in(
        tmp_path, weights_folder, tiny_config(frozen(1), unfrozen(1), batch_size=64), shapes(train=1, valid=1)
    )

    result = train(order, on_event=Listener())

    assert len(result.stages) == 2


@pytest.mark.usefixtures("tiny")
def test_a_broken_image_is_skipped_and_reported(tmp_path: Path, weights_folder: Path) -> None:
    manifest, opened = shapes()
    broken = manifest.of(Split.TRAIN)[0]
    opened.files[broken.digest] = opened.files[broken.digest][:200]
    listener = Listener()

    train(order_in(tmp_path, weights_folder, tiny_config(frozen(2)), (manifest, opened)), on_event=listener)

    assert [event.image_id for event in listener.of(ImageSkipped)] == [broken.id]


@pytest.mark.usefixtures("tiny")
def test_too_many_broken_images_end_the_training(tmp_path: Path, weights_folder: Path) -> None:
    manifest, opened = shapes()
    for image in manifest.images[:2]:
        del opened.files[image.digest]

    with pytest.raises(TooManyUnreadable) as refusal:
        train(order_in(tmp_path, weights_folder, tiny_config(), (manifest, opened)), on_event=Listener())

    assert (refusal.value.unreadable, refusal.value.images) == (2, 24)


@pytest.mark.parametrize("stage", [frozen(2), unfrozen(2)], ids=["frozen", "unfrozen"])
def test_a_training_that_diverges_is_ended_and_saves_nothing(stage: StageRequest, tmp_path: Path) -> None:
    listener = Listener()

    with tiny_registered(tmp_path / "weights", scale=float("inf")), pytest.raises(Diverged) as refusal:
        train(order_in(tmp_path, tmp_path / "weights", tiny_config(stage)), on_event=listener)

    assert (refusal.value.stage, refusal.value.epoch) == (0, 0)
    assert listener.of(StateSaved) == []
    assert not (tmp_path / "output").exists()


@pytest.mark.usefixtures("tiny")
def test_a_given_stop_ends_it_before_anything_is_saved(tmp_path: Path, weights_folder: Path) -> None:
    order = order_in(tmp_path, weights_folder, tiny_config())

    with pytest.raises(Stopped):
        train(order, on_event=Listener(), stop=StopNow())

    assert list(order.state_folder.iterdir()) == []
    assert not order.output_folder.exists()


class StopAt:
    """A stop signal that is given by an event."""

    def __init__(self, kind: type[Event]) -> None:
        self.kind, self.given = kind, False

    def __call__(self, event: Event) -> None:
        self.given = self.given or isinstance(event, self.kind)

    def finish_requested(self) -> bool:
        """Never."""
        return False

    def requested(self) -> bool:
        return self.given


@pytest.mark.usefixtures("tiny")
@pytest.mark.parametrize("kind", [StageStarted, StepFinished, EpochFinished])
def test_it_stops_at_the_next_step_or_batch(kind: type[Event], tmp_path: Path, weights_folder: Path) -> None:
    stop = StopAt(kind)
    listener = Listener(stop)

    with pytest.raises(Stopped):
        train(order_in(tmp_path, weights_folder, tiny_config(unfrozen(3))), on_event=listener, stop=stop)

    assert len(listener.of(EpochFinished)) <= 1


@pytest.mark.usefixtures("tiny")
def test_it_starts_from_a_checkpoint(tmp_path: Path, weights_folder: Path) -> None:
    first = train(order_in(tmp_path / "first", weights_folder, tiny_config(unfrozen(2))), on_event=Listener())
    order = order_in(
        tmp_path / "second", weights_folder, tiny_config(frozen(1, max_lr=1e-9)), starts_from=first.best.folder
    )

    second = train(order, on_event=Listener())

    before = safetensors.torch.load_file(first.best.folder / "weights.safetensors")
    after = safetensors.torch.load_file(second.best.folder / "weights.safetensors")
    assert torch.equal(before["backbone.0.0.weight"], after["backbone.0.0.weight"])
    assert torch.allclose(before["head.6.weight"], after["head.6.weight"], atol=1e-6)


@pytest.mark.usefixtures("tiny")
def test_a_checkpoint_of_other_classes_lends_its_backbone_only(tmp_path: Path, weights_folder: Path) -> None:
    first = train(order_in(tmp_path / "first", weights_folder, tiny_config(unfrozen(2))), on_event=Listener())
    manifest, opened = shapes()
    two = Manifest(("circle", "cross"), tuple(image for image in manifest.images if image.label != "square"))
    order = order_in(
        tmp_path / "second", weights_folder, tiny_config(frozen(1)), (two, opened), starts_from=first.best.folder
    )

    second = train(order, on_event=Listener())

    before = safetensors.torch.load_file(first.best.folder / "weights.safetensors")
    after = safetensors.torch.load_file(second.best.folder / "weights.safetensors")
    assert torch.equal(before["backbone.1.0.weight"], after["backbone.1.0.weight"])
    assert after["head.6.weight"].shape == (2, 512)


def test_a_checkpoint_of_another_architecture_is_refused(
    tiny: Architecture, tmp_path: Path, weights_folder: Path
) -> None:
    first = train(order_in(tmp_path / "first", weights_folder, tiny_config(frozen(1))), on_event=Listener())
    other = tiny_config(frozen(1)).model_copy(update={"architecture": "efficientnet-lite0"})

    with pytest.raises(CheckpointUnusable):
        train(order_in(tmp_path / "second", weights_folder, other, starts_from=first.best.folder), on_event=Listener())


def picture(label: str, split: Split, number: int) -> ManifestImage:
    return ManifestImage(ImageId(str(number)), digest_of(str(number)), "a.png", label, split)


CAT, DOG = picture("cat", Split.TRAIN, 1), picture("dog", Split.TRAIN, 2)


@pytest.mark.parametrize(
    ("manifest", "error"),
    [
        (Manifest((), ()), OneClassOnly),
        (Manifest(("cat",), (CAT,)), OneClassOnly),
        (Manifest(("cat", "dog"), (CAT, picture("dog", Split.VALID, 3))), TooFewImages),
        (Manifest(("cat", "dog"), (picture("dog", Split.VALID, 3),)), TooFewImages),
        (Manifest(("cat", "dog"), (CAT, DOG)), NoValidationImages),
    ],
)
def test_it_refuses_what_cannot_be_trained_on(manifest: Manifest, error: type[AppError]) -> None:
    with pytest.raises(error):
        require_trainable(manifest)


@pytest.mark.usefixtures("tiny")
def test_it_refuses_a_split_that_is_unreadable_as_a_whole(tmp_path: Path, weights_folder: Path) -> None:
    manifest, opened = shapes(train=10, valid=0)
    only = replace(manifest.images[0], split=Split.VALID)
    manifest = Manifest(manifest.classes, (only, *manifest.images[1:]))
    del opened.files[only.digest]

    with pytest.raises(NoValidationImages):
        train(order_in(tmp_path, weights_folder, tiny_config(), (manifest, opened)), on_event=Listener())


@pytest.mark.usefixtures("tiny")
@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory"),
        MemoryError(),
        RuntimeError("DefaultCPUAllocator: can't allocate memory"),
    ],
    ids=["gpu", "python", "processor"],
)
def test_too_little_memory_is_asked_with_a_smaller_batch_size(
    error: Exception, tmp_path: Path, weights_folder: Path
) -> None:
    def at(event: Event) -> None:
        if isinstance(event, StageStarted):
            raise error

    with pytest.raises(OutOfMemory) as refusal:
        train(order_in(tmp_path, weights_folder, tiny_config()), on_event=Listener(at))

    assert (refusal.value.batch_size, refusal.value.suggestion) == (8, 4)


@pytest.mark.usefixtures("tiny")
def test_another_runtime_error_is_left_as_it_is(tmp_path: Path, weights_folder: Path) -> None:
    def at(event: Event) -> None:
        if isinstance(event, StageStarted):
            raise RuntimeError("a bug")

    with pytest.raises(RuntimeError, match="a bug"):
        train(order_in(tmp_path, weights_folder, tiny_config()), on_event=Listener(at))


@pytest.mark.usefixtures("tiny")
def test_a_loader_that_dies_of_a_stop_counts_as_stopped(tmp_path: Path, weights_folder: Path) -> None:
    stop = StopAt(StageStarted)

    def at(event: Event) -> None:
        stop(event)
        if isinstance(event, StageStarted):
            raise RuntimeError("DataLoader worker (pid 1) is killed by signal: Terminated")

    with pytest.raises(Stopped):
        train(order_in(tmp_path, weights_folder, tiny_config()), on_event=Listener(at), stop=stop)


@pytest.mark.usefixtures("tiny")
def test_many_loader_processes_see_what_none_would(
    tmp_path: Path, weights_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tiny_config(unfrozen(2))
    train(order_in(tmp_path / "none", weights_folder, config), on_event=Listener())
    monkeypatch.setattr("worker.engine.data.batches.loader_processes", lambda images, epochs, most=4: 2)

    train(order_in(tmp_path / "two", weights_folder, config), on_event=Listener())

    weights = "output/stage-0/weights.safetensors"
    assert (tmp_path / "two" / weights).read_bytes() == (tmp_path / "none" / weights).read_bytes()


def test_a_stage_may_look_at_smaller_images_and_its_checkpoint_reports_it(
    tmp_path: Path, weights_folder: Path, tiny: Architecture
) -> None:
    listener = Listener()
    config = plain_config(frozen(1, train_batch_norm=False, image_size=64), unfrozen(1))
    order = order_in(tmp_path, weights_folder, config)

    train(order, on_event=listener)

    sizes = [
        (content["preprocessing"]["size"], content["preprocessing"]["resize_to"])
        for content in (checkpoint.read(order.output_folder / f"stage-{number}").content for number in (0, 1))
    ]
    assert sizes == [(64, 73), (32, 37)]
    assert [event.text for event in listener.of(PhaseStarted) if event.phase == "data"] == ["Reading 24 images"] * 2
    assert list(order.state_folder.glob("*.cache")) == []
