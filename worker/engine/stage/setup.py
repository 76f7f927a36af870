"""How a stage begins: what learns, from which batches, and how its validation images are answered."""

from functools import partial

import torch

from backend.domain.architectures import ARCHITECTURES
from backend.domain.training import ClassBalance, Stage
from worker.engine.data.batches import (
    ImageBatches,
    Views,
    steps_per_epoch,
)
from worker.engine.frozen import activations as tail
from worker.engine.frozen import compute as showing
from worker.engine.frozen import features
from worker.engine.frozen.features import ViewRequest
from worker.engine.hardware import devices
from worker.engine.loop import evaluation
from worker.engine.loop.class_balance import criterion_of
from worker.engine.loop.context import Training
from worker.engine.loop.run import StageRun
from worker.engine.network.optim import build_optimizer


def begin_stage(training: Training, number: int, stage: Stage) -> tuple[StageRun, evaluation.Answers]:
    """The stage's run, and how its validation images are answered."""
    config, model, device, images = training.order.config, training.model, training.device, training.images
    views = Views(images.source, images.train, augmentation=config.augmentation, seed=config.seed, stage=number)
    views_wanted = min(stage.views, stage.epochs)
    plain = Views(images.source, images.valid)
    is_balanced = config.class_balance is ClassBalance.BALANCED_SAMPLING
    width = ARCHITECTURES[config.architecture].features
    run = partial(
        StageRun,
        number=number,
        stage=stage,
        model=model,
        optimizer=build_optimizer(model, stage, config),
        steps_per_epoch=steps_per_epoch(len(images.train), config.batch_size),
        device=device,
        room=training.room,
        brake=training.brake,
        seed=config.seed,
        criterion=criterion_of(config, images.train, len(training.order.manifest.classes), device),
    )
    rows = features.EpochRows(images.train, config.batch_size, seed=config.seed, stage=number, is_balanced=is_balanced)
    if stage.features_are_constant and features.fit_into_memory(
        len(images.train) + len(images.valid), width, views_wanted
    ):
        still_views = showing.still_views(training)
        answered, *seen = showing.features_of(
            training, [ViewRequest(plain), *(ViewRequest(still_views, view, True) for view in range(views_wanted))]
        )
        batches = features.FeatureBatches(seen, rows)
        # The head alone is small: lower precision would gain nothing.
        still = run(
            forward=model.head, batches=batches, autocast=None, scaler=torch.amp.GradScaler(device.type, enabled=False)
        )
        return still, features.from_features(answered)
    autocast = devices.autocast_type(config.precision, device)
    scaler = torch.amp.GradScaler(device.type, enabled=autocast is torch.float16)
    if _keeps_activations(training, stage):
        show = showing.activations_by(training, stage.frozen_blocks)
        above = run(
            forward=partial(model.forward_trainable, frozen_blocks=stage.frozen_blocks),
            batches=tail.ActivationBatches(lambda view: show(ViewRequest(views, view, True)), rows, views=stage.views),
            autocast=autocast,
            scaler=scaler,
        )
        judged = show(ViewRequest(plain))
        return above, tail.answers_from(judged, frozen_blocks=stage.frozen_blocks, room=training.room)
    moving = run(
        forward=model,
        batches=ImageBatches(
            views,
            epochs=stage.epochs,
            batch_size=config.batch_size,
            device=device,
            on_unreadable=images.skip,
            is_balanced=is_balanced,
        ),
        autocast=autocast,
        scaler=scaler,
    )
    return moving, evaluation.from_images(plain, training.preprocessing, device, training.room)


def _keeps_activations(training: Training, stage: Stage) -> bool:
    """Whether what the blocks below the cut say is kept instead of computed every epoch."""
    if stage.freeze or not stage.frozen_blocks:
        return False
    images = training.images
    return tail.fit_into_memory(
        training.model,
        training.preprocessing,
        frozen_blocks=stage.frozen_blocks,
        learnt=len(images.train) * min(stage.views, stage.epochs),
        judged=len(images.valid),
    )
