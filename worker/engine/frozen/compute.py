"""Computing what frozen layers answer for views of images, and reporting it."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial

import torch
from torch import nn

from backend.domain.events import OnEvent, Phase, PhaseProgress, PhaseStarted
from backend.domain.ids import Digest
from backend.domain.manifest import Split
from backend.domain.training import Stage
from backend.imaging.preprocessing import Preprocessing
from worker.engine.data.batches import Views
from worker.engine.data.source import preprocessing_of
from worker.engine.frozen import activations, features
from worker.engine.frozen.feature_store import FeatureStore
from worker.engine.frozen.features import ViewRequest
from worker.engine.frozen.runtimes import FrozenLayers, FrozenNetwork
from worker.engine.hardware import devices
from worker.engine.hardware.memory import MemoryLimits
from worker.engine.loop.context import Training
from worker.engine.network.architectures import Classifier
from worker.engine.order import TrainingOrder
from worker.engine.parallel.ranks import ALONE, Ranks


def training_views(training: Training, number: int) -> Views:
    """Views of the training images in stage ``number`` of the training: random ones, or the evaluation's.

    Random ones follow from the seed and the stage's number in its lineage: a stage sees the same views
    whether it belongs to the training before it or continues from that training's checkpoint.
    """
    config, images = training.order.config, training.images
    return Views(
        images.source,
        images.train,
        augmentation=None if config.stages[number].sees_plain_view else config.augmentation,
        seed=config.seed,
        stage=training.stages_before + number,
    )


def features_of(training: Training, requests: Sequence[ViewRequest]) -> list[features.Features]:
    """The backbone's features of views of images; reported as one phase, and only where some must be computed."""
    source = features_source(
        training.order, training.model, training.preprocessing, training.limits, training.on_event, training.ranks
    )
    missing = [source.missing(one) for one in requests]
    total = sum(missing)
    if total:
        training.on_event(PhaseStarted(Phase.FEATURES, f"Computing features of {total:,} images"))
    found = []
    for number, one in enumerate(requests):
        report = partial(_report, training.on_event, sum(missing[:number]), total)
        watch = training.watch(report, missing[number])
        found.append(source.of(one, device=training.device, on_batch=watch))
    training.name_skipped()
    return found


def _report(on_event: OnEvent, before: int, total: int, done: int) -> None:
    on_event(PhaseProgress(Phase.FEATURES, before + done, total))


def activations_by(training: Training, frozen_blocks: int) -> Callable[[ViewRequest], activations.Activations]:
    """Computes the activations of the lowest blocks for a view of images."""
    below = nn.Sequential(*training.model.blocks()[:frozen_blocks])
    judging, learnt_from = _frozen_layers(
        training.order, below, training.preprocessing, training.limits, training.on_event
    )

    def show(request: ViewRequest) -> activations.Activations:
        total = len(request.views.labelled)
        text = f"Computing features of {total:,} images with the frozen layers"
        training.on_event(PhaseStarted(Phase.ACTIVATIONS, text))
        watch = training.watch(lambda done: training.on_event(PhaseProgress(Phase.ACTIVATIONS, done, total)), total)
        layers = learnt_from if request.is_learnt_from else judging
        found = activations.compute(layers, request, device=training.device, on_batch=watch, ranks=training.ranks)
        training.name_skipped()
        return found

    return show


def kept_images(
    order: TrainingOrder,
    stages: Mapping[int, Stage],
    model: Classifier,
    limits: MemoryLimits,
    on_event: OnEvent,
) -> set[Digest]:
    """Images that need not be opened, since all features that the stages need of them are on disk.

    ``stages`` by their number in the lineage.
    """
    manifest, config = order.manifest, order.config
    sizes = {stage.image_size for stage in stages.values()}
    is_constant = all(stage.features_are_constant for stage in stages.values())
    if order.features_folder is None or len(sizes) > 1 or not is_constant:
        return set()
    views = max(stage.stored_views for stage in stages.values())
    width = config.entry.features
    if not features.fit_into_memory(len(manifest.images), width, views):
        return set()
    steps = preprocessing_of(config, image_size=sizes.pop())
    source = features_source(order, model, steps, limits, on_event)
    plain = [image for image in manifest.images if image.split is not Split.TRAIN]
    kept = set(source.kept(plain))
    learnt = manifest.of(Split.TRAIN)
    of_view = [
        set(source.kept(learnt))
        if stage.sees_plain_view
        else set(
            source.kept(
                learnt,
                view=view,
                augmentation=config.augmentation,
                seed=config.seed,
                stage=number,
                is_learnt_from=True,
            )
        )
        for number, stage in stages.items()
        for view in range(stage.stored_views)
    ]
    return kept | set.intersection(*of_view)


def features_source(
    order: TrainingOrder,
    model: Classifier,
    preprocessing: Preprocessing,
    limits: MemoryLimits,
    on_event: OnEvent,
    ranks: Ranks = ALONE,
) -> features.Source:
    """The pooled features of the model's backbone, kept in the order's folder."""
    backbone = nn.Sequential(model.backbone, model.pool)
    judging, learnt_from = _frozen_layers(order, backbone, preprocessing, limits, on_event)
    return features.Source(judging, learnt_from, FeatureStore(order.features_folder), ranks)


def _frozen_layers(
    order: TrainingOrder, layers: nn.Module, preprocessing: Preprocessing, limits: MemoryLimits, on_event: OnEvent
) -> tuple[FrozenLayers, FrozenLayers]:
    """The layers for answers that judge, in float32, and for answers that are learnt from."""
    network = FrozenNetwork(layers, preprocessing, order.features_folder)
    images, precision = len(order.manifest.images), _learnt_in(order, limits)
    judging = FrozenLayers(network, limits, images=images, on_event=on_event)
    if precision is None:
        return judging, judging
    return judging, FrozenLayers(network, limits, images=images, on_event=on_event, precision=precision)


def _learnt_in(order: TrainingOrder, limits: MemoryLimits) -> torch.dtype | None:
    """Number format of answers to learn from; None is float32.

    Never float16: it may overflow, and here no loss scaling would notice.
    """
    wanted = devices.autocast_type(order.config.precision, limits.device)
    return wanted if wanted is torch.bfloat16 else None
