"""The recipe of a training, from an order to checkpoints."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from backend.domain.architectures import ARCHITECTURES
from backend.domain.events import (
    EpochFinished,
    ImageSkipped,
    OnEvent,
    PhaseProgress,
    PhaseStarted,
    StageFinished,
    StageStarted,
    StateSaved,
    ValidationProgress,
)
from backend.domain.ids import Digest
from backend.domain.manifest import Manifest, Split
from backend.domain.results import Evaluation
from backend.domain.training import Stage
from backend.imaging.preprocessing import Preprocessing
from worker.engine import architectures, checkpoint, devices, evaluation, features, state, weights
from worker.engine.architectures import Classifier
from worker.engine.data import (
    ImageBatches,
    ImageSource,
    LabelledImages,
    Unreadable,
    Views,
    preprocessing_of,
    steps_per_epoch,
)
from worker.engine.durable import remove_partials, sha256
from worker.engine.errors import (
    CheckpointUnusable,
    NoValidationImages,
    OneClassOnly,
    OutOfMemory,
    TooFewImages,
    TooManyUnreadable,
)
from worker.engine.export import PARITY_IMAGES, export
from worker.engine.loop import StageRun, diverged, train_one_epoch
from worker.engine.optim import build_optimizer, set_learning
from worker.engine.order import NeverStop, StageResult, StatePoint, Stopped, StopSignal, TrainingOrder, TrainingResult
from worker.engine.pace import Pace
from worker.engine.state import State

UNREADABLE_SHARE = 0.05
"""Share of the images that may turn out unreadable before a training gives up; one always may."""


def train(order: TrainingOrder, *, on_event: OnEvent, stop: StopSignal | None = None) -> TrainingResult:
    """Train as ordered, stage by stage, and say what was left behind.

    After every epoch a state is saved, after every stage a checkpoint. Given
    states to resume from, it goes on from the newest good one; on a processor
    the result is then the same, bit for bit, as without the interruption.

    Raises:
        Stopped: the stop signal was given.
        AppError: the training can't be done or went wrong; see ``worker.engine.errors``.
    """
    stop = stop or NeverStop()
    require_trainable(order.manifest)
    device = devices.choose(order.device)
    devices.make_repeatable(device)
    remove_partials(order.output_folder)
    remove_partials(order.state_folder)
    with _memory_errors_named(order.config.batch_size), _loader_deaths_understood(stop):
        resumed = _newest_state(order, on_event)
        model = devices.place(_first_model(order, resumed, on_event, stop), device)
        with _prepared_images(order, on_event, stop) as images:
            training = _Training(order, device, model, images, on_event, stop, saved=list(order.resume_from[::-1]))
            first = resumed.stage if resumed else 0
            results = [_finished_before(order.output_folder, number) for number in range(first)]
            for number in range(first, len(order.config.stages)):
                results.append(_run_stage(training, number, resumed))
                resumed = None
    return TrainingResult(tuple(result for result in results if result is not None))


def require_trainable(manifest: Manifest) -> None:
    """Refuse what can't be trained on.

    Raises:
        OneClassOnly, TooFewImages, NoValidationImages
    """
    if len(manifest.classes) < 2:
        raise OneClassOnly(manifest.classes)
    _require_enough(len(manifest.of(Split.TRAIN)), len(manifest.of(Split.VALID)))


def _require_enough(train_images: int, valid_images: int) -> None:
    if train_images < 2:
        raise TooFewImages(train_images)
    if valid_images < 1:
        raise NoValidationImages


def _newest_state(order: TrainingOrder, on_event: OnEvent) -> State | None:
    resumed, passed_over = state.newest(
        order.state_folder, order.resume_from, state.order_hash(order.config, order.manifest)
    )
    for point, reason in passed_over:
        where = f"epoch {point.epoch} of stage {point.stage + 1}"
        onto = "going back to the one before" if resumed else "starting from the beginning"
        on_event(PhaseStarted("resume", f"The saved state after {where} can't be used ({reason}); {onto}"))
    return resumed


def _first_model(order: TrainingOrder, resumed: State | None, on_event: OnEvent, stop: StopSignal) -> Classifier:
    """The network as it is before the first step: resumed, from a checkpoint, or pretrained."""
    config = order.config
    build = partial(
        architectures.build,
        config.architecture,
        len(order.manifest.classes),
        last_layer_bias=config.last_layer_bias,
        seed=config.seed,
    )
    if resumed is not None:
        model = build()
        model.load_state_dict(resumed.model_tensors())
        return model
    if order.starts_from is not None:
        model = build()
        _start_from(model, checkpoint.read(order.starts_from), order)
        return model
    architecture = ARCHITECTURES[config.architecture]
    on_event(PhaseStarted("weights", f"Reading the pretrained weights of {architecture.title}"))
    pretrained = weights.load(
        architecture,
        weights.weights_named(architecture, config.weights),
        order.weights_folder,
        on_event=on_event,
        stop=stop,
        url_base=order.weights_url_base,
    )
    return build(pretrained=pretrained)


def _start_from(model: Classifier, start: checkpoint.Checkpoint, order: TrainingOrder) -> None:
    """Load a checkpoint's backbone, and its head too where the answers mean the same."""
    name = str(order.starts_from)
    if start.content["architecture"] != order.config.architecture:
        raise CheckpointUnusable(name, f"it is a {start.content['architecture']}, not a {order.config.architecture}")
    same_head = (
        start.classes == order.manifest.classes
        and start.content["head"]["last_layer_bias"] == order.config.last_layer_bias
    )
    kept = {name: tensor for name, tensor in start.weights.items() if same_head or not name.startswith("head.")}
    model.load_state_dict(kept, strict=same_head)


