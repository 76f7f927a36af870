"""An order of classes in which those that are mixed up stand side by side."""

import numpy as np
from numpy.typing import NDArray


def order_by_likeness(matrix: NDArray[np.int64]) -> list[int]:
    """Places of the K classes, so that families of confused classes form blocks of the matrix.

    Pairs are joined end to end, the most confused first, as in the greedy
    construction of a tour; what remains apart is strung together in the given order.

    Args:
        matrix: (K, K) image counts, rows actual, columns predicted.
    """
    images = np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    shares = matrix / images
    likeness = np.triu(shares + shares.T, k=1)
    chain_of: dict[int, list[int]] = {k: [k] for k in range(len(matrix))}
    # Stable, so that equal pairs are joined in the order of the classes.
    for place in np.argsort(-likeness, axis=None, kind="stable"):
        one, other = divmod(int(place), len(matrix))
        if likeness[one, other] == 0:
            break
        _join(chain_of, one, other)
    joined: dict[int, list[int]] = {id(chain): chain for chain in chain_of.values()}
    return [k for chain in joined.values() for k in chain]


def _join(chain_of: dict[int, list[int]], one: int, other: int) -> None:
    """Join two chains at these classes, if both stand at an end of different chains."""
    first, second = chain_of[one], chain_of[other]
    if first is second or one not in (first[0], first[-1]) or other not in (second[0], second[-1]):
        return
    if first[-1] != one:
        first.reverse()
    if second[0] != other:
        second.reverse()
    first.extend(second)
    for k in second:
        chain_of[k] = first
