"""What an import found besides pictures, and datasets whose rows are being deleted batch by batch."""

import sqlalchemy as sa

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("imports") as imports:
        imports.add_column(sa.Column("tables", sa.Integer(), nullable=False, server_default="0"))
        imports.add_column(sa.Column("name_encoding", sa.String(32)))
    with op.batch_alter_table("datasets") as datasets:
        datasets.add_column(sa.Column("is_being_deleted", sa.Boolean(), nullable=False, server_default=sa.false()))


def downgrade() -> None:
    # Not by batches: they would make the tables anew, and dropping the old ones would delete all that refers to them.
    op.execute("ALTER TABLE datasets DROP COLUMN is_being_deleted")
    op.execute("ALTER TABLE imports DROP COLUMN name_encoding")
    op.execute("ALTER TABLE imports DROP COLUMN tables")
