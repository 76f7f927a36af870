"""How sensible labels look, so that of several rules the likeliest is proposed first."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Final

_CONTAINERS: Final = frozenset(
    {
        "train",
        "training",
        "valid",
        "validation",
        "eval",
        "evaluation",
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
        "seg",
        "pred",
        "prediction",
        "predictions",
        "set",
        "sets",
        "dsc",
        "scan",
        "scans",
    }
)
"""Words of folders that hold pictures without saying what they show."""


def is_container(name: str) -> bool:
    """Whether a name says where pictures are kept and not what they show, such as ``test_images``."""
    words = "".join(letter if letter.isalpha() else " " for letter in name.casefold()).split()
    return bool(words) and all(word in _CONTAINERS for word in words)


def nests(names: Sequence[Sequence[str]]) -> bool:
    """Whether a folder that would be a class lies in one that would be another, as ``cats/tabby`` in ``cats``.

    Args:
        names: for each image the names of its folders, the innermost last.
    """
    inner = {folders[-1] for folders in names if folders}
    return any(not inner.isdisjoint(folders[:-1]) for folders in {tuple(folders) for folders in names})


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
    stored = any(map(is_container, counts))
    wordy = sum(_wordiness(label) * count for label, count in counts.items()) / labelled
    wordy *= 0.8 if stored else 1.0
    dominated = 0.3 if max(counts.values()) > _NEARLY_ALL * labelled else 1.0
    return coverage * (1 - 0.7 * alone) * wordy * dominated * _stability(labels, counts)


_FEW: Final = 4
_NEARLY_ALL: Final = 0.97


def _wordiness(label: str) -> float:
    if is_container(label):
        return 0.05
    if not any(letter.isalpha() for letter in label):
        # Digits to be read have one or two figures; dates and serial numbers have more.
        return 0.7 if sum(letter.isdigit() for letter in label) < _SERIAL else 0.3
    mixed = 0.6 if any(letter.isdigit() for letter in label) else 1.0
    return mixed * (0.7 if len(label) > _LONG else 1.0)


_LONG: Final = 40
_SERIAL: Final = 4


def _stability(labels: Sequence[str | None], counts: Mapping[str, int]) -> float:
    """Share of the classes of four and more images that both halves of the images have; 1 where there is none."""
    large = {label for label, count in counts.items() if count >= _FEW}
    if not large:
        return 1.0
    first, second = ({*labels[at::2]} for at in (0, 1))
    return (1 + sum(label in first and label in second for label in large) / len(large)) / 2


def masks_among(paths: Sequence[str]) -> frozenset[str]:
    """Paths of pictures that only mark parts of others, as data for segmentation have them.

    They lie in a folder ``masks`` or the like, or are ``x.png`` beside ``x.jpg``, nearly everywhere.
    """
    in_folders = frozenset(path for path in paths if not _MASK_FOLDERS.isdisjoint(path.casefold().split("/")[:-1]))
    if in_folders and len(in_folders) < len(paths):
        return in_folders
    photos = {path.rpartition(".")[0] for path in paths if path.casefold().endswith(_PHOTO)}
    others = [path for path in paths if path.casefold().endswith(_MASK)]
    masks = frozenset(path for path in others if path.rpartition(".")[0] in photos)
    is_usual = len(masks) >= _MOST * len(photos) and len(masks) >= _MOST * len(others)
    return masks if photos and is_usual else frozenset()


_MASK_FOLDERS: Final = frozenset({"mask", "masks", "annotation", "annotations", "gt", "groundtruth", "ground_truth"})
_PHOTO: Final = (".jpg", ".jpeg")
_MASK: Final = ".png"
_MOST: Final = 0.8
