"""What is done with a finished model in the background, and what was found."""

import sqlalchemy as sa

from alembic import op

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "checkpoint_jobs",
        sa.Column("checkpoint_id", sa.String(32), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("job_id", sa.String(32), nullable=False),
        sa.Column("done", sa.Integer(), nullable=False),
        sa.Column("total", sa.Integer(), nullable=False),
        sa.Column("found", sa.JSON(), nullable=True),
        sa.ForeignKeyConstraint(
            ["checkpoint_id"],
            ["checkpoints.id"],
            name=op.f("fk_checkpoint_jobs_checkpoint_id_checkpoints"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name=op.f("fk_checkpoint_jobs_job_id_jobs")),
        sa.PrimaryKeyConstraint("checkpoint_id", "kind", name=op.f("pk_checkpoint_jobs")),
    )
    op.create_index(op.f("ix_checkpoint_jobs_job_id"), "checkpoint_jobs", ["job_id"], unique=True)


def downgrade() -> None:
    op.drop_table("checkpoint_jobs")
