"""The head of a training, trained again with other seeds on features that are kept: what chance in training changes."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Final

from backend.domain.chance import head_alone
from backend.domain.errors import Unavailable
from backend.domain.events import OnEvent
from backend.domain.results import Evaluation
from worker.engine.checkpoints import checkpoint
from worker.engine.data.prepared import prepared_images
from worker.engine.frozen.compute import kept_images
from worker.engine.hardware import devices
from worker.engine.loop.context import Training
from worker.engine.loop.epoch import loader_stops_translated
from worker.engine.network.optim import set_learning
from worker.engine.order import StopSignal, TrainingOrder
from worker.engine.recipe import first_model, machine_faults_translated, memory_limits, require_trainable
from worker.engine.stage.run import learn
from worker.engine.stage.setup import begin_stage

MOST_COMPUTED: Final = 2_000
"""Pictures whose features may be missing: computing those of more would take many minutes."""


class FeaturesGone(Unavailable):
    """Too many pictures have no stored features (any more)."""

    code = "features-gone"

    def __init__(self, missing: int) -> None:
        super().__init__(
            f"The features of {missing:,} pictures that this model's head learns from aren't kept (any more).",
            advice="A training with the same network computes them anew.",
            details={"missing": missing},
        )


def retrained_heads(
    order: TrainingOrder,
    seeds: Sequence[int],
    *,
    on_event: OnEvent,
    stop: StopSignal,
    most_computed: int = MOST_COMPUTED,
) -> Iterator[Evaluation]:
    """The answers to the validation images of the order's head (``head_alone``), trained with each of the seeds.

    Writes no checkpoint. Each training takes milliseconds a step where the features are kept.

    Raises:
        FeaturesGone: those of more than ``most_computed`` images would have to be computed.
        Stopped, AppError: as ``recipe.train`` does.
    """
    require_trainable(order.manifest)
    for seed in seeds:
        states = order.state_folder / f"seed-{seed}"
        states.mkdir(parents=True, exist_ok=True)
        seeded = replace(order, config=head_alone(order.config, seed), state_folder=states, compiles=False)
        yield _retrained(seeded, on_event, stop, most_computed)


def _retrained(order: TrainingOrder, on_event: OnEvent, stop: StopSignal, most_computed: int) -> Evaluation:
    device = devices.choose(order.device)
    devices.make_repeatable(device)
    with machine_faults_translated(order, device), loader_stops_translated(stop):
        start = None if order.starts_from is None else checkpoint.read(order.starts_from)
        stages_before = 0 if start is None else start.lineage_stages
        model = devices.to_device(first_model(order, start, on_event, stop), device)
        limits = memory_limits(order, device, on_event)
        stage = order.config.stages[0]
        kept = kept_images(order, {stages_before: stage}, model, limits, on_event)
        missing = sum(image.digest not in kept for image in order.manifest.images)
        if missing > most_computed:
            raise FeaturesGone(missing)
        with prepared_images(order, on_event, stop, image_size=stage.image_size, kept=lambda: kept) as images:
            training = Training(order, device, model, images, on_event, stop, [], limits, stages_before=stages_before)
            set_learning(model, stage)
            run, valid = begin_stage(training, 0, stage)
            return learn(training, run, valid, None, None)[1]
