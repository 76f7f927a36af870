"""Which parts of a picture an answer came from: the score of a class, divided among the positions of the feature map.

Source: HiResCAM (Draelos and Carin, arXiv:2011.08891), which is Grad-CAM (Selvaraju et al., arXiv:1610.02391) without
the averaging of gradients. Our head follows one pooling, so the gradient is a few products of matrices, and the shares
of all positions add up to the score, but for what the head adds by itself (its biases).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray

FEATURE_MAP: Final = "feature_map"
"""Name of the last feature map, (N, C, h, w), inside an exported model; models without it can't be explained."""
_EPSILON: Final = 1e-5
"""Of the head's batch norm, as torch has it."""


@dataclass(frozen=True, slots=True)
class Head:
    """A network's head as numbers: batch norm, linear, ReLU, batch norm, linear (``build_head`` of the worker).

    Attributes:
        scale, shift: (F,) of the first batch norm.
        hidden: (W, F) of the first linear layer.
        outward: (K, W) of the last linear layer, less the mean of all classes, times the batch norm before it.
    """

    scale: NDArray[np.float32]
    shift: NDArray[np.float32]
    hidden: NDArray[np.float32]
    outward: NDArray[np.float32]

    @classmethod
    def of(cls, tensors: Mapping[str, NDArray[Any]]) -> Self:  # Any: float32, by their names in the checkpoint
        """From a checkpoint's tensors.

        Raises:
            KeyError: they are of another head.
        """
        scale, shift = _batch_norm(tensors, "head.0")
        inner, _ = _batch_norm(tensors, "head.4")
        last = tensors["head.6.weight"]
        # What is added to the scores of all classes alike changes no answer, so it isn't evidence for any of them.
        return cls(scale, shift, tensors["head.2.weight"], (last - last.mean(axis=0)) * inner)

    def gradient(self, features: NDArray[np.float32], target: int) -> NDArray[np.float32]:
        """(F,): how a class's score, less the mean of all scores, changes with each of the (F,) pooled features."""
        is_active = self.hidden @ (self.scale * features + self.shift) > 0
        found: NDArray[np.float32] = self.scale * ((self.outward[target] * is_active) @ self.hidden)
        return found


def _batch_norm(tensors: Mapping[str, NDArray[Any]], name: str) -> tuple[NDArray[Any], NDArray[Any]]:
    scale = tensors[f"{name}.weight"] / np.sqrt(tensors[f"{name}.running_var"] + np.float32(_EPSILON))
    return scale, tensors[f"{name}.bias"] - tensors[f"{name}.running_mean"] * scale


def attribution(feature_map: NDArray[np.float32], head: Head, target: int) -> NDArray[np.float32]:
    """(h, w): the share of each position of a (C, h, w) feature map in the score of a class; negative: against it."""
    channels = feature_map.reshape(len(feature_map), -1)
    peaks = channels.max(axis=1)
    of_peaks, of_means = np.split(head.gradient(np.concatenate([peaks, channels.mean(axis=1)]), target), 2)
    is_peak = channels == peaks[:, None]
    # Equal maxima share, as in torch's gradient.
    gradient = of_peaks[:, None] * is_peak / is_peak.sum(axis=1, keepdims=True) + of_means[:, None] / channels.shape[1]
    shares: NDArray[np.float32] = (channels * gradient).sum(axis=0).reshape(feature_map.shape[1:]).astype(np.float32)
    return shares


def evidence(shares: NDArray[np.float32]) -> NDArray[np.float32]:
    """What speaks for a class, in 0 to 1 with the strongest position at 1; zeros where nothing does."""
    positive = np.maximum(shares, np.float32(0))
    scaled: NDArray[np.float32] = positive / max(positive.max(), np.finfo(np.float32).tiny)
    return scaled
