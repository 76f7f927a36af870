"""Finds datasets, runs and classes by a part of their names."""

from dataclasses import dataclass
from typing import Final, Literal
from urllib.parse import urlencode

from sqlalchemy import Select, func, select
from sqlalchemy.orm import Session

from backend.domain.json import Json
from backend.tables.datasets import DatasetRow, VersionRow
from backend.tables.training import RunRow

MOST: Final = 8
"""Results of one kind."""
_NEWEST: Final = 2000
"""So many are looked through, the newest first: by Python, since SQLite knows upper and lower case of a to z only."""


@dataclass(frozen=True, slots=True)
class Found:
    """One result: what it is called, where it belongs, and its page."""

    kind: Literal["Dataset", "Run", "Class"]
    words: str
    of: str
    path: str


def search(session: Session, text: str) -> list[Found]:
    """Datasets, runs and classes whose name contains ``text``, whatever its case; nothing for an empty one."""
    wanted = text.strip().casefold()
    if not wanted:
        return []
    return [*_datasets(session, wanted), *_runs(session, wanted), *_classes(session, wanted)]


def _datasets(session: Session, wanted: str) -> list[Found]:
    query = (
        select(DatasetRow.id, DatasetRow.name)
        .where(~DatasetRow.is_being_deleted)
        .order_by(DatasetRow.id.desc())
        .limit(_NEWEST)
    )
    rows = session.execute(query)
    return [Found("Dataset", name, "", f"/datasets/{found}") for found, name in rows if wanted in name.casefold()][
        :MOST
    ]


def _runs(session: Session, wanted: str) -> list[Found]:
    query = (
        select(RunRow.id, RunRow.name, DatasetRow.name)
        .join(VersionRow, VersionRow.id == RunRow.version_id)
        .join(DatasetRow, DatasetRow.id == VersionRow.dataset_id)
        .where(~DatasetRow.is_being_deleted)
        .order_by(RunRow.id.desc())
        .limit(_NEWEST)
    )
    rows = session.execute(query)
    return [Found("Run", name, of, f"/runs/{found}") for found, name, of in rows if wanted in name.casefold()][:MOST]


def _classes(session: Session, wanted: str) -> list[Found]:
    found = []
    for version_id, dataset_id, dataset, classes in session.execute(_newest_versions()):
        for label in map(str, classes):
            if wanted in label.casefold():
                query = urlencode({"version": version_id, "class": label})
                found.append(Found("Class", label, dataset, f"/datasets/{dataset_id}/images?{query}"))
            if len(found) == MOST:
                return found
    return found


def _newest_versions() -> Select[str, str, str, list[Json]]:
    newest = select(VersionRow.dataset_id, func.max(VersionRow.number).label("number")).group_by(VersionRow.dataset_id)
    chosen = newest.subquery()
    return (
        select(VersionRow.id, VersionRow.dataset_id, DatasetRow.name, VersionRow.classes)
        .join(chosen, (chosen.c.dataset_id == VersionRow.dataset_id) & (chosen.c.number == VersionRow.number))
        .join(DatasetRow, DatasetRow.id == VersionRow.dataset_id)
        .where(~DatasetRow.is_being_deleted)
        .order_by(VersionRow.id.desc())
        .limit(_NEWEST)
    )