@dataclass(frozen=True, slots=True)
class _Images:
    """The readable images of each split, and where their pixels come from."""

    source: ImageSource
    train: LabelledImages
    valid: LabelledImages
    test: LabelledImages
    skip: Callable[[list[Unreadable]], None]


@contextmanager
def _prepared_images(order: TrainingOrder, on_event: OnEvent, stop: StopSignal) -> Iterator[_Images]:
    """Decode and resize every image once, into a cache that lives as long as the block."""
    images = order.manifest.images
    skipped = _Skipped(len(images), on_event)
    source = ImageSource(order.open_bytes, preprocessing_of(order.config, ARCHITECTURES[order.config.architecture]))
    on_event(PhaseStarted("data", f"Reading {len(images)} images"))
    pace = Pace()
    try:
        for done, unreadable in source.fill_cache(images, order.state_folder):
            if stop.requested():
                raise Stopped
            skipped.add(unreadable)
            if pace.due() or done == len(images):
                on_event(PhaseProgress("data", done, len(images)))
        train, valid, test = (
            LabelledImages.of(order.manifest, split, without=skipped.digests)
            for split in (Split.TRAIN, Split.VALID, Split.TEST)
        )
        _require_enough(len(train), len(valid))
        yield _Images(source, train, valid, test, skipped.add)
    finally:
        source.close()


class _Skipped:
    """Tells of each unreadable image once, and gives up when they are too many."""

    def __init__(self, images: int, on_event: OnEvent) -> None:
        self._images, self._on_event = images, on_event
        self.digests: set[Digest] = set()

    def add(self, unreadable: list[Unreadable]) -> None:
        for one in unreadable:
            if one.image.digest in self.digests:
                continue
            self.digests.add(one.image.digest)
            self._on_event(ImageSkipped(one.image.id, one.image.path, one.reason))
            if len(self.digests) > max(1, UNREADABLE_SHARE * self._images):
                raise TooManyUnreadable(len(self.digests), self._images, one.image.path, one.reason)


@dataclass(frozen=True, slots=True)
class _Training:
    """What all stages of a training share; ``saved`` grows with every epoch."""

    order: TrainingOrder
    device: torch.device
    model: Classifier
    images: _Images
    on_event: OnEvent
    stop: StopSignal
    saved: list[StatePoint]

    @property
    def preprocessing(self) -> Preprocessing:
        return self.images.source.preprocessing

    def watch(self, report: Callable[[int], None], total: int) -> evaluation.OnBatch:
        """A listener for batches that looks at the stop signal and passes progress on in measure."""
        pace = Pace()

        def on_batch(done: int, unreadable: list[Unreadable]) -> None:
            if self.stop.requested():
                raise Stopped
            self.images.skip(unreadable)
            if pace.due() or done == total:
                report(done)

        return on_batch


