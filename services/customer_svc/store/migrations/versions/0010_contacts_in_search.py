"""Puts what is asked of contacts beside the figures that searches read.

A condition that needs a look-up is asked of each customer who is left, which costs as much as reading ten customers
from end to end. Where somebody's contacts stand is told by numbers in order, so that those of a channel within some
days are counted by two searches in one array.
"""

from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

# Looked up row by row in the order of ids, as in migration 0004.
_IN_ORDER = "SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off"
_TAKEN = ("last_contact_time", "contact_places", "opt_out_keys", "consent_keys", "withdrawn_consent_keys")
_NAMES = ", ".join(_TAKEN)
_SET = ", ".join(f"{name} = r.{name}" for name in _TAKEN)
_OLD, _NEW = (", ".join(f"{alias}.{name}" for name in _TAKEN) for alias in ("s", "r"))
# Nothing costs nothing: what is empty is NULL. A place is the number of the channel, then sixteen digits of
# microseconds; store/contact_conditions.py knows them too.
_CONTACTS = """
    SELECT i.customer_id, r.last_contact_time,
      (SELECT array_agg(place ORDER BY place) FROM (
        SELECT coalesce(array_position(ARRAY['SMS', 'CALL', 'PUSH', 'MAIL', 'WECHAT', 'VISIT'], channel), 0)
            * 10000000000000000 + (extract(epoch FROM contact_time) * 1000000)::bigint AS place
        FROM contact_instants AS c WHERE c.customer_id = i.customer_id AND NOT other_person
      ) AS places) AS contact_places,
      nullif(r.opt_out_keys, '{}') AS opt_out_keys, nullif(r.consent_keys, '{}') AS consent_keys,
      nullif(r.withdrawn_consent_keys, '{}') AS withdrawn_consent_keys"""

# Step by step, so that searches and feeds wait for none of it, and again from the start after a crash. Everything that
# is there already is settled a few customers at a time.
_SEPARATE = f"""
ALTER TABLE customer_search
  ADD COLUMN IF NOT EXISTS last_contact_time timestamptz,
  ADD COLUMN IF NOT EXISTS contact_places bigint[],
  ADD COLUMN IF NOT EXISTS opt_out_keys text[] COLLATE "C",
  ADD COLUMN IF NOT EXISTS consent_keys text[] COLLATE "C",
  ADD COLUMN IF NOT EXISTS withdrawn_consent_keys text[] COLLATE "C";

CREATE OR REPLACE FUNCTION settle_contacts(ids text[]) RETURNS void LANGUAGE sql {_IN_ORDER} AS $$
  UPDATE customer_search AS s SET {_SET}
  FROM ({_CONTACTS}
    FROM (SELECT DISTINCT unnest(ids) COLLATE "C" AS customer_id ORDER BY 1) AS i
    LEFT JOIN contact_rooms AS r USING (customer_id) ORDER BY i.customer_id
  ) AS r
  WHERE s.customer_id = r.customer_id AND ({_OLD}) IS DISTINCT FROM ({_NEW})
$$;

DO $$
DECLARE
  settled text := '';
  ids text[];
BEGIN
  LOOP
    SELECT array_agg(customer_id ORDER BY customer_id) INTO ids FROM (
      SELECT customer_id FROM contact_rooms WHERE customer_id > settled ORDER BY customer_id LIMIT 10000
    ) AS next_rooms;
    EXIT WHEN ids IS NULL;
    PERFORM settle_contacts(ids);
    COMMIT;
    settled := ids[cardinality(ids)];
  END LOOP;
END $$
"""  # noqa: S608 -- our own names
_TOGETHER = f"""
CREATE FUNCTION add_contacts_to_search() RETURNS trigger LANGUAGE plpgsql {_IN_ORDER} AS $$
BEGIN
  PERFORM settle_contacts(ARRAY(SELECT customer_id FROM added JOIN contact_rooms USING (customer_id)));
  RETURN NULL;
END $$;

CREATE TRIGGER customers_added_with_contacts AFTER INSERT ON customers
  REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION add_contacts_to_search()
"""  # noqa: S608 -- our own names


def upgrade() -> None:
    """Adds the columns, fills them, and keeps them filled where `contact_rooms` and customers are written."""
    with op.get_context().autocommit_block():
        for statement in _SEPARATE.split(";\n\n"):
            op.execute(statement)
    for statement in _TOGETHER.split(";\n\n"):
        op.execute(statement)
