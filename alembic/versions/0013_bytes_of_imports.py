"""Imports that bring their files from elsewhere say how many bytes have come, and how long the rest will take."""

import sqlalchemy as sa

from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

_BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.add_column("imports", sa.Column("bytes_done", _BIG, nullable=False, server_default="0"))
    op.add_column("imports", sa.Column("bytes_total", _BIG, nullable=False, server_default="0"))
    op.add_column("imports", sa.Column("seconds_left", sa.Integer(), nullable=True))


def downgrade() -> None:
    # Not as a batch: that would make the table anew.
    for column in ("seconds_left", "bytes_total", "bytes_done"):
        op.execute(f"ALTER TABLE imports DROP COLUMN {column}")