def _run_stage(training: _Training, number: int, resumed: State | None) -> StageResult:
    stage = training.order.config.stages[number]
    set_learning(training.model, stage)
    run, valid = _begin_stage(training, number, stage)
    first_epoch = 0
    if resumed is not None:
        resumed.restore(run)
        first_epoch = resumed.epoch + 1
    training.on_event(
        StageStarted(number, stage.freeze, stage.epochs, first_epoch, run.steps_per_epoch, str(training.device))
    )
    latest = None
    for epoch in range(first_epoch, stage.epochs):
        latest = _run_epoch(training, run, valid, epoch)
    return _finish_stage(training, run, latest or _validate(training, run, valid, stage.epochs - 1))


def _begin_stage(training: _Training, number: int, stage: Stage) -> tuple[StageRun, evaluation.Answers]:
    """The stage's run, and how its validation images are answered."""
    config, model, device, images = training.order.config, training.model, training.device, training.images
    views = Views(images.source, images.train, augmentation=config.augmentation, seed=config.seed, stage=number)
    plain = Views(images.source, images.valid)
    width = ARCHITECTURES[config.architecture].features
    run = partial(
        StageRun,
        number=number,
        stage=stage,
        model=model,
        optimizer=build_optimizer(model, stage, config),
        steps_per_epoch=steps_per_epoch(len(images.train), config.batch_size),
        device=device,
    )
    if stage.backbone_stands_still and features.fit_into_memory(len(images.train) + len(images.valid), width):
        compute = partial(_compute_features, training)
        batches = features.FeatureBatches(
            images.train, partial(compute, views), config.batch_size, seed=config.seed, stage=number
        )
        # The head alone is small: lower precision would gain nothing.
        still = run(
            forward=model.head, batches=batches, autocast=None, scaler=torch.amp.GradScaler(device.type, enabled=False)
        )
        return still, evaluation.from_features(compute(plain, 0))
    autocast = devices.autocast_type(config.precision, device)
    moving = run(
        forward=model,
        batches=ImageBatches(
            views, epochs=stage.epochs, batch_size=config.batch_size, device=device, on_unreadable=images.skip
        ),
        autocast=autocast,
        scaler=torch.amp.GradScaler(device.type, enabled=autocast is torch.float16),
    )
    return moving, evaluation.from_images(plain, training.preprocessing, device)


def _compute_features(training: _Training, views: Views, view: int) -> features.Features:
    total = len(views.labelled)
    training.on_event(PhaseStarted("features", f"Showing {total} images to the frozen network"))
    return features.compute(
        training.model,
        views,
        training.preprocessing,
        view=view,
        device=training.device,
        on_batch=training.watch(lambda done: training.on_event(PhaseProgress("features", done, total)), total),
    )


def _run_epoch(training: _Training, run: StageRun, valid: evaluation.Answers, epoch: int) -> Evaluation:
    """Train and validate for one epoch, and save the state after it."""
    begun = time.monotonic()
    # Each epoch begins its own random numbers: a resumed run draws the same ones.
    torch.manual_seed(_seed_of(training.order.config.seed, run.number, epoch))
    learning_rate = train_one_epoch(run, epoch, on_event=training.on_event, stop=training.stop)
    if not state.is_finite(run):
        raise diverged(run, epoch)
    answered = _validate(training, run, valid, epoch)
    error_rate = answered.errors / len(answered.targets)
    finished = EpochFinished(
        stage=run.number,
        epoch=epoch,
        train_loss=run.loss.value,
        valid_loss=float(answered.losses.mean()),
        error_rate=error_rate,
        accuracy=1 - error_rate,
        learning_rate=learning_rate,
        duration_s=time.monotonic() - begun,
    )
    _save_state(training, run, finished)
    return answered


def _seed_of(*parts: int) -> int:
    return int(np.random.SeedSequence(parts).generate_state(1, np.uint64)[0] >> np.uint64(1))


def _validate(training: _Training, run: StageRun, valid: evaluation.Answers, epoch: int) -> Evaluation:
    total = len(training.images.valid)
    watch = training.watch(lambda done: training.on_event(ValidationProgress(run.number, epoch, done, total)), total)
    answered = evaluation.evaluate(
        run.model, valid, training.images.valid, training.order.manifest.classes, on_batch=watch
    )
    if not np.isfinite(answered.probabilities).all():
        raise diverged(run, epoch)
    return answered


