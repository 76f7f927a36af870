"""Checkpoints: all that prediction and further training need, in one folder.

``weights.safetensors`` and ``model.onnx``, each with classes, preprocessing and parity in its
metadata, ``checkpoint.json`` (all the rest), ``parity.json``, and per evaluated split
``predictions*.safetensors`` with the image ids beside it in JSON. No pickle, nothing that runs code.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import safetensors.numpy
import safetensors.torch
from numpy.typing import NDArray
from torch import Tensor

from backend.domain.json import Json
from backend.domain.results import Evaluation
from backend.domain.training import TrainingConfig
from backend.imaging.preprocessing import Preprocessing
from worker.engine.checkpoints.durable import disk_full_named, new_folder, sha256, write_file
from worker.engine.checkpoints.export import Export
from worker.engine.checkpoints.metadata import (
    ModelFacts,
    Parity,
    safetensors_metadata,
    with_safetensors_metadata,
)
from worker.engine.errors import CheckpointUnusable
from worker.engine.network.architectures import HEAD_WIDTH, Classifier

FORMAT: Final = 1


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A checkpoint read back.

    Attributes:
        content: ``checkpoint.json``, JSON values.
        weights: tensors by parameter name, on the CPU.
        parity: how the exported model compares.
    """

    content: Mapping[str, Json]
    weights: Mapping[str, Tensor]
    parity: Parity

    @property
    def classes(self) -> tuple[str, ...]:
        """K names in the order of the network's outputs."""
        return tuple(self.content["classes"])

    @property
    def lineage_stages(self) -> int:
        """Stages that led to these weights, in all trainings of their lineage.

        Checkpoints of earlier versions know only those of their own training.
        """
        return int(self.content.get("stages_before", 0)) + int(self.content["stage"]) + 1


def weights_of(model: Classifier) -> bytes:
    """The network's tensors as a safetensors file."""
    return safetensors.torch.save({name: tensor.cpu().contiguous() for name, tensor in model.state_dict().items()})


def write(
    folder: Path,
    weights: bytes,
    *,
    config: TrainingConfig,
    stage: int,
    epoch: int,
    stages_before: int,
    preprocessing: Preprocessing,
    evaluations: Mapping[str, Evaluation],
    features: int,
    export: Export,
    is_within_chance: bool = False,
) -> None:
    """Write a checkpoint folder, whole or not at all; ``evaluations`` by split, ``valid`` among them.

    ``is_within_chance``: of ``backend.domain.results.model_rank``, which chooses among a run's models.

    Raises:
        DiskFull: nothing was written.
    """
    valid = evaluations["valid"]
    head = {
        "features": 2 * features,
        "width": HEAD_WIDTH,
        "classes": len(valid.classes),
        "last_layer_bias": config.last_layer_bias,
    }
    facts = ModelFacts(config.architecture, valid.classes, preprocessing)
    metrics = {split: _metrics(evaluation) for split, evaluation in evaluations.items()}
    if is_within_chance:
        metrics["valid"]["is_within_chance"] = True
    file = with_safetensors_metadata(weights, safetensors_metadata(facts, head, export.parity))
    content = {
        "format": FORMAT,
        "architecture": config.architecture,
        "classes": list(valid.classes),
        "preprocessing": preprocessing.to_json(),
        "stage": stage,
        "epoch": epoch,
        # Of earlier trainings in the lineage; the random numbers of a stage follow from its number there.
        "stages_before": stages_before,
        "config": config.model_dump(mode="json"),
        "head": head,
        # The answers are mixed from so many random views of each image and the plain one.
        "test_time_views": config.test_time_views,
        "metrics": metrics,
        "weights_sha256": sha256(file),
        # Of the file without its metadata: only the weights decide it.
        "tensors_sha256": sha256(weights),
        "onnx_sha256": sha256(export.onnx),
    }
    needed_bytes = len(file) + len(export.onnx) + sum(one.probabilities.nbytes for one in evaluations.values())
    with disk_full_named(folder.parent, needed_bytes), new_folder(folder) as partial:
        write_file(partial / "weights.safetensors", file)
        write_file(partial / "model.onnx", export.onnx)
        write_file(partial / "parity.json", _json(export.parity.to_json()))
        for split, evaluation in evaluations.items():
            write_predictions(partial, split, evaluation)
        write_file(partial / "checkpoint.json", _json(content))


def read(folder: Path) -> Checkpoint:
    """Read a checkpoint without running code from it.

    Raises:
        CheckpointUnusable: missing, damaged, or of another format.
    """
    try:
        content = json.loads((folder / "checkpoint.json").read_bytes())
        parity = Parity(**json.loads((folder / "parity.json").read_bytes()))
        weights = (folder / "weights.safetensors").read_bytes()
    except (OSError, ValueError, TypeError) as error:
        raise CheckpointUnusable(folder.name, "it can't be read") from error
    if content.get("format") != FORMAT:
        raise CheckpointUnusable(folder.name, f"its format is {content.get('format')}, not {FORMAT}")
    if sha256(weights) != content["weights_sha256"]:
        raise CheckpointUnusable(folder.name, "its weights are damaged")
    return Checkpoint(content, safetensors.torch.load(weights), parity)


def _metrics(evaluation: Evaluation) -> dict[str, float | int]:
    images = len(evaluation.targets)
    return {
        "images": images,
        "errors": evaluation.errors,
        "error_rate": evaluation.errors / images,
        "loss": float(evaluation.losses.mean()),
    }


def write_predictions(folder: Path, split: str, evaluation: Evaluation) -> None:
    """Write what a checkpoint answered for the images of a split."""
    name = _predictions(split)
    tensors: dict[str, NDArray[Any]] = {  # Any: float32 and int64
        "probabilities": evaluation.probabilities,
        "targets": evaluation.targets,
    }
    write_file(folder / f"{name}.safetensors", safetensors.numpy.save(tensors))
    ids = {"classes": list(evaluation.classes), "image_ids": list(evaluation.image_ids)}
    write_file(folder / f"{name}.json", _json(ids))


def read_predictions(folder: Path, split: str = "valid") -> Evaluation:
    """What a checkpoint answered for the images of a split."""
    name = _predictions(split)
    tensors = safetensors.numpy.load_file(folder / f"{name}.safetensors")
    ids = json.loads((folder / f"{name}.json").read_bytes())
    return Evaluation(tuple(ids["classes"]), tuple(ids["image_ids"]), tensors["probabilities"], tensors["targets"])


def _predictions(split: str) -> str:
    return "predictions" if split == "valid" else f"predictions-{split}"


def _json(content: Mapping[str, Json]) -> bytes:
    return (json.dumps(content, indent=2, sort_keys=True, ensure_ascii=False) + "\n").encode()
