"""What the API of datasets, labels and versions takes and gives."""

from collections.abc import Sequence
from datetime import datetime
from enum import IntEnum
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, SecretStr, StringConstraints

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

    ``notes``: of pictures that were taken in, such as pages of a TIFF that were left out. ``imports``: ids of those
    that fetch what text files of addresses lead to.
    """

    added: int
    already_there: int
    ignored: int
    tables: int
    rejected: list[RejectionRead]
    notes: list[NoteRead]
    imports: list[str]


class BucketRef(_Body):
    """An S3 bucket. Without a key of its own, the server's is used where it has one; else the bucket must be public.

    ``endpoint`` is the address of the S3 server, for others than Amazon's. The keys are kept encrypted, and only until
    the import ends.
    """

    bucket: str = Field(max_length=63, examples=["hospital-scans"])
    prefix: str = Field("", max_length=1024, examples=["2026/"])
    endpoint: str = Field("", max_length=2048, examples=["https://s3.example.org"])
    region: str = Field("", max_length=40, examples=["eu-central-1"])
    access_key: str = Field("", max_length=200)
    secret_key: SecretStr = Field(SecretStr(""), max_length=200)
    session_token: SecretStr = Field(SecretStr(""), max_length=4096)


class FilesPresent(_Body):
    """Paths of files that are about to be sent, and their sizes in bytes, in the same order."""

    paths: Annotated[
        list[Annotated[str, StringConstraints(min_length=1, max_length=8192)]], Field(min_length=1, max_length=1000)
    ]
    bytes: Annotated[list[Annotated[int, Field(ge=0, lt=2**63)]], Field(min_length=1, max_length=1000)]


class FilesPresentRead(BaseModel):
    """For each path, the SHA-256 of the files that the dataset has with that path and size."""

    sha256: list[list[str]]


class FromUrls(_Body):
    """Where pictures come from: exactly one of the fields; ``label`` belongs to ``urls``."""

    sample: str | None = Field(None, max_length=100, examples=["digits"])
    urls: list[Annotated[str, StringConstraints(max_length=8192)]] | None = Field(
        None, examples=[["https://example.org/bear.jpg"]], description="Addresses of pictures, 100,000 at most."
    )
    label: str | None = Field(None, max_length=100, examples=["grizzly"])
    archive_url: str | None = Field(None, max_length=8192, examples=["https://example.org/pets.zip"])
    server_folder: str | None = Field(None, max_length=4096, examples=["/pictures/birds"])
    s3: BucketRef | None = None


class ServerFolderRead(BaseModel):
    """A folder of the server; ``files`` lie directly in it."""

    path: str
    name: str
    files: int


class ServerFoldersRead(BaseModel):
    """Folders in a folder, or those that can be imported from; at most 500 are listed."""

    items: list[ServerFolderRead]
    has_more: bool


class FailureRead(BaseModel):
    code: str
    message: str
    advice: str


_STATUS = {"starting": "running", "stopping": "running"}


class ImportRead(BaseModel):
    """An import and its counts.

    ``progress`` is in [0, 1], or null where the number of files isn't known yet; ``entries`` of ``entries_total`` are
    done. ``name_encoding`` is how file names were read, where their encoding had to be guessed. ``seconds_left`` is
    an estimate by the last 20 s, null where there is none yet.
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
    bytes_downloaded: int
    bytes_to_download: int | None
    seconds_left: int | None
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
            bytes_downloaded=row.bytes_done,
            bytes_to_download=row.bytes_total or None,
            seconds_left=row.seconds_left if status == "running" else None,
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
    """A data set that is one click away; ``rule`` is how its labels are read, ``split`` how pictures are held out.

    One that isn't at hand is downloaded from ``download_url``: ``download_bytes``, with this MD5 sum.
    ``published_error_rate`` is one to compare with, in [0, 1].
    """

    name: str
    title: str
    shows: str
    images: int
    classes: int
    licence: str
    citation: str
    published_error_rate: float | None
    published_error_source: str | None
    at_hand_offline: bool
    download_url: str | None
    download_bytes: int | None
    download_md5: str | None
    rule: dict[str, Json]
    split: dict[str, Json]

    @classmethod
    def of(cls, sample: Sample) -> Self:
        published, download = sample.published, sample.download
        return cls(
            name=sample.name,
            title=sample.title,
            shows=sample.shows,
            images=sample.images,
            classes=sample.classes,
            licence=sample.licence,
            citation=sample.citation,
            published_error_rate=published.error_rate if published else None,
            published_error_source=published.source if published else None,
            at_hand_offline=sample.at_hand_offline,
            download_url=download.url if download else None,
            download_bytes=download.bytes if download else None,
            download_md5=download.md5 if download else None,
            rule=sample.rule,
            split=sample.split,
        )


class ThumbnailSize(IntEnum):
    """Longest side of a thumbnail, in pixels."""

    GRID = 192
    DETAIL = 768
