"""What changed between two versions of a dataset: numbers first, then the pictures."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy.orm import Session

from backend.datasets.labels.versions.repository import Difference, VersionComparison
from backend.datasets.versions import find_version
from backend.domain.errors import InvalidInput
from backend.tables.datasets import VersionRow


class OtherDataset(InvalidInput):
    """The versions belong to two datasets."""

    code = "versions-of-two-datasets"

    def __init__(self) -> None:
        super().__init__("These versions belong to different datasets.", advice="Compare two versions of one dataset.")


@dataclass(frozen=True, slots=True)
class ClassDifference:
    """Pictures of a class in both versions."""

    name: str
    before: int
    after: int


@dataclass(frozen=True, slots=True)
class Compared:
    """What differs between two versions."""

    before: VersionRow
    after: VersionRow
    classes: Sequence[ClassDifference]
    counts: Mapping[Difference, int]


def compared(session: Session, before_id: str, after_id: str) -> Compared:
    """Two versions side by side; classes whose number of pictures differs stand first.

    Raises:
        VersionNotFound, OtherDataset
    """
    before, after = find_version(session, before_id), find_version(session, after_id)
    if before.dataset_id != after.dataset_id:
        raise OtherDataset
    comparison = VersionComparison(session, before_id, after_id)
    names = sorted({*before.counts, *after.counts})
    classes = [ClassDifference(name, _images(before, name), _images(after, name)) for name in names]
    return Compared(
        before,
        after,
        sorted(classes, key=lambda found: (found.before == found.after, found.name)),
        {difference: comparison.count(difference) for difference in Difference},
    )


def _images(version: VersionRow, name: str) -> int:
    return sum(version.counts.get(name, {}).values())
