"""Showing images to layers that stand still, and telling of it."""

from collections.abc import Callable, Sequence

import torch
from torch import nn

from backend.domain.events import PhaseProgress, PhaseStarted
from worker.engine import features, tail
from worker.engine.data import Views
from worker.engine.feature_store import FeatureStore
from worker.engine.runtimes import StillLayers
from worker.engine.training import Training


def still_views(training: Training) -> Views:
    """Random views of the training images for layers that stand still: alike in all runs and stages of a seed."""
    config, images = training.order.config, training.images
    return Views(images.source, images.train, augmentation=config.augmentation, seed=config.seed)


def features_of(training: Training, passes: Sequence[tuple[Views, int]]) -> list[features.Features]:
    """What the backbone says of views of images; told as one phase, and only where something must be computed."""
    layers = _still(training, nn.Sequential(training.model.backbone, training.model.pool))
    source = features.Source(layers, FeatureStore(training.order.features_folder))
    missing = [len(source.missing(views, view)) for views, view in passes]
    total = sum(missing)
    if total:
        training.on_event(PhaseStarted("features", f"Showing {total} views of images to the frozen network"))
    found = []
    for number, (views, view) in enumerate(passes):
        before = sum(missing[:number])
        watch = training.watch(
            lambda done, before=before: training.on_event(PhaseProgress("features", before + done, total)),
            missing[number],
        )
        found.append(source.of(views, view, device=training.device, on_batch=watch))
    return found


def activations_by(training: Training, frozen_blocks: int) -> Callable[[Views, torch.dtype, int], tail.Activations]:
    """What the lowest blocks say of a view of images, by views, number format and the view's number."""
    layers = _still(training, nn.Sequential(*training.model.blocks()[:frozen_blocks]))

    def show(views: Views, kept_as: torch.dtype, view: int) -> tail.Activations:
        total = len(views.labelled)
        training.on_event(PhaseStarted("activations", f"Showing {total} images to the frozen layers"))
        watch = training.watch(lambda done: training.on_event(PhaseProgress("activations", done, total)), total)
        return tail.compute(layers, views, view=view, kept_as=kept_as, device=training.device, on_batch=watch)

    return show


def _still(training: Training, layers: nn.Module) -> StillLayers:
    order = training.order
    return StillLayers(
        layers,
        training.preprocessing,
        training.room,
        images=len(order.manifest.images),
        folder=order.features_folder,
        on_event=training.on_event,
    )
