"""The mistakes of a checkpoint are listed from an index that has nothing else."""

import sqlalchemy as sa

from alembic import op

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None

IS_WRONG = sa.text("actual <> predicted")


def upgrade() -> None:
    op.create_index(
        "ix_predictions_wrong",
        "predictions",
        ["checkpoint_id", "image_id"],
        postgresql_where=IS_WRONG,
        sqlite_where=IS_WRONG,
    )


def downgrade() -> None:
    op.drop_index("ix_predictions_wrong", "predictions")
