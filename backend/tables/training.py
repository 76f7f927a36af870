"""Runs and what they leave behind: epochs, events, points to go on from, checkpoints."""

from datetime import datetime

from sqlalchemy import ForeignKey, Index, LargeBinary, String, Text, UniqueConstraint, false
from sqlalchemy.orm import Mapped, mapped_column

from backend.db.base import Base, BigInt, Id, PrimaryId, Sha256, utc_now
from backend.domain.json import Json


class RunRow(Base):
    """One training with one config on one version. Its state is its job's; the rest here is for display.

    ``stage``, ``epoch`` (from 0), ``activity`` (the part of the training that is under way, ``forecast.cursor``),
    ``progress`` (share of its time in [0, 1]) and ``eta_s`` are written by the recorder, so that page, API and
    shell show the same value from the same row. ``forecast`` is the one given before it started, as in the API.
    ``starred`` and ``note`` are what people mark it with.
    ``retrain_of`` is the run that it repeats with corrected labels; it refers to no row, as that one may be deleted.
    """

    __tablename__ = "runs"
    __table_args__ = (Index(None, "version_id"), Index(None, "job_id", unique=True), Index(None, "retrain_of"))

    id: Mapped[PrimaryId]
    name: Mapped[str] = mapped_column(String(200))
    version_id: Mapped[Id] = mapped_column(ForeignKey("versions.id"))
    job_id: Mapped[Id] = mapped_column(ForeignKey("jobs.id"))
    config: Mapped[dict[str, Json]]
    starts_from: Mapped[Id | None]
    retrain_of: Mapped[Id | None]
    phase: Mapped[str | None] = mapped_column(Text)
    stage: Mapped[int | None]
    epoch: Mapped[int | None]
    activity: Mapped[str | None] = mapped_column(String(16))
    progress: Mapped[float] = mapped_column(default=0.0)
    eta_s: Mapped[float | None]
    device: Mapped[str | None] = mapped_column(String(64))
    forecast: Mapped[dict[str, Json] | None]
    starred: Mapped[bool] = mapped_column(default=False, server_default=false())
    note: Mapped[str] = mapped_column(Text, default="", server_default="")
    created_at: Mapped[datetime] = mapped_column(default=utc_now)


class EpochRow(Base):
    """One row of the course's table; written once, whatever happened in between."""

    __tablename__ = "epochs"
    __table_args__ = (UniqueConstraint("run_id", "stage", "epoch"),)

    id: Mapped[PrimaryId]
    run_id: Mapped[Id] = mapped_column(ForeignKey("runs.id", ondelete="CASCADE"))
    stage: Mapped[int]
    epoch: Mapped[int]
    train_loss: Mapped[float]
    valid_loss: Mapped[float]
    error_rate: Mapped[float]
    accuracy: Mapped[float]
    learning_rate: Mapped[float]
    duration_s: Mapped[float]
    attempt: Mapped[int]


class RunEventRow(Base):
    """What happened in a run, numbered so that a cut stream goes on where it broke off."""

    __tablename__ = "run_events"
    __table_args__ = (Index(None, "run_id", "id"),)

    id: Mapped[BigInt] = mapped_column(primary_key=True, autoincrement=True)
    run_id: Mapped[Id] = mapped_column(ForeignKey("runs.id", ondelete="CASCADE"))
    kind: Mapped[str] = mapped_column(String(32))
    data: Mapped[dict[str, Json]]
    created_at: Mapped[datetime] = mapped_column(default=utc_now)


class StatePointRow(Base):
    """A file from which an interrupted run goes on, at ``step`` of ``epoch`` (both from 0) of ``stage``."""

    __tablename__ = "state_points"
    __table_args__ = (UniqueConstraint("run_id", "stage", "epoch", "step"),)

    id: Mapped[PrimaryId]
    run_id: Mapped[Id] = mapped_column(ForeignKey("runs.id", ondelete="CASCADE"))
    stage: Mapped[int]
    epoch: Mapped[int]
    step: Mapped[int] = mapped_column(default=0)
    attempt: Mapped[int]
    file: Mapped[str] = mapped_column(String(200))
    sha256: Mapped[Sha256]
    bytes: Mapped[BigInt]


