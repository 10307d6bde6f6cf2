"""Tags and key customers."""

from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

_STATEMENTS = """
"""


def upgrade() -> None:
    """Creates everything."""
    for statement in _STATEMENTS.split(";\n"):
        if statement.strip():
            op.execute(statement)
