"""All SQL over lists of a dataset's pictures.

Every list walks along one index (``_Walk``): a page begins where the one before ended, and has ``limit`` pictures.
Conditions that no index answers, such as a part of a path, are looked at on the way, for at most ``LOOKED_THROUGH``
pictures a page. So a page takes the same time at the beginning of a list and after a million pictures, and one of which
nothing matches isn't slower.

The walk gives ids only; what a page shows of them is asked for next (``_rows``). Nothing is joined to the walk, as a
database may choose to read the other table from its beginning, or whole.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, Final

from sqlalchemy import ColumnElement, Select, and_, case, exists, func, literal, null, select, tuple_
from sqlalchemy.orm import InstrumentedAttribute, Session

from backend.datasets.errors import ImageNotFound
from backend.datasets.pictures.flags import FLAGS, MEASURED, looked_up
from backend.pagination import CursorUnknown
from backend.tables.datasets import BinnedPathRow, DatasetRow, ImagePathRow, ImageRow, VersionImageRow, VersionRow
from backend.tables.examination import ImageMeasuresRow
from backend.tables.interpretation import PredictionRow

LOOKED_THROUGH: Final = 50_000
"""Pictures that are looked at for one page, where a condition needs each of them looked at."""
_LOOKED_FIRST: Final = 2_000
MOST_COUNTED: Final = 10_000
FOLDERS_FROM: Final = 20_000
"""Pictures from whose paths the choice of folders is made."""


class ListOrder(StrEnum):
    """In which order pictures are listed; ``class`` lists those of a version."""

    ARRIVAL = "arrival"
    NEWEST = "newest"
    NAME = "name"
    CLASS = "class"


@dataclass(frozen=True, slots=True)
class Answer:
    """What a model said of a picture when it was tested; the probability is that of what it said."""

    predicted: str
    probability: float
    is_right: bool


@dataclass(frozen=True, slots=True)
class ListedImage:
    """An image with its label and set in one version, its flags, and a model's answer where a list asks for one's."""

    row: ImageRow
    label: str | None
    split: str | None
    flags: tuple[str, ...] = ()
    answer: Answer | None = None


@dataclass(frozen=True, slots=True)
class ImageFilter:
    """Which images of a dataset are listed, and in which order.

    Attributes:
        version_id: label and split are those of this version.
        only_version: images outside of it are left out, and those that are deleted but in it are listed.
        flag: one of ``FLAGS``.
        folder: a path without the slash at its end.
        text: a part of the path, whatever its case.
        shorter_side: (least, most) pixels of the shorter side, both included; None is no bound.
        checkpoint_id: only images that this checkpoint was tested on, with what it said.
        is_right: only those that it got right, or wrong.
        begins_with: in the order of names or classes, where the list begins.
        ids: only these.
    """

    version_id: str = ""
    only_version: bool = False
    label: str | None = None
    split: str | None = None
    flag: str | None = None
    folder: str | None = None
    text: str | None = None
    shorter_side: tuple[int | None, int | None] | None = None
    checkpoint_id: str | None = None
    is_right: bool | None = None
    order: ListOrder = ListOrder.ARRIVAL
    begins_with: str | None = None
    ids: tuple[str, ...] | None = None

    @property
    def is_all(self) -> bool:
        """Whether every picture of the dataset is listed, from the first one on."""
        chosen = (self.label, self.split, self.flag, self.folder, self.text, self.shorter_side, self.checkpoint_id)
        in_version = self.only_version or self.order is ListOrder.CLASS
        of_few = self.ids is not None or self.begins_with is not None
        return not in_version and not of_few and all(part is None for part in chosen)


@dataclass(frozen=True, slots=True)
class ImagePage:
    """A part of a list; ``next`` is the id after which it goes on, also where nothing was found so far."""

    images: list[ListedImage]
    next: str | None


@dataclass(frozen=True, slots=True)
class Count:
    """How many pictures a list has; where not ``is_exact``, at least so many."""

    images: int
    is_exact: bool


class PictureLists:
    """Pictures of datasets, listed, counted and one by one."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def page(
        self,
        dataset_id: str,
        chosen: ImageFilter,
        *,
        limit: int,
        after: str | None = None,
        offset: int = 0,
        backwards: bool = False,
    ) -> ImagePage:
        """A page of a list: after an image, or from a position on.

        A position costs time in proportion to how far from the beginning it is; of all pictures, from the nearer end.

        Raises:
            CursorUnknown: there is no image of the id ``after`` in this order.
        """
        walk = _Walk.of(dataset_id, chosen, backwards=backwards)
        start = self._key(walk, chosen, after) if after else None
        if offset and start is None:
            start = self._key_at(dataset_id, walk, offset)
            if start is None:
                return ImagePage([], None)
        ids, following = self._found(walk, start, limit)
        return ImagePage(self._listed(chosen, ids), following)

    def images(
        self, dataset_id: str, chosen: ImageFilter, *, limit: int, after: str | None = None
    ) -> list[ListedImage]:
        """The images of one page."""
        return self.page(dataset_id, chosen, limit=limit, after=after).images

    def ids(
        self, dataset_id: str, chosen: ImageFilter, *, limit: int, after: str | None = None
    ) -> tuple[list[str], str | None]:
        """Ids alone, and the cursor of the next part."""
        walk = _Walk.of(dataset_id, chosen)
        return self._found(walk, self._key(walk, chosen, after) if after else None, limit)

    def count(self, dataset_id: str, chosen: ImageFilter) -> Count:
        """How many images a list has: from stored totals, or counted up to ``MOST_COUNTED``."""
        if chosen.is_all:
            stored = self._session.scalar(select(DatasetRow.images).where(DatasetRow.id == dataset_id))
            return Count(stored or 0, is_exact=True)
        stored_sum = self._stored_sum(dataset_id, chosen)
        if stored_sum is not None:
            return Count(stored_sum, is_exact=True)
        walk = _Walk.of(dataset_id, chosen)
        end = self._end(walk, None, LOOKED_THROUGH)
        capped = walk.ids(None, end).order_by(None).limit(MOST_COUNTED + 1).subquery()
        counted = self._session.scalar(select(func.count()).select_from(capped)) or 0
        return Count(min(counted, MOST_COUNTED), is_exact=end is None and counted <= MOST_COUNTED)

    def _stored_sum(self, dataset_id: str, chosen: ImageFilter) -> int | None:
        """The images of a class or set as the version counted them; None where that isn't all that counts."""
        others = (
            chosen.flag,
            chosen.folder,
            chosen.text,
            chosen.shorter_side,
            chosen.checkpoint_id,
            chosen.begins_with,
            chosen.ids,
        )
        if not chosen.version_id or any(part is not None for part in others):
            return None
        is_deleted = exists().where(ImageRow.dataset_id == dataset_id, ImageRow.is_deleted)
        if not chosen.only_version and self._session.scalar(select(is_deleted)):
            return None
        counts = self._session.scalar(select(VersionRow.counts).where(VersionRow.id == chosen.version_id)) or {}
        classes = [counts.get(chosen.label, {})] if chosen.label is not None else list(counts.values())
        sides = [chosen.split] if chosen.split is not None else ["train", "valid", "test"]
        return sum(int(of_class.get(side, 0)) for of_class in classes for side in sides)

    def initials(self, dataset_id: str) -> list[str]:
        """The first letters of names, in order: one step along the index for each, not one for each picture."""
        listed = (ImageRow.dataset_id == dataset_id, ~ImageRow.is_deleted)
        initial = func.substr(ImageRow.name_key, 1, 1)
        first = select(initial.label("initial")).where(*listed).order_by(ImageRow.name_key).limit(1)
        steps = select(first.subquery().c.initial).cte("initials", recursive=True)
        following = (
            select(initial)
            # The largest character that both databases know: whatever begins with this letter comes before it.
            .where(*listed, ImageRow.name_key > steps.c.initial.concat("\U0010ffff"))
            .order_by(ImageRow.name_key)
            .limit(1)
            .scalar_subquery()
        )
        steps = steps.union_all(select(following).where(steps.c.initial.is_not(None)))
        return [found for found in self._session.scalars(select(steps.c.initial)) if found]

    def listed_image(self, dataset_id: str, image_id: str, version_id: str | None = None) -> ListedImage:
        """One image, also one that only a version still has, labelled as in a version, else in the newest.

        Raises:
            ImageNotFound
        """
        newest = select(func.max(VersionRow.id)).where(VersionRow.dataset_id == dataset_id).scalar_subquery()
        version: Any = version_id or newest  # Any: an id, or the query for it
        of_version = (VersionImageRow.image_id == ImageRow.id) & (VersionImageRow.version_id == version)
        query = select(ImageRow, VersionImageRow.label, VersionImageRow.split, *_NO_ANSWER, *_FLAGS)
        query = query.join(VersionImageRow, of_version, isouter=True)
        found = self._session.execute(query.where(ImageRow.dataset_id == dataset_id, ImageRow.id == image_id)).first()
        if found is None:
            raise ImageNotFound
        return _listed(found)

    def beside(self, dataset_id: str, chosen: ImageFilter, image_id: str) -> tuple[str | None, str | None]:
        """Ids of the images before and after one in a list; None at its ends, and where the list doesn't have it."""
        before, after = (self._next(dataset_id, chosen, image_id, backwards=way) for way in (True, False))
        return before, after

    def _next(self, dataset_id: str, chosen: ImageFilter, image_id: str, *, backwards: bool) -> str | None:
        walk = _Walk.of(dataset_id, chosen, backwards=backwards)
        try:
            start = self._key(walk, chosen, image_id)
        except CursorUnknown:
            return None
        found, _ = self._found(walk, start, 1)
        return found[0] if found else None

    def names_of(self, image_id: str) -> list[str]:
        """All names under which an image was added; of one in the bin, those that it had."""
        present = select(ImagePathRow.path).where(ImagePathRow.image_id == image_id)
        binned = select(BinnedPathRow.path).where(BinnedPathRow.image_id == image_id)
        return sorted(self._session.scalars(present.union_all(binned)))

    def folders(self, dataset_id: str, limit: int) -> list[str]:
        """Folders that pictures lie in, by name; none where there are too many pictures or folders to choose from."""
        paths = (
            select(ImageRow.path)
            .where(ImageRow.dataset_id == dataset_id, ~ImageRow.is_deleted)
            .order_by(ImageRow.id)
            .limit(FOLDERS_FROM + 1)
        )
        read = list(self._session.scalars(paths))
        found = {path.rpartition("/")[0] for path in read} - {""}
        return sorted(found) if len(read) <= FOLDERS_FROM and len(found) <= limit else []

    def _key(self, walk: "_Walk", chosen: ImageFilter, image_id: str) -> Sequence[Any]:  # Any: the key's columns
        """Where an image stands in the order; a deleted one as long as its row is there."""
        if len(walk.key) == 1:
            return (image_id,)
        if chosen.order is ListOrder.NAME:
            query = select(ImageRow.name_key, ImageRow.id).where(ImageRow.id == image_id)
        else:
            of_version = VersionImageRow.version_id == chosen.version_id
            query = select(VersionImageRow.label, VersionImageRow.image_id).where(of_version)
            query = query.where(VersionImageRow.image_id == image_id)
        found = self._session.execute(query).first()
        if found is None:
            raise CursorUnknown(image_id)
        return found

    def _key_at(self, dataset_id: str, walk: "_Walk", position: int) -> Sequence[Any] | None:  # Any: as above
        """The key at a position, the first being 1; None where the list ends before it."""
        total = select(DatasetRow.images).where(DatasetRow.id == dataset_id).scalar_subquery()
        if walk.is_of_all and 2 * position > (self._session.scalar(select(total)) or 0):
            # Counted from the end, which is nearer; how far, in the same statement, as pictures may arrive meanwhile.
            from_end = case((total > position, total - position), else_=0)
            return self._session.execute(walk.backwards.keys(None).offset(from_end).limit(1)).first()
        return self._session.execute(walk.keys(None).offset(position - 1).limit(1)).first()

    def _found(
        self, walk: "_Walk", start: Sequence[Any] | None, limit: int
    ) -> tuple[list[str], str | None]:  # Any: as above
        """Ids on one page, and the cursor of the next one."""
        found: list[str] = []
        end: Sequence[Any] | None = None
        for pictures in _parts(LOOKED_THROUGH):
            end = self._end(walk, start, pictures)
            found += self._session.scalars(walk.ids(start, end).limit(limit + 1 - len(found)))
            if len(found) > limit:
                return found[:limit], found[limit - 1]
            if end is None:
                return found, None
            start = end
        return found, None if end is None else end[-1]

    def _end(self, walk: "_Walk", start: Sequence[Any] | None, pictures: int) -> Sequence[Any] | None:  # Any: as above
        """The last key of so many pictures; None where the list ends before it, or where each of them belongs to it."""
        if not walk.is_bounded:
            return None
        return self._session.execute(walk.keys(start).offset(pictures - 1).limit(1)).first()

    def _listed(self, chosen: ImageFilter, ids: Sequence[str]) -> list[ListedImage]:
        """The images of these ids, in their order."""
        if not ids:
            return []
        rows = {found.row.id: found for found in map(_listed, self._session.execute(_rows(chosen, ids)))}
        return [rows[image_id] for image_id in ids if image_id in rows]


