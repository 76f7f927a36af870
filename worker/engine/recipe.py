"""The recipe of a training, from an order to checkpoints."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial

import torch

from backend.domain.events import Note, NoteTopic, OnEvent, Phase, PhaseStarted, StageSkipped
from backend.domain.lr_finder import Curve, Finding
from backend.domain.manifest import Manifest, Split
from backend.domain.trainable import OneClassOnly
from backend.domain.training import RunIf, Stage
from worker.engine.checkpoints import checkpoint
from worker.engine.checkpoints.checkpoint import Checkpoint
from worker.engine.checkpoints.durable import disk_full_named, remove_partials
from worker.engine.data.prepared import prepared_images, require_enough, resized_images
from worker.engine.data.source import preprocessing_of
from worker.engine.errors import (
    CheckpointUnusable,
)
from worker.engine.frozen.compute import kept_images
from worker.engine.hardware import devices
from worker.engine.hardware.memory import MemoryLimits, is_out_of_memory, refused_from_the_start
from worker.engine.loop import state
from worker.engine.loop.context import Training
from worker.engine.loop.epoch import loader_stops_translated
from worker.engine.loop.lr_finder import BAND_WITHIN_S, SEEDS, search
from worker.engine.loop.state import State
from worker.engine.loop.time_limit import TimeLimit
from worker.engine.network import architectures, weights
from worker.engine.network.architectures import Classifier
from worker.engine.network.optim import set_learning
from worker.engine.order import NeverStop, StageResult, StatePoint, StopSignal, TrainingOrder, TrainingResult
from worker.engine.parallel.ranks import ALONE, Ranks
from worker.engine.stage.finish import finished_before
from worker.engine.stage.run import run_stage
from worker.engine.stage.setup import begin_stage


def train(
    order: TrainingOrder, *, on_event: OnEvent, stop: StopSignal | None = None, ranks: Ranks = ALONE
) -> TrainingResult:
    """Train as ordered, stage by stage; returns the checkpoints it wrote.

    After every epoch, within long ones and when it is stopped a state is saved,
    after every stage a checkpoint. Given states to resume from, it continues from
    the newest good one; on a processor the result is then the same, bit for bit,
    as without the interruption. When the signal asks it to finish, the stage ends
    after the present epoch and no other stage follows.

    Several processes that share the training call it with the same order, but for the device, and with
    their ``ranks``; what the first one is called with as ``on_event`` gets all events.

    Raises:
        Stopped: the stop signal was given.
        PeerLost: another of the processes has ended.
        AppError: the training can't be done or went wrong; see ``worker.engine.errors``.
    """
    stop, time = stop or NeverStop(), TimeLimit.of(order.config)
    require_trainable(order.manifest)
    device = devices.choose(order.device)
    devices.make_repeatable(device)
    with ranks.agreeing(), machine_faults_translated(order, device), loader_stops_translated(stop):
        ranks.from_first(partial(_remove_partials, order))
        resumed, saved = _newest_state(order, on_event)
        start = None if resumed or order.starts_from is None else checkpoint.read(order.starts_from)
        stages_before = resumed.stages_before if resumed else _lineage_stages(start)
        model = ranks.in_turn(lambda: first_model(order, resumed or start, on_event, stop))
        model = devices.to_device(model, device)
        ranks.share_layers(model)
        limits = memory_limits(order, device, on_event)
        first = resumed.stage if resumed else 0
        left_out, size = resumed.left_out if resumed else None, order.config.stages[first].image_size
        # Stages with pictures of another size read them themselves.
        steps = preprocessing_of(order.config, image_size=size)
        alike = {
            number: stage
            for number, stage in enumerate(order.config.stages, stages_before)
            if preprocessing_of(order.config, image_size=stage.image_size) == steps
        }
        kept = partial(kept_images, order, alike, model, limits, on_event)
        with prepared_images(order, on_event, stop, left_out, image_size=size, kept=kept, ranks=ranks) as images:
            training = Training(
                order,
                device,
                model,
                images,
                on_event,
                stop,
                saved,
                limits,
                stages_before=stages_before,
                ranks=ranks,
                time=time,
            )
            if resumed is not None:
                resumed.take_over(training.limits, training.backoff, training.time)
            results = ranks.from_first(
                lambda: [finished_before(order.output_folder, number) for number in range(first)]
            )
            for number in range(first, len(order.config.stages)):
                if resumed is None and (reason := _reason_to_skip(order.config.stages[number], results)):
                    on_event(StageSkipped(number, reason))
                    continue
                with _at_its_size(training, number) as sized:
                    results.append(run_stage(sized, number, resumed, before=_last(results)))
                resumed = None
                if ranks.any(stop.finish_requested()):
                    break
    return TrainingResult(tuple(result for result in results if result is not None))


def _reason_to_skip(stage: Stage, results: Sequence[StageResult | None]) -> str | None:
    """Why the stage isn't run after those with these results; None where it is."""
    before = _last(results)
    if stage.run_if is RunIf.MISTAKES and before is not None and before.error_rate == 0:
        return "The model gets every picture held out for testing right: there is nothing left to improve"
    return None


def _last(results: Sequence[StageResult | None]) -> StageResult | None:
    return next((one for one in reversed(results) if one is not None), None)


