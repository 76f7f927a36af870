"""All SQL over datasets, their images, tables, rejections and imports."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, overload

from sqlalchemy import Text, cast, func, or_, select, text, update
from sqlalchemy.orm import Session

from backend.datasets.errors import DatasetNotFound, ImageNotFound, ImportNotFound
from backend.domain.ids import Digest, new_id
from backend.domain.json import Json
from backend.imaging.facts import REMARKS_ON_DRAWN, SOUND_TYPES, TRACK_TYPES, Note
from backend.imaging.measures import Measures
from backend.ledger.job import JobState
from backend.tables.datasets import (
    DatasetRow,
    ImagePathRow,
    ImageRow,
    ImportRow,
    RejectionRow,
    TableFileRow,
    VersionRow,
)
from backend.tables.ledger import JobRow

_FINAL = tuple(state for state in JobState if state.is_final)
_LEFTOVERS = frozenset({"digest", "upload", "sealed", "partial"})
"""What an import's source says of things that are kept only until its end."""


@dataclass(frozen=True, slots=True)
class NewImage:
    """An image that is stored and not yet recorded in a dataset."""

    path: str
    digest: Digest
    format: str
    width: int
    height: int
    bytes: int
    notes: tuple[Note, ...] = ()
    measures: Measures | None = None


@dataclass(frozen=True, slots=True)
class Rejection:
    """A file that was left out, with a code for programs and a sentence for people."""

    path: str
    code: str
    message: str


@dataclass(frozen=True, slots=True)
class DatasetSummary:
    """A dataset with the numbers that lists show."""

    row: DatasetRow
    classes: int
    versions: int


class ImageNames(NamedTuple):
    """All names of one image, sorted; the first is the one that is shown."""

    id: str
    digest: Digest
    path: str
    paths: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ImageList(Sequence[ImageNames]):
    """Images with their names, in columns: many are remembered, and each object costs every run of the collector.

    Attributes:
        paths: the first name of each, which is the one that is shown.
        several: all names, sorted, of those that have several, by their ids.
    """

    ids: Sequence[str]
    digests: Sequence[Digest]
    paths: Sequence[str]
    several: Mapping[str, tuple[str, ...]]

    def __len__(self) -> int:
        return len(self.ids)

    @overload
    def __getitem__(self, at: int) -> ImageNames: ...

    @overload
    def __getitem__(self, at: slice) -> "ImageList": ...

    def __getitem__(self, at: int | slice) -> "ImageNames | ImageList":
        if isinstance(at, slice):
            return ImageList(self.ids[at], self.digests[at], self.paths[at], self.several)
        image_id, path = self.ids[at], self.paths[at]
        return ImageNames(image_id, self.digests[at], path, self.several.get(image_id, (path,)))

    def __iter__(self) -> Iterator[ImageNames]:
        return map(ImageNames, self.ids, self.digests, self.paths, self.all_paths())

    def all_paths(self) -> Iterator[tuple[str, ...]]:
        """All names of each, sorted."""
        several = self.several
        return (several.get(image_id, (path,)) for image_id, path in zip(self.ids, self.paths, strict=True))

    def at(self, places: Sequence[int]) -> "ImageList":
        """Those at ``places``, in this order."""
        return ImageList(
            [self.ids[place] for place in places],
            [self.digests[place] for place in places],
            [self.paths[place] for place in places],
            self.several,
        )


class NamedFile(NamedTuple):
    """One file of a dataset by one of its names: a picture or a table."""

    digest: Digest
    bytes: int


class Leftover(NamedTuple):
    """Where an import's archive or list lies, if it has one: a blob, or the part of a resumable upload."""

    digest: Digest | None
    upload_id: str | None


