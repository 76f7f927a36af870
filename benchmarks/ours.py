"""One measured training of ours, in a process of its own: ``python -m benchmarks.ours JOB RESULT``."""

import dataclasses
import hashlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np

from backend.domain.architectures import ARCHITECTURES, PretrainedWeights, WeightSource
from backend.domain.events import EpochFinished, Event
from backend.domain.ids import Digest, ImageId
from backend.domain.json import Json
from backend.domain.manifest import Manifest, ManifestImage, Split
from backend.domain.training import TrainingConfig
from backend.imaging.preprocessing import Preprocessing
from backend.imaging.tasks import network_view
from backend.prediction.models import Model
from benchmarks import measuring
from worker.engine.checkpoints import checkpoint
from worker.engine.data.folder import FolderBytes
from worker.engine.order import TrainingOrder
from worker.engine.recipe import train

NOWHERE = "http://127.0.0.1:9"
"""Weights that the folder lacks would be downloaded from here, where no server is: a benchmark downloads nothing."""
_BATCH: Final = 8
_THREADS: Final = 2


def measure(job: dict[str, Json]) -> dict[str, Json]:
    """Run the training that the job describes; its test images, if any, are predicted afterwards."""
    use_weights(job["weights"])
    watch = measuring.Stopwatch()
    manifest, open_bytes = read_lists({Split.TRAIN: job["train"], Split.VALID: job["valid"]})
    work = Path(job["work"])
    order = TrainingOrder(
        manifest=manifest,
        config=TrainingConfig.model_validate(job["config"]),
        open_bytes=open_bytes,
        output_folder=work / "output",
        state_folder=work / "states",
        weights_folder=Path(job["weights"]["folder"]),
        weights_url_base=NOWHERE,
        device="cpu",
        features_folder=Path(job["cache"]),
    )
    result = train(order, on_event=lambda event: _note(watch, event))
    seconds_total, _ = watch.elapsed
    tested = {"test_error_rate": error_rate_of(result.best.folder, job["test"])} if job.get("test") else {}
    return {
        "seconds": watch.epochs[-1]["seconds"],
        "processor_seconds": watch.epochs[-1]["processor_seconds"],
        "seconds_total": seconds_total,
        "error_rate": result.best.error_rate,
        "errors": watch.errors,
        "epochs": watch.epochs,
        **tested,
        "peak_memory": measuring.peak_memory(),
        "train_images": len(manifest.of(Split.TRAIN)),
        "valid_images": len(manifest.of(Split.VALID)),
        "versions": measuring.versions(),
    }


def _note(watch: measuring.Stopwatch, event: Event) -> None:
    if isinstance(event, EpochFinished):
        watch.validated(event.stage, event.error_rate, event.valid_loss)


def read_lists(lists: dict[Split, list[tuple[str, str]]]) -> tuple[Manifest, FolderBytes]:
    """Lists of (file, label), none of them twice, as the engine takes them."""
    files: dict[Digest, Path] = {}
    images = []
    for split, pairs in lists.items():
        for name, label in pairs:
            file = Path(name)
            digest = Digest(hashlib.sha256(file.read_bytes()).hexdigest())
            files[digest] = file
            images.append(ManifestImage(ImageId(digest[:32]), digest, file.name, label, split))
    classes = tuple(sorted({image.label for image in images}))
    return Manifest(classes, tuple(sorted(images, key=lambda image: image.digest))), FolderBytes(files)


def error_rate_of(folder: Path, test: list[tuple[str, str]]) -> float:
    """Share of the (file, label) pairs that the exported model of a checkpoint gets wrong, as the product predicts."""
    content = checkpoint.read(folder).content
    model = Model((folder / "model.onnx").read_bytes(), threads=_THREADS)
    preprocessing = Preprocessing.from_json(content["preprocessing"])
    wrong = 0
    for pairs in _batches(test):
        views = [network_view(Path(file).read_bytes(), preprocessing) for file, _ in pairs]
        predicted = np.argmax(model.probabilities(views), axis=1)
        wrong += sum(
            content["classes"][index] != label for index, (_, label) in zip(predicted.tolist(), pairs, strict=True)
        )
    return wrong / len(test)


def _batches(pairs: list[tuple[str, str]]) -> Iterator[list[tuple[str, str]]]:
    for start in range(0, len(pairs), _BATCH):
        yield pairs[start : start + _BATCH]


def use_weights(weights: dict[str, Any]) -> None:
    """Let the catalogue name the drawn weights instead of ImageNet's, where the folder doesn't have those."""
    if weights["kind"] != "random":
        return
    entry = ARCHITECTURES[weights["architecture"]]
    drawn = PretrainedWeights(
        "drawn", WeightSource.DOWNLOAD, file_name=weights["file_name"], sha256_prefix=weights["sha256"]
    )
    ARCHITECTURES[entry.name] = dataclasses.replace(entry, weights=(drawn,))


if __name__ == "__main__":
    measuring.write(Path(sys.argv[2]), measure(measuring.read(Path(sys.argv[1]))))