def find_learning_rate(
    order: TrainingOrder,
    *,
    on_event: OnEvent,
    stop: StopSignal | None = None,
    seeds: int = SEEDS,
    within_s: float = BAND_WITHIN_S,
) -> tuple[Curve, Finding]:
    """Search a learning rate for the order's first stage; writes no checkpoint and no state.

    Raises:
        Stopped, AppError: as ``train`` does.
    """
    stop = stop or NeverStop()
    require_trainable(order.manifest)
    device = devices.choose(order.device)
    devices.make_repeatable(device)
    with machine_faults_translated(order, device), loader_stops_translated(stop):
        start = None if order.starts_from is None else checkpoint.read(order.starts_from)
        stages_before = _lineage_stages(start)
        model = devices.to_device(first_model(order, start, on_event, stop), device)
        limits = memory_limits(order, device, on_event)
        kept = partial(kept_images, order, {stages_before: order.config.stages[0]}, model, limits, on_event)
        size = order.config.stages[0].image_size
        with prepared_images(order, on_event, stop, image_size=size, kept=kept) as images:
            training = Training(order, device, model, images, on_event, stop, [], limits, stages_before=stages_before)
            stage = order.config.stages[0]
            set_learning(model, stage)
            run, _ = begin_stage(training, 0, stage)
            return search(training, run, seeds=seeds, within_s=within_s)


@contextmanager
def _at_its_size(training: Training, number: int) -> Iterator[Training]:
    """The training with its images at the size of stage ``number``."""
    order, on_event = training.order, training.on_event
    stage = order.config.stages[number]
    stages = {training.stages_before + number: stage}
    kept = partial(kept_images, order, stages, training.model, training.limits, on_event)
    with resized_images(
        training.images, stage.image_size, order, on_event, training.stop, kept=kept, ranks=training.ranks
    ) as images:
        yield replace(training, images=images)


def _remove_partials(order: TrainingOrder) -> None:
    remove_partials(order.output_folder)
    remove_partials(order.state_folder)


def memory_limits(order: TrainingOrder, device: torch.device, on_event: OnEvent) -> MemoryLimits:
    return MemoryLimits(order.config.batch_size, device, on_event, loader_processes=order.max_loader_processes)


def require_trainable(manifest: Manifest) -> None:
    """Refuse what can't be trained on.

    Raises:
        OneClassOnly, TooFewImages, NoValidationImages
    """
    if len(manifest.classes) < 2:
        raise OneClassOnly(manifest.classes)
    require_enough(len(manifest.of(Split.TRAIN)), len(manifest.of(Split.VALID)))


def _newest_state(order: TrainingOrder, on_event: OnEvent) -> tuple[State | None, list[StatePoint]]:
    """The state to continue from, and the points up to it, the newest last."""
    resumed, passed_over = state.newest(
        order.state_folder, order.resume_from, state.order_hash(order.config, order.manifest)
    )
    for point, reason in passed_over:
        then = "using the one before it" if resumed else "starting from the beginning"
        on_event(Note(NoteTopic.RESUME, f"The saved state {_where(point)} can't be used ({reason}); {then}"))
    return resumed, list(order.resume_from[len(passed_over) :][::-1])


def _where(point: StatePoint) -> str:
    if point.step:
        return f"at step {point.step} of epoch {point.epoch + 1} of stage {point.stage + 1}"
    return f"after epoch {point.epoch} of stage {point.stage + 1}"


def _lineage_stages(start: Checkpoint | None) -> int:
    """Stages that led to the weights a training begins with."""
    return 0 if start is None else start.lineage_stages


def first_model(
    order: TrainingOrder, start: State | Checkpoint | None, on_event: OnEvent, stop: StopSignal
) -> Classifier:
    """The network as it is before the first step: resumed, from a checkpoint, or pretrained."""
    config = order.config
    build = partial(
        architectures.build,
        config.entry,
        len(order.manifest.classes),
        last_layer_bias=config.last_layer_bias,
        seed=config.seed,
    )
    match start:
        case State():
            model = build()
            model.load_state_dict(start.model_tensors())
            return model
        case Checkpoint():
            model = build()
            _start_from(model, start, order)
            return model
    architecture = config.entry
    on_event(PhaseStarted(Phase.WEIGHTS, f"Loading the pretrained weights of {architecture.title}"))
    pretrained = weights.load(
        architecture,
        weights.weights_named(architecture, config.weights),
        order.weights_folder,
        on_event=on_event,
        stop=stop,
        url_base=order.weights_url_base,
    )
    return build(pretrained=pretrained)


def _start_from(model: Classifier, start: Checkpoint, order: TrainingOrder) -> None:
    """Load a checkpoint's backbone, and its head too where classes and last layer are the same."""
    name = str(order.starts_from)
    if start.content["architecture"] != order.config.architecture:
        raise CheckpointUnusable(name, f"it is a {start.content['architecture']}, not a {order.config.architecture}")
    same_head = (
        start.classes == order.manifest.classes
        and start.content["head"]["last_layer_bias"] == order.config.last_layer_bias
    )
    kept = {name: tensor for name, tensor in start.weights.items() if same_head or not name.startswith("head.")}
    model.load_state_dict(kept, strict=same_head)


@contextmanager
def machine_faults_translated(order: TrainingOrder, device: torch.device) -> Iterator[None]:
    """Turn a full disk and too little memory, wherever in a training, into errors of ours."""
    try:
        with disk_full_named(order.state_folder, 0):
            yield
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        raise refused_from_the_start(order.config.batch_size, device) from error
