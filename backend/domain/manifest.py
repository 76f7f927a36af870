"""What the engine trains on: a frozen list of images with their labels and splits."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from backend.domain.ids import Digest, ImageId


class Split(StrEnum):
    """Which part of a dataset an image belongs to."""

    TRAIN = "train"
    VALID = "valid"
    TEST = "test"


FOLDER_WORDS: Final[Mapping[Split, tuple[str, ...]]] = {
    Split.TRAIN: ("train", "training"),
    Split.VALID: ("valid", "validation", "val", "eval", "evaluation"),
    Split.TEST: ("test", "testing"),
}
"""What folders of a side are called; the first is the default of a split by folder. Capitals don't matter."""

SIDE_WORDS: Final = {
    **dict.fromkeys(
        ("true", "1", "1.0", "yes", "t", "y", "valid", "validation", "val", "eval", "evaluation", "dev"), Split.VALID
    ),
    **dict.fromkeys(("false", "0", "0.0", "no", "f", "n", "train", "training"), Split.TRAIN),
    **dict.fromkeys(("test", "testing"), Split.TEST),
}


@dataclass(frozen=True, slots=True)
class ManifestImage:
    """One labelled image. ``label`` is a name of ``Manifest.classes``; ``path`` is for people only."""

    id: ImageId
    digest: Digest
    path: str
    label: str
    split: Split


@dataclass(frozen=True, slots=True)
class Manifest:
    """All of a dataset version that training needs.

    Attributes:
        classes: K names in the order of the network's outputs.
        images: every labelled image, ordered by digest, so that the order of upload changes nothing.
    """

    classes: tuple[str, ...]
    images: tuple[ManifestImage, ...]

    def of(self, split: Split) -> Sequence[ManifestImage]:
        """The images of one split, in the manifest's order."""
        return [image for image in self.images if image.split is split]
