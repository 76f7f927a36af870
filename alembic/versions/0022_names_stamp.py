"""How many names a dataset has, and the newest of them, are read from the index alone."""

from alembic import op

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.drop_index("ix_image_paths_dataset_id", "image_paths")
    op.create_index("ix_image_paths_dataset_id_id", "image_paths", ["dataset_id", "id"])


def downgrade() -> None:
    op.drop_index("ix_image_paths_dataset_id_id", "image_paths")
    op.create_index("ix_image_paths_dataset_id", "image_paths", ["dataset_id"])
