"""States from which an interrupted training continues as if nothing had happened.

One safetensors file per point: tensors of network and optimizer, and JSON in its
header for the rest. A constant backbone is written once, into a file of its own that
the points name: an epoch of the head takes less time than writing it would. Random
numbers need no saving: each step seeds its own from (seed, stage of the lineage, epoch, step).
"""

import hashlib
import json
import math
from collections.abc import Sequence
from dataclasses import asdict, astuple, dataclass
from itertools import chain
from pathlib import Path
from typing import Any, Final

import safetensors
import safetensors.torch
import torch
from torch import Tensor

from backend.domain.ids import Digest
from backend.domain.json import Json
from backend.domain.manifest import Manifest
from backend.domain.training import MaxLearningRate, RunIf, TrainingConfig
from worker.engine.checkpoints.durable import sha256, write_file
from worker.engine.hardware.memory import MemoryLimits
from worker.engine.loop.best import Best
from worker.engine.loop.run import Cursor, KeptBackbone, LearningRateBackoff, NotFinite, Pace, SmoothedLoss, StageRun
from worker.engine.loop.time_limit import TimeLimit
from worker.engine.order import BESIDE_STATES, StatePoint

FORMAT: Final = 4
_FORMAT_3_NAMES: Final = {"place": "cursor", "asked_at_once": "eval_batch_size", "brake": "backoff"}
"""Names of format 3, which is still read, and what they are called now."""
KEPT: Final = 2
"""States kept on disk: the newest, and the one before in case that is damaged."""

_MODEL, _OPTIMIZER = "model.", "optimizer."
_BACKBONE: Final = f"{_MODEL}backbone."


@dataclass(frozen=True, slots=True)
class State:
    """A point to continue from: at ``cursor`` of ``stage``.

    Attributes:
        max_lr: the stage's rate, given or found.
        bests: the stage's best epochs so far, the best last.
        micro_batch, eval_batch_size: how many images fitted into memory.
        backoff: by how much divergence has lowered the rates.
        stages_before: stages of earlier trainings that led to the weights this training began with.
        left_out: images that couldn't be read when the training began; the order of the others depends on them.
        epochs: how many the stage has by now; 0 is as many as planned.
        pace: how its one-cycle goes on.
        used_s, finish_s: of ``TimeLimit``.
    """

    stage: int
    cursor: Cursor
    max_lr: MaxLearningRate
    tensors: dict[str, Tensor]
    loss: SmoothedLoss
    scaler: dict[str, Any]  # Any: torch's own numbers
    bests: tuple[Best, ...]
    micro_batch: int
    eval_batch_size: int
    backoff: LearningRateBackoff
    left_out: tuple[Digest, ...]
    stages_before: int = 0
    epochs: int = 0
    pace: Pace = Pace()
    used_s: float = 0.0
    finish_s: float = 0.0

    def model_tensors(self) -> dict[str, Tensor]:
        """Tensors of the network by parameter name."""
        return {name.removeprefix(_MODEL): tensor for name, tensor in self.tensors.items() if name.startswith(_MODEL)}

    def take_over(self, limits: MemoryLimits, backoff: LearningRateBackoff, time: TimeLimit) -> None:
        """Give a resumed training the memory limits, the lowered rates and the used time of what was interrupted."""
        time.add(self.used_s, self.finish_s)
        limits.micro_batch, limits.eval_batch_size = self.micro_batch, self.eval_batch_size
        backoff.factor, backoff.times = self.backoff.factor, self.backoff.times

    def restore(self, run: StageRun) -> None:
        """Put optimizer, loss, scaler and cursor of the run where they were; the network has its tensors already."""
        run.optimizer.state.clear()
        for name, parameter in run.model.named_parameters():
            kept = {
                kind: self.tensors[f"{_OPTIMIZER}{kind}.{name}"]
                for kind in ("step", "exp_avg", "exp_avg_sq")
                if f"{_OPTIMIZER}{kind}.{name}" in self.tensors
            }
            if kept:
                # Moments lie in memory like their parameter, so that later steps round alike.
                run.optimizer.state[parameter] = {
                    kind: tensor.to(parameter.device, copy=True)
                    if kind == "step"
                    else torch.empty_like(parameter).detach().copy_(tensor)
                    for kind, tensor in kept.items()
                }
        run.loss.average, run.loss.steps = self.loss.average, self.loss.steps
        run.scaler.load_state_dict(self.scaler)
        run.cursor.epoch, run.cursor.step, run.cursor.elapsed_s = astuple(self.cursor)
        run.bests[:] = self.bests
        run.pace = self.pace
        run.stage = run.stage.model_copy(update={"epochs": self.epochs or run.planned_epochs})


