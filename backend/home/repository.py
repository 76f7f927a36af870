"""Reads across the features for the first page and the steps; writes nothing."""

from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from backend.datasets.urls import thumbnail_url
from backend.tables.datasets import ImageRow, VersionRow
from backend.tables.training import CheckpointRow, RunRow


@dataclass(frozen=True, slots=True)
class Best:
    """The lowest error rate that was reached: ``errors`` of ``images`` held-out pictures."""

    errors: int
    images: int


FACES = 9


class CardRepository:
    """What the first page shows of each dataset."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def faces(self, dataset_id: str) -> list[str]:
        """Addresses of up to nine pictures: by digest, so that they are mixed and stay the same."""
        query = (
            select(ImageRow.id, ImageRow.digest)
            .where(ImageRow.dataset_id == dataset_id, ~ImageRow.is_deleted)
            .order_by(ImageRow.digest)
            .limit(FACES)
        )
        return [thumbnail_url(image_id, digest=digest) for image_id, digest in self._session.execute(query)]

    def best(self, dataset_id: str) -> Best | None:
        """The lowest error rate on held-out pictures; None before the first training."""
        query = (
            select(CheckpointRow.metrics)
            .join(RunRow, RunRow.id == CheckpointRow.run_id)
            .join(VersionRow, VersionRow.id == RunRow.version_id)
            .where(VersionRow.dataset_id == dataset_id)
        )
        best = min(
            (metrics["valid"] for metrics in self._session.scalars(query)),
            key=lambda valid: float(valid["error_rate"]),
            default=None,
        )
        if best is None:
            return None
        return Best(best["errors"], best["images"])
