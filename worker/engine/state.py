"""States from which an interrupted training goes on as if nothing had happened.

One safetensors file per epoch: tensors of network and optimizer, and a JSON in
its header for the rest. Random numbers need no saving, as each epoch begins its
own from (seed, stage, epoch).
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import safetensors
import safetensors.torch
import torch
from torch import Tensor

from backend.domain.manifest import Manifest
from backend.domain.training import MaxLearningRate, TrainingConfig
from worker.engine.durable import sha256, write_file
from worker.engine.loop import SmoothedLoss, StageRun
from worker.engine.order import StatePoint

FORMAT: Final = 2
KEPT: Final = 2
"""States kept on disk: the newest, and the one before in case that is damaged."""

_MODEL, _OPTIMIZER = "model.", "optimizer."


@dataclass(frozen=True, slots=True)
class State:
    """What a state file holds: the end of ``epoch`` of ``stage``, whose rate is ``max_lr``, given or found."""

    stage: int
    epoch: int
    max_lr: MaxLearningRate
    tensors: dict[str, Tensor]
    loss: SmoothedLoss
    scaler: dict[str, Any]  # Any: torch's own numbers

    def model_tensors(self) -> dict[str, Tensor]:
        """Tensors of the network by parameter name."""
        return {name.removeprefix(_MODEL): tensor for name, tensor in self.tensors.items() if name.startswith(_MODEL)}

    def restore(self, run: StageRun) -> None:
        """Put optimizer, loss and scaler of the run where they were; the network has its tensors already."""
        for name, parameter in run.model.named_parameters():
            kept = {
                kind: self.tensors[f"{_OPTIMIZER}{kind}.{name}"]
                for kind in ("step", "exp_avg", "exp_avg_sq")
                if f"{_OPTIMIZER}{kind}.{name}" in self.tensors
            }
            if kept:
                # Moments lie in memory like their parameter, so that later steps round alike.
                run.optimizer.state[parameter] = {
                    kind: tensor if kind == "step" else torch.empty_like(parameter).detach().copy_(tensor)
                    for kind, tensor in kept.items()
                }
        run.loss.average, run.loss.steps = self.loss.average, self.loss.steps
        run.scaler.load_state_dict(self.scaler)


def order_hash(config: TrainingConfig, manifest: Manifest) -> str:
    """Changes when config, classes, images, labels or splits do: states of another order don't fit."""
    images = [(image.digest, image.label, image.split.value) for image in manifest.images]
    content = [config.model_dump(mode="json"), manifest.classes, images]
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def is_finite(run: StageRun) -> bool:
    """Whether all weights and moments are numbers."""
    return all(bool(torch.isfinite(tensor).all()) for tensor in _tensors(run).values() if tensor.is_floating_point())


def save(folder: Path, run: StageRun, epoch: int, order: str) -> tuple[StatePoint, int]:
    """Write the state after ``epoch``; returns where it is and its size in bytes."""
    rest = {
        "format": FORMAT,
        "order": order,
        "stage": run.number,
        "epoch": epoch,
        "max_lr": run.stage.peak,
        "loss": [run.loss.average, run.loss.steps],
        "scaler": run.scaler.state_dict(),
    }
    content = safetensors.torch.save(_tensors(run), metadata={"state": json.dumps(rest, sort_keys=True)})
    digest = sha256(content)
    # The hash is in the name: an attempt that was given up and still writes can't overwrite another's state.
    point = StatePoint(run.number, epoch + 1, 0, f"state-{run.number}-{epoch}-{digest[:12]}.safetensors", digest)
    folder.mkdir(parents=True, exist_ok=True)
    write_file(folder / point.file, content)
    return point, len(content)


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
    """Remove state files that are none of these."""
    names = {point.file for point in kept}
    for file in folder.glob("state-*.safetensors"):
        if file.name not in names:
            file.unlink(missing_ok=True)


def _tensors(run: StageRun) -> dict[str, Tensor]:
    tensors = {f"{_MODEL}{name}": tensor for name, tensor in run.model.state_dict().items()}
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
    with safetensors.safe_open(folder / point.file, framework="pt") as file:
        rest = json.loads(file.metadata()["state"])
    if rest["format"] != FORMAT:
        return f"its format is {rest['format']}, not {FORMAT}"
    if rest["order"] != order:
        return "it belongs to other images or settings"
    average, steps = rest["loss"]
    max_lr = tuple(rest["max_lr"]) if isinstance(rest["max_lr"], list) else rest["max_lr"]
    return State(
        rest["stage"],
        rest["epoch"],
        max_lr,
        safetensors.torch.load(content),
        SmoothedLoss(average, steps),
        rest["scaler"],
    )
