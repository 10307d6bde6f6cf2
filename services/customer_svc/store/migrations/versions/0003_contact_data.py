"""Adds what keeps id numbers and mobiles sealed, and takes the plain columns away where nothing stands in them.

Where something does, `migrate` seals it and takes them away afterwards: this needs keys, which no migration knows.
"""

from alembic import op
from sqlalchemy import text

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_STATEMENTS = """
ALTER TABLE customers ADD COLUMN id_number_hash bytea, ADD COLUMN mobile_hash bytea;
CREATE INDEX customers_id_number_hash ON customers (id_number_hash) WHERE id_number_hash IS NOT NULL;
CREATE INDEX customers_mobile_hash ON customers (mobile_hash) WHERE mobile_hash IS NOT NULL;

CREATE TABLE customer_contacts (
  customer_id text COLLATE "C" PRIMARY KEY,
  id_number_cipher bytea,
  mobile_cipher bytea,
  cipher_key_id bigint NOT NULL,
  hash_key_id bigint NOT NULL
);
CREATE INDEX customer_contacts_keys ON customer_contacts USING brin (cipher_key_id, hash_key_id)
  WITH (pages_per_range = 32, autosummarize = on)
"""
_HAS_PLAIN = "SELECT EXISTS (SELECT FROM customers WHERE id_number IS NOT NULL OR mobile IS NOT NULL)"


def upgrade() -> None:
    """Creates everything."""
    for statement in _STATEMENTS.split(";\n"):
        op.execute(statement)
    if not op.get_bind().execute(text(_HAS_PLAIN)).scalar_one():
        op.execute("ALTER TABLE customers DROP COLUMN id_number, DROP COLUMN mobile")
