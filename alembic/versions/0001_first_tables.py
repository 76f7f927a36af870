"""The first tables."""

import sqlalchemy as sa

from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

ID = sa.String(32)
TIME = sa.DateTime(timezone=True)
# 64 bits on both; SQLite numbers rows by itself only when the column is called INTEGER.
BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "datasets",
        sa.Column("id", ID, primary_key=True),
        sa.Column("name", sa.String(200), nullable=False),
        sa.Column("images", sa.Integer(), nullable=False),
        sa.Column("bytes", BIG, nullable=False),
        sa.Column("rejected", sa.Integer(), nullable=False),
        sa.Column("created_at", TIME, nullable=False),
    )

    op.create_table(
        "jobs",
        sa.Column("id", ID, primary_key=True),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("subject_id", ID, nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("desired", sa.String(8), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("no_progress", sa.Integer(), nullable=False),
        sa.Column("lease_owner", sa.String(64), nullable=True),
        sa.Column("lease_expires_at", TIME, nullable=True),
        sa.Column("last_heartbeat_at", TIME, nullable=True),
        sa.Column("last_progress_at", TIME, nullable=True),
        sa.Column("not_before", TIME, nullable=True),
        sa.Column("last_ring_at", TIME, nullable=True),
        sa.Column("error_code", sa.String(64), nullable=True),
        sa.Column("error_message", sa.Text(), nullable=True),
        sa.Column("error_advice", sa.Text(), nullable=True),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("started_at", TIME, nullable=True),
        sa.Column("ended_at", TIME, nullable=True),
    )
    op.create_index("ix_jobs_state_kind_id", "jobs", ["state", "kind", "id"])

    op.create_table(
        "kept_answers",
        sa.Column("sha256", sa.String(64), primary_key=True),
        sa.Column("request_sha256", sa.String(64), nullable=False),
        sa.Column("status", sa.Integer(), nullable=True),
        sa.Column("media_type", sa.Text(), nullable=True),
        sa.Column("body", sa.LargeBinary(), nullable=True),
        sa.Column("created_at", TIME, nullable=False),
    )
    op.create_index("ix_kept_answers_created_at", "kept_answers", ["created_at"])

    op.create_table(
        "sign_in_failures",
        sa.Column("id", ID, primary_key=True),
        sa.Column("address", sa.String(64), nullable=False),
        sa.Column("created_at", TIME, nullable=False),
    )
    op.create_index("ix_sign_in_failures_address_created_at", "sign_in_failures", ["address", "created_at"])

    op.create_table(
        "tokens",
        sa.Column("id", ID, primary_key=True),
        sa.Column("name", sa.String(200), nullable=False),
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.Column("is_owner", sa.Boolean(), nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("expires_at", TIME, nullable=True),
        sa.Column("last_used_at", TIME, nullable=True),
        sa.Column("revoked_at", TIME, nullable=True),
    )
    op.create_index("ix_tokens_sha256", "tokens", ["sha256"], unique=True)

    op.create_table(
        "workers",
        sa.Column("id", sa.String(64), primary_key=True),
        sa.Column("host", sa.String(255), nullable=False),
        sa.Column("kinds", sa.String(64), nullable=False),
        sa.Column("device", sa.String(64), nullable=True),
        sa.Column("device_name", sa.String(200), nullable=True),
        sa.Column("version", sa.String(32), nullable=False),
        sa.Column("started_at", TIME, nullable=False),
        sa.Column("last_heartbeat_at", TIME, nullable=False),
    )

    op.create_table(
        "images",
        sa.Column("id", ID, primary_key=True),
        sa.Column("dataset_id", ID, sa.ForeignKey("datasets.id", ondelete="CASCADE"), nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("format", sa.String(16), nullable=False),
        sa.Column("width", sa.Integer(), nullable=False),
        sa.Column("height", sa.Integer(), nullable=False),
        sa.Column("bytes", BIG, nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        sa.UniqueConstraint("dataset_id", "digest"),
    )
    op.create_index("ix_images_dataset_id_id", "images", ["dataset_id", "id"])

    op.create_table(
        "imports",
        sa.Column("id", ID, primary_key=True),
        sa.Column("dataset_id", ID, sa.ForeignKey("datasets.id", ondelete="CASCADE"), nullable=False),
        sa.Column("job_id", ID, sa.ForeignKey("jobs.id"), nullable=False),
        sa.Column("source", sa.JSON(), nullable=False),
        sa.Column("entries_done", sa.Integer(), nullable=False),
        sa.Column("entries_total", sa.Integer(), nullable=False),
        sa.Column("added", sa.Integer(), nullable=False),
        sa.Column("already_there", sa.Integer(), nullable=False),
        sa.Column("ignored", sa.Integer(), nullable=False),
        sa.Column("created_at", TIME, nullable=False),
    )
    op.create_index("ix_imports_dataset_id_id", "imports", ["dataset_id", "id"])

    op.create_table(
        "job_attempts",
        sa.Column("id", ID, primary_key=True),
        sa.Column("job_id", ID, sa.ForeignKey("jobs.id", ondelete="CASCADE"), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("worker_id", sa.String(64), nullable=False),
        sa.Column("host", sa.String(255), nullable=False),
        sa.Column("pid", sa.Integer(), nullable=True),
        sa.Column("device", sa.String(64), nullable=True),
        sa.Column("started_at", TIME, nullable=False),
        sa.Column("ended_at", TIME, nullable=True),
        sa.Column("exit_code", sa.Integer(), nullable=True),
        sa.Column("outcome", sa.String(32), nullable=True),
        sa.UniqueConstraint("job_id", "number"),
    )
    op.create_index(
        "uq_job_attempts_open_device",
        "job_attempts",
        ["host", "device"],
        unique=True,
        sqlite_where=sa.text("ended_at IS NULL AND device IS NOT NULL"),
        postgresql_where=sa.text("ended_at IS NULL AND device IS NOT NULL"),
    )
    op.create_index(
        "uq_job_attempts_open_job",
        "job_attempts",
        ["job_id"],
        unique=True,
        sqlite_where=sa.text("ended_at IS NULL"),
        postgresql_where=sa.text("ended_at IS NULL"),
    )

    op.create_table(
        "sessions",
        sa.Column("sha256", sa.String(64), primary_key=True),
        sa.Column("token_id", ID, sa.ForeignKey("tokens.id", ondelete="CASCADE"), nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("last_seen_at", TIME, nullable=False),
        sa.Column("expires_at", TIME, nullable=False),
    )

    op.create_table(
        "table_files",
        sa.Column("id", ID, primary_key=True),
        sa.Column("dataset_id", ID, sa.ForeignKey("datasets.id", ondelete="CASCADE"), nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("bytes", BIG, nullable=False),
        sa.Column("created_at", TIME, nullable=False),
    )
    op.create_index("ix_table_files_dataset_id", "table_files", ["dataset_id"])

    op.create_table(
        "versions",
        sa.Column("id", ID, primary_key=True),
        sa.Column("dataset_id", ID, sa.ForeignKey("datasets.id", ondelete="CASCADE"), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("classes", sa.JSON(), nullable=False),
        sa.Column("counts", sa.JSON(), nullable=False),
        sa.Column("rule", sa.JSON(), nullable=False),
        sa.Column("split", sa.JSON(), nullable=False),
        sa.Column("overrides", sa.JSON(), nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        sa.UniqueConstraint("dataset_id", "number"),
    )

    op.create_table(
        "image_paths",
        sa.Column("id", ID, primary_key=True),
        sa.Column("dataset_id", ID, sa.ForeignKey("datasets.id", ondelete="CASCADE"), nullable=False),
        sa.Column("image_id", ID, sa.ForeignKey("images.id", ondelete="CASCADE"), nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.UniqueConstraint("image_id", "path"),
    )
    op.create_index("ix_image_paths_dataset_id", "image_paths", ["dataset_id"])

    op.create_table(
        "rejections",
        sa.Column("id", ID, primary_key=True),
        sa.Column("dataset_id", ID, sa.ForeignKey("datasets.id", ondelete="CASCADE"), nullable=False),
        sa.Column("import_id", ID, sa.ForeignKey("imports.id", ondelete="SET NULL"), nullable=True),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("code", sa.String(64), nullable=False),
        sa.Column("message", sa.Text(), nullable=False),
        sa.Column("created_at", TIME, nullable=False),
    )
    op.create_index("ix_rejections_dataset_id_id", "rejections", ["dataset_id", "id"])

    op.create_table(
        "runs",
        sa.Column("id", ID, primary_key=True),
        sa.Column("name", sa.String(200), nullable=False),
        sa.Column("version_id", ID, sa.ForeignKey("versions.id"), nullable=False),
        sa.Column("job_id", ID, sa.ForeignKey("jobs.id"), nullable=False),
        sa.Column("config", sa.JSON(), nullable=False),
        sa.Column("starts_from", ID, nullable=True),
        sa.Column("phase", sa.Text(), nullable=True),
        sa.Column("stage", sa.Integer(), nullable=True),
        sa.Column("epoch", sa.Integer(), nullable=True),
        sa.Column("progress", sa.Double(), nullable=False),
        sa.Column("eta_s", sa.Double(), nullable=True),
        sa.Column("device", sa.String(64), nullable=True),
        sa.Column("created_at", TIME, nullable=False),
    )
    op.create_index("ix_runs_job_id", "runs", ["job_id"], unique=True)
    op.create_index("ix_runs_version_id", "runs", ["version_id"])

    op.create_table(
        "version_images",
        sa.Column("version_id", ID, sa.ForeignKey("versions.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("image_id", ID, sa.ForeignKey("images.id"), primary_key=True),
        sa.Column("label", sa.Text(), nullable=False),
        sa.Column("split", sa.String(8), nullable=False),
    )
    op.create_index(
        "ix_version_images_version_id_label_image_id", "version_images", ["version_id", "label", "image_id"]
    )

    op.create_table(
        "checkpoints",
        sa.Column("id", ID, primary_key=True),
        sa.Column("run_id", ID, sa.ForeignKey("runs.id", ondelete="CASCADE"), nullable=False),
        sa.Column("stage", sa.Integer(), nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("architecture", sa.String(64), nullable=False),
        sa.Column("classes", sa.JSON(), nullable=False),
        sa.Column("preprocessing", sa.JSON(), nullable=False),
        sa.Column("metrics", sa.JSON(), nullable=False),
        sa.Column("parity", sa.JSON(), nullable=False),
        sa.Column("folder", sa.String(200), nullable=False),
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.Column("bytes", BIG, nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        sa.UniqueConstraint("run_id", "stage"),
    )

    op.create_table(
        "epochs",
        sa.Column("id", ID, primary_key=True),
        sa.Column("run_id", ID, sa.ForeignKey("runs.id", ondelete="CASCADE"), nullable=False),
        sa.Column("stage", sa.Integer(), nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("train_loss", sa.Double(), nullable=False),
        sa.Column("valid_loss", sa.Double(), nullable=False),
        sa.Column("error_rate", sa.Double(), nullable=False),
        sa.Column("accuracy", sa.Double(), nullable=False),
        sa.Column("learning_rate", sa.Double(), nullable=False),
        sa.Column("duration_s", sa.Double(), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.UniqueConstraint("run_id", "stage", "epoch"),
    )

    op.create_table(
        "run_events",
        sa.Column("id", BIG, primary_key=True, autoincrement=True),
        sa.Column("run_id", ID, sa.ForeignKey("runs.id", ondelete="CASCADE"), nullable=False),
        sa.Column("kind", sa.String(32), nullable=False),
        sa.Column("data", sa.JSON(), nullable=False),
        sa.Column("created_at", TIME, nullable=False),
    )
    op.create_index("ix_run_events_run_id_id", "run_events", ["run_id", "id"])

    op.create_table(
        "state_points",
        sa.Column("id", ID, primary_key=True),
        sa.Column("run_id", ID, sa.ForeignKey("runs.id", ondelete="CASCADE"), nullable=False),
        sa.Column("stage", sa.Integer(), nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("file", sa.String(200), nullable=False),
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.Column("bytes", BIG, nullable=False),
        sa.UniqueConstraint("run_id", "stage", "epoch"),
    )

    op.create_table(
        "predictions",
        sa.Column("checkpoint_id", ID, sa.ForeignKey("checkpoints.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("image_id", ID, sa.ForeignKey("images.id"), primary_key=True),
        sa.Column("split", sa.String(8), nullable=False),
        sa.Column("actual", sa.Text(), nullable=False),
        sa.Column("predicted", sa.Text(), nullable=False),
        sa.Column("loss", sa.Double(), nullable=False),
        sa.Column("probability_actual", sa.Double(), nullable=False),
        sa.Column("probability_predicted", sa.Double(), nullable=False),
    )
    op.create_index(
        "ix_predictions_checkpoint_id_actual_predicted", "predictions", ["checkpoint_id", "actual", "predicted"]
    )
    op.create_index("ix_predictions_checkpoint_id_split_loss", "predictions", ["checkpoint_id", "split", "loss"])


def downgrade() -> None:
    op.drop_table("predictions")
    op.drop_table("state_points")
    op.drop_table("run_events")
    op.drop_table("epochs")
    op.drop_table("checkpoints")
    op.drop_table("version_images")
    op.drop_table("runs")
    op.drop_table("rejections")
    op.drop_table("image_paths")
    op.drop_table("versions")
    op.drop_table("table_files")
    op.drop_table("sessions")
    op.drop_table("job_attempts")
    op.drop_table("imports")
    op.drop_table("images")
    op.drop_table("workers")
    op.drop_table("tokens")
    op.drop_table("sign_in_failures")
    op.drop_table("kept_answers")
    op.drop_table("jobs")
    op.drop_table("datasets")
