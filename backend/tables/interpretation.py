"""What a checkpoint answered for each image that it had not learnt from."""

from typing import Final

from sqlalchemy import ForeignKey, Index, String, Text, text
from sqlalchemy.orm import Mapped, mapped_column

from backend.db.base import Base, Id

_IS_WRONG: Final = text("actual <> predicted")


class PredictionRow(Base):
    """One image, one checkpoint: what it is, what the model says, how wrong (``loss`` in nats) and how sure."""

    __tablename__ = "predictions"
    __table_args__ = (
        Index(None, "checkpoint_id", "split", "loss"),
        Index(None, "checkpoint_id", "actual", "predicted"),
        # The mistakes, which are few, in the order of arrival.
        Index(
            "ix_predictions_wrong",
            "checkpoint_id",
            "image_id",
            postgresql_where=_IS_WRONG,
            sqlite_where=_IS_WRONG,
        ),
        # What was answered on one picture; without it, deleting a picture would read all rows.
        Index(None, "image_id"),
    )

    checkpoint_id: Mapped[Id] = mapped_column(ForeignKey("checkpoints.id", ondelete="CASCADE"), primary_key=True)
    image_id: Mapped[Id] = mapped_column(ForeignKey("images.id"), primary_key=True)
    split: Mapped[str] = mapped_column(String(8))
    actual: Mapped[str] = mapped_column(Text)
    predicted: Mapped[str] = mapped_column(Text)
    loss: Mapped[float]
    probability_actual: Mapped[float]
    probability_predicted: Mapped[float]
