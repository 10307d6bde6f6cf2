"""Private managers of key customers."""

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_STATEMENTS = """
"""


def upgrade() -> None:
    """Creates everything."""
    for statement in _STATEMENTS.split(";\n"):
        if statement.strip():
            op.execute(statement)
