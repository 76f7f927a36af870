"""How a stage begins: what learns, from which batches, and how its validation images are answered."""

from functools import partial

import torch

from backend.domain.architectures import ARCHITECTURES
from backend.domain.events import (
    PhaseProgress,
    PhaseStarted,
)
from backend.domain.training import ClassBalance, Stage
from worker.engine import devices, evaluation, features
from worker.engine.balance import criterion_of
from worker.engine.data import (
    ImageBatches,
    Views,
    steps_per_epoch,
)
from worker.engine.loop import StageRun
from worker.engine.optim import build_optimizer
from worker.engine.training import Training


def begin_stage(training: Training, number: int, stage: Stage) -> tuple[StageRun, evaluation.Answers]:
    """The stage's run, and how its validation images are answered."""
    config, model, device, images = training.order.config, training.model, training.device, training.images
    views = Views(images.source, images.train, augmentation=config.augmentation, seed=config.seed, stage=number)
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
    if stage.backbone_stands_still and features.fit_into_memory(len(images.train) + len(images.valid), width):
        compute = partial(_compute_features, training)
        batches = features.FeatureBatches(
            images.train,
            partial(compute, views),
            config.batch_size,
            seed=config.seed,
            stage=number,
            is_balanced=is_balanced,
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
            views,
            epochs=stage.epochs,
            batch_size=config.batch_size,
            device=device,
            on_unreadable=images.skip,
            is_balanced=is_balanced,
        ),
        autocast=autocast,
        scaler=torch.amp.GradScaler(device.type, enabled=autocast is torch.float16),
    )
    return moving, evaluation.from_images(plain, training.preprocessing, device, training.room)


def _compute_features(training: Training, views: Views, view: int) -> features.Features:
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
