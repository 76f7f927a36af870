"""All SQL over measures of pictures and over pairs that show the same."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import Any, Final, NamedTuple

from sqlalchemy import select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from backend.datasets.examine.copies import PairKind
from backend.domain.ids import Digest, new_id
from backend.imaging.measures import Measures
from backend.tables.datasets import ImageRow
from backend.tables.examination import ExaminationRow, ImageMeasuresRow, ImagePairRow

_AT_ONCE: Final = 500


class MeasuredImage(NamedTuple):
    """What comparing reads of an image."""

    id: str
    digest: Digest
    path: str
    pixels: str
    perceptual_hash: int
    entropy: float
    taken_at: str | None


class NewPair(NamedTuple):
    """Two images that show the same; ``first_id`` is the smaller id."""

    first_id: str
    second_id: str
    kind: PairKind
    score: float


class ComparisonRepository:
    """Measures and pairs of one dataset."""

    def __init__(self, session: Session, dataset_id: str) -> None:
        self._session = session
        self._dataset_id = dataset_id

    def unmeasured(self, *, limit: int, after: str = "") -> list[tuple[str, Digest]]:
        """Id and digest of images that have no measures, in the order of arrival."""
        query = (
            select(ImageRow.id, ImageRow.digest)
            .outerjoin(ImageMeasuresRow, ImageMeasuresRow.image_id == ImageRow.id)
            .where(ImageRow.dataset_id == self._dataset_id, ImageRow.id > after)
            .where(~ImageRow.is_deleted, ImageMeasuresRow.image_id.is_(None))
            .order_by(ImageRow.id)
            .limit(limit)
        )
        return [(row.id, Digest(row.digest)) for row in self._session.execute(query)]

    def add_measures(self, measured: Iterable[tuple[str, Measures]]) -> None:
        """Record measures; of images that are gone meanwhile, none."""
        rows = {image_id: asdict(measures) for image_id, measures in measured}
        known = set(self._existing(rows))
        values = [{"image_id": id, "dataset_id": self._dataset_id, **rows[id]} for id in rows if id in known]
        if values:
            dialect = postgresql if self._session.get_bind().dialect.name == "postgresql" else sqlite
            self._session.execute(dialect.insert(ImageMeasuresRow).on_conflict_do_nothing(), values)

    def measured(self, *, limit: int, after: str = "") -> list[MeasuredImage]:
        """Images that have measures, in the order of arrival."""
        query = (
            select(
                ImageRow.id,
                ImageRow.digest,
                ImageRow.path,
                ImageMeasuresRow.pixels,
                ImageMeasuresRow.perceptual_hash,
                ImageMeasuresRow.entropy,
                ImageMeasuresRow.taken_at,
            )
            .join(ImageMeasuresRow, ImageMeasuresRow.image_id == ImageRow.id)
            .where(ImageRow.dataset_id == self._dataset_id, ~ImageRow.is_deleted, ImageRow.id > after)
            .order_by(ImageRow.id)
            .limit(limit)
        )
        return [MeasuredImage(row.id, Digest(row.digest), *row[2:]) for row in self._session.execute(query)]

    def compared_until(self) -> str | None:
        """Id of the newest image whose copies have been searched."""
        query = select(ExaminationRow.compared_until).where(ExaminationRow.dataset_id == self._dataset_id)
        return self._session.scalar(query)

    def add_pairs(self, pairs: Sequence[NewPair], compared_until: str) -> None:
        """Record pairs, and up to which image copies have been searched; what was known of a pair is replaced."""
        known = set(self._existing({image_id for pair in pairs for image_id in pair[:2]}))
        values = [
            {"id": new_id(), "dataset_id": self._dataset_id, **pair._asdict(), "kind": pair.kind.value}
            for pair in pairs
            if pair.first_id in known and pair.second_id in known
        ]
        for start in range(0, len(values), _AT_ONCE):
            self._insert(values[start : start + _AT_ONCE])
        examination = update(ExaminationRow).where(ExaminationRow.dataset_id == self._dataset_id)
        self._session.execute(examination.values(compared_until=compared_until))

    def _insert(self, values: list[dict[str, Any]]) -> None:  # Any: column values
        dialect = postgresql if self._session.get_bind().dialect.name == "postgresql" else sqlite
        statement = dialect.insert(ImagePairRow).values(values)
        self._session.execute(
            statement.on_conflict_do_update(
                index_elements=["first_id", "second_id"],
                set_={"kind": statement.excluded.kind, "score": statement.excluded.score},
            )
        )

    def _existing(self, image_ids: Iterable[str]) -> list[str]:
        wanted = sorted(image_ids)
        found: list[str] = []
        for start in range(0, len(wanted), _AT_ONCE):
            part = wanted[start : start + _AT_ONCE]
            query = select(ImageRow.id).where(ImageRow.dataset_id == self._dataset_id, ImageRow.id.in_(part))
            found += self._session.scalars(query)
        return found
