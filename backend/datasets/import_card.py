"""An import as the page shows it: how far it is, or what came of it, in sentences."""

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from backend.datasets.samples import SAMPLES
from backend.datasets.schemas import FailureRead
from backend.domain.json import Json
from backend.ledger.job import JobState
from backend.tables.datasets import ImportRow
from backend.tables.ledger import JobRow
from backend.templating import counted, rough_time, size


@dataclass(frozen=True, slots=True)
class ImportCard:
    """One import.

    Attributes:
        title: what is imported.
        status: queued, running, cancelling, or how it ended.
        words: one sentence about it.
        share: in [0, 1]; None where the number of files isn't known.
        details: further sentences, such as how names were read.
    """

    id: str
    title: str
    status: str
    words: str
    share: float | None
    details: tuple[str, ...]
    failure: FailureRead | None

    @property
    def is_open(self) -> bool:
        """Whether it hasn't ended."""
        return self.status in ("queued", "running", "cancelling")


def import_card(row: ImportRow, job: JobRow) -> ImportCard:
    """The card of an import and its job."""
    status = _status(job)
    return ImportCard(
        row.id,
        title_of(row.source),
        status,
        _words(row, status),
        _share(row),
        tuple(_details(row)),
        _failure(job),
    )


def _status(job: JobRow) -> str:
    if job.state in (JobState.STARTING, JobState.RUNNING):
        return "running"
    return "cancelling" if job.state == JobState.STOPPING else job.state


def title_of(source: Mapping[str, Json]) -> str:
    """What is imported, in a few words."""
    match source.get("kind"):
        case "sample" if sample := SAMPLES.get(str(source["name"])):
            return sample.title
        case "links":
            label = f" of “{source['label']}”" if source.get("label") else ""
            return f"Links{label}"
        case "download":
            return f"Archive from {urlsplit(str(source['url'])).hostname}"
        case "folder":
            return f"Folder {source['path']}"
        case "bucket":
            return f"Bucket {source['bucket']}"
        case _:
            return str(source.get("name") or "Archive")


def _share(row: ImportRow) -> float | None:
    if _is_downloading(row):
        return min(1.0, row.bytes_done / row.bytes_total) if row.bytes_total else None
    return min(1.0, row.entries_done / row.entries_total) if row.entries_total else None


def _is_downloading(row: ImportRow) -> bool:
    return row.source.get("partial") is True and "digest" not in row.source


def _words(row: ImportRow, status: str) -> str:
    added = f"{counted(row.added, 'picture')} added"
    if status == "queued":
        return "Queued: starts as soon as a worker is free."
    if status == "paused":
        return f"Paused: the disk is full. {added} so far."
    if status in ("running", "cancelling"):
        left = f", {rough_time(row.seconds_left)} left" if row.seconds_left and status == "running" else ""
        return _under_way(row, added) + left
    already = f", {row.already_there:,} already here" if row.already_there else ""
    if status == "cancelled":
        return f"Cancelled. {added} before that{already}; they are kept."
    return f"{added}{already}."


def _under_way(row: ImportRow, added: str) -> str:
    if _is_downloading(row):
        whole = f" of {size(row.bytes_total)}" if row.bytes_total else ""
        return f"Downloading: {size(row.bytes_done)}{whole}"
    if row.source.get("kind") in ("folder", "bucket") and "digest" not in row.source:
        return "Looking what is there"
    done = f"{row.entries_done:,} of {row.entries_total:,}" if row.entries_total else f"{row.entries_done:,}"
    return f"{done} files read, {added}"


def _details(row: ImportRow) -> list[str]:
    details = []
    if row.ignored:
        details.append(f"{counted(row.ignored, 'hidden or system file')} left out.")
    if row.tables:
        details.append(f"{counted(row.tables, 'table')} of labels found.")
    if row.name_encoding:
        details.append(f"File names were read as {row.name_encoding}.")
    return details


def _failure(job: JobRow) -> FailureRead | None:
    if job.error_code is None:
        return None
    return FailureRead(code=job.error_code, message=job.error_message or "", advice=job.error_advice or "")
