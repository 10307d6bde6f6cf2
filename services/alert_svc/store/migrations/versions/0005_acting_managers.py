"""Keeps who acts for whom, as assignment_svc tells it."""

from alembic import op

from chassis.sql.acting_managers import ACTING_TABLES

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Creates an empty table, which the feed fills."""
    for statement in ACTING_TABLES:
        op.execute(statement)
