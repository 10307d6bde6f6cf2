"""The chassis' part of every service's first migration, as frozen SQL: migrations never change once released."""

from typing import Protocol

# The clock that decisions are stored by. Tests shift it: `SET banyan.clock_offset = '3 days'`.
_BANK_NOW = """
CREATE FUNCTION bank_now() RETURNS timestamptz LANGUAGE sql STABLE PARALLEL SAFE AS $$
  SELECT statement_timestamp() + coalesce(nullif(current_setting('banyan.clock_offset', true), '')::interval, '0')
$$
"""

# Rows of a month without a partition of its own are kept by the default partition.
_ADD_MONTHS = """
CREATE FUNCTION add_month_partitions(parent text, first_day date, last_day date) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  month date := date_trunc('month', first_day);
BEGIN
  EXECUTE format('CREATE TABLE IF NOT EXISTS %I PARTITION OF %I DEFAULT', parent || '_rest', parent);
  WHILE month <= last_day LOOP
    IF to_regclass(quote_ident(parent || to_char(month, '_YYYY_MM'))) IS NULL THEN
      EXECUTE format(
        'CREATE TABLE %I PARTITION OF %I FOR VALUES FROM (%L) TO (%L)',
        parent || to_char(month, '_YYYY_MM'), parent, month, month + interval '1 month'
      );
    END IF;
    month := month + interval '1 month';
  END LOOP;
END
$$
"""

_TABLES = """
CREATE TABLE idempotency (
  request_id text NOT NULL,
  caller text NOT NULL,
  method text NOT NULL,
  request_hash bytea NOT NULL,
  response bytea NOT NULL,
  create_time timestamptz NOT NULL DEFAULT bank_now(),
  PRIMARY KEY (request_id, caller, method)
);
CREATE INDEX idempotency_create_time ON idempotency (create_time);

CREATE TABLE audit (
  time timestamptz NOT NULL DEFAULT bank_now(),
  audit_id bigint GENERATED ALWAYS AS IDENTITY,
  rev xid8 NOT NULL DEFAULT pg_current_xact_id(),
  caller text NOT NULL,
  branch_id text NOT NULL,
  request_id text NOT NULL,
  method text NOT NULL,
  customer_id text NOT NULL,
  detail jsonb NOT NULL DEFAULT '{}',
  PRIMARY KEY (time, audit_id)
) PARTITION BY RANGE (time);
CREATE INDEX audit_rev ON audit (rev);
CREATE INDEX audit_customer ON audit (customer_id, time);
CREATE INDEX audit_caller ON audit (caller, time);
SELECT add_month_partitions('audit', bank_now()::date, (bank_now() + interval '2 months')::date);

CREATE TABLE audit_seal (
  seal_id bigint PRIMARY KEY,
  from_rev xid8 NOT NULL,
  until_rev xid8 NOT NULL,
  row_count bigint NOT NULL,
  hash bytea NOT NULL,
  create_time timestamptz NOT NULL DEFAULT bank_now()
);

CREATE TABLE operation (
  operation_id uuid PRIMARY KEY DEFAULT uuidv7(),
  kind text NOT NULL,
  caller_id text NOT NULL,
  request_id text NOT NULL,
  request bytea NOT NULL,
  state text NOT NULL DEFAULT 'WAITING' CHECK (state IN ('WAITING', 'RUNNING', 'DONE')),
  cancelled boolean NOT NULL DEFAULT false,
  metadata bytea,
  response bytea,
  error bytea,
  claimed_by text,
  heartbeat_time timestamptz,
  create_time timestamptz NOT NULL DEFAULT bank_now(),
  end_time timestamptz,
  UNIQUE (caller_id, kind, request_id)
);
CREATE INDEX operation_open ON operation (create_time) WHERE state <> 'DONE';

CREATE TABLE feed_cursor (
  name text PRIMARY KEY,
  token text NOT NULL,
  generation integer NOT NULL,
  settled boolean NOT NULL,
  caught_up_time timestamptz
);

CREATE TABLE feed_epoch (
  only_row smallint PRIMARY KEY DEFAULT 1 CHECK (only_row = 1),
  node text NOT NULL,
  epoch integer NOT NULL,
  server text NOT NULL
);

CREATE TABLE business_day (
  only_row smallint PRIMARY KEY DEFAULT 1 CHECK (only_row = 1),
  business_date date NOT NULL
)
"""


# A row that was written stays as it is; whoever changes one all the same breaks the chain of seals.
_REFUSE_CHANGE = """
CREATE OR REPLACE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION '% is append-only', TG_TABLE_NAME USING ERRCODE = 'restrict_violation';
END $$
"""


class Executes(Protocol):
    """What of Alembic's `op` is needed here."""

    def execute(self, sqltext: str) -> None: ...


def create_chassis(op: Executes) -> None:
    """Creates the chassis' functions and tables; the first thing that each service's first migration does."""
    op.execute(_BANK_NOW)
    op.execute(_ADD_MONTHS)
    # asyncpg takes one statement at a time.
    for statement in _TABLES.split(";\n"):
        op.execute(statement)


def keep_audit(op: Executes) -> None:
    """Makes the audit and its seals append-only: no row is changed or deleted; whole old partitions may be dropped."""
    op.execute(_REFUSE_CHANGE)
    for table in ("audit", "audit_seal"):
        for event, each in (("UPDATE OR DELETE", "ROW"), ("TRUNCATE", "STATEMENT")):
            name = f"{table}_keep_{each.lower()}"
            op.execute(
                f"CREATE TRIGGER {name} BEFORE {event} ON {table} FOR EACH {each} EXECUTE FUNCTION refuse_change()"
            )


def partition_by_month(op: Executes, table: str, first_day: str, last_day: str) -> None:
    """Gives a table that is partitioned by a time its monthly partitions and one for the rest; days as YYYY-MM-DD."""
    op.execute(f"SELECT add_month_partitions('{table}', '{first_day}', '{last_day}')")
