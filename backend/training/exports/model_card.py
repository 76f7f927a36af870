"""A model card: the README of a model in the form of the Hugging Face Hub, with every figure from the record."""

import json
from collections.abc import Iterator, Mapping
from typing import Final

from backend.domain.json import Json
from backend.domain.results import ClassReport, accuracy_words, proportion_words
from backend.imaging.preprocessing import Preprocessing
from backend.interpretation.service import Summary
from backend.training.exports.facts import RunFacts
from backend.training.exports.texts import in_markdown
from backend.training.run_page.log import rate_words
from backend.version import version as program_version

_MOST_CLASSES: Final = 1_000
"""Classes of which each has a line; a model with more says so instead."""
_CODE: Final = """```python
import numpy as np
import onnxruntime
from PIL import Image, ImageOps

image = ImageOps.exif_transpose(Image.open("picture.jpg")).convert("RGB")
scale = {resize_to} / min(image.size)
image = image.resize([max({resize_to}, round(side * scale)) for side in image.size], Image.Resampling.BILINEAR)
left, top = (image.width - {size}) // 2, (image.height - {size}) // 2
pixels = np.asarray(image.crop((left, top, left + {size}, top + {size})), np.float32) / 255

session = onnxruntime.InferenceSession("model.onnx")
(probabilities,) = session.run(None, {{"images": pixels.transpose(2, 0, 1)[None]}})
print(session.get_modelmeta().custom_metadata_map["classes"], probabilities[0])
```"""


def model_card(facts: RunFacts, summary: Summary) -> str:
    """The card; ``summary`` is of the model's answers to the validation pictures."""
    body = "\n\n".join(_sections(facts, summary))
    return f"---\n{_front_matter(facts, summary)}---\n\n{body}\n"


def _front_matter(facts: RunFacts, summary: Summary) -> str:
    accuracy = 1 - summary.error_rate
    result = {
        "task": {"type": "image-classification", "name": "Image Classification"},
        "dataset": {
            "type": "imagefolder",
            "name": f"{facts.run.dataset_name}, version {facts.version.number}",
            "split": "validation",
            "revision": facts.version.id,
        },
        "metrics": [
            {"type": "accuracy", "name": "Accuracy", "value": round(accuracy, 6)},
            {"type": "loss", "name": "Cross entropy", "value": round(summary.loss, 6)},
        ],
    }
    known: dict[str, Json] = {
        "pipeline_tag": "image-classification",
        "library_name": "onnx",
        # Whoever publishes the model chooses; the hub knows no word for a licence that isn't chosen yet.
        "license": "other",
        "license_name": "not-chosen-yet",
        "tags": ["image-classification", "tellapart", facts.config.architecture],
        "model-index": [{"name": facts.name, "results": [result]}],
    }
    # JSON is YAML too, and every name that somebody gave stays a string in it.
    return "".join(f"{name}: {json.dumps(value)}\n" for name, value in known.items())


def _sections(facts: RunFacts, summary: Summary) -> Iterator[str]:
    entry, classes = facts.config.entry, facts.classes
    yield f"# {in_markdown(facts.name)}"
    yield (
        f"Tells {len(classes):,} classes of pictures apart: {entry.title}, pretrained on ImageNet and trained further "
        f"with Tellapart. On {summary.images:,} pictures held out for validation it is "
        f"{accuracy_words(summary.errors, summary.images)}."
    )
    yield _limits(facts, summary)
    yield "## How to use it"
    yield _CODE.format(**_sizes(facts))
    yield (
        "`model.onnx` holds the classes, the preprocessing in full and a check against the trained model in its "
        "metadata; it divides by the standard deviation itself. `model.safetensors` holds the weights for PyTorch, and "
        "`notebook.ipynb` the code that builds the network and repeats the training."
    )
    yield "## Results by class"
    yield _class_table(summary)
    yield "## Training"
    yield _training(facts)
    yield "## Pictures and licences"
    yield _licences(facts)
    yield "## Made with"
    yield _made_with(facts)


