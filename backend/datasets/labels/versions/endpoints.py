"""What changed between two versions, by REST."""

from typing import Self

from fastapi import APIRouter, Request
from pydantic import BaseModel

from backend.datasets.labels.versions.compare import Compared, compared
from backend.datasets.labels.versions.repository import Difference, DifferentImage, VersionComparison
from backend.datasets.urls import image_url, thumbnail_url
from backend.dependencies import ReadDep
from backend.pagination import IdCursorDep, LimitQuery, Page

router = APIRouter(prefix="/api/v1", tags=["labels and versions"])


class ClassDifferenceRead(BaseModel):
    """Pictures of a class in both versions."""

    name: str
    before: int
    after: int


class ComparisonRead(BaseModel):
    """Numbers of pictures that differ; ``moved`` are on another side of the split."""

    before: str
    after: str
    added: int
    gone: int
    relabelled: int
    moved: int
    classes: list[ClassDifferenceRead]

    @classmethod
    def of(cls, found: Compared) -> Self:
        return cls(
            before=found.before.id,
            after=found.after.id,
            classes=[ClassDifferenceRead(name=c.name, before=c.before, after=c.after) for c in found.classes],
            **{difference.value: count for difference, count in found.counts.items()},
        )


class DifferentImageRead(BaseModel):
    """A picture that differs, with its label and side in both versions; null where a version hasn't got it."""

    id: str
    path: str
    label_before: str | None
    label_after: str | None
    split_before: str | None
    split_after: str | None
    url: str
    thumbnail_url: str

    @classmethod
    def of(cls, image: DifferentImage, root_path: str) -> Self:
        return cls(
            id=image.id,
            path=image.path,
            label_before=image.label_before,
            label_after=image.label_after,
            split_before=image.split_before,
            split_after=image.split_after,
            url=root_path + image_url(image.id, image.digest),
            thumbnail_url=root_path + thumbnail_url(image.id, digest=image.digest),
        )


@router.get("/versions/{version_id}/compare/{other_id}")
def compare_versions(version_id: str, other_id: str, session: ReadDep) -> ComparisonRead:
    """What changed from the first version to the second: counts by class, and how many pictures differ how."""
    return ComparisonRead.of(compared(session, version_id, other_id))


@router.get("/versions/{version_id}/compare/{other_id}/images")
def list_differences(
    version_id: str,
    other_id: str,
    request: Request,
    session: ReadDep,
    kind: Difference,
    limit: LimitQuery = 100,
    after: IdCursorDep = None,
) -> Page[DifferentImageRead]:
    """The pictures that differ in one way between two versions."""
    compared(session, version_id, other_id)
    root_path: str = request.scope.get("root_path", "")
    rows = VersionComparison(session, version_id, other_id).images(kind, limit=limit + 1, after=after)
    return Page[DifferentImageRead].of(rows, limit, lambda row: DifferentImageRead.of(row, root_path))