class CheckpointRow(Base):
    """A finished stage: weights, classes and preprocessing in storage under ``folder``."""

    __tablename__ = "checkpoints"
    __table_args__ = (UniqueConstraint("run_id", "stage"),)

    id: Mapped[PrimaryId]
    run_id: Mapped[Id] = mapped_column(ForeignKey("runs.id", ondelete="CASCADE"))
    stage: Mapped[int]
    epoch: Mapped[int]
    architecture: Mapped[str] = mapped_column(String(64))
    classes: Mapped[list[Json]]
    preprocessing: Mapped[dict[str, Json]]
    metrics: Mapped[dict[str, Json]]
    parity: Mapped[dict[str, Json]]
    folder: Mapped[str] = mapped_column(String(200))
    sha256: Mapped[Sha256]
    bytes: Mapped[BigInt]
    created_at: Mapped[datetime] = mapped_column(default=utc_now)


class LearningRateFindRow(Base):
    """A search for a learning rate. Its state is its job's.

    ``config`` has one stage, the one that the rate is for; ``run_id`` is the training beside whose stages it is shown.
    """

    __tablename__ = "lr_finds"
    __table_args__ = (Index(None, "version_id"), Index(None, "run_id"), Index(None, "job_id", unique=True))

    id: Mapped[PrimaryId]
    version_id: Mapped[Id] = mapped_column(ForeignKey("versions.id"))
    job_id: Mapped[Id] = mapped_column(ForeignKey("jobs.id"))
    run_id: Mapped[Id | None] = mapped_column(ForeignKey("runs.id", ondelete="CASCADE"))
    config: Mapped[dict[str, Json]]
    starts_from: Mapped[Id | None]
    phase: Mapped[str | None] = mapped_column(Text)
    progress: Mapped[float] = mapped_column(default=0.0)
    result: Mapped[dict[str, Json] | None]
    created_at: Mapped[datetime] = mapped_column(default=utc_now)


class SpeedRow(Base):
    """How long a piece of work took on a machine; forecasts rest on these.

    ``machine`` names device and model, such as ``cpu: AMD EPYC, 2 cores``; ``device`` is its kind. Without a
    ``run_id`` it was a test of the machine.
    """

    __tablename__ = "speeds"
    __table_args__ = (Index(None, "device", "id"), Index(None, "machine", "id"))

    id: Mapped[PrimaryId]
    machine: Mapped[str] = mapped_column(String(200))
    device: Mapped[str] = mapped_column(String(16))
    work: Mapped[str] = mapped_column(String(16))
    architecture: Mapped[str | None] = mapped_column(String(64))
    image_size: Mapped[int]
    amount: Mapped[float]
    seconds: Mapped[float]
    run_id: Mapped[Id | None]
    created_at: Mapped[datetime] = mapped_column(default=utc_now)


class ConfidenceRow(Base):
    """What was chosen about a checkpoint's confidence (``ConfidenceSettings``); without a row, nothing.

    ``parity`` says how exported files with these settings compare. ``familiarity`` (safetensors, ``Familiarity``) is
    what strangeness is measured by, as of ``measured_at``.
    """

    __tablename__ = "confidences"

    checkpoint_id: Mapped[Id] = mapped_column(ForeignKey("checkpoints.id", ondelete="CASCADE"), primary_key=True)
    settings: Mapped[dict[str, Json]]
    parity: Mapped[dict[str, Json] | None]
    familiarity: Mapped[bytes | None] = mapped_column(LargeBinary)
    measured_at: Mapped[datetime | None]


class CheckpointJobRow(Base):
    """Work with a finished model in the background, at most one of a ``kind`` (``JobKind``). Its state is its job's.

    ``done`` of ``total`` are pictures, or trainings of a head; ``found`` is the result, where it is kept here.
    """

    __tablename__ = "checkpoint_jobs"
    __table_args__ = (Index(None, "job_id", unique=True),)

    checkpoint_id: Mapped[Id] = mapped_column(ForeignKey("checkpoints.id", ondelete="CASCADE"), primary_key=True)
    kind: Mapped[str] = mapped_column(String(16), primary_key=True)
    job_id: Mapped[Id] = mapped_column(ForeignKey("jobs.id"))
    done: Mapped[int] = mapped_column(default=0)
    total: Mapped[int] = mapped_column(default=0)
    found: Mapped[dict[str, Json] | None]
