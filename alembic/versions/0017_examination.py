"""Pictures are examined when they arrive: measures, pairs that show the same, and how far the examination is."""

import sqlalchemy as sa

from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "image_measures",
        sa.Column("image_id", sa.String(length=32), nullable=False),
        sa.Column("dataset_id", sa.String(length=32), nullable=False),
        sa.Column("perceptual_hash", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("pixels", sa.String(length=64), nullable=False),
        sa.Column("dark", sa.Double(), nullable=False),
        sa.Column("light", sa.Double(), nullable=False),
        sa.Column("brightness", sa.Double(), nullable=False),
        sa.Column("entropy", sa.Double(), nullable=False),
        sa.Column("sharpness", sa.Double(), nullable=False),
        sa.Column("traits", sa.JSON(), nullable=False),
        sa.Column("taken_at", sa.String(length=32), nullable=True),
        sa.Column("method", sa.Integer(), nullable=False),
        _reference("image_measures", "dataset_id", "datasets"),
        _reference("image_measures", "image_id", "images"),
        sa.PrimaryKeyConstraint("image_id", name=op.f("pk_image_measures")),
    )
    op.create_index(op.f("ix_image_measures_dataset_id_pixels"), "image_measures", ["dataset_id", "pixels"])
    op.create_table(
        "image_pairs",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("dataset_id", sa.String(length=32), nullable=False),
        sa.Column("first_id", sa.String(length=32), nullable=False),
        sa.Column("second_id", sa.String(length=32), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("score", sa.Double(), nullable=False),
        _reference("image_pairs", "dataset_id", "datasets"),
        _reference("image_pairs", "first_id", "images"),
        _reference("image_pairs", "second_id", "images"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_image_pairs")),
        sa.UniqueConstraint("first_id", "second_id", name=op.f("uq_image_pairs_first_id_second_id")),
    )
    op.create_index(op.f("ix_image_pairs_dataset_id_kind"), "image_pairs", ["dataset_id", "kind"])
    op.create_index(op.f("ix_image_pairs_second_id"), "image_pairs", ["second_id"])
    op.create_table(
        "examinations",
        sa.Column("dataset_id", sa.String(length=32), nullable=False),
        sa.Column("job_id", sa.String(length=32), nullable=False),
        sa.Column("images_done", sa.Integer(), nullable=False),
        sa.Column("images_total", sa.Integer(), nullable=False),
        sa.Column("features", sa.String(length=200), nullable=True),
        sa.Column("compared_until", sa.String(length=32), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        _reference("examinations", "dataset_id", "datasets"),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name=op.f("fk_examinations_job_id_jobs")),
        sa.PrimaryKeyConstraint("dataset_id", name=op.f("pk_examinations")),
    )


def downgrade() -> None:
    op.drop_table("examinations")
    op.drop_table("image_pairs")
    op.drop_table("image_measures")


def _reference(table: str, column: str, other: str) -> sa.ForeignKeyConstraint:
    """Rows go with those that they belong to."""
    name = op.f(f"fk_{table}_{column}_{other}")
    return sa.ForeignKeyConstraint([column], [f"{other}.id"], name=name, ondelete="CASCADE")
