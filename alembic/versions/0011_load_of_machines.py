"""Workers report the processors of their machine, and what other programs do with them."""

import sqlalchemy as sa

from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("workers", sa.Column("processors", sa.Integer(), nullable=True))
    op.add_column("workers", sa.Column("other_threads", sa.Double(), nullable=True))


def downgrade() -> None:
    # Not as a batch: that would make the table anew.
    op.execute("ALTER TABLE workers DROP COLUMN other_threads")
    op.execute("ALTER TABLE workers DROP COLUMN processors")
