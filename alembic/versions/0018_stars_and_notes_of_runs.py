"""Runs have a star and a note, so that people find the one that they use."""

import sqlalchemy as sa

from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("runs", sa.Column("starred", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.add_column("runs", sa.Column("note", sa.Text(), nullable=False, server_default=""))


def downgrade() -> None:
    # Not as a batch: that would make the table anew, and dropping the old one would delete all that refers to it.
    op.execute("ALTER TABLE runs DROP COLUMN note")
    op.execute("ALTER TABLE runs DROP COLUMN starred")
