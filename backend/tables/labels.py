"""The ledger of labels: what was changed by hand or by a run, what counts at present, and what versions froze of it."""

from datetime import datetime

from sqlalchemy import ForeignKey, Index, String, Text, UniqueConstraint, false
from sqlalchemy.orm import Mapped, mapped_column

from backend.db.base import Base, Id, PrimaryId, utc_now
from backend.domain.json import Json


class LabelRuleRow(Base):
    """The rule and the split that a dataset's labels follow at present, before anything that was changed by hand."""

    __tablename__ = "label_rules"

    dataset_id: Mapped[Id] = mapped_column(ForeignKey("datasets.id", ondelete="CASCADE"), primary_key=True)
    rule: Mapped[dict[str, Json]]
    split: Mapped[dict[str, Json]]
    changed_at: Mapped[datetime] = mapped_column(default=utc_now)


class LabelBatchRow(Base):
    """One action on labels, which is undone as one.

    ``number`` counts the actions of a dataset. ``undone_order`` is None while the action counts; of actions that were
    undone, the greatest was undone last. ``images`` is how many of its changes are pictures, the others are classes.
    ``run_id`` refers to no row: the history stays when the run is deleted.
    """

    __tablename__ = "label_batches"
    __table_args__ = (UniqueConstraint("dataset_id", "number"),)

    id: Mapped[PrimaryId]
    dataset_id: Mapped[Id] = mapped_column(ForeignKey("datasets.id", ondelete="CASCADE"))
    number: Mapped[int]
    words: Mapped[str] = mapped_column(Text)
    reason: Mapped[str] = mapped_column(String(200))
    run_id: Mapped[Id | None]
    who: Mapped[str] = mapped_column(String(200))
    images: Mapped[int]
    undone_order: Mapped[int | None]
    undone_at: Mapped[datetime | None]
    undone_by: Mapped[str | None] = mapped_column(String(200))
    created_at: Mapped[datetime] = mapped_column(default=utc_now)


class LabelChangeRow(Base):
    """What an action did to one picture (``kind`` image, ``key`` its digest) or class (class, its name by the rule).

    ``label`` is what counts from then on: None leaves the picture or the class out; where ``is_rule``, the rule decides
    again. ``before`` and ``after`` are the labels as people saw them, None for none. Pictures are known by their
    bytes, so that changes outlive a deletion and count again when the same picture is added again.
    """

    __tablename__ = "label_changes"
    __table_args__ = (
        Index(None, "dataset_id", "id"),
        Index("ix_label_changes_key", "dataset_id", "kind", "key", "number"),
        Index(None, "batch_id", "kind", "key"),
    )

    id: Mapped[PrimaryId]
    batch_id: Mapped[Id] = mapped_column(ForeignKey("label_batches.id", ondelete="CASCADE"))
    dataset_id: Mapped[Id] = mapped_column(ForeignKey("datasets.id", ondelete="CASCADE"))
    number: Mapped[int]
    kind: Mapped[str] = mapped_column(String(32))
    key: Mapped[str] = mapped_column(String(200))
    label: Mapped[str | None] = mapped_column(Text)
    is_rule: Mapped[bool] = mapped_column(default=False, server_default=false())
    is_undone: Mapped[bool] = mapped_column(default=False, server_default=false())
    image_id: Mapped[Id | None]
    path: Mapped[str] = mapped_column(Text)
    before: Mapped[str | None] = mapped_column(Text)
    after: Mapped[str | None] = mapped_column(Text)


class LabelOverrideRow(Base):
    """What counts instead of the rule: the last change of each picture and each class that isn't undone."""

    __tablename__ = "label_overrides"

    dataset_id: Mapped[Id] = mapped_column(ForeignKey("datasets.id", ondelete="CASCADE"), primary_key=True)
    kind: Mapped[str] = mapped_column(String(32), primary_key=True)
    key: Mapped[str] = mapped_column(String(200), primary_key=True)
    label: Mapped[str | None] = mapped_column(Text)


class VersionOverrideRow(Base):
    """A label that was changed by hand, as a version froze it; None: the picture was left out.

    ``image_id`` refers to no row: a picture that was left out may be deleted.
    """

    __tablename__ = "version_overrides"

    version_id: Mapped[Id] = mapped_column(ForeignKey("versions.id", ondelete="CASCADE"), primary_key=True)
    image_id: Mapped[Id] = mapped_column(primary_key=True)
    path: Mapped[str] = mapped_column(Text)
    label: Mapped[str | None] = mapped_column(Text)
