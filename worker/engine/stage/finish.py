"""How a stage ends: with a checkpoint, exported and checked."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError
from torch import Tensor

from backend.domain.events import Phase, PhaseStarted, StageFinished
from backend.domain.json import Json
from backend.domain.results import Evaluation, model_rank
from backend.domain.training import RunIf, Stage
from backend.domain.trends import flips_of, is_clearly_better
from worker.engine.checkpoints import checkpoint
from worker.engine.checkpoints.durable import sha256
from worker.engine.checkpoints.export import PARITY_IMAGES, Export, export
from worker.engine.checkpoints.metadata import ModelFacts
from worker.engine.data.batches import Views
from worker.engine.data.source import Unreadable
from worker.engine.errors import CheckpointUnusable
from worker.engine.hardware.memory import is_out_of_memory
from worker.engine.loop.context import Training
from worker.engine.loop.run import StageRun
from worker.engine.order import StageResult
from worker.engine.stage.test_time import evaluate_splits


def finish_stage(
    training: Training, run: StageRun, answered: Evaluation, epoch: int, before: StageResult | None
) -> StageResult:
    """Write the stage's checkpoint, of its weights after ``epoch``, unless an interrupted try has written it."""
    folder = training.order.output_folder / f"stage-{run.number}"
    content = checkpoint.weights_of(run.model)
    if not training.ranks.first_says(_holds(folder, sha256(content))):
        evaluations = evaluate_splits(training, run, answered)
        training.ranks.from_first(lambda: _write_checkpoint(training, run, evaluations, folder, content, epoch, before))
    return training.ranks.from_first(lambda: _announce(training, run, folder))


def _holds(folder: Path, tensors_sha256: str) -> bool:
    try:
        return bool(checkpoint.read(folder).content.get("tensors_sha256") == tensors_sha256)
    except CheckpointUnusable:
        return False


def _write_checkpoint(
    training: Training,
    run: StageRun,
    evaluations: Mapping[str, Evaluation],
    folder: Path,
    content: bytes,
    epoch: int,
    before: StageResult | None,
) -> None:
    training.on_event(PhaseStarted(Phase.EXPORT, "Exporting the model and comparing its answers"))
    checkpoint.write(
        folder,
        content,
        config=training.order.config,
        stage=run.number,
        epoch=epoch,
        stages_before=training.stages_before,
        preprocessing=training.preprocessing,
        evaluations=evaluations,
        is_within_chance=_is_within_chance(run.stage, evaluations["valid"], before),
        features=training.order.config.entry.features,
        export=_exported(training, run, evaluations["valid"].classes),
    )


def _is_within_chance(stage: Stage, answered: Evaluation, before: StageResult | None) -> bool:
    """Whether a stage that must improve on the model before it did so by no more than chance would explain."""
    if stage.run_if is not RunIf.MISTAKES or before is None:
        return False
    try:
        answered_before = checkpoint.read_predictions(before.folder)
    except (OSError, ValueError, SafetensorError):
        return False  # as where the whole checkpoint before it is unreadable
    flips, loss = flips_of(answered_before, answered), float(answered.losses.mean())
    looks_better = model_rank(flips.wrong_after, loss) < model_rank(flips.wrong_before, before.valid_loss)
    return looks_better and not is_clearly_better(flips, (before.valid_loss, loss))


def _exported(training: Training, run: StageRun, classes: tuple[str, ...]) -> Export:
    """The model exported and compared, on fewer images where the memory is too small for as many."""
    pixels, limits = _real_pixels(training), training.limits
    facts = ModelFacts(training.order.config.architecture, classes, training.preprocessing)
    # A backbone that has learnt is another one each time.
    bodies = training.order.features_folder if run.stage.features_are_constant else None
    while True:
        try:
            return export(run.model, facts, pixels, bodies=bodies)
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
        limits.halve_eval_batch(len(pixels))
        pixels = pixels[: limits.eval_batch_size]


def _real_pixels(training: Training) -> Tensor:
    """(N, H, W, 3) uint8: up to 16 validation images, spread evenly."""
    views = Views(training.images.source, training.images.valid)
    total = len(training.images.valid)
    indices = np.linspace(0, total - 1, min(PARITY_IMAGES, total)).round().astype(int)
    made = [views[0, int(index)][2] for index in indices]
    return torch.from_numpy(np.stack([pixels for pixels in made if not isinstance(pixels, Unreadable)]))


def _announce(training: Training, run: StageRun, folder: Path) -> StageResult:
    written = checkpoint.read(folder)
    metrics = written.content["metrics"]["valid"]
    training.on_event(
        StageFinished(
            stage=run.number,
            epoch=written.content["epoch"],
            folder=folder.name,
            sha256=written.content["weights_sha256"],
            size_bytes=(folder / "weights.safetensors").stat().st_size,
            valid_loss=metrics["loss"],
            error_rate=metrics["error_rate"],
            parity_max_difference=written.parity.max_difference,
            parity_agreement=written.parity.agreement,
            parity_images=written.parity.images,
        )
    )
    return _result(run.number, folder, metrics)


def finished_before(output_folder: Path, number: int) -> StageResult | None:
    """What a stage before an interruption left; None where its folder is on another machine."""
    folder = output_folder / f"stage-{number}"
    try:
        metrics = checkpoint.read(folder).content["metrics"]["valid"]
    except CheckpointUnusable:
        return None
    return _result(number, folder, metrics)


def _result(number: int, folder: Path, metrics: Mapping[str, Json]) -> StageResult:
    is_within_chance = bool(metrics.get("is_within_chance", False))
    return StageResult(number, folder, metrics["loss"], metrics["error_rate"], is_within_chance)
