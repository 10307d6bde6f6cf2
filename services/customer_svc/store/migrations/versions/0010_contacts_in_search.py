"""Puts what is asked of contacts and products beside the figures that searches read."""

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Nothing yet."""
