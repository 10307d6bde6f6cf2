"""Gives policies of allocation start dates, and lets facts be allocated as they come."""

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Nothing yet."""
