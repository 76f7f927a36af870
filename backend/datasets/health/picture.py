"""What the health check knows of a dataset: pictures with measures and labels, and pairs that show the same."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final, NamedTuple

from backend.datasets.examine.copies import PairKind
from backend.domain.json import Json


class Measured(NamedTuple):
    """Measures of a picture, as ``ImageMeasuresRow`` has them."""

    dark: float
    light: float
    brightness: float
    entropy: float
    sharpness: float
    traits: dict[str, Json]


class Picture(NamedTuple):
    """A picture with its present label and its split in the newest version; None where it has none."""

    id: str
    paths: tuple[str, ...]
    format: str
    width: int
    height: int
    bytes: int
    measured: Measured | None = None
    label: str | None = None
    split: str | None = None
    digest: str | None = None

    @property
    def path(self) -> str:
        """The name that is shown."""
        return self.paths[0]


HELD_OUT: Final = frozenset({"valid", "test"})


def is_torn(group: Sequence[Picture]) -> bool:
    """Whether some of these are learnt from and others held out."""
    splits = {picture.split for picture in group}
    return "train" in splits and not HELD_OUT.isdisjoint(splits)


class KnownPair(NamedTuple):
    """Two pictures that show the same, by their ids."""

    first: str
    second: str
    kind: PairKind


@dataclass(frozen=True)
class Material:
    """All that the checks read.

    Attributes:
        pictures: those of the dataset, by arrival; what somebody left out by hand is not among them.
        pairs: pairs of these pictures.
        conflicts: ids of pictures whose several names give different labels.
        rejected: files that were left out when they arrived: number and an example by code.
        split_is_random: whether the newest version was split at random without groups; None where there is no version.
    """

    pictures: Sequence[Picture]
    pairs: Sequence[KnownPair] = ()
    conflicts: Sequence[str] = ()
    rejected: Mapping[str, tuple[int, str]] = field(default_factory=dict)
    split_is_random: bool | None = None

    @cached_property
    def by_id(self) -> Mapping[str, Picture]:
        """Each picture by its id."""
        return {picture.id: picture for picture in self.pictures}

    @cached_property
    def measured(self) -> Sequence[Picture]:
        """Pictures that have been measured."""
        return [picture for picture in self.pictures if picture.measured is not None]

    def groups(self, *kinds: PairKind) -> list[list[Picture]]:
        """Pictures that pairs of these kinds connect, two or more each, in the order of arrival."""
        root: dict[str, str] = {}

        def find(one: str) -> str:
            while (above := root.setdefault(one, one)) != one:
                root[one] = root.setdefault(above, above)
                one = above
            return one

        for pair in self.pairs:
            if pair.kind in kinds and pair.first in self.by_id and pair.second in self.by_id:
                first, second = find(pair.first), find(pair.second)
                root[max(first, second)] = min(first, second)
        groups: dict[str, list[Picture]] = {}
        for one in sorted(root):
            groups.setdefault(find(one), []).append(self.by_id[one])
        return [group for group in groups.values() if len(group) > 1]
