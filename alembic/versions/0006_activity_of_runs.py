"""Runs store which part of them is under way."""

import sqlalchemy as sa

from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("runs") as runs:
        runs.add_column(sa.Column("activity", sa.String(16)))


def downgrade() -> None:
    with op.batch_alter_table("runs") as runs:
        runs.drop_column("activity")
