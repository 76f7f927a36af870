"""All SQL of the health check."""

from collections.abc import Mapping
from typing import NamedTuple

from sqlalchemy import func, select
from sqlalchemy.orm import Session, aliased

from backend.datasets.examine.copies import PairKind
from backend.datasets.examine.repository import ExaminationRepository
from backend.datasets.health.picture import KnownPair, Measured
from backend.tables.datasets import ImageRow, RejectionRow, VersionRow
from backend.tables.examination import ImageMeasuresRow, ImagePairRow
from backend.tables.labels import LabelBatchRow, LabelRuleRow


class ImageFacts(NamedTuple):
    """What the checks read of an image besides its names."""

    id: str
    format: str
    width: int
    height: int
    bytes: int
    measured: Measured | None


class HealthRepository:
    """What the checks read of one dataset."""

    def __init__(self, session: Session, dataset_id: str) -> None:
        self._session = session
        self._dataset_id = dataset_id

    def stamp(self) -> tuple[str, ...]:
        """Changes with everything that the checks read."""

        def newest(table: type[ImageRow | VersionRow | ImagePairRow | RejectionRow]) -> tuple[str, str]:
            query = select(func.count(), func.max(table.id)).where(table.dataset_id == self._dataset_id)
            if table is ImageRow:
                query = query.where(~ImageRow.is_deleted)
            count, last = self._session.execute(query).one()
            return str(count), last or ""

        measures = select(func.count()).where(ImageMeasuresRow.dataset_id == self._dataset_id)
        batches = select(func.max(LabelBatchRow.number), func.max(LabelBatchRow.undone_at)).where(
            LabelBatchRow.dataset_id == self._dataset_id
        )
        rule = select(LabelRuleRow.changed_at).where(LabelRuleRow.dataset_id == self._dataset_id)
        redone = select(func.count()).where(
            LabelBatchRow.dataset_id == self._dataset_id, LabelBatchRow.undone_order.is_(None)
        )
        parts = [*newest(ImageRow), *newest(VersionRow), *newest(ImagePairRow), *newest(RejectionRow)]
        parts += [str(self._session.scalar(measures)), str(self._session.scalar(rule))]
        parts += [str(value) for value in self._session.execute(batches).one()]
        # How far the examination is changes all the time and is no part of it; what it found is counted above.
        examination = ExaminationRepository(self._session).find(self._dataset_id)
        return (*parts, str(self._session.scalar(redone)), str(examination is not None and examination.is_over))

    def images(self) -> list[ImageFacts]:
        """Images by arrival, with their measures."""
        measures = (
            ImageMeasuresRow.dark,
            ImageMeasuresRow.light,
            ImageMeasuresRow.brightness,
            ImageMeasuresRow.entropy,
            ImageMeasuresRow.sharpness,
            ImageMeasuresRow.traits,
        )
        query = (
            select(ImageRow.id, ImageRow.format, ImageRow.width, ImageRow.height, ImageRow.bytes, *measures)
            .outerjoin(ImageMeasuresRow, ImageMeasuresRow.image_id == ImageRow.id)
            .where(ImageRow.dataset_id == self._dataset_id, ~ImageRow.is_deleted)
            .order_by(ImageRow.id)
        )
        return [
            ImageFacts(*row[:5], None if row.traits is None else Measured(*row[5:]))
            for row in self._session.execute(query)
        ]

    def pairs(self) -> list[KnownPair]:
        """Pairs of images that show the same."""
        first, second = aliased(ImageRow), aliased(ImageRow)
        query = (
            select(ImagePairRow.first_id, ImagePairRow.second_id, ImagePairRow.kind)
            .join(first, first.id == ImagePairRow.first_id)
            .join(second, second.id == ImagePairRow.second_id)
            .where(ImagePairRow.dataset_id == self._dataset_id, ~first.is_deleted, ~second.is_deleted)
            .order_by(ImagePairRow.id)
        )
        return [KnownPair(first, second, PairKind(kind)) for first, second, kind in self._session.execute(query)]

    def rejected(self) -> Mapping[str, tuple[int, str]]:
        """Files that were left out: number and one of their names, by code."""
        query = (
            select(RejectionRow.code, func.count(func.distinct(RejectionRow.path)), func.min(RejectionRow.path))
            .where(RejectionRow.dataset_id == self._dataset_id)
            .group_by(RejectionRow.code)
        )
        return {code: (count, example) for code, count, example in self._session.execute(query)}
