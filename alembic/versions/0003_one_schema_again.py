"""Bring every database to one schema: 0001 and 0002 were changed after the first databases had been made with them.

Databases from before those changes say 0001 or 0002, but lack ``tokens.is_owner``, ``runs.forecast`` or ``speeds``.
See docs/decisions/0007-committed-migrations-stay.md.
"""

import sqlalchemy as sa

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

ID = sa.String(32)
TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    if not _has_column("tokens", "is_owner"):
        with op.batch_alter_table("tokens") as tokens:
            tokens.add_column(sa.Column("is_owner", sa.Boolean(), nullable=False, server_default=sa.false()))
        with op.batch_alter_table("tokens") as tokens:
            tokens.alter_column("is_owner", server_default=None)
    if not _has_column("runs", "forecast"):
        with op.batch_alter_table("runs") as runs:
            runs.add_column(sa.Column("forecast", sa.JSON()))
    if not sa.inspect(op.get_bind()).has_table("speeds"):
        _create_speeds()


def downgrade() -> None:
    """Nothing: 0002 as it is now has all of it."""


def _has_column(table: str, column: str) -> bool:
    return column in {found["name"] for found in sa.inspect(op.get_bind()).get_columns(table)}


def _create_speeds() -> None:
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
