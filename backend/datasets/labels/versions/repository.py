"""All SQL that compares two versions of a dataset."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from sqlalchemy import Select, func, select
from sqlalchemy.orm import Session, aliased

from backend.tables.datasets import ImageRow, VersionImageRow


class Difference(StrEnum):
    """How a picture differs between two versions; one may be relabelled and moved to another side as well."""

    ADDED = "added"
    GONE = "gone"
    RELABELLED = "relabelled"
    MOVED = "moved"


@dataclass(frozen=True, slots=True)
class DifferentImage:
    """A picture with its label and side in both versions; None where a version hasn't got it."""

    id: str
    digest: str
    path: str
    label_before: str | None
    label_after: str | None
    split_before: str | None
    split_after: str | None


_BEFORE, _AFTER = aliased(VersionImageRow), aliased(VersionImageRow)


class VersionComparison:
    """What differs between an earlier version and a later one; any two versions of a dataset may be compared."""

    def __init__(self, session: Session, before: str, after: str) -> None:
        self._session, self._before, self._after = session, before, after

    def count(self, difference: Difference) -> int:
        """How many pictures differ so."""
        return self._session.scalar(self._query(difference, func.count())) or 0

    def images(self, difference: Difference, *, limit: int, after: str | None = None) -> list[DifferentImage]:
        """The pictures that differ so, in the order of arrival."""
        columns = (
            ImageRow.id,
            ImageRow.digest,
            ImageRow.path,
            *((None, None) if difference is Difference.ADDED else (_BEFORE.label, _BEFORE.split)),
            *((None, None) if difference is Difference.GONE else (_AFTER.label, _AFTER.split)),
        )
        shown = [column for column in columns if column is not None]
        side = _BEFORE if difference is Difference.GONE else _AFTER
        query = self._query(difference, *shown).join(ImageRow, ImageRow.id == side.image_id)
        if after:
            query = query.where(ImageRow.id > after)
        found = []
        for row in self._session.execute(query.order_by(ImageRow.id).limit(limit)):
            values = iter(row)
            id_, digest, path, label_before, split_before, label_after, split_after = (
                None if column is None else next(values) for column in columns
            )
            found.append(
                DifferentImage(str(id_), str(digest), str(path), label_before, label_after, split_before, split_after)
            )
        return found

    def _query(self, difference: Difference, *columns: Any) -> Select[Any]:  # Any: columns
        same = (_BEFORE.image_id == _AFTER.image_id) & (_BEFORE.version_id == self._before)
        reverse = (_BEFORE.image_id == _AFTER.image_id) & (_AFTER.version_id == self._after)
        query = select(*columns)
        if difference is Difference.GONE:
            return (
                query.select_from(_BEFORE)
                .join(_AFTER, reverse, isouter=True)
                .where(_BEFORE.version_id == self._before, _AFTER.image_id.is_(None))
            )
        later = query.select_from(_AFTER).where(_AFTER.version_id == self._after)
        if difference is Difference.ADDED:
            return later.join(_BEFORE, same, isouter=True).where(_BEFORE.image_id.is_(None))
        both = later.join(_BEFORE, same)
        if difference is Difference.RELABELLED:
            return both.where(_BEFORE.label != _AFTER.label)
        return both.where(_BEFORE.split != _AFTER.split)
