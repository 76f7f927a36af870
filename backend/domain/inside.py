"""What the units of a trained network respond to: an order to measure it, and what was found.

The idea is that of Zeiler & Fergus, "Visualizing and Understanding Convolutional Networks", arXiv:1311.2901: show the
parts of pictures that a unit responds to most. A *unit* is one channel of a block's output.
"""

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final

from backend.domain.ids import Digest

FORMAT: Final = 1
"""Raised when something else is measured or drawn, so that what is kept is made anew."""
MOST_IMAGES: Final = 1_000
"""Pictures that are looked at; of more, every n-th."""
UNITS: Final = 12
"""Units that are shown of a block."""
PATCHES: Final = 9
"""Patches that are shown of a unit: a square of three by three."""

ORDER_FILE: Final = "order.json"
PROGRESS_FILE: Final = "progress.json"
FAILURE_FILE: Final = "failure.json"
RESULT_FILE: Final = "inside.json"


class When(StrEnum):
    """Of which weights a picture was made."""

    BEFORE = "before"
    """The pretrained ones."""
    AFTER = "after"
    """Those of the checkpoint."""


class Comparison(StrEnum):
    """How the pretrained layers of a checkpoint differ from what they were before training."""

    CHANGED = "changed"
    BATCH_NORM = "batch-norm"
    """Only batch norm learnt; every filter is as it was."""
    UNCHANGED = "unchanged"
    UNAVAILABLE = "unavailable"
    """The pretrained weights aren't on this machine."""


@dataclass(frozen=True, slots=True)
class Box:
    """A part of the square that the network sees, in pixels; ``right`` and ``bottom`` are the first ones outside."""

    left: int
    top: int
    right: int
    bottom: int


@dataclass(frozen=True, slots=True)
class Patch:
    """Where a picture excites a unit most. ``activation`` is the unit's output there."""

    image_id: str
    label: str
    box: Box
    activation: float


@dataclass(frozen=True, slots=True)
class Unit:
    """One channel of a block.

    Attributes:
        number: index of the channel.
        class_share: share of the variation of its activation between pictures that their classes explain, in 0 to 1.
        agreement: correlation, over the pictures, of its activations before and after training; None where the
            pretrained network wasn't asked, or where one of both doesn't vary.
        patches: of different pictures, the most exciting first.
        patches_before: the same of the pretrained network; empty where nothing changed.
    """

    number: int
    class_share: float
    agreement: float | None
    patches: tuple[Patch, ...]
    patches_before: tuple[Patch, ...]


@dataclass(frozen=True, slots=True)
class Block:
    """One block of the pretrained layers.

    Attributes:
        number: from 1, lowest first.
        name: as the network's own code calls it.
        units_total: channels of its output.
        has_tokens: whether its positions are a transformer's tokens, which know the whole picture.
        patch_side: side of its patches, in pixels of the square that the network sees.
        class_share: median of all its units'.
        weight_change: length of the difference of its weights, of those before; batch norm is left out.
        activation_change: 1 less the mean of all its units' ``agreement``.
        units: those that are shown, whose activation differs most between classes first.
    """

    number: int
    name: str
    units_total: int
    has_tokens: bool
    patch_side: int
    class_share: float
    weight_change: float | None
    activation_change: float | None
    units: tuple[Unit, ...]


@dataclass(frozen=True, slots=True)
class Filters:
    """The filters of the first layer: ``shown`` are the numbers of those drawn, row by row, of ``total``.

    ``side``: pixels of one; ``change``: length of their difference from those before training, of those before.
    """

    layer: str
    shown: tuple[int, ...]
    total: int
    side: int
    change: float | None


@dataclass(frozen=True, slots=True)
class Inside:
    """What was found.

    Attributes:
        images: pictures that were looked at; ``unreadable`` more couldn't be read.
        view_side: side of the square that the network sees, in pixels.
        filters: None where the first layer isn't a convolution over RGB.
        blocks: lowest first; ``blocks_total`` are there.
    """

    images: int
    unreadable: int
    view_side: int
    seconds: float
    comparison: Comparison
    filters: Filters | None
    blocks: tuple[Block, ...]
    blocks_total: int


@dataclass(frozen=True, slots=True)
class SampleImage:
    """A picture that is looked at."""

    id: str
    digest: Digest
    label: str


@dataclass(frozen=True, slots=True)
class InsideOrder:
    """All that the process needs.

    Attributes:
        checkpoint: folder of the checkpoint.
        weights: name of the pretrained weights to compare with; None where they aren't on this machine.
        weights_folder: where they lie.
        storage: root of the storage that has the pictures.
        folder: gets the pictures, and last ``inside.json``.
    """

    checkpoint: Path
    weights: str | None
    weights_folder: Path
    storage: Path
    images: tuple[SampleImage, ...]
    folder: Path


def filters_file(when: When) -> str:
    """Name of the picture of the first layer's filters."""
    return f"filters-{when}.png"


def unit_file(block: int, unit: int, when: When) -> str:
    """Name of the picture of a unit's patches; ``block`` counts from 1."""
    return f"block-{block}-unit-{unit}-{when}.webp"
