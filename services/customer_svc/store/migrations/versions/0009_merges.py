"""Merged customers."""

from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

_STATEMENTS = """
"""


def upgrade() -> None:
    """Creates everything."""
    for statement in _STATEMENTS.split(";\n"):
        if statement.strip():
            op.execute(statement)
