"""How sensible labels look, so that of several rules the likeliest is proposed first."""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath
from typing import Final

_CONTAINERS: Final = frozenset(
    {
        "train",
        "training",
        "valid",
        "validation",
        "val",
        "test",
        "testing",
        "images",
        "image",
        "img",
        "imgs",
        "pictures",
        "pics",
        "photos",
        "photo",
        "jpg",
        "jpeg",
        "png",
        "data",
        "dataset",
        "datasets",
        "raw",
        "all",
        "files",
        "frames",
        "mask",
        "masks",
        "annotation",
        "annotations",
        "label",
        "labels",
        "gt",
        "groundtruth",
        "segmentation",
        "segmentations",
        "unlabeled",
        "unlabelled",
        "thumbnails",
        "thumbs",
    }
)
"""Words of folders that hold pictures without saying what they show."""


def is_container(name: str) -> bool:
    """Whether a name says where pictures are kept and not what they show, such as ``test_images``."""
    words = "".join(letter if letter.isalpha() else " " for letter in name.casefold()).split()
    return bool(words) and all(word in _CONTAINERS for word in words)


def sense_of(labels: Sequence[str | None]) -> float:
    """How much labels look like classes, in [0, 1].

    Args:
        labels: of each image, None where a rule gives none; in an order that has nothing to do with them.

    Classes have several images each, come back in every part of the data, are called by words, and cover everything.
    """
    counts = Counter(label for label in labels if label is not None)
    labelled = counts.total()
    if len(counts) < 2 or (len(counts) > labelled / 2 and labelled > _FEW):
        return 0.0
    coverage = labelled / len(labels)
    alone = sum(count == 1 for count in counts.values()) / len(counts)
    wordy = sum(_wordiness(label) * count for label, count in counts.items()) / labelled
    dominated = 0.3 if max(counts.values()) > _NEARLY_ALL * labelled else 1.0
    return coverage * (1 - 0.7 * alone) * wordy * dominated * _stability(labels, counts)


_FEW: Final = 4
_NEARLY_ALL: Final = 0.97


def _wordiness(label: str) -> float:
    if is_container(label):
        return 0.05
    if not any(letter.isalpha() for letter in label):
        return 0.7
    mixed = 0.6 if any(letter.isdigit() for letter in label) else 1.0
    return mixed * (0.7 if len(label) > _LONG else 1.0)


_LONG: Final = 40


def _stability(labels: Sequence[str | None], counts: Mapping[str, int]) -> float:
    """Share of the classes of four and more images that both halves of the images have; 1 where there is none."""
    large = {label for label, count in counts.items() if count >= _FEW}
    if not large:
        return 1.0
    first, second = ({*labels[at::2]} for at in (0, 1))
    return (1 + sum(label in first and label in second for label in large) / len(large)) / 2


def masks_among(paths: Sequence[str]) -> frozenset[str]:
    """Paths of pictures that only mark parts of others: ``x.png`` beside ``x.jpg``, nearly everywhere.

    Data for segmentation come so. Empty unless most pictures have such a twin.
    """
    by_stem: dict[str, dict[str, str]] = {}
    for path in paths:
        parsed = PurePosixPath(path)
        by_stem.setdefault(str(parsed.with_suffix("")), {})[parsed.suffix.casefold()] = path
    photos = [found for found in by_stem.values() if not _PHOTO.isdisjoint(found)]
    masks = frozenset(found[_MASK] for found in photos if _MASK in found)
    others = sum(_MASK in found for found in by_stem.values()) - len(masks)
    is_usual = photos and len(masks) >= _MOST * len(photos) and others <= (1 - _MOST) * len(masks)
    return masks if is_usual else frozenset()


_PHOTO: Final = frozenset({".jpg", ".jpeg"})
_MASK: Final = ".png"
_MOST: Final = 0.8
