"""Columns have the names that the code uses: last_notified_at, quarantined_until."""

from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # A plain rename, which both databases know: a batch would make the tables anew.
    op.execute("ALTER TABLE jobs RENAME COLUMN last_ring_at TO last_notified_at")
    op.execute("ALTER TABLE workers RENAME COLUMN unfit_until TO quarantined_until")


def downgrade() -> None:
    op.execute("ALTER TABLE workers RENAME COLUMN quarantined_until TO unfit_until")
    op.execute("ALTER TABLE jobs RENAME COLUMN last_notified_at TO last_ring_at")
