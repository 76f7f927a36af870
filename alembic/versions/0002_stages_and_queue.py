"""Points within an epoch, searches for a learning rate, and what a fair queue needs to know."""

import sqlalchemy as sa

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

ID = sa.String(32)
TIME = sa.DateTime(timezone=True)
BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    with op.batch_alter_table("jobs") as jobs:
        jobs.add_column(sa.Column("asked_by", sa.String(64)))
        jobs.add_column(sa.Column("device", sa.String(16), nullable=False, server_default="auto"))
        jobs.add_column(sa.Column("memory_bytes", BIG))
        jobs.add_column(sa.Column("stall_after_s", sa.Double()))
        jobs.add_column(sa.Column("waits_for_bytes", BIG))
    with op.batch_alter_table("workers") as workers:
        workers.add_column(sa.Column("memory_bytes", BIG))
        workers.add_column(sa.Column("memory_free_bytes", BIG))
        workers.add_column(sa.Column("unfit_until", TIME))
    with op.batch_alter_table("state_points") as points:
        points.add_column(sa.Column("step", sa.Integer(), nullable=False, server_default="0"))
        points.drop_constraint("uq_state_points_run_id_stage_epoch", type_="unique")
    # Until now the epoch after which a point was saved; now the one with which training goes on. Both databases check
    # a unique constraint row by row, so there must be none while neighbouring epochs move.
    op.execute("UPDATE state_points SET epoch = epoch + 1")
    with op.batch_alter_table("state_points") as points:
        points.create_unique_constraint("uq_state_points_run_id_stage_epoch_step", ["run_id", "stage", "epoch", "step"])
    op.create_table(
        "lr_finds",
        sa.Column("id", ID, primary_key=True),
        sa.Column("version_id", ID, sa.ForeignKey("versions.id"), nullable=False),
        sa.Column("job_id", ID, sa.ForeignKey("jobs.id"), nullable=False),
        sa.Column("run_id", ID, sa.ForeignKey("runs.id", ondelete="CASCADE")),
        sa.Column("config", sa.JSON(), nullable=False),
        sa.Column("starts_from", ID),
        sa.Column("phase", sa.Text()),
        sa.Column("progress", sa.Double(), nullable=False),
        sa.Column("result", sa.JSON()),
        sa.Column("created_at", TIME, nullable=False),
    )
    op.create_index("ix_lr_finds_version_id", "lr_finds", ["version_id"])
    op.create_index("ix_lr_finds_run_id", "lr_finds", ["run_id"])
    op.create_index("ix_lr_finds_job_id", "lr_finds", ["job_id"], unique=True)
    with op.batch_alter_table("runs") as runs:
        runs.add_column(sa.Column("forecast", sa.JSON()))
    op.create_table(
        "speeds",
        sa.Column("id", ID, primary_key=True),
        sa.Column("machine", sa.String(200), nullable=False),
        sa.Column("device", sa.String(16), nullable=False),
        sa.Column("work", sa.String(16), nullable=False),
        sa.Column("architecture", sa.String(64)),
        sa.Column("image_size", sa.Integer(), nullable=False),
        sa.Column("amount", sa.Double(), nullable=False),
        sa.Column("seconds", sa.Double(), nullable=False),
        sa.Column("run_id", ID),
        sa.Column("created_at", TIME, nullable=False),
    )
    op.create_index("ix_speeds_device_id", "speeds", ["device", "id"])
    op.create_index("ix_speeds_machine_id", "speeds", ["machine", "id"])


def downgrade() -> None:
    op.drop_table("speeds")
    with op.batch_alter_table("runs") as runs:
        runs.drop_column("forecast")
    op.drop_table("lr_finds")
    # Points within an epoch mean nothing to the version before.
    op.execute("DELETE FROM state_points WHERE step > 0")
    with op.batch_alter_table("state_points") as points:
        points.drop_constraint("uq_state_points_run_id_stage_epoch_step", type_="unique")
    op.execute("UPDATE state_points SET epoch = epoch - 1")
    with op.batch_alter_table("state_points") as points:
        points.create_unique_constraint("uq_state_points_run_id_stage_epoch", ["run_id", "stage", "epoch"])
        points.drop_column("step")
    with op.batch_alter_table("workers") as workers:
        workers.drop_column("unfit_until")
        workers.drop_column("memory_free_bytes")
        workers.drop_column("memory_bytes")
    with op.batch_alter_table("jobs") as jobs:
        jobs.drop_column("waits_for_bytes")
        jobs.drop_column("stall_after_s")
        jobs.drop_column("memory_bytes")
        jobs.drop_column("device")
        jobs.drop_column("asked_by")
