"""What the API of datasets, labels and versions takes and gives."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from enum import IntEnum
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from backend.datasets.labels import Preview
from backend.datasets.repository import DatasetSummary, ImageNames, ListedImage
from backend.datasets.samples import Sample
from backend.datasets.suggestions import Suggestion
from backend.datasets.urls import image_url, thumbnail_url
from backend.domain.json import Json
from backend.domain.labelling import ByTable, RuleSpec
from backend.domain.manifest import Split
from backend.domain.splitting import SplitSpec
from backend.tables.datasets import ImportRow, RejectionRow, VersionRow
from backend.tables.ledger import JobRow

Name = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]*$")
]
EXAMPLES_SHOWN = 20


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


class DatasetList(BaseModel):
    items: list[DatasetRead]
    next: str | None


class RejectionRead(BaseModel):
    """A file that was left aside, and why."""

    path: str
    code: str
    message: str


class RejectionList(BaseModel):
    items: list[RejectionRead]
    next: str | None


class UploadRead(BaseModel):
    """What became of an upload. ``ignored`` counts hidden and system files, ``tables`` the CSV and TSV files."""

    added: int
    already_there: int
    ignored: int
    tables: int
    rejected: list[RejectionRead]


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
    """An import on its way. ``progress`` is in [0, 1], or null where the number of files isn't known yet."""

    id: str
    dataset_id: str
    status: str
    progress: float | None
    entries: int
    added: int
    already_there: int
    ignored: int
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
            added=row.added,
            already_there=row.already_there,
            ignored=row.ignored,
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


class ImageRead(BaseModel):
    """A picture; label and split are those of the version asked about, else of the newest."""

    id: str
    path: str
    width: int
    height: int
    bytes: int
    label: str | None
    split: str | None
    flags: list[str]
    url: str
    thumbnail_url: str

    @classmethod
    def of(cls, image: ListedImage, root_path: str) -> Self:
        row = image.row
        return cls(
            id=row.id,
            path=row.path,
            width=row.width,
            height=row.height,
            bytes=row.bytes,
            label=image.label,
            split=image.split,
            flags=[],
            url=root_path + image_url(row.id, row.digest),
            thumbnail_url=root_path + thumbnail_url(row.id, digest=row.digest),
        )


class ImageList(BaseModel):
    items: list[ImageRead]
    next: str | None


class ExampleRead(BaseModel):
    """A picture as an example."""

    id: str
    path: str
    url: str
    thumbnail_url: str

    @classmethod
    def of(cls, image: ImageNames, root_path: str) -> Self:
        return cls(
            id=image.id,
            path=image.path,
            url=root_path + image_url(image.id, image.digest),
            thumbnail_url=root_path + thumbnail_url(image.id, digest=image.digest),
        )


class PreviewRequest(_Body):
    """A rule and a split to try."""

    rule: RuleSpec
    split: SplitSpec | None = None


class ClassRead(BaseModel):
    """A class as it would be."""

    name: str
    images: int
    train: int
    valid: int
    test: int
    examples: list[ExampleRead]


class UnlabelledRead(BaseModel):
    images: int
    examples: list[ExampleRead]


class WarningRead(BaseModel):
    code: str
    message: str
    classes: list[str]


class TableRead(BaseModel):
    """How a table was understood."""

    file: str
    columns: list[str]
    rows: int
    has_header: bool
    delimiter: str
    encoding: str
    image_column: str
    label_column: str


class PreviewRead(BaseModel):
    """What a rule and a split would give; nothing is stored."""

    classes: list[ClassRead]
    labelled: int
    unlabelled: UnlabelledRead
    warnings: list[WarningRead]
    table: TableRead | None

    @classmethod
    def of(cls, preview: Preview, root_path: str) -> Self:
        return cls(
            classes=[
                ClassRead(
                    name=found.name,
                    images=found.images,
                    train=found.splits.get(Split.TRAIN, 0),
                    valid=found.splits.get(Split.VALID, 0),
                    test=found.splits.get(Split.TEST, 0),
                    examples=[ExampleRead.of(image, root_path) for image in found.examples],
                )
                for found in preview.classes
            ],
            labelled=preview.labelled,
            unlabelled=UnlabelledRead(
                images=len(preview.unlabelled),
                examples=[ExampleRead.of(image, root_path) for image in preview.unlabelled[:EXAMPLES_SHOWN]],
            ),
            warnings=[
                WarningRead(code=warning.code, message=warning.message, classes=list(warning.classes))
                for warning in preview.warnings
            ],
            table=_table(preview),
        )


def _table(preview: Preview) -> TableRead | None:
    if preview.table is None or not isinstance(preview.rule, ByTable):
        return None
    table = preview.table.table
    return TableRead(
        file=table.file,
        columns=list(table.columns),
        rows=len(table.rows),
        has_header=table.has_header,
        delimiter=preview.table.delimiter,
        encoding=preview.table.encoding,
        image_column=preview.rule.image_column,
        label_column=preview.rule.label_column,
    )


class SuggestionsRequest(_Body):
    """Labels that are known already, by path."""

    labels: dict[str, str] | None = None


class SuggestionRead(BaseModel):
    """A rule that would fit, in words."""

    rule: dict[str, Json]
    split: dict[str, Json]
    words: str
    score: float
    preview: PreviewRead

    @classmethod
    def of(cls, suggestion: Suggestion, root_path: str) -> Self:
        return cls(
            rule=suggestion.rule.model_dump(exclude_none=True),
            split=suggestion.split.model_dump(exclude_none=True),
            words=suggestion.words,
            score=suggestion.score,
            preview=PreviewRead.of(suggestion.preview, root_path),
        )


class SuggestionList(BaseModel):
    items: list[SuggestionRead]
    next: None = None


class VersionCreate(PreviewRequest):
    """A rule and a split to freeze."""


class VersionRead(BaseModel):
    """A frozen version. ``classes`` stand in the order of the outputs."""

    id: str
    dataset_id: str
    number: int
    classes: list[str]
    counts: Mapping[str, Mapping[str, int]]
    rule: dict[str, Json]
    split: dict[str, Json]
    overrides: list[Json]
    created_at: datetime

    @classmethod
    def of(cls, row: VersionRow) -> Self:
        return cls.model_validate(row, from_attributes=True)


class VersionList(BaseModel):
    items: list[VersionRead]
    next: str | None


class BatchItemRead(BaseModel):
    image_id: str
    label: str
    url: str


class BatchRead(BaseModel):
    items: list[BatchItemRead]


Side = Literal["train", "valid", "test"]


class ThumbnailSize(IntEnum):
    """Longest side of a thumbnail, in pixels."""

    GRID = 192
    DETAIL = 768
