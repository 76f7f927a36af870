"""What the API of datasets, labels and versions takes and gives."""

from collections.abc import Sequence
from datetime import datetime
from enum import IntEnum
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from backend.datasets.repository import DatasetSummary
from backend.datasets.samples import Sample
from backend.domain.json import Json
from backend.tables.datasets import ImportRow, RejectionRow
from backend.tables.ledger import JobRow

Name = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]*$")
]


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class DatasetCreate(_Body):
    """A dataset to be made."""

    name: Name


class DatasetRead(BaseModel):
    """A dataset; ``classes`` counts those of its newest version."""

    id: str
    name: str
    images: int
    bytes: int
    classes: int
    versions: int
    rejected: int
    created_at: datetime

    @classmethod
    def of(cls, summary: DatasetSummary) -> Self:
        row = summary.row
        return cls(
            id=row.id,
            name=row.name,
            images=row.images,
            bytes=row.bytes,
            classes=summary.classes,
            versions=summary.versions,
            rejected=row.rejected,
            created_at=row.created_at,
        )


class RejectionRead(BaseModel):
    """A file that was left out, and why."""

    path: str
    code: str
    message: str


class NoteRead(BaseModel):
    """Something worth knowing of a picture that was taken in."""

    path: str
    code: str
    message: str


class UploadRead(BaseModel):
    """What became of an upload. ``ignored`` counts hidden and system files, ``tables`` the CSV and TSV files.

    ``notes``: of pictures that were taken in, such as pages of a TIFF that were left out.
    """

    added: int
    already_there: int
    ignored: int
    tables: int
    rejected: list[RejectionRead]
    notes: list[NoteRead]


class FromUrls(_Body):
    """A sample by its name; links come later."""

    sample: str | None = Field(None, max_length=100, examples=["digits"])
    urls: list[str] | None = None
    label: str | None = None
    archive_url: str | None = None


class FailureRead(BaseModel):
    code: str
    message: str
    advice: str


_STATUS = {"starting": "running", "stopping": "running"}


class ImportRead(BaseModel):
    """An import and its counts.

    ``progress`` is in [0, 1], or null where the number of files isn't known yet; ``entries`` of ``entries_total`` are
    done. ``name_encoding`` is how file names were read, where their encoding had to be guessed.
    """

    id: str
    dataset_id: str
    status: str
    progress: float | None
    entries: int
    entries_total: int | None
    added: int
    already_there: int
    ignored: int
    tables: int
    name_encoding: str | None
    rejected: list[RejectionRead]
    failure: FailureRead | None
    created_at: datetime

    @classmethod
    def of(cls, row: ImportRow, job: JobRow, rejections: Sequence[RejectionRow]) -> Self:
        status = _STATUS.get(job.state, job.state)
        return cls(
            id=row.id,
            dataset_id=row.dataset_id,
            status=status,
            progress=_progress(row, status),
            entries=row.entries_done,
            entries_total=row.entries_total or None,
            added=row.added,
            already_there=row.already_there,
            ignored=row.ignored,
            tables=row.tables,
            name_encoding=row.name_encoding,
            rejected=[RejectionRead(path=r.path, code=r.code, message=r.message) for r in rejections],
            failure=_failure(job),
            created_at=row.created_at,
        )


def _progress(row: ImportRow, status: str) -> float | None:
    if status == "succeeded":
        return 1.0
    return min(1.0, row.entries_done / row.entries_total) if row.entries_total else None


def _failure(job: JobRow) -> FailureRead | None:
    if job.error_code is None:
        return None
    return FailureRead(code=job.error_code, message=job.error_message or "", advice=job.error_advice or "")


class SampleRead(BaseModel):
    """A data set that is one click away; ``rule`` is how its labels are read."""

    name: str
    title: str
    images: int
    classes: int
    licence: str
    citation: str
    at_hand_offline: bool
    rule: dict[str, Json]

    @classmethod
    def of(cls, sample: Sample) -> Self:
        return cls(
            name=sample.name,
            title=sample.title,
            images=sample.images,
            classes=sample.classes,
            licence=sample.licence,
            citation=sample.citation,
            at_hand_offline=sample.at_hand_offline,
            rule=sample.rule,
        )


class ThumbnailSize(IntEnum):
    """Longest side of a thumbnail, in pixels."""

    GRID = 192
    DETAIL = 768
