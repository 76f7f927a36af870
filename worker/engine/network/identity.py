"""What layers are, as a hash: equal layers with equal numbers answer the same."""

import hashlib

from torch import nn


def identity_of(layers: nn.Module) -> str:
    """A hash of the layers and all their numbers."""
    found = hashlib.sha256(str(layers).encode())
    for name, tensor in layers.state_dict().items():
        found.update(f"{name} {tuple(tensor.shape)} {tensor.dtype}".encode())
        found.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return found.hexdigest()