@dataclass(frozen=True, slots=True)
class _Walk:
    """One way along an index.

    Attributes:
        key: columns that the list is ordered by; the last one is the image's id.
        along: conditions that the index answers.
        found_by: columns of the same order, of the rows that are looked at for ``conditions``.
        conditions: what these rows must be.
        is_bounded: whether pictures may be passed over, so that the way needs an end.
    """

    key: "_Key"
    along: tuple[ColumnElement[bool], ...]
    found_by: "_Key"
    conditions: tuple[ColumnElement[bool], ...]
    chosen: ImageFilter
    is_descending: bool
    is_bounded: bool

    @classmethod
    def of(cls, dataset_id: str, chosen: ImageFilter, *, backwards: bool = False) -> "_Walk":
        key, along = _way(dataset_id, chosen)
        if chosen.begins_with is not None:
            # Of one class alone, either all or none comes after it.
            first = key[0] if len(key) == 2 else literal(chosen.label)
            along = (*along, first >= chosen.begins_with)
        if chosen.ids is not None:
            along = (*along, key[-1].in_(chosen.ids))
        is_descending = (chosen.order is ListOrder.NEWEST) != backwards
        if chosen.flag is not None and chosen.flag in MEASURED and key[0] is ImageRow.id:
            # Measures are kept in the same order: they are read one after the other, and only of what has the flag
            # the image is looked up, not the other way round.
            measured = ImageMeasuresRow.image_id
            of_image = (ImageRow.id == measured, *along, *_conditions(replace(chosen, flag=None), key[0]))
            conditions = (MEASURED[chosen.flag], looked_up(select(1).where(*of_image), ImageMeasuresRow))
            return cls(key, along, (measured,), conditions, chosen, is_descending, is_bounded=True)
        others = tuple(_conditions(chosen, key[-1]))
        return cls(key, along, key, (*along, *others), chosen, is_descending, is_bounded=bool(others))

    @property
    def is_of_all(self) -> bool:
        """Whether it leads past all pictures of the dataset."""
        return self.key[-1].class_ is ImageRow and self.chosen.ids is None and self.chosen.begins_with is None

    @property
    def backwards(self) -> "_Walk":
        """The same way from its end."""
        return replace(self, is_descending=not self.is_descending)

    def keys(self, start: Sequence[Any] | None) -> Select[Any]:  # Any: as above
        """Keys from ``start`` on, whatever the conditions: read from the index alone."""
        columns: tuple[Any, ...] = self.key
        query: Select[Any] = select(*columns).where(*self.along).order_by(*self._order(self.key))
        return query if start is None else query.where(self._beyond(self.key, start))

    def ids(self, start: Sequence[Any] | None, end: Sequence[Any] | None) -> Select[Any]:  # Any: as above
        """Ids of the images after ``start``, as far as ``end``."""
        key = self.found_by
        query: Select[Any] = select(key[-1]).where(*self.conditions).order_by(*self._order(key))
        if start is not None:
            query = query.where(self._beyond(key, start))
        return query if end is None else query.where(self._up_to(key, end))

    def _order(self, key: "_Key") -> list[ColumnElement[Any]]:  # Any: as above
        return [column.desc() if self.is_descending else column.asc() for column in key]

    def _beyond(self, key: "_Key", start: Sequence[Any]) -> ColumnElement[bool]:  # Any: as above
        mine, theirs = _pair(key, start)
        found: ColumnElement[bool] = mine < theirs if self.is_descending else mine > theirs
        return found

    def _up_to(self, key: "_Key", end: Sequence[Any]) -> ColumnElement[bool]:  # Any: as above
        mine, theirs = _pair(key, end)
        found: ColumnElement[bool] = mine >= theirs if self.is_descending else mine <= theirs
        return found


