"""How a stage begins: what is trained, from which batches, and how its validation images are answered."""

from functools import partial

import torch

from backend.domain.training import ClassBalance, Stage
from worker.engine.data.batches import ImageBatches, Views, steps_per_epoch
from worker.engine.frozen import activations, compute, features
from worker.engine.frozen.features import ViewRequest
from worker.engine.hardware import devices
from worker.engine.loop import evaluation
from worker.engine.loop.class_balance import criterion_of
from worker.engine.loop.context import Training
from worker.engine.loop.run import Batches, Forward, StageRun
from worker.engine.network.optim import build_optimizer
from worker.engine.parallel.ranks import ALONE, Ranks


def begin_stage(training: Training, number: int, stage: Stage) -> tuple[StageRun, evaluation.Answers]:
    """The run of stage ``number``, and the answers to its validation images.

    A stage runs the head alone, the blocks above its frozen ones, or the whole network:
    the least that gives the same result and whose inputs fit into memory.
    """
    if _keeps_features(training, stage):
        return _on_features(training, number, stage)
    if _keeps_activations(training, stage):
        return _on_activations(training, number, stage)
    return _on_images(training, number, stage)


def _on_features(training: Training, number: int, stage: Stage) -> tuple[StageRun, evaluation.Answers]:
    """The head alone, on stored features of a few views of each training image."""
    views = compute.training_views(training, number)
    # The plain view's features are also evaluated on, in this training or another, and are computed once for both.
    learnt_from = [ViewRequest(views, view, not stage.sees_plain_view) for view in range(stage.stored_views)]
    plain, *learnt = compute.features_of(training, [_plain_views(training), *learnt_from])
    run = _run(
        training,
        number,
        stage,
        forward=training.model.head,
        batches=features.FeatureBatches(learnt, _epoch_rows(training, number)),
        # The head alone is small: lower precision would gain nothing, and sharing its steps would cost more than they.
        autocast=None,
        ranks=ALONE,
        are_steps_small=True,
    )
    return run, features.from_features(plain)


def _on_activations(training: Training, number: int, stage: Stage) -> tuple[StageRun, evaluation.Answers]:
    """The blocks above the frozen ones, on stored activations of a few views of each training image."""
    views = compute.training_views(training, number)
    activations_of = compute.activations_by(training, stage.frozen_blocks)
    run = _run(
        training,
        number,
        stage,
        forward=partial(training.model.forward_trainable, frozen_blocks=stage.frozen_blocks),
        batches=activations.ActivationBatches(
            lambda view: activations_of(ViewRequest(views, view, True)),
            _epoch_rows(training, number, training.ranks),
            views=stage.stored_views,
        ),
        autocast=devices.autocast_type(training.order.config.precision, training.device),
        ranks=training.ranks,
    )
    plain = activations_of(_plain_views(training))
    return run, activations.answers_from(plain, frozen_blocks=stage.frozen_blocks, limits=training.limits)


def _on_images(training: Training, number: int, stage: Stage) -> tuple[StageRun, evaluation.Answers]:
    """The whole network, on a new view of each training image in every epoch."""
    config = training.order.config
    run = _run(
        training,
        number,
        stage,
        forward=training.model,
        batches=ImageBatches(
            compute.training_views(training, number),
            epochs=stage.epochs,
            batch_size=config.batch_size,
            device=training.device,
            on_unreadable=training.images.skip,
            is_balanced=_is_balanced(training),
            max_processes=training.limits.loader_processes,
            ranks=training.ranks,
        ),
        autocast=devices.autocast_type(config.precision, training.device),
        ranks=training.ranks,
    )
    plain = _plain_views(training).views
    return run, evaluation.from_images(plain, training.preprocessing, training.device, training.limits)


def _run(
    training: Training,
    number: int,
    stage: Stage,
    *,
    forward: Forward,
    batches: Batches,
    autocast: torch.dtype | None,
    ranks: Ranks,
    are_steps_small: bool = False,
) -> StageRun:
    config, images, device = training.order.config, training.images, training.device
    return StageRun(
        number=number,
        stage=stage,
        model=training.model,
        forward=forward,
        batches=batches,
        optimizer=build_optimizer(training.model, stage, config),
        steps_per_epoch=steps_per_epoch(len(images.train), config.batch_size),
        device=device,
        autocast=autocast,
        scaler=torch.amp.GradScaler(device.type, enabled=autocast is torch.float16),
        limits=training.limits,
        backoff=training.backoff,
        seed=config.seed,
        stages_before=training.stages_before,
        criterion=criterion_of(config, images.train, len(training.order.manifest.classes), device),
        ranks=ranks,
        time=training.time,
        are_steps_small=are_steps_small,
    )


def _epoch_rows(training: Training, number: int, ranks: Ranks = ALONE) -> features.EpochRows:
    config = training.order.config
    return features.EpochRows(
        training.images.train,
        config.batch_size,
        seed=config.seed,
        stage=training.stages_before + number,
        is_balanced=_is_balanced(training),
        ranks=ranks,
    )


def _plain_views(training: Training) -> ViewRequest:
    return ViewRequest(Views(training.images.source, training.images.valid))


def _is_balanced(training: Training) -> bool:
    return training.order.config.class_balance is ClassBalance.BALANCED_SAMPLING


def _keeps_features(training: Training, stage: Stage) -> bool:
    """Whether the backbone is constant and its features fit into memory."""
    images, width = training.images, training.order.config.entry.features
    return stage.features_are_constant and features.fit_into_memory(
        len(images.train) + len(images.valid), width, stage.stored_views
    )


def _keeps_activations(training: Training, stage: Stage) -> bool:
    """Whether some blocks are frozen and their activations fit into memory."""
    if stage.freeze or not stage.frozen_blocks:
        return False
    images = training.images
    return activations.fit_into_memory(
        training.model,
        training.preprocessing,
        frozen_blocks=stage.frozen_blocks,
        learnt=len(images.train) * stage.stored_views,
        judged=len(images.valid),
    )