def _sizes(facts: RunFacts) -> Mapping[str, int]:
    steps = Preprocessing.from_json(dict(facts.checkpoint.preprocessing))
    return {"size": steps.size, "resize_to": steps.resize_to}


def _limits(facts: RunFacts, summary: Summary) -> str:
    learnt_from = sum(of_class.get("train", 0) for of_class in facts.version.counts.values())
    lines = [
        "## Limits",
        *(f"- {sentence}" for sentence in facts.confidence.in_words(len(facts.classes))),
        f"- It learnt from {learnt_from:,} pictures; on pictures taken in another way it may be worse than here.",
        "- The figures count how often it agrees with the labels; where a label is wrong, so is the count.",
        "- The best of its epochs and stages was chosen on the validation pictures, so the figures are slightly high.",
    ]
    if "test" in facts.checkpoint.metrics:
        test = facts.checkpoint.metrics["test"]
        lines[-1] = f"- On {test['images']:,} test pictures that nothing was chosen by: {_right(test)}."
    if untested := sum(not report.images for report in summary.per_class):
        lines.append(f"- {untested:,} of its classes have no validation picture, so nothing is known of them.")
    return "\n".join([lines[0], "", *lines[1:]])


def _right(metrics: Mapping[str, Json]) -> str:
    return accuracy_words(int(metrics["errors"]), int(metrics["images"]))


def _class_table(summary: Summary) -> str:
    if len(summary.per_class) > _MOST_CLASSES:
        return f"{len(summary.per_class):,} classes; the report of the training has the worst of them."
    head = ["| class | pictures | found (recall) | right when named (precision) |", "| --- | ---: | ---: | ---: |"]
    return "\n".join([*head, *map(_class_row, summary.per_class)])


def _class_row(report: ClassReport) -> str:
    def share(count: int, of: int) -> str:
        return proportion_words(count, of).share if of else "–"

    found, right = share(report.correct, report.images), share(report.correct, report.predicted)
    return f"| {in_markdown(report.name)} | {report.images:,} | {found} | {right} |"


def _training(facts: RunFacts) -> str:
    config = facts.config
    lines = [
        f"- Network: {config.entry.title} with the weights {in_markdown(config.weights)}, recipe {config.recipe}, "
        f"pictures of {config.image_size} pixels, batches of {config.batch_size}, seed {config.seed}."
    ]
    for done in facts.stages:
        what = "the head alone" if done.stage.freeze else "all layers"
        rate = rate_words(done.stage.peak)
        lines.append(f"- Stage {done.number + 1}: {what}, {len(done.epochs)} epochs, one cycle up to {rate}.")
    return "\n".join(lines)


def _licences(facts: RunFacts) -> str:
    lines = [
        f"- “{in_markdown(facts.run.dataset_name)}”, version {facts.version.number}: "
        f"{sum(sum(of_class.values()) for of_class in facts.version.counts.values()):,} pictures."
    ]
    if facts.sample:
        lines.append(f"- The pictures are {in_markdown(facts.sample.title)}: {in_markdown(facts.sample.licence)}.")
        lines.append(f"- To cite: {in_markdown(facts.sample.citation)}")
    if facts.config.entry.license:
        lines.append(f"- Licence of the pretrained weights: {in_markdown(facts.config.entry.license)}.")
    lines.append("- Whoever publishes this model chooses its licence, and respects those of pictures and weights.")
    return "\n".join(lines)


def _made_with(facts: RunFacts) -> str:
    return "\n".join(
        [
            f"- Tellapart {program_version()}",
            f"- Training `{facts.run.id}`, model `{facts.checkpoint.id}`, version of the pictures `{facts.version.id}`",
            f"- SHA-256 of the weights: `{facts.checkpoint.sha256}`",
        ]
    )