def _parts(pictures: int) -> Iterator[int]:
    """How many pictures are looked at, and then how many more if the page isn't full: most are after the first few."""
    first = min(_LOOKED_FIRST, pictures)
    yield first
    if pictures > first:
        yield pictures - first


def _pair(key: "_Key", values: Sequence[Any]) -> tuple[ColumnElement[Any], ColumnElement[Any]]:  # Any: as above
    columns, given = tuple(key), tuple(literal(value) for value in values)
    return (columns[0].expression, given[0]) if len(columns) == 1 else (tuple_(*columns), tuple_(*given))


_Key = tuple[InstrumentedAttribute[str], ...]
_Way = tuple[_Key, tuple[ColumnElement[bool], ...]]


def _way(dataset_id: str, chosen: ImageFilter) -> _Way:
    """The index that a list is read along: its key and the conditions that it answers."""
    listed = (ImageRow.dataset_id == dataset_id, ~ImageRow.is_deleted)
    of_version = (VersionImageRow.version_id == chosen.version_id,)
    if chosen.order is ListOrder.NAME:
        return (ImageRow.name_key, ImageRow.id), listed
    if chosen.order is ListOrder.CLASS and chosen.label is None:
        return (VersionImageRow.label, VersionImageRow.image_id), of_version
    if chosen.checkpoint_id is not None:
        # Of the mistakes, which are few, there is an index of their own.
        mistakes = (_IS_WRONG,) if chosen.is_right is False else ()
        return (PredictionRow.image_id,), (PredictionRow.checkpoint_id == chosen.checkpoint_id, *mistakes)
    if chosen.label is not None:
        return (VersionImageRow.image_id,), (*of_version, VersionImageRow.label == chosen.label)
    if chosen.split is not None:
        return (VersionImageRow.image_id,), (*of_version, VersionImageRow.split == chosen.split)
    if chosen.only_version:
        return (VersionImageRow.image_id,), of_version
    return (ImageRow.id,), listed


