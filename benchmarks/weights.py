"""The weights that both sides start from: ``python -m benchmarks.weights ARCHITECTURE FOLDER WORK RESULT``.

In a process of its own, so that the one which starts the measured runs stays
small: a started process counts the memory of the one that started it as its own.
"""

import hashlib
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import timm
import torch
import torchvision
from safetensors.torch import save_file
from torch import Tensor

from backend.domain.architectures import ARCHITECTURES
from backend.domain.json import Json
from backend.weights import is_available
from benchmarks import measuring
from worker.engine.network import weights
from worker.engine.order import NeverStop

_SEED: Final = 1


def prepare(architecture: str, folder: Path, work: Path) -> dict[str, Json]:
    """Weights of the folder or package for fastai to read too; where there are none, drawn ones for both.

    With drawn weights only the speed means something.
    """
    entry = ARCHITECTURES[architecture]
    source = entry.weights[0]
    work.mkdir(parents=True, exist_ok=True)
    given: dict[str, Any] = {"architecture": architecture, "kind": source.name, "folder": str(folder)}
    if is_available(source, folder):
        tensors = weights.load(entry, source, folder, on_event=lambda event: None, stop=NeverStop())
    else:
        tensors = _drawn(architecture)
        given |= {"kind": "random", "folder": str(work), **_write_for_us(tensors, work, architecture)}
    file = work / f"{architecture}.safetensors"
    save_file({name: tensor.contiguous() for name, tensor in _by_name(architecture, tensors).items()}, file)
    return {**given, "safetensors": str(file)}


def _drawn(architecture: str) -> Mapping[str, Tensor]:
    torch.manual_seed(_SEED)
    return torchvision.models.get_model(architecture, weights=None).state_dict()  # type: ignore[no-any-return]


def _write_for_us(tensors: Mapping[str, Tensor], work: Path, architecture: str) -> dict[str, str]:
    """A file that our engine takes for downloaded weights, named by its hash."""
    unnamed = work / f"{architecture}.pth"
    torch.save(dict(tensors), unnamed)
    sha256 = hashlib.sha256(unnamed.read_bytes()).hexdigest()[:8]
    file = unnamed.rename(work / f"{architecture}-{sha256}.pth")
    return {"file_name": file.name, "sha256": sha256}


def _by_name(architecture: str, tensors: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
    """The tensors by the names of the network's own library."""
    if architecture != "efficientnet-lite0":
        return tensors
    # The package names its layers differently, but lists the same tensors in the same order.
    names = timm.create_model("tf_efficientnet_lite0", pretrained=False).state_dict().keys()
    return dict(zip(names, tensors.values(), strict=True))


if __name__ == "__main__":
    measuring.write(Path(sys.argv[4]), prepare(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])))
