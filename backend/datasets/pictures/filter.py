"""Which pictures of a dataset are listed, and in which order."""

from dataclasses import dataclass
from enum import StrEnum


class ListOrder(StrEnum):
    """In which order pictures are listed; ``class`` lists those of a version."""

    ARRIVAL = "arrival"
    NEWEST = "newest"
    NAME = "name"
    CLASS = "class"


@dataclass(frozen=True, slots=True)
class ImageFilter:
    """Which images of a dataset are listed, and in which order.

    Attributes:
        version_id: label and split are those of this version.
        only_version: images outside of it are left out, and those that are deleted but in it are listed.
        flag: one of ``FLAGS``.
        folder: a path without the slash at its end.
        text: a part of the path, whatever its case.
        shorter_side: (least, most) pixels of the shorter side, both included; None is no bound.
        checkpoint_id: only images that this checkpoint was tested on, with what it said.
        is_right: only those that it got right, or wrong.
        begins_with: in the order of names or classes, where the list begins.
        ids: only these.
    """

    version_id: str = ""
    only_version: bool = False
    label: str | None = None
    split: str | None = None
    flag: str | None = None
    folder: str | None = None
    text: str | None = None
    shorter_side: tuple[int | None, int | None] | None = None
    checkpoint_id: str | None = None
    is_right: bool | None = None
    order: ListOrder = ListOrder.ARRIVAL
    begins_with: str | None = None
    ids: tuple[str, ...] | None = None

    @property
    def is_all(self) -> bool:
        """Whether every picture of the dataset is listed, from the first one on."""
        chosen = (self.label, self.split, self.flag, self.folder, self.text, self.shorter_side, self.checkpoint_id)
        in_version = self.only_version or self.order is ListOrder.CLASS
        of_few = self.ids is not None or self.begins_with is not None
        return not in_version and not of_few and all(part is None for part in chosen)