def order_hash(config: TrainingConfig, manifest: Manifest) -> str:
    """Changes when config, classes, images, labels or splits do: states of another order don't fit."""
    images = [(image.digest, image.label, image.split.value) for image in manifest.images]
    content = [_identity(config), manifest.classes, images]
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _identity(config: TrainingConfig) -> dict[str, Json]:
    """All of the config that changes the result; what was added later only where used, so that older states fit."""
    content: dict[str, Any] = config.model_dump(mode="json")  # Any: JSON values
    del content["minutes"]
    if config.network is None:
        del content["network"]
    for stage, asked in zip(content["stages"], config.stages, strict=True):
        if asked.run_if is RunIf.ALWAYS:
            del stage["run_if"]
        if not asked.stop_if_worse:
            del stage["stop_if_worse"]
    return content


def remember(run: StageRun) -> State:
    """The run as it is, in memory; what doesn't learn in its stage is left out."""
    frozen = {name for name, parameter in run.model.named_parameters() if not parameter.requires_grad}
    tensors = {name: tensor for name, tensor in _tensors(run).items() if name.removeprefix(_MODEL) not in frozen}
    return _state(run, {name: tensor.clone() for name, tensor in tensors.items()}, ())


def save(folder: Path, run: StageRun, order: str, left_out: Sequence[Digest]) -> tuple[StatePoint, int]:
    """Write the state of the run as it is; returns where it is and its size in bytes.

    Raises:
        NotFinite: a weight or moment is NaN or infinite; nothing was written.
        DiskFull: nothing was written.
    """
    require_finite(run)
    folder.mkdir(parents=True, exist_ok=True)
    backbone = _kept_backbone(folder, run) if run.stage.features_are_constant else None
    tensors = _tensors(run, without=_BACKBONE if backbone else None)
    rest = asdict(_state(run, {}, left_out)) | {"format": FORMAT, "order": order}
    rest["backbone"] = None if backbone is None else asdict(backbone)
    content = safetensors.torch.save(tensors, metadata={"state": json.dumps(rest, sort_keys=True)})
    digest, cursor = sha256(content), run.cursor
    # The hash is in the name: an attempt that was given up and still writes can't overwrite another's state.
    file = f"state-{run.number}-{cursor.epoch}-{cursor.step}-{digest[:12]}.safetensors"
    write_file(folder / file, content)
    return StatePoint(run.number, cursor.epoch, cursor.step, file, digest), len(content)


def _kept_backbone(folder: Path, run: StageRun) -> KeptBackbone:
    """The file with the backbone of a stage in which it is constant; written by the stage's first save."""
    kept = run.kept_backbone
    if not kept.file:
        tensors = {name: tensor for name, tensor in _tensors(run).items() if name.startswith(_BACKBONE)}
        content = safetensors.torch.save(tensors)
        digest = sha256(content)
        file = f"backbone-{digest[:12]}.safetensors"
        write_file(folder / file, content)
        kept.file, kept.sha256 = file, digest
    return kept


def require_finite(run: StageRun) -> None:
    """Refuse weights and moments that are no numbers.

    Raises:
        NotFinite
    """
    moments = (tensor for of_one in run.optimizer.state.values() for tensor in of_one.values())
    found = chain(run.model.state_dict().values(), moments)
    tensors = [tensor for tensor in found if tensor.is_floating_point() and tensor.numel()]
    # The largest of them all is no number where any is none; faster than asking each.
    if not bool(torch.isfinite(torch.nn.utils.get_total_norm(tensors, math.inf))):
        raise NotFinite


def newest(folder: Path, points: Sequence[StatePoint], order: str) -> tuple[State | None, list[tuple[StatePoint, str]]]:
    """The first of the points that is whole and of this order, and those passed over with the reason."""
    passed_over: list[tuple[StatePoint, str]] = []
    for point in points:
        answer = _load(folder, point, order)
        if isinstance(answer, State):
            return answer, passed_over
        passed_over.append((point, answer))
    return None, passed_over


