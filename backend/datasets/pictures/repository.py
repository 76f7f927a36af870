"""All SQL over lists of a dataset's pictures.

Every list walks along one index (``Walk``): a page begins where the one before ended, and has ``limit`` pictures.
Conditions that no index answers, such as a part of a path, are looked at on the way, for at most ``LOOKED_THROUGH``
pictures a page. So a page takes the same time at the beginning of a list and after a million pictures, and one of which
nothing matches isn't slower.

The walk gives ids only; what a page shows of them is asked for next (``_rows``). Nothing is joined to the walk, as a
database may choose to read the other table from its beginning, or whole.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Select, and_, case, exists, func, null, select
from sqlalchemy.orm import Session

from backend.datasets.errors import ImageNotFound
from backend.datasets.pictures.filter import ImageFilter, ListOrder
from backend.datasets.pictures.flags import FLAGS
from backend.datasets.pictures.walk import Walk
from backend.pagination import CursorUnknown
from backend.tables.datasets import BinnedPathRow, DatasetRow, ImagePathRow, ImageRow, VersionImageRow, VersionRow
from backend.tables.interpretation import PredictionRow

LOOKED_THROUGH: Final = 50_000
"""Pictures that are looked at for one page, where a condition needs each of them looked at."""
_LOOKED_FIRST: Final = 2_000
MOST_COUNTED: Final = 10_000
FOLDERS_FROM: Final = 20_000
"""Pictures from whose paths the choice of folders is made."""


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
        walk = Walk.of(dataset_id, chosen, backwards=backwards)
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
        walk = Walk.of(dataset_id, chosen)
        return self._found(walk, self._key(walk, chosen, after) if after else None, limit)

    def count(self, dataset_id: str, chosen: ImageFilter) -> Count:
        """How many images a list has: from stored totals, or counted up to ``MOST_COUNTED``."""
        if chosen.is_all:
            stored = self._session.scalar(select(DatasetRow.images).where(DatasetRow.id == dataset_id))
            return Count(stored or 0, is_exact=True)
        stored_sum = self._stored_sum(dataset_id, chosen)
        if stored_sum is not None:
            return Count(stored_sum, is_exact=True)
        walk = Walk.of(dataset_id, chosen)
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
        walk = Walk.of(dataset_id, chosen, backwards=backwards)
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

    def _key(self, walk: Walk, chosen: ImageFilter, image_id: str) -> Sequence[Any]:  # Any: the key's columns
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

    def _key_at(self, dataset_id: str, walk: Walk, position: int) -> Sequence[Any] | None:  # Any: as above
        """The key at a position, the first being 1; None where the list ends before it."""
        total = select(DatasetRow.images).where(DatasetRow.id == dataset_id).scalar_subquery()
        if walk.is_of_all and 2 * position > (self._session.scalar(select(total)) or 0):
            # Counted from the end, which is nearer; how far, in the same statement, as pictures may arrive meanwhile.
            from_end = case((total > position, total - position), else_=0)
            return self._session.execute(walk.backwards.keys(None).offset(from_end).limit(1)).first()
        return self._session.execute(walk.keys(None).offset(position - 1).limit(1)).first()

    def _found(
        self, walk: Walk, start: Sequence[Any] | None, limit: int
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

    def _end(self, walk: Walk, start: Sequence[Any] | None, pictures: int) -> Sequence[Any] | None:  # Any: as above
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


def _parts(pictures: int) -> Iterator[int]:
    """How many pictures are looked at, and then how many more if the page isn't full: most are after the first few."""
    first = min(_LOOKED_FIRST, pictures)
    yield first
    if pictures > first:
        yield pictures - first


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
