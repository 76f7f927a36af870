"""Tokens have scopes and makers; links to sign in work once."""

import sqlalchemy as sa

from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

ID = sa.String(32)
TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    with op.batch_alter_table("tokens") as tokens:
        # Until now every token could do everything.
        tokens.add_column(sa.Column("scope", sa.String(8), nullable=False, server_default="owner"))
        tokens.add_column(sa.Column("made_by", ID))
    with op.batch_alter_table("tokens") as tokens:
        tokens.alter_column("scope", server_default=None)
    op.create_table(
        "sign_in_links",
        sa.Column("sha256", sa.String(64), primary_key=True),
        sa.Column("token_id", ID, sa.ForeignKey("tokens.id", ondelete="CASCADE"), nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("expires_at", TIME, nullable=False),
        sa.Column("used_at", TIME),
    )


def downgrade() -> None:
    op.drop_table("sign_in_links")
    # The version before lets every token do everything.
    op.execute("UPDATE tokens SET revoked_at = created_at WHERE scope <> 'owner'")
    with op.batch_alter_table("tokens") as tokens:
        tokens.drop_column("made_by")
        tokens.drop_column("scope")
