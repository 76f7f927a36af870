"""An import as the page shows it: how far it is, or what came of it, in sentences."""

from dataclasses import dataclass

from backend.datasets.samples import SAMPLES
from backend.datasets.schemas import FailureRead
from backend.ledger.job import JobState
from backend.tables.datasets import ImportRow
from backend.tables.ledger import JobRow
from backend.templating import counted


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
        _title(row),
        status,
        _words(row, status),
        min(1.0, row.entries_done / row.entries_total) if row.entries_total else None,
        tuple(_details(row)),
        _failure(job),
    )


def _status(job: JobRow) -> str:
    if job.state in (JobState.STARTING, JobState.RUNNING):
        return "running"
    return "cancelling" if job.state == JobState.STOPPING else job.state


def _title(row: ImportRow) -> str:
    if row.source.get("kind") == "sample" and (sample := SAMPLES.get(str(row.source["name"]))):
        return sample.title
    return str(row.source.get("name") or "Archive")


def _words(row: ImportRow, status: str) -> str:
    done = f"{row.entries_done:,} of {row.entries_total:,}" if row.entries_total else f"{row.entries_done:,}"
    added = f"{counted(row.added, 'picture')} added"
    if status == "queued":
        return "Queued: starts as soon as a worker is free."
    if status == "paused":
        return f"Paused: the disk is full. {added} so far."
    if status in ("running", "cancelling"):
        return f"{done} files read, {added}"
    already = f", {row.already_there:,} already here" if row.already_there else ""
    if status == "cancelled":
        return f"Cancelled. {added} before that{already}; they are kept."
    return f"{added}{already}."


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
