"""A bin for deleted pictures and datasets, and the indexes by which a million pictures are listed."""

import re
import unicodedata

import sqlalchemy as sa

from alembic import op

revision = "0015"
down_revision = "0013"
branch_labels = None
depends_on = None

ID = sa.String(32)
AT_ONCE = 10_000


def upgrade() -> None:
    op.create_table(
        "bin",
        sa.Column("id", ID, primary_key=True),
        sa.Column("dataset_id", ID, sa.ForeignKey("datasets.id", ondelete="CASCADE"), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("images", sa.Integer(), nullable=False),
        sa.Column("bytes", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
    )
    op.create_index("ix_bin_dataset_id", "bin", ["dataset_id"])
    op.create_index("ix_bin_expires_at", "bin", ["expires_at"])
    op.create_table(
        "binned_paths",
        sa.Column("image_id", ID, sa.ForeignKey("images.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("path", sa.Text(), primary_key=True),
    )
    # Not as a batch: that would make the table anew, and dropping the old one would delete all that refers to it.
    is_postgresql = op.get_bind().dialect.name == "postgresql"
    collation = ' COLLATE "C"' if is_postgresql else ""
    op.execute(f"ALTER TABLE images ADD COLUMN name_key VARCHAR(120){collation} DEFAULT '' NOT NULL")
    op.execute("ALTER TABLE images ADD COLUMN bin_id VARCHAR(32)")
    _name_all()
    op.drop_index("ix_images_dataset_id_id", "images")
    op.create_index("ix_images_listed", "images", ["dataset_id", "is_deleted", "id"])
    op.create_index("ix_images_by_name", "images", ["dataset_id", "is_deleted", "name_key", "id"])
    op.create_index("ix_images_digest", "images", ["digest"])
    op.create_index("ix_images_bin_id_id", "images", ["bin_id", "id"])
    op.create_index("ix_version_images_split", "version_images", ["version_id", "split", "image_id"])
    op.create_index("ix_version_images_image_id", "version_images", ["image_id"])
    op.create_index("ix_predictions_image_id", "predictions", ["image_id"])


def downgrade() -> None:
    # What is in the bin can't be deleted here, because its files would stay; it comes back instead.
    op.execute(
        "UPDATE datasets SET is_being_deleted = false WHERE id IN (SELECT dataset_id FROM bin WHERE kind = 'dataset')"
    )
    op.drop_index("ix_predictions_image_id", "predictions")
    op.drop_index("ix_version_images_image_id", "version_images")
    op.drop_index("ix_version_images_split", "version_images")
    _restore_pictures()
    for name in ("ix_images_bin_id_id", "ix_images_digest", "ix_images_by_name", "ix_images_listed"):
        op.drop_index(name, "images")
    op.create_index("ix_images_dataset_id_id", "images", ["dataset_id", "id"])
    op.drop_table("binned_paths")
    op.execute("ALTER TABLE images DROP COLUMN bin_id")
    op.execute("ALTER TABLE images DROP COLUMN name_key")
    op.drop_table("bin")


def _name_all() -> None:
    connection = op.get_bind()
    after = ""
    page = sa.text("SELECT id, path FROM images WHERE id > :after ORDER BY id LIMIT :many")
    write = sa.text("UPDATE images SET name_key = :key WHERE id = :id")
    while rows := connection.execute(page, {"after": after, "many": AT_ONCE}).all():
        connection.execute(write, [{"id": row.id, "key": _name_key(row.path)} for row in rows])
        after = rows[-1].id


def _name_key(path: str) -> str:
    name = unicodedata.normalize("NFC", path.rpartition("/")[2]).casefold()
    return re.sub(r"[0-9]+", lambda number: number[0].zfill(8), name)[:120]


def _restore_pictures() -> None:
    connection = op.get_bind()
    connection.execute(
        sa.text(
            "INSERT INTO image_paths (id, dataset_id, image_id, path) "
            "SELECT substr(images.id, 1, 20) || substr('000000000000' || row_number() OVER (ORDER BY images.id), -12), "
            "images.dataset_id, images.id, binned_paths.path "
            "FROM binned_paths JOIN images ON images.id = binned_paths.image_id WHERE images.bin_id IS NOT NULL"
            if connection.dialect.name == "sqlite"
            else "INSERT INTO image_paths (id, dataset_id, image_id, path) "
            "SELECT left(images.id, 20) || lpad((row_number() OVER (ORDER BY images.id))::text, 12, '0'), "
            "images.dataset_id, images.id, binned_paths.path "
            "FROM binned_paths JOIN images ON images.id = binned_paths.image_id WHERE images.bin_id IS NOT NULL"
        )
    )
    connection.execute(
        sa.text(
            "UPDATE datasets SET "
            "images = images + (SELECT count(*) FROM images WHERE images.dataset_id = datasets.id "
            "AND images.bin_id IS NOT NULL), "
            "bytes = bytes + (SELECT coalesce(sum(images.bytes), 0) FROM images WHERE images.dataset_id = datasets.id "
            "AND images.bin_id IS NOT NULL)"
        )
    )
    connection.execute(sa.text("UPDATE images SET is_deleted = false WHERE bin_id IS NOT NULL"))
