"""Resumable uploads, and an index by which names of pictures are found."""

import sqlalchemy as sa

from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

ID = sa.String(32)
BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "uploads",
        sa.Column("id", ID, primary_key=True),
        sa.Column("dataset_id", ID, sa.ForeignKey("datasets.id", ondelete="CASCADE"), nullable=False),
        sa.Column("token_id", ID, nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("length", BIG, nullable=False),
        sa.Column("received", BIG, nullable=False),
        sa.Column("given_metadata", sa.Text(), nullable=False),
        sa.Column("fingerprint", sa.String(255), nullable=True),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("import_id", ID, sa.ForeignKey("imports.id", ondelete="SET NULL"), nullable=True),
        sa.Column("result", sa.JSON(), nullable=True),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("expires_at", TIME, nullable=False),
    )
    op.create_index("ix_uploads_dataset_id_token_id", "uploads", ["dataset_id", "token_id"])
    op.create_index("ix_uploads_import_id", "uploads", ["import_id"])
    op.create_index("ix_uploads_state", "uploads", ["state"])
    # PostgreSQL's usual index takes no text of more than 2,700 bytes; a path may be longer.
    op.create_index("ix_image_paths_path", "image_paths", ["path"], postgresql_using="hash")


def downgrade() -> None:
    op.drop_index("ix_image_paths_path", table_name="image_paths")
    op.drop_table("uploads")
