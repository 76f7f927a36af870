"""Which pictures of a dataset are meant: the same filters for lists, for labelling by hand and for changes at once."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from backend.datasets.labels.content import DatasetContent
from backend.datasets.labels.corrections import Corrected
from backend.datasets.repository import ImageNames


class Show(StrEnum):
    """Which labels pictures have."""

    UNLABELLED = "unlabelled"
    ALL = "all"
    BY_HAND = "by-hand"
    LEFT_OUT = "left-out"
    CONFLICTS = "conflicts"


@dataclass(frozen=True, slots=True)
class Selection:
    """A filter; empty texts mean none. ``label`` is a class as it is called at present, ``text`` a part of the path."""

    show: Show = Show.UNLABELLED
    label: str = ""
    folder: str = ""
    text: str = ""


def selected(content: DatasetContent, labels: Corrected, chosen: Selection) -> Sequence[ImageNames]:
    """The pictures that a filter means, by path. One that was left out is not among those without a label."""
    found = _shown(content, labels, chosen.show)
    if chosen.label:
        found = [image for image in found if labels.label_of.get(image.id) == chosen.label]
    if folder := chosen.folder.strip("/"):
        found = [image for image in found if image.path.startswith(f"{folder}/")]
    if text := chosen.text.casefold():
        found = [image for image in found if text in image.path.casefold()]
    return found


def _shown(content: DatasetContent, labels: Corrected, show: Show) -> Sequence[ImageNames]:
    match show:
        case Show.ALL:
            return content.images
        case Show.BY_HAND:
            return [found.image for found in labels.by_hand]
        case Show.LEFT_OUT:
            return labels.dropped
        case Show.CONFLICTS:
            return labels.conflicts
        case Show.UNLABELLED:
            dropped = {image.id for image in labels.dropped}
            return [image for image in labels.unlabelled if image.id not in dropped]
