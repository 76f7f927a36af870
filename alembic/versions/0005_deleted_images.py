"""Pictures that are deleted from their dataset while a version still has them."""

import sqlalchemy as sa

from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("images") as images:
        images.add_column(sa.Column("is_deleted", sa.Boolean(), nullable=False, server_default=sa.false()))


def downgrade() -> None:
    # Not as a batch: that would make the table anew, and dropping the old one would delete all that refers to it.
    op.execute("ALTER TABLE images DROP COLUMN is_deleted")
