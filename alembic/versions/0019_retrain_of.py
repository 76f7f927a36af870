"""Runs say which run they repeat with corrected labels."""

import sqlalchemy as sa

from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("runs", sa.Column("retrain_of", sa.String(32), nullable=True))
    op.create_index(op.f("ix_runs_retrain_of"), "runs", ["retrain_of"])


def downgrade() -> None:
    op.drop_index(op.f("ix_runs_retrain_of"), "runs")
    op.drop_column("runs", "retrain_of")
