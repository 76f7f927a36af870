"""Jobs, the attempts at them, and the workers that do them.

A job's ``attempt`` is the fence: whatever an attempt writes says ``WHERE attempt = mine``,
and no row means that somebody else has taken over.
"""

from datetime import datetime

from sqlalchemy import ForeignKey, Index, String, Text, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from backend.db.base import Base, BigInt, Id, PrimaryId, utc_now


class JobRow(Base):
    """Something to be done by a worker. ``kind`` says what, ``subject_id`` to which run, search or import.

    ``asked_by`` is the token or session whose turn it is in a fair order; ``device`` the kind that may do it
    (auto, cpu, cuda), ``devices`` how many of it at most (None: as many as are idle); ``memory_bytes`` what it is
    thought to need there; ``stall_after_s`` how long its work may be without a sign of progress; ``waits_for_bytes``
    the free disk space without which it stays paused.
    """

    __tablename__ = "jobs"
    __table_args__ = (Index(None, "state", "kind", "id"),)

    id: Mapped[PrimaryId]
    kind: Mapped[str] = mapped_column(String(16))
    subject_id: Mapped[Id]
    state: Mapped[str] = mapped_column(String(16), default="queued")
    desired: Mapped[str] = mapped_column(String(8), default="run")
    attempt: Mapped[int] = mapped_column(default=0)
    no_progress: Mapped[int] = mapped_column(default=0)
    lease_owner: Mapped[str | None] = mapped_column(String(64))
    lease_expires_at: Mapped[datetime | None]
    last_heartbeat_at: Mapped[datetime | None]
    last_progress_at: Mapped[datetime | None]
    not_before: Mapped[datetime | None]
    last_notified_at: Mapped[datetime | None]
    error_code: Mapped[str | None] = mapped_column(String(64))
    error_message: Mapped[str | None] = mapped_column(Text)
    error_advice: Mapped[str | None] = mapped_column(Text)
    asked_by: Mapped[str | None] = mapped_column(String(64))
    device: Mapped[str] = mapped_column(String(16), default="auto", server_default="auto")
    devices: Mapped[int | None] = mapped_column(default=1, server_default="1")
    memory_bytes: Mapped[BigInt | None]
    stall_after_s: Mapped[float | None]
    waits_for_bytes: Mapped[BigInt | None]
    created_at: Mapped[datetime] = mapped_column(default=utc_now)
    started_at: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]


class JobAttemptRow(Base):
    """One try at a job by one worker; at most one of a job, and one on a device, is open."""

    __tablename__ = "job_attempts"
    __table_args__ = (
        UniqueConstraint("job_id", "number"),
        Index(
            "uq_job_attempts_open_job",
            "job_id",
            unique=True,
            sqlite_where=text("ended_at IS NULL"),
            postgresql_where=text("ended_at IS NULL"),
        ),
        Index(
            "uq_job_attempts_open_device",
            "host",
            "device",
            unique=True,
            sqlite_where=text("ended_at IS NULL AND device IS NOT NULL"),
            postgresql_where=text("ended_at IS NULL AND device IS NOT NULL"),
        ),
    )

    id: Mapped[PrimaryId]
    job_id: Mapped[Id] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"))
    number: Mapped[int]
    worker_id: Mapped[str] = mapped_column(String(64))
    host: Mapped[str] = mapped_column(String(255))
    pid: Mapped[int | None]
    device: Mapped[str | None] = mapped_column(String(64))
    started_at: Mapped[datetime] = mapped_column(default=utc_now)
    ended_at: Mapped[datetime | None]
    exit_code: Mapped[int | None]
    outcome: Mapped[str | None] = mapped_column(String(32))


class AttemptDeviceRow(Base):
    """A device that an attempt uses: its worker's own, or one of an idle worker on the same host.

    No device is used by two attempts at a time.
    """

    __tablename__ = "job_attempt_devices"
    __table_args__ = (
        Index(
            "uq_job_attempt_devices_open",
            "host",
            "device",
            unique=True,
            sqlite_where=text("released_at IS NULL"),
            postgresql_where=text("released_at IS NULL"),
        ),
    )

    id: Mapped[PrimaryId]
    attempt_id: Mapped[Id] = mapped_column(ForeignKey("job_attempts.id", ondelete="CASCADE"), index=True)
    host: Mapped[str] = mapped_column(String(255))
    device: Mapped[str] = mapped_column(String(64))
    released_at: Mapped[datetime | None]


class WorkerRow(Base):
    """A worker process that has said it is alive.

    ``memory_bytes`` and ``memory_free_bytes`` are its device's; until ``quarantined_until`` its device is left alone.
    ``other_threads`` of other programs want one of the machine's ``processors`` all the time.
    """

    __tablename__ = "workers"

    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    host: Mapped[str] = mapped_column(String(255))
    kinds: Mapped[str] = mapped_column(String(64))
    device: Mapped[str | None] = mapped_column(String(64))
    device_name: Mapped[str | None] = mapped_column(String(200))
    version: Mapped[str] = mapped_column(String(32))
    started_at: Mapped[datetime] = mapped_column(default=utc_now)
    last_heartbeat_at: Mapped[datetime]
    memory_bytes: Mapped[BigInt | None]
    memory_free_bytes: Mapped[BigInt | None]
    processors: Mapped[int | None]
    other_threads: Mapped[float | None]
    quarantined_until: Mapped[datetime | None]
