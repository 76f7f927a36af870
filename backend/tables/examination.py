"""What was found out about pictures when they were looked at: measures, pairs that show the same, how far it is."""

from datetime import datetime

from sqlalchemy import ForeignKey, Index, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from backend.db.base import Base, BigInt, Id, PrimaryId, Sha256, utc_now
from backend.domain.json import Json


class ImageMeasuresRow(Base):
    """Measures of one picture's upright pixels, taken when it was added (``backend.imaging.measures``).

    ``perceptual_hash`` are 64 bits as a signed number, ``pixels`` is a hash of the pixels themselves. ``dark`` and
    ``light`` are the 5th and 99th percentile of brightness in 0 to 1, ``entropy`` is in bits. ``traits`` are what a
    class could be known by without looking at what is shown: colour mode, border colour, camera, and the like.
    ``taken_at`` is the camera's own time, which knows no zone. ``method`` is the version of the measuring.
    """

    __tablename__ = "image_measures"
    __table_args__ = (Index(None, "dataset_id", "pixels"),)

    image_id: Mapped[Id] = mapped_column(ForeignKey("images.id", ondelete="CASCADE"), primary_key=True)
    dataset_id: Mapped[Id] = mapped_column(ForeignKey("datasets.id", ondelete="CASCADE"))
    perceptual_hash: Mapped[BigInt]
    pixels: Mapped[Sha256]
    dark: Mapped[float]
    light: Mapped[float]
    brightness: Mapped[float]
    entropy: Mapped[float]
    sharpness: Mapped[float]
    traits: Mapped[dict[str, Json]]
    taken_at: Mapped[str | None] = mapped_column(String(32))
    method: Mapped[int]


class ImagePairRow(Base):
    """Two pictures of a dataset that show the same: ``first_id`` is the smaller of the ids.

    ``kind``: ``same-pixels``, ``same-picture`` (resized, recompressed, flipped, cropped) or ``same-moment``.
    ``score`` is how alike they are, in 0 to 1.
    """

    __tablename__ = "image_pairs"
    __table_args__ = (
        UniqueConstraint("first_id", "second_id"),
        Index(None, "dataset_id", "kind"),
        Index(None, "second_id"),
    )

    id: Mapped[PrimaryId]
    dataset_id: Mapped[Id] = mapped_column(ForeignKey("datasets.id", ondelete="CASCADE"))
    first_id: Mapped[Id] = mapped_column(ForeignKey("images.id", ondelete="CASCADE"))
    second_id: Mapped[Id] = mapped_column(ForeignKey("images.id", ondelete="CASCADE"))
    kind: Mapped[str] = mapped_column(String(16))
    score: Mapped[float]


class ExaminationRow(Base):
    """How far the examination of a dataset's pictures is; its job starts anew whenever pictures were added.

    ``images_done`` of ``images_total`` have been looked at; ``features`` names the group of stored features, relative
    to the folder of features, and ``compared_until`` is the newest picture whose near copies have been searched.
    """

    __tablename__ = "examinations"

    dataset_id: Mapped[Id] = mapped_column(ForeignKey("datasets.id", ondelete="CASCADE"), primary_key=True)
    job_id: Mapped[Id] = mapped_column(ForeignKey("jobs.id"))
    images_done: Mapped[int] = mapped_column(default=0)
    images_total: Mapped[int] = mapped_column(default=0)
    features: Mapped[str | None] = mapped_column(String(200))
    compared_until: Mapped[Id | None]
    created_at: Mapped[datetime] = mapped_column(default=utc_now)
