"""The index that a list of pictures is read along, and the conditions that each picture is looked at for on the way."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from sqlalchemy import ColumnElement, Select, literal, select, tuple_
from sqlalchemy.orm import InstrumentedAttribute

from backend.datasets.pictures.filter import ImageFilter, ListOrder
from backend.datasets.pictures.flags import FLAGS, MEASURED, looked_up
from backend.tables.datasets import ImageRow, VersionImageRow
from backend.tables.examination import ImageMeasuresRow
from backend.tables.interpretation import PredictionRow

Key = tuple[InstrumentedAttribute[str], ...]
_Way = tuple[Key, tuple[ColumnElement[bool], ...]]

_IS_WRONG: Final = PredictionRow.actual != PredictionRow.predicted


@dataclass(frozen=True, slots=True)
class Walk:
    """One way along an index, for a list of pictures.

    Attributes:
        key: columns that the list is ordered by; the last one is the image's id.
        along: conditions that the index answers.
        found_by: columns of the same order, of the rows that are looked at for ``conditions``.
        conditions: what these rows must be.
        is_bounded: whether pictures may be passed over, so that the way needs an end.
    """

    key: Key
    along: tuple[ColumnElement[bool], ...]
    found_by: Key
    conditions: tuple[ColumnElement[bool], ...]
    chosen: ImageFilter
    is_descending: bool
    is_bounded: bool

    @classmethod
    def of(cls, dataset_id: str, chosen: ImageFilter, *, backwards: bool = False) -> "Walk":
        """The way of a list, or from its end."""
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
    def backwards(self) -> "Walk":
        """The same way from its end."""
        return replace(self, is_descending=not self.is_descending)

    def keys(self, start: Sequence[Any] | None) -> Select[Any]:  # Any: the key's columns
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

    def _order(self, key: Key) -> list[ColumnElement[Any]]:  # Any: as above
        return [column.desc() if self.is_descending else column.asc() for column in key]

    def _beyond(self, key: Key, start: Sequence[Any]) -> ColumnElement[bool]:  # Any: as above
        mine, theirs = _pair(key, start)
        found: ColumnElement[bool] = mine < theirs if self.is_descending else mine > theirs
        return found

    def _up_to(self, key: Key, end: Sequence[Any]) -> ColumnElement[bool]:  # Any: as above
        mine, theirs = _pair(key, end)
        found: ColumnElement[bool] = mine >= theirs if self.is_descending else mine <= theirs
        return found


def _pair(key: Key, values: Sequence[Any]) -> tuple[ColumnElement[Any], ColumnElement[Any]]:  # Any: as above
    columns, given = tuple(key), tuple(literal(value) for value in values)
    return (columns[0].expression, given[0]) if len(columns) == 1 else (tuple_(*columns), tuple_(*given))


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