def _conditions(chosen: ImageFilter, key: InstrumentedAttribute[str]) -> Iterator[ColumnElement[bool]]:
    """What else an image must be: conditions on the table of the index, and on the image's row in others."""
    for column, conditions in (
        (ImageRow.id, _of_image(chosen, key)),
        (VersionImageRow.image_id, _of_version(chosen, key)),
        (PredictionRow.image_id, _of_answer(chosen, key)),
    ):
        if column.class_ is key.class_:
            yield from conditions
        elif conditions:
            yield looked_up(select(1).where(column == key, *conditions), key.class_)


def _of_image(chosen: ImageFilter, key: InstrumentedAttribute[str]) -> list[ColumnElement[bool]]:
    found: list[ColumnElement[bool]] = []
    if key.class_ is not ImageRow and not chosen.only_version:
        found.append(~ImageRow.is_deleted)
    if chosen.flag is not None:
        found.append(FLAGS[chosen.flag])
    if chosen.folder is not None:
        found.append(ImageRow.path.startswith(f"{chosen.folder}/", autoescape=True))
    if chosen.text is not None:
        found.append(ImageRow.path.icontains(chosen.text, autoescape=True))
    if chosen.shorter_side is not None:
        least, most = chosen.shorter_side
        if least is not None:
            found += [ImageRow.width >= least, ImageRow.height >= least]
        if most is not None:
            found.append((ImageRow.width <= most) | (ImageRow.height <= most))
    return found


