"""Keeps what people change of ownership by hand, so that it can be undone."""

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Nothing yet."""
