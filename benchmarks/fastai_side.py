"""One measured training of fastai's, in a process of its own: ``python -m benchmarks.fastai_side JOB RESULT``.

Runs in an interpreter that has fastai and needs nothing of ours but
``benchmarks.measuring``. The learner is the one that fastai's ``vision_learner``
would make, put together from fastai's own parts since that function has no
argument for weights of another origin than the internet.
"""

import sys
from pathlib import Path
from typing import Any

import fastai.vision.all  # noqa: F401  # gives the learner its methods, as everybody's import does
import timm
import torch
import torchvision
from fastai.callback.core import Callback
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
    """Run the training that the job describes; its test images, if any, are predicted while the stopwatch is paused.

    The chosen stage has the lowest validation error after its last epoch; of equal ones it is the first.
    """
    watch = measuring.Stopwatch()
    set_seed(job["seed"])
    learner = _learner(job, watch)
    errors, after, memory, tested = [], [], [], []
    with learner.no_bar(), learner.no_logging():
        for stage in job["stages"]:
            before = len(watch.epochs)
            _run_stage(learner, stage)
            errors.append([epoch["error_rate"] for epoch in watch.epochs[before:]])
            after.append(watch.elapsed)
            memory.append(measuring.peak_memory())
            if job.get("test"):
                with watch.paused():
                    tested.append(_test_error_rate(learner, job["test"]))
    kept = min(range(len(errors)), key=lambda stage: errors[stage][-1])
    return {
        "seconds": after[-1][0],
        "processor_seconds": after[-1][1],
        "error_rate": errors[kept][-1],
        "errors": errors,
        "epochs": watch.epochs,
        **({"test_error_rate": tested[kept]} if tested else {}),
        "peak_memory": memory[-1],
        "after_stages": [[seconds, held] for (seconds, _), held in zip(after, memory, strict=True)],
        "train_images": len(job["train"]),
        "valid_images": len(job["valid"]),
        "versions": measuring.versions(),
    }


def _run_stage(learner: Any, stage: dict[str, Any]) -> None:  # Any: fastai has no types
    """Freeze or not, and fit; a stage with a ``base_lr`` is fastai's own ``fine_tune``, which does both."""
    if "base_lr" in stage:
        learner.fine_tune(stage["epochs"], base_lr=stage["base_lr"])
        return
    learner.freeze() if stage["freeze"] else learner.unfreeze()
    rate = stage["max_lr"]
    learner.fit_one_cycle(stage["epochs"], slice(*rate) if isinstance(rate, list) else rate)


def _test_error_rate(learner: Any, test: list[list[str]]) -> float:  # Any: as above
    # Without a number it would guess from the items' types how many of the steps are done already.
    loader = learner.dls.test_dl(test, rm_type_tfms=0, with_labels=True)
    # Loss and error.
    return float(learner.validate(dl=loader)[1])


class _Epochs(Callback):  # type: ignore[misc]  # fastai has no types
    """Notes each epoch's result in the watch; every fit is a stage."""

    # After fastai's recorder, which is at 50.
    order = 60

    def __init__(self, watch: measuring.Stopwatch) -> None:
        self.watch, self.stage = watch, -1

    def before_fit(self) -> None:
        """Count the fits."""
        self.stage += 1

    def after_epoch(self) -> None:
        """Note, unless the test images are predicted."""
        if not self.watch.is_paused:
            _, loss, error = self.learn.final_record
            self.watch.validated(self.stage, float(error), float(loss))


def _learner(job: dict[str, Any], watch: measuring.Stopwatch) -> Any:  # Any: fastai has no types
    network, splitter = _network(job)
    # At its best: batch norm of the frozen body neither learns nor follows the small batches, by fastai's own callback.
    frozen = [BnFreeze()] if job["best"] else []
    return Learner(
        _loaders(job),
        network,
        splitter=splitter,
        metrics=error_rate,
        path=Path(job["work"]),
        train_bn=not job["best"],
        cbs=[_Epochs(watch), *frozen],
    )


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
