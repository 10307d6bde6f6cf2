"""What staff tell of customers: notes, where documents lie, and relations beside those of the source."""

from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

_STATEMENTS = """
CREATE TABLE notes (
  customer_id text COLLATE "C" NOT NULL,
  note_id text COLLATE "C" NOT NULL,
  text text NOT NULL,
  author_id text COLLATE "C" NOT NULL,
  branch_id text COLLATE "C" NOT NULL,
  version integer NOT NULL DEFAULT 1,
  create_time timestamptz NOT NULL DEFAULT bank_now(),
  update_time timestamptz NOT NULL DEFAULT bank_now(),
  delete_time timestamptz,
  PRIMARY KEY (customer_id, note_id)
);
CREATE INDEX notes_deleted ON notes (delete_time) WHERE delete_time IS NOT NULL;

CREATE TABLE attachments (
  customer_id text COLLATE "C" NOT NULL,
  attachment_id text COLLATE "C" NOT NULL,
  file_name text NOT NULL,
  media_type text NOT NULL,
  size_bytes bigint NOT NULL CHECK (size_bytes > 0),
  sha256 bytea NOT NULL,
  uri text NOT NULL,
  retained_until_date date,
  description text NOT NULL,
  author_id text COLLATE "C" NOT NULL,
  branch_id text COLLATE "C" NOT NULL,
  create_time timestamptz NOT NULL DEFAULT bank_now(),
  delete_time timestamptz,
  PRIMARY KEY (customer_id, attachment_id)
);
CREATE INDEX attachments_deleted ON attachments (delete_time) WHERE delete_time IS NOT NULL;

CREATE TABLE manual_relations (
  customer_id text COLLATE "C" NOT NULL,
  relation_id text COLLATE "C" NOT NULL,
  related_customer_id text COLLATE "C" NOT NULL CHECK (related_customer_id <> customer_id),
  kind text NOT NULL,
  reason text NOT NULL,
  author_id text COLLATE "C" NOT NULL,
  branch_id text COLLATE "C" NOT NULL,
  create_time timestamptz NOT NULL DEFAULT bank_now(),
  end_time timestamptz,
  end_actor text COLLATE "C" NOT NULL DEFAULT '',
  end_reason text NOT NULL DEFAULT '',
  PRIMARY KEY (customer_id, relation_id)
);
CREATE INDEX manual_relations_related ON manual_relations (related_customer_id, customer_id);
CREATE INDEX relations_related ON relations (related_customer_id, customer_id)
"""


def upgrade() -> None:
    """Creates everything."""
    for statement in _STATEMENTS.split(";\n"):
        if statement.strip():
            op.execute(statement)
