"""The files of a checkpoint that are handed out or asked, checked against the hashes that were written with them."""

import hashlib
import json
from enum import StrEnum
from pathlib import Path
from typing import Final

from backend.domain.errors import Unavailable


class ModelFile(StrEnum):
    """Files of a checkpoint's folder that hold the model."""

    ONNX = "model.onnx"
    WEIGHTS = "weights.safetensors"


_HASH_OF: Final = {ModelFile.ONNX: "onnx_sha256", ModelFile.WEIGHTS: "weights_sha256"}


class ModelDamaged(Unavailable):
    """A model's file isn't what was written."""

    code = "model-damaged"

    def __init__(self, checkpoint_id: str) -> None:
        super().__init__(
            "The file of this model is damaged, so its answers would be wrong.",
            advice="Bring back the data folder from a backup, or train again.",
            details={"checkpoint_id": checkpoint_id},
        )


def verified(folder: Path, file: ModelFile, checkpoint_id: str) -> bytes:
    """The content of a checkpoint's file. Folders without ``checkpoint.json`` have no hash to compare with.

    Raises:
        FileNotFoundError: the file isn't there.
        ModelDamaged: it isn't what was written.
    """
    content = (folder / file).read_bytes()
    try:
        written = json.loads((folder / "checkpoint.json").read_bytes())
        expected = written.get(_HASH_OF[file])
    except FileNotFoundError:
        return content
    except (ValueError, AttributeError) as error:
        raise ModelDamaged(checkpoint_id) from error
    if hashlib.sha256(content).hexdigest() != expected:
        raise ModelDamaged(checkpoint_id)
    return content
