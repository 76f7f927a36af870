"""Datasets, their images, files that were left out, imports, and frozen versions."""

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, Index, String, Text, UniqueConstraint, false
from sqlalchemy.engine.default import DefaultExecutionContext
from sqlalchemy.orm import Mapped, mapped_column, validates

from backend.db.base import Base, BigInt, Id, PrimaryId, Sha256, utc_now
from backend.domain.images import NAME_KEY, name_key
from backend.domain.json import Json


class DatasetRow(Base):
    """A named set of images. The totals are kept in step by ``repository``, never counted live.

    ``is_being_deleted`` hides a dataset: it is in the bin, or, where it has no entry there (any more), its rows are
    being deleted, batch by batch.
    """

    __tablename__ = "datasets"

    id: Mapped[PrimaryId]
    name: Mapped[str] = mapped_column(String(200))
    images: Mapped[int] = mapped_column(default=0)
    bytes: Mapped[BigInt] = mapped_column(default=0)
    rejected: Mapped[int] = mapped_column(default=0)
    is_being_deleted: Mapped[bool] = mapped_column(default=False, server_default=false())
    created_at: Mapped[datetime] = mapped_column(default=utc_now)


class BinRow(Base):
    """What one action deleted: pictures of a dataset, or a dataset (``kind``).

    Until ``expires_at`` it can be restored; then it is deleted for good. ``images`` are those it still has, ``bytes``
    what their files take at most, without those that versions keep.
    """

    __tablename__ = "bin"
    __table_args__ = (Index(None, "dataset_id"), Index(None, "expires_at"))

    id: Mapped[PrimaryId]
    dataset_id: Mapped[Id] = mapped_column(ForeignKey("datasets.id", ondelete="CASCADE"))
    kind: Mapped[str] = mapped_column(String(16))
    images: Mapped[int] = mapped_column(default=0)
    bytes: Mapped[BigInt] = mapped_column(default=0)
    expires_at: Mapped[datetime]
    created_at: Mapped[datetime] = mapped_column(default=utc_now)


def _key_of_path(context: DefaultExecutionContext) -> str:
    values: dict[str, Any] = context.get_current_parameters()  # type: ignore[no-untyped-call]  # Any: column values
    return name_key(values["path"])


class ImageRow(Base):
    """One picture of a dataset; the same bytes are one row, whatever they are called.

    ``path`` is the alphabetically first of its names, so the order of upload
    doesn't matter; all names stand in ``image_paths``. A deleted picture stays a row while a version has it or the bin
    does (``bin_id``). ``name_key`` follows from ``path``: lists by name are in its order, alike on both databases.
    """

    __tablename__ = "images"
    __table_args__ = (
        UniqueConstraint("dataset_id", "digest"),
        # Lists: one after the other, none that is deleted read on the way.
        Index("ix_images_listed", "dataset_id", "is_deleted", "id"),
        Index("ix_images_by_name", "dataset_id", "is_deleted", "name_key", "id"),
        # Whether bytes are still needed is asked across datasets.
        Index(None, "digest"),
        Index(None, "bin_id", "id"),
    )

    id: Mapped[PrimaryId]
    dataset_id: Mapped[Id] = mapped_column(ForeignKey("datasets.id", ondelete="CASCADE"))
    digest: Mapped[Sha256]
    path: Mapped[str] = mapped_column(Text)
    format: Mapped[str] = mapped_column(String(16))
    width: Mapped[int]
    height: Mapped[int]
    bytes: Mapped[BigInt]
    is_deleted: Mapped[bool] = mapped_column(default=False, server_default=false())
    bin_id: Mapped[Id | None]
    name_key: Mapped[str] = mapped_column(
        String(NAME_KEY).with_variant(String(NAME_KEY, collation="C"), "postgresql"),
        default=_key_of_path,
        server_default="",
    )
    notes: Mapped[list[Json]] = mapped_column(default=list, server_default="[]")
    created_at: Mapped[datetime] = mapped_column(default=utc_now)

    @validates("path")
    def _path_changes(self, _name: str, path: str) -> str:
        self.name_key = name_key(path)
        return path


class ImagePathRow(Base):
    """A name under which an image was added (data only, never a path on disk)."""

    __tablename__ = "image_paths"
    # PostgreSQL's usual index takes no text of more than 2,700 bytes; a path may be longer.
    __table_args__ = (
        UniqueConstraint("image_id", "path"),
        # How many names a dataset has, and the newest of them, are asked with each preview.
        Index(None, "dataset_id", "id"),
        Index(None, "path", postgresql_using="hash"),
    )

    id: Mapped[PrimaryId]
    dataset_id: Mapped[Id] = mapped_column(ForeignKey("datasets.id", ondelete="CASCADE"))
    image_id: Mapped[Id] = mapped_column(ForeignKey("images.id", ondelete="CASCADE"))
    path: Mapped[str] = mapped_column(Text)


