"""Makes what the alerts of merged customers follow to the survivor by, and back."""

from alembic import op

from chassis.sql.merge_tables import MERGE_TABLES

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Creates everything."""
    for statement in MERGE_TABLES:
        op.execute(statement)