def _of_version(chosen: ImageFilter, key: InstrumentedAttribute[str]) -> list[ColumnElement[bool]]:
    found: list[ColumnElement[bool]] = []
    if chosen.label is not None:
        found.append(VersionImageRow.label == chosen.label)
    if chosen.split is not None:
        found.append(VersionImageRow.split == chosen.split)
    if key.class_ is not VersionImageRow and (found or chosen.only_version):
        found.append(VersionImageRow.version_id == chosen.version_id)
    return found


def _of_answer(chosen: ImageFilter, key: InstrumentedAttribute[str]) -> list[ColumnElement[bool]]:
    found: list[ColumnElement[bool]] = []
    if chosen.is_right is not None:
        found.append(~_IS_WRONG if chosen.is_right else _IS_WRONG)
    if key.class_ is not PredictionRow and chosen.checkpoint_id is not None:
        found.append(PredictionRow.checkpoint_id == chosen.checkpoint_id)
    return found


_IS_WRONG: Final = PredictionRow.actual != PredictionRow.predicted
_FLAGS: Final = tuple(condition.label(flag) for flag, condition in FLAGS.items())
_ANSWER: Final = (PredictionRow.predicted, PredictionRow.probability_predicted, PredictionRow.actual)
_NO_ANSWER: Final = tuple(null().label(name) for name in ("predicted", "probability", "actual"))