def remove_others(folder: Path, kept: Sequence[StatePoint]) -> None:
    """Remove state files that are none of these, and backbones and best epochs' weights that none of these knows."""
    names = {point.file for point in kept}
    names |= {name for point in kept for name in _files_beside(folder / point.file)}
    for pattern in ("state-*.safetensors", *BESIDE_STATES):
        for file in folder.glob(pattern):
            if file.name not in names:
                file.unlink(missing_ok=True)


def _files_beside(file: Path) -> list[str]:
    """Names of the files that a state is nothing, or less, without."""
    try:
        header = _header(file)
        backbone = header["backbone"]
        return [best["file"] for best in header["bests"]] + ([backbone["file"]] if backbone else [])
    except (OSError, ValueError, KeyError, TypeError, safetensors.SafetensorError):
        return []


def _state(run: StageRun, tensors: dict[str, Tensor], left_out: Sequence[Digest]) -> State:
    return State(
        stage=run.number,
        cursor=Cursor(*astuple(run.cursor)),
        max_lr=run.stage.peak,
        tensors=tensors,
        loss=SmoothedLoss(*astuple(run.loss)),
        scaler=run.scaler.state_dict(),
        bests=tuple(run.bests),
        micro_batch=run.limits.micro_batch,
        eval_batch_size=run.limits.eval_batch_size,
        backoff=LearningRateBackoff(*astuple(run.backoff)),
        left_out=tuple(left_out),
        stages_before=run.stages_before,
        epochs=run.stage.epochs,
        pace=run.pace,
        used_s=run.time.used_s,
        finish_s=run.time.finish_s,
    )


def _tensors(run: StageRun, *, without: str | None = None) -> dict[str, Tensor]:
    """Tensors of network and optimizer by name, but for names that begin so."""
    tensors = {f"{_MODEL}{name}": tensor for name, tensor in run.model.state_dict().items()}
    if without is not None:
        tensors = {name: tensor for name, tensor in tensors.items() if not name.startswith(without)}
    for name, parameter in run.model.named_parameters():
        for kind, tensor in run.optimizer.state.get(parameter, {}).items():
            tensors[f"{_OPTIMIZER}{kind}.{name}"] = tensor
    return {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}


def _load(folder: Path, point: StatePoint, order: str) -> State | str:
    try:
        content = (folder / point.file).read_bytes()
    except OSError:
        return "it is missing"
    if sha256(content) != point.sha256:
        return "it is damaged"
    rest = _header(folder / point.file)
    if rest.pop("format") != FORMAT:
        return "it was made by another version"
    if rest.pop("order") != order:
        return "it belongs to other images or settings"
    backbone = rest.pop("backbone")
    still = {} if backbone is None else _load_backbone(folder, KeptBackbone(**backbone))
    if still is None:
        return "its frozen layers are damaged"
    max_lr = rest.pop("max_lr")
    return State(
        **rest
        | {
            "cursor": Cursor(**rest["cursor"]),
            "max_lr": tuple(max_lr) if isinstance(max_lr, list) else max_lr,
            "tensors": safetensors.torch.load(content) | still,
            "loss": SmoothedLoss(**rest["loss"]),
            "bests": tuple(Best(**best) for best in rest["bests"]),
            "backoff": LearningRateBackoff(**rest["backoff"]),
            "left_out": tuple(rest["left_out"]),
            # States of earlier versions have none.
            "pace": Pace(**rest.get("pace", {})),
        }
    )


def _load_backbone(folder: Path, kept: KeptBackbone) -> dict[str, Tensor] | None:
    try:
        content = (folder / kept.file).read_bytes()
    except OSError:
        return None
    return safetensors.torch.load(content) if sha256(content) == kept.sha256 else None


def _header(file: Path) -> dict[str, Json]:
    with safetensors.safe_open(file, framework="pt") as opened:
        content: dict[str, Json] = json.loads(opened.metadata()["state"])
    if content["format"] != 3:
        return content
    return {_FORMAT_3_NAMES.get(name, name): value for name, value in content.items()} | {"format": FORMAT}
