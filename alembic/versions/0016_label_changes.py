"""Labels are a ledger: the present rule, every change by hand, what counts of them, and what versions froze."""

import sqlalchemy as sa

from alembic import op

revision = "0016"
down_revision = "0011"
branch_labels = None
depends_on = None

TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "label_rules",
        sa.Column(
            "dataset_id",
            sa.String(32),
            sa.ForeignKey("datasets.id", name="fk_label_rules_dataset_id_datasets", ondelete="CASCADE"),
            nullable=False,
        ),
        sa.Column("rule", sa.JSON(), nullable=False),
        sa.Column("split", sa.JSON(), nullable=False),
        sa.Column("changed_at", TIME, nullable=False),
        sa.PrimaryKeyConstraint("dataset_id", name="pk_label_rules"),
    )
    op.create_table(
        "label_batches",
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column(
            "dataset_id",
            sa.String(32),
            sa.ForeignKey("datasets.id", name="fk_label_batches_dataset_id_datasets", ondelete="CASCADE"),
            nullable=False,
        ),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("words", sa.Text(), nullable=False),
        sa.Column("reason", sa.String(200), nullable=False),
        sa.Column("run_id", sa.String(32), nullable=True),
        sa.Column("who", sa.String(200), nullable=False),
        sa.Column("images", sa.Integer(), nullable=False),
        sa.Column("undone_order", sa.Integer(), nullable=True),
        sa.Column("undone_at", TIME, nullable=True),
        sa.Column("undone_by", sa.String(200), nullable=True),
        sa.Column("created_at", TIME, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_label_batches"),
        sa.UniqueConstraint("dataset_id", "number", name="uq_label_batches_dataset_id_number"),
    )
    op.create_table(
        "label_changes",
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column(
            "batch_id",
            sa.String(32),
            sa.ForeignKey("label_batches.id", name="fk_label_changes_batch_id_label_batches", ondelete="CASCADE"),
            nullable=False,
        ),
        sa.Column(
            "dataset_id",
            sa.String(32),
            sa.ForeignKey("datasets.id", name="fk_label_changes_dataset_id_datasets", ondelete="CASCADE"),
            nullable=False,
        ),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(32), nullable=False),
        sa.Column("key", sa.String(200), nullable=False),
        sa.Column("label", sa.Text(), nullable=True),
        sa.Column("is_rule", sa.Boolean(), nullable=False, server_default=sa.false()),
        sa.Column("is_undone", sa.Boolean(), nullable=False, server_default=sa.false()),
        sa.Column("image_id", sa.String(32), nullable=True),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("before", sa.Text(), nullable=True),
        sa.Column("after", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_label_changes"),
    )
    op.create_index("ix_label_changes_dataset_id_id", "label_changes", ["dataset_id", "id"])
    op.create_index("ix_label_changes_key", "label_changes", ["dataset_id", "kind", "key", "number"])
    op.create_index("ix_label_changes_batch_id_kind_key", "label_changes", ["batch_id", "kind", "key"])
    op.create_table(
        "label_overrides",
        sa.Column(
            "dataset_id",
            sa.String(32),
            sa.ForeignKey("datasets.id", name="fk_label_overrides_dataset_id_datasets", ondelete="CASCADE"),
            nullable=False,
        ),
        sa.Column("kind", sa.String(32), nullable=False),
        sa.Column("key", sa.String(200), nullable=False),
        sa.Column("label", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("dataset_id", "kind", "key", name="pk_label_overrides"),
    )
    op.create_table(
        "version_overrides",
        sa.Column(
            "version_id",
            sa.String(32),
            sa.ForeignKey("versions.id", name="fk_version_overrides_version_id_versions", ondelete="CASCADE"),
            nullable=False,
        ),
        sa.Column("image_id", sa.String(32), nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("label", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("version_id", "image_id", name="pk_version_overrides"),
    )


def downgrade() -> None:
    for table in ("version_overrides", "label_overrides", "label_changes", "label_batches", "label_rules"):
        op.drop_table(table)
