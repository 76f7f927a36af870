"""Pictures to label by hand, in the order in which labels teach most, with what the labels so far suggest."""

import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Final

import numpy as np

from backend.datasets.errors import ImageNotFound
from backend.datasets.examine.embeddings import Embeddings, read_embeddings
from backend.datasets.labels.content import DatasetContent
from backend.datasets.labels.corrections import Corrected, corrected, rule_or_by_hand
from backend.datasets.labels.selection import Selection, Show, selected
from backend.datasets.repository import ImageNames
from backend.domain.labels.next_pictures import (
    Clusters,
    Policy,
    find_clusters,
    next_pictures,
    probabilities_of,
)

POLICY_WORDS: Final[Mapping[Policy, str]] = {
    Policy.PATH: "In the order of their paths.",
    Policy.RANDOM: "In random order: the pictures haven't been examined yet, so it isn't known which ones teach most.",
    Policy.CENTRES: "Different ones first: a picture of each cluster of similar ones, until there are about 5 labels a "
    "class. Every fifth is random.",
    Policy.MARGIN: "The most doubtful first: those whose two likeliest classes are closest by the labels so far. Every "
    "fifth is random.",
}
_REMEMBERED: Final = 4
_LEAST_SURE: Final = 0.5
"""Probability from which on the likeliest class is proposed."""


@dataclass(frozen=True, slots=True)
class Proposal:
    """What the labels so far suggest for a picture; ``probability`` is in [0, 1]."""

    label: str
    probability: float


@dataclass(frozen=True, slots=True)
class QueuedPicture:
    """A picture to label, with the label that it has at present."""

    image: ImageNames
    label: str | None
    is_by_hand: bool
    is_left_out: bool
    proposal: Proposal | None


@dataclass(frozen=True, slots=True)
class Queue:
    """A part of the pictures to label.

    Attributes:
        left: pictures that the selection means.
        images, labelled: pictures of the dataset, and how many of them have a label.
        classes: pictures of each class, by name.
        next: id of the last picture, where there are more of them in a fixed order.
    """

    pictures: Sequence[QueuedPicture]
    policy: Policy
    left: int
    images: int
    labelled: int
    classes: Mapping[str, int]
    next: str | None


def queue(content: DatasetContent, folder: Path, chosen: Selection, *, limit: int, after: str | None = None) -> Queue:
    """The next pictures to label.

    Args:
        content: the dataset.
        folder: where the features of pictures are kept.
        chosen: which pictures.
        limit: how many.
        after: the picture to go on after, where they are in the order of their paths.

    Raises:
        ImageNotFound: ``after`` isn't among them.
    """
    labels = labels_to_correct(content)
    found = selected(content, labels, chosen)
    if chosen.show is Show.UNLABELLED:
        policy, shown, proposals = _ordered(content, folder, labels, found, limit)
        last = None
    else:
        policy, proposals = Policy.PATH, {}
        begin = _place_after(found, after) if after else 0
        shown = found[begin : begin + limit]
        last = shown[-1].id if begin + limit < len(found) else None
    by_hand = labels.overrides.images
    dropped = {image.id for image in labels.dropped}
    return Queue(
        [
            QueuedPicture(
                image,
                labels.label_of.get(image.id),
                image.digest in by_hand,
                image.id in dropped,
                proposals.get(image.id),
            )
            for image in shown
        ],
        policy,
        len(found),
        len(content.images),
        len(labels.images),
        dict(sorted(labels.counts.items())),
        last,
    )


def labels_to_correct(content: DatasetContent) -> Corrected:
    """The labels as they stand; those by hand alone where the present rule doesn't fit any more."""
    return corrected(content, rule_or_by_hand(content).labelled)


def _place_after(images: Sequence[ImageNames], image_id: str) -> int:
    place = next((place for place, image in enumerate(images) if image.id == image_id), None)
    if place is None:
        raise ImageNotFound
    return place + 1


def _ordered(
    content: DatasetContent, folder: Path, labels: Corrected, found: Sequence[ImageNames], limit: int
) -> tuple[Policy, Sequence[ImageNames], Mapping[str, Proposal]]:
    """How the pictures without a label are ordered, the first ``limit`` of them, and proposals for these."""
    # By digest: an order that has nothing to do with names and is the same each time.
    by_chance = sorted(found, key=lambda image: image.digest)
    features = _examined(folder, content.dataset_id)
    examined = [image for image in by_chance if features and image.id in features.places]
    if features is None or len(examined) * 2 < len(found) or not examined:
        return Policy.RANDOM, by_chance[:limit], {}
    places = features.places
    classes = sorted(labels.counts)
    target_of = {label: target for target, label in enumerate(classes)}
    labelled = [(places[id_], target_of[label]) for id_, label in labels.label_of.items() if id_ in places]
    known = np.array([place for place, _ in labelled], dtype=np.int64)
    targets = np.array([target for _, target in labelled], dtype=np.int64)
    probabilities = probabilities_of(features.embeddings.values, known, targets, len(classes))
    candidates = np.array([places[image.id] for image in examined], dtype=np.int64)
    ordered = next_pictures(features.clusters, candidates, known, len(classes), probabilities)
    image_at = dict(zip(candidates.tolist(), examined, strict=True))
    taken = [image_at[place] for place in ordered.order.tolist()]
    shown = [*taken, *(image for image in by_chance if image.id not in places)][:limit]
    proposals = {}
    for image in shown:
        if probabilities is not None and image.id in places:
            row = probabilities[places[image.id]]
            if row.max() >= _LEAST_SURE:
                proposals[image.id] = Proposal(classes[int(row.argmax())], float(row.max()))
    return ordered.policy, shown, proposals


class _Examined:
    """Features of a dataset's pictures, with what is made of them once."""

    def __init__(self, embeddings: Embeddings) -> None:
        self.embeddings = embeddings

    @cached_property
    def places(self) -> Mapping[str, int]:
        """Row of each picture, by its id."""
        return {image_id: place for place, image_id in enumerate(self.embeddings.image_ids)}

    @cached_property
    def clusters(self) -> Clusters:
        """Clusters of similar pictures."""
        return find_clusters(self.embeddings.values)


_KEPT: Final[OrderedDict[tuple[str, int, int], _Examined]] = OrderedDict()
"""By the file's path, time and size: the job that examines pictures writes a new file."""
_LOCK: Final = threading.Lock()


def _examined(folder: Path, dataset_id: str) -> _Examined | None:
    file = folder / "embeddings" / f"{dataset_id}.safetensors"
    try:
        status = file.stat()
    except OSError:
        return None
    key = (str(file), status.st_mtime_ns, status.st_size)
    with _LOCK:
        if (known := _KEPT.get(key)) is not None:
            _KEPT.move_to_end(key)
            return known
    embeddings = read_embeddings(folder, dataset_id)
    if embeddings is None:
        return None
    found = _Examined(embeddings)
    with _LOCK:
        for old in [other for other in _KEPT if other[0] == key[0]]:
            del _KEPT[old]
        _KEPT[key] = found
        while len(_KEPT) > _REMEMBERED:
            _KEPT.popitem(last=False)
    return found
