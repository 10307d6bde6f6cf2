"""Tasks of staff."""

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_STATEMENTS = """
CREATE TABLE tasks (
    customer_id text NOT NULL,
    task_id text NOT NULL,
    title text NOT NULL,
    assignee_id text NOT NULL,
    branch_id text NOT NULL,
    due_date date,
    origin text,
    state text NOT NULL CHECK (state IN ('OPEN', 'DONE')),
    outcome text,
    creator text NOT NULL,
    create_time timestamptz NOT NULL DEFAULT bank_now(),
    complete_time timestamptz,
    PRIMARY KEY (customer_id, task_id),
    CONSTRAINT tasks_task_id UNIQUE (task_id)
);
CREATE INDEX tasks_assignee ON tasks (assignee_id, create_time, task_id)
"""


def upgrade() -> None:
    """Creates everything."""
    for statement in _STATEMENTS.split(";\n"):
        if statement.strip():
            op.execute(statement)
