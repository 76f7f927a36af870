"""Features of pictures as the examination keeps them, computed once for each set."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from backend.datasets.examine.embeddings import MAX_DIMENSIONS, unit_rows
from benchmarks.linear_heads import FrozenNetwork, View
from benchmarks.sets import PictureSet


def kept_features(files: Sequence[Path], weights: Path) -> NDArray[np.float32]:
    """(N, 128) of the embedded network: averages over the picture, in few dimensions; rows of length 1."""
    features = FrozenNetwork(View("efficientnet-lite0", 224), weights).features(files, is_mirrored=False)
    averages = features[:, features.shape[1] // 2 :]
    centred = averages - averages.mean(axis=0)
    _, vectors = np.linalg.eigh(centred.T @ centred)
    values = centred @ np.ascontiguousarray(vectors[:, ::-1][:, :MAX_DIMENSIONS])
    return unit_rows(values.astype(np.float32))


def labelled_features(one: PictureSet, weights: Path, cache: Path) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """(N, 128) features of a set's pictures and (N,) the index of each one's class.

    Args:
        cache: folder in which they are kept for the next time.
    """
    number = {name: index for index, name in enumerate(one.classes)}
    targets = np.array([number[image.label] for image in one.images], dtype=np.int64)
    file = cache / f"{one.name}-{one.fingerprint}-kept.npy"
    if not file.exists():
        np.save(file, kept_features([one.folder / image.paths[0] for image in one.images], weights))
    values: NDArray[np.float32] = np.load(file)
    return values, targets
