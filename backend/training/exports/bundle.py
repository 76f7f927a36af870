"""A model as a folder for a model hub: card, both model files, configuration and notebook, in one ZIP."""

import json
from contextlib import suppress

from sqlalchemy.orm import Session
from zipstream import ZIP_STORED, ZipStream

from backend.domain.architectures import Architecture
from backend.storage.base import Storage
from backend.training.confidence.chosen import with_settings
from backend.training.exports.documents import card_of, notebook_of
from backend.training.exports.facts import RunFacts
from backend.training.exports.notebook import Library, NotebookUnavailable
from backend.training.find import checkpoint_folder
from backend.training.model_files import ModelFile, verified


def bundle(session: Session, storage: Storage, facts: RunFacts) -> ZipStream:
    """The ZIP, which is made while it is read; its length is known before.

    Raises:
        FileNotFoundError: a model file isn't where it was kept.
        ModelDamaged: one isn't what was written.
        NothingTested: the model wasn't tried on any picture.
    """
    folder = checkpoint_folder(storage, facts.checkpoint)
    files = {
        "README.md": card_of(session, facts).encode(),
        "config.json": _configuration(facts),
    }
    for name, kind in (("model.onnx", ModelFile.ONNX), ("model.safetensors", ModelFile.WEIGHTS)):
        content = verified(folder, kind, facts.checkpoint.id)
        files[name] = with_settings(session, facts.checkpoint.id, kind, content)
    with suppress(NotebookUnavailable):
        files["notebook.ipynb"] = notebook_of(session, facts, Library.PYTORCH)
    archive = ZipStream(compress_type=ZIP_STORED, sized=True)
    for name, content in files.items():
        archive.add(content, name)
    return archive


def _configuration(facts: RunFacts) -> bytes:
    """``config.json`` with the field names of timm; the head is the course's, which ``head`` says."""
    steps, entry = facts.checkpoint.preprocessing, facts.config.entry
    size = int(steps["size"])
    content = {
        "architecture": _timm_name(entry),
        "num_classes": len(facts.classes),
        "num_features": entry.features,
        "label_names": list(facts.classes),
        "pretrained_cfg": {
            "input_size": [3, size, size],
            "interpolation": "bilinear",
            "crop_pct": facts.config.crop_share,
            "crop_mode": "center",
            "mean": steps["mean"],
            "std": steps["std"],
        },
        "head": facts.written.get("head"),
        "preprocessing": steps,
    }
    return (json.dumps(content, ensure_ascii=False, indent=2) + "\n").encode()


def _timm_name(entry: Architecture) -> str:
    if entry.name.startswith("efficientnet-lite"):
        return "tf_" + entry.name.replace("-", "_")
    return entry.name
