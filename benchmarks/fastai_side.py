"""One measured training of fastai's, in a process of its own: ``python -m benchmarks.fastai_side JOB RESULT``.

Runs in an interpreter that has fastai and needs nothing of ours but
``benchmarks.measuring``. The learner is the one that fastai's ``vision_learner``
would make, put together from fastai's own parts since that function has no place
for weights of another origin than the internet.
"""

import sys
import time
from pathlib import Path
from typing import Any

import fastai.vision.all  # noqa: F401  # gives the learner its methods, as everybody's import does
import timm
import torch
import torchvision
from fastai.callback.training import BnFreeze
from fastai.data.block import CategoryBlock, DataBlock
from fastai.data.transforms import IndexSplitter
from fastai.learner import Learner
from fastai.metrics import error_rate
from fastai.torch_core import set_seed
from fastai.vision.augment import Normalize, Resize, aug_transforms
from fastai.vision.data import ImageBlock
from fastai.vision.learner import TimmBody, add_head, create_body, default_split, model_meta
from safetensors.torch import load_file

from backend.domain.json import Json
from benchmarks import measuring


def measure(job: dict[str, Json]) -> dict[str, Json]:
    """Train as the job says, from the files on."""
    begun = time.perf_counter()
    set_seed(job["seed"])
    learner = _learner(job)
    errors, seconds, memory = [], [], []
    with learner.no_bar(), learner.no_logging():
        for stage in job["stages"]:
            errors.append(_run_stage(learner, stage))
            seconds.append(time.perf_counter() - begun)
            memory.append(measuring.peak_memory())
    return {
        "seconds": seconds[-1],
        "error_rate": min(stage[-1] for stage in errors),
        "errors": errors,
        "peak_memory": memory[-1],
        "after_stages": [list(after) for after in zip(seconds, memory, strict=True)],
        "train_images": len(job["train"]),
        "valid_images": len(job["valid"]),
        "versions": measuring.versions(),
    }


def _run_stage(learner: Any, stage: dict[str, Any]) -> list[float]:  # Any: fastai has no types
    """Freeze or not, fit, and return the validation error after each epoch."""
    learner.freeze() if stage["freeze"] else learner.unfreeze()
    rate = stage["max_lr"]
    learner.fit_one_cycle(stage["epochs"], slice(*rate) if isinstance(rate, list) else rate)
    # A row is: training loss, validation loss, error.
    return [float(row[2]) for row in learner.recorder.values]


def _learner(job: dict[str, Any]) -> Any:  # Any: fastai has no types
    network, splitter = _network(job)
    # At its best: batch norm of the frozen body neither learns nor follows the small batches, by fastai's own callback.
    still = {"train_bn": False, "cbs": [BnFreeze()]} if job["best"] else {}
    return Learner(_loaders(job), network, splitter=splitter, metrics=error_rate, path=Path(job["work"]), **still)


def _loaders(job: dict[str, Any]) -> Any:  # Any: as above
    images = job["train"] + job["valid"]
    block = DataBlock(
        blocks=(ImageBlock, CategoryBlock(vocab=job["classes"])),
        get_x=_path,
        get_y=_label,
        splitter=IndexSplitter(range(len(job["train"]), len(images))),
        item_tfms=Resize(job["item_size"]),
        batch_tfms=[
            *aug_transforms(size=job["image_size"]),
            Normalize.from_stats(job["mean"], job["std"], cuda=False),
        ],
    )
    return block.dataloaders(images, bs=job["batch_size"], num_workers=job["workers"], device=torch.device("cpu"))


def _path(image: list[str]) -> Path:
    return Path(image[0])


def _label(image: list[str]) -> str:
    return image[1]


def _network(job: dict[str, Any]) -> tuple[Any, Any]:  # Any: as above
    """Body with the given weights and fastai's head, and how the two are split into layer groups."""
    weights = load_file(job["weights"])
    classes = len(job["classes"])
    if job["architecture"] == "efficientnet-lite0":
        model = timm.create_model("tf_efficientnet_lite0", pretrained=False, num_classes=0)
        model.load_state_dict({name: weights[name] for name in model.state_dict()})
        return add_head(TimmBody(model), model.num_features, classes), default_split
    build = getattr(torchvision.models, job["architecture"])
    model = build(weights=None)
    features = model.fc.in_features
    model.load_state_dict(weights)
    meta = model_meta[build]
    return add_head(create_body(model, cut=meta["cut"]), features, classes), meta["split"]


if __name__ == "__main__":
    measuring.write(Path(sys.argv[2]), measure(measuring.read(Path(sys.argv[1]))))
