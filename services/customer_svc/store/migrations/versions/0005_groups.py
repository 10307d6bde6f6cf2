"""Saved groups of customers, and exports."""

from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_STATEMENTS = """
CREATE TABLE customer_groups (
  group_id text COLLATE "C" PRIMARY KEY,
  display_name text COLLATE "C" NOT NULL,
  description text NOT NULL,
  owner_id text COLLATE "C" NOT NULL,
  sharing text NOT NULL CHECK (sharing IN ('PRIVATE', 'BRANCH', 'BANK')),
  shared_branch_id text COLLATE "C",
  kind text NOT NULL CHECK (kind IN ('QUERY', 'LIST')),
  query bytea,
  query_version integer NOT NULL DEFAULT 1,
  refresh_nightly boolean NOT NULL,
  version integer NOT NULL DEFAULT 1,
  create_time timestamptz NOT NULL DEFAULT bank_now(),
  update_time timestamptz NOT NULL DEFAULT bank_now(),
  delete_time timestamptz,
  live_generation integer,
  least_level smallint,
  least_level_of_others smallint,
  member_count bigint,
  last_build_time timestamptz,
  last_build_micros bigint,
  built_date date,
  build_operation_id text,
  build_id text,
  build_generation integer NOT NULL DEFAULT 0,
  build_query_version integer,
  build_date date,
  build_start_time timestamptz,
  build_after text COLLATE "C",
  build_done_count bigint NOT NULL DEFAULT 0,
  build_member_count bigint NOT NULL DEFAULT 0
);
CREATE INDEX customer_groups_owner ON customer_groups (owner_id, group_id);
CREATE INDEX customer_groups_shared ON customer_groups (shared_branch_id, group_id) WHERE sharing <> 'PRIVATE';
CREATE INDEX customer_groups_nightly ON customer_groups (group_id) WHERE refresh_nightly AND delete_time IS NULL;
CREATE INDEX customer_groups_deleted ON customer_groups (delete_time) WHERE delete_time IS NOT NULL;

CREATE TABLE group_references (
  group_id text COLLATE "C" NOT NULL,
  referred_group_id text COLLATE "C" NOT NULL,
  PRIMARY KEY (group_id, referred_group_id)
);
CREATE INDEX group_references_referred ON group_references (referred_group_id, group_id);

CREATE TABLE group_members (
  customer_id text COLLATE "C" NOT NULL,
  group_id text COLLATE "C" NOT NULL,
  generation integer NOT NULL,
  PRIMARY KEY (customer_id, group_id, generation)
);
CREATE INDEX group_members_group ON group_members (group_id, generation, customer_id);

CREATE TABLE group_generations_ended (
  group_id text COLLATE "C" NOT NULL,
  generation integer NOT NULL,
  end_time timestamptz NOT NULL DEFAULT bank_now(),
  PRIMARY KEY (group_id, generation)
);

CREATE TABLE export_policies (
  version integer PRIMARY KEY,
  start_time timestamptz NOT NULL,
  rows_max_manager integer NOT NULL,
  rows_max_head integer NOT NULL,
  rows_max_head_office integer NOT NULL
);
INSERT INTO export_policies VALUES (1, timestamptz '2000-01-01 00:00:00+08', 1000, 20000, 200000);

CREATE TABLE exports (
  export_id text COLLATE "C" PRIMARY KEY,
  creator_id text COLLATE "C" NOT NULL,
  purpose text NOT NULL,
  format text NOT NULL CHECK (format IN ('CSV', 'PARQUET')),
  columns text[] NOT NULL,
  row_count bigint NOT NULL DEFAULT 0,
  size_bytes bigint NOT NULL DEFAULT 0,
  create_time timestamptz NOT NULL DEFAULT bank_now(),
  expire_time timestamptz NOT NULL DEFAULT bank_now() + interval '24 hours',
  finished boolean NOT NULL DEFAULT false
);
CREATE INDEX exports_creator ON exports (creator_id, create_time, export_id);
CREATE INDEX exports_expire_time ON exports (expire_time);

CREATE TABLE export_chunks (
  export_id text COLLATE "C" NOT NULL,
  ordinal integer NOT NULL,
  content bytea NOT NULL,
  PRIMARY KEY (export_id, ordinal)
);
ALTER TABLE export_chunks ALTER COLUMN content SET STORAGE EXTERNAL
"""


def upgrade() -> None:
    """Creates everything."""
    for statement in _STATEMENTS.split(";\n"):
        if statement.strip():
            op.execute(statement)