class DatasetRepository:
    """Looking at datasets, and changing them in the caller's transaction."""

    def __init__(self, session: Session) -> None:
        self._session = session

    # Datasets

    def add(self, name: str) -> DatasetRow:
        """A new, empty dataset."""
        row = DatasetRow(id=new_id(), name=name)
        self._session.add(row)
        self._session.flush()
        return row

    def get(self, dataset_id: str) -> DatasetRow:
        """Raises DatasetNotFound."""
        row = self._session.get(DatasetRow, dataset_id)
        if row is None or row.is_being_deleted:
            raise DatasetNotFound
        return row

    def lock(self, dataset_id: str) -> DatasetRow:
        """The dataset, with others who want to change it made to wait. Raises DatasetNotFound."""
        query = select(DatasetRow).where(DatasetRow.id == dataset_id).with_for_update()
        row = self._session.scalar(query.execution_options(populate_existing=True))
        if row is None or row.is_being_deleted:
            raise DatasetNotFound
        return row

    def summary(self, dataset_id: str) -> DatasetSummary:
        """A dataset with its numbers. Raises DatasetNotFound."""
        return self._summaries([self.get(dataset_id)])[0]

    def summaries(self, *, limit: int, after: str | None) -> list[DatasetSummary]:
        """Datasets, the newest first."""
        query = select(DatasetRow).where(~DatasetRow.is_being_deleted).order_by(DatasetRow.id.desc()).limit(limit)
        if after:
            query = query.where(DatasetRow.id < after)
        return self._summaries(list(self._session.scalars(query)))

    def _summaries(self, rows: Sequence[DatasetRow]) -> list[DatasetSummary]:
        query = (
            select(VersionRow.dataset_id, VersionRow.number, VersionRow.classes)
            .where(VersionRow.dataset_id.in_([row.id for row in rows]))
            .order_by(VersionRow.number)
        )
        versions: dict[str, list[int]] = {}
        for dataset_id, _number, classes in self._session.execute(query):
            versions.setdefault(dataset_id, []).append(len(classes))
        return [DatasetSummary(row, (versions.get(row.id) or [0])[-1], len(versions.get(row.id, []))) for row in rows]

    # Images

    def image(self, image_id: str) -> ImageRow:
        """An image of a dataset that isn't deleted. Raises ImageNotFound."""
        query = select(ImageRow).join(DatasetRow, DatasetRow.id == ImageRow.dataset_id)
        row = self._session.scalar(query.where(ImageRow.id == image_id, ~DatasetRow.is_being_deleted))
        if row is None:
            raise ImageNotFound
        return row

    def digests(self, image_ids: Sequence[str]) -> list[Digest]:
        """The SHA-256 of these images, in no order."""
        query = select(ImageRow.digest).where(ImageRow.id.in_(image_ids))
        return [Digest(digest) for digest in self._session.scalars(query)]

    def names_stamp(self, dataset_id: str) -> tuple[str, str]:
        """Changes with every name that comes or goes: how many there are, and the id of the newest."""
        query = select(func.count(), func.max(ImagePathRow.id)).where(ImagePathRow.dataset_id == dataset_id)
        count, newest = self._session.execute(query).one()
        return str(count), newest or ""

    def image_names(self, dataset_id: str) -> ImageList:
        """Every image with all of its names, by the first one; labels are read from these."""
        query = (
            select(ImagePathRow.image_id, ImagePathRow.path, ImageRow.digest)
            .join(ImageRow, ImageRow.id == ImagePathRow.image_id)
            .where(ImagePathRow.dataset_id == dataset_id)
        )
        digest_of: dict[str, Digest] = {}
        path_of: dict[str, str] = {}
        several: dict[str, list[str]] = {}
        # By the connection: the session would make an object of each row.
        for image_id, path, digest in self._session.connection().execute(query):
            if image_id in path_of:
                several.setdefault(image_id, [path_of[image_id]]).append(path)
            else:
                digest_of[image_id], path_of[image_id] = Digest(digest), path
        path_of |= {image_id: min(paths) for image_id, paths in several.items()}
        ids = sorted(path_of, key=path_of.__getitem__)
        return ImageList(
            ids,
            [digest_of[image_id] for image_id in ids],
            [path_of[image_id] for image_id in ids],
            {image_id: tuple(sorted(paths)) for image_id, paths in several.items()},
        )

    def files_named(self, dataset_id: str, paths: Sequence[str]) -> dict[str, list[NamedFile]]:
        """Pictures and tables of a dataset by their names, of those asked about."""
        pictures = (
            select(ImagePathRow.path, ImageRow.digest, ImageRow.bytes)
            .join(ImageRow, ImageRow.id == ImagePathRow.image_id)
            # An expression, so that names are looked up first: a dataset may have a million of its own.
            .where(ImagePathRow.path.in_(paths), ImageRow.dataset_id.concat("") == dataset_id, ~ImageRow.is_deleted)
        )
        found: dict[str, list[NamedFile]] = {}
        tables = select(TableFileRow.path, TableFileRow.digest, TableFileRow.bytes)
        of_dataset = tables.where(TableFileRow.dataset_id == dataset_id, TableFileRow.path.in_(paths))
        for path, digest, size in (*self._session.execute(pictures), *self._session.execute(of_dataset)):
            found.setdefault(path, []).append(NamedFile(Digest(digest), size))
        return found

    def rejections(
        self, dataset_id: str, *, limit: int, after: str | None = None, import_id: str | None = None
    ) -> list[RejectionRow]:
        """Files that were left out."""
        query = select(RejectionRow).where(RejectionRow.dataset_id == dataset_id).order_by(RejectionRow.id).limit(limit)
        if after:
            query = query.where(RejectionRow.id > after)
        if import_id:
            query = query.where(RejectionRow.import_id == import_id)
        return list(self._session.scalars(query))

    def noted_images(self, dataset_id: str, limit: int) -> list[ImageRow]:
        """Images of which something is worth knowing, the newest first."""
        notes = cast(ImageRow.notes, Text)
        # Of what a picture was drawn from stands beside each; only something unusual is worth listing.
        remarks = or_(
            ImageRow.format.not_in([*SOUND_TYPES, *TRACK_TYPES]), *(notes.contains(code) for code in REMARKS_ON_DRAWN)
        )
        query = select(ImageRow).where(ImageRow.dataset_id == dataset_id, ~ImageRow.is_deleted, notes != "[]", remarks)
        return list(self._session.scalars(query.order_by(ImageRow.id.desc()).limit(limit)))

    def tables(self, dataset_id: str) -> list[TableFileRow]:
        """Tables among the files, by name."""
        query = select(TableFileRow).where(TableFileRow.dataset_id == dataset_id)
        return sorted(self._session.scalars(query), key=lambda row: row.path)

    # Imports

    def add_import(self, row: ImportRow) -> None:
        """Record an import; its job must be there."""
        self._session.add(row)
        self._session.flush()

    def get_import(self, import_id: str) -> tuple[ImportRow, JobRow]:
        """An import and its job. Raises ImportNotFound."""
        query = (
            select(ImportRow, JobRow)
            .join(JobRow, JobRow.id == ImportRow.job_id)
            .join(DatasetRow, DatasetRow.id == ImportRow.dataset_id)
            .where(ImportRow.id == import_id, ~DatasetRow.is_being_deleted)
        )
        for row, job in self._session.execute(query.execution_options(populate_existing=True)):
            return row, job
        raise ImportNotFound

    def imports(self, dataset_id: str, limit: int = 20) -> list[tuple[ImportRow, JobRow]]:
        """Imports into a dataset with their jobs, the newest first."""
        query = (
            select(ImportRow, JobRow)
            .join(JobRow, JobRow.id == ImportRow.job_id)
            .where(ImportRow.dataset_id == dataset_id)
            .order_by(ImportRow.id.desc())
            .limit(limit)
        )
        return [(row, job) for row, job in self._session.execute(query)]

    def samples(self, dataset_id: str) -> list[str]:
        """Names of the samples that were added to a dataset, the first one first."""
        query = select(ImportRow.source).where(ImportRow.dataset_id == dataset_id).order_by(ImportRow.id)
        return [str(source["name"]) for source in self._session.scalars(query) if source.get("kind") == "sample"]

    def advance_import(
        self, import_id: str, *, name_encoding: str | None, seconds_left: int | None = None, **counts: int
    ) -> None:
        """Add to an import's counters.

        ``name_encoding`` is how names were read, where it had to be guessed; ``seconds_left`` is for the rest.
        """
        values: dict[str, Any] = {name: getattr(ImportRow, name) + count for name, count in counts.items()}
        values |= {"name_encoding": name_encoding} if name_encoding else {}
        values["seconds_left"] = seconds_left
        self._session.execute(update(ImportRow).where(ImportRow.id == import_id).values(values))

    def update_import(self, import_id: str, **values: Json) -> None:
        """Record what is known of an import now: columns of its row."""
        self._session.execute(update(ImportRow).where(ImportRow.id == import_id).values(values))

    def most_common_rejection(self, import_id: str) -> tuple[int, str]:
        """How many files of an import were left out, and the sentence given for most of them."""
        query = (
            select(func.count(), func.max(RejectionRow.message))
            .where(RejectionRow.import_id == import_id)
            .group_by(RejectionRow.code)
            .order_by(func.count().desc())
        )
        found = self._session.execute(query).all()
        return sum(count for count, _ in found), found[0][1] if found else ""

    def leftovers_of_ended_imports(self) -> dict[str, Leftover]:
        """Ended imports of which an archive, a list, keys or a part of a download are still kept, by their ids."""
        query = (
            select(ImportRow.id, ImportRow.source)
            .join(JobRow, JobRow.id == ImportRow.job_id)
            .where(JobRow.state.in_(_FINAL))
        )
        return {
            import_id: Leftover(source.get("digest"), source.get("upload"))
            for import_id, source in self._session.execute(query)
            if not _LEFTOVERS.isdisjoint(source)
        }

    def note_leftovers_deleted(self, import_ids: Iterable[str]) -> None:
        """Record that imports have none of these any more."""
        for row in self._session.scalars(select(ImportRow).where(ImportRow.id.in_(list(import_ids)))):
            row.source = {name: value for name, value in row.source.items() if name not in _LEFTOVERS}

    # Blobs that nobody uses any more

    def lock_references(self) -> None:
        """Let nobody else record images until the end of the transaction (SQLite has one writer anyway)."""
        if self._session.get_bind().dialect.name == "postgresql":
            self._session.execute(text("LOCK TABLE images, table_files, imports IN SHARE ROW EXCLUSIVE MODE"))

    def unreferenced(self, digests: Sequence[Digest]) -> list[Digest]:
        """Those of ``digests`` that no image, table or unfinished import needs."""
        used: set[str] = set()
        for table in (ImageRow, TableFileRow):
            used |= set(self._session.scalars(select(table.digest).where(table.digest.in_(digests))))
        query = select(ImportRow.source).join(JobRow, JobRow.id == ImportRow.job_id).where(JobRow.state.not_in(_FINAL))
        used |= {source.get("digest", "") for source in self._session.scalars(query)}
        return [digest for digest in digests if digest not in used]