def _save_state(training: _Training, run: StageRun, finished: EpochFinished) -> None:
    order = training.order
    point, size_bytes = state.save(
        order.state_folder, run, finished.epoch, state.order_hash(order.config, order.manifest)
    )
    # Side by side: the listener stores both in one transaction.
    training.on_event(finished)
    training.on_event(StateSaved(point.stage, point.epoch, point.step, point.file, point.sha256, size_bytes))
    training.saved.append(point)
    # Only now that the listener knows the new state may older ones go.
    state.remove_others(order.state_folder, training.saved[-state.KEPT :])


def _finish_stage(training: _Training, run: StageRun, answered: Evaluation) -> StageResult:
    """Write the stage's checkpoint, unless it is there already from before an interruption."""
    folder = training.order.output_folder / f"stage-{run.number}"
    content = checkpoint.weights_of(run.model)
    if not _holds(folder, sha256(content)):
        _write_checkpoint(training, run, answered, folder, content)
    return _announce(training, run, folder, len(content))


def _holds(folder: Path, weights_sha256: str) -> bool:
    try:
        return bool(checkpoint.read(folder).content["weights_sha256"] == weights_sha256)
    except CheckpointUnusable:
        return False


def _write_checkpoint(training: _Training, run: StageRun, answered: Evaluation, folder: Path, content: bytes) -> None:
    evaluations = {"valid": answered}
    if len(training.images.test):
        evaluations["test"] = _test(training, run.model)
    training.on_event(PhaseStarted("export", "Exporting the model and checking that it answers the same"))
    checkpoint.write(
        folder,
        content,
        config=training.order.config,
        stage=run.number,
        preprocessing=training.preprocessing,
        evaluations=evaluations,
        features=ARCHITECTURES[training.order.config.architecture].features,
        export=export(run.model, training.preprocessing, answered.classes, _real_pixels(training)),
    )


def _test(training: _Training, model: Classifier) -> Evaluation:
    images, total = training.images, len(training.images.test)
    training.on_event(PhaseStarted("evaluation", f"Asking the model about {total} test images"))
    answers = evaluation.from_images(Views(images.source, images.test), training.preprocessing, training.device)
    watch = training.watch(lambda done: training.on_event(PhaseProgress("evaluation", done, total)), total)
    return evaluation.evaluate(model, answers, images.test, training.order.manifest.classes, on_batch=watch)


def _real_pixels(training: _Training) -> Tensor:
    """(N, H, W, 3) uint8: up to 64 validation images, spread evenly."""
    views = Views(training.images.source, training.images.valid)
    total = len(training.images.valid)
    places = np.linspace(0, total - 1, min(PARITY_IMAGES, total)).round().astype(int)
    seen = [views[0, int(place)][2] for place in places]
    return torch.from_numpy(np.stack([pixels for pixels in seen if not isinstance(pixels, Unreadable)]))


def _announce(training: _Training, run: StageRun, folder: Path, size_bytes: int) -> StageResult:
    written = checkpoint.read(folder)
    metrics = written.content["metrics"]["valid"]
    training.on_event(
        StageFinished(
            stage=run.number,
            epoch=run.stage.epochs - 1,
            folder=folder.name,
            sha256=written.content["weights_sha256"],
            size_bytes=size_bytes,
            valid_loss=metrics["loss"],
            error_rate=metrics["error_rate"],
            parity_max_difference=written.parity.max_difference,
            parity_agreement=written.parity.agreement,
            parity_images=written.parity.images,
        )
    )
    return StageResult(run.number, folder, metrics["loss"], metrics["error_rate"])


def _finished_before(output_folder: Path, number: int) -> StageResult | None:
    """What a stage before an interruption left; None where its folder is on another machine."""
    folder = output_folder / f"stage-{number}"
    try:
        metrics = checkpoint.read(folder).content["metrics"]["valid"]
    except CheckpointUnusable:
        return None
    return StageResult(number, folder, metrics["loss"], metrics["error_rate"])


@contextmanager
def _memory_errors_named(batch_size: int) -> Iterator[None]:
    try:
        yield
    except (torch.OutOfMemoryError, MemoryError) as error:
        raise OutOfMemory(batch_size) from error
    except RuntimeError as error:
        # The processor's allocator has no error type of its own.
        if "can't allocate memory" in str(error):
            raise OutOfMemory(batch_size) from error
        raise


@contextmanager
def _loader_deaths_understood(stop: StopSignal) -> Iterator[None]:
    """A stop sent to the whole process group may end a loader process before this one has seen it."""
    try:
        yield
    except RuntimeError as error:
        if stop.requested():
            raise Stopped from error
        raise
