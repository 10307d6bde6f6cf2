"""Remembers who was erased, so that sources that go on telling of him are not heard."""

from alembic import op

from chassis.sql.erased import ERASED_TABLE

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Whoever was erased before is not known any more here; customer_svc knows, and may be asked to erase him again."""
    op.execute(ERASED_TABLE)