def _rows(chosen: ImageFilter, ids: Sequence[str]) -> Select[Any]:  # Any: the columns of ``ListedImage``
    """All that a list shows of these images."""
    of_version = and_(VersionImageRow.image_id == ImageRow.id, VersionImageRow.version_id == chosen.version_id)
    answer = _NO_ANSWER if chosen.checkpoint_id is None else _ANSWER
    columns: tuple[Any, ...] = (ImageRow, VersionImageRow.label, VersionImageRow.split, *answer, *_FLAGS)
    query: Select[Any] = select(*columns).where(ImageRow.id.in_(ids))
    query = query.join(VersionImageRow, of_version, isouter=True)
    if chosen.checkpoint_id is not None:
        of_checkpoint = PredictionRow.checkpoint_id == chosen.checkpoint_id
        query = query.join(PredictionRow, and_(PredictionRow.image_id == ImageRow.id, of_checkpoint))
    return query


def _listed(found: Sequence[Any]) -> ListedImage:  # Any: the columns of ``page``
    row, label, split, predicted, probability, actual, *flags = found
    answer = None if predicted is None else Answer(predicted, probability, predicted == actual)
    set_flags = tuple(flag for flag, is_set in zip(FLAGS, flags, strict=True) if is_set)
    return ListedImage(row, label, split, set_flags, answer)
