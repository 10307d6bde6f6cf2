"""Makes the audit and its seals append-only."""

from alembic import op

from chassis.sql.schema import keep_audit

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Adds the guards; no row is rewritten."""
    keep_audit(op)
