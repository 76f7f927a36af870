"""How much memory a training needs at its peak, known before it starts.

The figures were measured with ``python -m benchmarks.forecast`` as the largest resident size
of the engine's process, on a processor. On a GPU nothing has been measured yet; there the same
parts are added up with the sizes that CUDA's own libraries are known to take.
"""

from typing import Final

from backend.domain.architectures import Architecture
from backend.domain.training import Precision, Stage, TrainingConfig

_FLOAT: Final = 4
_ADAM: Final = 3
"""Gradient and two moments, beside each parameter that is trained."""
_PIXELS_AT: Final = 224

_ACTIVATIONS: Final = {
    "efficientnet-lite0": 77_000_000,
    "efficientnet-lite1": 100_000_000,
    "efficientnet-lite2": 105_000_000,
    "resnet18": 21_000_000,
    "resnet34": 25_000_000,
    "resnet50": 80_000_000,
}
"""Bytes of activations of an image of 224 pixels until its gradient is computed; Lite1's and Lite2's by Lite0's."""

_BYTES_OF_ACTIVATION: Final = 8
"""Kept of each number that a layer with weights puts out: itself, and often its normalised value."""

_PROGRAM: Final = 1_000_000_000
"""Python, torch and their buffers."""
_SAVING: Final = 3
"""Copies of all that is trained, while a state is written."""
_COMPUTING_FEATURES: Final = 1_600_000_000
"""The program and the one that runs frozen layers fastest."""
_EXPORTING: Final = 1_200_000_000
"""The program, the exporter and the comparison of its answers."""
_EXPORTED: Final = 5
"""Copies of the network meanwhile."""

_ON_GPU: Final = 700_000_000
"""CUDA's context and the workspace of its libraries."""
_HALF: Final = 0.6
"""Size of the activations in a lower precision; some layers stay in float32."""
_HEAD: Final = 512


def memory_needed(config: TrainingConfig, device: str, *, images: int | None = None) -> int:
    """Bytes at the peak: the size of the process on a processor, what is taken of a GPU's memory on ``cuda``.

    ``images`` to learn from are the most that a batch can have.
    """
    on_gpu = device.startswith("cuda")
    batch = config.batch_size if images is None else min(config.batch_size, images)
    return round(max(_of_stage(config, stage, batch, on_gpu=on_gpu) for stage in config.stages))


def _of_stage(config: TrainingConfig, stage: Stage, batch: int, *, on_gpu: bool) -> float:
    network, head = config.entry.parameters, _head(config.entry)
    learning = head if stage.freeze else network
    held = _FLOAT * (network + _ADAM * learning)
    learns: float = held
    if not stage.features_are_constant:
        learns += _activations(config, stage, on_gpu=on_gpu) * batch
    if on_gpu:
        return _ON_GPU + learns
    saves = held + _SAVING * _FLOAT * _ADAM * learning
    exports = _EXPORTING + _EXPORTED * _FLOAT * network
    computes_features = _COMPUTING_FEATURES + _FLOAT * network if stage.features_are_constant else 0.0
    return max(_PROGRAM + learns, _PROGRAM + saves, exports, computes_features)


def _activations(config: TrainingConfig, stage: Stage, *, on_gpu: bool) -> float:
    """Bytes of an image's activations."""
    entry = config.entry
    # A network that was never measured counts by what its layers put out, else by its weights.
    uncounted = _BYTES_OF_ACTIVATION * entry.activations or 3 * entry.parameters
    at_usual_size = _ACTIVATIONS.get(config.architecture, uncounted)
    size = stage.image_size or config.image_size
    is_halved = on_gpu and config.precision is not Precision.FLOAT32
    trained = 1.0
    if not stage.freeze:
        # Frozen blocks keep no activations, only their output.
        blocks = entry.blocks
        trained -= min(stage.frozen_blocks, blocks - 1) / blocks
    return at_usual_size * (size / _PIXELS_AT) ** 2 * (_HALF if is_halved else 1.0) * trained


def _head(architecture: Architecture) -> int:
    """Parameters of the course's head, nearly all of them in its first layer."""
    return 2 * architecture.features * _HEAD