class BinnedPathRow(Base):
    """A name of a picture in the bin; in ``image_paths``, from which labels are read, are those of present ones."""

    __tablename__ = "binned_paths"

    image_id: Mapped[Id] = mapped_column(ForeignKey("images.id", ondelete="CASCADE"), primary_key=True)
    path: Mapped[str] = mapped_column(Text, primary_key=True)


class TableFileRow(Base):
    """A CSV or TSV file that came with the images; a rule of kind ``csv`` may read it."""

    __tablename__ = "table_files"
    __table_args__ = (Index(None, "dataset_id"),)

    id: Mapped[PrimaryId]
    dataset_id: Mapped[Id] = mapped_column(ForeignKey("datasets.id", ondelete="CASCADE"))
    path: Mapped[str] = mapped_column(Text)
    digest: Mapped[Sha256]
    bytes: Mapped[BigInt]
    created_at: Mapped[datetime] = mapped_column(default=utc_now)


class RejectionRow(Base):
    """A file that was left out, with the reason in words."""

    __tablename__ = "rejections"
    __table_args__ = (Index(None, "dataset_id", "id"),)

    id: Mapped[PrimaryId]
    dataset_id: Mapped[Id] = mapped_column(ForeignKey("datasets.id", ondelete="CASCADE"))
    import_id: Mapped[Id | None] = mapped_column(ForeignKey("imports.id", ondelete="SET NULL"))
    path: Mapped[str] = mapped_column(Text)
    code: Mapped[str] = mapped_column(String(64))
    message: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(default=utc_now)


class ImportRow(Base):
    """An import into a dataset, done by a job.

    ``source`` says what is imported, by its ``kind``: ``archive`` (``archive``, ``digest``, ``bytes``), ``sample``
    (``name``), ``links`` (a list of addresses), ``download`` (``url`` of an archive), ``folder`` (``path`` on the
    server), ``bucket`` (``bucket``, ``prefix``, ``endpoint``, ``region``). ``digest`` is the stored archive or list
    that is worked through, or ``upload`` the resumable upload of the file ``name``; it goes after the end, and so does
    what is ``sealed`` (keys) or ``partial`` (a download).
    ``name_encoding`` is the one that file names were read in, where it had to be guessed.
    ``entries_done`` of ``entries_total`` is the progress; an import goes on after it when its worker died. Until
    there are entries, ``bytes_done`` of ``bytes_total`` have been downloaded; totals are 0 where they aren't known.
    """

    __tablename__ = "imports"
    __table_args__ = (Index(None, "dataset_id", "id"),)

    id: Mapped[PrimaryId]
    dataset_id: Mapped[Id] = mapped_column(ForeignKey("datasets.id", ondelete="CASCADE"))
    job_id: Mapped[Id] = mapped_column(ForeignKey("jobs.id"))
    source: Mapped[dict[str, Json]]
    entries_done: Mapped[int] = mapped_column(default=0)
    entries_total: Mapped[int] = mapped_column(default=0)
    added: Mapped[int] = mapped_column(default=0)
    already_there: Mapped[int] = mapped_column(default=0)
    ignored: Mapped[int] = mapped_column(default=0)
    tables: Mapped[int] = mapped_column(default=0, server_default="0")
    bytes_done: Mapped[BigInt] = mapped_column(default=0, server_default="0")
    bytes_total: Mapped[BigInt] = mapped_column(default=0, server_default="0")
    seconds_left: Mapped[int | None]
    name_encoding: Mapped[str | None] = mapped_column(String(32))
    created_at: Mapped[datetime] = mapped_column(default=utc_now)


class VersionRow(Base):
    """A frozen state of a dataset: rule, split and, in ``version_images``, what they gave."""

    __tablename__ = "versions"
    __table_args__ = (UniqueConstraint("dataset_id", "number"),)

    id: Mapped[PrimaryId]
    dataset_id: Mapped[Id] = mapped_column(ForeignKey("datasets.id", ondelete="CASCADE"))
    number: Mapped[int]
    classes: Mapped[list[Json]]
    counts: Mapped[dict[str, Json]]
    rule: Mapped[dict[str, Json]]
    split: Mapped[dict[str, Json]]
    overrides: Mapped[list[Json]]
    created_at: Mapped[datetime] = mapped_column(default=utc_now)


class VersionImageRow(Base):
    """Label and split of one image in one version."""

    __tablename__ = "version_images"
    __table_args__ = (
        Index(None, "version_id", "label", "image_id"),
        Index("ix_version_images_split", "version_id", "split", "image_id"),
        # The versions of one picture; without it, deleting a picture would read all rows.
        Index(None, "image_id"),
    )

    version_id: Mapped[Id] = mapped_column(ForeignKey("versions.id", ondelete="CASCADE"), primary_key=True)
    image_id: Mapped[Id] = mapped_column(ForeignKey("images.id"), primary_key=True)
    label: Mapped[str] = mapped_column(Text)
    split: Mapped[str] = mapped_column(String(8))
