"""Makes what two customers' contacts become one with, and two again."""

from alembic import op

from chassis.sql.merge_tables import MERGE_TABLES

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Creates everything."""
    for statement in MERGE_TABLES:
        op.execute(statement)
