"""Puts what queries look at most into a narrow table of its own, with each customer's owners beside his figures.

A query over the bank reads every row: of `customers`, which has a hundred columns, that takes four times as long. And
whoever sees one branch finds its customers through `owners`; whoever sees hundreds would join a million rows to two.
The orders that have an index are ordered here too, so that `customers` is updated in place when its figures change.
"""

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

# Numbers and days first: behind texts of varying length each column costs more to reach.
_COLUMNS = {
    "gone": "boolean NOT NULL",
    "tier": "smallint",
    "risk_rating": "smallint",
    "birth_month_day": "smallint",
    "birth_date": "date",
    "customer_since_date": "date",
    "total_deposit_average_minor": "bigint",
    "total_deposit_balance_minor": "bigint",
    "total_aum_minor": "bigint",
    "total_time_maturity_date": "date",
    "total_account_count": "integer",
    "total_loan_count": "integer",
    "total_loan_outstanding_minor": "bigint",
    "total_loan_overdue_days": "integer",
    "total_card_count": "integer",
    "total_card_limit_minor": "bigint",
    "total_card_used_minor": "bigint",
    "total_inflow_90d_minor": "bigint",
    "total_outflow_90d_minor": "bigint",
    "total_mobile_90d_count": "integer",
    "total_counter_90d_count": "integer",
    "total_atm_90d_count": "integer",
    "total_pos_90d_count": "integer",
    "total_online_90d_count": "integer",
    "total_last_active_date": "date",
    "contribution_minor": "bigint",
    "sex": "text",
    "customer_type": "text NOT NULL",
    "lifecycle": "text",
    "key_reason": "text",
    "tag_codes": "text[] NOT NULL",
    "total_holding_categories": "text[]",
    "residence_district": "text",
    "display_name": 'text COLLATE "C"',
}
_NAMES = ", ".join(_COLUMNS)
_TAKEN = ", ".join(f"{name} = a.{name}" for name in _COLUMNS)
_OLD, _NEW = (", ".join(f"{alias}.{name}" for name in _COLUMNS) for alias in ("s", "a"))

# "banyan o": who writes owners waits for the transactions that add customers, and they for him. Otherwise each could
# miss the other's rows, and a customer would keep no owners until they change.
_OWNERS_LOCK = 0x62616E79616E206F

# What functions write is looked up row by row in the order of ids, so that two of them never wait for each other; nor
# does a session keep a plan that reads the whole table, made when that was small or many rows were written.
_IN_ORDER = "SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off"

_STATEMENTS = f"""
CREATE TABLE customer_search (
  customer_id text COLLATE "C" NOT NULL,
  {", ".join(f"{name} {kind}" for name, kind in _COLUMNS.items())},
  primary_branch_id text COLLATE "C",
  primary_manager_id text COLLATE "C",
  private_manager_id text COLLATE "C",
  secondary_branch_ids text[] COLLATE "C" NOT NULL DEFAULT '{{}}'
) WITH (fillfactor = 90);

INSERT INTO customer_search (customer_id, {_NAMES}) SELECT customer_id, {_NAMES} FROM customers ORDER BY customer_id;

CREATE FUNCTION lock_owners() RETURNS void LANGUAGE sql AS $$
  SELECT pg_advisory_xact_lock({_OWNERS_LOCK})
$$;

ALTER TABLE customer_search ADD PRIMARY KEY (customer_id);

CREATE FUNCTION settle_owners(ids text[]) RETURNS void LANGUAGE sql {_IN_ORDER} AS $$
  UPDATE customer_search AS s SET primary_branch_id = o.branch_id, primary_manager_id = o.manager_id,
    private_manager_id = o.private_manager_id, secondary_branch_ids = o.others
  FROM (
    SELECT i.customer_id, min(branch_id) FILTER (WHERE side = 'PRIMARY') AS branch_id,
      min(manager_id) FILTER (WHERE side = 'PRIMARY') AS manager_id,
      min(private_manager_id) FILTER (WHERE side = 'PRIMARY') AS private_manager_id,
      coalesce(array_agg(branch_id ORDER BY branch_id) FILTER (WHERE side = 'SECONDARY'), '{{}}') AS others
    FROM unnest(ids) AS i (customer_id) LEFT JOIN owners USING (customer_id)
    GROUP BY i.customer_id ORDER BY i.customer_id
  ) AS o
  WHERE s.customer_id = o.customer_id
    AND (s.primary_branch_id, s.primary_manager_id, s.private_manager_id, s.secondary_branch_ids)
      IS DISTINCT FROM (o.branch_id, o.manager_id, o.private_manager_id, o.others)
$$;

SELECT settle_owners(ARRAY(SELECT DISTINCT customer_id FROM owners));

DROP INDEX customers_display_name, customers_since, customers_total_average;

CREATE INDEX customer_search_name ON customer_search (display_name, customer_id);

CREATE INDEX customer_search_since ON customer_search (customer_since_date, customer_id);

CREATE INDEX customer_search_average ON customer_search (total_deposit_average_minor, customer_id);

CREATE INDEX customer_search_aum ON customer_search (total_aum_minor, customer_id);

CREATE INDEX customer_search_primary ON customer_search (primary_branch_id);

CREATE INDEX figures_deposit_average ON customer_branch_figures (deposit_average_minor, customer_id, branch_id);

CREATE FUNCTION await_owners() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM pg_advisory_xact_lock_shared({_OWNERS_LOCK});
  RETURN NULL;
END $$;

CREATE FUNCTION add_to_search() RETURNS trigger LANGUAGE plpgsql {_IN_ORDER} AS $$
BEGIN
  INSERT INTO customer_search (customer_id, {_NAMES}) SELECT customer_id, {_NAMES} FROM added ORDER BY customer_id;
  PERFORM settle_owners(ARRAY(SELECT DISTINCT customer_id FROM added JOIN owners USING (customer_id)));
  RETURN NULL;
END $$;

CREATE FUNCTION change_in_search() RETURNS trigger LANGUAGE plpgsql {_IN_ORDER} AS $$
BEGIN
  UPDATE customer_search AS s SET {_TAKEN}
  FROM (SELECT * FROM changed ORDER BY customer_id) AS a
  WHERE s.customer_id = a.customer_id AND ({_OLD}) IS DISTINCT FROM ({_NEW});
  RETURN NULL;
END $$;

CREATE FUNCTION remove_from_search() RETURNS trigger LANGUAGE plpgsql {_IN_ORDER} AS $$
BEGIN
  DELETE FROM customer_search WHERE customer_id IN (SELECT customer_id FROM removed);
  RETURN NULL;
END $$;

CREATE FUNCTION empty_search() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  TRUNCATE customer_search;
  RETURN NULL;
END $$;

CREATE TRIGGER customers_await_owners BEFORE INSERT ON customers
  FOR EACH STATEMENT EXECUTE FUNCTION await_owners();

CREATE TRIGGER customers_added AFTER INSERT ON customers
  REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION add_to_search();

CREATE TRIGGER customers_changed AFTER UPDATE ON customers
  REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION change_in_search();

CREATE TRIGGER customers_removed AFTER DELETE ON customers
  REFERENCING OLD TABLE AS removed FOR EACH STATEMENT EXECUTE FUNCTION remove_from_search();

CREATE TRIGGER customers_emptied AFTER TRUNCATE ON customers
  FOR EACH STATEMENT EXECUTE FUNCTION empty_search()
"""  # noqa: S608 -- our own names


def upgrade() -> None:
    """Creates the table, fills it, and keeps it filled in the transactions that write customers."""
    for statement in _STATEMENTS.split(";\n\n"):
        op.execute(statement)
