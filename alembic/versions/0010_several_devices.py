"""A training may use several devices of a host, and the ledger knows which."""

import sqlalchemy as sa

from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("jobs", sa.Column("devices", sa.Integer(), nullable=True, server_default="1"))
    op.create_table(
        "job_attempt_devices",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("attempt_id", sa.String(length=32), nullable=False),
        sa.Column("host", sa.String(length=255), nullable=False),
        sa.Column("device", sa.String(length=64), nullable=False),
        sa.Column("released_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["attempt_id"],
            ["job_attempts.id"],
            name=op.f("fk_job_attempt_devices_attempt_id_job_attempts"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_job_attempt_devices")),
    )
    op.create_index(op.f("ix_job_attempt_devices_attempt_id"), "job_attempt_devices", ["attempt_id"])
    op.create_index(
        "uq_job_attempt_devices_open",
        "job_attempt_devices",
        ["host", "device"],
        unique=True,
        sqlite_where=sa.text("released_at IS NULL"),
        postgresql_where=sa.text("released_at IS NULL"),
    )
    # Attempts that are under way keep their devices.
    op.execute(
        "INSERT INTO job_attempt_devices (id, attempt_id, host, device) "
        "SELECT id, id, host, device FROM job_attempts WHERE ended_at IS NULL AND device IS NOT NULL"
    )


def downgrade() -> None:
    op.drop_table("job_attempt_devices")
    # Not as a batch: that would make the table anew, and dropping the old one would delete all that refers to it.
    op.execute("ALTER TABLE jobs DROP COLUMN devices")
