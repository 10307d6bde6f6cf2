"""Private managers of key customers, followed with their primary branch's row."""

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Adds a column; no row is rewritten."""
    op.execute("ALTER TABLE owners ADD COLUMN private_manager_id text")
    op.execute(
        "CREATE INDEX owners_private_manager ON owners (private_manager_id, customer_id)"
        " WHERE private_manager_id IS NOT NULL"
    )
