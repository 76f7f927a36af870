"""What rules and splits read of a dataset: the names of its images and its tables, read once for many of them."""

import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from itertools import chain
from typing import Final

from sqlalchemy.orm import Session

from backend.datasets.labels.table_families import families, members
from backend.datasets.labels.tables import ReadTable, of_json, read_table, together
from backend.datasets.repository import DatasetRepository, ImageList
from backend.datasets.samples import SAMPLES, Sample
from backend.datasets.table_files import is_json, json_table
from backend.domain.ids import Digest
from backend.domain.labels.names import NameIndex
from backend.domain.labels.rules import Evaluate
from backend.domain.labels.tables import InvalidTable, NoTable, image_column
from backend.imaging.pool import decoding_pool
from backend.storage.base import Storage
from backend.tables.datasets import TableFileRow

_REMEMBERED: Final = 4


class Names:
    """The images of a dataset with all of their names; never changed, so requests share it."""

    def __init__(self, images: ImageList) -> None:
        self.images = images
        self.read_tables: dict[tuple[str | None, ...], ReadTable] = {}
        """Tables that were read against these names, by their rows, separator and encoding."""
        self._evaluated: OrderedDict[tuple[Evaluate, str], Sequence[str | None]] = OrderedDict()

    def evaluated(self, evaluate: Evaluate, text: str, paths: Sequence[str]) -> Sequence[str | None]:
        """What ``evaluate`` gives for all names; remembered, because a new split or freezing asks for it again.

        ``paths`` are all names, or none where the text is only to be checked.

        Raises:
            InvalidInput: as ``evaluate`` does.
        """
        if (known := self._evaluated.get((evaluate, text))) is not None:
            return known if paths else ()
        if not paths:
            return evaluate(text, ())
        # Of many answers, few are different.
        same: dict[str, str] = {}
        answers = [answer and same.setdefault(answer, answer) for answer in evaluate(text, paths)]
        self._evaluated[evaluate, text] = answers
        if len(self._evaluated) > _REMEMBERED:
            self._evaluated.popitem(last=False)
        return answers

    @cached_property
    def paths(self) -> Sequence[str]:
        """Every name of every image."""
        return [*chain.from_iterable(self.images.all_paths())] if self.images.several else self.images.paths

    @cached_property
    def mixed(self) -> ImageList:
        """The images by digest: an order that has nothing to do with their names."""
        return self.images.at(sorted(range(len(self.images)), key=self.images.digests.__getitem__))

    @cached_property
    def index(self) -> NameIndex:
        """The images by the names that tables may have for them."""
        names = zip(self.images.ids, self.images.all_paths(), strict=True)
        return NameIndex.of(self.paths, {path: image_id for image_id, paths in names for path in paths})


@dataclass(slots=True)
class NamesCache:
    """The names of the datasets that were read last, by a stamp that changes with every name."""

    size: int
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _kept: OrderedDict[tuple[str, ...], Names] = field(default_factory=OrderedDict)

    def names(self, repository: DatasetRepository, dataset_id: str) -> Names:
        """The names of a dataset as they are now."""
        key = (dataset_id, *repository.names_stamp(dataset_id))
        with self._lock:
            if (known := self._kept.get(key)) is not None:
                self._kept.move_to_end(key)
                return known
        names = Names(repository.image_names(dataset_id))
        with self._lock:
            for old in [other for other in self._kept if other[0] == dataset_id]:
                del self._kept[old]
            self._kept[key] = names
            while len(self._kept) > self.size:
                self._kept.popitem(last=False)
        return names


_CACHE: Final = NamesCache(size=4)


