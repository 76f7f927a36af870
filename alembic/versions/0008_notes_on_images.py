"""What is worth knowing of a picture that was taken in, such as pages that were left out."""

import sqlalchemy as sa

from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("images") as images:
        images.add_column(sa.Column("notes", sa.JSON(), nullable=False, server_default="[]"))


def downgrade() -> None:
    # Not as a batch: that would make the table anew, and dropping the old one would delete all that refers to it.
    op.execute("ALTER TABLE images DROP COLUMN notes")
