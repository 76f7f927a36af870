"""What can be taken away of a model, each with one sentence that says what it is for."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy.orm import Session

from backend.datasets.versions import drawn_kind
from backend.domain.architectures import ARCHITECTURES
from backend.domain.catalogue import architecture_of
from backend.domain.results import proportion_words
from backend.imaging.preprocessing import Preprocessing
from backend.tables.training import CheckpointRow
from backend.training.run_view import RunView


@dataclass(frozen=True, slots=True)
class Offer:
    """A download, or a page where ``is_page`` is set; ``path`` is below the application's root."""

    title: str
    words: str
    path: str
    icon: str = "download"
    is_page: bool = False


def offers(session: Session, run: RunView, checkpoint: CheckpointRow) -> Sequence[Offer]:
    """Everything that there is of this model, what most people want first."""
    export = f"/api/v1/checkpoints/{checkpoint.id}/export?format="
    found = [
        Offer(
            "ONNX", f"The model for nearly every program, for phones and browsers.{_proof(checkpoint)}", f"{export}onnx"
        ),
        Offer("safetensors", "The bare weights, to continue in PyTorch.", f"{export}safetensors"),
        Offer(
            "Report",
            "Everything about this training on a few pages, to read, print or hand to somebody who wasn’t there.",
            f"/runs/{run.id}/report?checkpoint={checkpoint.id}",
            "file-text",
            is_page=True,
        ),
    ]
    if _has_notebook(session, run):
        found += [
            Offer("Notebook", "The training as short PyTorch code that repeats it, step by step.", f"{export}notebook"),
            Offer(
                "Notebook for fastai",
                "The same steps in the library of the course.",
                f"{export}notebook&library=fastai",
            ),
        ]
    return [
        *found,
        Offer(
            "Pictures with labels",
            f"Version {run.version_number} as a ZIP: a folder for each class, and the split.",
            f"/api/v1/versions/{run.version_id}/export",
        ),
        Offer(
            "Model card", "A README with figures, limits and licences, as model hubs show it.", f"{export}model-card"
        ),
        Offer("Folder for a model hub", "Model card, both model files and the notebook in one ZIP.", f"{export}hub"),
    ]


def input_words(checkpoint: CheckpointRow) -> str:
    """What goes into the model, in a sentence."""
    steps = Preprocessing.from_json(dict(checkpoint.preprocessing))
    return (
        f"What goes into the model: {steps.size} x {steps.size} pixels, RGB from 0 to 1, the picture upright, resized "
        f"so that its short side is {steps.resize_to}, and cut from the middle."
    )


def _proof(checkpoint: CheckpointRow) -> str:
    images = int(checkpoint.parity.get("images", 0))
    if not images:
        return ""
    agreement = checkpoint.parity["agreement"]
    pictures = "1 picture" if images == 1 else f"{images:,} pictures"
    if agreement == 1:
        return f" Checked: same answers as the trained model on {pictures}."
    return f" Checked on {pictures}: same answer on {proportion_words(round(agreement * images), images).share}."


def _has_notebook(session: Session, run: RunView) -> bool:
    return architecture_of(run.config).name in ARCHITECTURES and drawn_kind(session, run.version_id) is None