@dataclass(slots=True)
class DatasetContent:
    """A dataset's images and tables, for one request."""

    session: Session
    storage: Storage
    dataset_id: str
    names: Names
    tables: Sequence[TableFileRow]

    @classmethod
    def of(cls, session: Session, storage: Storage, dataset_id: str) -> "DatasetContent":
        """Raises DatasetNotFound."""
        repository = DatasetRepository(session)
        repository.get(dataset_id)
        return cls(session, storage, dataset_id, _CACHE.names(repository, dataset_id), repository.tables(dataset_id))

    @property
    def samples(self) -> Sequence[Sample]:
        """The samples that were added to the dataset; most have none."""
        names = DatasetRepository(self.session).samples(self.dataset_id)
        return [SAMPLES[name] for name in names if name in SAMPLES]

    @property
    def images(self) -> ImageList:
        """Every image, by its first name."""
        return self.names.images

    def table(self, file: str | None, delimiter: str | None = None, encoding: str | None = None) -> ReadTable:
        """The table that is meant; where none is named, the only one that names images.

        Raises:
            InvalidTable: none, several, or not readable.
        """
        if not self.tables:
            raise NoTable
        if file is None:
            return self._only_fitting(delimiter, encoding)
        if "*" in file and all(row.path != file for row in self.tables):
            return self._family(file, delimiter, encoding)
        return self._table(_named(self.tables, file), delimiter, encoding)

    def about_images(self) -> Mapping[str, ReadTable]:
        """Tables with a column that names images, by their paths; also those that belong together, by their pattern."""
        found = self._single_about_images()
        for pattern in families(found):
            with suppress(InvalidTable):
                found[pattern] = self._family(pattern, None, None)
        return found

    def _single_about_images(self) -> dict[str, ReadTable]:
        found = {}
        for row in self.tables:
            try:
                read = self._table(row)
                image_column(read.table, self.names.index)
            except InvalidTable:
                continue
            if len(read.table.columns) > 1:
                found[row.path] = read
        return found

    def _only_fitting(self, delimiter: str | None, encoding: str | None) -> ReadTable:
        if len(self.tables) == 1:
            return self._table(self.tables[0], delimiter, encoding)
        fitting = [*self._single_about_images()]
        if len(fitting) > 1 and (pattern := _pattern_of_all(fitting)):
            return self._family(pattern, delimiter, encoding)
        names = fitting or [row.path for row in self.tables[:20]]
        if len(fitting) != 1:
            reason = "There are several tables." if fitting else "None of the tables names your pictures."
            raise InvalidTable(reason, advice=f"Say which one to read: {', '.join(names[:20])}.", files=names[:20])
        return self._table(_named(self.tables, fitting[0]), delimiter, encoding)

    def _table(self, row: TableFileRow, delimiter: str | None = None, encoding: str | None = None) -> ReadTable:
        key = (row.id, delimiter, encoding)
        known = self.names.read_tables
        if key not in known:
            known[key] = self._read(row, delimiter, encoding)
        return known[key]

    def _read(self, row: TableFileRow, delimiter: str | None, encoding: str | None) -> ReadTable:
        content = self.content_of(row)
        if is_json(row.path):
            return of_json(row.path, decoding_pool().run(json_table, content))
        return read_table(row.path, content, self.names.index, delimiter=delimiter, encoding=encoding)

    def _family(self, pattern: str, delimiter: str | None, encoding: str | None) -> ReadTable:
        """Tables that belong together, as one; those that can't be read are left out where another can."""
        wanted = {*members(pattern, [row.path for row in self.tables])}
        rows = [row for row in self.tables if row.path in wanted]
        if not rows:
            raise InvalidTable(f"There is no table called {pattern}.", advice=f"There are: {_listed(self.tables)}.")
        key = (pattern, *(row.id for row in rows), delimiter, encoding)
        known = self.names.read_tables
        if key not in known:
            read = [self._table(row, delimiter, encoding) for row in rows]
            known[key] = together(pattern, read, self.names.index)
        return known[key]

    def content_of(self, row: TableFileRow) -> bytes:
        """The bytes of a table. Raises InvalidTable: they are gone from the storage."""
        try:
            return self.storage.read_blob(Digest(row.digest))
        except FileNotFoundError:
            reason = f"The file of the table “{row.path}” isn't in the server's storage any more."
            raise InvalidTable(reason, advice="Add the table again.", files=[row.path]) from None


def _named(rows: Sequence[TableFileRow], file: str) -> TableFileRow:
    fitting = [row for row in rows if row.path == file] or [row for row in rows if row.path.rpartition("/")[2] == file]
    if not fitting:
        names = [row.path for row in rows[:20]]
        raise InvalidTable(f"There is no table called {file}.", advice=f"There are: {_listed(rows)}.", files=names)
    if len(fitting) > 1:
        names = [row.path for row in fitting[:20]]
        raise InvalidTable(
            f"There are several tables called {file}.", advice=f"Say which one: {', '.join(names)}.", files=names
        )
    return fitting[0]


def _pattern_of_all(files: Sequence[str]) -> str | None:
    return next((pattern for pattern in families(files) if len(members(pattern, files)) == len(files)), None)


def _listed(rows: Sequence[TableFileRow]) -> str:
    return ", ".join(row.path for row in rows[:20])
