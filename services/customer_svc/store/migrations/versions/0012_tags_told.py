"""Remembers which night told of tags last, and lets manual tags be retired."""

from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Tags expire as before until the next night has told of them."""
    op.execute("ALTER TABLE tag_day ADD COLUMN told_date date")
    op.execute("ALTER TABLE tags ADD COLUMN retire_time timestamptz")
