"""The trained network as one ONNX file, proved to answer the same."""

import copy
import json
import warnings
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import numpy as np
import onnx
import onnx.compose
import onnxruntime
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.jit._trace import TracerWarning

from backend.domain.attribution import FEATURE_MAP
from backend.imaging.preprocessing import Preprocessing
from worker.engine.checkpoints.durable import kept, sha256
from worker.engine.checkpoints.metadata import ModelFacts, Parity, onnx_metadata
from worker.engine.data.source import to_input
from worker.engine.errors import ExportDiffers
from worker.engine.network.architectures import Classifier
from worker.engine.network.identity import identity_of
from worker.engine.network.timm_backbones import fix_input_size, has_tokens

OPSET: Final = 17
PARITY_IMAGES: Final = 16
"""Enough to prove an export, at a quarter of the time of 64 (measured: 0.9 s of a core instead of 3)."""
_COMPARED_AT_ONCE: Final = 16
ALLOWED_DIFFERENCE: Final = 1e-3
_BODY_FORMAT: Final = "images 2"


@dataclass(frozen=True, slots=True)
class Export:
    """An ONNX file's bytes, and how its answers compare with those of the trained network."""

    onnx: bytes
    parity: Parity


class _Body(nn.Module):
    """``(N, 3, H, W)`` RGB in [0, 1] -> (N, F) features, (N, C, h, w) feature map; normalisation is inside."""

    mean: Tensor
    std: Tensor

    def __init__(self, model: Classifier, preprocessing: Preprocessing) -> None:
        super().__init__()
        self.model = model
        self.register_buffer("mean", torch.tensor(preprocessing.mean).view(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor(preprocessing.std).view(1, 3, 1, 1))

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        feature_map = self.model.backbone((images - self.mean) / self.std)
        return self.model.pool(feature_map), feature_map


class _Head(nn.Module):
    """(N, F) features -> (N, K) probabilities."""

    def __init__(self, model: Classifier) -> None:
        super().__init__()
        self.head = model.head

    def forward(self, features: Tensor) -> Tensor:
        return torch.softmax(self.head(features), dim=1)


def export(model: Classifier, facts: ModelFacts, pixels: Tensor, *, bodies: Path | None = None) -> Export:
    """Export and compare on ``pixels``, (N, H, W, 3) uint8 as the network sees real images.

    Args:
        bodies: the folder where the exported backbone is kept for the next model that has the same; None keeps none.

    Raises:
        ExportDiffers: by more than 0.001 in a probability.
    """
    # A copy on the processor: what is exported must not depend on where the training ran.
    model = copy.deepcopy(model).to("cpu", memory_format=torch.contiguous_format).eval()  # type: ignore[call-overload]
    fix_input_size(model, facts.preprocessing.size)
    content = _joined(exported_body(model, facts.preprocessing, bodies), _exported_head(model))
    parity = _compare(content, model, facts.preprocessing, pixels)
    # Not "greater than": a difference that is not a number must not pass.
    if not parity.max_difference <= ALLOWED_DIFFERENCE:
        raise ExportDiffers(parity.max_difference, ALLOWED_DIFFERENCE)
    return Export(_with_metadata(content, onnx_metadata(facts, parity)), parity)


def exported_body(model: Classifier, preprocessing: Preprocessing, folder: Path | None = None) -> bytes:
    """The ONNX file of all but the head, kept in the folder: the longest part of an export, and mostly the same.

    The model must be on the processor and in evaluation mode.
    """
    body = _Body(model, preprocessing)
    size = preprocessing.size

    def made() -> bytes:
        # Each of a transformer's tokens knows the whole image: its position says little of where something was seen.
        last = "tokens" if has_tokens(model.backbone, size) else FEATURE_MAP
        return _exported(body, torch.zeros(2, 3, size, size), "images", "features", last)

    if folder is None:
        return made()
    key = f"{identity_of(model.backbone)} {preprocessing} {torch.__version__} {OPSET} {_BODY_FORMAT}"
    return kept(folder / f"layers-{sha256(key.encode())[:32]}.onnx", made)


def _exported_head(model: Classifier) -> bytes:
    features = next(module for module in model.head.modules() if isinstance(module, nn.BatchNorm1d)).num_features
    return _exported(_Head(model), torch.zeros(2, features), "features", "probabilities")


def _exported(module: nn.Module, example: Tensor, given: str, *answered: str) -> bytes:
    with TemporaryDirectory() as folder, warnings.catch_warnings():
        # The newer exporter takes nine times as long (5.8 s to 0.6 s, torch 2.14) for the same answers.
        warnings.filterwarnings("ignore", category=DeprecationWarning)
        # Sides of pictures are fixed in the file: only the number of pictures varies.
        warnings.filterwarnings("ignore", category=TracerWarning)
        file = Path(folder) / "part.onnx"
        torch.onnx.export(
            module.eval(),
            (example,),
            str(file),
            input_names=[given],
            output_names=list(answered),
            dynamic_axes={name: {0: "N"} for name in (given, *answered)},
            opset_version=OPSET,
            dynamo=False,
        )
        return file.read_bytes()


def _joined(body: bytes, head: bytes) -> bytes:
    below, above = onnx.load_model_from_string(body), onnx.load_model_from_string(head)
    # Both number their tensors; the names of what goes in and comes out are known to others.
    above = onnx.compose.add_prefix(above, "head/", rename_inputs=False, rename_outputs=False)
    whole = onnx.compose.merge_models(below, above, io_map=[("features", "features")])
    # It lists the operators of each part.
    del whole.opset_import[1:]
    # The feature map stays a tensor inside, known by its name: programs that use the file expect one output.
    del whole.graph.output[:-1]
    return bytes(whole.SerializeToString())


def _with_metadata(content: bytes, metadata: dict[str, str]) -> bytes:
    model = onnx.load_model_from_string(content)
    onnx.helper.set_model_props(model, metadata)
    model.doc_string = "\n".join(json.loads(metadata["usage"]))
    return bytes(model.SerializeToString(deterministic=True))


def _compare(content: bytes, model: Classifier, preprocessing: Preprocessing, pixels: Tensor) -> Parity:
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    # A few at a time: all at once would be the most memory that a small training takes.
    parts = torch.split(pixels, _COMPARED_AT_ONCE)
    answered = np.concatenate([_by_runtime(session, part) for part in parts])
    expected = np.concatenate([_by_torch(model, preprocessing, part) for part in parts])
    return Parity(
        max_difference=float(np.abs(answered - expected).max()),
        agreement=float((answered.argmax(axis=1) == expected.argmax(axis=1)).mean()),
        images=len(pixels),
    )


def _by_runtime(session: onnxruntime.InferenceSession, pixels: Tensor) -> NDArray[np.float32]:
    images = (pixels.float() / 255).permute(0, 3, 1, 2).contiguous()
    (answered,) = session.run(["probabilities"], {"images": images.numpy()})
    return answered  # type: ignore[no-any-return]  # what a session answers is Any


def _by_torch(model: Classifier, preprocessing: Preprocessing, pixels: Tensor) -> NDArray[np.float32]:
    with torch.no_grad():
        logits = model(to_input(pixels, preprocessing, torch.device("cpu")))
    return torch.softmax(logits, dim=1).numpy()
